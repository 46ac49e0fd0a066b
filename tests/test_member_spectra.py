"""Spectra with two errors, of the sampling and of the models: against closed forms, slow twins, and a real run."""

import re
from pathlib import Path

import numpy as np
import pytest
from ase.units import kB
from beadwise.driver.command_line import main
from beadwise.driver.ipi_input import read_ipi_input
from beadwise.driver.live_spectra import LiveSpectra
from beadwise.driver.run_conditions import read_run_conditions
from beadwise.driver.units import to_atomic
from beadwise.spectra import Conditions, SeriesError, Window
from beadwise.spectra.flux import central_difference
from beadwise.spectra.model_error import both_errors
from beadwise.spectra.recording import can_record, make_recorder, spectrum_of
from click.testing import CliRunner
from test_run import Folder
from test_spectrum_command import columns

TEMPERATURE = 300.0
CONDITIONS = Conditions(1.0, TEMPERATURE, 1000.0)
WINDOW = Window("hann", 60.0)
NOTE = "members of the potential"
FACTORS = 1 + np.array([-0.1, 0.02, 0.05, 0.11, -0.06])


def smooth(samples, *shape, seed=0):
    noise = np.random.default_rng(seed).normal(size=(samples + 6, *shape))
    return sum(noise[k : samples + k] for k in range(6))


def tensors(samples, seed=0):
    half = smooth(samples, 3, 3, seed=seed)
    return 9 * np.eye(3) + half + np.swapaxes(half, 1, 2)


def members_of(series, factors=FACTORS):
    return np.stack([factor * series for factor in factors], axis=1)


def spectrum_from(kind, *trajectories, window=WINDOW):
    recorders = []
    for samples in trajectories:
        recorders.append(make_recorder(kind, 1.0, window))
        recorders[-1].add(samples)
    return spectrum_of(recorders, CONDITIONS, window)


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


SERIES = {
    "ir": lambda seed=0: {"dipole": smooth(2000, 3, seed=seed), "committee_dipole": smooth(2000, 3, 3, seed=seed + 1)},
    "raman": lambda seed=0: {
        "polarizability": tensors(2000, seed),
        "committee_polarizability": np.stack([tensors(2000, seed + k) for k in (1, 2)], axis=1),
    },
}


@pytest.mark.parametrize("kind", ["ir", "raman"])
def test_pieces_and_restarts_change_no_bit(kind, tmp_path):
    samples = SERIES[kind]() | {"committee_energy": smooth(2000, 2, seed=9)}
    whole, pieces = make_recorder(kind, 1.0, WINDOW), make_recorder(kind, 1.0, WINDOW)
    whole.add(samples)
    for number, cuts in enumerate(np.split(np.arange(2000), [1, 2, 3, 150, 151, 1700])):
        pieces.add({name: values[cuts] for name, values in samples.items()})
        np.savez(tmp_path / f"{number}.npz", **pieces.state())
        pieces = make_recorder(kind, 1.0, WINDOW)
        with np.load(tmp_path / f"{number}.npz") as state:
            pieces.restore(state)
    first, second = (spectrum_of([recorder], CONDITIONS, WINDOW) for recorder in (whole, pieces))
    assert first.has_members
    for name, column in first.columns.items():
        np.testing.assert_array_equal(second[name].values, column.values)
        for part in ("total", "noise_floor"):
            np.testing.assert_array_equal(getattr(second[name].model, part), getattr(column.model, part))
        for part in ("properties", "potentials"):
            own, other = (getattr(one.model, part).spectra for one in (column, second[name]))
            np.testing.assert_array_equal(other, own)


def test_memory_is_bounded():
    recorder, sizes = make_recorder("ir", 1.0, WINDOW), []
    for _ in range(12):
        recorder.add(SERIES["ir"]() | {"committee_energy": smooth(2000, 4)})
        sizes.append(sum(array.nbytes for array in recorder.state().values()))
    assert max(sizes) < 1.5 * sizes[2] < 1e6


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ((4, 3), (5, 3), r"samples have members \(5 of committee_dipole and 3 of committee_energy\); those before had"),
        ((4, 3), (None, 3), r"samples have members \(3 of committee_energy\); those before had members \(4 of"),
        ((None, 3), (None, None), r"samples have no members; those before had members \(3 of committee_energy\)"),
    ],
)
def test_members_must_stay_the_same(first, second, message):
    recorder = make_recorder("ir", 1.0, WINDOW)
    recorder.add(with_members(*first))
    with pytest.raises(SeriesError, match=message):
        recorder.add(with_members(*second))
    with pytest.raises(SeriesError, match=r"trajectories have .*members.* and .*; they must be the same"):
        spectrum_from("ir", with_members(*first), with_members(*second))


