// Derivatives of the scalar features of one structure, for least squares: the two-body densities c_{00,k} and the
// power spectrum p^l_{kq} = Σ_m c_{lm,k} c_{lm,q}, summed over the centres of each species.
// Included once per instruction set (see kernel.hpp).

// ∂(R_n Y_lm)/∂r of one lane, into delta[axis][lm][n]; `weights` is scratch of the size of one group's harmonics, zero
// on entry and on return.
template <int VECTORS, int L>
static void density_derivative(const Environment &environment, int group, int lane, double *weights, double *delta) {
    constexpr int RADIAL = VECTORS * WIDTH, COUNT = Harmonics<L>::COUNT, STORED = std::max(COUNT, LEAST_ROWS);
    const int place = group * WIDTH;
    const UnalignedVector place_on_sphere[3] = {load(environment.x.data() + place), load(environment.y.data() + place),
                                                load(environment.z.data() + place)};
    const double *value = environment.values_by_lane.data() + size_t(group) * RADIAL * WIDTH;
    const double *slope = environment.slopes_by_lane.data() + size_t(group) * RADIAL * WIDTH;
    const double *harmonic = environment.harmonic_values.data() + size_t(group) * STORED * WIDTH;
    const double inverse = 1.0 / environment.distance[place + lane];
    const auto &recursion = reinterpret_cast<const Harmonics<L> *>(environment.recursion.data())[group];
    for (int lm = 0; lm < COUNT; ++lm) {
        weights[lm * WIDTH + lane] = 1.0;
        UnalignedVector along[3];
        Harmonics<L>::gradient(recursion, legendre_tables(), weights, place_on_sphere, along);
        weights[lm * WIDTH + lane] = 0.0;
        for (int axis = 0; axis < 3; ++axis)
            for (int n = 0; n < RADIAL; ++n)
                delta[(size_t(axis) * COUNT + lm) * RADIAL + n] =
                    value[n * WIDTH + lane] * along[axis][lane] * inverse +
                    slope[n * WIDTH + lane] * harmonic[lm * WIDTH + lane] * place_on_sphere[axis][lane];
    }
}

// gradients [atoms·3][species][channels + (l_max+1)·channels²]: ∂/∂r of Σ c_{00,k} and half of ∂p^l_{kq}/∂r, the half
// in which k is differentiated; strains [9][…] likewise.  The caller adds the transposed half.
static void feature_gradients_of(const FeatureTask &task) {
    const Basis &basis = *task.basis;
    const int channels = basis.channels(), radial = basis.radial, harmonics = basis.harmonics(), l_max = basis.l_max;
    const size_t per_species = channels + size_t(l_max + 1) * channels * channels,
                 features = per_species * basis.species;
    Workspace workspace;
    workspace.size_for(basis, {}, task.most_neighbours, 1);
    Environment &environment = workspace.environment;
    std::vector<double> block(3 * size_t(channels)), delta(3 * size_t(harmonics) * radial),
        angular(size_t(environment.harmonics_stored) * WIDTH, 0.0);
    for (int centre = 0; centre < task.atoms; ++centre) {
        gather(*task.list, basis, centre, environment);
        environment.stages.radial_functions(basis, task.species[centre], true, environment);
        environment.stages.angular_functions(environment);
        expand_density(environment, basis, workspace.density.data());
        for (int species = 0; species < basis.species; ++species) {
            const Environment::Segment segment = environment.segments[species];
            const int first_channel = basis.group[species] * radial;
            for (int lane = segment.first_group * WIDTH; lane < (segment.first_group + segment.groups) * WIDTH;
                 ++lane) {
                const int atom = environment.atoms[lane], group = lane / WIDTH, k = lane % WIDTH;
                if (atom < 0) continue;
                environment.stages.density_derivative(environment, group, k, angular.data(), delta.data());
                const double arm[3] = {environment.x[lane] * environment.distance[lane],
                                       environment.y[lane] * environment.distance[lane],
                                       environment.z[lane] * environment.distance[lane]};
                const size_t column = task.species[centre] * per_species;
                for (int axis = 0; axis < 3; ++axis) {
                    double *rows[2] = {task.gradients + (3 * size_t(atom) + axis) * features + column,
                                       task.gradients + (3 * size_t(centre) + axis) * features + column};
                    const double *derivative = delta.data() + size_t(axis) * harmonics * radial;
                    const auto scatter = [&](size_t place, const double *values, int count) {
                        add_scaled(rows[0] + place, 1.0, values, count);
                        add_scaled(rows[1] + place, -1.0, values, count);
                        for (int q = 0; q < 3; ++q)
                            add_scaled(task.strains + (3 * size_t(axis) + q) * features + column + place, arm[q],
                                       values, count);
                    };
                    scatter(first_channel, derivative, radial);
                    for (int l = 0; l <= l_max; ++l)
                        for (int n = 0; n < radial; ++n) {
                            std::fill_n(block.data(), channels, 0.0);
                            for (int lm = l * l; lm < (l + 1) * (l + 1); ++lm)
                                add_scaled(block.data(), derivative[lm * radial + n],
                                           workspace.density.data() + size_t(lm) * channels, channels);
                            scatter(channels + (size_t(l) * channels + first_channel + n) * channels, block.data(),
                                    channels);
                        }
                }
            }
        }
    }
}
