// The waves of many sites by a mesh of B-splines (Essmann and others, J. Chem. Phys. 103, 8577 (1995); with dipoles
// Toukmaji and others, J. Chem. Phys. 113, 10913 (2000)).  No include guard: electrostatics.hpp includes it once per
// instruction set.
//
// A site at u = K s along each direction of K points has the weights M_n(u − k) at its n nearest points.  Two columns,
// which are real, are the real and imaginary parts of one grid: the waves' weights are real and even, so that they stay
// apart.  Potentials are read with the same weights, so that their derivatives are exact ones of the mesh's energy.

class MomentMesh {
public:
    void prepare(const Frame &frame_in, const Cut &cut, const double *positions, int sites_in) {
        frame = &frame_in;
        sites = sites_in;
        order = cut.order;
        width = 1 / (4 * cut.splitting * cut.splitting);
        for (int d = 0; d < 3; ++d) {
            sides[d] = cut.mesh[d];
            if (!is_smooth(sides[d])) throw std::invalid_argument("sides of a mesh must be products of 2, 3 and 5");
            fill_moduli(d);
        }
        transform.reset(new GridTransform(sides));
        weights.resize(size_t(sides[0]) * sides[1] * sides[2]);
        for (int n0 = 0; n0 < sides[0]; ++n0)
            for (int n1 = 0; n1 < sides[1]; ++n1)
                for (int n2 = 0; n2 < sides[2]; ++n2) weights[place_of(n0, n1, n2)] = weight_of(n0, n1, n2);
        fill_splines(positions);
    }

    // keeps: whether `add_strain` will be asked for.
    void apply(std::vector<LatticeColumn> &columns, bool has_charges, bool has_dipoles, bool seconds, bool keeps,
               int threads) {
        const size_t points = size_t(sides[0]) * sides[1] * sides[2];
        kept.resize(keeps ? (columns.size() + 1) / 2 : 0);
        for (size_t column = 0; column < columns.size(); column += 2) {
            grid.real.assign(points, 0.0);
            grid.imaginary.assign(points, 0.0);
            const bool has_two = column + 1 < columns.size();
            for (int side = 0; side < 1 + has_two; ++side)
                put(columns[column + side].moments, has_charges, has_dipoles, side ? grid.imaginary : grid.real,
                    threads);
            transform->forward(grid, threads);
            if (keeps) kept[column / 2] = grid;
            weigh(threads);
            transform->backward(grid, threads);
            for (int side = 0; side < 1 + has_two; ++side)
                take(side ? grid.imaginary : grid.real, seconds, columns[column + side].potential, threads);
        }
    }

    void add_strain(int left, int right, double *strain) const {
        for (int n0 = 0; n0 < sides[0]; ++n0)
            for (int n1 = 0; n1 < sides[1]; ++n1)
                for (int n2 = 0; n2 < sides[2]; ++n2) {
                    const double weight = weights[place_of(n0, n1, n2)];
                    if (weight == 0.0) continue;
                    const Wave wave = wave_of(n0, n1, n2);
                    const std::complex<double> a = factor(left, n0, n1, n2), b = factor(right, n0, n1, n2);
                    const double energy = weight * (a.real() * b.real() + a.imag() * b.imag());
                    const double slope = 2 * energy * (width + 1 / wave.square);
                    for (int i = 0; i < 3; ++i) {
                        strain[4 * i] -= energy;
                        for (int j = 0; j < 3; ++j) strain[3 * i + j] += slope * wave.k[i] * wave.k[j];
                    }
                }
    }

private:
    struct Wave {
        double k[3], square;
    };
    const Frame *frame = nullptr;
    int sites = 0, order = 0, sides[3] = {};
    double width = 0.0;
    std::vector<double> moduli[3];  // |b|² of each wave along a direction
    std::vector<int32_t> first;     // [sites][3]: the highest of its points
    std::vector<double> splines;    // [sites][3][3 derivatives by s][order], from that point downwards
    std::unique_ptr<GridTransform> transform;
    std::vector<double> weights;  // 4π/V e^(−k²/4κ²)/k² |b|², as the grid
    Grid grid;
    std::vector<Grid> kept;

