// Derivatives of the features of a head of any λ of one structure, for least squares: of the densities c_{λM,k} and of
// the products Σ G(m1 m2 M) c_{l1 m1,k} c_{l2 m2,q} of every pair (l1, l2), summed over the centres of each species.
// Only a range of atoms is displaced, so that the caller bounds the memory.
// Included once per instruction set (see kernel.hpp).

// The products of one centre without one of the two densities.
struct CoupledDensity {
    std::vector<double> right;  // [m1][M][q] = Σ_m2 G c_{l2 m2,q}
    std::vector<double> left;   // [m2][M][k] = Σ_m1 G c_{l1 m1,k}

    void make(const Block &block, int components, int channels, const double *density) {
        right.assign(size_t(2 * block.l1 + 1) * components * channels, 0.0);
        left.assign(size_t(2 * block.l2 + 1) * components * channels, 0.0);
        const double *first = density + size_t(block.l1) * block.l1 * channels,
                     *second = density + size_t(block.l2) * block.l2 * channels;
        for (size_t k = 0; k < block.coupling.size(); ++k) {
            const size_t m1 = block.m1[k], m2 = block.m2[k], component = block.component[k];
            add_scaled(right.data() + (m1 * components + component) * channels, block.coupling[k],
                       second + m2 * channels, channels);
            add_scaled(left.data() + (m2 * components + component) * channels, block.coupling[k], first + m1 * channels,
                       channels);
        }
    }
};

// out [features of one species] += what the features of component M change by, if the densities of RADIAL channels from
// `first_channel` on change by `moved` [lm][RADIAL].
template <int VECTORS>
static void add_moved_features(const Head &head, const CoupledDensity *coupled, int channels, int first_channel,
                               int component, const double *moved, double *out) {
    constexpr int RADIAL = VECTORS * WIDTH;
    const int order = head.lambda, components = head.components();
    add_scaled(out + first_channel, 1.0, moved + size_t(order * order + component) * RADIAL, RADIAL);
    out += channels;
    for (size_t place = 0; place < head.blocks.size(); ++place, out += size_t(channels) * channels) {
        const Block &block = head.blocks[place];
        for (int m1 = 0; m1 <= 2 * block.l1; ++m1) {
            const double *right = coupled[place].right.data() + (size_t(m1) * components + component) * channels;
            for (int n = 0; n < RADIAL; ++n)
                add_scaled(out + size_t(first_channel + n) * channels,
                           moved[size_t(block.l1 * block.l1 + m1) * RADIAL + n], right, channels);
        }
        for (int m2 = 0; m2 <= 2 * block.l2; ++m2) {
            const double *left = coupled[place].left.data() + (size_t(m2) * components + component) * channels,
                         *own = moved + size_t(block.l2 * block.l2 + m2) * RADIAL;
            for (int k = 0; k < channels; ++k)
                add_scaled(out + size_t(k) * channels + first_channel, left[k], own, RADIAL);
        }
    }
}

// gradients [displaced atoms][3][2λ+1][species][channels + blocks·channels²], added to.
static void tensor_feature_gradients_of(const TensorFeatureTask &task) {
    const Basis &basis = *task.basis;
    const size_t size = size_t(basis.harmonics()) * basis.radial;
    const Head &head = *task.head;
    const int channels = basis.channels(), components = head.components();
    const size_t per_species = task.features_per_species(), features = per_species * basis.species;
    Workspace workspace;
    workspace.size_for(basis, {}, task.most_neighbours, 1);
    Environment &environment = workspace.environment;
    std::vector<double> delta(3 * size), of_centre(3 * size),
        angular(size_t(environment.harmonics_stored) * WIDTH, 0.0);
    std::vector<CoupledDensity> coupled(head.blocks.size());
    const auto is_displaced = [&](int atom) { return atom >= task.begin && atom < task.end; };
    for (int centre = 0; centre < task.atoms; ++centre) {
        gather(*task.list, basis, centre, environment);
        const int lanes = environment.group_count * WIDTH;
        bool sees_one = is_displaced(centre);
        for (int lane = 0; lane < lanes; ++lane) sees_one = sees_one || is_displaced(environment.atoms[lane]);
        if (!sees_one) continue;
        environment.stages.radial_functions(basis, task.species[centre], true, environment);
        environment.stages.angular_functions(environment);
        expand_density(environment, basis, workspace.density.data());
        for (size_t place = 0; place < coupled.size(); ++place)
            coupled[place].make(head.blocks[place], components, channels, workspace.density.data());
        const size_t column = task.species[centre] * per_species;
        const auto add_rows = [&](int atom, int first_channel, const double *moved) {
            for (int axis = 0; axis < 3; ++axis)
                for (int component = 0; component < components; ++component) {
                    const size_t row = (size_t(atom - task.begin) * 3 + axis) * components + component;
                    environment.stages.add_moved_features(head, coupled.data(), channels, first_channel, component,
                                                          moved + axis * size,
                                                          task.gradients + row * features + column);
                }
        };
        for (int species = 0; species < basis.species; ++species) {
            const Environment::Segment segment = environment.segments[species];
            const int first_channel = basis.group[species] * basis.radial;
            std::fill(of_centre.begin(), of_centre.end(), 0.0);  // which moves against all its neighbours
            for (int lane = segment.first_group * WIDTH; lane < (segment.first_group + segment.groups) * WIDTH;
                 ++lane) {
                const int atom = environment.atoms[lane], group = lane / WIDTH;
                if (atom < 0 || !(is_displaced(atom) || is_displaced(centre))) continue;
                environment.stages.density_derivative(environment, group, lane % WIDTH, angular.data(), delta.data());
                add_scaled(of_centre.data(), -1.0, delta.data(), int(3 * size));
                if (is_displaced(atom)) add_rows(atom, first_channel, delta.data());
            }
            if (is_displaced(centre)) add_rows(centre, first_channel, of_centre.data());
        }
    }
}
