// The neighbours of one atom, gathered by species into groups of WIDTH, with radial functions and harmonics of each.
// Included once per instruction set (see kernel.hpp).

// Rows of a register tile of the density: as many as leave room for the factors in 16 registers.
template <int VECTORS>
constexpr int DENSITY_ROWS = VECTORS == 1   ? 10
                             : VECTORS == 2 ? 5
                             : VECTORS == 3 ? 4
                                            : 3;
constexpr int LEAST_ROWS = DENSITY_ROWS<1>;  // room for the tallest tile, also where there are fewer harmonics

struct Environment;

// The loops of one basis that are compiled for its sizes: all that calls them is compiled once, for any.
struct Stages {
    size_t recursion_bytes;  // of one group
    void (*radial_functions)(const Basis &, int centre_species, bool slopes, Environment &);
    void (*angular_functions)(Environment &);
    void (*expand)(const Environment &, const Basis &, const Real *values, const Real *harmonics, Real *density);
    void (*reverse_density)(const Environment &, const Basis &, const Real *adjoint, Real *gradient_x, Real *gradient_y,
                            Real *gradient_z);
    void (*surface_gradient)(const Environment &, int group, const Real *weights, const UnalignedVector *direction,
                             UnalignedVector *along);
#ifndef BEADWISE_SINGLE
    void (*density_derivative)(const Environment &, int group, int lane, Real *weights, Real *delta);
    void (*harmonic_tangents)(const Environment &, int group, const Vector *direction, const Vector *motion,
                              Real *tangents);
    void (*add_moved_features)(const Head &, const struct CoupledDensity *, int channels, int first_channel,
                               int component, const Real *moved, Real *out);
#endif
};

static Stages stages_of(const Basis &basis);

struct Environment {
    struct Segment {
        int first_group, groups;
    };

    Stages stages;
    int radial, harmonics, harmonics_stored;  // harmonics_stored leaves room for whole register tiles
    int group_count = 0;
    std::vector<Segment> segments;         // per neighbour species
    std::vector<int32_t> atoms;            // per lane; -1 in padding
    std::vector<Real> x, y, z, distance;   // per lane; unit vectors once finished
    std::vector<Real> values;              // [group][lane][radial]: R_n
    std::vector<Real> values_by_lane;      // [group][radial][lane]
    std::vector<Real> slopes_by_lane;      // [group][radial][lane]: dR_n/dr
    std::vector<Real> harmonic_values;     // [group][harmonics_stored][lane]
    std::vector<unsigned char> recursion;  // [group] of Harmonics<L>, kept for the reverse sweep
    double pair_energy = 0.0;
    std::vector<Real> pair_slope;  // per lane: half of dφ/dr
    double closest = 0.0;
    int closest_atom = -1;

    void size_for(const Basis &basis, int most_neighbours) {
        stages = stages_of(basis);
        radial = basis.radial;
        harmonics = basis.harmonics();
        harmonics_stored = std::max(harmonics, LEAST_ROWS);
        segments.resize(basis.species);
        const size_t groups = most_neighbours / WIDTH + basis.species + 1, lanes = groups * WIDTH;
        if (lanes <= x.size()) return;
        atoms.resize(lanes);
        for (auto *array : {&x, &y, &z, &distance, &pair_slope}) array->resize(lanes);
        for (auto *array : {&values, &values_by_lane, &slopes_by_lane}) array->resize(lanes * radial);
        harmonic_values.assign(lanes * harmonics_stored, 0.0);
        recursion.resize(groups * stages.recursion_bytes);
    }
};

// Where padding sits, in cutoffs: on the cutoff, or where rounding does not bring it below.
#ifdef BEADWISE_SINGLE
constexpr double PADDING = 1.01;
#else
constexpr double PADDING = 1.0;
#endif