    // M_n(f + j) for j = 0 … n − 1
    static void spline(double f, int n, double *out) {
        std::fill(out, out + n, 0.0);
        out[0] = f;
        out[1] = 1 - f;
        for (int m = 3; m <= n; ++m)
            for (int j = m - 1; j >= 0; --j)
                out[j] = ((f + j) * out[j] + (m - f - j) * (j ? out[j - 1] : 0.0)) / (m - 1);
    }

    // d/dx M_n(f + j) from M_(n−1)
    static void slope_of(const double *lower, int n, double factor, double *out) {
        for (int j = n - 1; j >= 0; --j) out[j] = factor * ((j < n - 1 ? lower[j] : 0.0) - (j ? lower[j - 1] : 0.0));
    }

    void fill_splines(const double *positions) {
        first.resize(3 * size_t(sites));
        splines.resize(9 * size_t(sites) * order);
        std::vector<double> lower(order);
        for (size_t index = 0; index < 3 * size_t(sites); ++index) {
            const double *place = positions + 3 * (index / 3);
            const int d = index % 3, side = sides[d];
            double fraction = inner({place[0], place[1], place[2]}, frame->dual[d]);
            fraction -= std::floor(fraction);
            const double u = fraction * side;
            const int whole = std::min(int(u), side - 1);
            const double f = u - whole;
            first[index] = whole;
            double *own = &splines[3 * index * order];
            spline(f, order, own);
            spline(f, order - 1, lower.data());
            slope_of(lower.data(), order, side, own + order);
            spline(f, order - 2, lower.data());
            slope_of(lower.data(), order - 1, side, own + 2 * order);
            std::copy_n(own + 2 * order, order - 1, lower.data());
            slope_of(lower.data(), order, side, own + 2 * order);
        }
    }

    void fill_moduli(int d) {
        std::vector<double> values(order);
        spline(0.0, order, values.data());  // M_n(j)
        moduli[d].resize(sides[d]);
        for (int m = 0; m < sides[d]; ++m) {
            std::complex<double> total = 0.0;
            for (int k = 0; k + 1 < order; ++k) total += values[k + 1] * std::polar(1.0, TWO_PI * m * k / sides[d]);
            moduli[d][m] = 1 / std::norm(total);
        }
    }

    // The wave that a point of the transformed grid stands for.
    Wave wave_of(int n0, int n1, int n2) const {
        const int own[3] = {n0, n1, n2};
        Wave wave = {{0, 0, 0}, 0};
        for (int d = 0; d < 3; ++d) {
            const double n = TWO_PI * (2 * own[d] > sides[d] ? own[d] - sides[d] : own[d]);
            for (int x = 0; x < 3; ++x) wave.k[x] += n * frame->dual[d][x];
        }
        wave.square = wave.k[0] * wave.k[0] + wave.k[1] * wave.k[1] + wave.k[2] * wave.k[2];
        return wave;
    }

    // None of k = 0, nor of the waves at the end of a side, which have no opposite.
    double weight_of(int n0, int n1, int n2) const {
        const bool is_mean = n0 == 0 && n1 == 0 && n2 == 0;
        if (is_mean || 2 * n0 == sides[0] || 2 * n1 == sides[1] || 2 * n2 == sides[2]) return 0.0;
        const double square = wave_of(n0, n1, n2).square, moduli_of = moduli[0][n0] * moduli[1][n1] * moduli[2][n2];
        return 2 * TWO_PI / frame->volume * std::exp(-width * square) / square * moduli_of;
    }

    size_t place_of(int n0, int n1, int n2) const { return (size_t(n0) * sides[1] + n1) * sides[2] + n2; }

