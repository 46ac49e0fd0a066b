// The reciprocal part of Ewald's sum for charges and dipoles.  No include guard: electrostatics.hpp includes it once
// per instruction set.
//
// In fractional coordinates s the phase is 2π Σ n_d s_d, and k·p = 2π Σ n_d P_d with P_d = p·dual_d.  The waves are
// taken column by column: all n3 of one (n1, n2), half of the columns, since −k gives the same as k.  With the plane a
// + ib = e^(2πi (n1 s1 + n2 s2)) and c + id = e^(2πi n3 s3) the sums of a c, b d, a d and b c give S at n3 and at −n3,
// and potentials run backwards through the same products.

constexpr double TWO_PI = 6.28318530717958647693;

// Rows of sites, of a whole number of tiles, that start as zeros.
struct Rows {
    int padded = 0;
    std::vector<double> values;

    void reset(int rows, int sites) {
        padded = (sites + 2 * WIDTH - 1) / (2 * WIDTH) * (2 * WIDTH);
        values.assign(size_t(rows) * padded, 0.0);
    }
    double *row(int n) { return values.data() + size_t(n) * padded; }
    const double *row(int n) const { return values.data() + size_t(n) * padded; }
};

// Charge and P_1 … P_3 of each site; potential and its derivatives by s, in the order of DERIVATIVES.
struct LatticeColumn {
    Rows moments, potential;
};

// Waves of a lattice whose third vector, as its planes, stands upright: k_z belongs to n3 alone, so that n3 and −n3
// have one weight w, and together 2 w k_a k_b cos cos for xx, yy, zz and xy, −2 w k_a k_b sin sin for yz and xz.
struct UprightWaves {
    struct Bundle {
        int first, count, start;
    };
    Rows planes, thirds;  // rows 2n, 2n + 1: cosine and sine of each bundle's plane, and of each n3
    std::vector<Bundle> bundles;
    std::vector<double> factors;  // [places][6] in the order xx, yy, zz, yz, xz, xy
};

class MomentWaves {
public:
    void prepare(const Frame &frame_in, const Cut &cut, const double *positions, int sites_in) {
        frame = &frame_in;
        sites = sites_in;
        width = 1 / (4 * cut.splitting * cut.splitting);
        for (int d = 0; d < 3; ++d) {
            most[d] = int(cut.highest * std::sqrt(inner(frame->cell[d], frame->cell[d])) / TWO_PI);
            fill_phases(positions, d);
        }
        list_bundles(cut.highest);
    }

    void apply(std::vector<LatticeColumn> &columns, bool has_charges, bool has_dipoles, bool seconds, int threads) {
        factors.resize(columns.size());
        for (size_t column = 0; column < columns.size(); ++column) {
            LatticeColumn &own = columns[column];
            factors[column].resize(4 * size_t(places));
            if (has_dipoles)
                sum_up<true>(own.moments, has_charges, factors[column].data(), threads);
            else
                sum_up<false>(own.moments, has_charges, factors[column].data(), threads);
            if (seconds)
                spread<true>(factors[column].data(), own.potential, threads);
            else
                spread<false>(factors[column].data(), own.potential, threads);
        }
    }

    // Σ over waves of the energy of two columns, times −δ + 2 k k (1/4κ² + 1/k²).
    void add_strain(int left, int right, double *strain) const {
        for (const Bundle &bundle : bundles)
            for (int place = 0; place < bundle.count; ++place)
                for (int side = 0; side < 2; ++side) {
                    const size_t start = 4 * size_t(bundle.start + place) + 2 * side;
                    const double weight = weights[start / 2];
                    if (weight == 0.0) continue;
                    const Wave wave = wave_of(bundle, place, side);
                    const double *a = &factors[left][start], *b = &factors[right][start];
                    const double energy = weight * (a[0] * b[0] + a[1] * b[1]);
                    const double slope = 2 * energy * (width + 1 / wave.square);
                    for (int i = 0; i < 3; ++i) {
                        strain[4 * i] -= energy;
                        for (int j = 0; j < 3; ++j) strain[3 * i + j] += slope * wave.k[i] * wave.k[j];
                    }
                }
    }

