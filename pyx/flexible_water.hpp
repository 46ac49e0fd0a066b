// Water molecules with anharmonic bonds, a harmonic angle, three point charges and one Lennard-Jones centre.
// No include guard: water.hpp includes it once per instruction set.
//
// Atoms are O, H, H molecule by molecule.  The negative charge is at M = O + weight · (h1 + h2), h the bonds from
// O to H.

class FlexibleWater {
public:
    explicit FlexibleWater(const WaterTask &task_in)
        : task(task_in), law(*task_in.law), coulomb(law.coulomb_constant, law.splitting, law.highest_wave) {
        const double shares[3] = {-2 * law.hydrogen_charge, law.hydrogen_charge, law.hydrogen_charge};
        for (int molecule = 0; molecule < task.molecules; ++molecule) charges.insert(charges.end(), shares, shares + 3);
        bonds.resize(6 * size_t(task.molecules));
        centres.resize(3 * size_t(task.molecules));
        offsets.resize(9 * size_t(task.molecules));
    }

    void evaluate(int bead) {
        const double *positions = task.positions + 9 * size_t(task.molecules) * bead;
        const Lattice lattice(task.cells + 9 * size_t(bead), task.periodic);
        if (task.periodic && !(lattice.lowest() >= law.lowest_cell)) {
            task.report({bead, -1, -1, lattice.lowest(), WaterFault::FLAT});
            return;
        }
        if (!place_charges(bead, positions, lattice)) return;
        if (task.dipoles) add_dipole(task.dipoles + 3 * size_t(bead));
        if (!task.energies) return;
        double *forces = task.forces + 9 * size_t(task.molecules) * bead, *virial = task.virials + 9 * size_t(bead);
        double energy = 0.0;
        for (int molecule = 0; molecule < task.molecules; ++molecule)
            energy += bend_and_stretch(molecule, forces + 9 * size_t(molecule), virial);
        const ChargeGroups own = {task.molecules, 3, charges.data(), centres.data(), offsets.data()};
        const double reach = split_charges(lattice);
        coulomb.start(own, result);
        for (int molecule = 0; molecule < task.molecules; ++molecule) {
            lattice.find(molecule, centres.data(), task.molecules, reach, near);
            coulomb.add_real_space(own, molecule, near, result);
            energy += add_lennard_jones(molecule, forces);
        }
        if (result.closest.square < law.closest * law.closest) {
            const Closest &pair = result.closest;
            task.report({bead, pair.first, pair.second, std::sqrt(pair.square), WaterFault::OVERLAP});
            return;
        }
        if (task.periodic) {
            coulomb.add_within_groups(own, result);
            coulomb.add_waves(own, lattice, result);
        }
        for (int k = 0; k < 9; ++k) virial[k] += (&result.virial[0][0])[k];
        for (int molecule = 0; molecule < task.molecules; ++molecule)
            share_forces(result.forces.data() + 9 * size_t(molecule), forces + 9 * size_t(molecule));
        task.energies[bead] = energy + result.energy;
    }

private:
    // The number of waves is V k³/12π²: with k kept, few molecules in a large cell would have millions of them.  There
    // fewer waves and more of real space give the same sum to the same accuracy; liquids are far denser.
    static constexpr double FEWEST_WAVES = 5000, WAVES_OF_MOLECULE = 200;
    const WaterTask &task;
    const WaterLaw &law;
    PointCharges coulomb;
    ChargeResult result;
    Images near;
    std::vector<double> pulls[3];  // Lennard-Jones forces on the oxygens near one
    std::vector<double> charges;   // [molecules][M, H, H]
    std::vector<double> bonds;     // [molecules][2][3], from O to H, whole however the atoms are wrapped
    std::vector<double> centres;   // [molecules][3], O
    std::vector<double> offsets;   // [molecules][M, H, H][3], from O

