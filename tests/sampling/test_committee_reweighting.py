"""What a committee says about an average: potentials whose ensembles are known, and errors as large as they say."""

import runpy
import sysconfig
from pathlib import Path

import numpy as np
import pytest
from ase.units import kB
from beadwise.sampling import (
    BiasedSeries,
    Method,
    SamplingError,
    committee_average,
    reduced_deviations,
    two_committee_average,
    uncertain_profile,
)
from double_well import CHANGES, TEMPERATURE, THERMAL_ENERGY, autoregressive, harmonic_energies, standardised
from scipy.stats import norm


def slow_two_committees(averages):
    """Variance over all pairs (potential members, property members) of two committees, one pair after another."""
    pairs = [average for row in averages for average in row]
    centre = sum(pairs) / len(pairs)
    return sum((average - centre) ** 2 for average in pairs) / (len(pairs) - 1)


def slow_average(energies, values, member, method):
    """<a>_i of one member, written as it stands."""
    h = (energies[:, member] - energies.mean(axis=1)) / THERMAL_ENERGY
    if method == "direct":
        return np.sum(values * np.exp(-h)) / np.sum(np.exp(-h))
    return np.mean(values) - (np.mean(values * h) - np.mean(values) * np.mean(h))


def i_pi():
    script = Path(sysconfig.get_path("scripts")) / "i-pi-committee-reweight"
    if not script.exists():
        pytest.skip(f"{script.name} of i-PI is not beside this Python")
    return runpy.run_path(str(script))


@pytest.mark.parametrize("method", ["cea", "direct"])
def test_mean_square_of_harmonic_members(method):
    """<x²>_i is k_B T/k_i; CEA gives 1 − r where 1/(1 + r) is exact."""
    random = np.random.default_rng(1)
    members, errors = [], []
    for _ in range(150):
        values = random.normal(size=(500, 3))
        result = committee_average(
            harmonic_energies(values), np.square(values).mean(axis=1), TEMPERATURE, Method(method)
        )
        members.append(result.members[:, 0, 0])
        errors.append(result.model_error[0])
    exact = 1 / (1 + CHANGES) if method == "direct" else 1 - CHANGES
    spread = np.std(members, axis=0, ddof=1) / np.sqrt(len(members))
    deviations = np.abs(np.mean(members, axis=0) - exact)
    # a ratio of means, and a product of them, is biased by less than the variance of one run
    assert np.all(deviations < 4 * spread + np.square(spread) * len(members))
    assert np.all(spread < 0.01)
    assert np.mean(errors) == pytest.approx(exact.std(ddof=1), rel=0.05)
    # the two are told apart, by what second order predicts
    assert np.abs(1 / (1 + CHANGES) - (1 - CHANGES))[0] > 2 * deviations[0]


def test_what_the_expansion_leaves_out():
    """½ <δa δh²> is r² for x², and 1/(1 + r) − (1 − r) = r²/(1 + r)."""
    values = np.random.default_rng(2).normal(size=(400_000, 2))
    for scale in (0.25, 0.5, 1.0):
        changes = scale * CHANGES
        result = committee_average(harmonic_energies(values, changes), np.square(values).mean(axis=1), TEMPERATURE)
        assert result.second_order[0] == pytest.approx(np.sqrt(np.mean(changes**4)), rel=0.05)
        missing = 1 / (1 + changes) - result.members[:, 0, 0]
        np.testing.assert_allclose(missing, changes**2 / (1 + changes), atol=4 * result.sampling_error[0])
        np.testing.assert_allclose(result.spread, np.abs(changes), rtol=0.02)  # |r| √(2·2)/2 for two particles
    # <e^(−h)>²/<e^(−2h)> of the square of a Gaussian in two dimensions
    np.testing.assert_allclose(result.effective_samples / 400_000, (1 + 2 * CHANGES) / (1 + CHANGES) ** 2, rtol=0.005)