    UprightWaves upright() const {
        UprightWaves out;
        out.planes.reset(2 * int(bundles.size()), sites);
        out.thirds = phases[2];
        out.factors.reserve(6 * size_t(places));
        for (const Bundle &bundle : bundles) {
            turn(phases[0], bundle.n1, phases[1], std::abs(bundle.n2), bundle.n2 < 0 ? -1.0 : 1.0,
                 out.planes.row(2 * int(out.bundles.size())), 0, out.planes.padded);
            out.bundles.push_back({bundle.first, bundle.count, bundle.start});
            for (int place = 0; place < bundle.count; ++place) {
                const double *weight = &weights[2 * size_t(bundle.start + place)], both = weight[0] + weight[1];
                const Wave wave = wave_of(bundle, place, 0);
                const double x = wave.k[0], y = wave.k[1], z = wave.k[2];
                for (const double product : {x * x, y * y, z * z, -y * z, -x * z, x * y})
                    out.factors.push_back(both * product);
            }
        }
        return out;
    }

private:
    // All n3 of one (n1, n2) that are within the sphere; n3 and −n3 share a place.
    struct Bundle {
        int n1, n2, low, high, first, count, start;
        double base[3];
    };
    struct Wave {
        double k[3], square;
    };

    const Frame *frame = nullptr;
    int sites = 0, most[3] = {}, places = 0;
    double width = 0.0;
    Rows phases[3];  // rows 2n, 2n + 1: cosine and sine of n
    std::vector<Bundle> bundles;
    std::vector<double> weights;               // 8π/V e^(−k²/4κ²)/k² at n3 and −n3, [places][2]
    std::vector<std::vector<double>> factors;  // per column: S at n3 and −n3, real and imaginary, [places][4]
    std::vector<double> terms;                 // what `fill_terms` makes of one column, [places][12]

    void fill_phases(const double *positions, int d) {
        phases[d].reset(2 * (most[d] + 1), sites);
        Rows &own = phases[d];
        std::fill_n(own.row(0), own.padded, 1.0);
        if (most[d] == 0) return;
        std::fill_n(own.row(2), own.padded, 1.0);
        for (int site = 0; site < sites; ++site) {
            const double *place = positions + 3 * size_t(site);
            double fraction = inner({place[0], place[1], place[2]}, frame->dual[d]);
            fraction -= std::nearbyint(fraction);  // sine and cosine are faster, and more accurate, near zero
            own.row(2)[site] = std::cos(TWO_PI * fraction);
            own.row(3)[site] = std::sin(TWO_PI * fraction);
        }
        for (int n = 2; n <= most[d]; ++n) turn(own, n - 1, own, 1, 1.0, own.row(2 * n), 0, own.padded);
    }

    // out = e^(i n x) e^(± i m y) for sites begin … end
    static void turn(const Rows &first, int n, const Rows &second, int m, double sign, double *out, int begin,
                     int end) {
        const int padded = first.padded;
        const double *a = first.row(2 * n), *b = second.row(2 * m);
        for (int k = begin; k < end; k += WIDTH) {
            const Vector real = load(a + k), imaginary = load(a + padded + k);
            const Vector c = load(b + k), s = sign * load(b + padded + k);
            store(out + k, real * c - imaginary * s);
            store(out + padded + k, imaginary * c + real * s);
        }
    }

    void list_bundles(double highest) {
        bundles.clear();
        places = 0;
        const Vector3 step = scaled(frame->dual[2], TWO_PI);
        for (int n1 = 0; n1 <= most[0]; ++n1)
            for (int n2 = n1 ? -most[1] : 0; n2 <= most[1]; ++n2) {
                Bundle own = {n1, n2, 0, 0, 0, 0, places, {}};
                Vector3 base;
                for (int x = 0; x < 3; ++x)
                    own.base[x] = base[x] = TWO_PI * (n1 * frame->dual[0][x] + n2 * frame->dual[1][x]);
                const double along = inner(base, step), square = inner(step, step);
                const double inside = along * along - square * (inner(base, base) - highest * highest);
                if (inside < 0) continue;
                own.low = std::max(-most[2], int(std::ceil((-along - std::sqrt(inside)) / square)));
                own.high = std::min(most[2], int(std::floor((-along + std::sqrt(inside)) / square)));
                if (n1 == 0 && n2 == 0) own.low = 1;
                if (own.low > own.high) continue;
                const bool has_zero = own.low <= 0 && own.high >= 0;
                own.first = has_zero ? 0 : std::min(std::abs(own.low), std::abs(own.high));
                own.count = std::max(std::abs(own.low), std::abs(own.high)) - own.first + 1;
                places += own.count;
                bundles.push_back(own);
            }
        weights.resize(2 * size_t(places));
        for (const Bundle &bundle : bundles)
            for (int place = 0; place < bundle.count; ++place)
                for (int side = 0; side < 2; ++side) {
                    const int n = bundle.first + place, n3 = side ? -n : n;
                    const bool counts = n3 >= bundle.low && n3 <= bundle.high && !(side && n == 0);
                    const double square = wave_of(bundle, place, side).square;
                    weights[2 * size_t(bundle.start + place) + side] =
                        counts ? 4 * TWO_PI / frame->volume * std::exp(-width * square) / square : 0.0;
                }
    }

