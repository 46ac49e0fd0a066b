// Coulomb energy of neutral groups of point charges, in a lattice (Ewald's sum) or without one (the plain sum).
// No include guard: water.hpp includes it once per instruction set.
//
// With constant C, splitting α, volume V and k = 2π Σ n_d dual_d:
//   E = C Σ_pairs q q (1 − erf α r)/r                       pairs of different groups and images, real space
//     − C Σ_groups Σ_(a<b) q q erf(α r)/r − C α/√π Σ q²     what the waves hold of a group with itself
//     + (2π C/V) Σ_(k≠0) e^(−k²/4α²)/k² |S(k)|²             waves, S(k) = Σ q e^(i k·r)
// Without a lattice α is zero and only the first line is left.

// out[i][j] += Σ a_i b_j, for arrays of whole registers.
static void add_products(const double *const *a, const double *const *b, int padded, double (&out)[3][3]) {
    Vector total[3][3] = {};
    for (int k = 0; k < padded; k += WIDTH) {
        const Vector left[3] = {load(a[0] + k), load(a[1] + k), load(a[2] + k)};
        UNROLL
        for (int j = 0; j < 3; ++j) {
            const Vector right = load(b[j] + k);
            UNROLL
            for (int i = 0; i < 3; ++i) total[i][j] += left[i] * right;
        }
    }
    for (int i = 0; i < 3; ++i)
        for (int j = 0; j < 3; ++j) out[i][j] += sum(total[i][j]);
}

// φ and φ' of the table for four arguments below its end.
ALWAYS_INLINE Vector screening(const double *table, Vector t, Vector &derivative) {
    constexpr double MAGIC = 6755399441055744.0;  // 1.5 · 2^52: a sum with it is rounded to a whole number
    const Vector place = t * broadcast(ScreeningTable::PER_UNIT), shifted = place + broadcast(MAGIC);
    const Vector x = place - (shifted - broadcast(MAGIC));
    Vector low[4], high[4];
    UNROLL
    for (int lane = 0; lane < WIDTH; ++lane) {
        const double *own = table + ScreeningTable::STRIDE * (((Mask)shifted)[lane] & 0xffff);
        low[lane] = load(own);
        high[lane] = load(own + WIDTH);
    }
    transpose(low[0], low[1], low[2], low[3]);
    transpose(high[0], high[1], high[2], high[3]);
    const Vector c1 = low[1], c2 = low[2], c3 = low[3], c4 = high[0], c5 = high[1];
    derivative = (((5.0 * c5 * x + 4.0 * c4) * x + 3.0 * c3) * x + 2.0 * c2) * x + c1;
    derivative *= broadcast(ScreeningTable::PER_UNIT);
    return ((((c5 * x + c4) * x + c3) * x + c2) * x + c1) * x + low[0];
}

// Memory of one thread for one bead after the other.
class PointCharges {
public:
    PointCharges(double constant_in, double splitting_in, double highest_wave_in)
        : constant(constant_in), alpha(splitting_in), highest_wave(highest_wave_in),
          table(ScreeningTable::instance().coefficients()) {}

    // Another splitting than that of the beginning, for the cell that comes next.
    void split_at(double splitting_in, double highest_wave_in) {
        alpha = splitting_in;
        highest_wave = highest_wave_in;
    }

    void start(const ChargeGroups &own, ChargeResult &result) const {
        result.energy = 0.0;
        std::fill(&result.virial[0][0], &result.virial[0][0] + 9, 0.0);
        result.forces.assign(size_t(own.groups) * own.size * 3, 0.0);
        result.closest = Closest();
    }

    // Interactions of one group with those that Lattice::find has found.
    void add_real_space(const ChargeGroups &own, int group, const Images &near, ChargeResult &result) {
        const int count = near.count() * own.size, padded = (count + WIDTH - 1) / WIDTH * WIDTH;
        if (!count) return;
        gather(own, near, padded);
        Vector energy = {}, closest = broadcast(1e300);
        for (int site = 0; site < own.size; ++site) {
            const int index = group * own.size + site;
            const double *place = own.offsets + 3 * size_t(index);
            double force[3];
            energy += add_row(place, constant * own.charges[index], padded, force, closest);
            for (int axis = 0; axis < 3; ++axis) {
                result.forces[3 * size_t(index) + axis] += force[axis];
                for (int other = 0; other < 3; ++other) result.virial[axis][other] += place[axis] * force[other];
            }
        }
        result.energy += sum(energy);
        scatter(own, near, padded, result);
        for (int lane = 0; lane < WIDTH; ++lane)
            if (closest[lane] < result.closest.square) find_closest(own, group, near, closest[lane], result.closest);
    }

    // Takes away what the waves hold of each group with itself.
    void add_within_groups(const ChargeGroups &own, ChargeResult &result) const {
        const ScreeningTable &screened = ScreeningTable::instance();
        for (int group = 0; group < own.groups; ++group)
            for (int a = 0; a < own.size; ++a) {
                const size_t first = size_t(group) * own.size + a;
                result.energy -= constant * alpha * INVERSE_ROOT_PI * own.charges[first] * own.charges[first];
                for (int b = a + 1; b < own.size; ++b) {
                    const size_t second = size_t(group) * own.size + b;
                    double d[3], derivative;
                    for (int axis = 0; axis < 3; ++axis)
                        d[axis] = own.offsets[3 * second + axis] - own.offsets[3 * first + axis];
                    const double product = constant * own.charges[first] * own.charges[second] * alpha;
                    const double t = alpha * alpha * Lattice::inner(d, d);
                    result.energy -= product * screened.value(t, derivative);
                    add_pair(first, second, d, 2 * product * alpha * alpha * derivative, result);
                }
            }
    }

