// One pass over the atoms of a batch: density, heads, adjoint, gradients, while an atom's neighbours are in cache.
// Included once per instruction set (see kernel.hpp).

struct Workspace {
    Environment environment;
    std::vector<HeadWorkspace> heads;
    std::vector<Real> density, adjoint, network_adjoint, gradient_x, gradient_y, gradient_z;
    std::vector<double> values;
#ifndef BEADWISE_SINGLE
    std::vector<double> invariants;
#endif

    void size_for(const Basis &basis, const std::vector<Head> &all, int most_neighbours, int outputs) {
        environment.size_for(basis, most_neighbours);
        heads.resize(all.size());
        for (size_t index = 0; index < all.size(); ++index) heads[index].size_for(all[index], basis);
        const size_t size = size_t(std::max(basis.harmonics(), LEAST_ROWS)) * basis.channels();
        density.resize(size);
#ifndef BEADWISE_SINGLE
        invariants.resize(size_t(basis.l_max + 1) * basis.channels() * basis.channels());
#endif
        adjoint.resize(size);
        network_adjoint.resize(size);
        values.resize(outputs);
        for (auto *array : {&gradient_x, &gradient_y, &gradient_z}) array->resize(environment.x.size());
    }
};

// Atoms that are evaluated together: as many as stand in the lanes of a network, or in the rows of one, else one.
struct Group {
    std::vector<Workspace> workspaces;
    NetworkWorkspace network;
#ifndef BEADWISE_SINGLE
    SumsOfInvariants sums;
    EquivariantWorkspace equivariant;
#endif

    // For any task of one kernel; what has been large enough stays as it is.
    void size_for(const Task &task) {
        workspaces.resize(std::max(workspaces.size(), size_of(task)));
        for (Workspace &workspace : workspaces)
            workspace.size_for(*task.basis, *task.heads, task.most_neighbours, task.outputs);
        if (task.network) network.size_for(*task.network, *task.basis);
#ifndef BEADWISE_SINGLE
        if (task.equivariant) equivariant.size_for(task.equivariant->layers[0]);
    }

    static size_t size_of(const Task &task) { return task.equivariant ? MOST_ROWS : task.network ? WIDTH : 1; }
#else
    }

    static size_t size_of(const Task &task) { return task.network ? WIDTH : 1; }
#endif
};

// Add ∂Q/∂r of one centre's contribution to its neighbours, itself and the strain derivative ∂Q/∂ε = Σ ∂Q/∂r_ij ⊗ r_ij.
static __attribute__((noinline)) void scatter_gradient(const Environment &environment, int centre,
                                                       const Workspace &workspace, double pair_factor, double *gradient,
                                                       double *strain) {
    const bool pairs = pair_factor != 0.0 && environment.pair_energy != 0.0;
    Doubles own[3] = {};  // so that forces add up to zero as in double precision
    Vector strained[9] = {};
    for (int group = 0; group < environment.group_count; ++group) {
        const int lane = group * WIDTH;
        const Vector direction[3] = {load(environment.x.data() + lane), load(environment.y.data() + lane),
                                     load(environment.z.data() + lane)};
        Vector force[3] = {load(workspace.gradient_x.data() + lane), load(workspace.gradient_y.data() + lane),
                           load(workspace.gradient_z.data() + lane)};
        if (pairs) {
            const Vector slope = broadcast(pair_factor) * load(environment.pair_slope.data() + lane);
            UNROLL
            for (int k = 0; k < 3; ++k) force[k] += slope * direction[k];
        }
        const Vector distance = load(environment.distance.data() + lane);
        UNROLL
        for (int k = 0; k < 3; ++k) {
            own[k] += __builtin_convertvector(
                force[k], Doubles);  // zero in padding, where every radial function and its slope vanish
            const Vector moment = force[k] * distance;
            UNROLL
            for (int q = 0; q < 3; ++q) strained[3 * k + q] += moment * direction[q];
        }
        UNROLL
        for (int k = 0; k < WIDTH; ++k) {
            const int atom = environment.atoms[lane + k];
            if (atom < 0) continue;
            double *place = gradient + 3 * size_t(atom);
            place[0] += force[0][k];
            place[1] += force[1][k];
            place[2] += force[2][k];
        }
    }
    for (int k = 0; k < 3; ++k) gradient[3 * size_t(centre) + k] -= sum(own[k]);
    for (int k = 0; k < 9; ++k) strain[k] += sum(strained[k]);
}

// Neighbours of one atom with radial functions and harmonics; false if one is too close.
static bool prepare_environment(const Task &task, int bead, int atom, Environment &environment) {
    gather(*task.lists[bead], *task.basis, atom, environment);
    if (environment.closest_atom >= 0 && environment.closest < task.closest_allowed) {
        task.report_overlap(bead, atom, environment.closest_atom, environment.closest);
        return false;
    }
    environment.stages.radial_functions(*task.basis, task.species[atom], task.gradient_channels > 0, environment);
    environment.stages.angular_functions(environment);
    return true;
}

