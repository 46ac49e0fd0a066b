// What this processor has beside what every one of its kind has: AVX2 and fused multiply-add, asked once.
#pragma once

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define BEADWISE_HAS_AVX2 1  // the compiler makes such a part, which runs where the processor has it
#endif

namespace beadwise {

inline bool use_avx2() {
#ifdef BEADWISE_HAS_AVX2
    static const bool available = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    return available;
#else
    return false;
#endif
}

}  // namespace beadwise
