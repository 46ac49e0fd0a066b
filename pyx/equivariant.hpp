// A network on products of learned equivariant channels: contraction of the density to a few channels A, products of
// three and four bodies B and Q with Clebsch-Gordan numbers, hidden layers on their invariants, and readouts of scalars
// and tensors. (Drautz, Phys. Rev. B 99, 014104 (2019); Batatia et al., NeurIPS 35, 11423 (2022); the NumPy twin in the
// tests spells it out.)  Channels stand in the lanes; atoms of one species are rows of the dense layers.
// Included once per instruction set (see kernel.hpp).

constexpr int MOST_ROWS = 4;  // atoms whose dense layers are evaluated together

// What the forward sweep leaves of one atom for the reverse one.
struct LayerState {
    std::vector<double> a, b, q;                      // [lm][channel]
    std::vector<double> features;                     // [feature]
    std::vector<std::vector<double>> values, slopes;  // [layer] of [hidden]
    std::vector<std::vector<double>> factors;         // [tensor readout] of [3][channel]

    void size_for(const EquivariantLayer &layer) {
        for (auto *array : {&a, &b, &q}) array->resize(size_t(layer.harmonics()) * layer.channels);
        features.resize(layer.features);
        values.resize(layer.hidden.size());
        slopes.resize(layer.hidden.size());
        for (size_t k = 0; k < layer.hidden.size(); ++k)
            for (auto *array : {&values[k], &slopes[k]}) array->resize(layer.hidden[k].outputs);
        factors.assign(layer.tensors.size(), std::vector<double>(3 * size_t(layer.channels)));
    }
};

// Adjoints of the same; `hidden` and those of the channels may hold what others read of them.
struct LayerAdjoint {
    std::vector<double> a, b, q, p, features, factors;
    std::vector<std::vector<double>> hidden;  // [layer] of [hidden]

    void size_for(const EquivariantLayer &layer) {
        for (auto *array : {&a, &b, &q, &p}) array->resize(size_t(layer.harmonics()) * layer.channels);
        features.resize(layer.features);
        factors.resize(3 * size_t(layer.channels));
        hidden.resize(layer.hidden.size());
        for (size_t k = 0; k < layer.hidden.size(); ++k) hidden[k].resize(layer.hidden[k].outputs);
    }

    void clear() {
        for (auto *array : {&a, &b, &q, &features, &hidden.back()}) std::fill(array->begin(), array->end(), 0.0);
    }
};

// out[atom] = bias + Σ_f weights[f] in[atom][f], or added to what stands there if there is no bias.
template <int ROWS>
static void dense_rows_of(const double *weights, const double *bias, int inputs, int outputs, const double *const *in,
                          double *const *out) {
    constexpr int VECTORS = DENSE_ROWS / WIDTH;
    for (int tile = 0; tile < outputs; tile += DENSE_ROWS) {
        Vector total[ROWS][VECTORS];
        UNROLL
        for (int row = 0; row < ROWS; ++row) UNROLL
        for (int v = 0; v < VECTORS; ++v) total[row][v] = load((bias ? bias : out[row]) + tile + v * WIDTH);
        for (int f = 0; f < inputs; ++f, weights += DENSE_ROWS) {
            UNROLL
            for (int row = 0; row < ROWS; ++row) {
                const Vector value = broadcast(in[row][f]);
                UNROLL
                for (int v = 0; v < VECTORS; ++v) total[row][v] += value * load(weights + v * WIDTH);
            }
        }
        UNROLL
        for (int row = 0; row < ROWS; ++row) UNROLL
        for (int v = 0; v < VECTORS; ++v) store(out[row] + tile + v * WIDTH, total[row][v]);
    }
}

static void dense_rows(const double *weights, const double *bias, int inputs, int outputs, int rows,
                       const double *const *in, double *const *out) {
    switch (rows) {
        case 1: return dense_rows_of<1>(weights, bias, inputs, outputs, in, out);
        case 2: return dense_rows_of<2>(weights, bias, inputs, outputs, in, out);
        case 3: return dense_rows_of<3>(weights, bias, inputs, outputs, in, out);
        case 4: return dense_rows_of<4>(weights, bias, inputs, outputs, in, out);
    }
}

