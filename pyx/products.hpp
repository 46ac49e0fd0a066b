// Heads: quantities of angular momentum λ as linear and coupled quadratic forms of one atom's density,
// y_M = offset δ_λ0 + Σ_k linear_k c_{λM,k} + Σ_blocks Σ_{m1 m2} G(m1,m2,M) c_{l1 m1}ᵀ V c_{l2 m2}, and their adjoints.
// For a scalar the invariants themselves are never formed.  (Grisafi et al., Phys. Rev. Lett. 120, 036002 (2018).)
// Included once per instruction set (see kernel.hpp).

struct HeadWorkspace {
    std::vector<double> right;  // per block: V c_{l2}
    std::vector<double> left;   // per block: Vᵀ c_{l1}; not used where the block is symmetric

    void size_for(const Head &head, const Basis &basis) {
        const size_t size = head.blocks.size() * (2 * basis.l_max + 1) * basis.channels();
        right.resize(size);
        left.resize(size);
    }
};

// The 2λ+1 components; leaves in the workspace what the adjoint needs.
static void head_value(const Head &head, const Basis &basis, int species, const double *density, bool for_adjoint,
                       HeadWorkspace &workspace, double *value) {
    const int channels = basis.channels(), stride = (2 * basis.l_max + 1) * channels;
    const double *linear = head.linear + size_t(species) * channels;
    for (int component = 0; component < head.components(); ++component) {
        value[component] = head.lambda == 0 ? head.offset[species] : 0.0;
        value[component] += dot(linear, density + size_t(head.lambda * head.lambda + component) * channels, channels);
    }
    Vector total[2 * LAMBDA_LIMIT + 1] =
        {};  // summed horizontally only once: lanes of the products stay apart until then
    for (size_t index = 0; index < head.blocks.size(); ++index) {
        const Block &block = head.blocks[index];
        const size_t matrix = size_t(species) * channels * channels;
        const double *first = density + size_t(block.l1 * block.l1) * channels;
        const double *second = density + size_t(block.l2 * block.l2) * channels;
        double *right = workspace.right.data() + index * stride;
        multiply(second, 2 * block.l2 + 1, channels, block.weights + matrix, channels, right);
        if (for_adjoint && !block.symmetric)
            multiply(first, 2 * block.l1 + 1, channels, block.transposed + matrix, channels,
                     workspace.left.data() + index * stride);
        for (size_t term = 0; term < block.coupling.size();) {
            const int m1 = block.m1[term], m2 = block.m2[term];
            const Vector product =
                lane_products(first + size_t(m1) * channels, right + size_t(m2) * channels, channels);
            for (; term < block.coupling.size() && block.m1[term] == m1 && block.m2[term] == m2; ++term)
                total[block.component[term]] += broadcast(block.coupling[term]) * product;
        }
    }
    for (int component = 0; component < head.components(); ++component) value[component] += sum(total[component]);
}

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

// adjoint[lm][channel] += Σ_M factor_M ∂y_M/∂c[lm][channel], after head_value(…, for_adjoint = true).
static void head_adjoint(const Head &head, const Basis &basis, int species, const double *factor,
                         const HeadWorkspace &workspace, double *adjoint) {
    const int channels = basis.channels(), stride = (2 * basis.l_max + 1) * channels;
    const double *linear = head.linear + size_t(species) * channels;
    if (std::all_of(factor, factor + head.components(), [](double f) { return f == 0.0; })) return;
    for (int component = 0; component < head.components(); ++component)
        add_scaled(adjoint + size_t(head.lambda * head.lambda + component) * channels, factor[component], linear,
                   channels);
    for (size_t index = 0; index < head.blocks.size(); ++index) {
        const Block &block = head.blocks[index];
        const double *right = workspace.right.data() + index * stride;
        const double *left = block.symmetric ? right : workspace.left.data() + index * stride;
        double *first = adjoint + size_t(block.l1 * block.l1) * channels;
        double *second = adjoint + size_t(block.l2 * block.l2) * channels;
        for (size_t term = 0; term < block.coupling.size();) {
            const int m1 = block.m1[term], m2 = block.m2[term];
            double weight = 0.0;
            for (; term < block.coupling.size() && block.m1[term] == m1 && block.m2[term] == m2; ++term)
                weight += block.coupling[term] * factor[block.component[term]];
            if (weight == 0.0) continue;
            add_scaled(first + size_t(m1) * channels, weight, right + size_t(m2) * channels, channels);
            add_scaled(second + size_t(m2) * channels, weight, left + size_t(m1) * channels, channels);
        }
    }
}
