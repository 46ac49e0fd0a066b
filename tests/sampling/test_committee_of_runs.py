"""What a committee says about biased runs and about several runs: weights, jackknife, profiles and differences."""

import numpy as np
import pytest
from beadwise.sampling import (
    BiasedSeries,
    Method,
    SamplingError,
    Window,
    committee_average,
    free_energy_difference,
    two_committee_average,
    uncertain_profile,
)
from beadwise.sampling.histograms import histograms_of
from beadwise.sampling.profile_uncertainty import uncertain_difference
from beadwise.sampling.weighted_sums import sums_of_runs
from double_well import TEMPERATURE, THERMAL_ENERGY, autoregressive
from scipy.stats import norm

CHANGES = np.array([-0.16, -0.02, 0.06, 0.12])  # of the stiffness of each member, relative to the mean
EDGES = np.array([-2.0, -0.7, 0.1, 0.4, 2.0])


def slow_average(runs, member, method):
    """<a>_i of runs (energies, values, log weights) as it stands; weights of each run add up to its samples."""
    weights, h, values = [], [], []
    for energies, own, logarithms in runs:
        weight = np.exp(logarithms)
        weights.extend(weight * len(weight) / weight.sum())
        h.extend((energies[:, member] - energies.mean(axis=1)) / THERMAL_ENERGY)
        values.extend(own)
    weights, h, values = map(np.array, (weights, h, values))
    if method == "direct":
        return np.sum(weights * values * np.exp(-h)) / np.sum(weights * np.exp(-h))
    weights = weights / weights.sum()
    return weights @ values - (weights @ (values * h) - (weights @ values) * (weights @ h))


def some_runs(count, seed=1, length=200, memory=0.0):
    random = np.random.default_rng(seed)
    runs = []
    for number in range(count):
        samples = length + 16 * number
        value = autoregressive(samples, memory, random) + 0.1 * number
        energies = 0.3 * THERMAL_ENERGY * (random.normal(size=(samples, 3)) + value[:, None] * [-1.0, 0.2, 0.8])
        runs.append((energies, value, random.normal(0, 0.5, samples) + 40.0 * number))
    return runs


def average_of(runs, **options):
    energies, values, logarithms = zip(*runs, strict=True)
    return committee_average(list(energies), list(values), TEMPERATURE, log_weights=list(logarithms), **options)


@pytest.mark.parametrize("method", ["cea", "direct"])
@pytest.mark.parametrize("count", [1, 3])
def test_slow_twin_with_weights(method, count):
    runs = some_runs(count)
    result = average_of(runs, method=Method(method))
    twin = [slow_average(runs, member, method) for member in range(3)]
    np.testing.assert_allclose(result.members[:, 0, 0], twin, rtol=1e-10)
    # the run itself is the mean over samples with its weights
    weights = np.concatenate([np.exp(own[2]) * len(own[1]) / np.exp(own[2]).sum() for own in runs])
    assert result.mean[0] == pytest.approx(np.average(np.concatenate([own[1] for own in runs]), weights=weights))
    assert result.samples == len(weights)
    h = np.concatenate([own[0][:, 2] - own[0].mean(axis=1) for own in runs]) / THERMAL_ENERGY
    direct = weights * np.exp(-h)
    assert result.effective_samples[2] == pytest.approx(direct.sum() ** 2 / np.square(direct).sum())
    centred = h - np.average(h, weights=weights)
    assert result.spread[2] == pytest.approx(np.sqrt(np.average(np.square(centred), weights=weights)))
    shifted = average_of(
        [(energies, values, own - 3.0 * len(own)) for energies, values, own in runs], method=Method(method)
    )
    np.testing.assert_allclose(shifted.members, result.members, rtol=1e-10)
    np.testing.assert_allclose(shifted.sampling_error, result.sampling_error, rtol=1e-8)


