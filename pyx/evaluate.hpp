// One pass over the atoms of a batch: density, heads, adjoint, gradients, while an atom's neighbours are in cache.
// Included once per instruction set (see kernel.hpp).

struct Workspace {
    Environment environment;
    std::vector<HeadWorkspace> heads;
    std::vector<double> density, adjoint, values, gradient_x, gradient_y, gradient_z;

    void size_for(const Basis &basis, const std::vector<Head> &all, int most_neighbours, int outputs, size_t recursion) {
        environment.size_for(basis, most_neighbours, recursion);
        heads.resize(all.size());
        for (size_t index = 0; index < all.size(); ++index) heads[index].size_for(all[index], basis);
        const size_t size = size_t(std::max(basis.harmonics(), 10)) * basis.channels();
        density.resize(size);
        adjoint.resize(size);
        values.resize(outputs);
        for (auto *array : {&gradient_x, &gradient_y, &gradient_z}) array->resize(environment.x.size());
    }
};

// Add ∂Q/∂r of one centre's contribution to its neighbours, itself and the strain derivative ∂Q/∂ε = Σ ∂Q/∂r_ij ⊗ r_ij.
static void scatter_gradient(const Environment &environment, int centre, const Workspace &workspace, double pair_factor,
                             double *gradient, double *strain) {
    double own[3] = {}, strained[9] = {};
    const bool pairs = pair_factor != 0.0 && environment.pair_energy != 0.0;
    for (int lane = 0; lane < environment.group_count * WIDTH; ++lane) {
        const int atom = environment.atoms[lane];
        if (atom < 0) continue;
        const double direction[3] = {environment.x[lane], environment.y[lane], environment.z[lane]};
        double force[3] = {workspace.gradient_x[lane], workspace.gradient_y[lane], workspace.gradient_z[lane]};
        if (pairs)
            for (int k = 0; k < 3; ++k) force[k] += pair_factor * environment.pair_slope[lane] * direction[k];
        for (int k = 0; k < 3; ++k) {
            gradient[3 * size_t(atom) + k] += force[k];
            own[k] += force[k];
            for (int q = 0; q < 3; ++q) strained[3 * k + q] += force[k] * direction[q] * environment.distance[lane];
        }
    }
    for (int k = 0; k < 3; ++k) gradient[3 * size_t(centre) + k] -= own[k];
    for (int k = 0; k < 9; ++k) strain[k] += strained[k];
}

template <int VECTORS, int L>
static bool evaluate_atom(const Task &task, int bead, int atom, Workspace &workspace, double *gradients, double *strains) {
    const Basis &basis = *task.basis;
    const std::vector<Head> &heads = *task.heads;
    const int species = task.species[atom], size = basis.harmonics() * basis.channels();
    const bool derivatives = task.gradient_channels > 0;
    Environment &environment = workspace.environment;
    gather(*task.lists[bead], basis, atom, environment);
    if (environment.closest_atom >= 0 && environment.closest < task.closest_allowed) return false;
    radial_functions<VECTORS>(basis, species, derivatives, environment);
    angular_functions<L>(environment);
    expand_density<VECTORS>(environment, basis, workspace.density.data());
    pair_potential(basis, species, environment);
    const size_t place = size_t(bead) * task.atoms + atom;
    if (task.density) std::copy_n(workspace.density.data(), size, task.density + place * size);

    double *value = workspace.values.data();
    for (size_t index = 0, first = 0; index < heads.size(); first += heads[index++].components()) {
        if (!task.want_head[index] && !task.differentiate_head[index]) continue;
        head_value(heads[index], basis, species, workspace.density.data(), task.differentiate_head[index],
                   workspace.heads[index], value + first);
        if (task.want_head[index])
            std::copy_n(value + first, heads[index].components(), task.values + place * task.outputs + first);
    }
    if (task.want_head[0]) task.values[place * task.outputs] += environment.pair_energy;

    const double *combination = task.combinations + size_t(bead) * task.gradient_channels * task.outputs;
    for (int channel = 0; channel < task.gradient_channels; ++channel) {
        const double *factor = combination + size_t(channel) * task.outputs;
        std::fill_n(workspace.adjoint.data(), size, 0.0);
        for (size_t index = 0, first = 0; index < heads.size(); first += heads[index++].components())
            if (task.differentiate_head[index])
                head_adjoint(heads[index], basis, species, factor + first, workspace.heads[index],
                             workspace.adjoint.data());
        reverse_density<VECTORS, L>(environment, basis, workspace.adjoint.data(), workspace.gradient_x.data(),
                                    workspace.gradient_y.data(), workspace.gradient_z.data());
        scatter_gradient(environment, atom, workspace, factor[0], gradients + size_t(channel) * task.atoms * 3,
                         strains + size_t(channel) * 9);
    }
    return true;
}

