// Energy of ions with shells and its gradient: Ewald's sum, repulsion of Buckingham's form, anharmonic springs.
//
// An atom is a core and a shell of opposite charges.  Lengths are in Å, energies in eV, charges in e.  A gradient takes
// two passes: `crystal_place` does all that depends on the cores and the cell alone, `crystal_gradient` the rest, so
// that shells can be relaxed at the price of what depends on them.

#include <algorithm>
#include <array>
#include <cmath>
#include <complex>
#include <vector>

namespace {

constexpr double COULOMB = 14.399645478;  // e²/4πε₀ in eV Å
constexpr double PI = 3.14159265358979323846;
constexpr double CUTOFF = 8.0;               // of pairs, for Buckingham's form part of the model
constexpr double ALPHA = 0.55;               // erfc(α · cutoff) is 4e-10
constexpr double LONGEST = 2 * ALPHA * 4.4;  // of wave vectors in 1/Å
constexpr double LARGEST = 0.4;              // Å, of the displacement of a shell
constexpr double CLOSEST = 0.5;              // Å, of two charges of different atoms
constexpr int BINS = 3072;

using Vector = std::array<double, 3>;
using Complex = std::complex<double>;

Vector operator+(const Vector &a, const Vector &b) { return {a[0] + b[0], a[1] + b[1], a[2] + b[2]}; }
Vector operator-(const Vector &a, const Vector &b) { return {a[0] - b[0], a[1] - b[1], a[2] - b[2]}; }
double dot(const Vector &a, const Vector &b) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }

// A function of the distance as cubic Hermite pieces: its slope is that of the pieces, so that forces and energy agree.
struct Table {
    std::vector<std::array<double, 4>> pieces;

    template <class Value, class Slope>
    Table(Value value, Slope slope) : pieces(BINS) {
        const double step = CUTOFF / BINS;
        for (int bin = 0; bin < BINS; ++bin) {
            const double left = std::max(bin * step, 0.8 * CLOSEST), right = left + step;
            const double a = value(left), b = value(right), da = step * slope(left), db = step * slope(right);
            pieces[bin] = {a, da, 3 * (b - a) - 2 * da - db, 2 * (a - b) + da + db};
        }
    }

    // Adds the value to the energy and gives the slope; the distance is below the cutoff.
    double slope(double distance, double factor, double &energy) const {
        const double x = distance * (BINS / CUTOFF);
        const int bin = std::min(static_cast<int>(x), BINS - 1);
        const double t = x - bin;
        const auto &c = pieces[bin];
        energy += factor * (c[0] + t * (c[1] + t * (c[2] + t * c[3])));
        return factor * (c[1] + t * (2 * c[2] + t * 3 * c[3])) * (BINS / CUTOFF);
    }
};

const Table &coulomb() {
    static const Table table([](double r) { return COULOMB * std::erfc(ALPHA * r) / r; },
                             [](double r) {
                                 const double gauss = 2 * ALPHA / std::sqrt(PI) * std::exp(-ALPHA * ALPHA * r * r);
                                 return -COULOMB * (std::erfc(ALPHA * r) / r + gauss) / r;
                             });
    return table;
}

// A exp(-r/ρ) - C/r⁶, shifted so that value and slope are zero at the cutoff.
Table buckingham(double strength, double range, double attraction) {
    const auto value = [=](double r) { return strength * std::exp(-r / range) - attraction / std::pow(r, 6); };
    const auto slope = [=](double r) {
        return -strength / range * std::exp(-r / range) + 6 * attraction / std::pow(r, 7);
    };
    const double last = value(CUTOFF), last_slope = slope(CUTOFF);
    return Table([=](double r) { return value(r) - last - last_slope * (r - CUTOFF); },
                 [=](double r) { return slope(r) - last_slope; });
}

struct Pair {
    int first, second;
    Vector between;  // from the core of the image of the second to that of the first
};

struct Wave {
    int n[3];
    Vector k;
    double weight;  // of |S|²
    Complex cores;  // their part of S
};

struct Gradient {
    double energy = 0;
    std::vector<Vector> cores, shells;
    double strain[3][3] = {};

    void pair(Vector &first, Vector &second, const Vector &r, double slope_over_distance) {
        for (int a = 0; a < 3; ++a) {
            const double part = slope_over_distance * r[a];
            first[a] += part;
            second[a] -= part;
            for (int b = 0; b < 3; ++b) strain[a][b] += part * r[b];
        }
    }
};

