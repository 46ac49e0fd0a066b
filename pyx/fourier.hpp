// Fourier transforms of a grid of complex numbers whose sides are products of 2, 3 and 5.  No include guard:
// electrostatics.hpp includes it once per instruction set.
//
// Stockham's form, which needs no reordering: of n = p m points, with s transforms beside each other,
//   y[q + s (p j + r)] = w^(j r) Σ_k e^(−2πi r k/p) x[q + s (j + m k)],  w = e^(−2πi/n)
// and the same for m points and s p transforms until one point is left.  Eight lines are transformed at once.

constexpr int LINES = 2 * WIDTH;

inline bool is_smooth(int n) {
    for (int factor : {2, 3, 5})
        while (n % factor == 0) n /= factor;
    return n == 1;
}

// Of one length; [points][LINES] in and out.
class LineTransform {
public:
    explicit LineTransform(int points_in) : points(points_in), real_roots(points), imaginary_roots(points) {
        for (int k = 0; k < points; ++k) {
            real_roots[k] = std::cos(TWO_PI * k / points);
            imaginary_roots[k] = -std::sin(TWO_PI * k / points);
        }
    }

    // Which of the two buffers holds the result: 0 or 1.
    int transform(double *real[2], double *imaginary[2]) const {
        int from = 0, left = points, beside = 1;
        while (left > 1) {
            const int radix = left % 4 == 0 ? 4 : left % 2 == 0 ? 2 : left % 3 == 0 ? 3 : 5;
            const double *in[2] = {real[from], imaginary[from]};
            double *out[2] = {real[1 - from], imaginary[1 - from]};
            switch (radix) {
                case 4: pass<4>(left, beside, in, out); break;
                case 2: pass<2>(left, beside, in, out); break;
                case 3: pass<3>(left, beside, in, out); break;
                default: pass<5>(left, beside, in, out); break;
            }
            left /= radix;
            beside *= radix;
            from = 1 - from;
        }
        return from;
    }

private:
    const int points;
    std::vector<double> real_roots, imaginary_roots;

    template <int P>
    void pass(int left, int beside, const double *const *in, double *const *out) const {
        const int parts = left / P, step = points / left;
        for (int j = 0; j < parts; ++j)
            for (int q = 0; q < beside; ++q)
                for (int lane = 0; lane < LINES; lane += WIDTH) {
                    Vector a[P], b[P], c[P], d[P];
                    UNROLL
                    for (int k = 0; k < P; ++k) {
                        const size_t place = size_t(q + beside * (j + parts * k)) * LINES + lane;
                        a[k] = load(in[0] + place);
                        b[k] = load(in[1] + place);
                    }
                    butterfly<P>(a, b, c, d);
                    UNROLL
                    for (int r = 0; r < P; ++r) {
                        const size_t place = size_t(q + beside * (P * j + r)) * LINES + lane;
                        const Vector u = broadcast(real_roots[j * r * step]);
                        const Vector v = broadcast(imaginary_roots[j * r * step]);
                        store(out[0] + place, c[r] * u - d[r] * v);
                        store(out[1] + place, c[r] * v + d[r] * u);
                    }
                }
    }

