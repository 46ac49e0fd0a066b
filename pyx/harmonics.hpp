// Real spherical harmonics of WIDTH directions at once.  Included once per instruction set (see kernel.hpp).
// Y_lm = q_l^m(z)·Re(x+iy)^m for m ≥ 0 and q_l^|m|(z)·Im(x+iy)^|m| for m < 0, on the unit sphere; index l(l+1)+m.

template <int L>
struct Harmonics {
    static constexpr int COUNT = (L + 1) * (L + 1);

    UnalignedVector legendre[(L + 1) * (L + 2) / 2];  // q_l^m at l(l+1)/2 + m
    UnalignedVector cosine[L + 1], sine[L + 1];       // Re and Im of (x+iy)^m

    static void evaluate(Harmonics &self, const LegendreTables &table, Vector x, Vector y, Vector z, Real *values) {
        self.cosine[0] = broadcast(1.0);
        self.sine[0] = broadcast(0.0);
        UNROLL
        for (int m = 1; m <= L; ++m) {
            self.cosine[m] = x * self.cosine[m - 1] - y * self.sine[m - 1];
            self.sine[m] = x * self.sine[m - 1] + y * self.cosine[m - 1];
        }
        UNROLL
        for (int l = 0; l <= L; ++l) {
            UnalignedVector *row = self.legendre + l * (l + 1) / 2;
            const UnalignedVector *one_below = row - l, *two_below = row - 2 * l + 1;
            row[l] = broadcast(table.diagonal[l]);
            if (l > 0) row[l - 1] = broadcast(table.rise[l][l - 1]) * z * one_below[l - 1];
            UNROLL
            for (int m = 0; m <= l - 2; ++m)
                row[m] = broadcast(table.rise[l][m]) * z * one_below[m] - broadcast(table.fall[l][m]) * two_below[m];
            Real *centre = values + (l * (l + 1)) * WIDTH;
            store(centre, row[0]);
            UNROLL
            for (int m = 1; m <= l; ++m) {
                store(centre + m * WIDTH, row[m] * self.cosine[m]);
                store(centre - m * WIDTH, row[m] * self.sine[m]);
            }
        }
    }

    // Gradient on the sphere of Σ_lm weight_lm Y_lm at the unit vector (x, y, z), not yet divided by the distance.
    // Any smooth continuation off the sphere gives it once the radial part is projected out.
    // Not inlined: one instance serves every number of radial functions, which keeps compilation short.
    static __attribute__((noinline)) void gradient(const Harmonics &self, const LegendreTables &table,
                                                   const Real *weights, const UnalignedVector *direction,
                                                   UnalignedVector *along) {
        const Vector x = direction[0], y = direction[1], z = direction[2];
        Vector total_x = {}, total_y = {}, total_z = {};
        UNROLL
        for (int m = 0; m <= L; ++m) {
            Vector even = {}, odd = {}, even_slope = {}, odd_slope = {};
            UNROLL
            for (int l = m; l <= L; ++l) {
                const UnalignedVector *row = self.legendre + l * (l + 1) / 2;
                const Vector weight_even = load(weights + (l * (l + 1) + m) * WIDTH);
                const Vector weight_odd = m > 0 ? load(weights + (l * (l + 1) - m) * WIDTH) : broadcast(0.0);
                even += weight_even * row[m];
                odd += weight_odd * row[m];
                if (l > m) {
                    const Vector slope = broadcast(table.slope[l][m]) * row[m + 1];
                    even_slope += weight_even * slope;
                    odd_slope += weight_odd * slope;
                }
            }
            total_z += even_slope * self.cosine[m] + odd_slope * self.sine[m];
            if (m > 0) {
                const Vector order = broadcast(Real(m));
                total_x += order * (even * self.cosine[m - 1] + odd * self.sine[m - 1]);
                total_y += order * (odd * self.cosine[m - 1] - even * self.sine[m - 1]);
            }
        }
        const Vector radial = total_x * x + total_y * y + total_z * z;
        along[0] = total_x - radial * x;
        along[1] = total_y - radial * y;
        along[2] = total_z - radial * z;
    }
};