// The same with the density and the values of all heads, which are written where they are not there yet.
static bool prepare_atom(const Task &task, int bead, int atom, Workspace &workspace, bool writes = true) {
    const Basis &basis = *task.basis;
    const std::vector<Head> &heads = *task.heads;
    const int species = task.species[atom], size = basis.harmonics() * basis.channels();
    Environment &environment = workspace.environment;
    if (!prepare_environment(task, bead, atom, environment)) return false;
    expand_density(environment, basis, workspace.density.data());
    pair_potential(basis, species, environment);
    const size_t place = size_t(bead) * task.atoms + atom;
    if (task.density && writes) std::copy_n(workspace.density.data(), size, task.density + place * size);

    double *value = workspace.values.data();
#ifndef BEADWISE_SINGLE
    if (task.shares_invariants && !task.sums_scalars) {
        std::fill(workspace.invariants.begin(), workspace.invariants.end(), 0.0);
        add_scalar_invariants(basis, workspace.density.data(), workspace.invariants.data());
    }
#endif
    for (size_t index = 0, first = 0; index < heads.size(); first += heads[index++].components()) {
        if (!task.want_head[index] && !task.differentiate_head[index]) continue;
#ifndef BEADWISE_SINGLE
        if (task.is_summed(index))
            value[first] = 0.0;  // see `add_sums`
        else if (task.shares_invariants && task.is_plain_scalar(index))
            value[first] = scalar_from_invariants(heads[index], basis, species, 1, workspace.density.data(),
                                                  workspace.invariants.data());
        else
#endif
            head_value(heads[index], basis, species, workspace.density.data(), task.differentiate_head[index],
                       workspace.heads[index], value + first);
        if (task.want_head[index] && writes)
            std::copy_n(value + first, heads[index].components(), task.values + place * task.outputs + first);
    }
    if (task.want_head[0] && writes) task.values[place * task.outputs] += environment.pair_energy;
    return true;
}

// The network's energies of a group of atoms of one species, and the adjoints of their densities.
static void add_network(const Task &task, int bead, const int *atoms, int count, Group &group) {
    const Real *densities[WIDTH];
    Real *adjoints[WIDTH];
    double energies[WIDTH];
    for (int k = 0; k < count; ++k) {
        densities[k] = group.workspaces[k].density.data();
        adjoints[k] = group.workspaces[k].network_adjoint.data();
    }
    network_energy(*task.network, *task.basis, task.species[atoms[0]], densities, count, group.network, energies,
                   task.differentiate_head[0] ? adjoints : nullptr);
    if (!task.want_head[0]) return;
    for (int k = 0; k < count; ++k) task.values[(size_t(bead) * task.atoms + atoms[k]) * task.outputs] += energies[k];
}

#ifndef BEADWISE_SINGLE
// The values of an equivariant network for a group of atoms of one species, and what its reverse sweeps need.
static void add_equivariant(const Task &task, int bead, const int *atoms, int count, Group &group) {
    const EquivariantLayer &layer = task.equivariant->layers[0];
    const int species = task.species[atoms[0]];
    const double *densities[MOST_ROWS] = {};
    for (int k = 0; k < count; ++k) densities[k] = group.workspaces[k].density.data();
    forward_layer(layer, species, densities, count, task.reads_head.data(), group.equivariant);
    for (int k = 0; k < count; ++k)
        read_out(layer, species, *group.equivariant.states[k], task.want_head.data(),
                 task.values + (size_t(bead) * task.atoms + atoms[k]) * task.outputs);
}

// Adjoints of the densities of a group for one combination of each atom's outputs of an equivariant network.
static void reverse_equivariant(const Task &task, int species, int count, const double *const *factors, Group &group) {
    double *adjoints[MOST_ROWS];
    for (int k = 0; k < count; ++k) {
        adjoints[k] = group.workspaces[k].network_adjoint.data();
        group.equivariant.adjoints[k].clear();
    }
    reverse_layer(task.equivariant->layers[0], species, factors, count, group.equivariant, adjoints);
}
#endif

// The reverse sweep of one atom for one combination of outputs; a network's adjoint is there already.
static void differentiate_atom(const Task &task, int atom, int channel, const double *factor, bool with_equivariant,
                               Workspace &workspace, double *gradients, double *strains) {
    const Basis &basis = *task.basis;
    const std::vector<Head> &heads = *task.heads;
    const int species = task.species[atom], size = basis.harmonics() * basis.channels();
    std::fill_n(workspace.adjoint.data(), size, 0.0);
    if (task.network && factor[0] != 0.0)
        add_scaled(workspace.adjoint.data(), factor[0], workspace.network_adjoint.data(), size);
#ifndef BEADWISE_SINGLE
    if (with_equivariant)
        add_scaled(workspace.adjoint.data(), 1.0, workspace.network_adjoint.data(),
                   task.equivariant->layers[0].harmonics() * basis.channels());
#endif
    for (size_t index = 0, first = 0; index < heads.size(); first += heads[index++].components())
        if (task.differentiate_head[index])
            head_adjoint(heads[index], basis, species, factor + first, workspace.heads[index],
                         workspace.adjoint.data());
    workspace.environment.stages.reverse_density(workspace.environment, basis, workspace.adjoint.data(),
                                                 workspace.gradient_x.data(), workspace.gradient_y.data(),
                                                 workspace.gradient_z.data());
    scatter_gradient(workspace.environment, atom, workspace, factor[0], gradients + size_t(channel) * task.atoms * 3,
                     strains + size_t(channel) * 9);
}

