// Many scalars from the invariants that all of them read.  Included once per instruction set, in double precision alone
// (see kernel.hpp).

// Add Σ_m c_lm ⊗ c_lm of every l: what all scalars read, and worth forming where there are several.
static void add_scalar_invariants(const Basis &basis, const double *density, double *invariants) {
    const int channels = basis.channels();
    for (int l = 0; l <= basis.l_max; ++l)
        for (int m = 0; m < 2 * l + 1; ++m) {
            const double *row = density + size_t(l * l + m) * channels;
            for (int k = 0; k < channels; ++k)
                add_scaled(invariants + (size_t(l) * channels + k) * channels, row[k], row, channels);
        }
}

// A scalar of so many atoms of a species, from the sums of their invariants and of their densities of l = 0; as
// `head_value` without what an adjoint needs.  G(m, m, 0) is the same for all m.
static double scalar_from_invariants(const Head &head, const Basis &basis, int species, int atoms,
                                     const double *density, const double *invariants) {
    const int channels = basis.channels();
    const size_t size = size_t(channels) * channels;
    Vector total[4] = {};
    for (const Block &block : head.blocks) {
        const double *own = invariants + block.l1 * size, *weights = block.weights + species * size;
        const Vector coupling = broadcast(block.coupling[0]);
        for (size_t k = 0; k < size; k += 4 * WIDTH) {
            UNROLL
            for (int v = 0; v < 4; ++v)
                total[v] += coupling * load(own + k + v * WIDTH) * load(weights + k + v * WIDTH);
        }
    }
    return atoms * head.offset[species] + dot(head.linear + size_t(species) * channels, density, channels) +
           sum(total[0] + total[1] + (total[2] + total[3]));
}

// Invariants of atoms added up by species: scalars are linear in them, so that those that are wanted in sum alone are
// read once for all atoms in place of once for each.
struct SumsOfInvariants {
    std::vector<double> invariants;  // [species][l][channels][channels]
    std::vector<double> densities;   // [species][channels], of l = 0
    std::vector<int> atoms;          // of each species

    // Sums of no atoms.
    void clear(const Basis &basis) {
        const size_t channels = basis.channels();
        invariants.resize(basis.species * (basis.l_max + 1) * channels * channels);
        densities.resize(basis.species * channels);
        atoms.assign(basis.species, 0);
    }

    void add(const Basis &basis, int species, const double *density) {
        const size_t channels = basis.channels(), size = (basis.l_max + 1) * channels * channels;
        double *own = invariants.data() + species * size, *own_density = densities.data() + species * channels;
        if (atoms[species]++ == 0) {
            std::fill_n(own, size, 0.0);
            std::fill_n(own_density, channels, 0.0);
        }
        add_scalar_invariants(basis, density, own);
        add_scaled(own_density, 1.0, density, int(channels));
    }

    // A scalar of all atoms together.
    double value(const Head &head, const Basis &basis) const {
        const size_t channels = basis.channels(), size = (basis.l_max + 1) * channels * channels;
        double total = 0.0;
        for (int species = 0; species < basis.species; ++species)
            if (atoms[species] > 0)
                total +=
                    scalar_from_invariants(head, basis, species, atoms[species], densities.data() + species * channels,
                                           invariants.data() + species * size);
        return total;
    }
};