def with_members(properties, potentials):
    samples = {"dipole": smooth(200, 3)}
    samples |= {} if properties is None else {"committee_dipole": smooth(200, properties, 3)}
    return samples | ({} if potentials is None else {"committee_energy": smooth(200, potentials)})


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"committee_dipole": smooth(200, 3)},
            r"committee_dipole has the shape \(200, 3\); expected \(samples, members",
        ),
        ({"committee_energy": smooth(200, 3, 1)}, r"expected \(samples, members\)"),
        ({"committee_energy": smooth(199, 3)}, "200 of dipole and 199 of committee_energy; as many of each are needed"),
    ],
)
def test_members_of_another_shape(changed, message):
    with pytest.raises(SeriesError, match=message):
        make_recorder("ir", 1.0, WINDOW).add(with_members(None, None) | changed)


KINDS = "dipole,member_dipoles,committee_pot"


def records(dipoles, members, energies, first=0, stride=2):
    """Extras of one bead as i-PI writes them."""
    rows = np.hstack(
        [
            to_atomic("dipole", dipoles),
            to_atomic("dipole", members).reshape(len(members), -1),
            to_atomic("energy", energies),
        ]
    )
    return "".join(
        f" #EXTRAS({KINDS})# Step:  {(first + number) * stride:10d} \n"
        + " ".join(f"{value: 22.15e}" for value in row)
        + "\n"
        for number, row in enumerate(rows)
    )


def beads_of_a_run(samples=900, beads=4):
    """Series of each bead; the means over beads are what counts."""
    dipoles = smooth(samples, beads, 3)
    members = dipoles[:, :, None] * FACTORS[:, None]
    return dipoles, members, 0.01 * smooth(samples, beads, len(FACTORS), seed=7)


GIVEN = ["--timestep", "1", "--temperature", "300", "--volume", "1000", "--window", "60"]


def invoke(*arguments):
    result = CliRunner().invoke(main, ["spectrum", *map(str, arguments)])
    return result.exit_code, result.output


def test_command_with_members_among_the_extras(tmp_path):
    dipoles, members, energies = beads_of_a_run()
    for bead in range(4):
        text = records(dipoles[:, bead], members[:, bead], energies[:, bead])
        (tmp_path / f"run.members_{bead}").write_text(text + text[:50])  # and half of one
    paths = sorted(tmp_path.glob("run.members_*"))
    status, output = invoke("ir", *paths, *GIVEN, "--members", "--output", tmp_path / "a")
    assert status == 0, output
    assert "5 members of the property on the same trajectory and 5 members of the potential" in output
    assert "both errors in quadrature" in output and "a.members.csv" in output
    recorder = make_recorder("ir", 1.0, WINDOW)
    means = {"dipole": dipoles, "committee_dipole": members, "committee_energy": energies}
    recorder.add({name: values.mean(axis=1) for name, values in means.items()})
    model = spectrum_of([recorder], CONDITIONS, WINDOW)["n_alpha"].model
    table, each = columns(tmp_path / "a.csv"), columns(tmp_path / "a.members.csv")
    np.testing.assert_allclose(table["n_alpha model error"][1:], model.total[: len(table["wavenumber"])][1:], rtol=1e-5)
    for kind, expected in (("property", model.properties.spectra), ("potential", model.potentials.spectra)):
        for number, values in enumerate(expected):
            own = next(array for name, array in each.items() if name.endswith(f"n_alpha (cm^-1) {kind} {number}"))
            np.testing.assert_allclose(own, values[: len(own)], rtol=1e-5, atol=1e-5 * values.max())
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_command_without_members(tmp_path):
    np.savez(tmp_path / "a.npz", dipole=smooth(900, 3))
    status, output = invoke("ir", tmp_path / "a.npz", *GIVEN, "--members")
    assert status == 2 and "holds no members of a committee" in output and output.count("\n") == 1
    assert not list(tmp_path.glob("*.csv"))
    status, output = invoke("sfg", tmp_path / "a.npz", *GIVEN, "--members")
    assert status == 2 and "--members is for ir and raman, not for sfg" in output


