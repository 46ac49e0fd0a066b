// All pairs of atoms within a distance, by the bins of the neighbour lists.
#pragma once

#include "neighbours.hpp"

namespace beadwise {

struct Pairs {
    std::vector<int32_t> first, second;
    std::vector<double> vectors;  // [pairs][3], from the first to the second
};

// Ends with the first atom that has a neighbour nearer than `closest`.
inline void find_pairs(const double *positions, int atoms, const double *cell, const bool *periodic, double cutoff,
                       double closest, Pairs &found) {
    NeighbourList list;
    list.prepare(positions, atoms, cell, periodic, cutoff);
    std::vector<NeighbourList::Entry> near;
    for (int atom = 0; atom < atoms; ++atom) {
        near.clear();
        list.collect(atom, near);
        bool is_too_near = false;
        for (const NeighbourList::Entry &entry : near) {
            double square = 0.0;
            for (int x = 0; x < 3; ++x) {
                const double between =
                    list.wrapped[entry.atom][x] + list.offsets[entry.shift][x] - list.wrapped[atom][x];
                found.vectors.push_back(between);
                square += between * between;
            }
            found.first.push_back(atom);
            found.second.push_back(entry.atom);
            is_too_near = is_too_near || square < closest * closest;
        }
        if (is_too_near) return;
    }
}

}  // namespace beadwise
