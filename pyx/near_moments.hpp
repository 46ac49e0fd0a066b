// The near part of charges and dipoles: pairs within reach, or all of them.  No include guard: electrostatics.hpp
// includes it once per instruction set.
//
// Of x = r_i − r_j, site i feels of the charge q and dipole p of site j
//   φ    = q B_0 + (p·x) B_1
//   φ_a  = −q x_a B_1 + p_a B_1 − (p·x) x_a B_2
//   φ_ab = q (x_a x_b B_2 − δ B_1) − (p_a x_b + p_b x_a + (p·x) δ) B_2 + (p·x) x_a x_b B_3
// Every pair is met twice, from both of its sites, so that nothing is written by two threads, and sums run in one
// order.

// The neighbours of one site, four at a time; what is beyond the last one is far away and has no moments.
class Surroundings {
public:
    std::vector<int32_t> site;
    std::vector<double> x[3];  // r_i − r_j, Å
    std::vector<double> functions[RADIAL];

    int padded() const { return (int(site.size()) + WIDTH - 1) / WIDTH * WIDTH; }

    // Finds them, or half of them (see NearSites), and their radial functions.  False if one is too near.
    bool find(const MomentTask &task, const NearSites &list, int bead, int own, bool half = false) {
        if (task.has_waves())
            list.collect(own, half, site, x);
        else
            add_all(task.positions + 3 * size_t(bead) * task.sites, task.sites, own, half ? own + 1 : 0);
        const int count = int(site.size());
        for (std::vector<double> &array : x) array.resize(padded(), FAR);
        for (std::vector<double> &array : functions) array.resize(padded());
        kappas.assign(padded(), NO_WIDTH);
        if (task.widths)
            for (int k = 0; k < count; ++k) {
                const double a = task.widths[own], b = task.widths[site[k]], square = a * a + b * b;
                if (square > 0) kappas[k] = 1 / std::sqrt(2 * square);
            }
        Vector closest = broadcast(FAR);
        const double *table = ScaledErfcTable::instance().coefficients();
        const Vector splitting = broadcast(task.cut.splitting);
        for (int k = 0; k < padded(); k += WIDTH) {
            const Vector dx = load(&x[0][k]), dy = load(&x[1][k]), dz = load(&x[2][k]);
            const Distances r(dx * dx + dy * dy + dz * dz);
            closest = r.square < closest ? r.square : closest;
            Vector radial[RADIAL] = {};
            if (task.has_waves())
                add_screened(table, r, splitting, 1.0, radial);
            else
                whole_functions(r, radial);
            if (task.widths) add_screened(table, r, load(&kappas[k]), -1.0, radial);
            if (task.damping > 0) damp(r, task.damping, radial);
            for (int n = 0; n < RADIAL; ++n) store(&functions[n][k], radial[n]);
        }
        const double allowed = task.closest * task.closest;
        for (int lane = 0; lane < WIDTH; ++lane)
            if (!(closest[lane] >= allowed)) return report(task, bead, own);
        return true;
    }

private:
    static constexpr double FAR = 1e12, NO_WIDTH = 1e6;
    std::vector<double> kappas;

    void add_all(const double *positions, int sites, int own, int first) {
        const double *here = positions + 3 * size_t(own);
        site.clear();
        for (std::vector<double> &array : x) array.clear();
        for (int other = first; other < sites; ++other) {
            if (other == own) continue;
            site.push_back(other);
            for (int axis = 0; axis < 3; ++axis) x[axis].push_back(here[axis] - positions[3 * size_t(other) + axis]);
        }
    }

    ALWAYS_INLINE void whole_functions(const Distances &r, Vector (&radial)[RADIAL]) {
        radial[0] = r.inverse;
        UNROLL
        for (int n = 1; n < RADIAL; ++n) radial[n] = (2 * n - 1.0) * radial[n - 1] * r.inverse_square;
    }

