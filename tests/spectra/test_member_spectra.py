"""Spectra with two errors, of the sampling and of the models: against closed forms and slow twins."""

import numpy as np
import pytest
from ase.units import kB
from beadwise.spectra import Window
from beadwise.spectra.flux import central_difference
from beadwise.spectra.model_error import both_errors
from beadwise.spectra.recording import can_record, make_recorder, spectrum_of
from member_series import CONDITIONS, FACTORS, NOTE, TEMPERATURE, WINDOW, members_of, smooth, spectrum_from, tensors
from test_spectrum_command import columns


def test_members_in_proportion_have_a_known_model_error():
    """A member (1 + ε) x has the spectrum (1 + ε)² S, so that its error and the noise of it are known exactly."""
    dipole = smooth(3000, 3)
    plain = spectrum_from("ir", {"dipole": dipole})
    spectrum = spectrum_from("ir", {"dipole": dipole, "committee_dipole": members_of(dipole)})
    for name in plain.columns:
        np.testing.assert_array_equal(spectrum[name].values, plain[name].values)
        np.testing.assert_array_equal(spectrum[name].standard_error, plain[name].standard_error)
    column = spectrum["n_alpha"]
    np.testing.assert_allclose(column.model.total, np.std(FACTORS**2, ddof=1) * column.values, rtol=1e-9, atol=1e-7)
    np.testing.assert_allclose(
        column.model.properties.spectra[2], FACTORS[2] ** 2 * column.values, rtol=1e-9, atol=1e-7
    )
    noise = np.sqrt(np.square(FACTORS**2 - 1).sum() / (len(FACTORS) - 1))
    np.testing.assert_allclose(column.model.noise_floor, noise * column.standard_error, rtol=1e-7)
    assert not column.model.potentials.error.any() and not column.model.parts
    assert "5 members of the property on the same trajectory" in spectrum.notes["model error"]
    assert "both errors in quadrature" in spectrum.notes["errors at the maximum"]


def test_raman_members_in_proportion():
    series = tensors(3000)
    spectrum = spectrum_from("raman", {"polarizability": series, "committee_polarizability": members_of(series)})
    for name, column in spectrum.columns.items():
        expected = 0.0 if name == "depolarisation" else np.std(FACTORS**2, ddof=1) * column.values[1:]
        scale = np.abs(column.values[1:]).max()
        np.testing.assert_allclose(column.model.total[1:], expected, rtol=1e-9, atol=1e-10 * scale)
    assert "5 members of the property" in spectrum.notes["model error"]