static void layer_forward(const DenseLayer &layer, int species, int rows, const double *const *in, double *const *out) {
    dense_rows(layer.weights + size_t(species) * layer.inputs * layer.outputs,
               layer.bias + size_t(species) * layer.outputs, layer.inputs, layer.outputs, rows, in, out);
}

// The adjoint of its inputs, added to.
static void layer_backward(const DenseLayer &layer, int species, int rows, const double *const *out,
                           double *const *in) {
    dense_rows(layer.transposed + size_t(species) * layer.inputs * layer.outputs, nullptr, layer.outputs, layer.inputs,
               rows, out, in);
}

static const double *of_species(const Product &product, int species, int channels) {
    return product.weights + size_t(species) * product.paths * channels;
}

// Σ_m x_lm · y_lm of every l, channel by channel, into out[l][channel].
static void inner_products(const EquivariantLayer &layer, const double *x, const double *y, double *out) {
    const int channels = layer.channels;
    for (int l = 0; l <= layer.l_max; ++l, out += channels)
        for (int k = 0; k < channels; k += WIDTH) {
            Vector total = {};
            for (int lm = l * l; lm < (l + 1) * (l + 1); ++lm)
                total += load(x + lm * channels + k) * load(y + lm * channels + k);
            store(out + k, total);
        }
}

// x_adjoint_lm += adjoint_l · y_lm.
static void add_inner_adjoint(const EquivariantLayer &layer, const double *adjoint, const double *y,
                              double *x_adjoint) {
    const int channels = layer.channels;
    for (int l = 0; l <= layer.l_max; ++l, adjoint += channels)
        for (int lm = l * l; lm < (l + 1) * (l + 1); ++lm)
            for (int k = 0; k < channels; k += WIDTH) {
                double *place = x_adjoint + lm * channels + k;
                store(place, load(place) + load(adjoint + k) * load(y + lm * channels + k));
            }
}

// Channels and invariants of one atom; `p` is scratch.
static void layer_channels(const EquivariantLayer &layer, int species, const double *input, std::vector<double> &p,
                           LayerState &state) {
    const int channels = layer.channels, levels = layer.l_max + 1;
    const double *contraction = layer.contraction + size_t(species) * levels * layer.inputs * channels;
    const double *mixing = layer.mixing + size_t(species) * levels * channels * channels;
    for (int l = 0; l < levels; ++l)
        multiply(input + l * l * layer.inputs, 2 * l + 1, layer.inputs,
                 contraction + size_t(l) * layer.inputs * channels, channels, state.a.data() + l * l * channels);
    std::fill(p.begin(), p.end(), 0.0);
    couple(layer.three.forward, of_species(layer.three, species, channels), channels, state.a.data(), state.a.data(),
           p.data());
    for (int l = 0; l < levels; ++l)
        multiply(p.data() + l * l * channels, 2 * l + 1, channels, mixing + size_t(l) * channels * channels, channels,
                 state.b.data() + l * l * channels);
    std::fill(state.q.begin(), state.q.end(), 0.0);
    couple(layer.four.forward, of_species(layer.four, species, channels), channels, state.b.data(), state.a.data(),
           state.q.data());
    double *z = state.features.data();
    std::copy_n(state.a.data(), channels, z);
    inner_products(layer, state.a.data(), state.a.data(), z + channels);
    inner_products(layer, state.b.data(), state.a.data(), z + channels * (1 + levels));
    inner_products(layer, state.b.data(), state.b.data(), z + channels * (1 + 2 * levels));
}