    // Splits Ewald's sum for a cell, and returns where its part in real space ends.
    double split_charges(const Lattice &lattice) {
        if (!task.periodic) return law.cutoff;
        constexpr double SPHERE = 12 * 9.86960440108935861883;  // 12π²
        const double decay = law.splitting * law.cutoff;
        const double waves = std::max(FEWEST_WAVES, WAVES_OF_MOLECULE * task.molecules);
        const double reach = 2 * decay * decay / std::cbrt(SPHERE * waves / lattice.volume);
        if (!(reach > law.cutoff)) {
            coulomb.split_at(law.splitting, law.highest_wave);
            return law.cutoff;
        }
        coulomb.split_at(decay / reach, 2 * decay * decay / reach);
        return reach;
    }

    bool place_charges(int bead, const double *positions, const Lattice &lattice) {
        for (int molecule = 0; molecule < task.molecules; ++molecule) {
            const double *oxygen = positions + 9 * size_t(molecule);
            double *bond = &bonds[6 * size_t(molecule)], *offset = &offsets[9 * size_t(molecule)];
            for (int hydrogen = 0; hydrogen < 2; ++hydrogen, bond += 3) {
                for (int axis = 0; axis < 3; ++axis) bond[axis] = oxygen[3 * (hydrogen + 1) + axis] - oxygen[axis];
                lattice.fold(bond);
                const double square = Lattice::inner(bond, bond);
                if (!(square <= law.longest_bond * law.longest_bond)) {
                    const int atom = 3 * molecule;
                    task.report({bead, atom, atom + 1 + hydrogen, std::sqrt(square), WaterFault::BROKEN});
                    return false;
                }
            }
            bond -= 6;
            for (int axis = 0; axis < 3; ++axis) {
                centres[3 * size_t(molecule) + axis] = oxygen[axis];
                offset[axis] = law.site_weight * (bond[axis] + bond[3 + axis]);
                offset[3 + axis] = bond[axis];
                offset[6 + axis] = bond[3 + axis];
            }
        }
        return true;
    }

    void add_dipole(double *dipole) const {
        for (size_t k = 0; k < offsets.size(); ++k) dipole[k % 3] += charges[k / 3] * offsets[k];
    }

    // Quartic bonds and the harmonic angle of one molecule.
    double bend_and_stretch(int molecule, double *forces, double *virial) const {
        const double *bond = &bonds[6 * size_t(molecule)];
        double energy = 0.0, length[2], pull[2][3];
        for (int h = 0; h < 2; ++h) {
            length[h] = std::sqrt(Lattice::inner(bond + 3 * h, bond + 3 * h));
            const double x = law.bond_exponent * (length[h] - law.bond_length);
            energy += law.bond_depth * x * x * (1 - x + 7.0 / 12.0 * x * x);
            const double slope = law.bond_depth * law.bond_exponent * x * (2 - 3 * x + 7.0 / 3.0 * x * x);
            for (int axis = 0; axis < 3; ++axis) pull[h][axis] = -slope * bond[3 * h + axis] / length[h];
        }
        double across[3];
        Lattice::cross(bond, bond + 3, across);
        const double inner = Lattice::inner(bond, bond + 3), area = std::sqrt(Lattice::inner(across, across));
        const double excess = std::atan2(area, inner) - law.angle;
        energy += 0.5 * law.angle_stiffness * excess * excess;
        // ∂θ/∂h1 = (h1 (h1·h2)/|h1|² − h2)/|h1 × h2|; a straight molecule has no direction to bend in and gets no
        // torque.
        const double torque = area > 0 ? law.angle_stiffness * excess / area : 0.0;
        for (int h = 0; h < 2; ++h)
            for (int axis = 0; axis < 3; ++axis)
                pull[h][axis] -=
                    torque * (bond[3 * h + axis] * inner / (length[h] * length[h]) - bond[3 * (1 - h) + axis]);
        for (int h = 0; h < 2; ++h)
            for (int axis = 0; axis < 3; ++axis) {
                forces[3 * (h + 1) + axis] += pull[h][axis];
                forces[axis] -= pull[h][axis];
                for (int other = 0; other < 3; ++other) virial[3 * axis + other] += pull[h][axis] * bond[3 * h + other];
            }
        return energy;
    }

