"""Sum-frequency spectra: the closed form with its sign, both faces, molecular terms, symmetry."""

import numpy as np
import pytest
from beadwise.spectra import Conditions, SeriesError, Window
from beadwise.spectra.recording import make_recorder, spectrum_of
from beadwise.spectra.sum_frequency import Slab, susceptibility, weighted_fluxes
from beadwise.spectra.units import angular_frequency
from scipy import constants

KT = constants.k * 300
CELL = np.diag([12.0, 13.0, 60.0])
WINDOW = Window("hann", 200.0)
CONDITIONS = Conditions(1.0, 300.0)


@pytest.mark.parametrize(("timestep", "is_difference"), [(1.0, False), (1.0, True), (2.0, True)])
def test_lorentzian_of_one_mode(timestep, is_difference):
    """physics.md 2.5: a mode with M_z = b q, A_xx = a q gives ab/[m(ω0² − ω² − iγω)]/(S ε0), Im χ > 0 for ab > 0."""
    lags, damping = round(6000 / timestep), 0.008
    frequency, area, mass = angular_frequency(np.array(3600.0)), 156.0, 1.0  # 1/fs, Å², Da
    charge, slope = 0.3, 0.8  # b in e, a in Å²

    def positions(time):  # ⟨q q(t)⟩ mω0²/kT of a Brownian oscillator
        shifted = np.sqrt(frequency**2 - damping**2 / 4)
        return np.exp(-damping * time / 2) * (np.cos(shifted * time) + damping / 2 / shifted * np.sin(shifted * time))

    def velocities(time):
        shifted = np.sqrt(frequency**2 - damping**2 / 4)
        return np.exp(-damping * time / 2) * (np.cos(shifted * time) - damping / 2 / shifted * np.sin(shifted * time))

    time = np.arange(lags + 1) * timestep
    correlation = velocities(time)
    if is_difference:  # ⟨[q(Δt) − q(−Δt)] [q(t + Δt) − q(t − Δt)]⟩/(2Δt)²
        sides = positions(time + 2 * timestep) + positions(np.abs(time - 2 * timestep))
        correlation = (2 * positions(time) - sides) / (2 * timestep) ** 2 / frequency**2
    correlation *= KT / (mass * constants.atomic_mass) * 1e-10  # (Å/fs)²
    grid = np.arange(0.0, 4501.0)
    conditions, window = Conditions(timestep, 300.0), Window("none", lags * timestep)
    received = susceptibility(charge * slope * correlation, conditions, window, grid, area, is_difference)

    omega, place, width = angular_frequency(grid) * 1e15, frequency * 1e15, damping * 1e15
    b, a = charge * constants.e, 4 * np.pi * constants.epsilon_0 * slope * 1e-20
    resonance = mass * constants.atomic_mass * (place**2 - omega**2 - 1j * width * omega)
    expected = a * b / resonance / (area * 1e-20 * constants.epsilon_0) * 1e22
    # below, a transform that vanishes at ω = 0 is divided by ω
    np.testing.assert_allclose(received[50:], expected[50:], atol=2e-3 * abs(expected).max())
    away = (grid > 100) & (np.abs(grid - 3600) > 300)
    np.testing.assert_allclose(received.real[away], expected.real[away], rtol=0.01)
    assert received[3600].imag > 0
    assert received[3000].real > 0 > received[4200].real


def slab_series(samples=3000, molecules=12, seed=2):
    """Molecules that stand still at random heights, their moments smooth and random, more so along the normal."""
    random = np.random.default_rng(seed)
    noise = random.normal(size=(samples + 10, molecules, 12))
    smooth = sum(noise[k : samples + k] for k in range(10))
    heights = np.where(np.arange(molecules) % 2, -1.0, 1.0) * random.uniform(5.0, 9.0, molecules)
    places = np.stack([random.uniform(0, 12, molecules), random.uniform(0, 13, molecules), heights + 30.0], axis=1)
    tensor = smooth[..., 3:].reshape(samples, molecules, 3, 3)
    dipole = smooth[..., :3].copy()
    dipole[..., 2] += np.sign(heights) * (tensor[..., 0, 0] + tensor[..., 1, 1])
    return {
        "molecular_dipole": dipole,
        "molecular_polarizability": tensor + np.swapaxes(tensor, 2, 3),
        "molecular_position": np.broadcast_to(places, (samples, molecules, 3)).copy(),
    }


