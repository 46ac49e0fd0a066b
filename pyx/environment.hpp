// The neighbours of one atom, gathered by species into groups of four, with radial functions and harmonics of each.
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
    void (*expand)(const Environment &, const Basis &, const double *values, const double *harmonics, double *density);
    void (*reverse_density)(const Environment &, const Basis &, const double *adjoint, double *gradient_x,
                            double *gradient_y, double *gradient_z);
    void (*surface_gradient)(const Environment &, int group, const double *weights, const UnalignedVector *direction,
                             UnalignedVector *along);
    void (*density_derivative)(const Environment &, int group, int lane, double *weights, double *delta);
    void (*harmonic_tangents)(const Environment &, int group, const Vector *direction, const Vector *motion,
                              double *tangents);
    void (*add_moved_features)(const Head &, const struct CoupledDensity *, int channels, int first_channel,
                               int component, const double *moved, double *out);
};

static Stages stages_of(const Basis &basis);

struct Environment {
    struct Segment {
        int first_group, groups;
    };

    Stages stages;
    int radial, harmonics, harmonics_stored;  // harmonics_stored leaves room for whole register tiles
    int group_count = 0;
    std::vector<Segment> segments;          // per neighbour species
    std::vector<int32_t> atoms;             // per lane; -1 in padding
    std::vector<double> x, y, z, distance;  // per lane; unit vectors once finished
    std::vector<double> values;             // [group][lane][radial]: R_n
    std::vector<double> values_by_lane;     // [group][radial][lane]
    std::vector<double> slopes_by_lane;     // [group][radial][lane]: dR_n/dr
    std::vector<double> harmonic_values;    // [group][harmonics_stored][lane]
    std::vector<unsigned char> recursion;   // [group] of Harmonics<L>, kept for the reverse sweep
    double pair_energy = 0.0;
    std::vector<double> pair_slope;  // per lane: half of dφ/dr
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

// Keep the listed neighbours that are within the cutoff; pad every species to whole groups.
static void gather(const NeighbourList &list, const Basis &basis, int centre, Environment &environment) {
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
            environment.x[lane] = x;
            environment.y[lane] = y;
            environment.z[lane] = z;
            environment.distance[lane] = squared;
            environment.atoms[lane] = entry->atom;
            if (squared < closest_squared) {
                closest_squared = squared;
                environment.closest_atom = entry->atom;
            }
            lane += squared < cutoff_squared;
        }
        while (lane % WIDTH) {  // padding sits on the cutoff, where every radial function vanishes
            environment.x[lane] = environment.y[lane] = 0.0;
            environment.z[lane] = basis.cutoff;
            environment.distance[lane] = cutoff_squared;
            environment.atoms[lane++] = -1;
        }
        environment.segments[species] = {first / WIDTH, (lane - first) / WIDTH};
    }
    environment.group_count = lane / WIDTH;
    environment.closest = std::sqrt(closest_squared);
    for (int group = 0; group < environment.group_count; ++group) {
        double *distance = environment.distance.data() + group * WIDTH;
        Vector squared = load(distance), inverse;
        UNROLL
        for (int k = 0; k < WIDTH; ++k) squared[k] = std::sqrt(squared[k]);
        store(distance, squared);
        inverse = broadcast(1.0) / squared;
        for (auto *axis : {&environment.x, &environment.y, &environment.z}) {
            double *component = axis->data() + group * WIDTH;
            store(component, load(component) * inverse);
        }
    }
}

// Position of a distance on the spline grid, and the cubic Hermite polynomials there (de Boor, A Practical Guide to
// Splines, 1978, ch. IV) with their derivatives.
struct SplinePoint {
    int interval;
    double value[4], slope[4];  // of left value, left derivative, right value, right derivative

