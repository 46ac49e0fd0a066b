// A nonlinear energy of the invariants of one atom's density: the two-body densities c_{00,k} and the power spectrum
// p^l_{kq} = Σ_m c_{lm,k} c_{lm,q}, k ≤ q, through dense layers (Behler, Parrinello, Phys. Rev. Lett. 98, 146401
// (2007)), for up to WIDTH atoms of one species at a time, which stand in the lanes. Included once per instruction set
// (see kernel.hpp).

struct NetworkWorkspace {
    std::vector<Real> density, adjoint;                // [lm][channel][lane]
    std::vector<Real> invariants, invariants_adjoint;  // [feature][lane]
    std::vector<Real> symmetric;                       // [channel][channel][lane]
    std::vector<std::vector<Real>> values, slopes;     // [layer] of [hidden][lane]
    std::vector<Real> sums, adjoint_of_layer;          // [hidden][lane]

    void size_for(const Network &network, const Basis &basis) {
        const size_t channels = basis.channels(), lanes = WIDTH;
        density.resize(basis.harmonics() * channels * lanes);
        adjoint.resize(density.size());
        invariants.resize(network.features * lanes);  // zeros in padding, which stay
        invariants_adjoint.resize(invariants.size());
        symmetric.resize(channels * channels * lanes);
        values.resize(network.layers.size());
        slopes.resize(network.layers.size());
        size_t widest = 0;
        for (size_t k = 0; k < network.layers.size(); ++k) {
            const size_t size = network.layers[k].outputs * lanes;
            values[k].resize(size);
            slopes[k].resize(size);
            widest = std::max(widest, size);
        }
        sums.resize(widest);
        adjoint_of_layer.resize(widest);
    }
};

// Arrays [size] of up to WIDTH atoms into [size][lane], and back; lanes without an atom are zero.
static void to_lanes(const Real *const *arrays, int count, size_t size, Real *lanes) {
    for (size_t k = 0; k < size; k += WIDTH) {
        Vector block[WIDTH];
        for (int lane = 0; lane < WIDTH; ++lane) block[lane] = lane < count ? load(arrays[lane] + k) : broadcast(0.0);
        transpose(block);
        for (int row = 0; row < WIDTH; ++row) store(lanes + (k + row) * WIDTH, block[row]);
    }
}

static void from_lanes(const Real *lanes, int count, size_t size, Real *const *arrays) {
    for (size_t k = 0; k < size; k += WIDTH) {
        Vector block[WIDTH];
        for (int row = 0; row < WIDTH; ++row) block[row] = load(lanes + (k + row) * WIDTH);
        transpose(block);
        for (int lane = 0; lane < count; ++lane) store(arrays[lane] + k, block[lane]);
    }
}

constexpr int COLUMNS = 4;  // of a tile of the power spectrum

// A tile of p^l_{kq}: two rows k, four columns q, so that eight sums are in registers at a time.
ALWAYS_INLINE void power_spectrum_tile(const Real *block, int channels, int orders, int k, int q0, Real *const *rows) {
    Vector total[2][COLUMNS] = {};
    const Real *own = block + size_t(k) * WIDTH, *other = block + size_t(q0) * WIDTH;
    for (int m = 0; m < orders; ++m, own += size_t(channels) * WIDTH, other += size_t(channels) * WIDTH) {
        const Vector first = load(own), second = load(own + WIDTH);
        UNROLL
        for (int q = 0; q < COLUMNS; ++q) {
            const Vector factor = load(other + q * WIDTH);
            total[0][q] += first * factor;
            total[1][q] += second * factor;
        }
    }
    UNROLL
    for (int q = 0; q < COLUMNS; ++q) {
        if (q0 + q >= k) store(rows[0] + (q0 + q - k) * WIDTH, total[0][q]);
        if (q0 + q > k) store(rows[1] + (q0 + q - k - 1) * WIDTH, total[1][q]);
    }
}

static void power_spectrum(const Basis &basis, const Real *density, Real *invariants) {
    const int channels = basis.channels();  // a multiple of 4
    std::copy_n(density, channels * WIDTH, invariants);
    Real *out = invariants + channels * WIDTH;
    for (int l = 0; l <= basis.l_max; ++l) {
        const Real *block = density + size_t(l * l) * channels * WIDTH;
        for (int k = 0; k < channels; k += 2) {
            Real *const rows[2] = {out, out + (channels - k) * WIDTH};
            for (int q0 = k / COLUMNS * COLUMNS; q0 < channels; q0 += COLUMNS)
                power_spectrum_tile(block, channels, 2 * l + 1, k, q0, rows);
            out += (2 * (channels - k) - 1) * WIDTH;
        }
    }
}

// out[k] = Σ_q symmetric[q][k] row[q] for one tile of k.
template <int SIZE>
ALWAYS_INLINE void symmetric_product_tile(const Real *row, const Real *symmetric, int channels, int tile, Real *out) {
    Vector total[SIZE] = {};
    for (int q = 0; q < channels; ++q) {
        const Vector value = load(row + q * WIDTH);
        const Real *weight = symmetric + (size_t(q) * channels + tile) * WIDTH;
        UNROLL
        for (int k = 0; k < SIZE; ++k) total[k] += value * load(weight + k * WIDTH);
    }
    UNROLL
    for (int k = 0; k < SIZE; ++k) store(out + (tile + k) * WIDTH, total[k]);
}