    // Of a column whose grid was kept: the sum of a column and i times another is taken apart by the opposite wave.
    std::complex<double> factor(int column, int n0, int n1, int n2) const {
        const Grid &own = kept[column / 2];
        const size_t here = place_of(n0, n1, n2);
        const size_t there = place_of(n0 ? sides[0] - n0 : 0, n1 ? sides[1] - n1 : 0, n2 ? sides[2] - n2 : 0);
        const double sign = column % 2 ? -1.0 : 1.0;
        const std::complex<double> sum(0.5 * (own.real[here] + sign * own.real[there]),
                                       0.5 * (own.imaginary[here] - sign * own.imaginary[there]));
        return column % 2 ? std::complex<double>(sum.imag(), -sum.real()) : sum;
    }

    void weigh(int threads) {
        const int64_t points = int64_t(weights.size());
#pragma omp parallel for num_threads(threads) schedule(static)
        for (int64_t place = 0; place < points; ++place) {
            grid.real[place] *= weights[place];
            grid.imaginary[place] *= weights[place];
        }
    }

    // Moments onto the grid; each thread has layers of its own, so that none waits and sums run in one order.
    void put(const Rows &moments, bool has_charges, bool has_dipoles, std::vector<double> &out, int threads) const {
#pragma omp parallel for num_threads(threads) schedule(static)
        for (int part = 0; part < threads; ++part) {
            const int begin = part * sides[0] / threads, end = (part + 1) * sides[0] / threads;
            for (int site = 0; site < sites; ++site) {
                const double q = has_charges ? moments.row(0)[site] : 0.0;
                double p[3] = {};
                for (int d = 0; has_dipoles && d < 3; ++d) p[d] = moments.row(1 + d)[site];
                const double *own[3];
                for (int d = 0; d < 3; ++d) own[d] = &splines[3 * (3 * size_t(site) + d) * order];
                for (int i = 0; i < order; ++i) {
                    const int n0 = wrapped(site, 0, i);
                    if (n0 < begin || n0 >= end) continue;
                    for (int j = 0; j < order; ++j) {
                        const double value = own[0][i] * own[1][j];
                        const double across =
                            q * value + p[0] * own[0][order + i] * own[1][j] + p[1] * own[0][i] * own[1][order + j];
                        double *row = &out[place_of(n0, wrapped(site, 1, j), 0)];
                        for (int k = 0; k < order; ++k)
                            row[wrapped(site, 2, k)] += across * own[2][k] + p[2] * value * own[2][order + k];
                    }
                }
            }
        }
    }

    int wrapped(int site, int d, int away) const {
        const int place = first[3 * size_t(site) + d] - away;
        return place < 0 ? place + sides[d] : place;
    }

    // Potentials at the sites, in the order of DERIVATIVES, by s.
    void take(const std::vector<double> &values, bool seconds, Rows &out, int threads) const {
#pragma omp parallel for num_threads(threads) schedule(static)
        for (int site = 0; site < sites; ++site) {
            const double *own[3];
            for (int d = 0; d < 3; ++d) own[d] = &splines[3 * (3 * size_t(site) + d) * order];
            double total[DERIVATIVES] = {};
            for (int i = 0; i < order; ++i)
                for (int j = 0; j < order; ++j) {
                    const double *row = &values[place_of(wrapped(site, 0, i), wrapped(site, 1, j), 0)];
                    double along[3] = {};
                    for (int k = 0; k < order; ++k) {
                        const double value = row[wrapped(site, 2, k)];
                        along[0] += value * own[2][k];
                        along[1] += value * own[2][order + k];
                        along[2] += value * own[2][2 * order + k];
                    }
                    const double a = own[0][i], b = own[1][j], da = own[0][order + i], db = own[1][order + j];
                    total[0] += a * b * along[0];
                    total[1] += da * b * along[0];
                    total[2] += a * db * along[0];
                    total[3] += a * b * along[1];
                    if (!seconds) continue;
                    total[4] += own[0][2 * order + i] * b * along[0];
                    total[5] += a * own[1][2 * order + j] * along[0];
                    total[6] += a * b * along[2];
                    total[7] += a * db * along[1];
                    total[8] += da * b * along[1];
                    total[9] += da * db * along[0];
                }
            for (int n = 0; n < DERIVATIVES; ++n) out.row(n)[site] = total[n];
        }
    }
};