@pytest.mark.parametrize("method", ["cea", "direct"])
def test_slow_twin_of_the_jackknife_over_runs(method):
    """With 9 runs of one length one after another is left out; with walkers it is the same block of each."""
    runs = [(e[:200], a[:200], w[:200]) for e, a, w in some_runs(9)]
    result = average_of(runs, method=Method(method))
    left_out = []
    for number in range(9):
        rest = runs[:number] + runs[number + 1 :]
        members = np.array([slow_average(rest, member, method) for member in range(3)])
        left_out.append([average_of(rest, method=Method(method)).mean[0], *(members - members.mean())])
    errors = np.std(left_out, axis=0) * np.sqrt(8)
    assert result.growth == 1
    assert result.sampling_error[0] == pytest.approx(errors[0], rel=1e-8)
    assert result.noise_floor[0] == pytest.approx(np.sqrt(np.sum(errors[1:] ** 2) / 2), rel=1e-8)
    walkers = average_of(runs, method=Method(method, independent=False, blocks=8))
    left_out = []
    for block in np.split(np.arange(200), 8):
        kept = np.delete(np.arange(200), block)
        rest = [(e[kept], a[kept], w[kept]) for e, a, w in runs]
        left_out.append(np.mean([np.average(a, weights=np.exp(w - w.max())) for _, a, w in rest]))
    assert walkers.sampling_error[0] == pytest.approx(walkers.growth * np.std(left_out) * np.sqrt(7), rel=1e-8)


def test_weights_of_few_samples_are_told():
    energies, values, logarithms = some_runs(1)[0]
    result = committee_average(energies, values, TEMPERATURE, log_weights=9 * logarithms)
    assert (
        f"the weights of the bias leave {np.exp(9 * logarithms).sum() ** 2 / np.exp(18 * logarithms).sum():.3g} "
        in (result.warnings[0])
    )
    assert "of the bias" not in "".join(average_of(some_runs(1)).warnings)


def test_sums_are_those_of_histograms():
    """Columns that are bins, with the factor one: the same sums, and the same without each part."""
    random = np.random.default_rng(2)
    for count in (2, 9):
        series = [BiasedSeries(random.normal(size=(120, 1)), random.normal(size=120)) for _ in range(count)]
        columns = [np.array([np.histogram(value, EDGES)[0] for value in run.values], dtype=float) for run in series]
        sums = sums_of_runs([np.ones((120, 1))] * count, columns, [run.log_weights for run in series], 16)
        weights = [120 * np.exp(run.log_weights) / np.exp(run.log_weights).sum() for run in series]
        twin = [weight @ column for weight, column in zip(weights, columns, strict=True)]
        np.testing.assert_allclose(sums.whole, np.sum(twin, axis=0))
        np.testing.assert_allclose(sums.log_weights, np.log(np.concatenate(weights)))
        if count == 9:  # runs are left out, and otherwise blocks, the first of which is of 7 samples
            np.testing.assert_allclose(sums.without.histograms, [np.sum(twin, axis=0) - one for one in twin])
            assert sums.without_longer is None
        else:
            rest = [113 / weight[7:].sum() * weight[7:] for weight in weights]
            first = np.sum([weight @ column[7:] for weight, column in zip(rest, columns, strict=True)], axis=0)
            np.testing.assert_allclose(sums.without.histograms[0], first)
            assert len(sums.without_longer.histograms) == 8
        np.testing.assert_allclose(histograms_of(series, EDGES, 16).without.histograms, sums.without.histograms)


@pytest.mark.parametrize("method", ["cea", "direct"])
def test_members_of_a_biased_run(method):
    """Sampled with a stiffness of 0.7 and 1.3, of a mean of one: <x²>_i is 1/(1 + r_i), or 1 − r_i."""
    random = np.random.default_rng(3)
    energies, values, logarithms = [], [], []
    for stiffness in (0.7, 1.3):
        x = random.normal(0, 1 / np.sqrt(stiffness), 60_000)
        energies.append(THERMAL_ENERGY * np.square(x)[:, None] * (1 + CHANGES) / 2)
        values.append(np.square(x))
        logarithms.append((stiffness - 1) * np.square(x) / 2)
    result = committee_average(energies, values, TEMPERATURE, Method(method), log_weights=logarithms)
    exact = 1 / (1 + CHANGES) if method == "direct" else 1 - CHANGES
    assert abs(result.mean[0] - 1) < 4 * result.sampling_error[0]
    assert np.all(np.abs(result.members[:, 0, 0] - exact) < 4 * (result.sampling_error[0] + result.noise_floor[0]))
    assert result.model_error[0] == pytest.approx(exact.std(ddof=1), rel=0.05)
    properties = [np.stack([own, 2 * own], axis=1) for own in values]
    both = two_committee_average(energies, properties, TEMPERATURE, Method(method), log_weights=logarithms)
    np.testing.assert_allclose(both.members[:, 1], 2 * result.members[:, 0], rtol=1e-10)


