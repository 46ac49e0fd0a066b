// Sums of products for the centres of one bead, channels of the right factor in the lanes.
// Included once per instruction set (see coupled_sums.hpp).

struct SumScratch {
    std::vector<double> sums, of_sums;        // Σ_k W a of every part, [height][width], and its adjoint
    std::vector<double> coupled, of_coupled;  // Σ_m2 C b of a path, [m1][M][n], and its adjoint
    std::vector<double> totals;               // [outputs][M][lanes] of a group
    std::vector<double> of_part;

    explicit SumScratch(const SumPlan &plan, bool is_backward) {
        const size_t most = size_t(plan.most_products) * plan.right_channels;
        sums.resize(plan.scratch);
        coupled.resize(most);
        totals.resize(size_t(plan.most_outputs) * WIDTH);
        if (!is_backward) return;
        of_sums.resize(plan.scratch);
        of_coupled.resize(most);
        size_t largest = 0;
        for (const LeftPart &part : plan.parts) largest = std::max(largest, size_t(part.height) * part.channels);
        of_part.resize(largest);
    }
};

// [m1][M][n] of one path, b with the sign of the direction back.
static void couple_right(const SumPlan &plan, const SumPath &path, int height, const double *right, bool is_turned,
                         std::vector<double> &coupled) {
    const int channels = plan.right_channels;
    std::fill_n(coupled.begin(), size_t(plan.parts[path.left].height) * height * channels, 0.0);
    const double sign = is_turned && path.order % 2 ? -1.0 : 1.0;
    for (size_t k = 0; k < path.coupling.size(); ++k)
        add_scaled(coupled.data() + (size_t(path.first[k]) * height + path.component[k]) * channels,
                   sign * path.coupling[k], right + size_t(path.second[k]) * channels, channels);
}

// totals[o][M] += Σ_m1 sums[m1][o][n] coupled[m1][M][n], lanes apart.
template <int HEIGHT>
static void add_outputs(const double *sums, int heights, int width, int outputs, int channels, const double *coupled,
                        double *totals) {
    for (int o = 0; o < outputs; ++o, totals += HEIGHT * WIDTH) {
        Vector total[HEIGHT];
        UNROLL
        for (int M = 0; M < HEIGHT; ++M) total[M] = load(totals + M * WIDTH);
        const double *other = coupled;
        for (int m1 = 0; m1 < heights; ++m1, other += size_t(HEIGHT) * channels) {
            const double *own = sums + size_t(m1) * width + size_t(o) * channels;
            for (int n = 0; n < channels; n += WIDTH) {
                const Vector value = load(own + n);
                UNROLL
                for (int M = 0; M < HEIGHT; ++M) total[M] += value * load(other + size_t(M) * channels + n);
            }
        }
        UNROLL
        for (int M = 0; M < HEIGHT; ++M) store(totals + M * WIDTH, total[M]);
    }
}

// Adjoints of `sums` and `coupled` from those of the outputs, [M] at a stride.
template <int HEIGHT>
static void add_adjoints(const double *sums, int heights, int width, int outputs, int channels, const double *coupled,
                         const double *adjoint, int stride, double *of_sums, double *of_coupled) {
    for (int o = 0; o < outputs; ++o) {
        Vector weight[HEIGHT];
        UNROLL
        for (int M = 0; M < HEIGHT; ++M) weight[M] = broadcast(adjoint[size_t(M) * stride + o]);
        for (int m1 = 0; m1 < heights; ++m1) {
            const size_t place = size_t(m1) * width + size_t(o) * channels, other = size_t(m1) * HEIGHT * channels;
            for (int n = 0; n < channels; n += WIDTH) {
                const Vector value = load(sums + place + n);
                Vector total = load(of_sums + place + n);
                UNROLL
                for (int M = 0; M < HEIGHT; ++M) {
                    const size_t own = other + size_t(M) * channels + n;
                    total += weight[M] * load(coupled + own);
                    store(of_coupled + own, load(of_coupled + own) + weight[M] * value);
                }
                store(of_sums + place + n, total);
            }
        }
    }
}

