// A lattice, and the images of groups of atoms that are near one of them.
// No include guard: water.hpp includes it once per instruction set.

// Other groups, and images of them and of the same group, seen from a centre.
struct Images {
    std::vector<int> group;
    std::vector<double> x, y, z, square;  // from centre to centre, Å, and the square of its length

    int count() const { return int(group.size()); }

    void clear() {
        group.clear();
        for (std::vector<double> *array : {&x, &y, &z, &square}) array->clear();
    }

    void add(int which, const double *vector) {
        group.push_back(which);
        x.push_back(vector[0]);
        y.push_back(vector[1]);
        z.push_back(vector[2]);
        square.push_back(vector[0] * vector[0] + vector[1] * vector[1] + vector[2] * vector[2]);
    }

    // Whole registers can be read; what is beyond the count is far away.
    void pad() {
        for (std::vector<double> *array : {&x, &y, &z, &square}) array->resize(group.size() + WIDTH - 1, 1e12);
    }
};

struct Lattice {
    bool periodic;
    double vectors[3][3];  // lattice vectors, one per row, Å
    double dual[3][3];     // rows with dual[d] · vectors[e] = δ_de, 1/Å
    double heights[3];     // distance between opposite faces, Å
    double volume;         // Å³

    Lattice(const double *cell, bool periodic_in) : periodic(periodic_in) {
        if (!periodic) return;
        for (int d = 0; d < 3; ++d)
            for (int axis = 0; axis < 3; ++axis) vectors[d][axis] = cell[3 * d + axis];
        for (int d = 0; d < 3; ++d) cross(vectors[(d + 1) % 3], vectors[(d + 2) % 3], dual[d]);
        const double determinant = inner(vectors[0], dual[0]);
        volume = std::fabs(determinant);
        for (int d = 0; d < 3; ++d) {
            const double face = std::sqrt(inner(dual[d], dual[d]));
            heights[d] = face > 0 ? volume / face : 0.0;
            for (int axis = 0; axis < 3; ++axis) dual[d][axis] /= determinant;
        }
    }

    static double inner(const double *a, const double *b) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }

    static void cross(const double *a, const double *b, double *out) {
        for (int i = 0; i < 3; ++i) out[i] = a[(i + 1) % 3] * b[(i + 2) % 3] - a[(i + 2) % 3] * b[(i + 1) % 3];
    }

    double lowest() const { return std::min(heights[0], std::min(heights[1], heights[2])); }

    // The image of a vector with fractional coordinates within ±1/2: the shortest one, if that is shorter than half of
    // every height.
    void fold(double *vector) const {
        if (!periodic) return;
        double whole[3];
        for (int d = 0; d < 3; ++d) whole[d] = std::nearbyint(inner(dual[d], vector));
        for (int axis = 0; axis < 3; ++axis)
            vector[axis] -= whole[0] * vectors[0][axis] + whole[1] * vectors[1][axis] + whole[2] * vectors[2][axis];
    }

    // Every pair of a group with a later one or with an image of itself, once; without a lattice the cutoff is ignored.
    void find(int centre, const double *centres, int groups, double cutoff, Images &found) const {
        found.clear();
        const double *own = centres + 3 * size_t(centre);
        double reach[3] = {};  // fractional coordinates of a vector that is shorter than the cutoff are smaller
        for (int d = 0; periodic && d < 3; ++d) reach[d] = cutoff / heights[d];
        for (int other = centre; other < groups; ++other) {
            const double *its = centres + 3 * size_t(other);
            const double vector[3] = {its[0] - own[0], its[1] - own[1], its[2] - own[2]};
            if (periodic)
                add_images(vector, other, other == centre, cutoff, reach, found);
            else if (other != centre)
                found.add(other, vector);
        }
        found.pad();
    }

private:
    static void shift(const double *from, double factor, const double *by, double *out) {
        UNROLL
        for (int axis = 0; axis < 3; ++axis) out[axis] = from[axis] + factor * by[axis];
    }

    void add_images(const double *origin, int group, bool is_self, double cutoff, const double *reach,
                    Images &found) const {
        int low[3], high[3];
        UNROLL
        for (int d = 0; d < 3; ++d) {
            const double fraction = inner(dual[d], origin);
            low[d] = int(std::ceil(-reach[d] - fraction));
            high[d] = int(std::floor(reach[d] - fraction));
        }
        if (is_self) low[0] = 0;
        double layer[3], row[3], image[3];
        for (int i = low[0]; i <= high[0]; ++i) {
            shift(origin, i, vectors[0], layer);
            for (int j = is_self && i == 0 ? 0 : low[1]; j <= high[1]; ++j) {
                shift(layer, j, vectors[1], row);
                for (int k = is_self && i == 0 && j == 0 ? 1 : low[2]; k <= high[2]; ++k) {
                    shift(row, k, vectors[2], image);
                    if (inner(image, image) < cutoff * cutoff) found.add(group, image);
                }
            }
        }
    }
};
