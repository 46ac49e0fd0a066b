// Potentials of charges and dipoles of one bead: the near part, the waves or the mesh, and what is left of each site
// with itself.  No include guard: electrostatics.hpp includes it once per instruction set.

// The long part of columns of moments at fixed positions; to be asked as often as there are moments.
class LongPart {
public:
    LongPart(const MomentTask &task_in, int bead)
        : task(task_in), frame(task.cells + 9 * size_t(bead)), uses_mesh(task.cut.order > 0) {
        const double *positions = task.positions + 3 * size_t(task.sites) * bead;
        if (uses_mesh)
            mesh.prepare(frame, task.cut, positions, task.sites);
        else
            waves.prepare(frame, task.cut, positions, task.sites);
        columns.resize(task.columns);
    }

    // Only the first of the columns are wanted from now on.
    void keep(int count) { columns.resize(count); }

    // Σ over columns; null for charges or dipoles that are none.
    void apply(const double *charges, const double *dipoles, bool seconds, int threads) {
        for (int column = 0; column < int(columns.size()); ++column) {
            LatticeColumn &own = columns[column];
            own.moments.reset(4, task.sites);
            own.potential.reset(DERIVATIVES, task.sites);
            const size_t start = size_t(column) * task.sites;
            if (charges) std::copy_n(charges + start, task.sites, own.moments.row(0));
            for (int site = 0; dipoles && site < task.sites; ++site) {
                const double *p = dipoles + 3 * (start + site);
                for (int d = 0; d < 3; ++d) own.moments.row(1 + d)[site] = inner({p[0], p[1], p[2]}, frame.dual[d]);
            }
        }
        if (uses_mesh)
            mesh.apply(columns, charges, dipoles, seconds, task.pairs > 0, threads);
        else
            waves.apply(columns, charges, dipoles, seconds, threads);
    }

    // Potential and its derivatives by Cartesian coordinates.
    void read(int column, int site, bool seconds, double *out) const {
        constexpr int FIRST[6] = {0, 1, 2, 1, 0, 0}, OTHER[6] = {0, 1, 2, 2, 2, 1};
        const Rows &own = columns[column].potential;
        const Matrix3 &dual = frame.dual;
        std::fill(out, out + DERIVATIVES, 0.0);
        out[0] = own.row(0)[site];
        for (int d = 0; d < 3; ++d)
            for (int x = 0; x < 3; ++x) out[1 + x] += dual[d][x] * own.row(1 + d)[site];
        if (!seconds) return;
        for (int de = 0; de < 6; ++de) {
            const int d = FIRST[de], e = OTHER[de];
            const double value = own.row(4 + de)[site] * (d == e ? 0.5 : 1.0);
            for (int ab = 0; ab < 6; ++ab) {
                const int a = FIRST[ab], b = OTHER[ab];
                out[4 + ab] += value * (dual[d][a] * dual[e][b] + dual[d][b] * dual[e][a]);
            }
        }
    }

    void add_strain(int left, int right, double *strain) const {
        if (uses_mesh)
            mesh.add_strain(left, right, strain);
        else
            waves.add_strain(left, right, strain);
    }

    double volume() const { return frame.volume; }

private:
    const MomentTask &task;
    const Frame frame;
    const bool uses_mesh;
    MomentWaves waves;
    MomentMesh mesh;
    std::vector<LatticeColumn> columns;
};

constexpr double INVERSE_ROOT_PI = 0.56418958354775628695;

// What the waves hold of each site with itself, as derivatives of φ at the site: of its charge, and of its dipole.
struct OwnWaves {
    double charge, dipole;

    explicit OwnWaves(double splitting)
        : charge(2 * splitting * INVERSE_ROOT_PI), dipole(4 * splitting * splitting * splitting * INVERSE_ROOT_PI / 3) {
    }
};

// The wave k = 0 of the near part of charges, which their background holds: −(π/V)[Q/κ² − 2 Q σ_i² − 2 Σ q σ²].
// Widths count only where all three directions have images: without them no background is there.
struct Background {
    double charge = 0.0, widths = 0.0;  // Q, Σ q σ²
    bool counts_widths = false;

    Background(const MomentTask &task, const double *charges) {
        counts_widths = task.widths && task.periodic[0] && task.periodic[1] && task.periodic[2];
        for (int site = 0; charges && site < task.sites; ++site) {
            charge += charges[site];
            if (counts_widths) widths += charges[site] * task.widths[site] * task.widths[site];
        }
    }

    double potential(const MomentTask &task, double volume, int site) const {
        const double kappa = task.cut.splitting, own = counts_widths ? task.widths[site] * task.widths[site] : 0.0;
        return -TWO_PI / 2 / volume * (charge / (kappa * kappa) - 2 * charge * own - 2 * widths);
    }
};

static void add_long_part(const MomentTask &task, int bead, int threads) {
    LongPart part(task, bead);
    const OwnWaves own(task.cut.splitting);
    const size_t start = size_t(bead) * task.columns * task.sites;
    const double *charges = task.charges ? task.charges + start : nullptr;
    const double *dipoles = task.dipoles ? task.dipoles + 3 * start : nullptr;
    part.apply(charges, dipoles, task.wants_second, threads);
    double *strains = task.strains + size_t(bead) * task.pairs * 9;
    std::vector<double> fields(3 * size_t(task.columns) * task.sites), backgrounds(task.columns * size_t(task.sites));
    for (int column = 0; column < task.columns; ++column) {
        const size_t first = size_t(column) * task.sites;
        const Background background(task, charges ? charges + first : nullptr);
        for (int site = 0; site < task.sites; ++site) {
            const size_t index = first + site;
            double found[DERIVATIVES], *out = task.potentials + (start + index) * DERIVATIVES;
            part.read(column, site, task.wants_second, found);
            for (int n = 0; n < DERIVATIVES; ++n) out[n] += found[n];
            std::copy_n(found + 1, 3, &fields[3 * index]);
            if (charges) {
                backgrounds[index] = background.potential(task, part.volume(), site);
                out[0] += backgrounds[index] - own.charge * charges[index];
                for (int a = 0; task.wants_second && a < 3; ++a) out[4 + a] += own.dipole * charges[index];
            }
            for (int a = 0; dipoles && a < 3; ++a) out[1 + a] -= own.dipole * dipoles[3 * index + a];
        }
    }
    for (int pair = 0; pair < task.pairs; ++pair) {
        double *strain = strains + 9 * pair;
        const size_t columns[2] = {size_t(task.left[pair]) * task.sites, size_t(task.right[pair]) * task.sites};
        part.add_strain(task.left[pair], task.right[pair], strain);
        for (int site = 0; site < task.sites; ++site) {
            const size_t left = columns[0] + site, right = columns[1] + site;
            for (int a = 0; a < 3; ++a) {
                if (charges) strain[4 * a] -= charges[left] * backgrounds[right];
                for (int b = 0; dipoles && b < 3; ++b)  // fixed dipoles in turning planes of waves
                    strain[3 * a + b] -=
                        dipoles[3 * left + b] * fields[3 * right + a] + dipoles[3 * right + b] * fields[3 * left + a];
            }
        }
    }
}

static void evaluate_moments_of_bead(const MomentTask &task, int bead, int threads) {
    NearSites list;
    if (task.has_waves())
        list.prepare(task.positions + 3 * size_t(bead) * task.sites, task.sites, task.cells + 9 * size_t(bead),
                     task.periodic, task.cut.reach);
    add_near(task, bead, list, threads);
    if (task.has_waves() && task.collision->bead < 0) add_long_part(task, bead, threads);
}
