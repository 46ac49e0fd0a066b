// Messages between the two layers of an equivariant network: every atom j sends features s_j[LM][channel], and atom i
// receives T[lm][LM] = Σ_j ρ_l(r_ij) Y_lm(r̂_ij) s_j[LM], which is coupled to A'[ΛM] after the sum over neighbours, so
// that nothing is coupled per neighbour. (Batatia et al., NeurIPS 35, 11423 (2022).)  Channels stand in the lanes.
// Included once per instruction set (see kernel.hpp).

// The features of one atom, and what their reverse sweep needs.
struct SentFeatures {
    std::vector<double> values, plain;  // [LM][sent]: with the gate, and without
    std::vector<double> gates;          // [L][sent]

    void size_for(const Message &message) {
        values.resize(size_t(message.rows()) * message.sent);
        plain.resize(values.size());
        gates.resize(size_t(message.l_sent + 1) * message.sent);
    }
};

// Scratch of the sender: channels A, B and Q of one order side by side, and adjoints of its gates.
struct SendWorkspace {
    std::vector<double> channels, features;
    std::vector<double> gates[MOST_ROWS];

    void size_for(const Message &message, const EquivariantLayer &layer) {
        channels.resize(size_t(2 * message.l_sent + 1) * 3 * layer.channels);
        features.resize(size_t(2 * message.l_sent + 1) * message.sent);
        for (auto &gate : gates) gate.resize(message.sent);
    }
};

static const double *linear_of(const Message &message, const double *linear, int species, int channels) {
    return linear + size_t(species) * 3 * channels * message.sent;
}

// Features of `count` atoms of one species from their states of the first layer.
static void send_features(const Message &message, const EquivariantLayer &layer, int species, int count,
                          LayerState *const *states, SentFeatures *const *sent, SendWorkspace &workspace) {
    const int channels = layer.channels, width = message.sent;
    for (int order = 0; order <= message.l_sent; ++order) {
        const Sender &sender = message.senders[order];
        const double *in[MOST_ROWS];
        double *out[MOST_ROWS];
        for (int atom = 0; atom < count; ++atom) {
            in[atom] = states[atom]->values.back().data();
            out[atom] = sent[atom]->gates.data() + order * width;
        }
        layer_forward(sender.gate, species, count, in, out);
        for (int atom = 0; atom < count; ++atom) {
            const size_t first = size_t(order) * order;
            double *values = sent[atom]->values.data() + first * width;
            if (order == 0) {
                std::copy_n(out[atom], width, values);
                continue;
            }
            const LayerState &state = *states[atom];
            for (int m = 0; m <= 2 * order; ++m) {
                const std::vector<double> *parts[3] = {&state.a, &state.b, &state.q};
                for (int part = 0; part < 3; ++part)
                    std::copy_n(parts[part]->data() + (first + m) * channels, channels,
                                workspace.channels.data() + size_t(3 * m + part) * channels);
            }
            double *plain = sent[atom]->plain.data() + first * width;
            multiply(workspace.channels.data(), 2 * order + 1, 3 * channels,
                     linear_of(message, sender.linear, species, channels), width, plain);
            for (int m = 0; m <= 2 * order; ++m)
                for (int k = 0; k < width; k += WIDTH)
                    store(values + m * width + k, load(plain + m * width + k) * load(out[atom] + k));
        }
    }
}