// A contiguous range of the flattened (bead, atom) index, with gradients summed locally and handed over bead by bead.
template <int VECTORS, int L>
static void evaluate_range(const Task &task, size_t begin, size_t end) {
    Workspace workspace;
    workspace.size_for(*task.basis, *task.heads, task.most_neighbours, task.outputs, sizeof(Harmonics<L>));
    const size_t channels = task.gradient_channels, gradient_size = channels * task.atoms * 3;
    std::vector<double> gradients(gradient_size), strains(channels * 9);
    for (size_t index = begin; index < end;) {
        const int bead = int(index / task.atoms);
        const size_t bead_end = std::min(end, size_t(bead + 1) * task.atoms);
        std::fill(gradients.begin(), gradients.end(), 0.0);
        std::fill(strains.begin(), strains.end(), 0.0);
        for (; index < bead_end; ++index) {
            const int atom = int(index - size_t(bead) * task.atoms);
            if (!evaluate_atom<VECTORS, L>(task, bead, atom, workspace, gradients.data(), strains.data())) {
                task.report_overlap(bead, atom, workspace.environment.closest_atom, workspace.environment.closest);
                return;
            }
        }
        task.add_gradients(bead, gradients.data(), strains.data());
    }
}

// Call function<VECTORS, L> for the run-time sizes of a basis.
#define BEADWISE_FOR_L(FUNCTION, VECTORS, ...)                              \
    switch (l_max) {                                                        \
        case 0: FUNCTION<VECTORS, 0>(__VA_ARGS__); break;                   \
        case 1: FUNCTION<VECTORS, 1>(__VA_ARGS__); break;                   \
        case 2: FUNCTION<VECTORS, 2>(__VA_ARGS__); break;                   \
        case 3: FUNCTION<VECTORS, 3>(__VA_ARGS__); break;                   \
        case 4: FUNCTION<VECTORS, 4>(__VA_ARGS__); break;                   \
        case 5: FUNCTION<VECTORS, 5>(__VA_ARGS__); break;                   \
        case 6: FUNCTION<VECTORS, 6>(__VA_ARGS__); break;                   \
    }
#define BEADWISE_FOR_SIZES(FUNCTION, ...)                                   \
    switch (vectors) {                                                      \
        case 1: BEADWISE_FOR_L(FUNCTION, 1, __VA_ARGS__) break;             \
        case 2: BEADWISE_FOR_L(FUNCTION, 2, __VA_ARGS__) break;             \
        case 3: BEADWISE_FOR_L(FUNCTION, 3, __VA_ARGS__) break;             \
        case 4: BEADWISE_FOR_L(FUNCTION, 4, __VA_ARGS__) break;             \
    }

static void evaluate_part(const Task &task, size_t begin, size_t end) {
    const int l_max = task.basis->l_max, vectors = task.basis->radial / WIDTH;
    BEADWISE_FOR_SIZES(evaluate_range, task, begin, end)
}