def spectrum_of_slab(series, slab=None, pieces=1):
    recorder = make_recorder("sfg", 1.0, WINDOW, slab or Slab(CELL))
    for numbers in np.array_split(np.arange(len(series["molecular_dipole"])), pieces):
        recorder.add({name: values[numbers] for name, values in series.items()})
    return spectrum_of([recorder], CONDITIONS, WINDOW)


def mirrored(series):
    """The slab turned upside down: z → −z about its middle."""
    mirror = np.diag([1.0, 1.0, -1.0])
    positions = series["molecular_position"].copy()
    positions[..., 2] = 60.0 - positions[..., 2]
    return {
        "molecular_dipole": series["molecular_dipole"] @ mirror,
        "molecular_polarizability": mirror @ series["molecular_polarizability"] @ mirror,
        "molecular_position": positions,
    }


def one_face():
    """Molecules of one face only, and a heavy anchor below that keeps the middle where it was."""
    series = slab_series()
    upper = series["molecular_position"][0, :, 2] > 30
    return {name: values[:, upper] for name, values in series.items()}


def test_mirrored_twin_gives_twice_one_face():
    """physics.md 2.5: both faces of a symmetric slab are the same, their sum twice one."""
    face = one_face()
    both = {name: np.concatenate([values, mirrored(face)[name]], axis=1) for name, values in face.items()}
    spectrum = spectrum_of_slab(both)
    for term in ("self", "near", "all"):
        upper, lower = (spectrum[f"{term}_imaginary_{name}"].values[1:] for name in ("upper", "lower"))
        np.testing.assert_allclose(upper, lower, atol=1e-10 * np.abs(upper).max())
        np.testing.assert_allclose(spectrum[f"{term}_imaginary"].values[1:], upper, atol=1e-10 * np.abs(upper).max())
        assert spectrum[f"{term}_imaginary"].values[1:].max() > 0


def test_sum_without_weights_is_zero():
    """physics.md 2.5: of a symmetric slab the plain total dipole and polarizability have no correlation."""
    face = one_face()
    both = {name: np.concatenate([values, mirrored(face)[name]], axis=1) for name, values in face.items()}
    dipole = np.diff(both["molecular_dipole"][..., 2].sum(1))
    tensor = np.diff((both["molecular_polarizability"][..., 0, 0] + both["molecular_polarizability"][..., 1, 1]).sum(1))
    assert np.abs(dipole).max() < 1e-9 * np.abs(tensor).max()
    assert np.abs(spectrum_of_slab(both)["all_real"].values[1:]).max() > 1e-3


def test_turned_upside_down_faces_change_places():
    first, second = spectrum_of_slab(slab_series()), spectrum_of_slab(mirrored(slab_series()))
    for term in ("self", "near", "all"):
        upper = first[f"{term}_imaginary_upper"].values[1:]
        lower = second[f"{term}_imaginary_lower"].values[1:]
        np.testing.assert_allclose(upper, lower, atol=1e-10 * np.abs(upper).max())


@pytest.mark.parametrize("change", ["permute", "translate", "image", "border", "rotate"])
def test_symmetry(change):
    series = slab_series()
    expected = spectrum_of_slab(series)
    slab = Slab(CELL)
    if change == "permute":
        order = np.random.default_rng(0).permutation(12)
        series = {name: values[:, order] for name, values in series.items()}
    elif change == "translate":
        series["molecular_position"] += np.array([3.0, -2.0, 1.0])
    elif change == "image":
        series["molecular_position"][:, ::3] += np.array([12.0, -13.0, 60.0])
    elif change == "border":  # the middle of the slab at z = 0, its molecules wrapped into the cell
        series["molecular_position"][..., 2] = (series["molecular_position"][..., 2] - 30.0) % 60.0
    else:
        turn = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
        series = {
            "molecular_dipole": series["molecular_dipole"] @ turn.T,
            "molecular_polarizability": turn @ series["molecular_polarizability"] @ turn.T,
            "molecular_position": series["molecular_position"] @ turn.T,
        }
        slab = Slab(np.diag([13.0, 12.0, 60.0]))
    received = spectrum_of_slab(series, slab)
    for name, column in expected.columns.items():
        scale = np.abs(column.values[1:]).max()
        np.testing.assert_allclose(received[name].values[1:], column.values[1:], atol=1e-10 * scale)