// From the adjoints [LM][sent] of the features, those of the channels and of the hidden layer, added.
static void send_adjoint(const Message &message, const EquivariantLayer &layer, int species, int count,
                         SentFeatures *const *sent, const double *const *features, std::vector<LayerAdjoint> &adjoints,
                         SendWorkspace &workspace) {
    const int channels = layer.channels, width = message.sent;
    for (int order = 0; order <= message.l_sent; ++order) {
        const Sender &sender = message.senders[order];
        const double *out[MOST_ROWS];
        double *in[MOST_ROWS];
        for (int atom = 0; atom < count; ++atom) {
            const size_t first = size_t(order) * order;
            const double *own = features[atom] + first * width, *gate = sent[atom]->gates.data() + order * width,
                         *plain = sent[atom]->plain.data() + first * width;
            double *gate_adjoint = workspace.gates[atom].data();
            out[atom] = gate_adjoint;
            in[atom] = adjoints[atom].hidden.back().data();
            if (order == 0) {
                std::copy_n(own, width, gate_adjoint);
                continue;
            }
            for (int k = 0; k < width; k += WIDTH) {
                Vector total = {};
                for (int m = 0; m <= 2 * order; ++m) {
                    const Vector value = load(own + m * width + k);
                    total += value * load(plain + m * width + k);
                    store(workspace.features.data() + m * width + k, value * load(gate + k));
                }
                store(gate_adjoint + k, total);
            }
            multiply(workspace.features.data(), 2 * order + 1, width,
                     linear_of(message, sender.linear_transposed, species, channels), 3 * channels,
                     workspace.channels.data());
            std::vector<double> *parts[3] = {&adjoints[atom].a, &adjoints[atom].b, &adjoints[atom].q};
            for (int m = 0; m <= 2 * order; ++m)
                for (int part = 0; part < 3; ++part)
                    add_scaled(parts[part]->data() + (first + m) * channels, 1.0,
                               workspace.channels.data() + size_t(3 * m + part) * channels, channels);
        }
        layer_backward(sender.gate, species, count, out, in);
    }
}

// What one atom hears, lane by lane of its environment.
struct Reception {
    std::vector<double> radial;    // [lane][l][sent]: ρ
    std::vector<double> edges;     // [lane][lm][sent]: ρ Y
    std::vector<double> features;  // [lane][LM][sent], zero in padding
    std::vector<double> received;  // [lm][LM][sent]: T
    std::vector<double> coupled;   // [lm][sent]: A'
    std::vector<double> ones;      // [sent]
    std::vector<double> received_adjoint, edge_adjoint, feature_adjoint, radial_adjoint, value_adjoint;

    void size_for(const Message &message, const Environment &environment) {
        const size_t lanes = environment.x.size(), width = message.sent;
        radial.resize(lanes * (message.l_max + 1) * width);
        edges.resize(lanes * message.harmonics() * width);
        features.resize(lanes * message.rows() * width);
        received.resize(size_t(message.harmonics()) * message.rows() * width);
        received_adjoint.resize(received.size());
        coupled.resize(size_t(message.harmonics()) * width);
        ones.assign(width, 1.0);
        edge_adjoint.resize(WIDTH * size_t(message.harmonics()) * width);
        feature_adjoint.resize(WIDTH * size_t(message.rows()) * width);
        radial_adjoint.resize(WIDTH * size_t(message.l_max + 1) * width);
        value_adjoint.resize(WIDTH * size_t(environment.radial));
    }
};

// out[row][column] = Σ_n x_row[n] · y_column[n], channel by channel, for four rows and COLUMNS columns of one vector.
template <int COLUMNS>
ALWAYS_INLINE void contract_tile(const double *const *x, size_t x_step, const double *y, size_t column_step,
                                 size_t y_step, int count, Vector (&total)[WIDTH][COLUMNS]) {
    for (int row = 0; row < WIDTH; ++row)
        for (int column = 0; column < COLUMNS; ++column) total[row][column] = broadcast(0.0);
    for (int n = 0; n < count; ++n, y += y_step) {
        Vector right[COLUMNS];
        UNROLL
        for (int column = 0; column < COLUMNS; ++column) right[column] = load(y + column * column_step);
        UNROLL
        for (int row = 0; row < WIDTH; ++row) {
            const Vector left = load(x[row] + n * x_step);
            UNROLL
            for (int column = 0; column < COLUMNS; ++column) total[row][column] += left * right[column];
        }
    }
}

// The same for all channels and any number of columns; rows [x] are written to out[row] + column · out_step.  The last
// tile overlaps the one before it rather than leaving a remainder.
static void contract(const double *const *x, size_t x_step, const double *y, size_t column_step, size_t y_step,
                     int count, int columns, int channels, double *const *out, size_t out_step) {
    constexpr int COLUMNS = 3;
    for (int k = 0; k < channels; k += WIDTH) {
        const double *rows[WIDTH] = {x[0] + k, x[1] + k, x[2] + k, x[3] + k};
        if (columns < COLUMNS) {
            for (int column = 0; column < columns; ++column) {
                Vector total[WIDTH][1];
                contract_tile<1>(rows, x_step, y + column * column_step + k, column_step, y_step, count, total);
                for (int row = 0; row < WIDTH; ++row) store(out[row] + column * out_step + k, total[row][0]);
            }
            continue;
        }
        for (int tile = 0; tile < columns; tile += COLUMNS) {
            const int first = std::min(tile, columns - COLUMNS);
            Vector total[WIDTH][COLUMNS];
            contract_tile<COLUMNS>(rows, x_step, y + first * column_step + k, column_step, y_step, count, total);
            UNROLL
            for (int row = 0; row < WIDTH; ++row) UNROLL
            for (int column = 0; column < COLUMNS; ++column)
                store(out[row] + (first + column) * out_step + k, total[row][column]);
        }
    }
}

