"""Correlation functions: the plain sum over all pairs, restarts, blocks and their errors."""

import io

import numpy as np
import pytest
from beadwise.spectra import Correlation, Estimate, NotComputedError, SeriesError, estimate, jackknife
from scipy.signal import lfilter

RANDOM = np.random.default_rng(11)


def plain(first, second, lags):
    """⟨Σ_p a_p(0) b_p(k)⟩ by the plain sum over pairs."""
    return np.array([(first[: len(first) - k] * second[k:]).sum() / (len(first) - k) for k in range(lags + 1)])


def ornstein_uhlenbeck(samples, relaxation, components=1, seed=0):
    """Exact samples of dx = −x dt/τ + √(2/τ) dW, ⟨x x(t)⟩ = e^{−t/τ}."""
    random = np.random.default_rng(seed)
    kept = np.exp(-1 / relaxation)
    noise = random.normal(size=(samples, components)) * np.sqrt(1 - kept**2)
    noise[0] /= np.sqrt(1 - kept**2)
    return lfilter([1.0], [1.0, -kept], noise, axis=0)


@pytest.mark.parametrize("remove_mean", [False, True])
@pytest.mark.parametrize(("samples", "lags"), [(3000, 100), (700, 300), (50, 20), (40, 39)])
def test_equals_the_plain_sum(samples, lags, remove_mean):
    first = RANDOM.normal(size=(samples, 3)) + 5.0
    second = 0.5 * first + RANDOM.normal(size=(samples, 3))
    means = (first.mean(0), second.mean(0)) if remove_mean else (0.0, 0.0)
    expected = plain(first - means[0], second - means[1], lags)
    received = Correlation(lags, remove_mean).compute(first, second).values
    np.testing.assert_allclose(received, expected, rtol=0, atol=1e-11 * abs(expected[0]))


@pytest.mark.parametrize("remove_mean", [False, True])
def test_cuts_and_restarts_change_no_bit(remove_mean):
    series = RANDOM.normal(size=(5000, 3)) + 2.0
    whole = Correlation(64, remove_mean).compute(series)
    pieces = Correlation(64, remove_mean)
    for piece in np.split(series, np.sort(RANDOM.integers(0, 5000, 40))):
        pieces.compute(piece, reset=False)
        if pieces.samples:
            file = io.BytesIO()
            np.savez(file, **pieces.state())
            file.seek(0)
            pieces = Correlation.from_state(np.load(file))
    assert np.array_equal(whole.values, pieces.values)
    assert np.array_equal(estimate([whole]).standard_error, estimate([pieces]).standard_error)


def test_memory_is_bounded():
    correlation = Correlation(10)
    for _ in range(200):
        correlation.compute(RANDOM.normal(size=(100, 1)), reset=False)
        assert len(correlation.blocks()) <= 32
    assert len(correlation.blocks()) >= 16
    assert sum(block.pairs[0] for block in correlation.blocks()) == 20000
    assert sum(array.nbytes for array in correlation.state().values()) < 20000


def test_trajectories_join():
    series = [RANDOM.normal(size=(500 + 10 * k, 2)) + 1.0 for k in range(9)]
    joined = estimate([Correlation(50, True).compute(one) for one in series])
    assert (joined.units, joined.unit) == (9, "trajectories")
    mean = np.concatenate(series).mean(0)
    pairs = np.array([[len(one) - k for k in range(51)] for one in series])
    products = np.array([plain(one - mean, one - mean, 50) for one in series]) * pairs
    np.testing.assert_allclose(joined.values, products.sum(0) / pairs.sum(0), atol=1e-12)
    few = estimate([Correlation(50).compute(one) for one in series[:3]])
    assert few.unit == "blocks" and few.units > 8


def test_reset_and_unread_results():
    correlation = Correlation(5)
    with pytest.raises(NotComputedError, match="call compute first"):
        _ = correlation.values
    series = RANDOM.normal(size=(100, 1))
    first = correlation.compute(series).values
    assert np.array_equal(correlation.compute(series).values, first)
    assert not np.array_equal(correlation.compute(series, reset=False).values, first)


