// The reciprocal part of Ewald's sum.  No include guard: water.hpp includes it once per instruction set.
//
// The waves k = 2π (n1 dual1 + n2 dual2 + n3 dual3) are taken column by column: all n3 of one (n1, n2), half of the
// columns, since −k gives the same as k.  With a + ib = q e^(i (n1 x1 + n2 x2)) and c + id = e^(i n3 x3), the four sums
// of a c, b d, a d and b c over the charges give S at n3 and at −n3.  The forces run backwards through the same
// products.
class Waves {
public:
    void add(const ChargeGroups &own, const Lattice &lattice, double constant, double alpha, double highest,
             double &energy, double (&virial)[3][3], double *forces) {
        charges = own.groups * own.size;
        padded = (charges + 2 * WIDTH - 1) / (2 * WIDTH) * (2 * WIDTH);
        for (int d = 0; d < 3; ++d) {
            most[d] = int(highest * std::sqrt(Lattice::inner(lattice.vectors[d], lattice.vectors[d])) / TWO_PI);
            fill_phases(own, lattice, d);
            for (int axis = 0; axis < 3; ++axis) wave[d][axis] = TWO_PI * lattice.dual[d][axis];
            gradient[d].assign(padded, 0.0);
        }
        plane.resize(2 * size_t(padded));
        sums.resize(4 * size_t(most[2] + 1));
        terms.resize(8 * size_t(most[2] + 1));
        const double prefactor = 2 * TWO_PI * constant / lattice.volume, width = 1 / (4 * alpha * alpha);
        for (int n1 = 0; n1 <= most[0]; ++n1)
            for (int n2 = n1 ? -most[1] : 0; n2 <= most[1]; ++n2) {
                double base[3];
                for (int axis = 0; axis < 3; ++axis) base[axis] = n1 * wave[0][axis] + n2 * wave[1][axis];
                int low, high;
                if (!column_ends(base, highest, n1 == 0 && n2 == 0, low, high)) continue;
                const int first = low <= 0 && high >= 0 ? 0 : std::min(std::abs(low), std::abs(high));
                const int count = std::max(std::abs(low), std::abs(high)) - first + 1;
                const double *second = phase(1, std::abs(n2));
                multiply_phases(phase(0, n1), second, second + padded, n2 < 0 ? -1.0 : 1.0, plane.data());
                add_column(first, count);
                energy += weigh(base, first, count, low, high, prefactor, width, virial);
                add_gradients(n1, n2, first, count);
            }
        for (int index = 0; index < charges; ++index)
            for (int axis = 0; axis < 3; ++axis)
                forces[3 * size_t(index) + axis] +=
                    2 * (gradient[0][index] * wave[0][axis] + gradient[1][index] * wave[1][axis] +
                         gradient[2][index] * wave[2][axis]);
    }

private:
    static constexpr double TWO_PI = 6.28318530717958647693;
    int charges, padded, most[3];
    double wave[3][3];
    std::vector<double> phases[3];     // [n][cosine, sine][padded], n = 0 … most
    std::vector<double> cosine, sine;  // of one direction
    std::vector<double> plane;         // [real, imaginary][padded] of one column: a and b
    std::vector<double> sums;          // [n3][4]
    std::vector<double> terms;         // [n3][8]
    std::vector<double> gradient[3];   // half of −∂E/∂(2π fractional coordinate), [padded]

    double *phase(int d, int n) { return phases[d].data() + 2 * size_t(n) * padded; }

    // e^(i n x) by recurrence; that of the first direction is multiplied by the charge.
    void fill_phases(const ChargeGroups &own, const Lattice &lattice, int d) {
        phases[d].assign(2 * size_t(most[d] + 1) * padded, 0.0);
        cosine.assign(padded, 1.0);
        sine.assign(padded, 0.0);
        for (int index = 0; index < charges; ++index) {
            const double *centre = own.centres + 3 * size_t(index / own.size);
            const double *offset = own.offsets + 3 * size_t(index);
            const double place[3] = {centre[0] + offset[0], centre[1] + offset[1], centre[2] + offset[2]};
            double fraction = Lattice::inner(lattice.dual[d], place);
            fraction -= std::nearbyint(fraction);  // sine and cosine are faster, and more accurate, near zero
            cosine[index] = std::cos(TWO_PI * fraction);
            sine[index] = std::sin(TWO_PI * fraction);
            phase(d, 0)[index] = d == 0 ? own.charges[index] : 1.0;
        }
        for (int n = 1; n <= most[d]; ++n)
            multiply_phases(phase(d, n - 1), cosine.data(), sine.data(), 1.0, phase(d, n));
    }

    // out = before · (cosine ± i sine)
    void multiply_phases(const double *before, const double *cosines, const double *sines, double sign,
                         double *out) const {
        for (int k = 0; k < padded; k += WIDTH) {
            const Vector real = load(before + k), imaginary = load(before + padded + k);
            const Vector c = load(cosines + k), s = sign * load(sines + k);
            store(out + k, real * c - imaginary * s);
            store(out + padded + k, imaginary * c + real * s);
        }
    }