// Keep the listed neighbours that are within the cutoff; pad every species to whole groups.
static __attribute__((noinline)) void gather(const NeighbourList &list, const Basis &basis, int centre,
                                             Environment &environment) {
    const double cutoff_squared = basis.cutoff * basis.cutoff;
    const Vector3 origin = list.wrapped[centre];
    const NeighbourList::Entry *entry = list.entries.data() + size_t(centre) * list.capacity;
    double closest_squared = 1e300;
    int lane = 0;
    environment.closest_atom = -1;
    for (int species = 0; species < basis.species; ++species) {
        const int first = lane;
        for (int count = list.counts[size_t(centre) * basis.species + species]; count > 0; --count, ++entry) {
            const Vector3 &point = list.wrapped[entry->atom], &offset = list.offsets[entry->shift];
            const double x = point[0] + offset[0] - origin[0], y = point[1] + offset[1] - origin[1],
                         z = point[2] + offset[2] - origin[2];
            const double squared = x * x + y * y + z * z;
            environment.x[lane] = Real(x);
            environment.y[lane] = Real(y);
            environment.z[lane] = Real(z);
            environment.distance[lane] = Real(squared);
            environment.atoms[lane] = entry->atom;
            if (squared < closest_squared) {
                closest_squared = squared;
                environment.closest_atom = entry->atom;
            }
            lane += squared < cutoff_squared;
        }
        while (lane % WIDTH) {  // where every radial function vanishes
            environment.x[lane] = environment.y[lane] = 0.0;
            environment.z[lane] = Real(basis.cutoff * PADDING);
            environment.distance[lane] = Real(cutoff_squared * PADDING * PADDING);
            environment.atoms[lane++] = -1;
        }
        environment.segments[species] = {first / WIDTH, (lane - first) / WIDTH};
    }
    environment.group_count = lane / WIDTH;
    environment.closest = std::sqrt(closest_squared);
    for (int group = 0; group < environment.group_count; ++group) {
        Real *distance = environment.distance.data() + group * WIDTH;
        Vector squared = load(distance), inverse;
        UNROLL
        for (int k = 0; k < WIDTH; ++k) squared[k] = std::sqrt(squared[k]);
        store(distance, squared);
        inverse = broadcast(1.0) / squared;
        for (auto *axis : {&environment.x, &environment.y, &environment.z}) {
            Real *component = axis->data() + group * WIDTH;
            store(component, load(component) * inverse);
        }
    }
}

// Position of a distance on the spline grid, and the cubic Hermite polynomials there (de Boor, A Practical Guide to
// Splines, 1978, ch. IV) with their derivatives.
template <class Number>
ALWAYS_INLINE void spline_point(Number t, Number per_step, Number (&value)[4], Number (&slope)[4]) {
    const Number u = 1 - t;
    value[0] = (1 + 2 * t) * u * u;  // of left value, left derivative, right value, right derivative
    value[1] = t * u * u;
    value[2] = t * t * (3 - 2 * t);
    value[3] = -t * t * u;
    slope[0] = -6 * t * u * per_step;
    slope[1] = u * (1 - 3 * t) * per_step;
    slope[2] = 6 * t * u * per_step;
    slope[3] = t * (3 * t - 2) * per_step;
}