def test_terms_add_up():
    """With a reach beyond the slab, near is all; with none, it is self."""
    series = slab_series()
    wide, narrow = (spectrum_of_slab(series, Slab(CELL, near=near)) for near in (1000.0, 1e-6))
    for part in ("real", "imaginary"):
        np.testing.assert_allclose(wide[f"near_{part}"].values[1:], wide[f"all_{part}"].values[1:], atol=1e-8)
        np.testing.assert_allclose(narrow[f"near_{part}"].values[1:], narrow[f"self_{part}"].values[1:], atol=1e-8)


def test_weighted_fluxes_by_hand():
    positions = np.array([[[1.0, 1.0, 38.0], [1.0, 12.5, 37.0], [6.0, 6.0, 22.0], [6.0, 6.0, 23.0]]])
    dipole, tensor = np.zeros((1, 4, 3)), np.zeros((1, 4, 3, 3))
    dipole[0, :, 2] = [1.0, 2.0, 3.0, 4.0]
    tensor[0, :, 0, 0], tensor[0, :, 1, 1] = [10.0, 20.0, 30.0, 40.0], [0.0, 0.0, 0.0, 0.0]
    series = weighted_fluxes(dipole, tensor, positions, Slab(CELL, near=3.0))
    np.testing.assert_allclose(series["upper", "self"][0], [[1, 2, 0, 0]])
    np.testing.assert_allclose(series["upper", "self"][1], [[5, 10, 0, 0]])
    np.testing.assert_allclose(series["lower", "self"][0], [[0, 0, -3, -4]])
    np.testing.assert_allclose(series["upper", "near"][0], [[3, 3, 0, 0]])  # neighbours through the cell's side
    np.testing.assert_allclose(series["lower", "all"][0], [[-7]])
    np.testing.assert_allclose(series["lower", "all"][1], [[35]])


def test_weight_rises_from_the_middle():
    slab = Slab(CELL, inner=1.0, outer=4.0)
    np.testing.assert_allclose(slab.weight(np.array([0.0, -1.0, 2.5, -4.0, 9.0])), [0, 0, 0.5, 1, 1], atol=1e-12)
    assert slab.area == pytest.approx(156.0)


def test_pieces_and_restarts_change_no_bit():
    series = slab_series(samples=900)
    whole, pieces = make_recorder("sfg", 1.0, WINDOW, Slab(CELL)), make_recorder("sfg", 1.0, WINDOW, Slab(CELL))
    whole.add(series)
    for numbers in np.array_split(np.arange(900), 23):
        state = pieces.state()
        pieces = make_recorder("sfg", 1.0, WINDOW, Slab(CELL))
        pieces.restore(state)
        pieces.add({name: values[numbers] for name, values in series.items()})
    first, second = (spectrum_of([one], CONDITIONS, WINDOW) for one in (whole, pieces))
    for name, column in first.columns.items():
        assert np.array_equal(column.values[1:], second[name].values[1:])


def test_what_is_refused():
    with pytest.raises(SeriesError, match="normal of a slab must be z"):
        Slab(np.array([[12.0, 0, 0], [0, 13.0, 0], [5.0, 0, 60.0]]))
    with pytest.raises(SeriesError, match="0 <= inner <= outer"):
        Slab(CELL, inner=5.0, outer=4.0)
    with pytest.raises(SeriesError, match="needs a slab"):
        make_recorder("sfg", 1.0, WINDOW)
    with pytest.raises(SeriesError, match="molecular_position is missing"):
        make_recorder("sfg", 1.0, WINDOW, Slab(CELL)).add(
            {name: values for name, values in slab_series(5).items() if name != "molecular_position"}
        )