// From the adjoints of the channels and invariants of one atom, that of the layer's input.
static void channels_adjoint(const EquivariantLayer &layer, int species, const LayerState &state, LayerAdjoint &adjoint,
                             double *input_adjoint) {
    const int channels = layer.channels, levels = layer.l_max + 1;
    const double *z = adjoint.features.data(), *a = state.a.data(), *b = state.b.data();
    double *a_bar = adjoint.a.data(), *b_bar = adjoint.b.data(), *p_bar = adjoint.p.data();
    const double *aa = z + channels, *ba = aa + levels * channels, *bb = ba + levels * channels;
    add_scaled(a_bar, 1.0, z, channels);
    for (double *row = adjoint.features.data() + channels; row < z + layer.features; row += WIDTH)
        if (row < ba || row >= bb) store(row, load(row) + load(row));  // of squares
    add_inner_adjoint(layer, aa, a, a_bar);
    add_inner_adjoint(layer, ba, b, a_bar);
    add_inner_adjoint(layer, ba, a, b_bar);
    add_inner_adjoint(layer, bb, b, b_bar);
    const double *four = of_species(layer.four, species, channels), *q_bar = adjoint.q.data();
    couple(layer.four.to_first, four, channels, a, q_bar, b_bar);
    couple(layer.four.to_second, four, channels, b, q_bar, a_bar);
    const double *mixing = layer.mixing_transposed + size_t(species) * levels * channels * channels;
    for (int l = 0; l < levels; ++l)
        multiply(b_bar + l * l * channels, 2 * l + 1, channels, mixing + size_t(l) * channels * channels, channels,
                 p_bar + l * l * channels);
    couple(layer.three.to_first, of_species(layer.three, species, channels), channels, a, p_bar, a_bar);
    const double *contraction = layer.contraction_transposed + size_t(species) * levels * layer.inputs * channels;
    for (int l = 0; l < levels; ++l)
        multiply(a_bar + l * l * channels, 2 * l + 1, channels, contraction + size_t(l) * layer.inputs * channels,
                 layer.inputs, input_adjoint + l * l * layer.inputs);
}

// For the atoms that are evaluated together.
struct EquivariantWorkspace {
    std::vector<LayerState> kept;
    LayerState *states[MOST_ROWS];  // those of `kept`, or others that outlive the group
    std::vector<LayerAdjoint> adjoints;
    std::vector<double> p;

    void size_for(const EquivariantLayer &layer) {
        kept.resize(MOST_ROWS);
        adjoints.resize(MOST_ROWS);
        for (int k = 0; k < MOST_ROWS; ++k) {
            kept[k].size_for(layer);
            adjoints[k].size_for(layer);
            states[k] = &kept[k];
        }
        p.resize(size_t(layer.harmonics()) * layer.channels);
    }
};

// Forward for `count` atoms of one species: channels, invariants, hidden layers, factors of the readouts wanted.
static void forward_layer(const EquivariantLayer &layer, int species, const double *const *inputs, int count,
                          const char *reads_head, EquivariantWorkspace &workspace) {
    const double *in[MOST_ROWS];
    double *out[MOST_ROWS];
    for (int atom = 0; atom < count; ++atom) {
        LayerState &state = *workspace.states[atom];
        layer_channels(layer, species, inputs[atom], workspace.p, state);
        in[atom] = state.features.data();
    }
    for (size_t k = 0; k < layer.hidden.size(); ++k) {
        for (int atom = 0; atom < count; ++atom) out[atom] = workspace.states[atom]->slopes[k].data();
        layer_forward(layer.hidden[k], species, count, in, out);
        for (int atom = 0; atom < count; ++atom) {
            LayerState &state = *workspace.states[atom];
            activate(out[atom], layer.hidden[k].outputs / WIDTH, state.values[k].data(), out[atom]);
            in[atom] = state.values[k].data();
        }
    }
    for (size_t k = 0; k < layer.tensors.size(); ++k) {
        if (!reads_head[layer.tensors[k].head]) continue;
        for (int atom = 0; atom < count; ++atom) out[atom] = workspace.states[atom]->factors[k].data();
        layer_forward(layer.tensors[k].factors, species, count, in, out);
    }
}

// Outputs of one atom of the heads that are wanted, added.
static void read_out(const EquivariantLayer &layer, int species, const LayerState &state, const char *want_head,
                     double *outputs) {
    const int channels = layer.channels, width = layer.width();
    for (const ScalarReadout &scalar : layer.scalars)
        if (want_head[scalar.head])
            outputs[scalar.output] +=
                dot(scalar.skip + size_t(species) * layer.features, state.features.data(), layer.features) +
                dot(scalar.final_weights + size_t(species) * width, state.values.back().data(), width);
    for (size_t k = 0; k < layer.tensors.size(); ++k) {
        const TensorReadout &tensor = layer.tensors[k];
        if (!want_head[tensor.head]) continue;
        const double *factors = state.factors[k].data();
        for (int m = 0; m <= 2 * tensor.lambda; ++m) {
            const size_t row = size_t(tensor.lambda * tensor.lambda + m) * channels;
            outputs[tensor.output + m] += dot(factors, state.a.data() + row, channels) +
                                          dot(factors + channels, state.b.data() + row, channels) +
                                          dot(factors + 2 * channels, state.q.data() + row, channels);
        }
    }
}