// Values and slopes of all neighbours.  In single precision the table has the cubics themselves: a slope from
// differences of rounded values would have their error divided by the spacing.
template <int VECTORS>
static void radial_functions(const Basis &basis, int centre_species, bool slopes, Environment &environment) {
    constexpr int RADIAL = VECTORS * WIDTH;
    const Real per_step = Real(basis.intervals / basis.cutoff);
    for (int species = 0; species < basis.species; ++species) {
        const size_t pair = size_t(centre_species) * basis.species + species;
#ifdef BEADWISE_SINGLE
        const Real *table = basis.table + pair * (basis.intervals + 1) * 4 * RADIAL;
        const int last = basis.intervals;  // of zeros
#else
        const int last = basis.intervals - 1;
        const Real *table = basis.table + pair * (basis.intervals + 1) * 2 * RADIAL;
#endif
        const Environment::Segment segment = environment.segments[species];
        for (int group = segment.first_group; group < segment.first_group + segment.groups; ++group) {
            const Vector place = load(environment.distance.data() + group * WIDTH) * broadcast(per_step);
            int intervals[WIDTH];
            Vector left;
            UNROLL
            for (int k = 0; k < WIDTH; ++k) {
                intervals[k] = std::min(int(place[k]), last);
                left[k] = Real(intervals[k]);
            }
            const Vector t = place - left;
#ifndef BEADWISE_SINGLE
            Vector of_value[4], of_slope[4];
            spline_point(t, broadcast(per_step), of_value, of_slope);
#endif
            Vector value[VECTORS][WIDTH], slope[VECTORS][WIDTH];
            UNROLL
            for (int k = 0; k < WIDTH; ++k) {
                UNROLL
                for (int v = 0; v < VECTORS; ++v) {
#ifdef BEADWISE_SINGLE
                    const Real *cubic = table + size_t(intervals[k]) * 4 * RADIAL + v * WIDTH;
                    const Vector own = broadcast(t[k]), third = load(cubic + 3 * RADIAL);
                    const Vector second = load(cubic + 2 * RADIAL) + own * third;
                    const Vector first = load(cubic + RADIAL) + own * second;
                    value[v][k] = load(cubic) + own * first;
                    slope[v][k] = (first + own * (second + own * third)) * broadcast(per_step);
#else
                    const Real *node = table + size_t(intervals[k]) * 2 * RADIAL + v * WIDTH;
                    value[v][k] = slope[v][k] = broadcast(0.0);
                    UNROLL
                    for (int part = 0; part < 4; ++part) {
                        const Vector coefficient = load(node + part * RADIAL);
                        value[v][k] += broadcast(of_value[part][k]) * coefficient;
                        slope[v][k] += broadcast(of_slope[part][k]) * coefficient;
                    }
#endif
                    store(environment.values.data() + (group * WIDTH + k) * RADIAL + v * WIDTH, value[v][k]);
                }
            }
            if (!slopes) continue;
            UNROLL
            for (int v = 0; v < VECTORS; ++v) {
                transpose(value[v]);
                transpose(slope[v]);
                UNROLL
                for (int k = 0; k < WIDTH; ++k) {
                    const size_t place = (size_t(group) * RADIAL + v * WIDTH + k) * WIDTH;
                    store(environment.values_by_lane.data() + place, value[v][k]);
                    store(environment.slopes_by_lane.data() + place, slope[v][k]);
                }
            }
        }
    }
}

template <int L>
static __attribute__((noinline)) void angular_functions(Environment &environment) {
    auto *recursion = reinterpret_cast<Harmonics<L> *>(environment.recursion.data());
    const LegendreTables &table = legendre_tables();
    for (int group = 0; group < environment.group_count; ++group) {
        Real *values = environment.harmonic_values.data() + size_t(group) * environment.harmonics_stored * WIDTH;
        Harmonics<L>::evaluate(recursion[group], table, load(environment.x.data() + group * WIDTH),
                               load(environment.y.data() + group * WIDTH), load(environment.z.data() + group * WIDTH),
                               values);
    }
}

// Pair potential φ(r), half of it for each of the two centres that see the pair.
static void pair_potential(const Basis &basis, int centre_species, Environment &environment) {
    environment.pair_energy = 0.0;
    std::fill(environment.pair_slope.begin(), environment.pair_slope.begin() + environment.group_count * WIDTH, 0.0);
    const double per_step = basis.intervals / basis.cutoff;
    for (int species = 0; species < basis.species; ++species) {
        const size_t pair = size_t(centre_species) * basis.species + species;
        const Environment::Segment segment = environment.segments[species];
        const int first = segment.first_group * WIDTH, last = first + segment.groups * WIDTH;
        for (int lane = first; lane < last; ++lane) {
            if (environment.distance[lane] >= basis.pair_cutoff[pair] || environment.atoms[lane] < 0) continue;
            const double place = environment.distance[lane] * per_step;
            const int interval = std::min(int(place), basis.intervals - 1);
            double value[4], slope[4];
            spline_point(place - interval, per_step, value, slope);
            const double *node = basis.pair_table + (pair * (basis.intervals + 1) + interval) * 2;
            UNROLL
            for (int part = 0; part < 4; ++part) {
                environment.pair_energy += 0.5 * value[part] * node[part];
                environment.pair_slope[lane] += 0.5 * slope[part] * node[part];
            }
        }
    }
}
