// What electrostatics.hpp compiles once per instruction set, in the namespace named by BEADWISE_INSTRUCTION_SET.
// No include guard: electrostatics.hpp includes it several times.

namespace beadwise {
namespace BEADWISE_INSTRUCTION_SET {

#include "simd.hpp"

#include "coulomb_functions.hpp"

#include "near_sites.hpp"

#include "near_moments.hpp"

#include "moment_waves.hpp"

#include "fourier.hpp"

#include "moment_mesh.hpp"

#include "moments.hpp"

#include "induction.hpp"

#undef ALWAYS_INLINE
#undef UNROLL
#undef SHUFFLE

}  // namespace BEADWISE_INSTRUCTION_SET
}  // namespace beadwise
