// Dipoles that local polarizabilities have in each other's field: (a⁻¹ + T) x = b by conjugate gradients, for columns
// at once.  No include guard: electrostatics.hpp includes it once per instruction set.

constexpr int LANES = WIDTH;  // columns of a solve, at most

// T as blocks of 3 × 3, images of a pair in one; four columns at a time.  It is the near part alone, until waves are
// added.  Of few sites it has all pairs, near or not, so that no neighbours need be named.
class Blocks {
public:
    static constexpr int MOST_WITH_WAVES = 128;  // sites, above which waves are faster column by column

    // False if two sites are too near.
    bool fill(const MomentTask &task, int bead, const NearSites &list, int threads) {
        sites = task.sites;
        is_dense = sites <= MOST_DENSE;
        if (is_dense)
            fill_dense(task, bead, list, threads);
        else
            fill_rows(task, bead, list, threads);
        return task.collision->bead < 0;
    }

    // Adds what dipoles do to each other through the waves, less that of each with itself; threads take rows.
    void add_waves(const UprightWaves &waves, double itself, int threads) {
        FirstException failure;
#pragma omp parallel for num_threads(threads) schedule(dynamic, 4)
        for (int own = 0; own < sites; ++own)
            failure.guard([&] {
                std::vector<double> thirds(2 * TILE * size_t(waves.thirds.values.size() / waves.thirds.padded / 2));
                for (int first = own / TILE * TILE; first < sites; first += TILE)
                    add_waves_of_tile(waves, own, first, thirds);
            });
        failure.rethrow();
        for (int own = 0; own < sites; ++own)
            for (int ab = 0; ab < 3; ++ab) blocks[6 * size_t(own) * (sites + 1) + ab] -= itself;
    }

    // out += blocks · in, both [sites][3][LANES]
    void apply(const double *in, double *out, int threads) const {
#pragma omp parallel for num_threads(threads) schedule(static)
        for (int own = 0; own < sites; ++own) {
            double *result = out + 3 * LANES * size_t(own);
            Vector total[3] = {load(result), load(result + LANES), load(result + 2 * LANES)};
            const size_t begin = is_dense ? size_t(own) * sites : starts[own];
            const size_t end = is_dense ? begin + sites : starts[own + 1];
            for (size_t k = begin; k < end; ++k) {
                const double *block = &blocks[6 * k],
                             *other = in + 3 * LANES * (is_dense ? k - begin : size_t(site[k]));
                const Vector x = load(other), y = load(other + LANES), z = load(other + 2 * LANES);
                total[0] += block[0] * x + block[5] * y + block[4] * z;
                total[1] += block[5] * x + block[1] * y + block[3] * z;
                total[2] += block[4] * x + block[3] * y + block[2] * z;
            }
            for (int a = 0; a < 3; ++a) store(result + a * LANES, total[a]);
        }
    }

private:
    static constexpr int MOST_DENSE = 200, TILE = 2 * WIDTH;
    int sites = 0;
    bool is_dense = false;
    std::vector<size_t> starts;
    std::vector<int32_t> site;
    std::vector<double> blocks;  // xx, yy, zz, yz, xz, xy

    static void add_block(const Surroundings &near, size_t k, double *out) {
        const double x = near.x[0][k], y = near.x[1][k], z = near.x[2][k], b1 = near.functions[1][k],
                     b2 = near.functions[2][k];
        out[0] += b1 - b2 * x * x;
        out[1] += b1 - b2 * y * y;
        out[2] += b1 - b2 * z * z;
        out[3] -= b2 * y * z;
        out[4] -= b2 * x * z;
        out[5] -= b2 * x * y;
    }

