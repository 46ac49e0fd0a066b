// Products of equivariant channels: short lists of Clebsch-Gordan numbers, the channels in the lanes.
// Included once per instruction set (see kernel.hpp).

// out[row] += Σ_paths weights[path] Σ_terms coefficient · first[a] · second[b] for VECTORS·4 channels.
template <int VECTORS>
ALWAYS_INLINE void couple_channels(const Bilinear &list, const double *weights, int channels, const double *first,
                                   const double *second, double *out) {
    const Bilinear::Term *term = list.terms.data();
    const Bilinear::Segment *segment = list.segments.data();
    for (const Bilinear::Row &row : list.rows) {
        Vector total[VECTORS];
        double *place = out + size_t(row.row) * channels;
        UNROLL
        for (int v = 0; v < VECTORS; ++v) total[v] = load(place + v * WIDTH);
        for (const auto *last = list.segments.data() + row.end; segment < last; ++segment) {
            Vector of_path[VECTORS] = {};
            for (const auto *end = list.terms.data() + segment->end; term < end; ++term) {
                const double *a = first + size_t(term->first) * channels, *b = second + size_t(term->second) * channels;
                const Vector coefficient = broadcast(term->coefficient);
                UNROLL
                for (int v = 0; v < VECTORS; ++v)
                    of_path[v] += (coefficient * load(a + v * WIDTH)) * load(b + v * WIDTH);
            }
            const double *weight = weights + size_t(segment->path) * channels;
            UNROLL
            for (int v = 0; v < VECTORS; ++v) total[v] += load(weight + v * WIDTH) * of_path[v];
        }
        UNROLL
        for (int v = 0; v < VECTORS; ++v) store(place + v * WIDTH, total[v]);
    }
}

// The same for all channels, a multiple of 8.
static void couple(const Bilinear &list, const double *weights, int channels, const double *first, const double *second,
                   double *out) {
    int channel = 0;
    for (; channel + 16 <= channels; channel += 16)
        couple_channels<4>(list, weights + channel, channels, first + channel, second + channel, out + channel);
    for (; channel < channels; channel += 8)
        couple_channels<2>(list, weights + channel, channels, first + channel, second + channel, out + channel);
}
