// Radial functions of Coulomb interactions.  No include guard: electrostatics.hpp includes it once per instruction set.
//
// B_0 = erfc(κr)/r and B_n = −(1/r) dB_(n−1)/dr = [(2n−1) B_(n−1) + (2κ²)^n e^(−κ²r²)/(κ√π)]/r²: the potential of a
// charge whose long range was taken away, and what its derivatives are made of (Smith, CCP5 Newsletter 46, 18 (1998)).
// κ = 0 is the whole of 1/r.  A Gaussian charge lacks the same functions with the κ of its width.

// e^y for −700 < y ≤ 0, to the last digits.
ALWAYS_INLINE Vector exponential(Vector y) {
    constexpr double MAGIC = 6755399441055744.0;  // 1.5 · 2^52: a sum with it is rounded to a whole number
    const Vector shifted = y * 1.44269504088896340736 + broadcast(MAGIC), whole = shifted - broadcast(MAGIC);
    const Vector x = (y - whole * 6.93147180369123816490e-01) - whole * 1.90821492927058770002e-10;
    constexpr double INVERSE_FACTORIALS[] = {
        1.0,        1.0,         1.0 / 2,      1.0 / 6,       1.0 / 24,       1.0 / 120,      1.0 / 720,
        1.0 / 5040, 1.0 / 40320, 1.0 / 362880, 1.0 / 3628800, 1.0 / 39916800, 1.0 / 479001600};
    Vector value = broadcast(INVERSE_FACTORIALS[12]);
    UNROLL
    for (int n = 11; n >= 0; --n) value = value * x + broadcast(INVERSE_FACTORIALS[n]);
    return value * (Vector)(((Mask)shifted + 1023) << 52);
}

// e^(x²) erfc(x) for 0 ≤ x ≤ END of the table.
ALWAYS_INLINE Vector scaled_erfc(const double *table, Vector x) {
    constexpr double MAGIC = 6755399441055744.0;
    const Vector place = x * broadcast(ScaledErfcTable::PER_UNIT), shifted = place + broadcast(MAGIC);
    const Vector away = place - (shifted - broadcast(MAGIC));
    Vector low[4], high[4];
    UNROLL
    for (int lane = 0; lane < WIDTH; ++lane) {
        const double *own = table + ScaledErfcTable::STRIDE * (((Mask)shifted)[lane] & 0xffff);
        low[lane] = load(own);
        high[lane] = load(own + WIDTH);
    }
    transpose(low[0], low[1], low[2], low[3]);
    transpose(high[0], high[1], high[2], high[3]);
    Vector value = high[3];
    UNROLL
    for (int n = 2; n >= 0; --n) value = value * away + high[n];
    UNROLL
    for (int n = 3; n >= 0; --n) value = value * away + low[n];
    return value;
}

// What belongs to four pairs at a time.
struct Distances {
    Vector square, length, inverse, inverse_square;

    explicit Distances(Vector square_in) : square(square_in), length(square_root(square_in)) {
        inverse = 1.0 / length;
        inverse_square = inverse * inverse;
    }
};

constexpr int RADIAL = 4;  // functions B_0 … B_3

// B_n of a splitting, added with a sign.
ALWAYS_INLINE void add_screened(const double *table, const Distances &r, Vector kappa, double sign,
                                Vector (&functions)[RADIAL]) {
    constexpr double TWO_OVER_ROOT_PI = 1.12837916709551257390;
    const Vector zero = {}, x = kappa * r.length;
    const Mask within = x < broadcast(ScaledErfcTable::END);
    const Vector near = within ? x : zero;
    const Vector gaussian = within ? sign * exponential(-near * near) : zero;
    Vector value = gaussian * scaled_erfc(table, near) * r.inverse, term = TWO_OVER_ROOT_PI * kappa * gaussian;
    const Vector factor = 2.0 * kappa * kappa;
    functions[0] += value;
    UNROLL
    for (int n = 1; n < RADIAL; ++n) {
        value = ((2 * n - 1.0) * value + term) * r.inverse_square;
        functions[n] += value;
        term *= factor;
    }
}

// What Thole's exponential damping takes away from the interaction of dipoles (Chem. Phys. 59, 341 (1981)).
ALWAYS_INLINE void damp(const Distances &r, double damping, Vector (&functions)[RADIAL]) {
    const Vector w = (r.length / damping) * (r.length / damping) * (r.length / damping);
    const Vector limited = w < broadcast(600.0) ? w : broadcast(600.0);
    const Vector faded = exponential(-limited), third = r.inverse * r.inverse_square;
    functions[1] -= faded * third;
    functions[2] -= 3.0 * (1.0 + w) * faded * third * r.inverse_square;
    functions[3] -= (15.0 * (1.0 + w) + 9.0 * w * w) * faded * third * r.inverse_square * r.inverse_square;
}
