"""Free energies of a reference from samples of another potential: Gaussian and harmonic differences, known exactly."""

import builtins

import numpy as np
import pytest
from ase.units import kB
from beadwise.sampling import (
    Multistate,
    SamplingError,
    Window,
    acceptance_ratio,
    integrated_autocorrelation_time,
    promote,
)
from double_well import autoregressive
from scipy.optimize import brentq

TEMPERATURE = 300.0
THERMAL_ENERGY = kB * TEMPERATURE
OFFSET = -2345.6  # eV, as between total energies of two methods
STIFFENING = 1.4  # ω² of the reference over that of the model


def gaussian(samples, spread, random):
    """ΔV whose free-energy difference is zero: ⟨exp(−h)⟩ = exp(−mean + spread²/2)."""
    return THERMAL_ENERGY * (spread**2 / 2 + spread * random.normal(size=samples))


def oscillators(samples, factor, random, particles=4):
    """ΔV of some oscillators, their ω² being 1 (ML) and STIFFENING (REF), at samples of one with ω² = factor."""
    squares = np.square(random.normal(size=(samples, particles)) / np.sqrt(factor)).sum(axis=1)
    return THERMAL_ENERGY * (STIFFENING - 1) / 2 * squares


def exact_oscillators(particles=4):
    return THERMAL_ENERGY * particles / 2 * np.log(STIFFENING)


def modes_of_ring(beads):
    """(βħω_k)² of the free ring polymer."""
    return np.square(2 * beads * np.sin(np.pi * np.arange(beads) / beads))


def ring_polymers(samples, beads, reduced, factor, random):
    """ΔV of the beads of drawn rings; βħω of ML is reduced, and the rings are of ω² times factor. Unit √(k_B T/mω²)."""
    stiffness = (modes_of_ring(beads) / reduced**2 + factor) / beads
    positions = np.fft.ifft(np.fft.fft(random.normal(size=(samples, beads))) / np.sqrt(stiffness)).real
    return THERMAL_ENERGY * (STIFFENING - 1) / 2 * positions**2


def exact_ring_polymers(beads, reduced):
    modes = modes_of_ring(beads)
    return THERMAL_ENERGY / 2 * np.log((modes + STIFFENING * reduced**2) / (modes + reduced**2)).sum()


def remembering(samples, spread, kept, random):
    """Gaussian ΔV as above whose ρ(t) is kept^t."""
    return THERMAL_ENERGY * (spread**2 / 2 + spread * autoregressive(samples, kept, random))


def test_bias_and_standard_error_of_gaussian_differences():
    """Over many repetitions of few samples, so that the bias is seen."""
    random = np.random.default_rng(1)
    repetitions, samples, spread = 3000, 64, 0.8
    results = [promote(gaussian(samples, spread, random), TEMPERATURE) for _ in range(repetitions)]

    def over_all(name):
        return np.array([getattr(result, name) for result in results])

    kept = over_all("independent_samples").mean()  # some series seem to remember by chance
    assert 0.96 * samples < kept <= samples
    variance = np.expm1(spread**2) / kept
    differences, cumulants = over_all("difference"), over_all("second_cumulant")
    assert abs(cumulants.mean()) < 4 * cumulants.std() / np.sqrt(repetitions)
    assert abs(differences.mean() - THERMAL_ENERGY * variance / 2) < 4 * differences.std() / np.sqrt(repetitions)
    # the cumulant has no bias, and most of the noise: without that the bias is seen well
    bias = differences - cumulants
    assert bias.std() / np.sqrt(repetitions) < 0.1 * THERMAL_ENERGY * variance / 2
    assert bias.mean() == pytest.approx(THERMAL_ENERGY * variance / 2, rel=0.25)
    assert differences.std() == pytest.approx(THERMAL_ENERGY * np.sqrt(variance), rel=0.06)
    # half of the results are below and half above what σ gives
    assert np.median(over_all("predicted_bias")) == pytest.approx(THERMAL_ENERGY * variance / 2, rel=0.06)
    assert np.median(over_all("predicted_standard_error")) == pytest.approx(differences.std(), rel=0.06)
    assert np.sqrt(np.mean(over_all("standard_error") ** 2)) == pytest.approx(differences.std(), rel=0.1)
    # ⟨ΔV⟩ and var/2 of a Gaussian do not know of each other
    expected = THERMAL_ENERGY * np.sqrt(spread**2 / kept + spread**4 / (2 * kept))
    assert cumulants.std() == pytest.approx(expected, rel=0.06)
    assert np.sqrt(np.mean(over_all("second_cumulant_standard_error") ** 2)) == pytest.approx(expected, rel=0.1)