// exp(2πi n s) of every point for n from -most to most.
struct Powers {
    int most;
    std::vector<std::vector<Complex>> of;
    Powers(int most, const std::vector<double> &fractions) : most(most), of(2 * most + 1) {
        const size_t points = fractions.size();
        for (auto &row : of) row.assign(points, 1.0);
        for (size_t i = 0; i < points; ++i) {
            const Complex unit = std::polar(1.0, 2 * PI * fractions[i]);
            for (int n = 1; n <= most; ++n) {
                of[most + n][i] = of[most + n - 1][i] * unit;
                of[most - n][i] = std::conj(of[most + n][i]);
            }
        }
    }
    const std::vector<Complex> &operator[](int n) const { return of[most + n]; }
};

struct Crystal {
    int atoms;
    std::vector<double> core_charge, shell_charge, spring, stiffening;
    std::vector<int> kind;  // of species
    int kinds;
    std::vector<Table> tables;  // of repulsion, for each pair of kinds
    std::vector<bool> repels;

    double volume = 0, inverse[3][3], reciprocal[3][3];
    int most[3];
    std::vector<Vector> positions;
    std::vector<Pair> pairs;
    std::vector<Wave> waves;
    bool refused = false;

    void place(const double *cell, const double *cores);
    void find_pairs(const double *cell);
    void find_waves(const double *cell);
    void phases(const std::vector<Vector> &points, std::vector<Complex> &out) const;
    void near(const std::vector<Vector> &shells, bool whole, Gradient &g);
    void own(const std::vector<Vector> &shells, Gradient &g);
    void far(const std::vector<Vector> &shells, bool whole, Gradient &g) const;
    void add_waves(const std::vector<Complex> &phase, const std::vector<double> &charge,
                   const std::vector<Complex> &structure, std::vector<Vector> &out) const;
};

void Crystal::place(const double *cell, const double *cores) {
    const auto minor = [&](int i, int j) {
        const int a = (i + 1) % 3, b = (i + 2) % 3, c = (j + 1) % 3, d = (j + 2) % 3;
        return cell[3 * a + c] * cell[3 * b + d] - cell[3 * a + d] * cell[3 * b + c];
    };
    double determinant = 0;
    for (int j = 0; j < 3; ++j) determinant += cell[j] * minor(0, j);
    for (int i = 0; i < 3; ++i)
        for (int j = 0; j < 3; ++j) {
            inverse[j][i] = minor(i, j) / determinant;
            reciprocal[i][j] = 2 * PI * minor(i, j) / determinant;
        }
    volume = std::abs(determinant);
    positions.resize(atoms);
    for (int i = 0; i < atoms; ++i) positions[i] = {cores[3 * i], cores[3 * i + 1], cores[3 * i + 2]};
    find_pairs(cell);
    find_waves(cell);
}

// Pairs of atoms, each once, also of an atom with its own images.
void Crystal::find_pairs(const double *cell) {
    pairs.clear();
    const double reach = CUTOFF + 2 * LARGEST;
    int images[3];
    for (int a = 0; a < 3; ++a) {
        const double height = 1 / std::sqrt(inverse[0][a] * inverse[0][a] + inverse[1][a] * inverse[1][a] +
                                            inverse[2][a] * inverse[2][a]);
        images[a] = static_cast<int>(reach / height + 0.5);  // from a difference that is reduced to half a cell
    }
    std::vector<Vector> shifts;
    std::vector<bool> positive;
    for (int i = -images[0]; i <= images[0]; ++i)
        for (int j = -images[1]; j <= images[1]; ++j)
            for (int k = -images[2]; k <= images[2]; ++k) {
                Vector shift;
                for (int b = 0; b < 3; ++b) shift[b] = i * cell[b] + j * cell[3 + b] + k * cell[6 + b];
                shifts.push_back(shift);
                positive.push_back(i > 0 || (i == 0 && (j > 0 || (j == 0 && k > 0))));
            }
    for (int i = 0; i < atoms; ++i)
        for (int j = i; j < atoms; ++j) {
            Vector between = positions[i] - positions[j];
            for (int a = 0; a < 3; ++a) {
                const double whole =
                    std::round(between[0] * inverse[0][a] + between[1] * inverse[1][a] + between[2] * inverse[2][a]);
                for (int b = 0; b < 3; ++b) between[b] -= whole * cell[3 * a + b];
            }
            for (size_t m = 0; m < shifts.size(); ++m) {
                if (i == j && !positive[m]) continue;
                const Vector r = between + shifts[m];
                if (dot(r, r) < reach * reach) pairs.push_back({i, j, r});
            }
        }
}