    ALWAYS_INLINE SplinePoint at(double distance, double cutoff, int intervals) {
        SplinePoint point;
        const double per_step = intervals / cutoff, place = distance * per_step;
        point.interval = std::min(int(place), intervals - 1);
        const double t = place - point.interval, u = 1.0 - t;
        point.value[0] = (1.0 + 2.0 * t) * u * u;
        point.value[1] = t * u * u;
        point.value[2] = t * t * (3.0 - 2.0 * t);
        point.value[3] = -t * t * u;
        point.slope[0] = -6.0 * t * u * per_step;
        point.slope[1] = u * (1.0 - 3.0 * t) * per_step;
        point.slope[2] = 6.0 * t * u * per_step;
        point.slope[3] = t * (3.0 * t - 2.0) * per_step;
        return point;
    }
};

template <int VECTORS>
static void radial_functions(const Basis &basis, int centre_species, bool slopes, Environment &environment) {
    constexpr int RADIAL = VECTORS * WIDTH;
    for (int species = 0; species < basis.species; ++species) {
        const size_t pair = size_t(centre_species) * basis.species + species;
        const double *table = basis.table + pair * (basis.intervals + 1) * 2 * RADIAL;
        const Environment::Segment segment = environment.segments[species];
        for (int group = segment.first_group; group < segment.first_group + segment.groups; ++group) {
            Vector value[WIDTH][VECTORS], slope[WIDTH][VECTORS];
            UNROLL
            for (int k = 0; k < WIDTH; ++k) {
                const double distance = environment.distance[group * WIDTH + k];
                const SplinePoint point = SplinePoint::at(distance, basis.cutoff, basis.intervals);
                const double *node = table + size_t(point.interval) * 2 * RADIAL;
                UNROLL
                for (int v = 0; v < VECTORS; ++v) {
                    value[k][v] = slope[k][v] = broadcast(0.0);
                    UNROLL
                    for (int part = 0; part < 4; ++part) {
                        const Vector coefficient = load(node + part * RADIAL + v * WIDTH);
                        value[k][v] += broadcast(point.value[part]) * coefficient;
                        slope[k][v] += broadcast(point.slope[part]) * coefficient;
                    }
                    store(environment.values.data() + (group * WIDTH + k) * RADIAL + v * WIDTH, value[k][v]);
                }
            }
            if (!slopes) continue;
            UNROLL
            for (int v = 0; v < VECTORS; ++v) {
                transpose(value[0][v], value[1][v], value[2][v], value[3][v]);
                transpose(slope[0][v], slope[1][v], slope[2][v], slope[3][v]);
                UNROLL
                for (int k = 0; k < WIDTH; ++k) {
                    const size_t place = (size_t(group) * RADIAL + v * WIDTH + k) * WIDTH;
                    store(environment.values_by_lane.data() + place, value[k][v]);
                    store(environment.slopes_by_lane.data() + place, slope[k][v]);
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
        double *values = environment.harmonic_values.data() + size_t(group) * environment.harmonics_stored * WIDTH;
        Harmonics<L>::evaluate(recursion[group], table, load(environment.x.data() + group * WIDTH),
                               load(environment.y.data() + group * WIDTH), load(environment.z.data() + group * WIDTH),
                               values);
    }
}

// Pair potential φ(r), half of it for each of the two centres that see the pair.
static void pair_potential(const Basis &basis, int centre_species, Environment &environment) {
    environment.pair_energy = 0.0;
    std::fill(environment.pair_slope.begin(), environment.pair_slope.begin() + environment.group_count * WIDTH, 0.0);
    for (int species = 0; species < basis.species; ++species) {
        const size_t pair = size_t(centre_species) * basis.species + species;
        const Environment::Segment segment = environment.segments[species];
        const int first = segment.first_group * WIDTH, last = first + segment.groups * WIDTH;
        for (int lane = first; lane < last; ++lane) {
            if (environment.distance[lane] >= basis.pair_cutoff[pair] || environment.atoms[lane] < 0) continue;
            const SplinePoint point = SplinePoint::at(environment.distance[lane], basis.cutoff, basis.intervals);
            const double *node = basis.pair_table + (pair * (basis.intervals + 1) + point.interval) * 2;
            UNROLL
            for (int part = 0; part < 4; ++part) {
                environment.pair_energy += 0.5 * point.value[part] * node[part];
                environment.pair_slope[lane] += 0.5 * point.slope[part] * node[part];
            }
        }
    }
}
