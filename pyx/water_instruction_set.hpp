// What water.hpp compiles once per instruction set, in the namespace named by BEADWISE_INSTRUCTION_SET.
// No include guard: water.hpp includes it several times.

namespace beadwise {
namespace BEADWISE_INSTRUCTION_SET {

#include "simd.hpp"

#include "lattice.hpp"

#include "waves.hpp"

#include "ewald.hpp"

#include "flexible_water.hpp"

#undef ALWAYS_INLINE
#undef UNROLL
#undef SHUFFLE

}  // namespace BEADWISE_INSTRUCTION_SET
}  // namespace beadwise
