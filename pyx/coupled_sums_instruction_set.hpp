// What coupled_sums.hpp compiles once per instruction set, in the namespace named by BEADWISE_INSTRUCTION_SET.
// No include guard: coupled_sums.hpp includes it several times.

namespace beadwise {
namespace BEADWISE_INSTRUCTION_SET {

#include "simd.hpp"

#include "harmonics.hpp"

#include "pair_functions.hpp"

#include "coupled_sums_of_centres.hpp"

#undef ALWAYS_INLINE
#undef UNROLL
#undef SHUFFLE

}  // namespace BEADWISE_INSTRUCTION_SET
}  // namespace beadwise
