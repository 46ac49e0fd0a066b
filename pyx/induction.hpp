// Dipoles that local polarizabilities have in each other's field: (a⁻¹ + T) x = b by conjugate gradients, for columns
// at once.  No include guard: electrostatics.hpp includes it once per instruction set.

constexpr int LANES = WIDTH;  // columns of a solve, at most

// The near part of T as blocks of 3 × 3, images of a pair in one; four columns at a time.  Of few sites it has all
// pairs, near or not, so that no neighbours need be named.
class NearBlocks {
public:
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
    static constexpr int MOST_DENSE = 200;
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
    }

    // Steps that were taken, or −1.
    int solve() {
        NearSites list;
        if (own.has_waves()) {
            list.prepare(own.positions + 3 * size_t(bead) * own.sites, own.sites, own.cells + 9 * size_t(bead),
                         own.periodic, own.cut.reach);
            waves.reset(new LongPart(own, bead));
        }
        if (!blocks.fill(own, bead, list, threads)) return -1;
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
            times(task.local, rest.data(), ahead.data());
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
    NearBlocks blocks;
    std::unique_ptr<LongPart> waves;
    std::vector<double> found, rest, ahead, direction, image;  // [sites][3][LANES]
    std::vector<double> dipoles;                               // [columns][sites][3], for the waves
    Vector enough;

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
        times(task.local, rest.data(), ahead.data());
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

    // out = a matrix of each site · in
    void times(const double *matrices, const double *in, double *out) const {
        const double *matrix = matrices + 9 * size_t(bead) * own.sites;
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
        times(task.inverse, in.data(), out.data());
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
