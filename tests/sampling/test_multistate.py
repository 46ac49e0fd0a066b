"""Umbrella windows: exact samples, pymbar's own answers, and windows with samples left out."""

import builtins

import numpy as np
import pytest
from beadwise.sampling import Multistate, SamplingError, Window, window_profile
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
from scipy.stats import norm

pytest.importorskip("pymbar", reason="pymbar is not installed: pip install 'beadwise[sampling]'")

CENTRES = np.linspace(-1.4, 1.4, 10)
STIFFNESS = 20.0  # in k_B T


def reduced_biases(values, centres=CENTRES):
    return STIFFNESS / 2 * np.square(values - centres[:, None])


def windows_of(counts, seed, reduced_energy=reduced_double_well, centres=CENTRES):
    random = np.random.default_rng(seed)
    drawn = [
        draws(lambda x, c=centre: reduced_energy(x) + STIFFNESS / 2 * (x - c) ** 2, count, random)
        for centre, count in zip(centres, counts, strict=True)
    ]
    return [Window(values[:, None], reduced_biases(values, centres), np.zeros(len(values))) for values in drawn]


def all_of(windows):
    return np.concatenate([window.values[:, 0] for window in windows])


def pymbar_of(windows):
    from pymbar import MBAR

    biases = np.concatenate([window.reduced_biases for window in windows], axis=1)
    return MBAR(biases, [window.samples for window in windows], relative_tolerance=1e-12)


def test_windows_give_the_curve_of_the_double_well():
    windows = windows_of([5000] * 10, seed=1)
    profile = window_profile(windows, EDGES, TEMPERATURE)
    deviations = (normalised(profile) - exact_free_energy()) / profile.standard_error
    assert 0.5 < np.sqrt(np.mean(deviations**2)) < 1.6
    assert profile.standard_error.max() < 0.15 * THERMAL_ENERGY
    assert (profile.samples, profile.blocks) == (50_000, 16)
    assert "10 umbrella windows" in profile.notes["data"]


def test_equals_pymbar_for_all_samples():
    windows = windows_of([2500, 3000, 1000, 4500, 700, 2100, 3000, 2999, 3001, 500], seed=2)
    joined, twin = Multistate(windows), pymbar_of(windows)
    np.testing.assert_allclose(joined.free_energies, twin.f_k, atol=1e-8)
    eigenvalues = np.sort(twin.compute_overlap()["eigenvalues"])
    assert joined.overlap == pytest.approx(1 - eigenvalues[-2])
    edges = np.array([-2.3, *np.linspace(-1.2, 1.2, 13), 2.3])  # all samples are inside
    bins = np.digitize(all_of(windows), edges) - 1
    # pymbar takes logarithms of what it averages
    indicators = np.array([np.where(bins == number, 1.0, 1e-300) for number in range(14)])
    expectations = twin.compute_multiple_expectations(indicators, np.zeros(len(bins)))
    profile = window_profile(windows, edges, TEMPERATURE)
    np.testing.assert_allclose(profile.density, expectations["mu"] / np.diff(edges), rtol=1e-7)
    # samples have no memory, so that pymbar's own errors hold
    ratio = profile.standard_error / (THERMAL_ENERGY * expectations["sigma"] / expectations["mu"])
    assert 0.8 < np.sqrt(np.mean(ratio**2)) < 1.25


def test_errors_of_windows_with_memory_are_the_spread():
    """Harmonic windows on a harmonic potential are Gaussians, whose samples remember each other."""
    curvature, centres = 4.0, np.array([-0.5, 0.0, 0.5])
    edges = np.linspace(-0.9, 0.9, 7)
    random = np.random.default_rng(11)
    profiles = []
    for _ in range(60):
        windows = []
        for centre in centres:
            noise = autoregressive(1600, 0.8, random) / np.sqrt(curvature + STIFFNESS)
            values = STIFFNESS * centre / (curvature + STIFFNESS) + noise
            windows.append(Window(values[:, None], reduced_biases(values, centres), np.zeros(1600)))
        profiles.append(window_profile(windows, edges, TEMPERATURE))
    assert 0.8 < ratio_of_errors(profiles) < 1.25
    inside = np.diff(norm.cdf(edges * np.sqrt(curvature)))
    exact = -THERMAL_ENERGY * np.log(inside / inside.sum() / np.diff(edges))
    curves = np.array([normalised(profile) for profile in profiles])
    assert np.all(np.abs(curves.mean(axis=0) - exact) < 4 * curves.std(axis=0) / np.sqrt(60))


