// Threads, and exceptions in parallel regions.
#pragma once

#include <exception>

namespace beadwise {

// Whether the compiler had OpenMP; without it every parallel region is one thread.
#ifdef _OPENMP
constexpr bool HAS_THREADS = true;
#else
constexpr bool HAS_THREADS = false;
#endif

// The first exception of several threads.  None may leave a parallel region, which would end the program, so each
// thread hands over what it catches, and the region's caller throws it again.
class FirstException {
public:
    template <class Function>
    void guard(const Function &function) noexcept {
        try {
            function();
        } catch (...) {
            keep(std::current_exception());
        }
    }

    void rethrow() const {
        if (kept) std::rethrow_exception(kept);
    }

private:
    std::exception_ptr kept;

    void keep(const std::exception_ptr &caught) {
#pragma omp critical(beadwise_exception)
        if (!kept) kept = caught;
    }
};

}  // namespace beadwise
