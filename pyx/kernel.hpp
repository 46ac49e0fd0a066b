// The kernel as the Cython layer sees it, compiled for each instruction set and chosen at run time.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <numeric>
#include <vector>

#include "neighbours.hpp"
#include "parallel.hpp"
#include "processor.hpp"
#include "tables.hpp"

namespace beadwise {

// Where two atoms are closer than allowed.
struct Overlap {
    int bead = -1, first = -1, second = -1;
    double distance = 0.0;
};

// What each thread works in, kept from one evaluation of a kernel to the next: a single bead takes so little time that
// making it anew would be seen.
using Scratch = std::vector<std::shared_ptr<void>>;

// What is asked of one evaluation; arrays belong to the caller.
struct TaskOfAny {
    const Equivariant *equivariant;            // adds to the heads that it reads out, or null
    std::vector<const NeighbourList *> lists;  // per bead
    const int32_t *species;                    // [atoms], indices
    int beads, atoms, most_neighbours;
    size_t begin, end;                     // part of the flattened (bead, atom) index that is evaluated
    int outputs;                           // components of all heads together
    std::vector<char> want_head;           // whether its values are wanted
    std::vector<char> differentiate_head;  // whether any combination contains it
    std::vector<char> reads_head;          // whether either
    bool shares_invariants = false;        // whether scalars that are not differentiated are many
    bool sums_scalars = false;             // whether these are wanted as sums over atoms alone
    double closest_allowed;                // Å
    double *values;                        // [beads][atoms][outputs]
    double *density;                       // [beads][atoms][harmonics][channels], or null
    int gradient_channels;                 // linear combinations of outputs that are differentiated
    const double *combinations;            // [beads][gradient_channels][outputs], or [beads][…][atoms][outputs]
    bool differs_by_atom = false;          // whether the combinations are those of each atom
    const double *read_outputs;            // [beads][gradient_channels][outputs], not zero where any atom's is not
    double *gradients;                     // [beads][gradient_channels][atoms][3], ∂/∂r
    double *strains;                       // [beads][gradient_channels][3][3], ∂/∂ε
    Overlap *overlap;
    Scratch *scratch;

    const double *combination(int bead, int channel, int atom) const {
        const size_t row = size_t(bead) * gradient_channels + channel;
        return combinations + (differs_by_atom ? row * atoms + atom : row) * outputs;
    }

    const double *read_by_any(int bead, int channel) const {
        return read_outputs + (size_t(bead) * gradient_channels + channel) * outputs;
    }

    // Whether any combination reads some of the outputs.
    bool differentiates(int first, int components) const {
        for (size_t row = 0; row < size_t(beads) * gradient_channels; ++row)
            for (const double *own = read_outputs + row * outputs + first, *end = own + components; own < end; ++own)
                if (*own != 0.0) return true;
        return false;
    }

    void report_overlap(int bead, int first, int second, double distance) const {
#pragma omp critical(beadwise_overlap)
        *overlap = {bead, first, second, distance};
    }

    void add_gradients(int bead, const double *local_gradients, const double *local_strains) const {
        const size_t size = size_t(gradient_channels) * atoms * 3, strain_size = size_t(gradient_channels) * 9;
        double *gradient = gradients + bead * size, *strain = strains + bead * strain_size;
#pragma omp critical(beadwise_gradients)
        {
            for (size_t k = 0; k < size; ++k) gradient[k] += local_gradients[k];
            for (size_t k = 0; k < strain_size; ++k) strain[k] += local_strains[k];
        }
    }
};

// The same with the model that it is asked of.
template <class Real>
struct TaskOf : TaskOfAny {
    const BasisOf<Real> *basis;
    const std::vector<HeadOf<Real>> *heads;
    const NetworkOf<Real> *network;  // adds to the first head, or null

    // Whether a head is a scalar that is wanted and not differentiated.
    bool is_plain_scalar(size_t index) const {
        return (*heads)[index].lambda == 0 && want_head[index] && !differentiate_head[index];
    }