@pytest.mark.parametrize("spread", [0.3, 0.7, 1.0])
def test_effective_samples_of_gaussian_differences(spread):
    result = promote(gaussian(200_000, spread, np.random.default_rng(2)), TEMPERATURE)
    assert result.effective_samples / result.independent_samples == pytest.approx(np.exp(-(spread**2)), rel=0.05)
    assert result.spread == pytest.approx(spread, rel=0.01)
    assert result.standard_error == pytest.approx(result.predicted_standard_error, rel=0.6)
    assert abs(result.difference) < 4 * result.predicted_standard_error
    assert result.warnings == ()


def test_an_offset_comes_back():
    differences = gaussian(400, 0.8, np.random.default_rng(3))
    plain, moved = promote(differences, TEMPERATURE), promote(differences + OFFSET, TEMPERATURE)
    assert moved.difference - OFFSET == pytest.approx(plain.difference, abs=1e-9)
    assert moved.second_cumulant - OFFSET == pytest.approx(plain.second_cumulant, abs=1e-9)
    assert moved.standard_error == pytest.approx(plain.standard_error, rel=1e-6)
    assert moved.effective_samples == pytest.approx(plain.effective_samples, rel=1e-6)


@pytest.mark.parametrize("shape", [(100,), (100, 8)])
def test_nothing_but_an_offset(shape):
    result = promote(np.full(shape, OFFSET), TEMPERATURE)
    assert result.difference == pytest.approx(OFFSET, rel=1e-14)
    assert result.second_cumulant == pytest.approx(OFFSET, rel=1e-14)
    assert (result.standard_error, result.predicted_standard_error) == pytest.approx((0, 0), abs=1e-9)
    counts_and_spread = (result.effective_samples, result.independent_samples, result.spread)
    assert counts_and_spread == pytest.approx((100, 100, 0), abs=1e-9)
    assert result.warnings == ()


