// Weighted sums of products of two equivariant factors, as the Cython layer sees them; compiled for each instruction
// set and chosen at run time.
//
// Of a centre with factors a and a row with factors b, which stand in `left` and `right`,
//   out[g][M][o] += Σ_paths Σ_n (Σ_k W[path][o][k][n] a[m1][k]) Σ_m2 C(m1 m2 M) b[m2][n]
// summed over m1: each group g is of one order λ and has several outputs o, each path couples a part of a with an order
// of b to λ.  The first sum is made once for a centre, the last one once for all outputs of a path.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "parallel.hpp"
#include "processor.hpp"
#include "tables.hpp"

namespace beadwise {

// Factors of the centre of one order and parity.
struct LeftPart {
    int height, channels;      // 2 l + 1, and a multiple of 4
    int begin;                 // in a row of `left`, [height][channels]
    int width, scratch;        // of the sums over k: [height][width], and where they begin
    const double *weights;     // [channels][width]
    const double *transposed;  // [width][channels]
};

struct SumGroup {
    int height, outputs, begin, stride;  // 2 λ + 1; component M of output o stands at begin + M · stride + o
    int first_path, last_path;
};

struct SumPath {
    int left, column;  // which part, and where its outputs begin among the sums over k: [outputs][right channels]
    int order;         // l of b
    std::vector<int> first, second, component;  // of C: m1, l² + l + m2, M
    std::vector<double> coupling;
};

struct SumPlan {
    std::vector<LeftPart> parts;
    std::vector<SumGroup> groups;
    std::vector<SumPath> paths;
    int left_size, right_channels, right_size, out_size, scratch;
    int most_products, most_outputs;  // height of a part times that of a group; outputs times height of a group
};

// What is asked of one evaluation; arrays belong to the caller.
struct SumTask {
    const SumPlan *plan;
    int beads, centres, rows, pairs;
    const double *left;               // [beads][centres][left size]
    const double *right;              // [beads][rows][right size]
    const int32_t *centre;            // [pairs]
    const int32_t *row;               // [pairs]
    const bool *is_turned;            // [pairs]: whether b is of the vector back, (−1)^l of what stands in the row
    std::vector<int> starts, places;  // pairs by centre
    double *out;                      // [beads][pairs][out size], added to
    const double *adjoint;            // the same, where the factors' are wanted
    double *of_left, *of_right;       // as left and right, added to

    void sort() {
        starts.assign(size_t(centres) + 1, 0);
        for (int pair = 0; pair < pairs; ++pair) ++starts[centre[pair] + 1];
        for (int k = 0; k < centres; ++k) starts[k + 1] += starts[k];
        std::vector<int> next(starts.begin(), starts.end() - 1);
        places.resize(pairs);
        for (int pair = 0; pair < pairs; ++pair) places[next[centre[pair]]++] = pair;
    }
};

// R_n(r) Y_lm of vectors, and the adjoint of the vectors.
struct PairTask {
    int vectors, l_max, channels;  // a multiple of 4
    const double *vector;          // [vectors][3]
    const double *radial, *slope;  // [vectors][channels]
    double *values;                // [vectors][(l_max + 1)²][channels]
    const double *adjoint;         // the same
    double *of_vectors;            // [vectors][3]
};

}  // namespace beadwise

#define BEADWISE_INSTRUCTION_SET generic
#include "coupled_sums_instruction_set.hpp"
#undef BEADWISE_INSTRUCTION_SET

#ifdef BEADWISE_HAS_AVX2
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#define BEADWISE_INSTRUCTION_SET avx2
#include "coupled_sums_instruction_set.hpp"
#undef BEADWISE_INSTRUCTION_SET
#pragma GCC pop_options
#endif

namespace beadwise {

// Threads share beads and centres; with adjoints only beads, since pairs of several centres may share a row.
inline void evaluate_sums(const SumTask &task, int threads) {
    const bool is_backward = task.adjoint != nullptr;
    const int steps = is_backward ? 1 : task.centres, all = task.beads * steps;
    FirstException failure;
#pragma omp parallel for num_threads(threads) schedule(dynamic, 1)
    for (int step = 0; step < all; ++step)
        failure.guard([&] {
            const int bead = step / steps, first = is_backward ? 0 : step % steps;
            const int last = is_backward ? task.centres : first + 1;
#ifdef BEADWISE_HAS_AVX2
            if (use_avx2()) return avx2::evaluate_sums_of(task, bead, first, last);
#endif
            generic::evaluate_sums_of(task, bead, first, last);
        });
    failure.rethrow();
}

inline void evaluate_pair_functions(const PairTask &task, int threads) {
    legendre_tables();
    const int groups = (task.vectors + 3) / 4;
    FirstException failure;
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int group = 0; group < groups; ++group)
        failure.guard([&] {
#ifdef BEADWISE_HAS_AVX2
            if (use_avx2()) return avx2::evaluate_four_pairs(task, 4 * group);
#endif
            generic::evaluate_four_pairs(task, 4 * group);
        });
    failure.rethrow();
}

}  // namespace beadwise