    // Every pair is met from one of its sites, and the other half is its mirror image.
    void fill_dense(const MomentTask &task, int bead, const NearSites &list, int threads) {
        blocks.assign(6 * size_t(sites) * sites, 0.0);
        FirstException failure;
#pragma omp parallel num_threads(threads)
        {
            Surroundings near;
#pragma omp for schedule(dynamic, 8)
            for (int own = 0; own < sites; ++own)
                failure.guard([&] {
                    if (!near.find(task, list, bead, own, true)) return;
                    double *row = &blocks[6 * size_t(own) * sites];
                    for (size_t k = 0; k < near.site.size(); ++k) add_block(near, k, row + 6 * size_t(near.site[k]));
                });
        }
        failure.rethrow();
        for (int first = 0; first < sites; ++first)
            for (int second = first; second < sites; ++second) {
                double *one = &blocks[6 * (size_t(first) * sites + second)];
                double *other = &blocks[6 * (size_t(second) * sites + first)];
                for (int ab = 0; ab < 6; ++ab) one[ab] = other[ab] = one[ab] + other[ab];
            }
    }

    // Cosine and sine of the phase at one site less that at others.
    ALWAYS_INLINE void subtract(const Rows &rows, int n, int own, int other, Vector &cosine, Vector &sine) {
        const double *c = rows.row(2 * n), *s = rows.row(2 * n + 1);
        const Vector real = load(c + other), imaginary = load(s + other);
        cosine = c[own] * real + s[own] * imaginary;
        sine = s[own] * real - c[own] * imaginary;
    }

    // Σ over waves of weight k_a k_b cos k·(r_i − r_j) of one site with a tile of them, into the rows of both.
    void add_waves_of_tile(const UprightWaves &waves, int own, int first, std::vector<double> &thirds) {
        for (size_t n = 0; n < thirds.size() / (2 * TILE); ++n)
            for (int half = 0; half < TILE; half += WIDTH) {
                Vector cosine, sine;
                subtract(waves.thirds, int(n), own, first + half, cosine, sine);
                store(&thirds[2 * TILE * n + half], cosine);
                store(&thirds[2 * TILE * n + TILE + half], sine);
            }
        Vector total[6][2] = {};
        for (size_t index = 0; index < waves.bundles.size(); ++index) {
            const UprightWaves::Bundle &bundle = waves.bundles[index];
            Vector cosine[2], sine[2];
            UNROLL
            for (int half = 0; half < 2; ++half)
                subtract(waves.planes, int(index), own, first + half * WIDTH, cosine[half], sine[half]);
            const double *third = &thirds[2 * TILE * size_t(bundle.first)];
            const double *factor = &waves.factors[6 * size_t(bundle.start)];
            for (int place = 0; place < bundle.count; ++place, third += 2 * TILE, factor += 6) {
                UNROLL
                for (int half = 0; half < 2; ++half) {
                    const Vector even = cosine[half] * load(third + half * WIDTH);
                    const Vector odd = sine[half] * load(third + TILE + half * WIDTH);
                    total[0][half] += factor[0] * even;
                    total[1][half] += factor[1] * even;
                    total[2][half] += factor[2] * even;
                    total[3][half] += factor[3] * odd;
                    total[4][half] += factor[4] * odd;
                    total[5][half] += factor[5] * even;
                }
            }
        }
        for (int other = std::max(own, first); other < std::min(sites, first + TILE); ++other) {
            double *upper = &blocks[6 * (size_t(own) * sites + other)];
            double *lower = &blocks[6 * (size_t(other) * sites + own)];
            const int half = (other - first) / WIDTH, lane = (other - first) % WIDTH;
            for (int ab = 0; ab < 6; ++ab) lower[ab] = upper[ab] += total[ab][half][lane];
        }
    }

    void fill_rows(const MomentTask &task, int bead, const NearSites &list, int threads) {
        std::vector<std::vector<int32_t>> others(sites);
        std::vector<std::vector<double>> parts(sites);
        FirstException failure;
#pragma omp parallel num_threads(threads)
        {
            Surroundings near;
            std::vector<int32_t> place(sites, -1);
#pragma omp for schedule(dynamic, 8)
            for (int own = 0; own < sites; ++own)
                failure.guard([&] {
                    if (near.find(task, list, bead, own)) merge(near, place, others[own], parts[own]);
                });
        }
        failure.rethrow();
        starts.assign(1, 0);
        for (const std::vector<int32_t> &own : others) starts.push_back(starts.back() + own.size());
        site.resize(starts.back());
        blocks.resize(6 * starts.back());
        for (int own = 0; own < sites; ++own) {
            std::copy(others[own].begin(), others[own].end(), site.begin() + starts[own]);
            std::copy(parts[own].begin(), parts[own].end(), blocks.begin() + 6 * starts[own]);
        }
    }