// ρ_l and ρ_l Y_lm of every lane for one centre species.
static void edge_functions(const Message &message, const Basis &basis, int species, const Environment &environment,
                           Reception &own) {
    const int radial_count = environment.radial;
    const int width = message.sent, levels = message.l_max + 1, harmonics = message.harmonics();
    for (int neighbour = 0; neighbour < basis.species; ++neighbour) {
        const Environment::Segment segment = environment.segments[neighbour];
        const int first = segment.first_group * WIDTH, lanes = segment.groups * WIDTH;
        const size_t pair = size_t(species) * basis.species + neighbour;
        multiply(environment.values.data() + size_t(first) * radial_count, lanes, radial_count,
                 message.radial + pair * radial_count * levels * width, levels * width,
                 own.radial.data() + size_t(first) * levels * width);
    }
    for (int lane = 0; lane < environment.group_count * WIDTH; ++lane) {
        const double *harmonic = environment.harmonic_values.data() +
                                 size_t(lane / WIDTH) * environment.harmonics_stored * WIDTH + lane % WIDTH;
        const double *radial = own.radial.data() + size_t(lane) * levels * width;
        double *edge = own.edges.data() + size_t(lane) * harmonics * width;
        for (int l = 0; l < levels; ++l, radial += width)
            for (int lm = l * l; lm < (l + 1) * (l + 1); ++lm, edge += width) {
                const Vector factor = broadcast(harmonic[lm * WIDTH]);
                for (int k = 0; k < width; k += WIDTH) store(edge + k, factor * load(radial + k));
            }
    }
}

// A' of one atom from the features of its neighbours, those of atom j at features_of(j).
template <class Features>
static void receive(const Message &message, const Basis &basis, int species, const Environment &environment,
                    const Features &features_of, Reception &own) {
    const int width = message.sent, rows = message.rows(), harmonics = message.harmonics();
    const int lanes = environment.group_count * WIDTH, row_size = rows * width;
    edge_functions(message, basis, species, environment, own);
    for (int lane = 0; lane < lanes; ++lane) {
        double *place = own.features.data() + size_t(lane) * row_size;
        if (environment.atoms[lane] < 0)
            std::fill_n(place, row_size, 0.0);
        else
            std::copy_n(features_of(environment.atoms[lane]), row_size, place);
    }
    for (int tile = 0; tile < harmonics; tile += WIDTH) {
        const double *edges[WIDTH];
        double *out[WIDTH];
        for (int row = 0; row < WIDTH; ++row) {
            const int lm = std::min(tile + row, harmonics - 1);
            edges[row] = own.edges.data() + size_t(lm) * width;
            out[row] = own.received.data() + size_t(lm) * row_size;
        }
        contract(edges, size_t(harmonics) * width, own.features.data(), width, row_size, lanes, rows, width, out,
                 width);
    }
    std::fill(own.coupled.begin(), own.coupled.end(), 0.0);
    couple(message.paths.forward, of_species(message.paths, species, width), width, own.received.data(),
           own.ones.data(), own.coupled.data());
}

