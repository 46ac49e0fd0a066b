// Four doubles at a time, or eight floats where BEADWISE_SINGLE says so, in the compiler's own vector extension: the
// same source serves SSE2, AVX2 and NEON. This file is included once per instruction set, inside that set's namespace
// (see kernel.hpp).

#ifdef BEADWISE_SINGLE
typedef float Real;
typedef int Integer;
constexpr int WIDTH = 8;
#else
typedef double Real;
typedef long long Integer;
constexpr int WIDTH = 4;
#endif
typedef Real Vector __attribute__((vector_size(32), may_alias));
typedef Real UnalignedVector __attribute__((vector_size(32), aligned(sizeof(Real)), may_alias));
typedef Integer Mask __attribute__((vector_size(32)));
typedef double Doubles __attribute__((vector_size(WIDTH * sizeof(double)), may_alias));  // of a Vector

// Loops over the registers of a tile must be unrolled for the tile to stay in registers; saying where, rather than
// asking for it everywhere with -O3, halves the time to compile.
#define UNROLL _Pragma("GCC unroll 16")

#define ALWAYS_INLINE static inline __attribute__((always_inline))

ALWAYS_INLINE Vector load(const Real *address) { return *reinterpret_cast<const UnalignedVector *>(address); }

ALWAYS_INLINE void store(Real *address, Vector value) { *reinterpret_cast<UnalignedVector *>(address) = value; }

ALWAYS_INLINE Vector broadcast(Real value) {
#ifdef BEADWISE_SINGLE
    return Vector{value, value, value, value, value, value, value, value};
#else
    return Vector{value, value, value, value};
#endif
}

ALWAYS_INLINE Vector square_root(Vector value) {
    Vector root;
    for (int lane = 0; lane < WIDTH; ++lane) root[lane] = std::sqrt(value[lane]);
    return root;
}

template <class Lanes>
ALWAYS_INLINE auto sum(const Lanes &value) {
    const auto first = (value[0] + value[1]) + (value[2] + value[3]);
#ifdef BEADWISE_SINGLE
    return first + ((value[4] + value[5]) + (value[6] + value[7]));
#else
    return first;
#endif
}

#ifdef __clang__
#define SHUFFLE(A, B, ...) __builtin_shufflevector(A, B, __VA_ARGS__)
#else
#define SHUFFLE(A, B, ...) __builtin_shuffle(A, B, Mask{__VA_ARGS__})
#endif

#ifdef BEADWISE_SINGLE
// Rows of an 8 × 8 block become its columns.
ALWAYS_INLINE void transpose(Vector *rows) {
    Vector pairs[8], fours[8];
    UNROLL
    for (int k = 0; k < 8; k += 2) {
        pairs[k] = SHUFFLE(rows[k], rows[k + 1], 0, 8, 1, 9, 4, 12, 5, 13);
        pairs[k + 1] = SHUFFLE(rows[k], rows[k + 1], 2, 10, 3, 11, 6, 14, 7, 15);
    }
    UNROLL
    for (int k = 0; k < 8; k += 4) UNROLL
    for (int half = 0; half < 2; ++half) {
        fours[k + 2 * half] = SHUFFLE(pairs[k + half], pairs[k + half + 2], 0, 1, 8, 9, 4, 5, 12, 13);
        fours[k + 2 * half + 1] = SHUFFLE(pairs[k + half], pairs[k + half + 2], 2, 3, 10, 11, 6, 7, 14, 15);
    }
    UNROLL
    for (int k = 0; k < 4; ++k) {
        rows[k] = SHUFFLE(fours[k], fours[k + 4], 0, 1, 2, 3, 8, 9, 10, 11);
        rows[k + 4] = SHUFFLE(fours[k], fours[k + 4], 4, 5, 6, 7, 12, 13, 14, 15);
    }
}
#else
// Rows of a 4 × 4 block become its columns.
ALWAYS_INLINE void transpose(Vector &a, Vector &b, Vector &c, Vector &d) {
    const Vector ab_even = SHUFFLE(a, b, 0, 4, 2, 6);
    const Vector ab_odd = SHUFFLE(a, b, 1, 5, 3, 7);
    const Vector cd_even = SHUFFLE(c, d, 0, 4, 2, 6);
    const Vector cd_odd = SHUFFLE(c, d, 1, 5, 3, 7);
    a = SHUFFLE(ab_even, cd_even, 0, 1, 4, 5);
    b = SHUFFLE(ab_odd, cd_odd, 0, 1, 4, 5);
    c = SHUFFLE(ab_even, cd_even, 2, 3, 6, 7);
    d = SHUFFLE(ab_odd, cd_odd, 2, 3, 6, 7);
}

