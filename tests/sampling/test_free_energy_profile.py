"""Profiles of biased runs: exact samples come back to the unbiased curve, and errors are as large as they say."""

import csv

import numpy as np
import pytest
from beadwise.sampling import BiasedSeries, SamplingError, free_energy_difference, series_profile, write_profiles
from beadwise.sampling.histograms import histograms_of
from beadwise.sampling.plot import plot_profiles
from double_well import (
    EDGES,
    TEMPERATURE,
    THERMAL_ENERGY,
    autoregressive,
    draws,
    exact_free_energy,
    normalised,
    ratio_of_errors,
    reduced_double_well,
)
from scipy.integrate import quad
from scipy.stats import norm


def biased_run(count, random):
    """Samples under a bias that removes most of the barrier."""
    values = draws(lambda x: 0.3 * reduced_double_well(x), count, random)
    return BiasedSeries(values[:, None], -0.7 * reduced_double_well(values))


def test_a_biased_run_gives_the_unbiased_curve():
    random = np.random.default_rng(1)
    profile = series_profile([biased_run(200_000, random)], EDGES, TEMPERATURE)
    deviations = (normalised(profile) - exact_free_energy()) / profile.standard_error
    assert 0.6 < np.sqrt(np.mean(deviations**2)) < 1.5
    assert np.all(profile.standard_error < 0.05 * THERMAL_ENERGY)
    assert np.nanmin(profile.free_energy) == 0
    assert profile.density @ np.diff(EDGES) == pytest.approx(1)
    assert (profile.samples, profile.blocks, profile.beads) == (200_000, 16, 1)