static bool evaluate_group(const Task &task, int bead, const int *atoms, int count, Group &group, double *gradients,
                           double *strains) {
    for (int k = 0; k < count; ++k)
        if (!prepare_atom(task, bead, atoms[k], group.workspaces[k])) return false;
#ifndef BEADWISE_SINGLE
    if (task.sums_scalars)
        for (int k = 0; k < count; ++k)
            group.sums.add(*task.basis, task.species[atoms[k]], group.workspaces[k].density.data());
#endif
    if (task.network && (task.want_head[0] || task.differentiate_head[0])) add_network(task, bead, atoms, count, group);
#ifndef BEADWISE_SINGLE
    if (task.equivariant) add_equivariant(task, bead, atoms, count, group);
#endif
    for (int channel = 0; channel < task.gradient_channels; ++channel) {
        const double *factors[MOST_ROWS > WIDTH ? MOST_ROWS : WIDTH];
        bool with_equivariant = false;
        for (int k = 0; k < count; ++k) factors[k] = task.combination(bead, channel, atoms[k]);
#ifndef BEADWISE_SINGLE
        with_equivariant = task.equivariant && is_read(*task.equivariant, task.read_by_any(bead, channel));
        if (with_equivariant) reverse_equivariant(task, task.species[atoms[0]], count, factors, group);
#endif
        for (int k = 0; k < count; ++k)
            differentiate_atom(task, atoms[k], channel, factors[k], with_equivariant, group.workspaces[k], gradients,
                               strains);
    }
    return true;
}

#ifndef BEADWISE_SINGLE
// Scalars that are wanted in sum alone: those of all atoms of a bead that were evaluated, as values of one of them.
static void add_sums(const Task &task, int bead, int atom, const SumsOfInvariants &sums) {
    const std::vector<Head> &heads = *task.heads;
    double *values = task.values + (size_t(bead) * task.atoms + atom) * task.outputs;
    for (size_t index = 0, first = 0; index < heads.size(); first += heads[index++].components())
        if (task.is_summed(index)) values[first] += sums.value(heads[index], *task.basis);
}
#endif

// function(atoms, count) for atoms species by species, in groups of at most `most`, until one returns false.
template <class Function>
static bool by_species(const Task &task, const std::vector<int> &atoms, int most, const Function &function) {
    for (int species = 0; species < task.basis->species; ++species) {
        int group[WIDTH], count = 0;
        for (int atom : atoms) {
            if (task.species[atom] == species) group[count++] = atom;
            if (count == most || (count > 0 && atom == atoms.back())) {
                if (!function(group, count)) return false;
                count = 0;
            }
        }
    }
    return true;
}

#ifndef BEADWISE_SINGLE
#include "message_sweeps.hpp"
#endif

// A contiguous range of the flattened (bead, atom) index, with gradients summed locally and handed over bead by bead.
static void evaluate_part(const Task &task, size_t begin, size_t end, std::shared_ptr<void> &kept) {
    if (begin == end) return;
    std::shared_ptr<void> taken = std::move(kept);  // and given back only where nothing went wrong
    if (!taken) taken = std::make_shared<Group>();
    Group &group = *static_cast<Group *>(taken.get());
    group.size_for(task);
#ifndef BEADWISE_SINGLE
    MessageWorkspace messages(task);
#endif
    const size_t channels = task.gradient_channels, gradient_size = channels * task.atoms * 3;
    std::vector<double> gradients(gradient_size), strains(channels * 9);
    std::vector<int> atoms;
    for (size_t index = begin; index < end;) {
        const int bead = int(index / task.atoms);
        const size_t bead_begin = size_t(bead) * task.atoms, bead_end = std::min(end, bead_begin + task.atoms);
        std::fill(gradients.begin(), gradients.end(), 0.0);
        std::fill(strains.begin(), strains.end(), 0.0);
        atoms.resize(bead_end - index);
        std::iota(atoms.begin(), atoms.end(), int(index - bead_begin));
#ifndef BEADWISE_SINGLE
        if (task.sums_scalars) group.sums.clear(*task.basis);
#endif
        const auto together = [&](const int *own, int count) {
            return evaluate_group(task, bead, own, count, group, gradients.data(), strains.data());
        };
        const auto one_by_one = [&] { return by_species(task, atoms, int(Group::size_of(task)), together); };
#ifdef BEADWISE_SINGLE
        if (!one_by_one()) return;
#else
        if (!(messages.is_wanted
                  ? evaluate_with_messages(task, bead, atoms, group, messages, gradients.data(), strains.data())
                  : one_by_one()))
            return;
        if (task.sums_scalars) add_sums(task, bead, atoms[0], group.sums);
#endif
        task.add_gradients(bead, gradients.data(), strains.data());
        index = bead_end;
    }
    kept = std::move(taken);
}