@pytest.mark.parametrize("method", ["cea", "direct"])
def test_each_member_in_its_own_ensemble(method):
    """Energies of harmonic members, <V_i>_i: those pairs of two committees that are of one member."""
    values = np.random.default_rng(8).normal(size=(4000, 3))
    energies = THERMAL_ENERGY * np.square(values).sum(axis=1)[:, None] * (1 + CHANGES) / 2
    result = two_committee_average(energies, energies, TEMPERATURE, Method(method), paired=True)
    twin = two_committee_average(energies, energies, TEMPERATURE, Method(method))
    np.testing.assert_allclose(result.members[:, 0], np.diagonal(twin.members[..., 0])[:, None], rtol=1e-12)
    assert result.model_error[0] == pytest.approx(result.members.std(ddof=1))
    exact = 1.5 * THERMAL_ENERGY * (1 if method == "direct" else 1 - CHANGES**2)
    assert np.all(np.abs(result.members[:, 0, 0] - exact) < 5 * result.sampling_error[0])
    spread = np.std(exact * np.ones(4), ddof=1)
    assert result.model_error[0] == pytest.approx(spread, abs=4 * result.noise_floor[0])
    assert result.noise_floor[0] < result.sampling_error[0]
    with pytest.raises(SamplingError, match="must be as many"):
        two_committee_average(energies, energies[:, :3], TEMPERATURE, paired=True)


@pytest.mark.parametrize("method", ["cea", "direct"])
def test_differences_are_known_and_their_twins(method):
    random = np.random.default_rng(4)
    x = random.normal(0, 1 / np.sqrt(0.8), (40_000, 1))
    runs = [BiasedSeries(x[:25_000], -0.1 * x[:25_000, 0] ** 2), BiasedSeries(x[25_000:], -0.1 * x[25_000:, 0] ** 2)]
    energies = [THERMAL_ENERGY * np.square(run.values) * (1 + CHANGES) / 2 for run in runs]
    first, second = (0.5, 1.5), (-0.4, 0.5)
    result = uncertain_difference(runs, energies, first, second, TEMPERATURE, Method(method))
    value, error = free_energy_difference(runs, first, second, TEMPERATURE)
    assert (result.value, result.sampling_error) == pytest.approx((value, error))
    parts = [np.diff(norm.cdf(np.array(ends) * np.sqrt(1 + CHANGES[:, None])))[:, 0] for ends in (first, second)]
    exact = -THERMAL_ENERGY * np.log(parts[0] / parts[1])
    allowance = 0.004 * THERMAL_ENERGY if method == "cea" else 0
    assert np.all(np.abs(result.members - exact) < 4 * (error + result.noise_floor) + allowance)
    assert result.model_error == pytest.approx(exact.std(ddof=1), abs=4 * result.noise_floor + allowance)
    assert 0 < result.noise_floor < 0.3 * result.model_error
    # turned around, and the same from a profile whose bins are the ranges
    turned = uncertain_difference(runs, energies, second, first, TEMPERATURE, Method(method))
    np.testing.assert_allclose(turned.members, -result.members)
    edges = np.array([-0.4, 0.5, 1.5])
    profile = uncertain_profile(runs, energies, edges, TEMPERATURE, Method(method))
    per_bin = profile.members - THERMAL_ENERGY * np.log(np.diff(edges))
    np.testing.assert_allclose(result.members, per_bin[:, 1] - per_bin[:, 0], rtol=1e-9)


