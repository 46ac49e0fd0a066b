// Everything that is compiled once per instruction set, in the namespace named by BEADWISE_INSTRUCTION_SET.
// No include guard: kernel.hpp includes it several times.

namespace beadwise {
namespace BEADWISE_INSTRUCTION_SET {

#include "simd.hpp"

#include "harmonics.hpp"

#include "environment.hpp"

#include "density.hpp"

#include "products.hpp"

#include "dense.hpp"

#include "network.hpp"

#include "bilinear.hpp"

#include "equivariant.hpp"

#include "messages.hpp"

#include "evaluate.hpp"

#include "features.hpp"

#include "tensor_features.hpp"

#include "differential.hpp"

#include "stages.hpp"

#undef ALWAYS_INLINE
#undef UNROLL
#undef SHUFFLE

}  // namespace BEADWISE_INSTRUCTION_SET
}  // namespace beadwise
