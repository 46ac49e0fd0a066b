// Three sweeps over the atoms of a bead where an equivariant network has messages: the first layer and what is sent;
// the second layer, and its reverse, which leaves adjoints at the neighbours; the reverse of the first layer.  A part
// of a bead evaluates the first layer of its atoms' neighbours too, so that parts need nothing of each other, and what
// they add is that of the whole. Included once per instruction set, by evaluate.hpp.

// Of one bead; slots are the atoms whose first layer is needed.
struct MessageWorkspace {
    bool is_wanted;
    std::vector<int> slot, neighbours;  // of every atom, −1 where it is not needed; needed atoms of other parts
    std::vector<LayerState> first;      // [slot]
    std::vector<SentFeatures> sent;     // [slot]
    std::vector<double> sent_adjoint;   // [slot][gradient channel][LM][sent]
    std::vector<double> a_adjoint;      // [slot][gradient channel][lm][channel], of A of the first layer
    std::vector<double> input[MOST_ROWS], input_adjoint[MOST_ROWS];  // [lm][sent, channel], of the second layer
    std::vector<double> coupled_adjoint, zeros;
    Reception receptions[MOST_ROWS];
    SendWorkspace sender;
    EquivariantWorkspace second;
    size_t sent_size = 0, a_size = 0, channels;

    explicit MessageWorkspace(const Task &task)
        : is_wanted(task.equivariant && !task.equivariant->messages.empty()), channels(task.gradient_channels) {
        if (!is_wanted) return;
        const Message &message = task.equivariant->messages[0];
        const EquivariantLayer &layer = task.equivariant->layers[0], &next = task.equivariant->layers[1];
        sent_size = size_t(message.rows()) * message.sent;
        a_size = size_t(layer.harmonics()) * layer.channels;
        sender.size_for(message, layer);
        second.size_for(next);
        for (auto *arrays : {input, input_adjoint})
            for (int k = 0; k < MOST_ROWS; ++k) arrays[k].resize(size_t(next.harmonics()) * next.inputs);
        coupled_adjoint.resize(size_t(message.harmonics()) * message.sent);
        zeros.assign(task.outputs, 0.0);
    }

    // Number the atoms of a part, and the neighbours that they hear.
    void choose(const Task &task, int bead, const std::vector<int> &atoms) {
        const NeighbourList &list = *task.lists[bead];
        int count = 0;
        slot.assign(task.atoms, -1);
        neighbours.clear();
        for (int atom : atoms) slot[atom] = count++;
        if (atoms.size() < size_t(task.atoms))
            for (int atom : atoms) {
                const NeighbourList::Entry *entry = list.entries.data() + size_t(atom) * list.capacity;
                const int32_t *counts = list.counts.data() + size_t(atom) * task.basis->species;
                const int total = std::accumulate(counts, counts + task.basis->species, 0);
                for (int k = 0; k < total; ++k)
                    if (slot[entry[k].atom] < 0) {
                        slot[entry[k].atom] = count++;
                        neighbours.push_back(entry[k].atom);
                    }
            }
        const size_t before = first.size();
        if (size_t(count) > before) {
            first.resize(count);
            sent.resize(count);
            for (size_t k = before; k < size_t(count); ++k) {
                first[k].size_for(task.equivariant->layers[0]);
                sent[k].size_for(task.equivariant->messages[0]);
            }
        }
        sent_adjoint.assign(count * channels * sent_size, 0.0);
        a_adjoint.assign(count * channels * a_size, 0.0);
    }

    double *sent_adjoint_of(int atom, int channel) {
        return sent_adjoint.data() + (slot[atom] * channels + channel) * sent_size;
    }
    double *a_adjoint_of(int atom, int channel) {
        return a_adjoint.data() + (slot[atom] * channels + channel) * a_size;
    }
};