    // First and last n3 of a column that reaches into the sphere of waves.
    bool column_ends(const double *base, double highest, bool is_axis, int &low, int &high) const {
        const double along = Lattice::inner(base, wave[2]), square = Lattice::inner(wave[2], wave[2]);
        const double inside = along * along - square * (Lattice::inner(base, base) - highest * highest);
        if (inside < 0) return false;
        low = std::max(-most[2], int(std::ceil((-along - std::sqrt(inside)) / square)));
        high = std::min(most[2], int(std::floor((-along + std::sqrt(inside)) / square)));
        if (is_axis) low = 1;
        return low <= high;
    }

    void add_column(int first, int count) {
        int place = 0;
        for (; place + 3 <= count; place += 3) add_dot_products<3>(first + place, &sums[4 * place]);
        if (count - place == 2) add_dot_products<2>(first + place, &sums[4 * place]);
        if (count - place == 1) add_dot_products<1>(first + place, &sums[4 * place]);
    }

    // Sums of a c, b d, a d and b c for neighbouring n3.
    template <int TILE>
    void add_dot_products(int n3, double *out) {
        Vector total[TILE][4] = {};
        const double *a = plane.data(), *b = a + padded;
        for (int k = 0; k < padded; k += WIDTH) {
            const Vector real = load(a + k), imaginary = load(b + k);
            UNROLL
            for (int tile = 0; tile < TILE; ++tile) {
                const double *own = phase(2, n3 + tile);
                const Vector c = load(own + k), d = load(own + padded + k);
                total[tile][0] += real * c;
                total[tile][1] += imaginary * d;
                total[tile][2] += real * d;
                total[tile][3] += imaginary * c;
            }
        }
        for (int tile = 0; tile < TILE; ++tile)
            for (int part = 0; part < 4; ++part) out[4 * tile + part] = sum(total[tile][part]);
    }

    // Energy and virial of a column, and the factors of c and d in the sum over its waves of weight · S* · e^(i n3 x3).
    double weigh(const double *base, int first, int count, int low, int high, double prefactor, double width,
                 double (&virial)[3][3]) {
        double energy = 0.0;
        for (int place = 0; place < count; ++place) {
            const double *own = &sums[4 * place];
            double *out = &terms[8 * place];
            const int n3 = first + place;
            double real[2] = {own[0] - own[1], own[0] + own[1]}, imaginary[2] = {own[2] + own[3], own[3] - own[2]};
            for (int side = 0; side < 2; ++side) {  // n3, then −n3
                const int signed_n3 = side ? -n3 : n3;
                const bool counts = signed_n3 >= low && signed_n3 <= high && !(side && n3 == 0);
                double k[3];
                for (int axis = 0; axis < 3; ++axis) k[axis] = base[axis] + signed_n3 * wave[2][axis];
                const double square = Lattice::inner(k, k);
                const double weight = counts ? prefactor * std::exp(-width * square) / square : 0.0;
                const double part = weight * (real[side] * real[side] + imaginary[side] * imaginary[side]);
                const double slope = counts ? 2 * part * (1 / square + width) : 0.0;
                energy += part;
                for (int i = 0; i < 3; ++i) {
                    virial[i][i] += part;
                    for (int j = 0; j < 3; ++j) virial[i][j] -= slope * k[i] * k[j];
                }
                real[side] *= weight;
                imaginary[side] *= -weight;
            }
            out[0] = real[0] + real[1];            // of c, real
            out[1] = imaginary[1] - imaginary[0];  // of d, real
            out[2] = imaginary[0] + imaginary[1];  // of c, imaginary
            out[3] = real[0] - real[1];            // of d, imaginary
            out[4] = n3 * out[3];                  // the same with a factor n3, which is −n3 on the other side
            out[5] = -n3 * out[2];
            out[6] = -n3 * out[1];
            out[7] = n3 * out[0];
        }
        return energy;
    }

    // Each charge's Im (a + ib) T, T the sum that `weigh` made the factors for, times n1, n2, or with n3 inside.
    void add_gradients(int n1, int n2, int first, int count) {
        constexpr int TILE = 2;
        const double *a = plane.data(), *b = a + padded;
        for (int k = 0; k < padded; k += TILE * WIDTH) {
            Vector total[TILE][4] = {};
            for (int place = 0; place < count; ++place) {
                const double *own = phase(2, first + place) + k, *term = &terms[8 * place];
                UNROLL
                for (int tile = 0; tile < TILE; ++tile) {
                    const Vector c = load(own + tile * WIDTH), d = load(own + padded + tile * WIDTH);
                    UNROLL
                    for (int part = 0; part < 4; ++part)
                        total[tile][part] += term[2 * part] * c + term[2 * part + 1] * d;
                }
            }
            UNROLL
            for (int tile = 0; tile < TILE; ++tile) {
                const int place = k + tile * WIDTH;
                const Vector real = load(a + place), imaginary = load(b + place);
                const Vector across = real * total[tile][1] + imaginary * total[tile][0];
                const Vector along = real * total[tile][3] + imaginary * total[tile][2];
                store(&gradient[0][place], load(&gradient[0][place]) + double(n1) * across);
                store(&gradient[1][place], load(&gradient[1][place]) + double(n2) * across);
                store(&gradient[2][place], load(&gradient[2][place]) + along);
            }
        }
    }
};
