// Four doubles at a time, in the compiler's own vector extension: the same source serves SSE2, AVX2 and NEON.
// This file is included once per instruction set, inside that set's namespace (see kernel.hpp).

typedef double Vector __attribute__((vector_size(32), may_alias));
typedef double UnalignedVector __attribute__((vector_size(32), aligned(8), may_alias));
typedef long long Mask __attribute__((vector_size(32)));

constexpr int WIDTH = 4;

// Loops over the registers of a tile must be unrolled for the tile to stay in registers; saying where, rather than
// asking for it everywhere with -O3, halves the time to compile.
#define UNROLL _Pragma("GCC unroll 16")

#define ALWAYS_INLINE static inline __attribute__((always_inline))

ALWAYS_INLINE Vector load(const double *address) { return *reinterpret_cast<const UnalignedVector *>(address); }

ALWAYS_INLINE void store(double *address, Vector value) { *reinterpret_cast<UnalignedVector *>(address) = value; }

ALWAYS_INLINE Vector broadcast(double value) { return Vector{value, value, value, value}; }

ALWAYS_INLINE Vector square_root(Vector value) {
    Vector root;
    for (int lane = 0; lane < WIDTH; ++lane) root[lane] = std::sqrt(value[lane]);
    return root;
}

ALWAYS_INLINE double sum(Vector value) { return (value[0] + value[1]) + (value[2] + value[3]); }

#ifdef __clang__
#define SHUFFLE(A, B, I, J, K, L) __builtin_shufflevector(A, B, I, J, K, L)
#else
#define SHUFFLE(A, B, I, J, K, L) __builtin_shuffle(A, B, Mask{I, J, K, L})
#endif

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

// out[row][k] = Σ_q left[row][q] · matrix[q][k] for ROWS rows and VECTORS·4 columns held in registers.
template <int ROWS, int VECTORS>
ALWAYS_INLINE void multiply_tile(const double *left, int inner, const double *matrix, int width, double *out) {
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
ALWAYS_INLINE void multiply_columns(const double *left, int rows, int inner, const double *matrix, int width,
                                    double *out) {
    int row = 0;
    for (; row + 3 <= rows; row += 3)
        multiply_tile<3, VECTORS>(left + row * inner, inner, matrix, width, out + row * width);
    if (rows - row == 2) multiply_tile<2, VECTORS>(left + row * inner, inner, matrix, width, out + row * width);
    if (rows - row == 1) multiply_tile<1, VECTORS>(left + row * inner, inner, matrix, width, out + row * width);
}

// out = left · matrix with left [rows, inner] and matrix [inner, width]; width is a multiple of 4.
static void multiply(const double *left, int rows, int inner, const double *matrix, int width, double *out) {
    int column = 0;
    for (; column + 16 <= width; column += 16)
        multiply_columns<4>(left, rows, inner, matrix + column, width, out + column);
    for (; column + 8 <= width; column += 8)
        multiply_columns<2>(left, rows, inner, matrix + column, width, out + column);
    for (; column < width; column += 4) multiply_columns<1>(left, rows, inner, matrix + column, width, out + column);
}

// Sums over every fourth product; their sum is the inner product.
ALWAYS_INLINE Vector lane_products(const double *a, const double *b, int width) {
    Vector total = {};
    for (int k = 0; k < width; k += WIDTH) total += load(a + k) * load(b + k);
    return total;
}

ALWAYS_INLINE double dot(const double *a, const double *b, int width) { return sum(lane_products(a, b, width)); }

// out += factor · a
ALWAYS_INLINE void add_scaled(double *out, double factor, const double *a, int width) {
    const Vector scale = broadcast(factor);
    for (int k = 0; k < width; k += WIDTH) store(out + k, load(out + k) + scale * load(a + k));
}