// Adjoint of the density from that of the invariants: b_{lm,k} = Σ_q S^l_{kq} c_{lm,q}, S symmetric with a Reald
// diagonal.
static void power_spectrum_adjoint(const Basis &basis, const Real *density, const Real *invariants_adjoint,
                                   Real *symmetric, Real *adjoint) {
    const int channels = basis.channels();
    const Real *in = invariants_adjoint + channels * WIDTH;
    for (int l = 0; l <= basis.l_max; ++l) {
        for (int k = 0; k < channels; ++k)
            for (int q = k; q < channels; ++q, in += WIDTH) {
                const Vector value = load(in);
                store(symmetric + (size_t(k) * channels + q) * WIDTH, k == q ? value + value : value);
                store(symmetric + (size_t(q) * channels + k) * WIDTH, k == q ? value + value : value);
            }
        for (int m = 0; m < 2 * l + 1; ++m) {
            const Real *row = density + size_t(l * l + m) * channels * WIDTH;
            Real *out = adjoint + size_t(l * l + m) * channels * WIDTH;
            int tile = 0;
            for (; tile + 8 <= channels; tile += 8) symmetric_product_tile<8>(row, symmetric, channels, tile, out);
            for (; tile < channels; tile += 4) symmetric_product_tile<4>(row, symmetric, channels, tile, out);
        }
    }
    for (int k = 0; k < channels; ++k)
        store(adjoint + k * WIDTH, load(adjoint + k * WIDTH) + load(invariants_adjoint + k * WIDTH));
}

// Energies of up to WIDTH atoms of one species from their densities, and, if wanted, the adjoints of these.
static __attribute__((noinline)) void network_energy(const Network &network, const Basis &basis, int species,
                                                     const Real *const *densities, int count,
                                                     NetworkWorkspace &workspace, double *energies,
                                                     Real *const *adjoints) {
    const size_t size = size_t(basis.harmonics()) * basis.channels();
    const int features = network.features;
    to_lanes(densities, count, size, workspace.density.data());
    power_spectrum(basis, workspace.density.data(), workspace.invariants.data());
    const Real *skip = network.skip + size_t(species) * features;
    Doubles energy[4] = {};
    const auto add_energies = [&](const Real *weights, const Real *values, int count) {
        for (int f = 0; f < count; f += 4) UNROLL
        for (int k = 0; k < 4; ++k)
            energy[k] += double(weights[f + k]) * __builtin_convertvector(load(values + (f + k) * WIDTH), Doubles);
    };
    add_energies(skip, workspace.invariants.data(), features);  // padded to whole tiles
    const Real *in = workspace.invariants.data();
    for (size_t k = 0; k < network.layers.size(); ++k) {
        const DenseLayer &layer = network.layers[k];
        const size_t matrix = size_t(species) * layer.inputs * layer.outputs;
        dense_forward(layer.weights + matrix, layer.bias + size_t(species) * layer.outputs, layer.inputs, layer.outputs,
                      in, workspace.sums.data());
        activate(workspace.sums.data(), layer.outputs, workspace.values[k].data(), workspace.slopes[k].data());
        in = workspace.values[k].data();
    }
    const int last = network.layers.back().outputs;
    const Real *final_weights = network.final_weights + size_t(species) * last;
    add_energies(final_weights, in, last);
    const Doubles total = (energy[0] + energy[1]) + (energy[2] + energy[3]);
    for (int lane = 0; lane < count; ++lane) energies[lane] = total[lane];
    if (!adjoints) return;

    Real *upper = workspace.adjoint_of_layer.data(), *lower = workspace.sums.data();
    for (int j = 0; j < last; ++j) store(upper + j * WIDTH, broadcast(final_weights[j]));
    for (size_t k = network.layers.size(); k-- > 0;) {
        const DenseLayer &layer = network.layers[k];
        const size_t matrix = size_t(species) * layer.inputs * layer.outputs;
        for (int j = 0; j < layer.outputs; ++j)
            store(upper + j * WIDTH, load(upper + j * WIDTH) * load(workspace.slopes[k].data() + j * WIDTH));
        if (k == 0) {
            for (int f = 0; f < features; ++f)
                store(workspace.invariants_adjoint.data() + f * WIDTH, broadcast(skip[f]));
            dense_backward(layer.weights + matrix, layer.inputs, layer.outputs, upper,
                           workspace.invariants_adjoint.data());
        } else {
            std::fill_n(lower, size_t(layer.inputs) * WIDTH, 0.0);
            dense_backward(layer.weights + matrix, layer.inputs, layer.outputs, upper, lower);
            std::swap(upper, lower);
        }
    }
    power_spectrum_adjoint(basis, workspace.density.data(), workspace.invariants_adjoint.data(),
                           workspace.symmetric.data(), workspace.adjoint.data());
    from_lanes(workspace.adjoint.data(), count, size, adjoints);
}