void Crystal::find_waves(const double *cell) {
    waves.clear();
    for (int a = 0; a < 3; ++a) {
        const double length = std::sqrt(cell[3 * a] * cell[3 * a] + cell[3 * a + 1] * cell[3 * a + 1] +
                                        cell[3 * a + 2] * cell[3 * a + 2]);
        most[a] = static_cast<int>(std::ceil(LONGEST * length / (2 * PI)));
    }
    for (int i = 0; i <= most[0]; ++i)
        for (int j = i ? -most[1] : 0; j <= most[1]; ++j)
            for (int l = i || j ? -most[2] : 1; l <= most[2]; ++l) {
                Vector k;
                for (int b = 0; b < 3; ++b) k[b] = i * reciprocal[0][b] + j * reciprocal[1][b] + l * reciprocal[2][b];
                const double square = dot(k, k);
                if (square >= LONGEST * LONGEST) continue;
                const double weight = COULOMB * 4 * PI / volume * std::exp(-square / (4 * ALPHA * ALPHA)) / square;
                waves.push_back({{i, j, l}, k, weight, 0});
            }
    std::vector<Complex> phase;
    phases(positions, phase);
    for (size_t m = 0; m < waves.size(); ++m)
        for (int i = 0; i < atoms; ++i) waves[m].cores += core_charge[i] * phase[m * atoms + i];
}

// exp(ik·r), all points of one wave after another.
void Crystal::phases(const std::vector<Vector> &points, std::vector<Complex> &out) const {
    std::vector<Powers> powers;
    std::vector<double> fractions(atoms);
    for (int a = 0; a < 3; ++a) {
        for (int i = 0; i < atoms; ++i)
            fractions[i] = points[i][0] * inverse[0][a] + points[i][1] * inverse[1][a] + points[i][2] * inverse[2][a];
        powers.emplace_back(most[a], fractions);
    }
    out.resize(waves.size() * atoms);
    std::vector<Complex> product(atoms);
    int i = -1, j = 0;
    for (size_t m = 0; m < waves.size(); ++m) {
        const auto &n = waves[m].n;
        if (n[0] != i || n[1] != j) {
            i = n[0], j = n[1];
            for (int p = 0; p < atoms; ++p) product[p] = powers[0][i][p] * powers[1][j][p];
        }
        const auto &last = powers[2][n[2]];
        for (int p = 0; p < atoms; ++p) out[m * atoms + p] = product[p] * last[p];
    }
}

void Crystal::near(const std::vector<Vector> &shells, bool whole, Gradient &g) {
    const Table &charges = coulomb();
    for (const Pair &pair : pairs) {
        const int i = pair.first, j = pair.second;
        const auto act = [&](const Vector &r, double charge, const Table *repulsion, Vector &first, Vector &second) {
            const double square = dot(r, r);
            if (square >= CUTOFF * CUTOFF) return;
            const double distance = std::sqrt(square);
            if (distance < CLOSEST) refused = true;
            double slope = charges.slope(distance, charge, g.energy);
            if (repulsion) slope += repulsion->slope(distance, 1.0, g.energy);
            g.pair(first, second, r, slope / distance);
        };
        const int both = kind[i] * kinds + kind[j];
        const Vector from_first = pair.between + shells[i];
        act(from_first - shells[j], shell_charge[i] * shell_charge[j], repels[both] ? &tables[both] : nullptr,
            g.shells[i], g.shells[j]);
        act(from_first, shell_charge[i] * core_charge[j], nullptr, g.shells[i], g.cores[j]);
        act(pair.between - shells[j], core_charge[i] * shell_charge[j], nullptr, g.cores[i], g.shells[j]);
        if (whole) act(pair.between, core_charge[i] * core_charge[j], nullptr, g.cores[i], g.cores[j]);
    }
}

// Springs, and what the waves have too much: each charge with itself, each core with its own shell.
void Crystal::own(const std::vector<Vector> &shells, Gradient &g) {
    const double peak = 2 * ALPHA / std::sqrt(PI);
    for (int i = 0; i < atoms; ++i) {
        const double square = dot(shells[i], shells[i]), distance = std::sqrt(square), z = ALPHA * distance;
        if (!(distance < LARGEST)) refused = true;
        double value, slope_over_distance;  // of erf(α t) / t
        if (z < 0.05) {                     // the series, whose next terms are below 1e-12
            const double y = z * z;
            value = peak * (1 - y / 3 + y * y / 10 - y * y * y / 42);
            slope_over_distance = peak * ALPHA * ALPHA * (-2.0 / 3 + y * 2 / 5 - y * y / 7 + y * y * y / 27);
        } else {
            value = std::erf(z) / distance;
            slope_over_distance = (peak * std::exp(-z * z) - value) / square;
        }
        const double charges = COULOMB * core_charge[i] * shell_charge[i];
        g.energy += square * (spring[i] / 2 + stiffening[i] * square / 24) - charges * value;
        g.energy -=
            COULOMB * ALPHA / std::sqrt(PI) * (core_charge[i] * core_charge[i] + shell_charge[i] * shell_charge[i]);
        const double slope = spring[i] + stiffening[i] * square / 6 - charges * slope_over_distance;
        g.pair(g.shells[i], g.cores[i], shells[i], slope);
    }
}