    // n3 = first + place on side 0, its negative on side 1.
    Wave wave_of(const Bundle &bundle, int place, int side) const {
        const int n = bundle.first + place, n3 = side ? -n : n;
        Wave wave;
        for (int x = 0; x < 3; ++x) wave.k[x] = bundle.base[x] + n3 * TWO_PI * frame->dual[2][x];
        wave.square = wave.k[0] * wave.k[0] + wave.k[1] * wave.k[1] + wave.k[2] * wave.k[2];
        return wave;
    }

    // S(k) of all waves; threads take bundles.
    template <bool DIPOLES>
    void sum_up(const Rows &moments, bool has_charges, double *out, int threads) const {
        FirstException failure;
#pragma omp parallel num_threads(threads)
        {
            Rows plane, across, along;  // of one bundle: the plane, times q + i k·p of n1 and n2, times p of n3
#pragma omp for schedule(dynamic, 4)
            for (size_t index = 0; index < bundles.size(); ++index)
                failure.guard([&] {
                    const Bundle &bundle = bundles[index];
                    for (Rows *rows : {&plane, &across, &along})
                        if (rows->padded != moments.padded) rows->reset(2, sites);
                    turn(phases[0], bundle.n1, phases[1], std::abs(bundle.n2), bundle.n2 < 0 ? -1.0 : 1.0, plane.row(0),
                         0, plane.padded);
                    weigh<DIPOLES>(bundle, moments, has_charges, plane, across, along);
                    sum_bundle<false>(bundle, across, out);
                    if constexpr (DIPOLES) sum_bundle<true>(bundle, along, out);
                });
        }
        failure.rethrow();
    }

    template <bool DIPOLES>
    void weigh(const Bundle &bundle, const Rows &moments, bool has_charges, const Rows &plane, Rows &across,
               Rows &along) const {
        const double n1 = TWO_PI * bundle.n1, n2 = TWO_PI * bundle.n2;
        for (int k = 0; k < plane.padded; k += WIDTH) {
            const Vector a = load(plane.row(0) + k), b = load(plane.row(1) + k);
            const Vector q = has_charges ? load(moments.row(0) + k) : Vector{};
            Vector real = q * a, imaginary = q * b;
            if constexpr (DIPOLES) {
                const Vector g = n1 * load(moments.row(1) + k) + n2 * load(moments.row(2) + k);
                const Vector third = TWO_PI * load(moments.row(3) + k);
                real -= g * b;
                imaginary += g * a;
                store(along.row(0) + k, -third * b);  // i times the third component: n3 is still to come
                store(along.row(1) + k, third * a);
            }
            store(across.row(0) + k, real);
            store(across.row(1) + k, imaginary);
        }
    }

    // Σ a c, b d, a d and b c for all n3 of a bundle as S at n3 and −n3; times n3 and added, where it is the third
    // part.
    template <bool THIRD>
    void sum_bundle(const Bundle &bundle, const Rows &rows, double *out) const {
        int place = 0;
        for (; place + 2 <= bundle.count; place += 2) sum_waves<THIRD, 2>(bundle, place, rows, out);
        if (place < bundle.count) sum_waves<THIRD, 1>(bundle, place, rows, out);
    }

    template <bool THIRD, int TILE>
    void sum_waves(const Bundle &bundle, int place, const Rows &rows, double *out) const {
        Vector total[TILE][4] = {};
        const int padded = rows.padded, n3 = bundle.first + place;
        const double *a = rows.row(0), *b = rows.row(1), *cosine = phases[2].row(2 * n3);
        for (int k = 0; k < padded; k += WIDTH) {
            const Vector real = load(a + k), imaginary = load(b + k);
            UNROLL
            for (int tile = 0; tile < TILE; ++tile) {
                const Vector c = load(cosine + 2 * tile * padded + k), d = load(cosine + (2 * tile + 1) * padded + k);
                total[tile][0] += real * c;
                total[tile][1] += imaginary * d;
                total[tile][2] += real * d;
                total[tile][3] += imaginary * c;
            }
        }
        UNROLL
        for (int tile = 0; tile < TILE; ++tile) {
            double *own = out + 4 * size_t(bundle.start + place + tile);
            transpose(total[tile][0], total[tile][1], total[tile][2], total[tile][3]);
            const Vector found = (total[tile][0] + total[tile][1]) + (total[tile][2] + total[tile][3]);
            const double ac = found[0], bd = found[1], ad = found[2], bc = found[3], n = n3 + tile;
            const Vector sums = {ac - bd, bc + ad, ac + bd, bc - ad}, factor = {n, n, -n, -n};
            store(own, THIRD ? load(own) + factor * sums : sums);
        }
    }

