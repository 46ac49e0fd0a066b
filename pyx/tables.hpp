// What describes a model to the kernel: flat arrays owned by the caller, and tables derived from them once.
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

namespace beadwise {

constexpr int L_LIMIT = 6;        // highest angular momentum with a compiled instance
constexpr int LAMBDA_LIMIT = 6;   // highest angular momentum of a head
constexpr int RADIAL_LIMIT = 16;  // most radial functions per group of neighbour species

// What is read for every neighbour or atom is a template: Basis, Head, … are in double precision.

// Radial functions R_n(r) of each (centre species, neighbour species) as cubic Hermite splines on a uniform grid; in
// single precision as their cubics, see SingleModel.
template <class Real>
struct BasisOf {
    int species;           // number of chemical species
    int groups;            // of neighbour species, each with its own channels
    const int32_t *group;  // [species]: to which group a neighbour adds
    int radial;            // radial functions per group, padded to a multiple of 4
    int l_max;
    double cutoff;              // Å
    int intervals;              // of the grid on [0, cutoff]
    const Real *table;          // [species centre][species neighbour][intervals + 1][value, derivative · step][radial]
    const double *pair_table;   // [species centre][species neighbour][intervals + 1][value, derivative · step], eV
    const double *pair_cutoff;  // [species centre][species neighbour], Å; 0 where there is no pair potential

    int harmonics() const { return (l_max + 1) * (l_max + 1); }
    int channels() const { return groups * radial; }
};

using Basis = BasisOf<double>;

// One coupling Σ_{m1 m2} G(m1, m2, M) c_{l1 m1}ᵀ V c_{l2 m2} of a head.
template <class Real>
struct BlockOf {
    int l1, l2;
    bool symmetric;  // l1 = l2 and V = Vᵀ, so that both adjoints are one product
    std::vector<int> m1, m2, component;
    std::vector<Real> coupling;  // the non-zero G(m1, m2, M)
    const Real *weights;         // [species][q of l2][k of l1]: Vᵀ, so that V c_{l2} runs along contiguous k
    const Real *transposed;      // [species][k of l1][q of l2]
};

using Block = BlockOf<double>;

// A quantity of angular momentum λ read from the density: 2λ+1 components per atom.
template <class Real>
struct HeadOf {
    int lambda;
    const double *offset;  // [species], only for λ = 0
    const Real *linear;    // [species][channels], multiplies c_{λ M}
    std::vector<BlockOf<Real>> blocks;

    int components() const { return 2 * lambda + 1; }
};

using Head = HeadOf<double>;

// One dense layer, with weights for every species of the centre.
template <class Real>
struct DenseLayerOf {
    int inputs, outputs;               // padded with zeros to multiples of 8
    const Real *weights;               // [species][outputs / 8][inputs][8]
    const Real *bias;                  // [species][outputs]
    const Real *transposed = nullptr;  // [species][inputs / 8][outputs][8], where atoms are rows
};

using DenseLayer = DenseLayerOf<double>;

// A nonlinear contribution to the first head from the invariants of an atom's density (see network.hpp).
template <class Real>
struct NetworkOf {
    int features;      // channels, then (l, k ≤ q), padded with zeros to a multiple of 8
    const Real *skip;  // [species][features]: the part that is linear in the invariants
    std::vector<DenseLayerOf<Real>> layers;
    const Real *final_weights;  // [species][outputs of the last layer]
};

using Network = NetworkOf<double>;

// Sums of products of the rows of two arrays [lm][channel], channel by channel:
// out_r = Σ_paths weights_path · Σ_terms coefficient · first_a · second_b.
struct Bilinear {
    struct Term {
        int32_t first, second;  // rows of the two factors
        double coefficient;
    };
    struct Segment {
        int32_t path, end;  // terms of one path, up to the end
    };
    struct Row {
        int32_t row, end;  // segments of one row, up to the end
    };

