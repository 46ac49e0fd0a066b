// Which instances of the templated loops serve a basis.  Included once per instruction set (see kernel.hpp).

template <int VECTORS, int L>
static void choose_stages(Stages &stages) {
    stages.recursion_bytes = sizeof(Harmonics<L>);
    stages.radial_functions = radial_functions<VECTORS>;
    stages.angular_functions = angular_functions<L>;
    stages.expand = expand<VECTORS>;
    stages.reverse_density = reverse_density<VECTORS, L>;
    stages.surface_gradient = surface_gradient<L>;
#ifndef BEADWISE_SINGLE
    stages.density_derivative = density_derivative<VECTORS, L>;
    stages.harmonic_tangents = harmonic_tangents<L>;
    stages.add_moved_features = add_moved_features<VECTORS>;
#endif
}

template <int VECTORS>
static void choose_stages(int l_max, Stages &stages) {
    switch (l_max) {
        case 0: return choose_stages<VECTORS, 0>(stages);
        case 1: return choose_stages<VECTORS, 1>(stages);
        case 2: return choose_stages<VECTORS, 2>(stages);
        case 3: return choose_stages<VECTORS, 3>(stages);
        case 4: return choose_stages<VECTORS, 4>(stages);
        case 5: return choose_stages<VECTORS, 5>(stages);
        case 6: return choose_stages<VECTORS, 6>(stages);
    }
}

static Stages stages_of(const Basis &basis) {
    Stages stages = {};
    switch (basis.radial / WIDTH) {
        case 1: choose_stages<1>(basis.l_max, stages); break;
        case 2: choose_stages<2>(basis.l_max, stages); break;
#ifndef BEADWISE_SINGLE
        case 3: choose_stages<3>(basis.l_max, stages); break;
        case 4: choose_stages<4>(basis.l_max, stages); break;
#endif
    }
    return stages;
}