    static void merge(const Surroundings &near, std::vector<int32_t> &place, std::vector<int32_t> &others,
                      std::vector<double> &parts) {
        parts.assign(6 * near.site.size(), 0.0);
        for (size_t k = 0; k < near.site.size(); ++k) {
            const int32_t other = near.site[k];
            if (place[other] < 0) {
                place[other] = int32_t(others.size());
                others.push_back(other);
            }
            add_block(near, k, &parts[6 * size_t(place[other])]);
        }
        parts.resize(6 * others.size());
        for (int32_t other : others) place[other] = -1;
    }
};

class Induction {
public:
    Induction(const InductionTask &task_in, int bead_in, int threads_in)
        : task(task_in), own(task.interaction), bead(bead_in), threads(threads_in), wave_parts(own.cut.splitting) {
        const size_t size = 3 * LANES * size_t(own.sites);
        for (std::vector<double> *array : {&found, &rest, &ahead, &direction, &image}) array->assign(size, 0.0);
        dipoles.resize(3 * size_t(own.columns) * own.sites);
        inverse.resize(9 * size_t(own.sites));
        for (size_t k = 0; k < inverse.size(); k += 9) invert(own_local() + k, &inverse[k]);
    }

    // Steps that were taken, or −1.
    int solve() {
        NearSites list;
        if (own.has_waves()) {
            list.prepare(own.positions + 3 * size_t(bead) * own.sites, own.sites, own.cells + 9 * size_t(bead),
                         own.periodic, own.cut.reach);
        }
        if (!blocks.fill(own, bead, list, threads)) return -1;
        if (own.has_waves()) prepare_waves();
        read_right();
        direction = ahead;
        Vector size = products(rest, ahead);
        for (int step = 0; step <= task.most_steps; ++step) {
            const Mask goes_on = size > enough;
            const int wanted = columns_of(goes_on);
            if (!wanted) return write(step);
            multiply(direction, image, wanted);
            const Vector curvature = products(direction, image);
            for (int lane = 0; lane < LANES; ++lane)
                if (goes_on[lane] && !(curvature[lane] > 0)) return -1;
            const Vector zero = {}, length = goes_on ? size / curvature : zero;
            move(found, length, direction, 1.0);
            move(rest, length, image, -1.0);
            times(own_local(), rest.data(), ahead.data());
            const Vector before = size;
            size = products(rest, ahead);
            const Vector ratio = goes_on ? size / before : zero;
            for (size_t k = 0; k < direction.size(); k += LANES)
                store(&direction[k], load(&ahead[k]) + ratio * load(&direction[k]));
        }
        return -1;
    }

private:
    const InductionTask &task;
    const MomentTask &own;
    const int bead, threads;
    const OwnWaves wave_parts;
    Blocks blocks;
    std::unique_ptr<LongPart> waves;                           // null where the blocks hold them
    std::vector<double> inverse;                               // [sites][3][3]
    std::vector<double> found, rest, ahead, direction, image;  // [sites][3][LANES]
    std::vector<double> dipoles;                               // [columns][sites][3], for the waves
    Vector enough;

    void prepare_waves() {
        const Frame frame(own.cells + 9 * size_t(bead));
        const Matrix3 &dual = frame.dual;
        const bool is_upright = dual[0][2] == 0.0 && dual[1][2] == 0.0 && dual[2][0] == 0.0 && dual[2][1] == 0.0;
        if (!is_upright || own.cut.order > 0 || own.sites > Blocks::MOST_WITH_WAVES) {
            waves.reset(new LongPart(own, bead));
            return;
        }
        MomentWaves all;
        all.prepare(frame, own.cut, own.positions + 3 * size_t(bead) * own.sites, own.sites);
        blocks.add_waves(all.upright(), wave_parts.dipole, threads);
    }