def test_bad_series_are_refused():
    with pytest.raises(SeriesError, match="highest lag is 0"):
        Correlation(0)
    with pytest.raises(SeriesError, match=r"shapes \(5, 3\) and \(5, 2\)"):
        Correlation(2).compute(np.zeros((5, 3)), np.zeros((5, 2)))
    with pytest.raises(SeriesError, match="sample 3 of the series is not finite"):
        Correlation(2).compute(np.array([0.0, 1.0, 2.0, np.nan]))
    with pytest.raises(SeriesError, match="2 components; those before had 3"):
        Correlation(2).compute(np.zeros((5, 3))).compute(np.zeros((5, 2)), reset=False)
    with pytest.raises(SeriesError, match="different lags"):
        estimate([Correlation(2).compute(np.ones(5)), Correlation(3).compute(np.ones(5))])


def test_ornstein_uhlenbeck_without_wrapping_around():
    """physics.md 2.1: in blocks of 400 a circular correlation gives 0.106 at t = 2τ where e^{-2} = 0.135 is exact."""
    relaxation, length = 50, 400
    series = ornstein_uhlenbeck(length, relaxation, components=8000, seed=3)
    ours = Correlation(100).compute(series).values[100] / 8000
    transform = np.fft.rfft(series, axis=0)
    circular = np.fft.irfft((np.abs(transform) ** 2).sum(1))[100] / length / 8000
    # the circular one mixes lag 100, three quarters of its pairs, with lag 300
    assert circular == pytest.approx(0.75 * np.exp(-2.0) + 0.25 * np.exp(-6.0), abs=0.01)
    assert circular == pytest.approx(0.106, abs=0.01)
    assert ours == pytest.approx(np.exp(-2.0), abs=0.01)


def test_errors_are_what_repetitions_scatter():
    relaxation, lags = 10, 40
    repeated = [ornstein_uhlenbeck(4000, relaxation, seed=seed) for seed in range(120)]
    estimates = [estimate([Correlation(lags).compute(series)]) for series in repeated]
    scatter = np.std([one.values for one in estimates], axis=0)
    claimed = np.sqrt(np.mean([one.standard_error**2 for one in estimates], axis=0))
    np.testing.assert_allclose(claimed / scatter, 1.0, atol=0.25)


def test_jackknife_of_a_ratio():
    """Units of unequal size, and a function that is not linear; against the propagation of errors."""
    series = [RANDOM.normal(size=(int(n), 1)) for n in RANDOM.integers(200, 800, 40)]
    first, second = (estimate([Correlation(2).compute(one + shift) for one in series]) for shift in (2.0, 3.0))
    value, error = jackknife(lambda a, b: (a / b)[..., :1], first, second)
    samples = np.concatenate(series)[:, 0]
    a, b = (samples + 2) ** 2, (samples + 3) ** 2
    ratio = a.mean() / b.mean()
    expected = np.std(a / b.mean() - ratio * b / b.mean()) / np.sqrt(len(samples))
    assert value[0] == pytest.approx(ratio)
    assert error[0] == pytest.approx(expected, rel=0.3)


def test_jackknife_of_units_of_unequal_size():
    """Delete-m jackknife by hand for a ratio, blocks of 1 : 10 : 4 (Busing et al. 1999)."""
    sizes, sums = np.array([10.0, 100.0, 40.0]), np.array([[12.0], [95.0], [50.0]])
    one = Estimate(sums, sizes[:, None], "blocks", 50.0)
    value, error = jackknife(lambda values: values**2, one)
    theta = (157.0 / 150.0) ** 2
    left_out = np.array([(145 / 140) ** 2, (62 / 50) ** 2, (107 / 110) ** 2])
    h = 150.0 / sizes
    centre = 3 * theta - ((1 - sizes / 150.0) * left_out).sum()
    pseudo = h * theta - (h - 1) * left_out
    assert value[0] == pytest.approx(theta)
    assert error[0] == pytest.approx(np.sqrt(((pseudo - centre) ** 2 / (h - 1)).sum() / 3))


def test_blocks_of_errors_are_longer_than_the_window():
    series = ornstein_uhlenbeck(9000, 10)
    joined = estimate([Correlation(400).compute(series)])
    assert joined.unit == "blocks" and joined.units >= 8 and joined.pairs[:, 0].min() >= 800
    few = estimate([Correlation(400).compute(series[:3000])])
    assert few.pairs[:, 0].sum() == 3000
