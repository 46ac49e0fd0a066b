// e^(x²) erfc(x) as a table: what is left of a Coulomb interaction whose long range was taken away, but for its
// Gaussian.
#pragma once

#include <cmath>
#include <vector>

namespace beadwise {

// Taylor polynomials of degree 7 about the middle of each interval; y' = 2x y − 2/√π gives all derivatives.
class ScaledErfcTable {
public:
    static constexpr int PER_UNIT = 32;  // intervals in Δx = 1; the relative error is below 2e-16
    static constexpr int STRIDE = 8;
    static constexpr double END = 6.5;  // erfc(6.5) is below 4e-20: what is further away is left out

    static const ScaledErfcTable &instance() {
        static const ScaledErfcTable table;
        return table;
    }

    // Coefficients of (x · PER_UNIT − index)^k.
    const double *coefficients() const { return values.data(); }

private:
    std::vector<double> values;

    ScaledErfcTable() {
        const int nodes = int(END * PER_UNIT) + 2;
        values.resize(size_t(nodes) * STRIDE);
        const long double slope_at_zero = 1.128379167095512573896158903121545172L;  // 2/√π
        for (int node = 0; node < nodes; ++node) {
            const long double x = static_cast<long double>(node) / PER_UNIT;
            long double derivative[STRIDE] = {std::exp(x * x) * std::erfc(x)}, scale = 1.0L;
            for (int n = 0; n + 1 < STRIDE; ++n)
                derivative[n + 1] = 2 * x * derivative[n] + (n ? 2 * n * derivative[n - 1] : -slope_at_zero);
            for (int n = 0; n < STRIDE; ++n) {
                values[size_t(node) * STRIDE + n] = double(derivative[n] * scale);
                scale /= (n + 1) * static_cast<long double>(PER_UNIT);
            }
        }
    }
};

}  // namespace beadwise