    // Lennard-Jones of one oxygen with those near it, times 1 − 10 y³ + 15 y⁴ − 6 y⁵ in the last part before the
    // cutoff.
    double add_lennard_jones(int molecule, double *forces) {
        const Vector zero = {}, one = broadcast(1.0), onset = broadcast(law.cutoff - law.switch_width);
        const double square_of_diameter = law.diameter * law.diameter, square_of_cutoff = law.cutoff * law.cutoff;
        const int padded = (near.count() + WIDTH - 1) / WIDTH * WIDTH;
        for (std::vector<double> &array : pulls) array.resize(std::max(array.size(), size_t(padded)));
        Vector energy = {}, total[3] = {};
        for (int k = 0; k < padded; k += WIDTH) {
            const Vector square = load(&near.square[k]), inverse = 1.0 / square, ratio = square_of_diameter * inverse;
            const Vector sixth = ratio * ratio * ratio, distance = square_root(square);
            const Vector value = 4 * law.well_depth * sixth * (sixth - one);
            const Vector steepness = 24 * law.well_depth * sixth * (2.0 * sixth - one) * inverse;  // −(dE/dr)/r
            const Vector place = (distance - onset) / law.switch_width, y = place > zero ? place : zero;
            const Vector factor = one + y * y * y * (y * (15.0 - 6.0 * y) - 10.0);
            const Vector slope = -30.0 / law.switch_width * y * y * (one - y) * (one - y);
            const Mask within = square < square_of_cutoff;
            const Vector pull = within ? steepness * factor - value * slope / distance : zero;
            energy += within ? value * factor : zero;
            const std::vector<double> *parts[3] = {&near.x, &near.y, &near.z};
            for (int axis = 0; axis < 3; ++axis) {
                const Vector force = pull * load(parts[axis]->data() + k);
                total[axis] += force;
                store(&pulls[axis][k], force);
            }
        }
        for (int axis = 0; axis < 3; ++axis) forces[9 * size_t(molecule) + axis] -= sum(total[axis]);
        for (int image = 0; image < near.count(); ++image)
            for (int axis = 0; axis < 3; ++axis) forces[9 * size_t(near.group[image]) + axis] += pulls[axis][image];
        const double *places[3] = {near.x.data(), near.y.data(), near.z.data()};
        const double *own[3] = {pulls[0].data(), pulls[1].data(), pulls[2].data()};
        add_products(places, own, padded, result.virial);
        return sum(energy);
    }

    // Forces on M, H, H become forces on O, H, H.
    void share_forces(const double *charge_forces, double *forces) const {
        for (int axis = 0; axis < 3; ++axis) {
            const double on_site = charge_forces[axis];
            forces[axis] += (1 - 2 * law.site_weight) * on_site;
            for (int h = 1; h < 3; ++h) forces[3 * h + axis] += charge_forces[3 * h + axis] + law.site_weight * on_site;
        }
    }
};

static void evaluate_water_part(const WaterTask &task, int part, int parts) {
    FlexibleWater water(task);
    for (int bead = part; bead < task.beads; bead += parts) water.evaluate(bead);
}

static void evaluate_charges_part(const ChargeTask &task, int part, int parts) {
    PointCharges coulomb(task.constant, task.splitting, task.highest_wave);
    ChargeResult result;
    Images near;
    const std::vector<double> offsets(3 * size_t(task.count), 0.0);
    for (int bead = part; bead < task.beads; bead += parts) {
        const double *positions = task.positions + 3 * size_t(task.count) * bead;
        const Lattice lattice(task.cells + 9 * size_t(bead), task.periodic);
        const ChargeGroups own = {task.count, 1, task.charges, positions, offsets.data()};
        coulomb.start(own, result);
        for (int charge = 0; charge < task.count; ++charge) {
            lattice.find(charge, positions, task.count, task.cutoff, near);
            coulomb.add_real_space(own, charge, near, result);
        }
        if (task.periodic) {
            coulomb.add_within_groups(own, result);
            coulomb.add_waves(own, lattice, result);
        }
        task.energies[bead] = result.energy;
        std::copy(result.forces.begin(), result.forces.end(), task.forces + 3 * size_t(task.count) * bead);
        std::copy(&result.virial[0][0], &result.virial[0][0] + 9, task.virials + 9 * size_t(bead));
    }
}
