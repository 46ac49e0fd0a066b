// The density as a function by itself, for fitting what reads it elsewhere: its product with a given adjoint (reverse
// mode) and with a given displacement of the atoms (forward mode).
// Included once per instruction set (see kernel.hpp).

// Directional derivatives Ẏ_lm of the harmonics of one group, where its unit vectors move by (ẋ, ẏ, ż).
template <int L>
static void harmonic_tangents(const Environment &environment, int group, const Vector *direction, const Vector *motion,
                              double *tangents) {
    const auto &recursion = reinterpret_cast<const Harmonics<L> *>(environment.recursion.data())[group];
    const LegendreTables &table = legendre_tables();
    const Vector x = direction[0], y = direction[1];
    Vector cosine[L + 1], sine[L + 1];
    cosine[0] = sine[0] = broadcast(0.0);
    UNROLL
    for (int m = 1; m <= L; ++m) {
        cosine[m] = motion[0] * recursion.cosine[m - 1] - motion[1] * recursion.sine[m - 1] + x * cosine[m - 1] -
                    y * sine[m - 1];
        sine[m] = motion[0] * recursion.sine[m - 1] + motion[1] * recursion.cosine[m - 1] + x * sine[m - 1] +
                  y * cosine[m - 1];
    }
    UNROLL
    for (int l = 0; l <= L; ++l) {
        const UnalignedVector *row = recursion.legendre + l * (l + 1) / 2;
        double *centre = tangents + (l * (l + 1)) * WIDTH;
        UNROLL
        for (int m = 0; m <= l; ++m) {
            const Vector slope = m < l ? broadcast(table.slope[l][m]) * row[m + 1] * motion[2] : broadcast(0.0);
            if (m == 0) {
                store(centre, slope);
                continue;
            }
            store(centre + m * WIDTH, slope * recursion.cosine[m] + row[m] * cosine[m]);
            store(centre - m * WIDTH, slope * recursion.sine[m] + row[m] * sine[m]);
        }
    }
}

// What the neighbours of a moving environment need beyond what it holds at rest.
struct MovingEnvironment {
    std::vector<double> harmonic_tangents;  // [group][harmonics_stored][lane]: Ẏ_lm
    std::vector<double> radial_tangents;    // [group][lane][radial]: dR_n/dr · ṙ
    std::vector<double> density;            // of either, to be added

    void size_for(const Environment &environment, const Basis &basis) {
        harmonic_tangents.assign(environment.harmonic_values.size(), 0.0);
        radial_tangents.resize(environment.values.size());
        density.resize(size_t(basis.harmonics()) * basis.channels());
    }
};

// Displacement of each neighbour relative to the centre in one group: v_j − v_i + ε r_ij.
ALWAYS_INLINE void relative_motion(const Environment &environment, int group, const double *displacements,
                                   const double *own, const double *strain, Vector *motion) {
    UNROLL
    for (int k = 0; k < WIDTH; ++k) {
        const int lane = group * WIDTH + k, atom = environment.atoms[lane];
        const double length = environment.distance[lane];
        const double arm[3] = {environment.x[lane] * length, environment.y[lane] * length,
                               environment.z[lane] * length};
        for (int axis = 0; axis < 3; ++axis) {
            double moved = 0.0;
            if (atom >= 0) {
                moved = displacements[3 * size_t(atom) + axis] - own[axis];
                for (int q = 0; q < 3; ++q) moved += strain[3 * axis + q] * arm[q];
            }
            motion[axis][k] = moved;
        }
    }
}

// ċ[lm][channel] = Σ_j (R_n' ṙ Y_lm + R_n Ẏ_lm) for given displacements of all atoms and a strain.
static void density_tangent(const Environment &environment, const Basis &basis, int centre, const double *displacements,
                            const double *strain, MovingEnvironment &moving, double *tangent) {
    const int radial_count = environment.radial;
    const int stride = environment.harmonics_stored * WIDTH;
    for (int group = 0; group < environment.group_count; ++group) {
        const int lane = group * WIDTH;
        const Vector direction[3] = {load(environment.x.data() + lane), load(environment.y.data() + lane),
                                     load(environment.z.data() + lane)};
        Vector motion[3];
        relative_motion(environment, group, displacements, displacements + 3 * size_t(centre), strain, motion);
        const Vector speed = motion[0] * direction[0] + motion[1] * direction[1] + motion[2] * direction[2];
        const Vector inverse = broadcast(1.0) / load(environment.distance.data() + lane);
        for (int axis = 0; axis < 3; ++axis) motion[axis] = (motion[axis] - speed * direction[axis]) * inverse;
        environment.stages.harmonic_tangents(environment, group, direction, motion,
                                             moving.harmonic_tangents.data() + size_t(group) * stride);
        for (int v = 0; v < radial_count / WIDTH; ++v) {
            Vector slope[WIDTH];
            UNROLL
            for (int k = 0; k < WIDTH; ++k)
                slope[k] = speed * load(environment.slopes_by_lane.data() +
                                        (size_t(group) * radial_count + v * WIDTH + k) * WIDTH);
            transpose(slope[0], slope[1], slope[2], slope[3]);
            UNROLL
            for (int k = 0; k < WIDTH; ++k)
                store(moving.radial_tangents.data() + size_t(group * WIDTH + k) * radial_count + v * WIDTH, slope[k]);
        }
    }
    environment.stages.expand(environment, basis, environment.values.data(), moving.harmonic_tangents.data(), tangent);
    environment.stages.expand(environment, basis, moving.radial_tangents.data(), environment.harmonic_values.data(),
                              moving.density.data());
    for (size_t k = 0; k < moving.density.size(); ++k) tangent[k] += moving.density[k];
}

static void differentiate_part(const DensityTask &task, size_t begin, size_t end) {
    const Basis &basis = *task.basis;
    const size_t size = size_t(basis.harmonics()) * basis.channels();
    Workspace workspace;
    workspace.size_for(basis, {}, task.most_neighbours, 1);
    MovingEnvironment moving;
    moving.size_for(workspace.environment, basis);
    std::vector<double> gradients(size_t(task.atoms) * 3), strains(9);
    for (size_t index = begin; index < end;) {
        const int bead = int(index / task.atoms);
        const size_t bead_end = std::min(end, size_t(bead + 1) * task.atoms);
        std::fill(gradients.begin(), gradients.end(), 0.0);
        std::fill(strains.begin(), strains.end(), 0.0);
        for (; index < bead_end; ++index) {
            const int atom = int(index - size_t(bead) * task.atoms);
            Environment &environment = workspace.environment;
            gather(*task.lists[bead], basis, atom, environment);
            environment.stages.radial_functions(basis, task.species[atom], true, environment);
            environment.stages.angular_functions(environment);
            if (task.tangent)
                density_tangent(environment, basis, atom, task.displacements + size_t(bead) * task.atoms * 3,
                                task.strain_displacements + size_t(bead) * 9, moving, task.tangent + index * size);
            if (task.adjoint) {
                environment.stages.reverse_density(environment, basis, task.adjoint + index * size,
                                                   workspace.gradient_x.data(), workspace.gradient_y.data(),
                                                   workspace.gradient_z.data());
                scatter_gradient(environment, atom, workspace, 0.0, gradients.data(), strains.data());
            }
        }
        if (task.adjoint) task.add_gradients(bead, gradients.data(), strains.data());
    }
}