def test_free_energies_of_harmonic_windows():
    """∫ exp[−a x²/2 − k (x − c)²/2] dx ∝ exp[−a k c²/2(a + k)] for all c."""
    curvature, centres = 3.0, np.linspace(-1.2, 1.2, 6)
    windows = windows_of([20_000] * 6, 3, lambda x: curvature / 2 * x**2, centres)
    exact = curvature * STIFFNESS * centres**2 / 2 / (curvature + STIFFNESS)
    errors = pymbar_of(windows).compute_free_energy_differences()["dDelta_f"][0]
    free_energies = Multistate(windows).free_energies
    assert np.all(np.abs(free_energies - (exact - exact[0]))[1:] < 4 * errors[1:])
    assert errors.max() < 0.05


def test_leaving_samples_out_solves_the_equations_anew():
    windows = windows_of([400 + 30 * number for number in range(10)], seed=4)
    joined = Multistate(windows)
    kept = np.random.default_rng(5).random(len(all_of(windows))) < 0.6
    ends = np.cumsum([window.samples for window in windows])
    parts = np.split(kept, ends[:-1])
    rest = [
        Window(window.values[part], window.reduced_biases[:, part], window.log_weights[part])
        for window, part in zip(windows, parts, strict=True)
    ]
    fewer = joined.log_weights(kept)
    np.testing.assert_allclose(fewer[kept], Multistate(rest).log_weights(), atol=1e-7)
    assert np.all(fewer[~kept] == -np.inf)
    assert np.exp(joined.log_weights()).sum() == pytest.approx(1)


def test_what_windows_have_in_common_is_taken_off():
    """A steep wall in every window is a part of the samples, and not of the curve."""
    wall = lambda x: 3.0 * x  # noqa: E731
    windows = windows_of([4000] * 10, 6, lambda x: reduced_double_well(x) + wall(x))
    windows = [Window(w.values, w.reduced_biases, wall(w.values[:, 0])) for w in windows]
    profile = window_profile(windows, EDGES, TEMPERATURE)
    deviations = (normalised(profile) - exact_free_energy()) / profile.standard_error
    assert 0.5 < np.sqrt(np.mean(deviations**2)) < 1.6


def test_one_window_is_a_biased_run():
    values = draws(lambda x: reduced_double_well(x) + STIFFNESS / 2 * x**2, 3000, np.random.default_rng(7))[:, None]
    window = Window(values, STIFFNESS / 2 * values.T**2, np.zeros(3000))
    expected = STIFFNESS / 2 * values[:, 0] ** 2
    received = Multistate([window]).log_weights()
    np.testing.assert_allclose(received - received[0], expected - expected[0], atol=1e-9)


def test_biases_that_are_large_everywhere():
    windows = windows_of([500] * 10, seed=8)
    far = [Window(w.values, w.reduced_biases + 5000.0 + 1000 * np.sin(w.values[:, 0]), w.log_weights) for w in windows]
    np.testing.assert_allclose(Multistate(far).free_energies, Multistate(windows).free_energies, atol=1e-8)


def window(samples=100, windows=2):
    values = np.random.default_rng(9).normal(size=(samples, 1))
    return Window(values, np.zeros((windows, samples)), np.zeros(samples))


def test_windows_without_overlap():
    centres = np.array([-60.0, 60.0])
    random = np.random.default_rng(10)
    values = [centre + random.normal(size=200) for centre in centres]
    apart = [Window(x[:, None], np.square(x - centres[:, None]) / 2, np.zeros(200)) for x in values]
    with pytest.raises(SamplingError, match="without common samples"):
        Multistate(apart)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Window(np.zeros((3, 1)), np.zeros((2, 4)), np.zeros(3)), r"shape \(2, 4\)"),
        (lambda: Window(np.zeros((3, 1)), np.full((2, 3), np.nan), np.zeros(3)), "finite"),
        (lambda: Window(np.zeros((3, 1)), np.zeros((2, 3)), np.zeros(4)), "3 samples have log weights"),
        (lambda: Multistate([]), "no umbrella window"),
        (lambda: Multistate([window()]), "window 0 has biases of 2 windows, but there are 1"),
        (lambda: window_profile([window(), window(10)], EDGES, TEMPERATURE), "10 samples cannot be cut into 16"),
    ],
)
def test_what_is_refused(call, message):
    with pytest.raises(SamplingError, match=message):
        call()


def test_without_pymbar(monkeypatch):
    real = builtins.__import__

    def missing(name, *arguments, **keywords):
        if name == "pymbar":
            raise ImportError(name)
        return real(name, *arguments, **keywords)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(SamplingError, match=r"pip install 'beadwise\[sampling\]'"):
        Multistate([window(), window()])


def test_nothing_is_said_about_the_library(capfd):
    Multistate([window(), window()])
    assert capfd.readouterr() == ("", "")