// Whether a combination of outputs has anything of a network; one that has not needs no reverse sweep of it.
static bool is_read(const Equivariant &network, const double *factors) {
    for (const EquivariantLayer &layer : network.layers) {
        for (const ScalarReadout &scalar : layer.scalars)
            if (factors[scalar.output] != 0.0) return true;
        for (const TensorReadout &tensor : layer.tensors)
            for (int m = 0; m <= 2 * tensor.lambda; ++m)
                if (factors[tensor.output + m] != 0.0) return true;
    }
    return false;
}

// Adjoints of what the readouts of one atom read, for Σ factors · outputs; those of the factors of a tensor wait in
// `adjoint.factors` for the hidden layer.
static void tensor_adjoint(const EquivariantLayer &layer, size_t index, const LayerState &state, const double *factors,
                           LayerAdjoint &adjoint) {
    const TensorReadout &tensor = layer.tensors[index];
    const int channels = layer.channels;
    const double *weights = state.factors[index].data();
    const double *values[3] = {state.a.data(), state.b.data(), state.q.data()};
    double *adjoints[3] = {adjoint.a.data(), adjoint.b.data(), adjoint.q.data()};
    std::fill(adjoint.factors.begin(), adjoint.factors.end(), 0.0);
    for (int m = 0; m <= 2 * tensor.lambda; ++m) {
        const size_t row = size_t(tensor.lambda * tensor.lambda + m) * channels;
        for (int part = 0; part < 3; ++part) {
            add_scaled(adjoints[part] + row, factors[tensor.output + m], weights + part * channels, channels);
            add_scaled(adjoint.factors.data() + part * channels, factors[tensor.output + m], values[part] + row,
                       channels);
        }
    }
}

// From Σ factors · outputs of each atom, and from what the adjoints hold already, those of the layer's inputs.
static void reverse_layer(const EquivariantLayer &layer, int species, const double *const *factors, int count,
                          EquivariantWorkspace &workspace, double *const *input_adjoints) {
    const int width = layer.width();
    const double *out[MOST_ROWS];
    double *in[MOST_ROWS];
    for (const ScalarReadout &scalar : layer.scalars) {
        for (int atom = 0; atom < count; ++atom) {
            const double factor = factors[atom][scalar.output];
            if (factor == 0.0) continue;
            LayerAdjoint &adjoint = workspace.adjoints[atom];
            add_scaled(adjoint.hidden.back().data(), factor, scalar.final_weights + size_t(species) * width, width);
            add_scaled(adjoint.features.data(), factor, scalar.skip + size_t(species) * layer.features, layer.features);
        }
    }
    for (size_t k = 0; k < layer.tensors.size(); ++k) {
        const TensorReadout &tensor = layer.tensors[k];
        const auto is_unread = [&](const double *own) {
            return std::all_of(own + tensor.output, own + tensor.output + 2 * tensor.lambda + 1,
                               [](double f) { return f == 0.0; });
        };
        if (std::all_of(factors, factors + count, is_unread)) continue;
        for (int atom = 0; atom < count; ++atom) {
            LayerAdjoint &adjoint = workspace.adjoints[atom];
            tensor_adjoint(layer, k, *workspace.states[atom], factors[atom], adjoint);
            out[atom] = adjoint.factors.data();
            in[atom] = adjoint.hidden.back().data();
        }
        layer_backward(tensor.factors, species, count, out, in);
    }
    for (size_t k = layer.hidden.size(); k-- > 0;) {
        for (int atom = 0; atom < count; ++atom) {
            LayerAdjoint &adjoint = workspace.adjoints[atom];
            double *own = adjoint.hidden[k].data();
            const double *slopes = workspace.states[atom]->slopes[k].data();
            for (int j = 0; j < layer.hidden[k].outputs; j += WIDTH) store(own + j, load(own + j) * load(slopes + j));
            out[atom] = own;
            in[atom] = k == 0 ? adjoint.features.data() : adjoint.hidden[k - 1].data();
            if (k > 0) std::fill_n(in[atom], layer.hidden[k].inputs, 0.0);
        }
        layer_backward(layer.hidden[k], species, count, out, in);
    }
    for (int atom = 0; atom < count; ++atom)
        channels_adjoint(layer, species, *workspace.states[atom], workspace.adjoints[atom], input_adjoints[atom]);
}