    // How many columns there are up to the last one that goes on; what has come to its end stays there.
    static int columns_of(Mask mask) {
        int count = 0;
        for (int lane = 0; lane < LANES; ++lane)
            if (mask[lane]) count = lane + 1;
        return count;
    }

    void read_right() {
        const size_t start = 3 * size_t(bead) * own.columns * own.sites;
        for (int column = 0; column < own.columns; ++column)
            for (size_t k = 0; k < 3 * size_t(own.sites); ++k)
                rest[k * LANES + column] = task.right[start + size_t(column) * 3 * own.sites + k];
        times(own_local(), rest.data(), ahead.data());
        Vector squares = {};
        for (int column = 0; column < own.columns; ++column)
            squares[column] = task.tolerances[column] * task.tolerances[column];
        enough = squares * products(rest, ahead);
    }

    int write(int steps) {
        const size_t start = 3 * size_t(bead) * own.columns * own.sites;
        for (int column = 0; column < own.columns; ++column)
            for (size_t k = 0; k < 3 * size_t(own.sites); ++k) {
                const size_t place = start + size_t(column) * 3 * own.sites + k;
                task.found[place] = found[k * LANES + column];
                task.rest[place] = rest[k * LANES + column];
            }
        return steps;
    }

    const double *own_local() const { return task.local + 9 * size_t(bead) * own.sites; }

    // By cofactors.
    static void invert(const double *a, double *out) {
        for (int i = 0; i < 3; ++i)
            for (int j = 0; j < 3; ++j) {
                const int p = (j + 1) % 3, q = (j + 2) % 3, r = (i + 1) % 3, s = (i + 2) % 3;
                out[3 * i + j] = a[3 * p + r] * a[3 * q + s] - a[3 * p + s] * a[3 * q + r];
            }
        const double scale = 1 / (a[0] * out[0] + a[1] * out[3] + a[2] * out[6]);
        for (int k = 0; k < 9; ++k) out[k] *= scale;
    }

    // out = a matrix of each site · in
    void times(const double *matrices, const double *in, double *out) const {
        const double *matrix = matrices;
        for (int site = 0; site < own.sites; ++site, matrix += 9, in += 3 * LANES, out += 3 * LANES) {
            const Vector x = load(in), y = load(in + LANES), z = load(in + 2 * LANES);
            for (int a = 0; a < 3; ++a)
                store(out + a * LANES, matrix[3 * a] * x + matrix[3 * a + 1] * y + matrix[3 * a + 2] * z);
        }
    }

    static Vector products(const std::vector<double> &a, const std::vector<double> &b) {
        Vector total = {};
        for (size_t k = 0; k < a.size(); k += LANES) total += load(&a[k]) * load(&b[k]);
        return total;
    }

    static void move(std::vector<double> &place, Vector length, const std::vector<double> &along, double sign) {
        for (size_t k = 0; k < place.size(); k += LANES)
            store(&place[k], load(&place[k]) + sign * length * load(&along[k]));
    }

    // Of the first columns; what the others get is of no use.
    void multiply(const std::vector<double> &in, std::vector<double> &out, int count) {
        times(inverse.data(), in.data(), out.data());
        blocks.apply(in.data(), out.data(), threads);
        if (!waves) return;
        waves->keep(count);
        for (int column = 0; column < count; ++column)
            for (size_t k = 0; k < 3 * size_t(own.sites); ++k)
                dipoles[size_t(column) * 3 * own.sites + k] = in[k * LANES + column];
        waves->apply(nullptr, dipoles.data(), false, threads);
        for (int column = 0; column < count; ++column)
            for (int site = 0; site < own.sites; ++site) {
                double field[DERIVATIVES];
                waves->read(column, site, false, field);
                for (int a = 0; a < 3; ++a) {
                    const size_t k = (3 * size_t(site) + a) * LANES + column;
                    out[k] += field[1 + a] - wave_parts.dipole * in[k];
                }
            }
    }
};

static void solve_induction_of_bead(const InductionTask &task, int bead, int threads) {
    task.steps[bead] = Induction(task, bead, threads).solve();
}