void Crystal::far(const std::vector<Vector> &shells, bool whole, Gradient &g) const {
    std::vector<Vector> points(atoms);
    for (int i = 0; i < atoms; ++i) points[i] = positions[i] + shells[i];
    std::vector<Complex> phase, structure(waves.size());
    phases(points, phase);
    for (size_t m = 0; m < waves.size(); ++m) {
        Complex sum = waves[m].cores;
        for (int i = 0; i < atoms; ++i) sum += shell_charge[i] * phase[m * atoms + i];
        structure[m] = sum;
        const Vector &k = waves[m].k;
        const double energy = waves[m].weight * std::norm(sum);
        const double slope = 2 * energy * (1 / dot(k, k) + 1 / (4 * ALPHA * ALPHA));
        g.energy += energy;
        for (int a = 0; a < 3; ++a) {
            g.strain[a][a] -= energy;
            for (int b = 0; b < 3; ++b) g.strain[a][b] += slope * k[a] * k[b];
        }
    }
    add_waves(phase, shell_charge, structure, g.shells);
    if (whole) {
        phases(positions, phase);
        add_waves(phase, core_charge, structure, g.cores);
    }
}

void Crystal::add_waves(const std::vector<Complex> &phase, const std::vector<double> &charge,
                        const std::vector<Complex> &structure, std::vector<Vector> &out) const {
    std::vector<double> sums(3 * atoms, 0.0);
    double *x = sums.data(), *y = x + atoms, *z = y + atoms;
    for (size_t m = 0; m < waves.size(); ++m) {
        const Complex s = 2 * waves[m].weight * structure[m];
        const double real = s.real(), imaginary = s.imag();
        const Vector &k = waves[m].k;
        const Complex *own = &phase[m * atoms];
        for (int i = 0; i < atoms; ++i) {
            const double part = own[i].real() * imaginary - own[i].imag() * real;
            x[i] += part * k[0];
            y[i] += part * k[1];
            z[i] += part * k[2];
        }
    }
    for (int i = 0; i < atoms; ++i) out[i] = out[i] + Vector{charge[i] * x[i], charge[i] * y[i], charge[i] * z[i]};
}

}  // namespace

extern "C" {

// per_atom: charge of the core, of the shell, k₂ in eV/Å², k₄ in eV/Å⁴; per_kinds: A in eV, ρ in Å, C in eV Å⁶.
void *crystal_new(int atoms, const int *kind, const double *per_atom, int kinds, const double *per_kinds) {
    auto *crystal = new Crystal;
    crystal->atoms = atoms;
    crystal->kinds = kinds;
    crystal->kind.assign(kind, kind + atoms);
    for (int i = 0; i < atoms; ++i) {
        crystal->core_charge.push_back(per_atom[4 * i]);
        crystal->shell_charge.push_back(per_atom[4 * i + 1]);
        crystal->spring.push_back(per_atom[4 * i + 2]);
        crystal->stiffening.push_back(per_atom[4 * i + 3]);
    }
    for (int both = 0; both < kinds * kinds; ++both) {
        const double *own = per_kinds + 3 * both;
        crystal->repels.push_back(own[0] != 0);
        crystal->tables.push_back(buckingham(own[0], own[1], own[2]));
    }
    return crystal;
}

void crystal_delete(void *crystal) { delete static_cast<Crystal *>(crystal); }

void crystal_place(void *crystal, const double *cell, const double *cores) {
    static_cast<Crystal *>(crystal)->place(cell, cores);
}

// Energy and gradients with shells displaced from their cores; 1 if two charges are too near, or a shell too far from
// its core.  With whole = 0 energy and gradient of the cores lack what does not depend on the shells.
int crystal_gradient(void *handle, const double *displacements, int whole, double *energy, double *cores,
                     double *shells, double *strain) {
    auto &crystal = *static_cast<Crystal *>(handle);
    const int atoms = crystal.atoms;
    std::vector<Vector> own(atoms);
    for (int i = 0; i < atoms; ++i) own[i] = {displacements[3 * i], displacements[3 * i + 1], displacements[3 * i + 2]};
    Gradient g;
    g.cores.assign(atoms, {});
    g.shells.assign(atoms, {});
    crystal.refused = false;
    crystal.near(own, whole, g);
    crystal.own(own, g);
    crystal.far(own, whole, g);
    *energy = g.energy;
    for (int i = 0; i < atoms; ++i)
        for (int a = 0; a < 3; ++a) {
            cores[3 * i + a] = g.cores[i][a];
            shells[3 * i + a] = g.shells[i][a];
        }
    std::copy(&g.strain[0][0], &g.strain[0][0] + 9, strain);
    return crystal.refused;
}
}
