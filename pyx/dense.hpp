// Dense layers of WIDTH atoms at once: the atoms stand in the lanes of a vector, so that each weight is read once for
// all of them.
// Included once per instruction set (see kernel.hpp).

constexpr int DENSE_ROWS = 8;  // accumulators of a tile; sizes of layers are padded to multiples of it

// eˣ by x = n ln 2 + r, |r| ≤ ln 2 / 2, and the Taylor polynomial of eʳ, of relative error below 1e-16, or 1e-7 in
// single precision.
ALWAYS_INLINE Vector exponential(Vector x) {
#ifdef BEADWISE_SINGLE
    constexpr Real LARGEST = 87.0f, ROUNDING = 12582912.0f, LN2_HIGH = 0.693359375f, LN2_LOW = -2.12194440e-4f;
    constexpr int TERMS = 8, BIAS = 127, FRACTION = 23;
#else
    constexpr Real LARGEST = 700.0, ROUNDING = 6755399441055744.0;
    constexpr Real LN2_HIGH = 0.693147180369123816490, LN2_LOW = 1.90821492927058770002e-10;
    constexpr int TERMS = 12, BIAS = 1023, FRACTION = 52;
#endif
    const Vector highest = broadcast(LARGEST), lowest = broadcast(-LARGEST);
    x = x > highest ? highest : x;
    x = x < lowest ? lowest : x;
    const Vector to_integer = broadcast(ROUNDING);  // 1.5 · 2⁵²: the sum's last bits are the rounded integer
    const Vector shifted = x * broadcast(1.4426950408889634) + to_integer;
    const Vector n = shifted - to_integer;
    const Vector r = (x - n * broadcast(LN2_HIGH)) - n * broadcast(LN2_LOW);
    constexpr Real INVERSE_FACTORIAL[] = {
        1.0,        1.0,         1.0 / 2,      1.0 / 6,       1.0 / 24,       1.0 / 120,      1.0 / 720,
        1.0 / 5040, 1.0 / 40320, 1.0 / 362880, 1.0 / 3628800, 1.0 / 39916800, 1.0 / 479001600};
    Vector power = broadcast(INVERSE_FACTORIAL[TERMS]);
    UNROLL
    for (int k = TERMS - 1; k >= 0; --k) power = power * r + broadcast(INVERSE_FACTORIAL[k]);
    const Mask exponent = ((Mask)shifted + BIAS) << FRACTION;
    return power * (Vector)exponent;
}

// values ← silu(x) = x σ(x) and slopes ← its derivative, for `count` vectors.
static void activate(const Real *x, int count, Real *values, Real *slopes) {
    const Vector one = broadcast(1.0);
    for (int k = 0; k < count; ++k) {
        const Vector argument = load(x + k * WIDTH);
        const Vector logistic = one / (one + exponential(-argument));
        const Vector value = argument * logistic;
        store(values + k * WIDTH, value);
        store(slopes + k * WIDTH, logistic + value * (one - logistic));
    }
}

// Weights stand tile by tile of the outputs, [outputs / 8][inputs][8], so that both directions read them in order.

// out[j] = bias[j] + Σ_f weights[f][j] in[f]
static void dense_forward(const Real *weights, const Real *bias, int inputs, int outputs, const Real *in, Real *out) {
    for (int tile = 0; tile < outputs; tile += DENSE_ROWS) {
        Vector total[DENSE_ROWS];
        UNROLL
        for (int row = 0; row < DENSE_ROWS; ++row) total[row] = broadcast(bias[tile + row]);
        for (int f = 0; f < inputs; ++f, weights += DENSE_ROWS) {
            const Vector value = load(in + f * WIDTH);
            UNROLL
            for (int row = 0; row < DENSE_ROWS; ++row) total[row] += broadcast(weights[row]) * value;
        }
        UNROLL
        for (int row = 0; row < DENSE_ROWS; ++row) store(out + (tile + row) * WIDTH, total[row]);
    }
}

// in[f] += Σ_j weights[f][j] out[j]
static void dense_backward(const Real *weights, int inputs, int outputs, const Real *out, Real *in) {
    for (int tile = 0; tile < outputs; tile += DENSE_ROWS) {
        Vector value[DENSE_ROWS];
        UNROLL
        for (int row = 0; row < DENSE_ROWS; ++row) value[row] = load(out + (tile + row) * WIDTH);
        for (int f = 0; f < inputs; ++f, weights += DENSE_ROWS) {
            Vector even = load(in + f * WIDTH), odd = {};
            UNROLL
            for (int row = 0; row < DENSE_ROWS; row += 2) {
                even += broadcast(weights[row]) * value[row];
                odd += broadcast(weights[row + 1]) * value[row + 1];
            }
            store(in + f * WIDTH, even + odd);
        }
    }
}