    bool report(const MomentTask &task, int bead, int own) const {
        int nearest = 0;
        double shortest = FAR;
        for (size_t k = 0; k < site.size(); ++k) {
            const double square = x[0][k] * x[0][k] + x[1][k] * x[1][k] + x[2][k] * x[2][k];
            if (!(square >= shortest)) {
                shortest = square;
                nearest = int(k);
            }
        }
        task.report({bead, own, site[nearest], std::sqrt(shortest)});
        return false;
    }
};

// Charges and dipoles of one column at the places of a site's surroundings.
struct GatheredMoments {
    std::vector<double> charge, dipole[3];

    void gather(const Surroundings &near, const double *charges, const double *dipoles) {
        const int padded = near.padded();
        if (charges) charge.assign(padded, 0.0);
        for (int axis = 0; dipoles && axis < 3; ++axis) dipole[axis].assign(padded, 0.0);
        for (size_t k = 0; k < near.site.size(); ++k) {
            if (charges) charge[k] = charges[near.site[k]];
            for (int axis = 0; dipoles && axis < 3; ++axis) dipole[axis][k] = dipoles[3 * size_t(near.site[k]) + axis];
        }
    }
};

// Potential, its derivatives, and sums of derivatives times x, which strain needs.
struct NearPotential {
    double derivatives[DERIVATIVES] = {};
    double first_by_x[3][3] = {};   // Σ φ_a x_b
    double second_by_x[6][3] = {};  // Σ φ_aa' x_b, in the order of the second derivatives
};

constexpr int SECOND[3][3] = {{0, 5, 4}, {5, 1, 3}, {4, 3, 2}};  // place of ab among the second derivatives

template <bool CHARGES, bool DIPOLES, bool SECONDS, bool STRAIN>
static void near_potential(const Surroundings &near, const GatheredMoments &moments, NearPotential &out) {
    constexpr int FIRST[6] = {0, 1, 2, 1, 0, 0}, OTHER[6] = {0, 1, 2, 2, 2, 1};
    Vector potential = {}, first[3] = {}, second[6] = {}, first_by_x[3][3] = {}, second_by_x[6][3] = {};
    for (int k = 0; k < near.padded(); k += WIDTH) {
        const Vector x[3] = {load(&near.x[0][k]), load(&near.x[1][k]), load(&near.x[2][k])};
        const Vector b1 = load(&near.functions[1][k]), b2 = load(&near.functions[2][k]);
        Vector own_first[3] = {}, own_second[6] = {};
        if constexpr (CHARGES) {
            const Vector q = load(&moments.charge[k]), pull = q * b1;
            potential += q * load(&near.functions[0][k]);
            UNROLL
            for (int a = 0; a < 3; ++a) own_first[a] -= pull * x[a];
            if constexpr (SECONDS) {
                const Vector bend = q * b2;
                UNROLL
                for (int ab = 0; ab < 6; ++ab) {
                    own_second[ab] += bend * x[FIRST[ab]] * x[OTHER[ab]];
                    if (ab < 3) own_second[ab] -= pull;
                }
            }
        }
        if constexpr (DIPOLES) {
            const Vector p[3] = {load(&moments.dipole[0][k]), load(&moments.dipole[1][k]), load(&moments.dipole[2][k])};
            const Vector along = p[0] * x[0] + p[1] * x[1] + p[2] * x[2], pull = along * b2;
            potential += along * b1;
            UNROLL
            for (int a = 0; a < 3; ++a) own_first[a] += p[a] * b1 - pull * x[a];
            if constexpr (SECONDS) {
                const Vector bend = along * load(&near.functions[3][k]);
                UNROLL
                for (int ab = 0; ab < 6; ++ab) {
                    const int a = FIRST[ab], b = OTHER[ab];
                    own_second[ab] += bend * x[a] * x[b] - b2 * (p[a] * x[b] + p[b] * x[a]);
                    if (ab < 3) own_second[ab] -= pull;
                }
            }
        }
        UNROLL
        for (int a = 0; a < 3; ++a) {
            first[a] += own_first[a];
            if constexpr (STRAIN && CHARGES) UNROLL
            for (int b = 0; b < 3; ++b) first_by_x[a][b] += own_first[a] * x[b];
        }
        if constexpr (SECONDS) UNROLL
        for (int ab = 0; ab < 6; ++ab) {
            second[ab] += own_second[ab];
            if constexpr (STRAIN && DIPOLES) UNROLL
            for (int b = 0; b < 3; ++b) second_by_x[ab][b] += own_second[ab] * x[b];
        }
    }
    out.derivatives[0] = sum(potential);
    for (int a = 0; a < 3; ++a) {
        out.derivatives[1 + a] = sum(first[a]);
        for (int b = 0; b < 3; ++b) out.first_by_x[a][b] = sum(first_by_x[a][b]);
    }
    for (int ab = 0; ab < 6; ++ab) {
        out.derivatives[4 + ab] = sum(second[ab]);
        for (int b = 0; b < 3; ++b) out.second_by_x[ab][b] = sum(second_by_x[ab][b]);
    }
}