ALWAYS_INLINE void transpose(Vector *rows) { transpose(rows[0], rows[1], rows[2], rows[3]); }
#endif

// out[row][k] = Σ_q left[row][q] · matrix[q][k] for ROWS rows and VECTORS·WIDTH columns held in registers.
template <int ROWS, int VECTORS>
ALWAYS_INLINE void multiply_tile(const Real *left, int inner, const Real *matrix, int width, Real *out) {
    Vector total[ROWS][VECTORS] = {};
    for (int q = 0; q < inner; ++q) {
        Vector right[VECTORS];
        UNROLL
        for (int v = 0; v < VECTORS; ++v) right[v] = load(matrix + q * width + v * WIDTH);
        UNROLL
        for (int row = 0; row < ROWS; ++row) {
            const Vector factor = broadcast(left[row * inner + q]);
            UNROLL
            for (int v = 0; v < VECTORS; ++v) total[row][v] += factor * right[v];
        }
    }
    UNROLL
    for (int row = 0; row < ROWS; ++row) UNROLL
    for (int v = 0; v < VECTORS; ++v) store(out + row * width + v * WIDTH, total[row][v]);
}

template <int VECTORS>
ALWAYS_INLINE void multiply_columns(const Real *left, int rows, int inner, const Real *matrix, int width, Real *out) {
    int row = 0;
    for (; row + 3 <= rows; row += 3)
        multiply_tile<3, VECTORS>(left + row * inner, inner, matrix, width, out + row * width);
    if (rows - row == 2) multiply_tile<2, VECTORS>(left + row * inner, inner, matrix, width, out + row * width);
    if (rows - row == 1) multiply_tile<1, VECTORS>(left + row * inner, inner, matrix, width, out + row * width);
}

// out = left · matrix with left [rows, inner] and matrix [inner, width]; width is a multiple of WIDTH.
static void multiply(const Real *left, int rows, int inner, const Real *matrix, int width, Real *out) {
    int column = 0;
    for (; column + 4 * WIDTH <= width; column += 4 * WIDTH)
        multiply_columns<4>(left, rows, inner, matrix + column, width, out + column);
    for (; column + 2 * WIDTH <= width; column += 2 * WIDTH)
        multiply_columns<2>(left, rows, inner, matrix + column, width, out + column);
    for (; column < width; column += WIDTH)
        multiply_columns<1>(left, rows, inner, matrix + column, width, out + column);
}

// Sums of products, one in each lane; their sum is the inner product.
ALWAYS_INLINE Vector lane_products(const Real *a, const Real *b, int width) {
    Vector total = {};
    for (int k = 0; k < width; k += WIDTH) total += load(a + k) * load(b + k);
    return total;
}

ALWAYS_INLINE Real dot(const Real *a, const Real *b, int width) { return sum(lane_products(a, b, width)); }

// out += factor · a
ALWAYS_INLINE void add_scaled(Real *out, Real factor, const Real *a, int width) {
    const Vector scale = broadcast(factor);
    for (int k = 0; k < width; k += WIDTH) store(out + k, load(out + k) + scale * load(a + k));
}
