// Heads: quantities of angular momentum λ as linear and coupled quadratic forms of one atom's density,
// y_M = offset δ_λ0 + Σ_k linear_k c_{λM,k} + Σ_blocks Σ_{m1 m2} G(m1,m2,M) c_{l1 m1}ᵀ V c_{l2 m2}, and their adjoints.
// For a scalar the invariants themselves are never formed.  (Grisafi et al., Phys. Rev. Lett. 120, 036002 (2018).)
// Included once per instruction set (see kernel.hpp).

struct HeadWorkspace {
    std::vector<Real> right;  // per block: V c_{l2}
    std::vector<Real> left;   // per block: Vᵀ c_{l1}; not used where the block is symmetric

    void size_for(const Head &head, const Basis &basis) {
        const size_t size = head.blocks.size() * (2 * basis.l_max + 1) * basis.channels();
        right.resize(size);
        left.resize(size);
    }
};

// The 2λ+1 components; leaves in the workspace what the adjoint needs.
static void head_value(const Head &head, const Basis &basis, int species, const Real *density, bool for_adjoint,
                       HeadWorkspace &workspace, double *value) {
    const int channels = basis.channels(), stride = (2 * basis.l_max + 1) * channels;
    const Real *linear = head.linear + size_t(species) * channels;
    for (int component = 0; component < head.components(); ++component) {
        value[component] = head.lambda == 0 ? head.offset[species] : 0.0;
        value[component] += dot(linear, density + size_t(head.lambda * head.lambda + component) * channels, channels);
    }
    Vector total[2 * LAMBDA_LIMIT + 1] =
        {};  // summed horizontally only once: lanes of the products stay apart until then
    for (size_t index = 0; index < head.blocks.size(); ++index) {
        const Block &block = head.blocks[index];
        const size_t matrix = size_t(species) * channels * channels;
        const Real *first = density + size_t(block.l1 * block.l1) * channels;
        const Real *second = density + size_t(block.l2 * block.l2) * channels;
        Real *right = workspace.right.data() + index * stride;
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

// adjoint[lm][channel] += Σ_M factor_M ∂y_M/∂c[lm][channel], after head_value(…, for_adjoint = true).
static void head_adjoint(const Head &head, const Basis &basis, int species, const double *factor,
                         const HeadWorkspace &workspace, Real *adjoint) {
    const int channels = basis.channels(), stride = (2 * basis.l_max + 1) * channels;
    const Real *linear = head.linear + size_t(species) * channels;
    if (std::all_of(factor, factor + head.components(), [](double f) { return f == 0.0; })) return;
    for (int component = 0; component < head.components(); ++component)
        add_scaled(adjoint + size_t(head.lambda * head.lambda + component) * channels, factor[component], linear,
                   channels);
    for (size_t index = 0; index < head.blocks.size(); ++index) {
        const Block &block = head.blocks[index];
        const Real *right = workspace.right.data() + index * stride;
        const Real *left = block.symmetric ? right : workspace.left.data() + index * stride;
        Real *first = adjoint + size_t(block.l1 * block.l1) * channels;
        Real *second = adjoint + size_t(block.l2 * block.l2) * channels;
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