static void near_potential_of(const MomentTask &task, const Surroundings &near, const GatheredMoments &moments,
                              NearPotential &out) {
    if (task.charges && task.dipoles) return near_potential<true, true, true, true>(near, moments, out);
    if (task.dipoles) {
        if (task.wants_second) return near_potential<false, true, true, true>(near, moments, out);
        return near_potential<false, true, false, false>(near, moments, out);
    }
    if (task.wants_second) return near_potential<true, false, true, true>(near, moments, out);
    near_potential<true, false, false, true>(near, moments, out);
}

// Potentials of all columns at one site, and what the site adds to the strains of the pairs of columns.
static void add_near_of_site(const MomentTask &task, int bead, int site, const Surroundings &near,
                             GatheredMoments &moments, std::vector<NearPotential> &found, double *strains) {
    for (int column = 0; column < task.columns; ++column) {
        const size_t row = size_t(bead) * task.columns + column, start = row * task.sites;
        moments.gather(near, task.charges ? task.charges + start : nullptr,
                       task.dipoles ? task.dipoles + 3 * start : nullptr);
        near_potential_of(task, near, moments, found[column]);
        double *out = task.potentials + (start + site) * DERIVATIVES;
        for (int n = 0; n < DERIVATIVES; ++n) out[n] += found[column].derivatives[n];
    }
    for (int pair = 0; pair < task.pairs; ++pair) {
        const size_t own = (size_t(bead) * task.columns + task.left[pair]) * task.sites + site;
        const NearPotential &felt = found[task.right[pair]];
        for (int a = 0; a < 3; ++a)
            for (int b = 0; b < 3; ++b) {
                double slope = task.charges ? task.charges[own] * felt.first_by_x[a][b] : 0.0;
                for (int c = 0; task.dipoles && c < 3; ++c)
                    slope += task.dipoles[3 * own + c] * felt.second_by_x[SECOND[c][a]][b];
                strains[9 * pair + 3 * a + b] += slope;
            }
    }
}

// Sites in blocks of fixed size: sums over blocks are the same for any number of threads.
constexpr int SITES_OF_BLOCK = 32;

static void add_near(const MomentTask &task, int bead, const NearSites &list, int threads) {
    const int blocks = (task.sites + SITES_OF_BLOCK - 1) / SITES_OF_BLOCK;
    std::vector<double> strains(size_t(blocks) * task.pairs * 9);
    FirstException failure;
#pragma omp parallel num_threads(threads)
    {
        Surroundings near;
        GatheredMoments moments;
        std::vector<NearPotential> found(task.columns);
#pragma omp for schedule(dynamic, 1)
        for (int block = 0; block < blocks; ++block)
            failure.guard([&] {
                const int end = std::min(task.sites, (block + 1) * SITES_OF_BLOCK);
                double *own = strains.data() + size_t(block) * task.pairs * 9;
                for (int site = block * SITES_OF_BLOCK; site < end; ++site)
                    if (near.find(task, list, bead, site))
                        add_near_of_site(task, bead, site, near, moments, found, own);
            });
    }
    failure.rethrow();
    double *out = task.strains + size_t(bead) * task.pairs * 9;
    for (size_t k = 0; k < strains.size(); ++k) out[k % (size_t(task.pairs) * 9)] += strains[k];
}