    bool is_summed(size_t index) const { return sums_scalars && is_plain_scalar(index); }
};

using Task = TaskOf<double>;

struct FeatureTask {
    const Basis *basis;
    const NeighbourList *list;
    const int32_t *species;
    int atoms, most_neighbours;
    double *gradients, *strains;
};

// Derivatives of the features of a head by the positions of some atoms.
struct TensorFeatureTask {
    const Basis *basis;
    const Head *head;  // whose weights are not read
    const NeighbourList *list;
    const int32_t *species;
    int atoms, most_neighbours;
    int begin, end;     // of the atoms that are displaced
    double *gradients;  // [end - begin][3][2λ+1][species][features of one species]

    size_t features_per_species() const {
        const size_t channels = basis->channels();
        return channels + head->blocks.size() * channels * channels;
    }
};

// The density's derivative, times an adjoint (null if not wanted) or times displacements (tangent null if not wanted).
struct DensityTask {
    const Basis *basis;
    std::vector<const NeighbourList *> lists;  // per bead
    const int32_t *species;
    int beads, atoms, most_neighbours;
    const double *adjoint;               // [beads][atoms][harmonics][channels]
    double *gradients;                   // [beads][atoms][3]
    double *strains;                     // [beads][3][3]
    const double *displacements;         // [beads][atoms][3]
    const double *strain_displacements;  // [beads][3][3]
    double *tangent;                     // [beads][atoms][harmonics][channels]

    void add_gradients(int bead, const double *local_gradients, const double *local_strains) const {
        double *gradient = gradients + size_t(bead) * atoms * 3, *strain = strains + size_t(bead) * 9;
#pragma omp critical(beadwise_gradients)
        {
            for (int k = 0; k < 3 * atoms; ++k) gradient[k] += local_gradients[k];
            for (int k = 0; k < 9; ++k) strain[k] += local_strains[k];
        }
    }
};

}  // namespace beadwise

#define BEADWISE_INSTRUCTION_SET generic
#include "instruction_set.hpp"
#undef BEADWISE_INSTRUCTION_SET

#ifdef BEADWISE_HAS_AVX2
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#define BEADWISE_INSTRUCTION_SET avx2
#include "instruction_set.hpp"
#undef BEADWISE_INSTRUCTION_SET
#define BEADWISE_SINGLE
#define BEADWISE_INSTRUCTION_SET single
#include "instruction_set.hpp"
#undef BEADWISE_INSTRUCTION_SET
#undef BEADWISE_SINGLE
#pragma GCC pop_options
#else
#define BEADWISE_SINGLE
#define BEADWISE_INSTRUCTION_SET single
#include "instruction_set.hpp"
#undef BEADWISE_INSTRUCTION_SET
#undef BEADWISE_SINGLE
#endif