// The first layer of atoms of one species and the features that they send; outputs of atoms of this part.
static bool send_group(const Task &task, int bead, const int *atoms, int count, bool is_own, Group &group,
                       MessageWorkspace &messages) {
    const EquivariantLayer &layer = task.equivariant->layers[0];
    const int species = task.species[atoms[0]];
    const double *densities[MOST_ROWS];
    SentFeatures *sent[MOST_ROWS];
    for (int k = 0; k < count; ++k) {
        Workspace &workspace = group.workspaces[k];
        if (is_own) {
            if (!prepare_atom(task, bead, atoms[k], workspace)) return false;
        } else {
            if (!prepare_environment(task, bead, atoms[k], workspace.environment)) return false;
            expand_density(workspace.environment, *task.basis, workspace.density.data());
        }
        densities[k] = workspace.density.data();
        group.equivariant.states[k] = &messages.first[messages.slot[atoms[k]]];
        sent[k] = &messages.sent[messages.slot[atoms[k]]];
    }
    forward_layer(layer, species, densities, count, task.reads_head.data(), group.equivariant);
    send_features(task.equivariant->messages[0], layer, species, count, group.equivariant.states, sent,
                  messages.sender);
    for (int k = 0; k < count && is_own; ++k)
        read_out(layer, species, *group.equivariant.states[k], task.want_head.data(),
                 task.values + (size_t(bead) * task.atoms + atoms[k]) * task.outputs);
    return true;
}

// Adjoints of what the second layer of one atom reads, handed to its own first layer and to its neighbours.
static void hand_back(const Task &task, int atom, int channel, int place, Group &group, MessageWorkspace &messages,
                      double *gradients, double *strains) {
    const Message &message = task.equivariant->messages[0];
    const EquivariantLayer &layer = task.equivariant->layers[0];
    Workspace &workspace = group.workspaces[place];
    const double *row = messages.input_adjoint[place].data();
    double *own = messages.a_adjoint_of(atom, channel), *heard = messages.coupled_adjoint.data();
    for (int lm = 0; lm < layer.harmonics(); ++lm, row += message.sent + layer.channels) {
        std::copy_n(row, message.sent, heard + size_t(lm) * message.sent);
        add_scaled(own + size_t(lm) * layer.channels, 1.0, row + message.sent, layer.channels);
    }
    receive_adjoint(
        message, *task.basis, task.species[atom], workspace.environment, heard,
        [&](int neighbour) { return messages.sent_adjoint_of(neighbour, channel); }, messages.receptions[place],
        workspace.gradient_x.data(), workspace.gradient_y.data(), workspace.gradient_z.data());
    scatter_gradient(workspace.environment, atom, workspace, 0.0, gradients + size_t(channel) * task.atoms * 3,
                     strains + size_t(channel) * 9);
}

// The second layer of atoms of one species, and its reverse.
static bool receive_group(const Task &task, int bead, const int *atoms, int count, Group &group,
                          MessageWorkspace &messages, double *gradients, double *strains) {
    const Message &message = task.equivariant->messages[0];
    const EquivariantLayer &layer = task.equivariant->layers[0], &next = task.equivariant->layers[1];
    const int species = task.species[atoms[0]];
    const double *inputs[MOST_ROWS];
    double *adjoints[MOST_ROWS];
    for (int k = 0; k < count; ++k) {
        Environment &environment = group.workspaces[k].environment;
        Reception &reception = messages.receptions[k];
        if (!prepare_environment(task, bead, atoms[k], environment)) return false;
        reception.size_for(message, environment);
        receive(
            message, *task.basis, species, environment,
            [&](int neighbour) { return messages.sent[messages.slot[neighbour]].values.data(); }, reception);
        double *row = messages.input[k].data();
        const double *a = messages.first[messages.slot[atoms[k]]].a.data();
        for (int lm = 0; lm < layer.harmonics(); ++lm) {
            row = std::copy_n(reception.coupled.data() + size_t(lm) * message.sent, message.sent, row);
            row = std::copy_n(a + size_t(lm) * layer.channels, layer.channels, row);
        }
        inputs[k] = messages.input[k].data();
        adjoints[k] = messages.input_adjoint[k].data();
    }
    forward_layer(next, species, inputs, count, task.reads_head.data(), messages.second);
    for (int k = 0; k < count; ++k)
        read_out(next, species, *messages.second.states[k], task.want_head.data(),
                 task.values + (size_t(bead) * task.atoms + atoms[k]) * task.outputs);
    for (int channel = 0; channel < task.gradient_channels; ++channel) {
        if (!is_read(*task.equivariant, task.read_by_any(bead, channel))) continue;
        const double *factors[MOST_ROWS];
        for (int k = 0; k < count; ++k) {
            factors[k] = task.combination(bead, channel, atoms[k]);
            messages.second.adjoints[k].clear();
        }
        reverse_layer(next, species, factors, count, messages.second, adjoints);
        for (int k = 0; k < count; ++k) hand_back(task, atoms[k], channel, k, group, messages, gradients, strains);
    }
    return true;
}