def test_runs_with_different_constants_are_averaged():
    random = np.random.default_rng(2)
    runs = [biased_run(count, random) for count in (20_000, 30_000, 25_000)]
    plain = series_profile(runs, EDGES, TEMPERATURE)
    shifted = [
        BiasedSeries(run.values, run.log_weights + constant) for run, constant in zip(runs, (0, 900, -700), strict=True)
    ]
    for run in (series_profile(shifted, EDGES, TEMPERATURE), series_profile(runs[::-1], EDGES, TEMPERATURE)):
        np.testing.assert_allclose(run.free_energy, plain.free_energy, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(run.standard_error, plain.standard_error, rtol=1e-9)
        assert run.effective_samples == pytest.approx(plain.effective_samples)
    # the slow twin: each run's own normalised histogram, averaged with its number of samples
    twin = 0.0
    for run in runs:
        weights = np.exp(run.log_weights)
        twin += run.samples * np.histogram(run.values[:, 0], EDGES, weights=weights)[0] / weights.sum()
    twin = -THERMAL_ENERGY * np.log(twin)
    np.testing.assert_allclose(plain.free_energy, twin - twin.min(), atol=1e-12)


@pytest.mark.parametrize(("kept", "samples"), [(0.0, 1600), (0.9, 8000)])
def test_errors_are_the_spread_of_many_runs(kept, samples):
    """A Gaussian under a linear bias, with and without memory."""
    random = np.random.default_rng(3)
    edges = np.linspace(-1.0, 2.0, 9)
    profiles = []
    for _ in range(200):
        values = autoregressive(samples, kept, random)
        profiles.append(series_profile([BiasedSeries(values[:, None], 0.5 * values)], edges, TEMPERATURE))
    assert 0.85 < ratio_of_errors(profiles) < 1.2
    inside = np.diff(norm.cdf(edges - 0.5))
    exact = -THERMAL_ENERGY * np.log(inside / inside.sum() / np.diff(edges))
    mean = np.mean([normalised(profile) for profile in profiles], axis=0)
    spread = np.std([normalised(profile) for profile in profiles], axis=0) / np.sqrt(len(profiles))
    # the logarithm of a mean is biased by less than its error
    assert np.all(np.abs(mean - exact) < 4 * spread + np.square(spread) * len(profiles) / THERMAL_ENERGY)


def test_blocks_that_are_too_short_are_noticed():
    """Errors of blocks that remember each other are too small; those with the guard are nearer to the spread."""
    random = np.random.default_rng(4)
    edges = np.array([-9.0, 0.0, 9.0])
    values, guarded, plain = [], [], []
    for _ in range(150):
        series = autoregressive(6400, 0.995, random)  # a memory of 200 samples, in blocks of 400
        histograms = histograms_of([BiasedSeries(series[:, None], np.zeros(6400))], edges, 16)
        estimate = histograms.jackknife(lambda histogram: np.log(histogram / histogram.sum(axis=-1, keepdims=True)))
        values.append(estimate.values)
        guarded.append(estimate.standard_errors)
        plain.append(estimate.standard_errors / estimate.growth)
    spread = np.std(values, axis=0, ddof=1)
    with_guard, without = (np.mean(np.sqrt(np.mean(np.square(e), axis=0)) / spread) for e in (guarded, plain))
    assert without < 0.85 < with_guard < 1.15


def test_errors_between_independent_runs():
    random = np.random.default_rng(5)
    edges = np.linspace(-1.0, 1.0, 5)
    profiles = []
    for _ in range(150):
        lengths = random.integers(200, 400, size=10)
        # each run remembers all of itself: only errors between runs know
        runs = [0.8 * random.normal(size=(length, 1)) + 0.6 * random.normal() for length in lengths]
        series = [BiasedSeries(run, np.full(len(run), random.normal())) for run in runs]
        profiles.append(series_profile(series, edges, TEMPERATURE))
    assert profiles[0].blocks == 10
    assert "runs" in profiles[0].notes["standard errors"]
    assert 0.8 < ratio_of_errors(profiles) < 1.2


def test_beads_of_an_oscillator_whose_centroid_is_biased():
    """p(q) of P beads is a Gaussian; the bias widens that of the centroid and is reweighted."""
    beads, frequency, samples = 8, 4.0, 100_000  # β = ħ = m = 1
    random = np.random.default_rng(6)
    neighbours = 2 * np.eye(beads) - np.roll(np.eye(beads), 1, axis=0) - np.roll(np.eye(beads), -1, axis=0)
    quadratic = beads * neighbours + frequency**2 / beads * np.eye(beads)  # q·quadratic·q/2 is the energy of the ring
    softened = quadratic - 0.5 * frequency**2 / beads**2 * np.ones((beads, beads))  # the bias, −ω² q_c²/4
    values = random.multivariate_normal(np.zeros(beads), np.linalg.inv(softened), size=samples)
    centroid = values.mean(axis=1)
    log_weights = -(frequency**2) * centroid**2 / 4
    variance = np.linalg.inv(quadratic)[0, 0]
    modes = 1 / (4 * beads * np.sin(np.pi * np.arange(beads) / beads) ** 2 + frequency**2 / beads)
    assert variance == pytest.approx(modes.mean())
    for series, width, count in (
        (BiasedSeries(values, log_weights), np.sqrt(variance), beads),
        (BiasedSeries(centroid[:, None], log_weights), 1 / frequency, 1),
    ):
        edges = np.linspace(-2.5, 2.5, 21) * width
        profile = series_profile([series], edges, TEMPERATURE)
        inside = np.diff(norm.cdf(edges / width))
        exact = -THERMAL_ENERGY * np.log(inside / inside.sum() / np.diff(edges))
        deviations = (normalised(profile) - exact) / profile.standard_error
        assert 0.5 < np.sqrt(np.mean(deviations**2)) < 1.6
        assert profile.beads == count
        assert profile.standard_error.max() < 0.05 * THERMAL_ENERGY


def test_difference_of_two_wells():
    random = np.random.default_rng(7)
    exact = [quad(lambda x: np.exp(-reduced_double_well(x)), a, b)[0] for a, b in ((-2, -0.2), (0.2, 2))]
    exact = -THERMAL_ENERGY * np.log(exact[0] / exact[1])
    differences = []
    for _ in range(100):
        runs = [biased_run(1000, random), biased_run(2000, random)]
        there = free_energy_difference(runs, (-2, -0.2), (0.2, 2), TEMPERATURE)
        differences.append(there)
    back = free_energy_difference(runs, (0.2, 2), (-2, -0.2), TEMPERATURE)
    assert back == pytest.approx((-there[0], there[1]))
    values, errors = np.array(differences).T
    assert abs(values.mean() - exact) < 4 * values.std() / 10
    assert 0.8 < np.sqrt(np.mean(errors**2)) / values.std() < 1.25
    touching = free_energy_difference(runs, (-2, 0), (0, 2), TEMPERATURE)
    assert touching[0] == pytest.approx(exact, abs=0.2 * THERMAL_ENERGY)


def test_bins_that_one_block_or_none_has_visited():
    values = np.tile(np.linspace(0.05, 0.95, 10), 160)
    values[7] = 1.5
    profile = series_profile([BiasedSeries(values[:, None], np.zeros(1600))], [0, 0.5, 1.0, 2.0, 3.0], TEMPERATURE)
    assert np.array_equal(np.isnan(profile.free_energy), [False, False, False, True])
    assert np.array_equal(np.isnan(profile.standard_error), [False, False, True, True])
    assert profile.density[3] == 0
    assert profile.effective_samples == pytest.approx(1600)


def test_values_outside_and_on_edges():
    values = np.repeat([-1.0, 0.0, 0.5, 1.0, 7.0], 16)
    profile = series_profile([BiasedSeries(values[:, None], np.zeros(80))], [0, 0.5, 1.0], TEMPERATURE)
    np.testing.assert_allclose(profile.density, [1 / 1.5, 2 / 1.5])
    assert profile.notes["outside the range"] == "32 of 80 values"


def test_effective_samples():
    assert BiasedSeries(np.zeros((4, 1)), np.full(4, 1e4)).effective_samples == pytest.approx(4)
    assert BiasedSeries(np.zeros((3, 1)), np.log([1, 2, 3])).effective_samples == pytest.approx(36 / 14)


def test_table_and_picture(tmp_path):
    random = np.random.default_rng(8)
    profiles = {
        name: series_profile([biased_run(2000, random)], EDGES, TEMPERATURE) for name in ("quantum", "classical")
    }
    write_profiles(profiles, tmp_path / "profile.csv", "x (Å)")
    text = (tmp_path / "profile.csv").read_text(encoding="utf-8").splitlines()
    notes = [line for line in text if line.startswith("#")]
    assert "# classical, temperature: 300 K" in notes
    rows = list(csv.reader(text[len(notes) :]))
    assert rows[0] == ["x (Å)", *(f"{n} {k} (eV)" for n in profiles for k in ("free energy", "standard error"))]
    table = np.array(rows[1:], dtype=float)
    assert table.shape == (28, 5)
    np.testing.assert_allclose(table[:, 0], profiles["quantum"].coordinate, atol=1e-9)
    np.testing.assert_allclose(table[:, 3], profiles["classical"].free_energy, rtol=1e-6)
    plot_profiles(profiles, tmp_path / "profile.png", "x / Å", title="double well")
    assert (tmp_path / "profile.png").read_bytes().startswith(b"\x89PNG")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["profile.csv", "profile.png"]
    other = series_profile([biased_run(2000, random)], EDGES[:-1], TEMPERATURE)
    for write in (write_profiles, plot_profiles):
        with pytest.raises(SamplingError, match="different bins"):
            write({**profiles, "other": other}, tmp_path / "none", "x")
        with pytest.raises(SamplingError, match="no profile"):
            write({}, tmp_path / "none", "x")


def run(samples=100, beads=1):
    return BiasedSeries(np.random.default_rng(9).normal(size=(samples, beads)), np.zeros(samples))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: BiasedSeries(np.zeros(3), np.zeros(3)), r"shape \(3,\)"),
        (lambda: BiasedSeries(np.zeros((0, 1)), np.zeros(0)), "at least one"),
        (lambda: BiasedSeries(np.zeros((3, 1)), np.zeros(2)), "3 samples have log weights"),
        (lambda: BiasedSeries(np.full((3, 2), np.nan), np.zeros(3)), "6 of 6 values are not finite"),
        (lambda: BiasedSeries(np.zeros((3, 1)), np.array([0, np.inf, 0])), "1 of 3 log weights"),
        (lambda: series_profile([], EDGES, 300.0), "no run"),
        (lambda: series_profile([run()], [0.0], 300.0), "edges"),
        (lambda: series_profile([run()], [0.0, 0.0, 1.0], 300.0), "edges"),
        (lambda: series_profile([run()], EDGES, -1.0), "temperature is -1.0 K"),
        (lambda: series_profile([run()], EDGES, 300.0, blocks=4), "4 blocks"),
        (lambda: series_profile([run(12)], EDGES, 300.0), "12 samples cannot be cut into 16"),
        (lambda: series_profile([run(), run(beads=2)], EDGES, 300.0), r"\[1, 2\] beads"),
        (lambda: series_profile([run()], [50.0, 60.0], 300.0), "no sample is inside 50 to 60"),
        (lambda: free_energy_difference([run()], (0, 1), (0.5, 2), 300.0), "not overlap"),
        (lambda: free_energy_difference([run()], (1, 0), (2, 3), 300.0), "increase"),
        (lambda: free_energy_difference([run()], (0, 1), (50, 60), 300.0), "from 50 to 60"),
    ],
)
def test_what_is_refused(call, message):
    with pytest.raises(SamplingError, match=message):
        call()