    void add_waves(const ChargeGroups &own, const Lattice &lattice, ChargeResult &result) {
        waves.add(own, lattice, constant, alpha, highest_wave, result.energy, result.virial, result.forces.data());
    }

private:
    static constexpr double INVERSE_ROOT_PI = 0.56418958354775628695;
    double constant, alpha, highest_wave;
    const double *table;
    std::vector<double> x, y, z, charge, force_x, force_y, force_z;  // of the charges near one group
    Waves waves;

    void gather(const ChargeGroups &own, const Images &near, int padded) {
        for (std::vector<double> *array : {&x, &y, &z, &charge, &force_x, &force_y, &force_z})
            if (int(array->size()) < padded) array->resize(2 * padded);
        int place = 0;
        for (int image = 0; image < near.count(); ++image)
            for (int site = 0; site < own.size; ++site, ++place) {
                const size_t index = size_t(near.group[image]) * own.size + site;
                x[place] = near.x[image] + own.offsets[3 * index];
                y[place] = near.y[image] + own.offsets[3 * index + 1];
                z[place] = near.z[image] + own.offsets[3 * index + 2];
                charge[place] = own.charges[index];
            }
        for (; place < padded; ++place) {
            x[place] = y[place] = z[place] = 1e6;
            charge[place] = 0.0;
        }
        for (std::vector<double> *array : {&force_x, &force_y, &force_z})
            std::fill(array->begin(), array->begin() + padded, 0.0);
    }

    // One charge with all that were gathered: forces on them are added, the force on the one is returned.
    Vector add_row(const double *place, double scaled_charge, int padded, double *force, Vector &closest) {
        const Vector x0 = broadcast(place[0]), y0 = broadcast(place[1]), z0 = broadcast(place[2]);
        const Vector end = broadcast(ScreeningTable::END - 1.0), zero = {};
        const double square_of_alpha = alpha * alpha;
        Vector energy = {}, total_x = {}, total_y = {}, total_z = {};
        for (int k = 0; k < padded; k += WIDTH) {
            const Vector dx = load(&x[k]) - x0, dy = load(&y[k]) - y0, dz = load(&z[k]) - z0;
            const Vector square = dx * dx + dy * dy + dz * dz;
            closest = square < closest ? square : closest;
            Vector t = square_of_alpha * square, derivative;
            const Mask within = t < end;
            t = within ? t : zero;
            const Vector long_range = alpha * screening(table, t, derivative);
            const Vector inverse = 1.0 / square_root(square), inverse_square = inverse * inverse;
            const Vector product = within ? scaled_charge * load(&charge[k]) : zero;
            energy += product * (inverse - long_range);
            const Vector pull = product * (inverse * inverse_square + 2.0 * alpha * square_of_alpha * derivative);
            const Vector fx = pull * dx, fy = pull * dy, fz = pull * dz;
            store(&force_x[k], load(&force_x[k]) + fx);
            store(&force_y[k], load(&force_y[k]) + fy);
            store(&force_z[k], load(&force_z[k]) + fz);
            total_x += fx;
            total_y += fy;
            total_z += fz;
        }
        force[0] = -sum(total_x);
        force[1] = -sum(total_y);
        force[2] = -sum(total_z);
        return energy;
    }

    void scatter(const ChargeGroups &own, const Images &near, int padded, ChargeResult &result) const {
        const double *places[3] = {x.data(), y.data(), z.data()};
        const double *forces[3] = {force_x.data(), force_y.data(), force_z.data()};
        add_products(places, forces, padded, result.virial);
        int place = 0;
        for (int image = 0; image < near.count(); ++image) {
            double *out = result.forces.data() + 3 * size_t(near.group[image]) * own.size;
            for (int site = 0; site < own.size; ++site, ++place, out += 3) {
                out[0] += force_x[place];
                out[1] += force_y[place];
                out[2] += force_z[place];
            }
        }
    }

    // Which pair it was, once the distance is known to be the shortest so far.
    void find_closest(const ChargeGroups &own, int group, const Images &near, double square, Closest &closest) const {
        closest.square = square;
        double shortest = 1e300;
        for (int site = 0; site < own.size; ++site)
            for (int place = 0; place < near.count() * own.size; ++place) {
                const int first = group * own.size + site;
                const double *origin = own.offsets + 3 * size_t(first);
                const double d[3] = {x[place] - origin[0], y[place] - origin[1], z[place] - origin[2]};
                if (Lattice::inner(d, d) < shortest) {
                    shortest = Lattice::inner(d, d);
                    closest.first = first;
                    closest.second = near.group[place / own.size] * own.size + place % own.size;
                }
            }
    }

    // Adds a force of pull · d to the second charge, and its opposite to the first; d points from first to second.
    static void add_pair(size_t first, size_t second, const double *d, double pull, ChargeResult &result) {
        for (int axis = 0; axis < 3; ++axis) {
            const double force = pull * d[axis];
            result.forces[3 * second + axis] += force;
            result.forces[3 * first + axis] -= force;
            for (int other = 0; other < 3; ++other) result.virial[axis][other] += force * d[other];
        }
    }
};