// The reverse of the first layer for atoms of one species, of this part or heard by it.
static bool reverse_group(const Task &task, int bead, const int *atoms, int count, bool is_own, Group &group,
                          MessageWorkspace &messages, double *gradients, double *strains) {
    const EquivariantLayer &layer = task.equivariant->layers[0];
    const int species = task.species[atoms[0]];
    SentFeatures *sent[MOST_ROWS];
    const double *features[MOST_ROWS] = {};
    double *adjoints[MOST_ROWS];
    for (int k = 0; k < count; ++k) {
        Workspace &workspace = group.workspaces[k];
        if (is_own)
            prepare_atom(task, bead, atoms[k], workspace, false);
        else
            prepare_environment(task, bead, atoms[k], workspace.environment);
        group.equivariant.states[k] = &messages.first[messages.slot[atoms[k]]];
        sent[k] = &messages.sent[messages.slot[atoms[k]]];
        adjoints[k] = workspace.network_adjoint.data();
    }
    for (int channel = 0; channel < task.gradient_channels; ++channel) {
        const bool with_equivariant = is_read(*task.equivariant, task.read_by_any(bead, channel));
        if (!is_own && !with_equivariant) continue;
        const double *factors[MOST_ROWS];
        for (int k = 0; k < count; ++k)
            factors[k] = is_own ? task.combination(bead, channel, atoms[k]) : messages.zeros.data();
        for (int k = 0; k < count && with_equivariant; ++k) {
            LayerAdjoint &adjoint = group.equivariant.adjoints[k];
            adjoint.clear();
            std::copy_n(messages.a_adjoint_of(atoms[k], channel), messages.a_size, adjoint.a.data());
            features[k] = messages.sent_adjoint_of(atoms[k], channel);
        }
        if (with_equivariant) {
            send_adjoint(task.equivariant->messages[0], layer, species, count, sent, features,
                         group.equivariant.adjoints, messages.sender);
            reverse_layer(layer, species, factors, count, group.equivariant, adjoints);
        }
        for (int k = 0; k < count; ++k)
            differentiate_atom(task, atoms[k], channel, factors[k], with_equivariant, group.workspaces[k], gradients,
                               strains);
    }
    return true;
}

// All that is asked of some atoms of one bead; false if two atoms are too close.
static bool evaluate_with_messages(const Task &task, int bead, const std::vector<int> &atoms, Group &group,
                                   MessageWorkspace &messages, double *gradients, double *strains) {
    messages.choose(task, bead, atoms);
    const std::vector<int> *const all[2] = {&atoms, &messages.neighbours};
    for (const auto *some : all)
        if (!by_species(task, *some, MOST_ROWS, [&](const int *own, int count) {
                return send_group(task, bead, own, count, some == &atoms, group, messages);
            }))
            return false;
    if (!by_species(task, atoms, MOST_ROWS, [&](const int *own, int count) {
            return receive_group(task, bead, own, count, group, messages, gradients, strains);
        }))
        return false;
    if (task.gradient_channels == 0) return true;
    for (const auto *some : all)
        by_species(task, *some, MOST_ROWS, [&](const int *own, int count) {
            return reverse_group(task, bead, own, count, some == &atoms, group, messages, gradients, strains);
        });
    return true;
}