    // c + i d = transform of a + i b
    template <int P>
    ALWAYS_INLINE void butterfly(const Vector *a, const Vector *b, Vector *c, Vector *d) {
        if constexpr (P == 2) {
            c[0] = a[0] + a[1];
            d[0] = b[0] + b[1];
            c[1] = a[0] - a[1];
            d[1] = b[0] - b[1];
        } else if constexpr (P == 4) {
            const Vector even[4] = {a[0] + a[2], b[0] + b[2], a[0] - a[2], b[0] - b[2]};
            const Vector odd[4] = {a[1] + a[3], b[1] + b[3], a[1] - a[3], b[1] - b[3]};
            c[0] = even[0] + odd[0];
            d[0] = even[1] + odd[1];
            c[2] = even[0] - odd[0];
            d[2] = even[1] - odd[1];
            c[1] = even[2] + odd[3];  // −i (a + ib) = b − ia
            d[1] = even[3] - odd[2];
            c[3] = even[2] - odd[3];
            d[3] = even[3] + odd[2];
        } else {
            constexpr double COSINES[6] = {1.0, -0.5, 0.0, 1.0, 0.30901699437494742410, -0.80901699437494742410};
            constexpr double SINES[6] = {0.0, 0.86602540378443864676, 0.0,
                                         0.0, 0.95105651629515357212, 0.58778525229247312917};
            const double *cosine = COSINES + (P == 5 ? 3 : 0), *sine = SINES + (P == 5 ? 3 : 0);
            c[0] = a[0];
            d[0] = b[0];
            UNROLL
            for (int k = 1; k < P; ++k) {
                c[0] += a[k];
                d[0] += b[k];
            }
            UNROLL
            for (int r = 1; r <= P / 2; ++r) {
                Vector real = a[0], imaginary = b[0], turned_real = {}, turned_imaginary = {};
                UNROLL
                for (int k = 1; k <= P / 2; ++k) {
                    const int turn = r * k % P, mirrored = turn > P / 2 ? P - turn : turn;
                    const double s = turn > P / 2 ? -sine[mirrored] : sine[mirrored];
                    real += cosine[mirrored] * (a[k] + a[P - k]);
                    imaginary += cosine[mirrored] * (b[k] + b[P - k]);
                    turned_real += s * (b[k] - b[P - k]);
                    turned_imaginary -= s * (a[k] - a[P - k]);
                }
                c[r] = real + turned_real;
                d[r] = imaginary + turned_imaginary;
                c[P - r] = real - turned_real;
                d[P - r] = imaginary - turned_imaginary;
            }
        }
    }
};

// Real and imaginary parts apart, [sides[0]][sides[1]][sides[2]].
struct Grid {
    std::vector<double> real, imaginary;
};

class GridTransform {
public:
    explicit GridTransform(const int *sides_in) : sides{sides_in[0], sides_in[1], sides_in[2]} {
        for (int axis = 0; axis < 3; ++axis) lines.emplace_back(sides[axis]);
    }

    void forward(Grid &grid, int threads) const { transform(grid.real.data(), grid.imaginary.data(), threads); }

    // Without the factor of 1/points: the same with real and imaginary parts exchanged.
    void backward(Grid &grid, int threads) const { transform(grid.imaginary.data(), grid.real.data(), threads); }

private:
    const int sides[3];
    std::vector<LineTransform> lines;

    void transform(double *real, double *imaginary, int threads) const {
        for (int axis = 2; axis >= 0; --axis) {
            const int points = sides[axis], inner = axis == 2 ? sides[1] : sides[2];
            const int outer = axis == 0 ? sides[1] : sides[0], blocks = (inner + LINES - 1) / LINES;
            const size_t step = axis == 0 ? size_t(sides[1]) * sides[2] : axis == 1 ? sides[2] : 1;
            const size_t beside = axis == 2 ? sides[2] : 1;
            const size_t over = axis == 0 ? sides[2] : size_t(sides[1]) * sides[2];
            FirstException failure;
#pragma omp parallel num_threads(threads)
            {
                std::vector<double> memory;
#pragma omp for schedule(static)
                for (int index = 0; index < outer * blocks; ++index)
                    failure.guard([&] {
                        memory.resize(4 * size_t(points) * LINES, 0.0);
                        const int block = index % blocks, count = std::min(LINES, inner - block * LINES);
                        const size_t start = size_t(index / blocks) * over + size_t(block) * LINES * beside;
                        const size_t size = size_t(points) * LINES;
                        double *a[2] = {memory.data(), memory.data() + size};
                        double *b[2] = {memory.data() + 2 * size, memory.data() + 3 * size};
                        for (int k = 0; k < points; ++k)
                            for (int line = 0; line < count; ++line) {
                                const size_t place = start + k * step + line * beside;
                                a[0][k * LINES + line] = real[place];
                                b[0][k * LINES + line] = imaginary[place];
                            }
                        const int found = lines[axis].transform(a, b);
                        for (int k = 0; k < points; ++k)
                            for (int line = 0; line < count; ++line) {
                                const size_t place = start + k * step + line * beside;
                                real[place] = a[found][k * LINES + line];
                                imaginary[place] = b[found][k * LINES + line];
                            }
                    });
            }
            failure.rethrow();
        }
    }
};
