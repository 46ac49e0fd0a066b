// Radial functions of a distance times harmonics of a direction, four pairs of atoms at a time.
// Included once per instruction set (see coupled_sums.hpp).

template <int L>
static void evaluate_four_pairs_of(const PairTask &task, int first) {
    constexpr int COUNT = Harmonics<L>::COUNT;
    const int four = std::min(WIDTH, task.vectors - first), channels = task.channels;
    Vector direction[3], squared = broadcast(0.0);
    for (int axis = 0; axis < 3; ++axis) {
        direction[axis] = broadcast(axis == 2 ? 1.0 : 0.0);  // of lanes without a pair
        for (int lane = 0; lane < four; ++lane) direction[axis][lane] = task.vector[3 * size_t(first + lane) + axis];
        squared += direction[axis] * direction[axis];
    }
    const Vector inverse = broadcast(1.0) / square_root(squared);
    for (Vector &component : direction) component *= inverse;
    Harmonics<L> harmonics;
    alignas(32) double angular[COUNT * WIDTH];
    Harmonics<L>::evaluate(harmonics, legendre_tables(), direction[0], direction[1], direction[2], angular);
    if (!task.adjoint) {
        for (int lane = 0; lane < four; ++lane) {
            const double *radial = task.radial + size_t(first + lane) * channels;
            double *values = task.values + size_t(first + lane) * COUNT * channels;
            std::fill(values, values + size_t(COUNT) * channels, 0.0);
            for (int row = 0; row < COUNT; ++row)
                add_scaled(values + row * channels, angular[row * WIDTH + lane], radial, channels);
        }
        return;
    }
    alignas(32) double weights[COUNT * WIDTH] = {};
    Vector along = broadcast(0.0);
    for (int lane = 0; lane < four; ++lane) {
        const size_t place = size_t(first + lane);
        const double *adjoint = task.adjoint + place * COUNT * channels;
        for (int row = 0; row < COUNT; ++row, adjoint += channels) {
            weights[row * WIDTH + lane] = dot(adjoint, task.radial + place * channels, channels);
            along[lane] += angular[row * WIDTH + lane] * dot(adjoint, task.slope + place * channels, channels);
        }
    }
    const UnalignedVector unit[3] = {direction[0], direction[1], direction[2]};
    UnalignedVector across[3];
    Harmonics<L>::gradient(harmonics, legendre_tables(), weights, unit, across);
    for (int axis = 0; axis < 3; ++axis) {
        const Vector found = along * direction[axis] + across[axis] * inverse;
        for (int lane = 0; lane < four; ++lane) task.of_vectors[3 * size_t(first + lane) + axis] = found[lane];
    }
}

static void evaluate_four_pairs(const PairTask &task, int first) {
    switch (task.l_max) {
        case 0: return evaluate_four_pairs_of<0>(task, first);
        case 1: return evaluate_four_pairs_of<1>(task, first);
        case 2: return evaluate_four_pairs_of<2>(task, first);
        case 3: return evaluate_four_pairs_of<3>(task, first);
        case 4: return evaluate_four_pairs_of<4>(task, first);
        case 5: return evaluate_four_pairs_of<5>(task, first);
        default: return evaluate_four_pairs_of<L_LIMIT>(task, first);
    }
}