def test_numbers_are_those_of_plain_sums():
    differences = gaussian(500, 0.8, np.random.default_rng(4)).reshape(100, 5)
    result = promote(differences, TEMPERATURE, blocks=10)
    assert (result.samples, result.beads, result.independent_samples, result.blocks) == (100, 5, 100, 10)
    reduced = [sum(row) / 5 / THERMAL_ENERGY for row in differences]
    weights = np.exp(np.negative(reduced))

    def exponential(kept):
        return -THERMAL_ENERGY * np.log(np.mean(weights[kept]))

    def cumulant(kept):
        return THERMAL_ENERGY * (np.mean(np.array(reduced)[kept]) - np.var(np.array(reduced)[kept], ddof=1) / 2)

    everything = np.ones(100, dtype=bool)
    blocks = [np.arange(100) // 10 != block for block in range(10)]
    for function, value, error in (
        (exponential, result.difference, result.standard_error),
        (cumulant, result.second_cumulant, result.second_cumulant_standard_error),
    ):
        left_out = np.array([function(kept) for kept in blocks])
        assert value == pytest.approx(function(everything), rel=1e-12)
        assert error == pytest.approx(np.sqrt(0.9 * np.square(left_out - left_out.mean()).sum()), rel=1e-9)
    assert result.spread == pytest.approx(np.std(reduced, ddof=1))
    assert result.effective_samples == pytest.approx(weights.sum() ** 2 / np.square(weights).sum())


def test_harmonic_to_harmonic():
    result = promote(oscillators(50_000, 1.0, np.random.default_rng(5)), TEMPERATURE)
    assert result.standard_error < 0.005 * THERMAL_ENERGY
    assert abs(result.difference - exact_oscillators()) < 4 * result.standard_error
    # ΔV is not Gaussian: the second cumulant is off by what it leaves out
    assert abs(result.second_cumulant - exact_oscillators()) > 10 * result.second_cumulant_standard_error


@pytest.mark.parametrize(("beads", "reduced"), [(4, 2.4), (16, 7.7), (32, 17.7)])
def test_path_integrals_harmonic_to_harmonic(beads, reduced):
    """Against the free energies of rings with this number of beads."""
    exact = exact_ring_polymers(beads, reduced)
    result = promote(ring_polymers(20_000, beads, reduced, 1.0, np.random.default_rng(6)), TEMPERATURE)
    assert result.beads == beads
    assert result.standard_error < 0.02 * THERMAL_ENERGY
    assert abs(result.difference - exact) < 4 * result.standard_error
    # that of classical particles is another
    assert abs(exact - THERMAL_ENERGY / 2 * np.log(STIFFENING)) > 8 * result.standard_error


def test_one_bead_is_classical():
    differences = gaussian(300, 0.5, np.random.default_rng(7))
    assert promote(differences, TEMPERATURE) == promote(differences[:, None], TEMPERATURE)


@pytest.mark.parametrize("kept", [0.0, 0.5, 0.9, -0.4])
def test_autocorrelation_time(kept):
    """1/2 + Σ_t kept^t = (1 + kept)/(1 − kept)/2, where that is not less than 1/2."""
    random = np.random.default_rng(8)
    times = [integrated_autocorrelation_time(autoregressive(4000, kept, random)) for _ in range(300)]
    exact = max(0.5, (1 + kept) / (1 - kept) / 2)
    # the sum is cut at five times, and noise below 1/2 is not allowed
    assert np.mean(times) == pytest.approx(exact, rel=0.06)


def test_autocorrelation_time_of_loops():
    series = autoregressive(300, 0.8, np.random.default_rng(9))
    deviations = series - series.mean()
    products = [np.mean(deviations[: 300 - lag] * deviations[lag:]) for lag in range(300)]
    time, lag = 0.5, 0
    while lag < 5 * time:
        lag += 1
        time += products[lag] / products[0]
    exact = time * (1 + (2 * lag + 1) / 300) / (1 + 2 * time / 300)
    assert integrated_autocorrelation_time(series) == pytest.approx(exact)


def test_short_series_remember_no_less():
    """The mean of few samples takes a part of the correlation away, which is put back."""
    random = np.random.default_rng(10)
    times = [integrated_autocorrelation_time(autoregressive(400, 0.9, random)) for _ in range(200)]
    assert np.mean(times) == pytest.approx(9.5, rel=0.1)


def test_errors_of_samples_with_memory_are_the_spread():
    random = np.random.default_rng(11)
    results = [promote(remembering(4000, 0.8, 0.9, random), TEMPERATURE) for _ in range(200)]
    differences = np.array([result.difference for result in results])
    said = np.sqrt(np.mean([result.standard_error**2 for result in results]))
    assert 0.85 < said / differences.std(ddof=1) < 1.2
    # what memory is left between thinned samples makes the prediction a little small
    predicted = np.mean([result.predicted_standard_error for result in results])
    assert 0.75 < predicted / differences.std(ddof=1) < 1.1
    assert abs(differences.mean()) < 4 * differences.std() / np.sqrt(200) + 2 * results[0].predicted_bias
    assert np.mean([result.independent_samples for result in results]) == pytest.approx(4000 / 19, rel=0.1)


def test_warnings():
    random = np.random.default_rng(12)
    wide = promote(gaussian(100_000, 1.8, random), TEMPERATURE)
    assert len(wide.warnings) == 1
    assert f"the spread of h is {wide.spread:.3g} k_B T, more than 1.5" in wide.warnings[0]
    few = promote(gaussian(40, 0.2, random), TEMPERATURE)
    assert len(few.warnings) == 1
    assert f"worth {few.effective_samples:.3g} of equal weight, less than 50" in few.warnings[0]
    both = promote(gaussian(100, 4.0, random), TEMPERATURE)
    assert len(both.warnings) == 2
    alone = promote(np.where(np.arange(100) == 50, -1000, 1000) * THERMAL_ENERGY, TEMPERATURE)
    assert np.isnan(alone.standard_error)
    assert alone.effective_samples == pytest.approx(1)
    assert alone.difference == pytest.approx(THERMAL_ENERGY * (np.log(100) - 1000))
    beyond = promote(gaussian(100, 60.0, random), TEMPERATURE)
    assert (beyond.predicted_standard_error, beyond.predicted_bias) == (np.inf, np.inf)
    assert np.isfinite(beyond.difference)


def bennett(forward, backward):
    """The root of Bennett's equation, and its error from the variances of both sides."""
    shift = np.log(len(forward) / len(backward))

    def accepted(difference):
        there = 1 / (1 + np.exp(shift + forward - difference))
        back = 1 / (1 + np.exp(-shift - backward + difference))
        return there, back

    root = brentq(lambda difference: np.subtract(*[side.sum() for side in accepted(difference)]), -20, 20, xtol=1e-13)
    there, back = accepted(root)
    variance = sum(np.mean(side**2) / np.mean(side) ** 2 / len(side) - 1 / len(side) for side in (there, back))
    return root, np.sqrt(variance)


@pytest.fixture(scope="module")
def pymbar():
    return pytest.importorskip("pymbar", reason="pymbar is not installed: pip install 'beadwise[sampling]'")


@pytest.mark.usefixtures("pymbar")
def test_acceptance_ratio_of_two_harmonic_potentials():
    random = np.random.default_rng(13)
    forward, backward = oscillators(30_000, 1.0, random), oscillators(10_000, STIFFENING, random)
    result = acceptance_ratio(forward, backward, TEMPERATURE)
    assert result.standard_error < 0.005 * THERMAL_ENERGY
    assert abs(result.difference - exact_oscillators()) < 4 * result.standard_error
    assert result.warnings == ()
    moved = acceptance_ratio(forward + OFFSET, backward + OFFSET, TEMPERATURE)
    assert moved.difference - OFFSET == pytest.approx(result.difference, abs=1e-8)
    assert moved.standard_error == pytest.approx(result.standard_error, rel=1e-6)


@pytest.mark.usefixtures("pymbar")
def test_acceptance_ratio_of_path_integrals():
    random = np.random.default_rng(14)
    beads, reduced = 16, 7.7
    sides = [ring_polymers(10_000, beads, reduced, factor, random) for factor in (1.0, STIFFENING)]
    result = acceptance_ratio(*sides, TEMPERATURE)
    assert result.beads == beads
    assert result.standard_error < 0.005 * THERMAL_ENERGY
    assert abs(result.difference - exact_ring_polymers(beads, reduced)) < 4 * result.standard_error


@pytest.mark.usefixtures("pymbar")
def test_acceptance_ratio_is_the_root_of_the_equation():
    random = np.random.default_rng(15)
    forward, backward = oscillators(700, 1.0, random), oscillators(300, STIFFENING, random)
    result = acceptance_ratio(forward, backward, TEMPERATURE)
    assert (result.samples, result.reference_samples) == (700, 300)
    forward, backward = forward / THERMAL_ENERGY, backward / THERMAL_ENERGY
    root, error = bennett(forward, backward)
    assert result.difference == pytest.approx(THERMAL_ENERGY * root, rel=1e-8)
    # the two forms of the error agree where overlap is good
    assert result.standard_error == pytest.approx(THERMAL_ENERGY * error, rel=0.03)
    windows = [Window(h[:, None], np.array([np.zeros(len(h)), h]), np.zeros(len(h))) for h in (forward, backward)]
    joined = Multistate(windows)
    assert joined.free_energies[1] == pytest.approx(root, abs=1e-8)
    assert result.overlap == pytest.approx(joined.overlap, rel=1e-6)


@pytest.mark.usefixtures("pymbar")
def test_error_of_the_acceptance_ratio_is_the_spread():
    random = np.random.default_rng(16)
    results, one_way = [], []
    for _ in range(200):
        # Gaussians whose means are ±σ²/2 belong together; samples remember each other
        forward, backward = (remembering(1500, 1.5, 0.7, random) for _ in range(2))
        results.append(acceptance_ratio(forward, -backward, TEMPERATURE))
        one_way.append(promote(forward, TEMPERATURE).difference)
    differences = np.array([result.difference for result in results])
    said = np.sqrt(np.mean([result.standard_error**2 for result in results]))
    assert 0.8 < said / differences.std(ddof=1) < 1.15
    assert abs(differences.mean()) < 4 * differences.std() / np.sqrt(200)
    assert differences.std() < 0.7 * np.std(one_way)


@pytest.mark.usefixtures("pymbar")
def test_overlap_of_two_ensembles():
    random = np.random.default_rng(17)
    same = acceptance_ratio(np.full(50, OFFSET), np.full(20, OFFSET), TEMPERATURE)
    assert (same.difference, same.standard_error, same.overlap) == pytest.approx((OFFSET, 0, 1), abs=1e-7)
    assert same.warnings == ()
    uneven = acceptance_ratio(gaussian(20_000, 0.3, random), -gaussian(50, 0.3, random), TEMPERATURE)
    assert uneven.overlap > 0.8
    assert uneven.warnings == ()
    poor = acceptance_ratio(gaussian(2000, 5.0, random), -gaussian(2000, 5.0, random), TEMPERATURE)
    assert 0.001 < poor.overlap < 0.06
    assert poor.warnings == (f"the overlap is {poor.overlap:.2g}, less than 0.06: the error may be too small",)
    with pytest.raises(SamplingError, match="no samples in common"):
        acceptance_ratio(gaussian(100, 40.0, random), -gaussian(100, 40.0, random), TEMPERATURE)


NONE = np.zeros(0)
SOME = np.random.default_rng(18).normal(size=20) * THERMAL_ENERGY


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: promote(NONE, TEMPERATURE), r"shape \(0, 1\)"),
        (lambda: promote(1.0, TEMPERATURE), r"shape \(\)"),
        (lambda: promote(np.zeros((5, 2, 2)), TEMPERATURE), r"shape \(5, 2, 2\)"),
        (lambda: promote([0.1, np.nan], TEMPERATURE), "1 of 2 values are not finite"),
        (lambda: promote(SOME, 0.0), "the temperature is 0.0 K"),
        (lambda: promote(SOME, np.nan), "the temperature is nan K"),
        (lambda: promote(SOME, TEMPERATURE, blocks=7), "7 blocks"),
        (lambda: promote(SOME[:7], TEMPERATURE), "of 7 samples are independent"),
        (lambda: promote(np.linspace(0, 1, 400), TEMPERATURE), r"of 400 samples are independent, .* at least 8"),
        (lambda: acceptance_ratio(SOME, NONE, TEMPERATURE), r"shape \(0, 1\)"),
        (lambda: acceptance_ratio(SOME, SOME[:, None] * np.ones(4), TEMPERATURE), "model have 1 beads, .* reference 4"),
        (lambda: acceptance_ratio(SOME, SOME[:7], TEMPERATURE), "of 7 samples are independent"),
        (lambda: integrated_autocorrelation_time(NONE), r"shape \(0,\)"),
        (lambda: integrated_autocorrelation_time(np.zeros((3, 3))), r"shape \(3, 3\)"),
        (lambda: integrated_autocorrelation_time([1.0, np.inf]), "finite"),
    ],
)
def test_what_is_refused(call, message):
    with pytest.raises(SamplingError, match=message):
        call()


def test_without_pymbar(monkeypatch):
    real = builtins.__import__

    def missing(name, *arguments, **keywords):
        if name.startswith("pymbar"):
            raise ImportError(name)
        return real(name, *arguments, **keywords)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(SamplingError, match=r"pip install 'beadwise\[sampling\]'"):
        acceptance_ratio(SOME, SOME, TEMPERATURE)
    # perturbation does without
    assert promote(SOME, TEMPERATURE).samples == 20
