// Neighbours within a cutoff in cells of any shape and size, periodic in any subset of directions, kept with a skin:
// a list stays exact until an atom has moved, or the cell has changed, by so much that an unlisted pair could have
// come within the cutoff.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <new>
#include <stdexcept>
#include <vector>

namespace beadwise {

using Vector3 = std::array<double, 3>;
using Matrix3 = std::array<Vector3, 3>;  // rows are lattice vectors

inline Vector3 cross(const Vector3 &a, const Vector3 &b) {
    return {a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]};
}
inline double inner(const Vector3 &a, const Vector3 &b) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }
inline Vector3 scaled(const Vector3 &a, double f) { return {a[0] * f, a[1] * f, a[2] * f}; }
inline Vector3 unit(const Vector3 &a) { return scaled(a, 1.0 / std::sqrt(inner(a, a))); }

// Rows of directions without periodicity become unit vectors perpendicular to the others.
inline Matrix3 completed_cell(const double *cell, const bool *periodic) {
    Matrix3 full;
    std::vector<int> missing;
    for (int d = 0; d < 3; ++d) {
        full[d] = {cell[3 * d], cell[3 * d + 1], cell[3 * d + 2]};
        if (!periodic[d]) missing.push_back(d);
    }
    if (missing.size() == 3) return {{{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}};
    if (missing.size() == 2) {
        const Vector3 axis = unit(full[3 - missing[0] - missing[1]]);
        int smallest = 0;
        for (int d = 1; d < 3; ++d)
            if (std::fabs(axis[d]) < std::fabs(axis[smallest])) smallest = d;
        Vector3 helper = {0, 0, 0};
        helper[smallest] = 1.0;
        full[missing[0]] = unit(cross(axis, helper));
        full[missing[1]] = cross(axis, full[missing[0]]);
    }
    if (missing.size() == 1) full[missing[0]] = unit(cross(full[(missing[0] + 1) % 3], full[(missing[0] + 2) % 3]));
    return full;
}

// Columns are reciprocal vectors: fractional[d] = position · reciprocal[d].
inline Matrix3 reciprocal_vectors(const Matrix3 &cell) {
    const double volume = inner(cell[0], cross(cell[1], cell[2]));
    return {scaled(cross(cell[1], cell[2]), 1.0 / volume), scaled(cross(cell[2], cell[0]), 1.0 / volume),
            scaled(cross(cell[0], cell[1]), 1.0 / volume)};
}

class NeighbourList {
public:
    struct Entry {
        int32_t atom;
        int32_t shift;  // index into offsets
    };

    std::vector<Entry> entries;    // [atoms][capacity], sorted by species
    std::vector<int32_t> counts;   // [atoms][species]
    std::vector<Vector3> wrapped;  // positions moved into the cell the list was made for
    std::vector<Vector3> offsets;  // Cartesian vectors of the lattice translations in use
    int capacity = 0;
    int first_centre = 0, last_centre = 0;  // atoms first ≤ i < last whose neighbours are listed

    // First half of building: wrap the positions and sort the atoms into bins.  Throws std::invalid_argument if numbers
    // are not finite, if a cell spans no volume, or if an atom is too far away to count the cells between.
    void prepare(const double *positions, int atoms, const double *cell, const bool *periodic_in, double reach_in) {
        std::copy(periodic_in, periodic_in + 3, periodic);
        std::copy(cell, cell + 9, reference_cell);
        reach = reach_in;
        full_cell = completed_cell(cell, periodic);
        reference.assign(positions, positions + 3 * atoms);
        images.assign(atoms, {0, 0, 0});
        if (capacity == 0) capacity = 64;
        wrap_into_reference(positions, atoms);
        choose_bins(atoms);
        sort_into_bins(atoms);
        number_shifts();
        update_offsets(full_cell);
    }

    // Second half: the neighbours of one atom.  Returns how many there are; more than capacity means nothing was kept.
    int search(int centre, const int32_t *species, int species_count) {
        int32_t *count = counts.data() + size_t(centre) * species_count;
        std::fill(count, count + species_count, 0);
        static thread_local std::vector<Entry> found;
        found.clear();
        collect(centre, found);
        if (int(found.size()) > capacity) {
            if (found.size() > MANY_NEIGHBOURS && found.size() * wrapped.size() > MOST_ENTRIES)
                throw std::bad_alloc();  // atoms that lie on each other would fill any memory
            return int(found.size());
        }
        for (const Entry &entry : found) ++count[species[entry.atom]];
        static thread_local std::vector<int> place;
        place.assign(species_count, 0);
        for (int s = 1; s < species_count; ++s) place[s] = place[s - 1] + count[s - 1];
        Entry *out = entries.data() + size_t(centre) * capacity;
        for (const Entry &entry : found) out[place[species[entry.atom]]++] = entry;
        return int(found.size());
    }

    void reserve(int atoms, int species_count, int new_capacity) {
        capacity = new_capacity;
        entries.resize(size_t(atoms) * capacity);
        counts.resize(size_t(atoms) * species_count);
    }

    // Whether every pair of an atom first ≤ i < last within the cutoff is still listed: twice the largest displacement
    // plus the largest change of a lattice translation in use must stay below the skin.
    bool covers(const double *positions, int atoms, int first, int last, const double *cell, const bool *periodic_now,
                double skin) const {
        if (first < first_centre || last > last_centre) return false;
        if (3 * atoms != int(reference.size()) || !std::equal(periodic, periodic + 3, periodic_now)) return false;
        double cell_change = 0.0;
        for (int d = 0; d < 3; ++d) {
            if (!periodic[d]) continue;
            double squared = 0.0;
            for (int x = 0; x < 3; ++x) squared += std::pow(cell[3 * d + x] - reference_cell[3 * d + x], 2);
            cell_change += (span[d] + 1) * std::sqrt(squared);
        }
        const double allowed = 0.5 * (skin - cell_change);
        if (!(allowed > 0.0)) return false;  // also where a number is not finite, as below
        for (int atom = 0; atom < atoms; ++atom) {
            double squared = 0.0;
            for (int x = 0; x < 3; ++x) {
                double change = positions[3 * atom + x] - reference[3 * atom + x];
                for (int d = 0; d < 3; ++d)
                    change -= images[atom][d] * (periodic[d] ? cell[3 * d + x] - reference_cell[3 * d + x] : 0.0);
                squared += change * change;
            }
            if (!(squared < allowed * allowed)) return false;
        }
        return true;
    }

    // Move the list to new positions and a new cell that it covers.
    void follow(const double *positions, int atoms, const double *cell) {
        Matrix3 now = full_cell;
        for (int d = 0; d < 3; ++d)
            if (periodic[d]) now[d] = {cell[3 * d], cell[3 * d + 1], cell[3 * d + 2]};
        for (int atom = 0; atom < atoms; ++atom)
            for (int x = 0; x < 3; ++x) {
                double value = positions[3 * atom + x];
                for (int d = 0; d < 3; ++d)
                    if (periodic[d]) value -= images[atom][d] * now[d][x];
                wrapped[atom][x] = value;
            }
        update_offsets(now);
    }

    // All neighbours of an atom, in no order.
    void collect(int centre, std::vector<Entry> &found) const {
        std::array<int, 3> home, bin, shift;
        for (int d = 0; d < 3; ++d) home[d] = bin_of(fractional[centre], d);
        for (int i = -search_range[0]; i <= search_range[0]; ++i) {
            if (!fold(0, home[0], i, bin[0], shift[0])) continue;
            for (int j = -search_range[1]; j <= search_range[1]; ++j) {
                if (!fold(1, home[1], j, bin[1], shift[1])) continue;
                for (int k = -search_range[2]; k <= search_range[2]; ++k) {
                    if (!fold(2, home[2], k, bin[2], shift[2])) continue;
                    collect_from_bin(centre, (bin[0] * bins[1] + bin[1]) * bins[2] + bin[2], shift_index(shift), found);
                }
            }
        }
    }

private:
    static constexpr size_t MANY_NEIGHBOURS = 5000, MOST_ENTRIES = size_t(1) << 25;
    static constexpr double FARTHEST = 1e9;    // lattice vectors from the origin to an atom, so that an int counts them
    static constexpr double MOST_CELLS = 100;  // layers of cells within reach, so that memory holds their translations

    bool periodic[3] = {true, true, true};
    double reference_cell[9] = {};
    double reach = 0.0;
    Matrix3 full_cell{};
    std::vector<double> reference;
    std::vector<std::array<int, 3>> images;
    std::vector<Vector3> fractional;
    std::array<int, 3> bins{}, span{}, search_range{};
    std::vector<int> bin_start, bin_atoms;

    void wrap_into_reference(const double *positions, int atoms) {
        const Matrix3 reciprocal = reciprocal_vectors(full_cell);
        wrapped.resize(atoms);
        fractional.resize(atoms);
        for (int atom = 0; atom < atoms; ++atom) {
            Vector3 position = {positions[3 * atom], positions[3 * atom + 1], positions[3 * atom + 2]};
            for (int d = 0; d < 3; ++d) {
                fractional[atom][d] = inner(position, reciprocal[d]);
                if (!(std::fabs(fractional[atom][d]) < FARTHEST))
                    throw std::invalid_argument(
                        "positions and cells must be finite, cells span a volume, and atoms be "
                        "less than a thousand million cells away");
                if (periodic[d]) {
                    images[atom][d] = int(std::floor(fractional[atom][d]));
                    fractional[atom][d] -= images[atom][d];
                }
            }
            for (int x = 0; x < 3; ++x)
                for (int d = 0; d < 3; ++d) position[x] -= images[atom][d] * full_cell[d][x];
            wrapped[atom] = position;
        }
    }

    void choose_bins(int atoms) {
        const Matrix3 reciprocal = reciprocal_vectors(full_cell);
        const int most_bins = std::max(1, int(std::cbrt(4.0 * atoms)) + 1);
        for (int d = 0; d < 3; ++d) {
            double height = 1.0 / std::sqrt(inner(reciprocal[d], reciprocal[d]));
            if (!periodic[d]) {  // bins cover the extent of the structure
                double low = fractional[0][d], high = low;
                for (const Vector3 &point : fractional) {
                    low = std::min(low, point[d]);
                    high = std::max(high, point[d]);
                }
                const double extent = std::max(high - low, 1e-6) * (1.0 + 1e-9);
                for (Vector3 &point : fractional) point[d] = (point[d] - low) / extent;
                height = extent;
            }
            if (periodic[d] && !(height * MOST_CELLS > reach))
                throw std::invalid_argument("cells must be higher than a hundredth of the cutoff");
            bins[d] = std::max(1, std::min(most_bins, int(2.0 * height / reach)));
            search_range[d] = int(std::ceil(reach * bins[d] / height * (1.0 - 1e-12)));
            if (!periodic[d]) search_range[d] = std::min(search_range[d], bins[d] - 1);
            span[d] = periodic[d] ? (search_range[d] + bins[d] - 1) / bins[d] : 0;
        }
    }

    int bin_of(const Vector3 &point, int d) const {
        return std::min(bins[d] - 1, std::max(0, int(point[d] * bins[d])));
    }

    void sort_into_bins(int atoms) {
        bin_start.assign(size_t(bins[0]) * bins[1] * bins[2] + 1, 0);
        std::vector<int> bin(atoms);
        for (int atom = 0; atom < atoms; ++atom) {
            const Vector3 &point = fractional[atom];
            bin[atom] = (bin_of(point, 0) * bins[1] + bin_of(point, 1)) * bins[2] + bin_of(point, 2);
            ++bin_start[bin[atom] + 1];
        }
        for (size_t b = 1; b < bin_start.size(); ++b) bin_start[b] += bin_start[b - 1];
        bin_atoms.resize(atoms);
        std::vector<int> place(bin_start.begin(), bin_start.end() - 1);
        for (int atom = 0; atom < atoms; ++atom) bin_atoms[place[bin[atom]]++] = atom;
    }

    void number_shifts() { offsets.resize(size_t(2 * span[0] + 1) * (2 * span[1] + 1) * (2 * span[2] + 1)); }

    int shift_index(const std::array<int, 3> &shift) const {
        return ((shift[0] + span[0]) * (2 * span[1] + 1) + shift[1] + span[1]) * (2 * span[2] + 1) + shift[2] + span[2];
    }

    void update_offsets(const Matrix3 &cell) {
        std::array<int, 3> s;
        for (s[0] = -span[0]; s[0] <= span[0]; ++s[0])
            for (s[1] = -span[1]; s[1] <= span[1]; ++s[1])
                for (s[2] = -span[2]; s[2] <= span[2]; ++s[2]) {
                    Vector3 &offset = offsets[shift_index(s)];
                    for (int x = 0; x < 3; ++x) offset[x] = s[0] * cell[0][x] + s[1] * cell[1][x] + s[2] * cell[2][x];
                }
    }

    // Bin index `home + step` folded back into the cell; false where a direction without periodicity ends.
    bool fold(int d, int home, int step, int &bin, int &shift) const {
        const int raw = home + step;
        shift = raw >= 0 ? raw / bins[d] : -((-raw + bins[d] - 1) / bins[d]);
        bin = raw - shift * bins[d];
        return periodic[d] || shift == 0;
    }

    void collect_from_bin(int centre, int bin, int shift, std::vector<Entry> &found) const {
        Vector3 origin;
        for (int x = 0; x < 3; ++x) origin[x] = offsets[shift][x] - wrapped[centre][x];
        const double reach_squared = reach * reach;
        const int own_shift = shift_index({0, 0, 0});
        for (int index = bin_start[bin]; index < bin_start[bin + 1]; ++index) {
            const int atom = bin_atoms[index];
            const Vector3 &point = wrapped[atom];
            const double x = point[0] + origin[0], y = point[1] + origin[1], z = point[2] + origin[2];
            if (x * x + y * y + z * z < reach_squared && !(atom == centre && shift == own_shift))
                found.push_back({atom, shift});
        }
    }
};

}  // namespace beadwise