namespace beadwise {

// Single precision is compiled once: for AVX2 where that is known, elsewhere for whatever the compiler aims at.
inline bool has_single() {
#ifdef BEADWISE_HAS_AVX2
    return use_avx2();
#else
    return true;
#endif
}

inline void evaluate_part(const TaskOf<float> &task, size_t begin, size_t end, std::shared_ptr<void> &kept) {
    single::evaluate_part(task, begin, end, kept);
}

inline void evaluate_part(const Task &task, size_t begin, size_t end, std::shared_ptr<void> &kept) {
#ifdef BEADWISE_HAS_AVX2
    if (use_avx2()) return avx2::evaluate_part(task, begin, end, kept);
#endif
    generic::evaluate_part(task, begin, end, kept);
}

// Where so many parts of a task begin, and where the last one ends: parts that take about as long, by the neighbours
// that are listed for their atoms.  They depend on nothing but the lists, so that the same sums are added up each time.
template <class AnyTask>
std::vector<size_t> balanced_parts(const AnyTask &task, int parts) {
    constexpr double OF_ATOM = 64.0;  // neighbours that take as long as what an atom takes without any
    const int species = task.basis->species;
    const auto cost_of = [&](size_t index) {
        const int32_t *counts = task.lists[index / task.atoms]->counts.data() + index % task.atoms * species;
        return std::accumulate(counts, counts + species, OF_ATOM);
    };
    std::vector<size_t> starts(parts + 1, task.end);
    starts[0] = task.begin;
    double total = 0.0, before = 0.0;
    for (size_t index = task.begin; index < task.end; ++index) total += cost_of(index);
    int part = 1;
    for (size_t index = task.begin; index < task.end && part < parts; ++index) {
        const double cost = cost_of(index);
        for (; part < parts && before + 0.5 * cost > total * part / parts; ++part) starts[part] = index;
        before += cost;
    }
    return starts;
}

template <class AnyTask>
void evaluate(const AnyTask &task, int threads) {
    const std::vector<size_t> starts = balanced_parts(task, threads);
    Scratch &scratch = *task.scratch;
    scratch.resize(std::max(scratch.size(), size_t(threads)));
    FirstException failure;
#pragma omp parallel for num_threads(threads) schedule(static, 1)
    for (int part = 0; part < threads; ++part)
        failure.guard([&] { evaluate_part(task, starts[part], starts[part + 1], scratch[part]); });
    failure.rethrow();
}

inline void feature_gradients(const FeatureTask &task) {
#ifdef BEADWISE_HAS_AVX2
    if (use_avx2()) return avx2::feature_gradients_of(task);
#endif
    generic::feature_gradients_of(task);
}

inline void tensor_feature_gradients(const TensorFeatureTask &task) {
#ifdef BEADWISE_HAS_AVX2
    if (use_avx2()) return avx2::tensor_feature_gradients_of(task);
#endif
    generic::tensor_feature_gradients_of(task);
}

inline void differentiate_part(const DensityTask &task, size_t begin, size_t end) {
#ifdef BEADWISE_HAS_AVX2
    if (use_avx2()) return avx2::differentiate_part(task, begin, end);
#endif
    generic::differentiate_part(task, begin, end);
}

inline void differentiate_density(const DensityTask &task, int threads) {
    const size_t total = size_t(task.beads) * task.atoms;
    FirstException failure;
#pragma omp parallel for num_threads(threads) schedule(static, 1)
    for (int part = 0; part < threads; ++part)
        failure.guard([&] { differentiate_part(task, total * part / threads, total * (part + 1) / threads); });
    failure.rethrow();
}

// Neighbour lists kept between evaluations.  i-PI does not say which bead it sends, so any kept list that covers a
// structure serves it; the least recently used makes room for a new one.
class NeighbourPool {
public:
    explicit NeighbourPool(double cutoff_in, double skin_in) : cutoff(cutoff_in), skin(skin_in) {}

    // Lists for the part begin ≤ k < end of the flattened (bead, atom) index, valid until the next call; null for beads
    // outside.  Throws what `NeighbourList::prepare` throws, and keeps no list then, since some may be half made.
    std::vector<const NeighbourList *> lists_for(const double *positions, const double *cells, const bool *periodic,
                                                 const int32_t *species, int species_count, int beads, int atoms,
                                                 size_t begin, size_t end, int threads) {
        try {
            return find_or_build(positions, cells, periodic, species, species_count, beads, atoms, begin, end, threads);
        } catch (...) {
            pool.clear();
            throw;
        }
    }

    size_t kept() const { return pool.size(); }
    size_t built() const { return builds; }

private:
    struct Slot {
        NeighbourList list;
        size_t last_use = 0;
    };
    double cutoff, skin;
    std::vector<Slot> pool;
    std::vector<int32_t> known_species;
    size_t clock = 0, builds = 0;
    int most_capacity = 0;  // of any list of these atoms, so that further ones need not be searched for twice