// From the adjoint [lm][sent] of A', that of the neighbours' features, added to those at adjoint_of(j), and the
// gradient with respect to the position of every neighbour, into gradient[axis][lane].
template <class Adjoint>
static void receive_adjoint(const Message &message, const Basis &basis, int species, const Environment &environment,
                            const double *coupled_adjoint, const Adjoint &adjoint_of, Reception &own,
                            double *gradient_x, double *gradient_y, double *gradient_z) {
    const int radial_count = environment.radial, stored = environment.harmonics_stored;
    const int width = message.sent, levels = message.l_max + 1, harmonics = message.harmonics();
    const int row_size = message.rows() * width;
    std::fill(own.received_adjoint.begin(), own.received_adjoint.end(), 0.0);
    couple(message.paths.to_first, of_species(message.paths, species, width), width, coupled_adjoint, own.ones.data(),
           own.received_adjoint.data());
    alignas(32) double angular[(L_LIMIT + 1) * (L_LIMIT + 1) * WIDTH] = {};  // Σ_k ρ_k (∂/∂edge)_k of each lm
    for (int neighbour = 0; neighbour < basis.species; ++neighbour) {
        const Environment::Segment segment = environment.segments[neighbour];
        const size_t pair = size_t(species) * basis.species + neighbour;
        for (int group = segment.first_group; group < segment.first_group + segment.groups; ++group) {
            const int lane = group * WIDTH;
            const double *edges[WIDTH], *features[WIDTH], *radial[WIDTH];
            double *of_features[WIDTH], *of_edges[WIDTH];
            for (int k = 0; k < WIDTH; ++k) {
                edges[k] = own.edges.data() + size_t(lane + k) * harmonics * width;
                features[k] = own.features.data() + size_t(lane + k) * row_size;
                radial[k] = own.radial.data() + size_t(lane + k) * levels * width;
                of_edges[k] = own.edge_adjoint.data() + size_t(k) * harmonics * width;
                of_features[k] = own.feature_adjoint.data() + size_t(k) * row_size;
            }
            // The adjoint of an edge, then that of a feature.
            contract(features, width, own.received_adjoint.data(), row_size, width, message.rows(), harmonics, width,
                     of_edges, width);
            contract(edges, width, own.received_adjoint.data(), width, row_size, harmonics, message.rows(), width,
                     of_features, width);
            for (int k = 0; k < WIDTH; ++k)
                if (environment.atoms[lane + k] >= 0)
                    add_scaled(adjoint_of(environment.atoms[lane + k]), 1.0, of_features[k], row_size);
            const double *harmonic = environment.harmonic_values.data() + size_t(group) * stored * WIDTH;
            std::fill(own.radial_adjoint.begin(), own.radial_adjoint.end(), 0.0);
            for (int l = 0; l < levels; ++l)
                for (int lm = l * l; lm < (l + 1) * (l + 1); ++lm) {
                    Vector product[WIDTH] = {};
                    UNROLL
                    for (int k = 0; k < WIDTH; ++k) {
                        const Vector factor = broadcast(harmonic[lm * WIDTH + k]);
                        double *of_radial = own.radial_adjoint.data() + size_t(k * levels + l) * width;
                        for (int c = 0; c < width; c += WIDTH) {
                            const Vector value = load(of_edges[k] + lm * width + c);
                            product[k] += value * load(radial[k] + l * width + c);
                            store(of_radial + c, load(of_radial + c) + factor * value);
                        }
                    }
                    transpose(product[0], product[1], product[2], product[3]);
                    store(angular + lm * WIDTH, (product[0] + product[1]) + (product[2] + product[3]));
                }
            multiply(own.radial_adjoint.data(), WIDTH, levels * width,
                     message.radial_transposed + pair * radial_count * levels * width, radial_count,
                     own.value_adjoint.data());
            const double *slope = environment.slopes_by_lane.data() + size_t(group) * radial_count * WIDTH;
            Vector along_r = {};
            for (int v = 0; v < radial_count / WIDTH; ++v) {
                Vector value[WIDTH];
                for (int k = 0; k < WIDTH; ++k)
                    value[k] = load(own.value_adjoint.data() + k * radial_count + v * WIDTH);
                transpose(value[0], value[1], value[2], value[3]);
                for (int n = 0; n < WIDTH; ++n) along_r += value[n] * load(slope + (v * WIDTH + n) * WIDTH);
            }
            const UnalignedVector direction[3] = {load(environment.x.data() + lane), load(environment.y.data() + lane),
                                                  load(environment.z.data() + lane)};
            UnalignedVector along[3];
            environment.stages.surface_gradient(environment, group, angular, direction, along);
            const Vector inverse = broadcast(1.0) / load(environment.distance.data() + lane);
            store(gradient_x + lane, along[0] * inverse + along_r * direction[0]);
            store(gradient_y + lane, along[1] * inverse + along_r * direction[1]);
            store(gradient_z + lane, along[2] * inverse + along_r * direction[2]);
        }
    }
}
