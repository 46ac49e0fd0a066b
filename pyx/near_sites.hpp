// All sites near one of them, images included, four candidates at a time.  No include guard: electrostatics.hpp
// includes it once per instruction set.

// Three vectors and their duals.
struct Frame {
    Matrix3 cell, dual;
    double volume;

    explicit Frame(const Matrix3 &vectors)
        : cell(vectors), dual(reciprocal_vectors(vectors)), volume(std::fabs(inner(cell[0], cross(cell[1], cell[2])))) {
    }
    explicit Frame(const double *vectors)
        : Frame(Matrix3{Vector3{vectors[0], vectors[1], vectors[2]}, Vector3{vectors[3], vectors[4], vectors[5]},
                        Vector3{vectors[6], vectors[7], vectors[8]}}) {}
};

// A bit for each lane whose comparison is true.
ALWAYS_INLINE unsigned lanes_of(Mask mask) {
#ifdef BEADWISE_WITHIN_AVX2
    return __builtin_ia32_movmskpd256((Vector)mask);
#else
    return unsigned((mask[0] & 1) | (mask[1] & 2) | (mask[2] & 4) | (mask[3] & 8));
#endif
}

// Sites in bins of at least half the reach, each filled up to whole registers by places far away.
class NearSites {
public:
    void prepare(const double *positions, int sites_in, const double *cell, const bool *periodic_in, double reach_in) {
        sites = sites_in;
        reach = reach_in;
        std::copy(periodic_in, periodic_in + 3, periodic);
        frame.reset(new Frame(completed_cell(cell, periodic)));
        wrap(positions);
        choose_bins();
        sort_into_bins();
    }

    // Their numbers and r_i − r_j.  Of half of them, every pair of sites, and of a site with an image, is found once.
    void collect(int own, bool half, std::vector<int32_t> &site, std::vector<double> (&out)[3]) const {
        int count = 0, home[3];
        for (int d = 0; d < 3; ++d) home[d] = bin_of(own, d);
        int step[3], bin[3], shift[3];
        for (step[0] = half ? 0 : -range[0]; step[0] <= range[0]; ++step[0]) {
            if (!fold(0, home[0] + step[0], bin[0], shift[0])) continue;
            const bool starts_plane = half && step[0] == 0;
            for (step[1] = starts_plane ? 0 : -range[1]; step[1] <= range[1]; ++step[1]) {
                if (!fold(1, home[1] + step[1], bin[1], shift[1])) continue;
                const bool starts_row = starts_plane && step[1] == 0;
                for (step[2] = starts_row ? 0 : -range[2]; step[2] <= range[2]; ++step[2]) {
                    if (!fold(2, home[2] + step[2], bin[2], shift[2])) continue;
                    const int index = (bin[0] * bins[1] + bin[1]) * bins[2] + bin[2];
                    const bool is_home = step[0] == 0 && step[1] == 0 && step[2] == 0;
                    if (starts[index + 1] > starts[index])
                        count = scan(own, index, shift, is_home, half, count, site, out);
                }
            }
        }
        site.resize(count);
        for (std::vector<double> &array : out) array.resize(count);
    }

private:
    static constexpr double AWAY = 1e12, SITES_OF_BIN = 24;
    static constexpr int MOST_BINS = 200, MOST_LAYERS = 100;
    int sites = 0, bins[3] = {}, range[3] = {};
    bool periodic[3] = {};
    double reach = 0.0, low[3] = {}, extent[3] = {};  // of fractional coordinates
    std::unique_ptr<Frame> frame;
    std::vector<double> fractions, wrapped;  // [sites][3]
    std::vector<int> starts;                 // of each bin, in the arrays below
    std::vector<double> places[3];
    std::vector<int32_t> numbers;

    void wrap(const double *positions) {
        fractions.resize(3 * size_t(sites));
        wrapped.assign(positions, positions + 3 * size_t(sites));
        for (int site = 0; site < sites; ++site)
            for (int d = 0; d < 3; ++d) {
                const double *place = positions + 3 * size_t(site);
                double &fraction = fractions[3 * size_t(site) + d];
                fraction = inner({place[0], place[1], place[2]}, frame->dual[d]);
                if (!periodic[d]) continue;
                const double image = std::floor(fraction);
                fraction -= image;
                for (int x = 0; x < 3; ++x) wrapped[3 * size_t(site) + x] -= image * frame->cell[d][x];
            }
    }

