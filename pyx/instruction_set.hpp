// Everything that is compiled once per instruction set, in the namespace named by BEADWISE_INSTRUCTION_SET.
// No include guard: kernel.hpp includes it several times.

namespace beadwise {
namespace BEADWISE_INSTRUCTION_SET {

#include "simd.hpp"

#ifdef BEADWISE_SINGLE
using Basis = BasisOf<float>;
using Head = HeadOf<float>;
using Block = BlockOf<float>;
using DenseLayer = DenseLayerOf<float>;
using Network = NetworkOf<float>;
using Task = TaskOf<float>;
using LegendreTables = LegendreTablesOf<float>;
static const LegendreTables &legendre_tables() { return beadwise::legendre_tables<float>(); }
constexpr int MOST_ROWS = 1;  // of an equivariant network, which there is none of
#endif

#include "harmonics.hpp"

#include "environment.hpp"

#include "density.hpp"

#include "products.hpp"

#include "dense.hpp"

#include "network.hpp"

#ifndef BEADWISE_SINGLE
#include "bilinear.hpp"

#include "equivariant.hpp"

#include "messages.hpp"

#include "sums_of_scalars.hpp"
#endif

#include "evaluate.hpp"

#ifndef BEADWISE_SINGLE
#include "features.hpp"

#include "tensor_features.hpp"

#include "differential.hpp"
#endif

#include "stages.hpp"

#undef ALWAYS_INLINE
#undef UNROLL
#undef SHUFFLE

}  // namespace BEADWISE_INSTRUCTION_SET
}  // namespace beadwise
