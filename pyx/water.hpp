// Flexible water and point charges as the Cython layer sees them, compiled for each instruction set and chosen at run
// time.  Threads take whole beads.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

#include "parallel.hpp"
#include "processor.hpp"
#include "screening.hpp"

namespace beadwise {

// Two charges of different groups that are nearest to each other.
struct Closest {
    int first = -1, second = -1;
    double square = 1e300;  // Å²
};

// Charges are ordered by group; offsets are from the group's centre, in Å.
struct ChargeGroups {
    int groups, size;       // groups, and charges in each
    const double *charges;  // [groups][size], e
    const double *centres;  // [groups][3]
    const double *offsets;  // [groups][size][3]
};

struct ChargeResult {
    double energy = 0.0;
    double virial[3][3] = {};    // −∂E/∂strain
    std::vector<double> forces;  // [groups][size][3]
    Closest closest;
};

// The law of forces, in eV, Å, e and radian.
struct WaterLaw {
    double coulomb_constant;
    double hydrogen_charge, site_weight;            // M = O + site_weight · (h1 + h2)
    double bond_depth, bond_exponent, bond_length;  // D [x² − x³ + 7/12 x⁴], x = exponent · (r − length)
    double angle_stiffness, angle;                  // stiffness/2 · (θ − angle)²
    double well_depth, diameter, switch_width;      // Lennard-Jones, and how far before the cutoff it starts to fade
    double cutoff;                                  // between oxygens: Lennard-Jones, real space part of the charges
    double splitting, highest_wave;                 // of Ewald's sum, 1/Å
    double longest_bond, closest, lowest_cell;      // Å: what is refused beyond, or below
};

struct WaterFault {
    enum Kind { NONE, BROKEN, OVERLAP, FLAT };
    int bead = -1, first = -1, second = -1;  // atoms of a broken molecule, or charges M, H, H, … that overlap
    double distance = 0.0;                   // between them, or between faces of a flat cell, Å
    Kind kind = NONE;
};

// What is asked of one evaluation; arrays belong to the caller and start as zeros, and what is not wanted is null.
struct WaterTask {
    const WaterLaw *law;
    int beads, molecules;
    bool periodic;
    const double *positions;  // [beads][molecules][O, H, H][3]
    const double *cells;      // [beads][3][3]
    double *energies;         // [beads]
    double *forces;           // as positions
    double *virials;          // [beads][3][3], −∂E/∂strain
    double *dipoles;          // [beads][3]
    WaterFault *fault;

    void report(const WaterFault &found) const {
#pragma omp critical(beadwise_water_fault)
        *fault = found;
    }
};

// Point charges on their own.
struct ChargeTask {
    int beads, count;
    bool periodic;
    double constant, splitting, cutoff, highest_wave;
    const double *charges;    // [count]
    const double *positions;  // [beads][count][3]
    const double *cells;      // [beads][3][3]
    double *energies, *forces, *virials;
};

}  // namespace beadwise

#define BEADWISE_INSTRUCTION_SET generic
#include "water_instruction_set.hpp"
#undef BEADWISE_INSTRUCTION_SET

#ifdef BEADWISE_HAS_AVX2
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#define BEADWISE_INSTRUCTION_SET avx2
#include "water_instruction_set.hpp"
#undef BEADWISE_INSTRUCTION_SET
#pragma GCC pop_options
#endif

namespace beadwise {

inline void evaluate_water_part(const WaterTask &task, int part, int parts) {
#ifdef BEADWISE_HAS_AVX2
    if (use_avx2()) return avx2::evaluate_water_part(task, part, parts);
#endif
    generic::evaluate_water_part(task, part, parts);
}

inline void evaluate_charges_part(const ChargeTask &task, int part, int parts) {
#ifdef BEADWISE_HAS_AVX2
    if (use_avx2()) return avx2::evaluate_charges_part(task, part, parts);
#endif
    generic::evaluate_charges_part(task, part, parts);
}

inline void evaluate_water(const WaterTask &task, int threads) {
    ScreeningTable::instance();
    FirstException failure;
#pragma omp parallel for num_threads(threads) schedule(static, 1)
    for (int part = 0; part < threads; ++part) failure.guard([&] { evaluate_water_part(task, part, threads); });
    failure.rethrow();
}

inline void evaluate_charges(const ChargeTask &task, int threads) {
    ScreeningTable::instance();
    FirstException failure;
#pragma omp parallel for num_threads(threads) schedule(static, 1)
    for (int part = 0; part < threads; ++part) failure.guard([&] { evaluate_charges_part(task, part, threads); });
    failure.rethrow();
}

}  // namespace beadwise