    // Factors of c and d in Σ weight S* e^(2πi n3 s3) over a bundle, and in the same with n3 and n3² inside.
    void fill_terms(const double *factors_of_column) {
        terms.resize(12 * size_t(places));
        for (const Bundle &bundle : bundles)
            for (int place = 0; place < bundle.count; ++place) {
                const size_t index = bundle.start + place;
                const double *own = factors_of_column + 4 * index, up = weights[2 * index],
                             down = weights[2 * index + 1];
                const double real[2] = {up * own[0] + down * own[2], up * own[0] - down * own[2]};
                const double imaginary[2] = {-up * own[1] - down * own[3], -up * own[1] + down * own[3]};
                const double n = bundle.first + place;
                const double even[4] = {real[0], -imaginary[1], imaginary[0], real[1]};
                const double odd[4] = {real[1], -imaginary[0], imaginary[1], real[0]};
                for (int part = 0; part < 4; ++part) {
                    terms[12 * index + part] = even[part];
                    terms[12 * index + 4 + part] = n * odd[part];
                    terms[12 * index + 8 + part] = n * n * even[part];
                }
            }
    }

    // Potentials at all sites; threads take blocks of sites.
    template <bool SECONDS>
    void spread(const double *factors_of_column, Rows &potential, int threads) {
        fill_terms(factors_of_column);
        const int block = 64, blocks = (potential.padded + block - 1) / block;
        FirstException failure;
#pragma omp parallel num_threads(threads)
        {
            Rows plane;
#pragma omp for schedule(dynamic, 1)
            for (int own = 0; own < blocks; ++own)
                failure.guard([&] {
                    if (!plane.padded) plane.reset(2, sites);
                    const int begin = own * block, end = std::min(potential.padded, begin + block);
                    for (const Bundle &bundle : bundles) {
                        turn(phases[0], bundle.n1, phases[1], std::abs(bundle.n2), bundle.n2 < 0 ? -1.0 : 1.0,
                             plane.row(0), begin, end);
                        for (int k = begin; k < end; k += 2 * WIDTH) spread_tile<SECONDS>(bundle, plane, k, potential);
                    }
                });
        }
        failure.rethrow();
    }

    template <bool SECONDS>
    void spread_tile(const Bundle &bundle, const Rows &plane, int k, Rows &out) const {
        constexpr int TILE = 2, SUMS = SECONDS ? 6 : 4;
        Vector total[TILE][SUMS] = {};
        for (int place = 0; place < bundle.count; ++place) {
            const int n3 = bundle.first + place;
            const double *cosine = phases[2].row(2 * n3) + k, *sine = phases[2].row(2 * n3 + 1) + k;
            const double *term = &terms[12 * size_t(bundle.start + place)];
            UNROLL
            for (int tile = 0; tile < TILE; ++tile) {
                const Vector c = load(cosine + tile * WIDTH), d = load(sine + tile * WIDTH);
                UNROLL
                for (int part = 0; part < SUMS; ++part)
                    total[tile][part] += term[2 * part] * c + term[2 * part + 1] * d;
            }
        }
        const double n1 = bundle.n1, n2 = bundle.n2;
        UNROLL
        for (int tile = 0; tile < TILE; ++tile) {
            const int place = k + tile * WIDTH;
            const auto add = [&](int row, Vector value) {
                double *own = out.row(row) + place;
                store(own, load(own) + value);
            };
            const Vector a = load(plane.row(0) + place), b = load(plane.row(1) + place), *own = total[tile];
            const Vector value = a * own[0] - b * own[1], across = -TWO_PI * (a * own[1] + b * own[0]);
            add(0, value);
            add(1, n1 * across);
            add(2, n2 * across);
            add(3, -TWO_PI * (a * own[3] + b * own[2]));
            if constexpr (SECONDS) {
                constexpr double FOUR = -TWO_PI * TWO_PI;
                const Vector mixed = FOUR * (a * own[2] - b * own[3]);
                add(4, FOUR * n1 * n1 * value);
                add(5, FOUR * n2 * n2 * value);
                add(6, FOUR * (a * own[4] - b * own[5]));
                add(7, n2 * mixed);
                add(8, n1 * mixed);
                add(9, FOUR * n1 * n2 * value);
            }
        }
    }
};