def test_members_that_differ_in_more_than_their_size():
    """Each member's column is what its own series gives alone, also where that is no linear function of it."""
    dipole = smooth(2500, 3)
    members = dipole[:, None] + 0.2 * smooth(2500, 4, 3, seed=1)
    spectrum = spectrum_from("ir", {"dipole": dipole, "committee_dipole": members})
    alone = [spectrum_from("ir", {"dipole": members[:, k]}) for k in range(4)]
    for name in ("n_alpha", "alpha", "refractive_index"):
        expected = np.array([one[name].values for one in alone])
        np.testing.assert_allclose(
            spectrum[name].model.properties.spectra, expected, rtol=1e-9, atol=1e-9 * expected.max()
        )
        np.testing.assert_allclose(spectrum[name].model.total, expected.std(axis=0, ddof=1), rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize(
    "members",
    [
        lambda dipole: {"committee_dipole": dipole[:, None] + 0.3 * smooth(len(dipole), 8, 3, seed=3)},
        lambda dipole: {"committee_energy": 0.01 * smooth(len(dipole), 8, seed=3)},
    ],
    ids=["properties", "potentials"],
)
def test_noise_floor_is_what_chance_adds(members):
    """Members whose spectra are equal, but whose noise is not: their spread is the noise floor, and nothing else."""
    dipole = smooth(40000, 3)
    spectrum = spectrum_from("ir", {"dipole": dipole, **members(dipole)})
    inside = (spectrum.wavenumber > 200) & (spectrum.wavenumber < 3000)
    model = spectrum["n_alpha"].model
    ratio = np.sqrt(np.square(model.total[inside]).mean() / np.square(model.noise_floor[inside]).mean())
    assert 0.6 < ratio < 1.3
    assert "that of members is mostly noise here, a longer series" in spectrum.notes["errors at the maximum"]


def test_dipole_of_members_alone_is_their_mean():
    members = smooth(2000, 4, 3)
    both = spectrum_from("ir", {"dipole": members.mean(axis=1), "committee_dipole": members})
    alone = spectrum_from("ir", {"committee_dipole": members})
    for name in both.columns:
        np.testing.assert_array_equal(alone[name].values, both[name].values)
        np.testing.assert_array_equal(alone[name].model.total, both[name].model.total)
    assert can_record("ir", ["committee_dipole"]) and not can_record("raman", ["committee_dipole", "dipole"])


@pytest.mark.parametrize("kind", ["ir", "raman"])
def test_one_member_changes_nothing(kind, tmp_path):
    name, series = {"ir": ("dipole", smooth(900, 3)), "raman": ("polarizability", tensors(900))}[kind]
    spectrum_from(kind, {name: series}).write(tmp_path / "plain.csv")
    samples = {name: series, f"committee_{name}": 1.3 * series[:, None], "committee_energy": smooth(900, 1)}
    spectrum_from(kind, samples).write(tmp_path / "one.csv")
    assert (tmp_path / "one.csv").read_text() == (tmp_path / "plain.csv").read_text()


def lagged(first, second, lags):
    """Σ_t a(t) b(t + k)/(N − k), pair by pair."""
    return np.array([np.mean([first[t] @ second[t + k] for t in range(len(first) - k)]) for k in range(lags + 1)])


def test_weights_of_time_origins_against_plain_loops():
    """The cumulant expansion written out: h at the earlier time, its mean over the origins of the same lag."""
    dipole, energies = smooth(400, 3), 0.02 * smooth(400, 3, seed=2) + np.array([5.0, -3.0, 0.1])
    window = Window("hann", 20.0)
    recorder = make_recorder("ir", 1.0, window)
    recorder.add({"dipole": dipole, "committee_energy": energies})
    spectrum = spectrum_of([recorder], CONDITIONS, window)
    flux = central_difference(dipole, 1.0)
    h = (energies - energies.mean(axis=1, keepdims=True))[1:-1] / (kB * TEMPERATURE)
    run = lagged(flux, flux, 20)
    factor = spectrum["n_alpha"].values / transform_of(run, window, spectrum.wavenumber)
    for member in range(3):
        mean = np.array([h[: len(h) - k, member].mean() for k in range(21)])
        expected = run - (lagged(h[:, member : member + 1] * flux, flux, 20) - run * mean)
        received = spectrum["n_alpha"].model.potentials.spectra[member]
        np.testing.assert_allclose(received, factor * transform_of(expected, window, spectrum.wavenumber), rtol=1e-6)
    assert "3 members of the potential" in spectrum.notes["model error"]
    assert f"of member {np.argmax(h.std(axis=0))} varies by {h.std(axis=0).max():.3g}" in spectrum.notes[NOTE]


def transform_of(values, window, wavenumber):
    """A cosine transform by a plain sum, up to a factor that depends on the wavenumber."""
    halved = values * window.values(len(values) - 1, 1.0) * np.where(np.arange(len(values)) == 0, 0.5, 1.0)
    return np.cos(2 * np.pi * 2.99792458e-5 * np.outer(wavenumber, np.arange(len(values)))) @ halved


def test_potentials_of_an_oscillator():
    """M = x² of an oscillator whose spring constant is wrong by ε: intensities change by −ε, exactly to first order.

    With the dynamics of the mean <Ṁ Ṁ(t)> is 4 <x²><v²> cos 2ωt, and <x²> = kT/(k(1 + ε)).  For amplitudes A, equally
    many trajectories each, the expansion is −(c/2)(<A⁶>/<A⁴> − <A²>) with h = c x², which for the exponential
    distribution of A² in the canonical ensemble is −c<A²> = −ε.
    """
    squares = -np.log1p(-(np.arange(60) + 0.5) / 60)  # quantiles of A²/<A²>
    frequency, stiffness = 2 * np.pi / 25.3, 2 * kB * TEMPERATURE  # of <A²> = 2kT/k = 1
    time, epsilon = np.arange(1200.0), np.array([-0.02, 0.005, 0.015])
    window, recorders = Window("hann", 100.0), []
    for square in squares:
        x = np.sqrt(square) * np.cos(frequency * time + 0.7)
        energies = 0.5 * stiffness * np.square(x)[:, None] * (1 + epsilon)
        recorders.append(make_recorder("ir", 1.0, window))
        dipole = np.stack([np.square(x), 0 * x, 0 * x], axis=1)
        recorders[-1].add({"dipole": dipole, "committee_energy": energies})
    column = spectrum_of(recorders, CONDITIONS, window)["n_alpha"]
    place = int(np.argmax(column.values))
    exact = -epsilon / 2 * (np.mean(squares**3) / np.mean(squares**2) - np.mean(squares))
    received = column.model.potentials.spectra[:, place] / column.values[place] - 1
    np.testing.assert_allclose(received, exact, atol=1e-3 * np.abs(epsilon).max())
    np.testing.assert_allclose(exact, -epsilon, rtol=0.15)  # these are few amplitudes
    moments = np.array([1.0, 2.0, 6.0])  # of A², for infinitely many
    assert (moments[2] / moments[1] - moments[0]) / 2 == 1.0
    np.testing.assert_allclose(column.model.total, column.model.potentials.error)


def test_limit_of_the_potentials_part():
    """M = x of an oscillator: each member would move the band by ε/2 of its place, and the weights show nothing.

    One trajectory with A² = 2 and one with none have <A⁴> = 2 <A²>², as the canonical ensemble has it.
    """
    frequency, time, window = 2 * np.pi / 25.3, np.arange(6000.0), Window("hann", 100.0)
    trajectories = []
    for square in (2.0, 0.0):
        x = np.sqrt(square) * np.cos(frequency * time)
        energies = kB * TEMPERATURE * np.square(x)[:, None] * (1 + np.array([-0.02, 0.02]))
        trajectories.append({"dipole": np.stack([x, 0 * x, 0 * x], axis=1), "committee_energy": energies})
    column = spectrum_from("ir", *trajectories, window=window)["n_alpha"]
    assert column.model.total.max() < 1e-3 * 0.02 * column.values.max()


def test_warning_beyond_the_linear_range():
    dipole = smooth(800, 3)
    for scale, warns in ((0.003, False), (0.1, True)):
        spectrum = spectrum_from("ir", {"dipole": dipole, "committee_energy": scale * smooth(800, 3, seed=5)})
        assert ("more than 1: the expansion may have left its linear range" in spectrum.notes[NOTE]) is warns


def test_first_order_of_direct_weights():
    """The change is the derivative of what weights exp(−s h) of the time origins give, by finite differences."""
    dipole, energies = smooth(3000, 3), 0.01 * smooth(3000, 2, seed=5)
    recorder = make_recorder("ir", 1.0, WINDOW)
    recorder.add({"dipole": dipole, "committee_energy": energies})
    spectrum = spectrum_of([recorder], CONDITIONS, WINDOW)
    flux = central_difference(dipole, 1.0)
    h = (energies[:, 0] - energies.mean(axis=1))[1:-1] / (kB * TEMPERATURE)

    def weighted(step, lags=60):
        weights = np.exp(-step * h)
        sums = [(weights[: len(h) - k, None] * flux[: len(h) - k] * flux[k:]).sum() for k in range(lags + 1)]
        return np.array([own / weights[: len(h) - k].sum() for k, own in enumerate(sums)])

    run = transform_of(weighted(0.0), WINDOW, spectrum.wavenumber)
    slope = transform_of(weighted(1e-4) - weighted(-1e-4), WINDOW, spectrum.wavenumber) / 2e-4
    column = spectrum["n_alpha"]
    np.testing.assert_allclose(
        column.model.potentials.spectra[0] / column.values - 1, slope / run, rtol=1e-5, atol=1e-8
    )


def test_two_committees_of_members_that_add_up():
    """For x_ij = a_j + b_i the formula is the variance over all pairs, and so is that of the sampling room."""
    generator = np.random.default_rng(4)
    a, b = generator.normal(size=(7, 5)), generator.normal(size=(4, 5))
    pairs = (a[None] + b[:, None]).reshape(28, 5)
    of_a, of_b = a.std(axis=0, ddof=1), b.std(axis=0, ddof=1)
    np.testing.assert_allclose(both_errors(of_a, of_b, 7, 4), pairs.std(axis=0, ddof=1), rtol=1e-12)
    np.testing.assert_allclose(both_errors(of_a, 0 * of_b, 7, 0), of_a, rtol=1e-12)
    np.testing.assert_allclose(both_errors(0 * of_a, of_b, 1, 4), of_b, rtol=1e-12)


def test_both_committees_stand_beside_each_other(tmp_path):
    dipole, energies = smooth(3000, 3), 0.01 * smooth(3000, 4, seed=5)
    spectrum = spectrum_from(
        "ir", {"dipole": dipole, "committee_dipole": members_of(dipole), "committee_energy": energies}
    )
    model = spectrum["n_alpha"].model
    assert model.parts and model.label == "model error (5 members, 4 potentials)"
    np.testing.assert_allclose(model.total, both_errors(model.properties.error, model.potentials.error, 5, 4))
    only = spectrum_from("ir", {"dipole": dipole, "committee_energy": energies})["n_alpha"].model
    np.testing.assert_allclose(model.potentials.error, only.total, rtol=1e-12)
    spectrum.write(tmp_path / "a.csv")
    table = columns(tmp_path / "a.csv")
    assert list(table)[1:9] == [
        "n_alpha",
        "n_alpha standard error",
        "n_alpha model error",
        "n_alpha noise floor",
        "n_alpha model error of properties",
        "n_alpha noise floor of properties",
        "n_alpha model error of potentials",
        "n_alpha noise floor of potentials",
    ]
    np.testing.assert_allclose(table["n_alpha model error of potentials"], model.potentials.error, rtol=1e-6)


def test_both_committees_against_all_pairs():
    """The formula as it is published, of every property member's spectrum by every potential member's weights."""
    dipole, energies = smooth(3000, 3), 0.004 * smooth(3000, 4, seed=5)
    members = dipole[:, None] + 0.02 * smooth(3000, 3, 3, seed=6)
    members += (dipole - members.mean(axis=1))[:, None]
    found = spectrum_from("ir", {"dipole": dipole, "committee_dipole": members, "committee_energy": energies})
    alone = [spectrum_from("ir", {"dipole": members[:, j], "committee_energy": energies}) for j in range(3)]
    pairs = np.array(
        [one["n_alpha"].model.potentials.spectra for one in alone]
    )  # (properties, potentials, frequencies)
    of_properties = pairs.mean(axis=1).var(axis=0, ddof=1)
    of_potentials = pairs.var(axis=1, ddof=1).mean(axis=0)
    expected = np.sqrt((4 * 2 * of_properties + 3 * 3 * of_potentials) / (3 * 4 - 1))
    model = found["n_alpha"].model
    np.testing.assert_allclose(model.properties.error, np.sqrt(of_properties), rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(model.total, expected, rtol=0.02, atol=0.002 * expected.max())