@pytest.mark.parametrize("method", ["cea", "direct"])
def test_noise_floors_of_free_energies(method):
    """What members differ by has nothing to do with the variable: all of the model error is noise."""
    random = np.random.default_rng(5)
    profiles, differences = [], []
    for _ in range(60):
        value, *others = (autoregressive(1600, 0.8, random) for _ in range(5))
        energies = [0.3 * THERMAL_ENERGY * np.stack(others, axis=1)]
        run = [BiasedSeries(value[:, None], np.zeros(1600))]
        profiles.append(uncertain_profile(run, energies, EDGES, TEMPERATURE, Method(method)))
        differences.append(uncertain_difference(run, energies, (-2, 0), (0, 2), TEMPERATURE, Method(method)))
    for results in (profiles, differences):
        floor, error = (
            np.sqrt(np.mean([np.square(getattr(result, name)) for result in results]))
            for name in ("noise_floor", "model_error")
        )
        assert 0.8 < floor / error < 1.3
    assert sum("hardly larger" in " ".join(result.warnings) for result in differences) > 30


def test_umbrella_windows_and_their_members():
    """Restraints on x² and on (x − 1)²: MBAR's weights belong to the mean's ensemble, whatever the window."""
    pytest.importorskip("pymbar")
    random = np.random.default_rng(6)
    centres, strength = (-1.0, 0.0, 1.0), 2.0
    windows, energies = [], []
    for centre in centres:
        x = random.normal(strength * centre / (1 + strength), 1 / np.sqrt(1 + strength), (15_000, 1))
        biases = np.array([strength / 2 * np.square(x[:, 0] - other) for other in centres])
        windows.append(Window(x, biases, np.zeros(15_000)))
        energies.append(THERMAL_ENERGY * np.square(x) * (1 + CHANGES) / 2)
    edges = np.linspace(-1.6, 1.6, 9)
    inside = np.array([np.diff(norm.cdf(edges * np.sqrt(1 + change))) for change in CHANGES])
    exact = -THERMAL_ENERGY * np.log(inside / inside.sum(axis=1, keepdims=True) / np.diff(edges))
    for method in ("cea", "direct"):
        result = uncertain_profile(windows, energies, edges, TEMPERATURE, Method(method))
        allowance = 0.004 * THERMAL_ENERGY if method == "cea" else 0
        assert np.all(np.abs(result.members - exact) < 5 * result.profile.standard_error + allowance)
        np.testing.assert_allclose(result.model_error, exact.std(axis=0, ddof=1), atol=4 * result.noise_floor.max())
        assert result.profile.notes["weights"] == "MBAR"


ENERGIES = THERMAL_ENERGY * np.random.default_rng(7).normal(size=(100, 3))
ONES = np.ones(100)
RUN = BiasedSeries(np.linspace(-1, 1, 100)[:, None], np.zeros(100))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: committee_average([], [], 300.0), "there is no run"),
        (lambda: committee_average([ENERGIES] * 2, [ONES], 300.0), "2 runs have observables of 1 and weights of 2"),
        (
            lambda: committee_average([ENERGIES, ENERGIES[:, :2]], [ONES] * 2, 300.0),
            r"energies are those of \[2, 3\] members",
        ),
        (
            lambda: committee_average([ENERGIES] * 2, [ONES, np.ones((100, 2))], 300.0),
            r"shapes \[\(1, 1\), \(1, 2\)\]; they must be the same",
        ),
        (lambda: committee_average(ENERGIES, ONES, 300.0, log_weights=ONES[:9]), r"log weights of the shape \(9,\)"),
        (lambda: committee_average(ENERGIES, ONES, 300.0, log_weights=ONES * np.nan), "100 of 100 log weights"),
        (
            lambda: uncertain_difference([RUN], [ENERGIES], (0, 1), (0.5, 2), 300.0),
            "must each increase and not overlap",
        ),
        (lambda: uncertain_difference([RUN], [ENERGIES], (0, 1), (5, 6), 300.0), "nothing was sampled from 5 to 6"),
        (lambda: uncertain_difference([RUN], [ENERGIES[:9]], (0, 1), (-1, 0), 300.0), "run 0 has 100 samples"),
        (lambda: uncertain_difference([RUN], [ENERGIES], (0, 1), (-1, 0), 300.0, Method("best")), "'best' is unknown"),
    ],
)
def test_what_is_refused(call, message):
    with pytest.raises(SamplingError, match=message):
        call()