@pytest.mark.parametrize("method", ["cea", "direct"])
def test_slow_twin_of_averages_and_of_two_committees(method):
    random = np.random.default_rng(3)
    energies = 0.3 * THERMAL_ENERGY * random.normal(size=(200, 5))
    properties = random.normal(size=(200, 3, 2)) + np.arange(3)[:, None] + energies[:, :3, None] / THERMAL_ENERGY
    result = two_committee_average(energies, properties, TEMPERATURE, Method(method))
    for column in range(2):
        averages = [[slow_average(energies, properties[:, j, column], i, method) for j in range(3)] for i in range(5)]
        np.testing.assert_allclose(result.members[..., column], averages, rtol=1e-12, atol=1e-12)
        assert result.model_error[column] ** 2 == pytest.approx(slow_two_committees(averages), rel=1e-12)
    np.testing.assert_allclose(result.mean, properties.mean(axis=(0, 1)), atol=1e-12)
    alone = committee_average(energies, properties[:, 1], TEMPERATURE, Method(method))
    np.testing.assert_allclose(alone.members[:, 0], result.members[:, 1], atol=1e-12)
    np.testing.assert_allclose(alone.model_error, alone.members[:, 0].std(axis=0, ddof=1), rtol=1e-12)
    np.testing.assert_array_equal(alone.property_error, 0)


def test_two_gaussian_committees_and_swapped_arguments():
    """V_i = k x²/2 + f_i x and a_j = c_j x + d_j: <a_j>_i = d_j − c_j f_i/k, and CEA is exact."""
    stiffness = 2.0  # eV, x having no unit
    slopes = THERMAL_ENERGY * np.array([-0.8, 0.1, 0.2, 0.5])
    factors, offsets = np.array([1.0, 1.5, 0.7]), np.array([0.02, -0.01, 0.03])
    values = standardised(np.random.default_rng(4).normal(size=(2000, 1))) * np.sqrt(THERMAL_ENERGY / stiffness)
    energies = stiffness * np.square(values) / 2 + slopes * values
    properties = factors * values + offsets
    result = two_committee_average(energies, properties, TEMPERATURE)
    exact = offsets - factors * slopes[:, None] / stiffness
    np.testing.assert_allclose(result.members[..., 0], exact, rtol=1e-10, atol=1e-14)
    of_properties = offsets.var(ddof=1)
    of_potentials = np.mean(factors**2) * slopes.var(ddof=1) / stiffness**2
    total = (4 * 2 * of_properties + 3 * 3 * of_potentials) / (4 * 3 - 1)
    assert result.property_error[0] ** 2 == pytest.approx(of_properties, rel=1e-10)
    assert result.potential_error[0] ** 2 == pytest.approx(of_potentials, rel=1e-10)
    assert result.model_error[0] ** 2 == pytest.approx(total, rel=1e-10)
    # with properties taken for potentials, what i-PI 3.3.1 does, σ_aV is something else altogether
    swapped = (properties - properties.mean(axis=1, keepdims=True)) / THERMAL_ENERGY
    swapped = np.mean(energies, axis=0)[:, None] - energies.T @ (swapped - swapped.mean(axis=0)) / len(values)
    wrong = np.mean(swapped.var(axis=1, ddof=1))
    assert abs(wrong / of_potentials - 1) > 0.5
    theirs = i_pi()["uncertainty_CEA_multiple_models"](energies, properties, THERMAL_ENERGY)
    assert theirs[2] == pytest.approx(wrong, rel=1e-6)


