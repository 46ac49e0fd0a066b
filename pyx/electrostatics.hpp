// Charges and dipoles in a lattice, a slab's lattice with vacuum, or without any, as the Cython layer sees them;
// compiled for each instruction set and chosen at run time.
//
// Units are those of e²/Å: nothing here knows 4πε0.  A site i has a charge q_i and a dipole p_i, its potential is
//   φ_i = Σ_j (q_j + p_j·∇_j) G(r_i − r_j),   G = B_0 − B_0[κ of the widths] + the waves below
// with Ewald's splitting κ, in a conductor (tin foil) and, where charges do not add up to zero, with a uniform
// background:
//   (4π/V) Σ_(k≠0) e^(−k²/4κ²)/k² Re S(k) e^(−i k·r),  S(k) = Σ_j (q_j + i k·p_j) e^(i k·r_j)
// less what the waves hold of each site with itself.  The waves of many sites are taken by a mesh of B-splines.
#pragma once

#include <algorithm>
#include <cmath>
#include <complex>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "coulomb_table.hpp"
#include "neighbours.hpp"
#include "parallel.hpp"
#include "processor.hpp"

namespace beadwise {

constexpr int DERIVATIVES = 10;  // φ; x, y, z; xx, yy, zz, yz, xz, xy

// Two sites that are nearer to each other than allowed.
struct Collision {
    int bead = -1, first = -1, second = -1;
    double distance = 0.0;
};

// How sums are cut.
struct Cut {
    double splitting = 0.0;  // κ in 1/Å; 0 without a lattice
    double reach = 0.0;      // of the near part, Å; without a lattice all pairs count
    double highest = 0.0;    // wave vector in 1/Å
    int mesh[3] = {};        // points along each direction; 0 for plain sums over waves
    int order = 0;           // of the B-splines
};

// What is asked of one evaluation; arrays belong to the caller, and what is not wanted is null.
struct MomentTask {
    int beads, sites, columns;
    bool periodic[3];  // in which directions pairs have images
    Cut cut;
    double damping, closest;  // Å
    const double *widths;     // [sites], Å, or null for points
    const double *positions;  // [beads][sites][3]
    const double *cells;      // [beads][3][3], for the waves: three vectors, of which one may span a vacuum
    const double *charges;    // [beads][columns][sites], or null
    const double *dipoles;    // [beads][columns][sites][3], or null
    bool wants_second;        // derivatives of the potential
    int pairs;                // of columns, whose interaction is differentiated by strain
    const int32_t *left, *right;
    double *potentials;  // [beads][columns][sites][DERIVATIVES]
    double *strains;     // [beads][pairs][3][3], ∂/∂ε of Σ_i (q_i + p_i·∇) φ_i, left by right
    Collision *collision;

    bool has_waves() const { return cut.splitting > 0.0; }

    // Keeps the first of them, whatever thread finds it when.
    void report(const Collision &found) const {
#pragma omp critical(beadwise_collision)
        if (collision->bead < 0 || found.bead < collision->bead ||
            (found.bead == collision->bead && found.first < collision->first))
            *collision = found;
    }
};

// Local polarizabilities in each other's field: (a⁻¹ + T) x = right for columns at once.
struct InductionTask {
    MomentTask interaction;  // its moments, potentials and strains are not read
    int most_steps;
    const double *tolerances;  // [columns], of the residual, relative
    const double *local;       // [beads][sites][3][3], symmetric and positive
    const double *right;       // [beads][columns][sites][3]
    double *found;             // as right
    double *rest;              // right − (a⁻¹ + T) found, as right
    int32_t *steps;            // [beads]; −1 where the matrix is not positive or the steps do not end
};

}  // namespace beadwise

#define BEADWISE_INSTRUCTION_SET generic
#include "electrostatics_instruction_set.hpp"
#undef BEADWISE_INSTRUCTION_SET

#ifdef BEADWISE_HAS_AVX2
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#define BEADWISE_INSTRUCTION_SET avx2
#define BEADWISE_WITHIN_AVX2 1  // GCC's own macros do not follow the pragma
#include "electrostatics_instruction_set.hpp"
#undef BEADWISE_INSTRUCTION_SET
#undef BEADWISE_WITHIN_AVX2
#pragma GCC pop_options
#endif

namespace beadwise {

// Beads are shared by the threads where there are enough of them; else threads share the sites of each bead.
template <class Function>
void over_beads(int beads, int threads, const Function &evaluate) {
    ScaledErfcTable::instance();
    FirstException failure;
    if (beads >= threads) {
#pragma omp parallel for num_threads(threads) schedule(dynamic, 1)
        for (int bead = 0; bead < beads; ++bead) failure.guard([&] { evaluate(bead, 1); });
    } else {
        for (int bead = 0; bead < beads; ++bead) failure.guard([&] { evaluate(bead, threads); });
    }
    failure.rethrow();
}

inline void evaluate_moments(const MomentTask &task, int threads) {
    over_beads(task.beads, threads, [&](int bead, int own_threads) {
#ifdef BEADWISE_HAS_AVX2
        if (use_avx2()) return avx2::evaluate_moments_of_bead(task, bead, own_threads);
#endif
        generic::evaluate_moments_of_bead(task, bead, own_threads);
    });
}

inline void solve_induction(const InductionTask &task, int threads) {
    over_beads(task.interaction.beads, threads, [&](int bead, int own_threads) {
#ifdef BEADWISE_HAS_AVX2
        if (use_avx2()) return avx2::solve_induction_of_bead(task, bead, own_threads);
#endif
        generic::solve_induction_of_bead(task, bead, own_threads);
    });
}

}  // namespace beadwise
