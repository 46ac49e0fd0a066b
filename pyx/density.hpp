// The density expansion c[lm][channel] = Σ_j R_n(r_ij) Y_lm(r̂_ij), channel = (group of j's species, n), and its adjoint
// sweep. (Bartók, Kondor, Csányi, Phys. Rev. B 87, 184115 (2013), with delta functions for the neighbours.) Included
// once per instruction set (see kernel.hpp).

constexpr int REVERSE_ROWS = 5;

// Σ_j values_n(j) harmonics_lm(j) for values [group][lane][radial] and harmonics [group][harmonics_stored][lane].
template <int VECTORS>
static void expand(const Environment &environment, const Basis &basis, const Real *values, const Real *harmonics,
                   Real *density) {
    constexpr int ROWS = DENSITY_ROWS<VECTORS>, RADIAL = VECTORS * WIDTH;
    const int channels = basis.channels(), stride = environment.harmonics_stored * WIDTH;
    const int last_row = std::max(0, environment.harmonics - ROWS);
    std::fill_n(density, size_t(environment.harmonics) * channels, 0.0);
    for (int species = 0; species < basis.species; ++species) {
        const Environment::Segment segment = environment.segments[species];
        if (segment.groups == 0) continue;
        Real *own = density + basis.group[species] * RADIAL;
        // The last tile overlaps the one before it rather than leaving a remainder.
        for (int tile = 0; tile < environment.harmonics; tile += ROWS) {
            const int row0 = std::min(tile, last_row);
            Vector total[ROWS][VECTORS] = {};
            for (int group = segment.first_group; group < segment.first_group + segment.groups; ++group) {
                const Real *harmonic = harmonics + size_t(group) * stride + row0 * WIDTH;
                const Real *value = values + size_t(group) * WIDTH * RADIAL;
                UNROLL
                for (int k = 0; k < WIDTH; ++k) {
                    Vector radial[VECTORS];
                    UNROLL
                    for (int v = 0; v < VECTORS; ++v) radial[v] = load(value + k * RADIAL + v * WIDTH);
                    UNROLL
                    for (int row = 0; row < ROWS; ++row) {
                        const Vector factor = broadcast(harmonic[row * WIDTH + k]);
                        UNROLL
                        for (int v = 0; v < VECTORS; ++v) total[row][v] += factor * radial[v];
                    }
                }
            }
            const int rows = std::min(ROWS, environment.harmonics);
            UNROLL
            for (int row = 0; row < ROWS; ++row) {
                if (row < tile - row0 || row >= rows) continue;
                UNROLL
                for (int v = 0; v < VECTORS; ++v) {
                    Real *place = own + size_t(row0 + row) * channels + v * WIDTH;
                    store(place, load(place) + total[row][v]);
                }
            }
        }
    }
}

static void expand_density(const Environment &environment, const Basis &basis, Real *density) {
    environment.stages.expand(environment, basis, environment.values.data(), environment.harmonic_values.data(),
                              density);
}

// Gradient on the sphere of Σ_lm weight_lm Y_lm of one group.
template <int L>
static void surface_gradient(const Environment &environment, int group, const Real *weights,
                             const UnalignedVector *direction, UnalignedVector *along) {
    const auto *recursion = reinterpret_cast<const Harmonics<L> *>(environment.recursion.data());
    Harmonics<L>::gradient(recursion[group], legendre_tables(), weights, direction, along);
}

// From the adjoint b[lm][channel] of a quantity, its gradient with respect to the position of every neighbour:
// Σ_lm,n b (R_n' Y_lm r̂ + R_n ∇Y_lm), into gradient[axis][lane].
template <int VECTORS, int L>
static void reverse_density(const Environment &environment, const Basis &basis, const Real *adjoint, Real *gradient_x,
                            Real *gradient_y, Real *gradient_z) {
    constexpr int RADIAL = VECTORS * WIDTH, COUNT = Harmonics<L>::COUNT, STORED = std::max(COUNT, LEAST_ROWS);
    constexpr int ROWS = COUNT < REVERSE_ROWS ? COUNT : REVERSE_ROWS;
    const int channels = basis.channels();
    const LegendreTables &table = legendre_tables();
    const auto *recursion = reinterpret_cast<const Harmonics<L> *>(environment.recursion.data());
    alignas(32) Real angular[STORED * WIDTH];  // Σ_n b R_n of each lm
    for (int species = 0; species < basis.species; ++species) {
        const Environment::Segment segment = environment.segments[species];
        for (int group = segment.first_group; group < segment.first_group + segment.groups; ++group) {
            const Real *value = environment.values_by_lane.data() + size_t(group) * RADIAL * WIDTH;
            const Real *slope = environment.slopes_by_lane.data() + size_t(group) * RADIAL * WIDTH;
            const Real *harmonic = environment.harmonic_values.data() + size_t(group) * STORED * WIDTH;
            Vector radial = {};
            for (int tile = 0; tile < COUNT; tile += ROWS) {
                const int row0 = std::min(tile, COUNT - ROWS);
                Vector with_value[ROWS] = {}, with_slope[ROWS] = {};
                for (int n = 0; n < RADIAL; ++n) {
                    const Vector value_n = load(value + n * WIDTH), slope_n = load(slope + n * WIDTH);
                    const Real *b = adjoint + size_t(row0) * channels + basis.group[species] * RADIAL + n;
                    UNROLL
                    for (int row = 0; row < ROWS; ++row) {
                        const Vector factor = broadcast(b[size_t(row) * channels]);
                        with_value[row] += factor * value_n;
                        with_slope[row] += factor * slope_n;
                    }
                }
                UNROLL
                for (int row = 0; row < ROWS; ++row) {
                    store(angular + (row0 + row) * WIDTH, with_value[row]);
                    if (row0 + row >= tile) radial += with_slope[row] * load(harmonic + (row0 + row) * WIDTH);
                }
            }
            const int lane = group * WIDTH;
            const UnalignedVector direction[3] = {load(environment.x.data() + lane), load(environment.y.data() + lane),
                                                  load(environment.z.data() + lane)};
            UnalignedVector along[3];
            Harmonics<L>::gradient(recursion[group], table, angular, direction, along);
            const Vector inverse = broadcast(1.0) / load(environment.distance.data() + lane);
            store(gradient_x + lane, along[0] * inverse + radial * direction[0]);
            store(gradient_y + lane, along[1] * inverse + radial * direction[1]);
            store(gradient_z + lane, along[2] * inverse + radial * direction[2]);
        }
    }
}