def test_averages_are_those_of_i_pi():
    random = np.random.default_rng(5)
    energies = 0.2 * THERMAL_ENERGY * random.normal(size=(300, 4))
    observable = random.normal(size=(300, 3)) + energies[:, :3] / THERMAL_ENERGY
    tool = i_pi()
    for method, function in (("cea", "CEA"), ("direct", "direct_reweight")):
        theirs = tool[function](energies, observable, THERMAL_ENERGY)[0].astype(float)
        result = committee_average(energies, observable, TEMPERATURE, Method(method))
        np.testing.assert_allclose(result.members[:, 0], theirs.T, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("method", ["cea", "direct"])
def test_offsets_between_members_drop_out(method):
    values = np.random.default_rng(6).normal(size=(400, 3))
    energies, observable = harmonic_energies(values), np.square(values)
    plain = committee_average(energies, observable, TEMPERATURE, Method(method))
    offsets = np.array([-3e4, 700.0, 12.0, 0.0])
    shifted = committee_average(energies + offsets, observable + 1e3, TEMPERATURE, Method(method))
    np.testing.assert_allclose(shifted.members, plain.members + 1e3, atol=1e-8)
    for name in ("model_error", "sampling_error", "noise_floor", "spread", "effective_samples"):
        np.testing.assert_allclose(getattr(shifted, name), getattr(plain, name), rtol=1e-6)


@pytest.mark.parametrize("method", ["cea", "direct"])
def test_ring_polymers_of_harmonic_members(method):
    """P beads, ħ = m = β = 1: <q²>_i is the mean over modes of 1/(4P sin²(πk/P) + ω_i²/P)."""
    beads, squares = 8, 9.0 * (1 + CHANGES)
    stiffness = 4 * beads * np.sin(np.pi * np.arange(beads) / beads) ** 2

    def variances(square):
        return 1 / (stiffness + square / beads)

    random = np.random.default_rng(7)
    fourier = np.fft.fft(np.eye(beads), norm="ortho")
    modes = fourier.real + fourier.imag  # the Hartley transform: orthogonal, and diagonal for a ring
    members = []
    for _ in range(100):
        positions = (random.normal(size=(500, beads)) * np.sqrt(variances(squares.mean()))) @ modes
        energies = THERMAL_ENERGY * np.square(positions)[..., None] * squares / 2
        result = committee_average(energies, np.square(positions).mean(axis=1), TEMPERATURE, Method(method))
        members.append(result.members[:, 0, 0])
    exact = np.array([variances(square).mean() for square in squares])
    if method == "cea":  # cov(a, h) = (ω_i² − ω²)/P² Σ variance²
        exact = variances(9.0).mean() - (squares - 9.0) / beads**2 * np.square(variances(9.0)).sum()
    spread = np.std(members, axis=0, ddof=1) / np.sqrt(len(members))
    assert np.all(np.abs(np.mean(members, axis=0) - exact) < 4 * spread + np.square(spread) * len(members))
    assert np.all(spread < 0.1 * exact.std())


def test_one_bead_is_a_classical_particle():
    energies = np.random.default_rng(8).normal(size=(20, 5))
    twin = (energies - energies.mean(axis=1, keepdims=True)) / (kB * 150.0)
    np.testing.assert_allclose(reduced_deviations(energies, 150.0), twin, atol=1e-12)
    np.testing.assert_allclose(reduced_deviations(energies[:, None], 150.0), twin, atol=1e-12)
    np.testing.assert_allclose(reduced_deviations(np.stack([energies, 3 * energies], 1), 150.0), 2 * twin, atol=1e-12)


def test_calibration_scales_members_around_their_mean():
    random = np.random.default_rng(9)
    values = random.normal(size=(400, 3))
    energies, properties = harmonic_energies(values), np.square(values) + random.normal(size=3)
    for method in ("cea", "direct"):
        result = two_committee_average(
            energies, properties, TEMPERATURE, Method(method, calibration=1.4), property_calibration=0.6
        )
        widened = harmonic_energies(values, 1.4 * CHANGES)
        narrowed = 0.6 * properties + 0.4 * properties.mean(axis=1, keepdims=True)
        twin = two_committee_average(widened, narrowed, TEMPERATURE, Method(method))
        np.testing.assert_allclose(result.members, twin.members, rtol=1e-10)
        np.testing.assert_allclose(result.mean, properties.mean(), rtol=1e-10)
    plain, scaled = (
        committee_average(energies, properties, TEMPERATURE, Method(calibration=scale)) for scale in (1.0, 2.5)
    )
    np.testing.assert_allclose(scaled.model_error, 2.5 * plain.model_error, rtol=1e-10)
    np.testing.assert_allclose(scaled.sampling_error, plain.sampling_error, rtol=1e-10)


@pytest.mark.parametrize("method", ["cea", "direct"])
def test_sampling_errors_and_noise_floors_are_the_spread_of_many_runs(method):
    """What members differ by has nothing to do with the observable: all of the model error is noise."""
    random = np.random.default_rng(10)
    results = []
    for _ in range(150):
        value, *others = (autoregressive(1600, 0.8, random) for _ in range(5))
        energies = 0.3 * THERMAL_ENERGY * np.stack(others, axis=1)
        results.append(committee_average(energies, value + 5.0, TEMPERATURE, Method(method)))
    means = np.array([result.mean[0] for result in results])
    said = np.sqrt(np.mean([result.sampling_error[0] ** 2 for result in results]))
    assert 0.85 < said / means.std(ddof=1) < 1.2
    assert abs(means.mean() - 5) < 4 * means.std() / np.sqrt(len(means))
    floor, error = (
        np.sqrt(np.mean([getattr(result, name)[0] ** 2 for result in results]))
        for name in ("noise_floor", "model_error")
    )
    assert 0.85 < floor / error < 1.25
    assert sum("hardly larger" in " ".join(result.warnings) for result in results) > 75


@pytest.mark.parametrize("method", ["cea", "direct"])
def test_slow_twin_of_the_jackknife(method):
    """One block after another is left out; errors grow by what they do as blocks are joined."""
    random = np.random.default_rng(17)
    memory = autoregressive(208, 0.97, random)
    energies = 0.5 * THERMAL_ENERGY * (random.normal(size=(208, 3)) + memory[:, None] * [-1.0, 0.2, 0.8])
    value = memory + 0.1 * random.normal(size=208)
    errors = []
    for units in (16, 8):
        left_out = []
        for block in np.split(np.arange(208), units):
            kept = np.delete(np.arange(208), block)
            members = [slow_average(energies[kept], value[kept], member, method) for member in range(3)]
            left_out.append([np.mean(value[kept]), *(members - np.mean(members))])
        errors.append(np.std(left_out, axis=0) * np.sqrt(units - 1))
    growth = errors[1] / errors[0]
    result = committee_average(energies, value, TEMPERATURE, Method(method))
    assert growth[0] > 1
    assert result.growth == pytest.approx(growth[0])
    assert result.sampling_error[0] == pytest.approx(errors[1][0])
    factor = max(1, np.median(growth[1:]))
    assert result.noise_floor[0] == pytest.approx(factor * np.sqrt(np.sum(errors[0][1:] ** 2) / 2))


def test_model_errors_stay_and_sampling_errors_shrink():
    values = np.random.default_rng(11).normal(size=(64_000, 3))
    energies, observable = harmonic_energies(values), np.square(values).mean(axis=1)
    short, long = (committee_average(energies[:n], observable[:n], TEMPERATURE) for n in (4000, 64_000))
    assert long.sampling_error[0] == pytest.approx(short.sampling_error[0] / 4, rel=0.5)
    assert long.noise_floor[0] == pytest.approx(short.noise_floor[0] / 4, rel=0.5)
    assert long.model_error[0] == pytest.approx(CHANGES.std(ddof=1), rel=0.05)
    assert long.model_error[0] == pytest.approx(short.model_error[0], rel=0.2)
    assert not short.warnings
    assert not long.warnings


@pytest.mark.parametrize("method", ["cea", "direct"])
def test_profiles_of_harmonic_members(method):
    """p_i(x) is a Gaussian of the variance k_B T/k_i, also from a run that was biased to be wider."""
    random = np.random.default_rng(14)
    edges = np.linspace(-2, 2, 11)
    runs, energies = [], []
    for count in (150_000, 100_000):
        values = random.normal(size=(count, 1)) / np.sqrt(0.8)
        runs.append(BiasedSeries(values, -0.1 * values[:, 0] ** 2))
        energies.append(harmonic_energies(values))
    result = uncertain_profile(runs, energies, edges, TEMPERATURE, Method(method))
    inside = np.array([np.diff(norm.cdf(edges * np.sqrt(stiffness))) for stiffness in 1 + CHANGES])
    exact = -THERMAL_ENERGY * np.log(inside / inside.sum(axis=1, keepdims=True) / np.diff(edges))
    tolerance = 5 * result.profile.standard_error + (0.004 * THERMAL_ENERGY if method == "cea" else 0)
    assert np.all(np.abs(result.members - exact) < tolerance)
    np.testing.assert_allclose(result.model_error, exact.std(axis=0, ddof=1), atol=0.006 * THERMAL_ENERGY)
    np.testing.assert_allclose(result.members.std(axis=0, ddof=1), result.model_error)
    assert result.model_error.max() > 0.1 * THERMAL_ENERGY
    wider = uncertain_profile(runs, energies, edges, TEMPERATURE, Method(method, calibration=0.5))
    np.testing.assert_allclose(wider.model_error, result.model_error / 2, atol=0.01 * THERMAL_ENERGY)


def test_profiles_of_beads_and_of_empty_bins():
    random = np.random.default_rng(15)
    values = random.normal(size=(2000, 4))
    energies = THERMAL_ENERGY * np.square(values)[..., None] * (1 + CHANGES) / 2
    edges = np.array([-1.0, 0.0, 1.0, 50.0, 60.0])
    for method in ("cea", "direct"):
        result = uncertain_profile(
            [BiasedSeries(values, np.zeros(2000))], [energies], edges, TEMPERATURE, Method(method)
        )
        assert np.array_equal(np.isnan(result.model_error), [False, False, False, True])
        assert result.profile.beads == 4
    # the slow twin: one member's histogram, bead by bead
    weights = np.exp(-CHANGES[1] / 2 * np.square(values).mean(axis=1))
    histogram = sum(np.histogram(values[:, bead], edges, weights=weights)[0] for bead in range(4))
    with np.errstate(divide="ignore"):
        twin = -THERMAL_ENERGY * np.log(histogram / histogram.sum() / np.diff(edges))
    np.testing.assert_allclose(result.members[1, :3], twin[:3], rtol=1e-10)


ENERGIES = THERMAL_ENERGY * np.random.default_rng(16).normal(size=(100, 3))
ONES = np.ones(100)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: committee_average(ENERGIES[:, :1], ONES, 300.0), r"shape \(100, 1\).*at least two members"),
        (lambda: committee_average(ENERGIES[:, 0], ONES, 300.0), r"shape \(100,\)"),
        (lambda: committee_average(ENERGIES[:0], ONES[:0], 300.0), r"shape \(0, 3\)"),
        (lambda: committee_average(ENERGIES * np.nan, ONES, 300.0), "300 of 300 energies"),
        (lambda: committee_average(ENERGIES, ONES * np.inf, 300.0), "100 of 100 values"),
        (lambda: committee_average(ENERGIES, ONES[:99], 300.0), "energies have 100 samples, the observable has 99"),
        (lambda: committee_average(ENERGIES, ONES[:0], 300.0), "the observable has 0"),
        (lambda: committee_average(ENERGIES, np.ones((100, 0)), 300.0), "no column"),
        (lambda: committee_average(ENERGIES, np.ones((100, 2, 2)), 300.0), r"shape \(100, 2, 2\)"),
        (lambda: committee_average(ENERGIES, ONES, 0.0), "temperature in K is 0.0"),
        (lambda: committee_average(ENERGIES, ONES, 300.0, Method(calibration=-1.0)), "calibration is -1.0"),
        (
            lambda: committee_average(ENERGIES, ONES, 300.0, Method("best")),
            "'best' is unknown; there are cea, direct",
        ),
        (lambda: committee_average(ENERGIES, ONES, 300.0, Method(blocks=4)), "4 blocks"),
        (lambda: committee_average(ENERGIES[:12], ONES[:12], 300.0), "12 samples cannot be cut into 16"),
        (lambda: two_committee_average(ENERGIES, ONES, 300.0), r"property committee has the shape \(100,\)"),
        (lambda: two_committee_average(ENERGIES, np.ones((100, 1, 9)), 300.0), "at least two members"),
        (lambda: two_committee_average(ENERGIES, ENERGIES, 300.0, property_calibration=0), "calibration is 0"),
        (lambda: profile_of([ENERGIES], method=Method("best")), "'best' is unknown"),
        (lambda: profile_of([]), "1 runs have energies of 0"),
        (lambda: profile_of([ENERGIES[:50]]), "run 0 has 100 samples and energies of 50"),
        (lambda: profile_of([ENERGIES, ENERGIES[:, :2]], 2), r"\[2, 3\] members"),
        (lambda: profile_of([50 * ENERGIES], method=Method("direct")), "effective samples"),
    ],
)
def test_what_is_refused(call, message):
    with pytest.raises(SamplingError, match=message):
        call()


def profile_of(energies, runs=1, **options):
    series = [BiasedSeries(np.linspace(-1, 1, 100)[:, None], np.zeros(100))] * runs
    return uncertain_profile(series, energies, np.linspace(-1, 1, 3), 300.0, **options)
