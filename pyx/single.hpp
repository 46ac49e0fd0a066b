// A model in single precision, made from what describes it in double precision.
#pragma once

namespace beadwise {

// Copies of all that is read for every neighbour or atom; offsets, which are large, and pair potentials stay as they
// are.
struct SingleModel {
    BasisOf<float> basis;
    std::vector<HeadOf<float>> heads;
    NetworkOf<float> network;
    bool with_network;

    SingleModel(const Basis &own, const std::vector<Head> &own_heads, const Network *own_network)
        : with_network(own_network) {
        const size_t species = own.species, channels = own.channels();
        basis = {own.species, own.groups,    own.group,   own.radial,     own.l_max,
                 own.cutoff,  own.intervals, cubics(own), own.pair_table, own.pair_cutoff};
        for (const Head &head : own_heads) {
            heads.push_back({head.lambda, head.offset, copy(head.linear, species * channels), {}});
            for (const Block &block : head.blocks) {
                const size_t size = species * channels * channels;
                heads.back().blocks.push_back({block.l1, block.l2, block.symmetric, block.m1, block.m2, block.component,
                                               std::vector<float>(block.coupling.begin(), block.coupling.end()),
                                               copy(block.weights, size), copy(block.transposed, size)});
            }
        }
        if (!own_network) return;
        network.features = own_network->features;
        network.skip = copy(own_network->skip, species * network.features);
        for (const DenseLayer &layer : own_network->layers)
            network.layers.push_back({layer.inputs, layer.outputs,
                                      copy(layer.weights, species * layer.inputs * layer.outputs),
                                      copy(layer.bias, species * layer.outputs), nullptr});
        network.final_weights = copy(own_network->final_weights, species * network.layers.back().outputs);
    }

    SingleModel(const SingleModel &) = delete;  // what points into the copies would not follow

    void evaluate(const Task &asked, int threads) const {
        TaskOf<float> task = {static_cast<const TaskOfAny &>(asked), &basis, &heads, with_network ? &network : nullptr};
        beadwise::evaluate(task, threads);
    }

private:
    // [species centre][species neighbour][intervals + 1][power of the place in the interval][radial] of the radial
    // functions, with zeros beyond the cutoff.
    const float *cubics(const Basis &own) {
        const int radial = own.radial;
        std::vector<float> all;
        for (int pair = 0; pair < own.species * own.species; ++pair) {
            const double *left = own.table + size_t(pair) * (own.intervals + 1) * 2 * radial;
            for (int interval = 0; interval < own.intervals; ++interval, left += 2 * radial) {
                const double *slope = left + radial, *right = slope + radial, *right_slope = right + radial;
                for (int power = 0; power < 4; ++power)
                    for (int n = 0; n < radial; ++n) {
                        const double rise = right[n] - left[n];
                        const double of_power[4] = {left[n], slope[n], 3.0 * rise - 2.0 * slope[n] - right_slope[n],
                                                    slope[n] + right_slope[n] - 2.0 * rise};
                        all.push_back(float(of_power[power]));
                    }
            }
            all.insert(all.end(), 4 * radial, 0.0f);
        }
        arrays.push_back(std::move(all));
        return arrays.back().data();
    }

    std::vector<std::vector<float>> arrays;

    const float *copy(const double *values, size_t size) {
        arrays.emplace_back(values, values + size);
        return arrays.back().data();  // a vector that is moved keeps its address
    }
};

}  // namespace beadwise