def test_members_of_arrays(tmp_path):
    samples = SERIES["raman"]() | {"committee_energy": smooth(2000, 2, seed=9)}
    np.savez(tmp_path / "a.npz", **samples)
    status, output = invoke("raman", tmp_path / "a.npz", *GIVEN, "--output", tmp_path / "a")
    assert status == 0 and "2 members of the property" in output, output
    assert "parallel model error of potentials" in columns(tmp_path / "a.csv")


def test_kept_current_while_the_files_grow(tmp_path):
    """Read between half records, and over a run that was killed and continued from the step before."""
    outputs = f"<trajectory filename='members' stride='2' extra_type='{KINDS}'> extras </trajectory>"
    folder = Folder(tmp_path)
    folder.write_input(steps=1800, outputs=outputs + outputs.replace(KINDS, "dipole").replace("members", "moments"))
    simulation = read_ipi_input(folder.path / "input.xml")
    conditions = read_run_conditions(folder.path / "input.xml")
    dipoles, members, energies = beads_of_a_run()
    texts = [records(dipoles[:, bead], members[:, bead], energies[:, bead]) for bead in range(4)]
    live = LiveSpectra(["ir"], simulation, conditions, folder.path, window=60.0)
    paths = [folder.path / f"test.members_{bead}" for bead in range(4)]
    for path, text in zip(paths, texts, strict=True):
        path.write_text(text[: len(text) // 2 - 33])
    live.read()
    live.draw()
    assert columns(tmp_path / "test.ir.csv")["n_alpha model error"].any()
    for path, text in zip(paths, texts, strict=True):
        with open(path, "a") as file:
            file.write(text[len(text) // 2 - 33 :])
    live.read()
    live.draw()
    received = (tmp_path / "test.ir.csv").read_text()
    fresh = LiveSpectra(["ir"], simulation, conditions, folder.path, window=60.0)
    fresh.read()
    fresh.draw()
    assert (tmp_path / "test.ir.csv").read_text() == received
    # what a killed i-PI left behind does not count once the run that continues has written it again
    step = re.compile(r" #EXTRAS\([a-z_,]*\)# Step: +1200 ")
    for path, text in zip(paths, texts, strict=True):
        place = step.search(text).start()
        path.write_text(text[:place] + text[place:].replace(" 1.", " 7.")[:-40] + text[place:])
    again = LiveSpectra(["ir"], simulation, conditions, folder.path, window=60.0)
    again.read()
    again.draw()
    assert (tmp_path / "test.ir.csv").read_text() == received


def test_run_with_a_committee(tmp_path):
    """A real i-PI: the members' dipoles are 0.9, 1, 1.05 and 1.2 times those of the springs."""
    folder = Folder(tmp_path)
    folder.write_input(
        steps=120,
        outputs="<trajectory filename='m' extra_type='dipole,member_dipoles,committee_pot'> extras </trajectory>",
    )
    model = "committee:" + ",".join(f"members:{name}" for name in ("first", "second", "third", "fourth"))
    status, _, errors = folder.run("input.xml", "--spectrum", "ir", "--window", "20", model=model)
    assert (status, errors) == (0, ""), errors
    table = columns(folder.path / "test.ir.csv")
    charges = np.array([0.9, 1.0, 1.05, 1.2])
    expected = np.std(np.square(charges / charges.mean()), ddof=1) * table["n_alpha"]
    scale = table["n_alpha"].max()
    np.testing.assert_allclose(table["n_alpha model error of properties"], expected, atol=1e-4 * scale)
    assert table["n_alpha model error of potentials"].any()
    text = Path(folder.path / "test.ir.csv").read_text()
    assert "4 members of the property on the same trajectory and 4 members of the potential" in text