    std::vector<Term> terms;
    std::vector<Segment> segments;
    std::vector<Row> rows;
};

// A product of equivariant channels and its adjoints: to the first factor, and to the second where that is another one.
struct Product {
    int paths;
    const double *weights;  // [species][paths][channels]
    Bilinear forward, to_first, to_second;
};

// A scalar read from an atom's invariants and hidden layer, added to one output.
struct ScalarReadout {
    int head, output;
    const double *skip;           // [species][features]
    const double *final_weights;  // [species][outputs of the last layer]
};

// A tensor read from the equivariant channels of its order, each with a factor that the hidden layer gives.
struct TensorReadout {
    int head, output, lambda;
    DenseLayer factors;  // of the hidden layer; the bias is the factor without it
};

// One layer of an equivariant network (see equivariant.hpp).
struct EquivariantLayer {
    int inputs, channels, l_max, features;
    const double *contraction, *contraction_transposed;  // [species][l][inputs][channels]
    const double *mixing, *mixing_transposed;            // [species][l][channels][channels]
    Product three, four;
    std::vector<DenseLayer> hidden;
    std::vector<ScalarReadout> scalars;
    std::vector<TensorReadout> tensors;

    int harmonics() const { return (l_max + 1) * (l_max + 1); }
    int width() const { return hidden.back().outputs; }
};

// Features of one order that an atom sends: a gate of the hidden layer, times a combination of its channels.
struct Sender {
    DenseLayer gate;
    const double *linear, *linear_transposed;  // [species][3 channels][sent]; null for order 0, where the gate is all
};

// What an atom hears of its neighbours' features (see messages.hpp).
struct Message {
    int sent, l_sent, l_max;                   // channels and highest order of the features, highest of the harmonics
    const double *radial, *radial_transposed;  // [species][species of the neighbour][radial][l][sent]
    std::vector<Sender> senders;               // by order
    Product paths;                             // of received rows [lm][LM] with a row of ones

    int harmonics() const { return (l_max + 1) * (l_max + 1); }
    int rows() const { return (l_sent + 1) * (l_sent + 1); }
};

struct Equivariant {
    std::vector<EquivariantLayer> layers;
    std::vector<Message> messages;  // none or one, between two layers
};

// Recursion constants of the normalised associated Legendre polynomials
// q_l^m(z) = N_lm d^m P_l/dz^m with N_lm = sqrt((2 - δ_m0) (2l+1)/(4π) (l-m)!/(l+m)!), without Condon-Shortley phase:
// q_l^m = rise·z·q_{l-1}^m - fall·q_{l-2}^m and dq_l^m/dz = slope·q_l^{m+1} (DLMF 14.10.3, 14.7.10).
template <class Real>
struct LegendreTablesOf {
    Real diagonal[L_LIMIT + 1];
    Real rise[L_LIMIT + 1][L_LIMIT + 1];
    Real fall[L_LIMIT + 1][L_LIMIT + 1];
    Real slope[L_LIMIT + 1][L_LIMIT + 1];

    LegendreTablesOf() {
        for (int m = 0; m <= L_LIMIT; ++m) {
            double double_factorial = 1.0;
            for (int k = 1; k <= m; ++k) double_factorial *= 2 * k - 1;
            diagonal[m] = double_factorial * norm(m, m);
        }
        for (int l = 0; l <= L_LIMIT; ++l)
            for (int m = 0; m <= L_LIMIT; ++m) {
                rise[l][m] = l > m ? (2.0 * l - 1.0) / (l - m) * norm(l, m) / norm(l - 1, m) : 0.0;
                fall[l][m] = l > m + 1 ? (l + m - 1.0) / (l - m) * norm(l, m) / norm(l - 2, m) : 0.0;
                slope[l][m] = l > m ? norm(l, m) / norm(l, m + 1) : 0.0;
            }
    }

    static double norm(int l, int m) {
        const double pi = 3.14159265358979323846;
        double ratio = 1.0;
        for (int k = l - m + 1; k <= l + m; ++k) ratio /= k;
        return std::sqrt((m == 0 ? 1.0 : 2.0) * (2.0 * l + 1.0) / (4.0 * pi) * ratio);
    }
};

using LegendreTables = LegendreTablesOf<double>;

template <class Real = double>
const LegendreTablesOf<Real> &legendre_tables() {
    static const LegendreTablesOf<Real> tables;
    return tables;
}

}  // namespace beadwise
