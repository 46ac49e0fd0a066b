// The long-range part of a screened Coulomb interaction, erf(α r)/r, as a table.
#pragma once

#include <cmath>
#include <vector>

namespace beadwise {

// φ(t) = erf(√t)/√t, so that erf(α r)/r = α φ(α² r²).  φ is smooth everywhere, so a uniform grid in t serves all
// distances, and α does not enter.  Polynomials of degree 5 share value and two derivatives at their ends: energies
// have continuous second derivatives, and forces are exactly the derivatives of the energies.
class ScreeningTable {
public:
    static constexpr int PER_UNIT = 32;  // intervals in Δt = 1; the error of φ is below 1e-14
    static constexpr int END = 37;       // erfc(√37) is below 1e-17: what is further away is left out
    static constexpr int STRIDE = 8;     // coefficients 0 to 5, and padding to a line of the cache
    static constexpr int NODES = END * PER_UNIT + 1;

    static const ScreeningTable &instance() {
        static const ScreeningTable table;
        return table;
    }

    // Coefficients of x^k, x = t · PER_UNIT − index in ±1/2.
    const double *coefficients() const { return values.data(); }

    // φ and its derivative, for t below END.
    double value(double t, double &derivative) const {
        const double place = t * PER_UNIT, index = std::nearbyint(place), x = place - index;
        const double *c = values.data() + STRIDE * int(index);
        derivative = PER_UNIT * (c[1] + x * (2 * c[2] + x * (3 * c[3] + x * (4 * c[4] + x * 5 * c[5]))));
        return c[0] + x * (c[1] + x * (c[2] + x * (c[3] + x * (c[4] + x * c[5]))));
    }

private:
    std::vector<double> values;

    ScreeningTable() : values(size_t(NODES) * STRIDE) {
        const long double step = 1.0L / PER_UNIT;
        for (int node = 0; node < NODES; ++node) {
            long double left[3], right[3];
            derivatives((node - 0.5L) * step, left);
            derivatives((node + 0.5L) * step, right);
            for (int order = 1; order < 3; ++order)
                for (long double *end : {left, right}) end[order] *= order == 1 ? step : step * step;
            fit(left, right, values.data() + STRIDE * node);
        }
    }

    // The polynomial in x with given value, slope and curvature at x = −1/2 and x = 1/2, from its even and odd parts.
    static void fit(const long double *left, const long double *right, double *c) {
        const long double value = (right[0] + left[0]) / 2, slope = (right[1] - left[1]) / 2;
        const long double curvature = (right[2] + left[2]) / 2;
        const long double odd_value = (right[0] - left[0]) / 2, odd_slope = (right[1] + left[1]) / 2;
        const long double odd_curvature = (right[2] - left[2]) / 2;
        // even: c0 + c2/4 + c4/16 = value, c2 + c4/2 = slope, 2 c2 + 3 c4 = curvature
        const long double c4 = (curvature - 2 * slope) / 2, c2 = slope - c4 / 2;
        // odd: c1/2 + c3/8 + c5/32 = value, c1 + 3 c3/4 + 5 c5/16 = slope, 3 c3 + 5 c5/2 = curvature
        const long double rest = odd_slope - 2 * odd_value;  // = c3/2 + c5/4
        const long double c5 = odd_curvature - 6 * rest, c3 = 2 * rest - c5 / 2;
        c[0] = double(value - c2 / 4 - c4 / 16);
        c[1] = double(odd_slope - 3 * c3 / 4 - 5 * c5 / 16);
        c[2] = double(c2);
        c[3] = double(c3);
        c[4] = double(c4);
        c[5] = double(c5);
    }

    // φ, φ' and φ''.  The power series for small t, where the closed forms cancel.
    static void derivatives(long double t, long double *out) {
        const long double inverse_root_pi = 0.564189583547756286948079451560772586L;
        if (t < 3) {
            long double power = 2 * inverse_root_pi;  // (−1)^n (2/√π)/n!, times t^(n − order) below
            out[0] = out[1] = out[2] = 0;
            for (int n = 0; n < 60; ++n) {
                const long double term = power / (2 * n + 1);
                out[0] += term * std::pow(t, n);
                if (n > 0) out[1] += n * term * std::pow(t, n - 1);
                if (n > 1) out[2] += n * (n - 1) * term * std::pow(t, n - 2);
                power *= -1.0L / (n + 1);
            }
            return;
        }
        const long double gaussian = std::exp(-t) * inverse_root_pi;
        out[0] = std::erf(std::sqrt(t)) / std::sqrt(t);
        out[1] = (gaussian - out[0] / 2) / t;
        out[2] = -(gaussian + 1.5L * out[1]) / t;
    }
};

}  // namespace beadwise