    std::vector<const NeighbourList *> find_or_build(const double *positions, const double *cells, const bool *periodic,
                                                     const int32_t *species, int species_count, int beads, int atoms,
                                                     size_t begin, size_t end, int threads) {
        ++clock;
        if (std::vector<int32_t>(species, species + atoms) != known_species) {
            pool.clear();
            most_capacity = 0;
            known_species.assign(species, species + atoms);
        }
        const int first_bead = int(begin / atoms), last_bead = end > begin ? int((end - 1) / atoms) + 1 : first_bead;
        const auto first_of = [&](int bead) {
            return int(std::max(begin, size_t(bead) * atoms) - size_t(bead) * atoms);
        };
        const auto last_of = [&](int bead) {
            return int(std::min(end, size_t(bead + 1) * atoms) - size_t(bead) * atoms);
        };
        std::vector<int> chosen(beads, -1);
        const int kept = int(pool.size());
        // To wake a thread takes longer than to look at a bead, or to move its list.
        const int bead_threads = std::min(threads, (last_bead - first_bead + 3) / 4);
#pragma omp parallel for num_threads(bead_threads) if (bead_threads > 1)
        for (int bead = first_bead; bead < last_bead; ++bead)
            for (int trial = 0; trial < kept && chosen[bead] < 0; ++trial) {
                const int slot = (bead - first_bead + trial) % kept;
                if (pool[slot].list.covers(positions + size_t(bead) * atoms * 3, atoms, first_of(bead), last_of(bead),
                                           cells + 9 * bead, periodic, skin))
                    chosen[bead] = slot;
            }
        // A list that serves two beads cannot follow both; the second one gets its own.
        std::vector<int> build;
        for (int bead = first_bead; bead < last_bead; ++bead)
            if (chosen[bead] >= 0 && pool[chosen[bead]].last_use != clock)
                pool[chosen[bead]].last_use = clock;
            else
                build.push_back(bead);
        for (int bead : build) chosen[bead] = free_slot(beads);
        std::vector<char> is_new(beads, 0);
        for (int bead : build) is_new[bead] = 1;
        FirstException failure;
#pragma omp parallel for num_threads(bead_threads) schedule(dynamic) if (bead_threads > 1)
        for (int bead = first_bead; bead < last_bead; ++bead)
            failure.guard([&] {
                NeighbourList &list = pool[chosen[bead]].list;
                const double *own = positions + size_t(bead) * atoms * 3;
                if (is_new[bead])
                    list.prepare(own, atoms, cells + 9 * bead, periodic, cutoff + skin);
                else
                    list.follow(own, atoms, cells + 9 * bead);
            });
        failure.rethrow();
        for (int bead : build)
            fill(pool[chosen[bead]].list, species, species_count, atoms, first_of(bead), last_of(bead), threads);
        std::vector<const NeighbourList *> lists(beads, nullptr);
        for (int bead = first_bead; bead < last_bead; ++bead) lists[bead] = &pool[chosen[bead]].list;
        return lists;
    }

    int free_slot(int beads) {
        const size_t most = std::max<size_t>(64, 2 * size_t(beads));
        size_t oldest = pool.size();
        if (pool.size() < most)
            pool.emplace_back();
        else {
            oldest = 0;
            for (size_t slot = 1; slot < pool.size(); ++slot)
                if (pool[slot].last_use < pool[oldest].last_use) oldest = slot;
        }
        pool[oldest].last_use = clock;
        return int(oldest);
    }

    void fill(NeighbourList &list, const int32_t *species, int species_count, int atoms, int first, int last,
              int threads) {
        ++builds;
        list.first_centre = first;
        list.last_centre = last;
        list.reserve(atoms, species_count, std::max(list.capacity, most_capacity));
        for (;;) {
            int most = 0;
            FirstException failure;
#pragma omp parallel for num_threads(threads) reduction(max : most) schedule(dynamic, 8)
            for (int atom = first; atom < last; ++atom)
                failure.guard([&] { most = std::max(most, list.search(atom, species, species_count)); });
            failure.rethrow();
            most_capacity = std::max(most_capacity, list.capacity);
            if (most <= list.capacity) return;
            list.reserve(atoms, species_count, most + most / 8 + 8);
        }
    }
};

}  // namespace beadwise

#include "single.hpp"