    void choose_bins() {
        double volume = frame->volume;
        for (int d = 0; d < 3; ++d) {
            low[d] = 0.0;
            extent[d] = 1.0;
            if (periodic[d]) continue;
            double high = low[d] = fractions[d];
            for (int site = 1; site < sites; ++site) {
                low[d] = std::min(low[d], fractions[3 * size_t(site) + d]);
                high = std::max(high, fractions[3 * size_t(site) + d]);
            }
            extent[d] = std::max(high - low[d], 1e-3);
            volume *= extent[d];
        }
        const double width = std::max(reach / 2, std::cbrt(SITES_OF_BIN * volume / sites));
        for (int d = 0; d < 3; ++d) {
            const double height = extent[d] / std::sqrt(inner(frame->dual[d], frame->dual[d]));
            bins[d] = std::min(MOST_BINS, std::max(1, int(height / width)));
            const double layers = std::ceil(reach * bins[d] / height);
            if (layers > double(MOST_LAYERS) * bins[d] && periodic[d])
                throw std::invalid_argument("a periodic cell is lower than a hundredth of what the near part reaches");
            range[d] = int(std::min(layers, double(MOST_LAYERS) * bins[d]));
            if (!periodic[d]) range[d] = std::min(range[d], bins[d] - 1);
        }
    }

    int bin_of(int site, int d) const {
        const double place = (fractions[3 * size_t(site) + d] - low[d]) / extent[d];
        return std::min(bins[d] - 1, std::max(0, int(place * bins[d])));
    }

    void sort_into_bins() {
        const int count = bins[0] * bins[1] * bins[2];
        std::vector<int> filled(count, 0), own(sites);
        for (int site = 0; site < sites; ++site) {
            own[site] = (bin_of(site, 0) * bins[1] + bin_of(site, 1)) * bins[2] + bin_of(site, 2);
            ++filled[own[site]];
        }
        starts.assign(count + 1, 0);
        for (int bin = 0; bin < count; ++bin) starts[bin + 1] = starts[bin] + (filled[bin] + WIDTH - 1) / WIDTH * WIDTH;
        for (std::vector<double> &array : places) array.assign(starts[count], AWAY);
        numbers.assign(starts[count], -1);
        std::copy(starts.begin(), starts.end() - 1, filled.begin());
        for (int site = 0; site < sites; ++site) {
            const int place = filled[own[site]]++;
            numbers[place] = site;
            for (int x = 0; x < 3; ++x) places[x][place] = wrapped[3 * size_t(site) + x];
        }
    }

    // The bin folded back into the cell; false where a direction without images ends.
    bool fold(int d, int raw, int &bin, int &shift) const {
        shift = raw >= 0 ? raw / bins[d] : -((-raw + bins[d] - 1) / bins[d]);
        bin = raw - shift * bins[d];
        return periodic[d] || shift == 0;
    }

    int scan(int own, int bin, const int *shift, bool is_home, bool half, int count, std::vector<int32_t> &site,
             std::vector<double> (&out)[3]) const {
        const int begin = starts[bin], end = starts[bin + 1];
        if (int(site.size()) < count + end - begin) {
            const size_t size = 2 * size_t(count + end - begin) + 64;
            site.resize(size);
            for (std::vector<double> &array : out) array.resize(size);
        }
        Vector here[3];
        for (int x = 0; x < 3; ++x)
            here[x] = broadcast(wrapped[3 * size_t(own) + x] - shift[0] * frame->cell[0][x] -
                                shift[1] * frame->cell[1][x] - shift[2] * frame->cell[2][x]);
        const Vector limit = broadcast(reach * reach);
        double *x = out[0].data(), *y = out[1].data(), *z = out[2].data();
        int32_t *number = site.data();
        for (int k = begin; k < end; k += WIDTH) {
            const Vector dx = here[0] - load(&places[0][k]), dy = here[1] - load(&places[1][k]),
                         dz = here[2] - load(&places[2][k]);
            const Mask within = dx * dx + dy * dy + dz * dz < limit;
            unsigned lanes = lanes_of(within);
            if (!lanes) continue;
            const Vector between[3] = {dx, dy, dz};
            const double *parts = reinterpret_cast<const double *>(between);
            for (; lanes; lanes &= lanes - 1) {
                const int lane = __builtin_ctz(lanes);
                if (is_home && (numbers[k + lane] == own || (half && numbers[k + lane] < own))) continue;
                x[count] = parts[lane];
                y[count] = parts[WIDTH + lane];
                z[count] = parts[2 * WIDTH + lane];
                number[count++] = numbers[k + lane];
            }
        }
        return count;
    }
};