#define BEADWISE_FOR_HEIGHT(FUNCTION, HEIGHT, ...) \
    switch (HEIGHT) {                              \
        case 1: FUNCTION<1>(__VA_ARGS__); break;   \
        case 3: FUNCTION<3>(__VA_ARGS__); break;   \
        case 5: FUNCTION<5>(__VA_ARGS__); break;   \
        case 7: FUNCTION<7>(__VA_ARGS__); break;   \
        case 9: FUNCTION<9>(__VA_ARGS__); break;   \
        case 11: FUNCTION<11>(__VA_ARGS__); break; \
        default: FUNCTION<13>(__VA_ARGS__); break; \
    }

static void evaluate_pair(const SumTask &task, int bead, int pair, SumScratch &scratch) {
    const SumPlan &plan = *task.plan;
    const int channels = plan.right_channels;
    const size_t place = size_t(bead) * task.pairs + pair, row = size_t(bead) * task.rows + task.row[pair];
    const double *right = task.right + row * plan.right_size;
    for (const SumGroup &group : plan.groups) {
        const int height = group.height;
        std::fill_n(scratch.totals.begin(), size_t(group.outputs) * height * WIDTH, 0.0);
        for (int own = group.first_path; own < group.last_path; ++own) {
            const SumPath &path = plan.paths[own];
            const LeftPart &part = plan.parts[path.left];
            couple_right(plan, path, height, right, task.is_turned[pair], scratch.coupled);
            const double *sums = scratch.sums.data() + part.scratch + path.column;
            if (!task.adjoint) {
                BEADWISE_FOR_HEIGHT(add_outputs, height, sums, part.height, part.width, group.outputs, channels,
                                    scratch.coupled.data(), scratch.totals.data())
                continue;
            }
            std::fill_n(scratch.of_coupled.begin(), size_t(part.height) * height * channels, 0.0);
            const double *adjoint = task.adjoint + place * plan.out_size + group.begin;
            BEADWISE_FOR_HEIGHT(add_adjoints, height, sums, part.height, part.width, group.outputs, channels,
                                scratch.coupled.data(), adjoint, group.stride,
                                scratch.of_sums.data() + part.scratch + path.column, scratch.of_coupled.data())
            const double sign = task.is_turned[pair] && path.order % 2 ? -1.0 : 1.0;
            for (size_t k = 0; k < path.coupling.size(); ++k)
                add_scaled(task.of_right + row * plan.right_size + size_t(path.second[k]) * channels,
                           sign * path.coupling[k],
                           scratch.of_coupled.data() + (size_t(path.first[k]) * height + path.component[k]) * channels,
                           channels);
        }
        if (task.adjoint) continue;
        double *out = task.out + place * plan.out_size + group.begin;
        for (int o = 0; o < group.outputs; ++o)
            for (int M = 0; M < height; ++M)
                out[size_t(M) * group.stride + o] +=
                    sum(load(scratch.totals.data() + (size_t(o) * height + M) * WIDTH));
    }
}

static void evaluate_sums_of(const SumTask &task, int bead, int first, int last) {
    const SumPlan &plan = *task.plan;
    SumScratch scratch(plan, task.adjoint != nullptr);
    for (int centre = first; centre < last; ++centre) {
        if (task.starts[centre] == task.starts[centre + 1]) continue;
        const size_t row = (size_t(bead) * task.centres + centre) * plan.left_size;
        for (const LeftPart &part : plan.parts)
            if (part.width)
                multiply(task.left + row + part.begin, part.height, part.channels, part.weights, part.width,
                         scratch.sums.data() + part.scratch);
        if (task.adjoint) std::fill(scratch.of_sums.begin(), scratch.of_sums.end(), 0.0);
        for (int k = task.starts[centre]; k < task.starts[centre + 1]; ++k)
            evaluate_pair(task, bead, task.places[k], scratch);
        if (!task.adjoint) continue;
        for (const LeftPart &part : plan.parts) {
            if (!part.width) continue;
            multiply(scratch.of_sums.data() + part.scratch, part.height, part.width, part.transposed, part.channels,
                     scratch.of_part.data());
            add_scaled(task.of_left + row + part.begin, 1.0, scratch.of_part.data(), part.height * part.channels);
        }
    }
}

#undef BEADWISE_FOR_HEIGHT
