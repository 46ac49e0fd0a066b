"""Spectra against closed forms: line shapes, intensities, sum rules, symmetry."""

import numpy as np
import pytest
from beadwise.spectra import Conditions, Correlation, SeriesError, Window, estimate
from beadwise.spectra.dielectric import dielectric_constant
from beadwise.spectra.flux import central_difference, flux_from_born_charges, transfer_of_difference
from beadwise.spectra.infrared import absorption, infrared_spectrum, permittivity, sum_rule
from beadwise.spectra.kramers_kronig import refractive_index
from beadwise.spectra.peaks import peak_positions
from beadwise.spectra.quantum import quantum_factor, stokes_factor
from beadwise.spectra.raman import invariants, polarised, raman_spectrum
from beadwise.spectra.recording import make_recorder, spectrum_of
from beadwise.spectra.transform import even_transform, wavenumbers
from beadwise.spectra.units import SPEED_OF_LIGHT, angular_frequency, reduced_energy
from scipy import constants
from scipy.integrate import trapezoid
from scipy.spatial.transform import Rotation

RANDOM = np.random.default_rng(5)
KT = constants.k * 300  # J


def damped_velocity(time, frequency, damping):
    """⟨v v(t)⟩ m/kT of a Brownian oscillator, ẍ = −ω0² x − γ ẋ + noise, underdamped."""
    shifted = np.sqrt(frequency**2 - damping**2 / 4)
    return np.exp(-damping * time / 2) * (np.cos(shifted * time) - damping / (2 * shifted) * np.sin(shifted * time))


def long_window(lags, timestep):
    return Window("none", lags * timestep)


def test_brownian_oscillator():
    """physics.md 2.1: C_vv(ω) = (kT/m) 2γω²/[(ω0² − ω²)² + γ²ω²]."""
    timestep, lags = 0.25, 60000
    time = np.arange(lags + 1) * timestep
    frequency, damping = angular_frequency(np.array(1500.0)), 0.01
    grid = np.linspace(0, 4000, 2001)
    received = even_transform(damped_velocity(time, frequency, damping), timestep, long_window(lags, timestep), grid)
    omega = angular_frequency(grid)
    expected = 2 * damping * omega**2 / ((frequency**2 - omega**2) ** 2 + damping**2 * omega**2)
    np.testing.assert_allclose(received, expected, atol=2e-5 * expected.max())


def test_ornstein_uhlenbeck():
    """physics.md 2.1: the transform of e^{−|t|/τ} is 2τ/(1 + ω²τ²)."""
    timestep, relaxation, lags = 0.02, 50.0, 60000
    grid = np.linspace(0, 300, 301)
    values = np.exp(-np.arange(lags + 1) * timestep / relaxation)
    received = even_transform(values, timestep, long_window(lags, timestep), grid)
    expected = 2 * relaxation / (1 + (angular_frequency(grid) * relaxation) ** 2)
    np.testing.assert_allclose(received, expected, rtol=1e-4)


def test_transforms_agree_with_plain_sums():
    values = RANDOM.normal(size=(2, 40))
    window, grid = Window("hann", 35.0), np.linspace(0, 3000, 7)
    weights = window.values(39, 1.0)
    halved = values * weights * np.where(np.arange(40) == 0, 0.5, 1.0)
    phases = angular_frequency(grid)[:, None] * np.arange(40)
    expected = 2 * np.einsum("ak,fk->af", halved, np.cos(phases))
    np.testing.assert_allclose(even_transform(values, 1.0, window, grid), expected, atol=1e-12)


@pytest.mark.parametrize(("name", "expected"), [("hann", 1.0), ("blackman", 1.15), ("blackman-harris", 1.33)])
def test_width_of_windows(name, expected):
    """Width of the transform of the window itself, found on a fine grid."""
    window = Window(name, 500.0)
    grid = np.linspace(0, 200, 20001)
    transform = even_transform(np.ones(5001), 0.1, window, grid)
    half = grid[np.argmax(transform < transform[0] / 2)]
    assert window.width == pytest.approx(2 * half, rel=1e-3)
    assert window.width * 500.0 * SPEED_OF_LIGHT == pytest.approx(expected, abs=0.02)
    assert Window.of_width(25.0, name).width == pytest.approx(25.0)


def test_windows_that_are_refused():
    with pytest.raises(SeriesError, match="'square' is unknown; allowed are hann"):
        Window("square")
    with pytest.raises(SeriesError, match="length is -1"):
        Window("hann", -1)


def test_difference_and_its_transfer_function():
    frequency = angular_frequency(np.array(3000.0))
    time = np.arange(2000.0)
    flux = central_difference(np.sin(frequency * time), 1.0)
    exact = frequency * np.cos(frequency * time[1:-1])
    np.testing.assert_allclose(flux, exact * transfer_of_difference(np.array(3000.0), 1.0), atol=1e-12)


def test_flux_from_born_charges_is_the_derivative_of_the_dipole():
    """A dipole that is no linear function of the positions: M = Σ_i (q_i + c_i·r_i) r_i, the mean over beads."""
    charges, slopes = RANDOM.normal(size=4), RANDOM.normal(size=(4, 3))

    def dipole(positions):  # (beads, atoms, 3)
        factors = charges + np.einsum("ia,bia->bi", slopes, positions)
        return np.einsum("bi,bia->ba", factors, positions).mean(0)

    positions, velocities = RANDOM.normal(size=(2, 5, 4, 3))
    factors = charges + np.einsum("ia,bia->bi", slopes, positions)
    born = factors[..., None, None] * np.eye(3) + np.einsum("ia,bic->biac", slopes, positions)
    numerical = (dipole(positions + 1e-5 * velocities) - dipole(positions - 1e-5 * velocities)) / 2e-5
    np.testing.assert_allclose(flux_from_born_charges(born[None], velocities[None])[0], numerical, rtol=1e-8)
    with pytest.raises(SeriesError, match="expected"):
        flux_from_born_charges(born, velocities[0])


def test_infrared_of_one_brownian_charge():
    """A charge on a spring: height and place of nα in SI, written out by hand."""
    timestep, lags, frequency, damping = 0.5, 20000, angular_frequency(np.array(1600.0)), 0.01
    mass, charge, volume = 1.008, 0.4, 1000.0  # Da, e, Å³
    time = np.arange(lags + 1) * timestep
    speed = 3 * KT / (mass * constants.atomic_mass) * (1e-5) ** 2  # ⟨v²⟩ in (Å/fs)²
    flux = charge**2 * speed * damped_velocity(time, frequency, damping)
    grid = np.linspace(0, 16000, 16001)
    conditions = Conditions(timestep, 300.0, volume)
    n_alpha = absorption(flux, conditions, long_window(lags, timestep), grid, is_difference=False)
    omega = angular_frequency(grid[1600]) * 1e15
    transform = 2 * (damping * 1e15) * omega**2 / (damping * 1e15 * omega) ** 2
    by_hand = (charge * constants.e) ** 2 * 3 / (mass * constants.atomic_mass) * transform
    by_hand /= 6 * constants.epsilon_0 * constants.c * volume * 1e-30  # β and kT cancel
    assert n_alpha[1600] == pytest.approx(by_hand / 100, rel=1e-3)
    expected = sum_rule(np.array([charge]), np.array([mass]), volume)
    assert trapezoid(n_alpha, grid) == pytest.approx(expected, rel=5e-3)


def test_sum_rule_of_water():
    """physics.md 2.2: the charges of q-TIP4P/F at 0.997 g/cm³ give 6.066e6 cm⁻²."""
    volume = 18.01528 / (0.997 * constants.N_A) * 1e24
    charges, masses = np.array([-0.81915, 0.40958, 0.40958]), np.array([15.9994, 1.00794, 1.00794])
    assert sum_rule(charges, masses, volume) == pytest.approx(6.066e6, rel=2e-4)


def test_recorded_difference_gives_the_sum_rule():
    """A series of dipoles, through recorder, difference, window and transform: intensity is kept.

    All oscillators are around 3500 cm⁻¹, where without the transfer function a sixth of it would be missing.
    """
    oscillators, mass, charge, volume = 60, 2.0, 0.5, 800.0
    frequencies = angular_frequency(np.linspace(3200, 3790, oscillators))
    amplitudes = np.sqrt(KT / (mass * constants.atomic_mass)) * 1e-5 / frequencies
    time = np.arange(30000.0)
    phases = RANDOM.uniform(0, 2 * np.pi, (oscillators, 3, 1))
    # phases are random, amplitudes are not: over 30 ps the oscillators add up without interference
    motion = sum(
        np.sqrt(2) * amplitude * np.sin(frequency * time + phase)
        for amplitude, frequency, phase in zip(amplitudes, frequencies, phases, strict=True)
    )
    recorder = make_recorder("ir", 1.0, Window("hann", 500.0))
    for piece in np.array_split(charge * motion.T, 7):
        recorder.add({"dipole": piece})
    spectrum = spectrum_of([recorder], Conditions(1.0, 300.0, volume), Window("hann", 500.0))
    received = trapezoid(spectrum["n_alpha"].values, spectrum.wavenumber)
    expected = sum_rule(np.full(oscillators, charge), np.full(oscillators, mass), volume)
    assert received == pytest.approx(expected, rel=0.01)
    assert "integral of n alpha" in spectrum.notes["sum rule"]


def test_infrared_from_born_charges_and_from_differences():
    """Fixed charges: Born effective charges times velocities are the derivative of the dipole."""
    window, frequencies = Window("hann", 300.0), angular_frequency(np.array([600.0, 1600.0, 3400.0]))
    time, phases = np.arange(4000.0), RANDOM.uniform(0, 6, (3, 3))
    angles = frequencies[None, :, None] * time[:, None, None] + phases  # (samples, atoms, 3)
    positions, velocities = np.sin(angles), frequencies[:, None] * np.cos(angles)
    charges = np.array([0.4, -0.8, 0.4])
    born = np.broadcast_to(charges[:, None, None] * np.eye(3), (4000, 3, 3, 3))
    difference, exact = make_recorder("ir", 1.0, window), make_recorder("ir_from_born_charges", 1.0, window)
    difference.add({"dipole": np.einsum("i,sia->sa", charges, positions)})
    exact.add({"born_charges": born, "velocities": velocities})
    conditions = Conditions(1.0, 300.0, 1000.0)
    first, second = (spectrum_of([recorder], conditions, window) for recorder in (difference, exact))
    scale = first["n_alpha"].values.max()
    # the transfer function is divided out after the window has blurred the bands
    np.testing.assert_allclose(first["n_alpha"].values, second["n_alpha"].values, atol=0.01 * scale)
    assert "Born effective charges" in second.notes["flux"]
    with pytest.raises(SeriesError, match="velocities are missing"):
        exact.add({"born_charges": born})


def test_unequal_spacing_is_refused():
    with pytest.raises(SeriesError, match="not equally spaced"):
        even_transform(np.ones(5), 1.0, Window("hann", 4.0), np.array([0.0, 10.0, 30.0]))


def test_kramers_kronig_of_a_lorentz_oscillator():
    """ε = ε∞ + Δ ω0²/(ω0² − ω² − iγω)."""
    grid = np.arange(0.0, 20001.0)
    place, width, strength = 1600.0, 80.0, 0.9
    exact = 1.8 + strength * place**2 / (place**2 - grid**2 - 1j * width * grid)
    n_alpha = 2 * np.pi * grid * exact.imag
    real, imaginary = permittivity(n_alpha, grid, 1.8)
    np.testing.assert_allclose(imaginary, exact.imag, atol=1e-12)
    np.testing.assert_allclose(real[:5000], exact.real[:5000], atol=2e-3)
    np.testing.assert_allclose(refractive_index(real, imaginary)[:5000], np.sqrt(exact).real[:5000], atol=1e-3)


def test_quantum_factor():
    grid = np.array([-1500.0, 0.0, 1e-7, 1500.0])
    factor = quantum_factor(grid, 300.0)
    energy = reduced_energy(np.array(1500.0), 300.0)
    assert energy == pytest.approx(constants.h * constants.c * 1500e2 / KT)
    assert factor[1] == 1.0 and factor[2] == pytest.approx(1.0)
    assert factor[3] == pytest.approx(energy / (1 - np.exp(-energy)))
    assert factor[0] / factor[3] == pytest.approx(np.exp(-energy))  # detailed balance
    assert stokes_factor(np.array(1500.0), 300.0, 18797.0) == pytest.approx(
        (1 - 1500 / 18797) ** 4 * energy / (1 - np.exp(-energy))
    )


def tensors(samples, seed=0):
    """A smooth random series of symmetric tensors."""
    noise = np.random.default_rng(seed).normal(size=(samples + 20, 3, 3))
    smooth = sum(noise[k : samples + k] for k in range(20))
    return 10 * np.eye(3) + smooth + np.swapaxes(smooth, 1, 2)


def raman_of(series):
    window = Window("hann", 200.0)
    recorder = make_recorder("raman", 1.0, window)
    recorder.add({"polarizability": series})
    return spectrum_of([recorder], Conditions(1.0, 300.0), window)


def test_raman_is_invariant_under_rotation():
    """physics.md 2.6."""
    series = tensors(2000)
    turn = Rotation.random(random_state=3).as_matrix()
    first, second = raman_of(series), raman_of(turn @ series @ turn.T)
    for name in ("isotropic", "anisotropic", "depolarisation", "stokes"):
        np.testing.assert_allclose(second[name].values[1:], first[name].values[1:], rtol=1e-8)


def test_raman_of_pure_trace_and_of_traceless_tensors():
    """physics.md 2.6: pure trace gives no I_VH, a traceless tensor a depolarisation ratio of 3/4."""
    series = tensors(2000)
    trace = np.trace(series, axis1=1, axis2=2)[:, None, None] * np.eye(3) / 3
    assert np.abs(raman_of(trace)["perpendicular"].values[1:]).max() < 1e-20
    np.testing.assert_allclose(raman_of(series - trace)["depolarisation"].values[1:], 0.75, rtol=1e-10)


def test_raman_geometries_are_orientational_averages():
    """I_VV = ⟨|z·α z|²⟩ and I_VH = ⟨|x·α z|²⟩ over all orientations."""
    tensor = tensors(1)[0]
    turns = Rotation.random(200000, random_state=1).as_matrix()
    turned = turns @ tensor @ np.swapaxes(turns, 1, 2)
    isotropic, anisotropic = invariants(tensor[None])
    shapes = polarised(np.square(isotropic).sum(1), np.square(anisotropic).sum(1))
    assert shapes[2] == pytest.approx(np.mean(turned[:, 2, 2] ** 2), rel=0.01)
    assert shapes[3] == pytest.approx(np.mean(turned[:, 0, 2] ** 2), rel=0.02)
    np.testing.assert_allclose(shapes[4], shapes[2] + shapes[3])


def test_raman_columns_belong_together():
    spectrum = raman_of(tensors(3000))
    grid = spectrum.wavenumber[1:]
    values = {name: column.values[1:] for name, column in spectrum.columns.items()}
    energy = reduced_energy(grid, 300.0)
    np.testing.assert_allclose(values["unpolarised"], values["lineshape_unpolarised"] * energy)
    np.testing.assert_allclose(values["parallel"], values["isotropic"] + 4 / 3 * values["perpendicular"])
    np.testing.assert_allclose(
        values["stokes"], values["lineshape_unpolarised"] * stokes_factor(grid, 300.0, 1e7 / 532.0)
    )
    assert "reduced" in spectrum.notes["intensities"]


def test_raman_line_shape_is_that_of_the_polarizability_itself():
    """FT⟨α̇ α̇⟩/ω² against FT⟨δα δα⟩ of the same series."""
    samples, window = 60000, Window("blackman-harris", 400.0)
    series = tensors(samples, seed=8)
    recorder = make_recorder("raman", 1.0, window)
    recorder.add({"polarizability": series})
    spectrum = spectrum_of([recorder], Conditions(1.0, 300.0), window)
    isotropic = Correlation(400, remove_mean=True).compute(invariants(series)[0])
    direct = even_transform(isotropic.values, 1.0, window, spectrum.wavenumber)
    inside = (spectrum.wavenumber > 150) & (spectrum.wavenumber < 1200)
    np.testing.assert_allclose(
        spectrum["lineshape_isotropic"].values[inside], direct[inside], rtol=0.1, atol=0.02 * direct.max()
    )


def test_dielectric_constant():
    """Gaussian dipoles with a known variance."""
    spread, volume = 3.0, 1000.0  # e·Å for each component
    dipoles = [RANDOM.normal(4.0, spread, (2000, 3)) for _ in range(10)]
    variance = 3 * (spread * constants.e * 1e-10) ** 2
    expected = 1.8 + variance / (3 * constants.epsilon_0 * volume * 1e-30 * KT)
    value, error = dielectric_constant(dipoles, 300.0, volume, 1.8)
    assert abs(value - expected) < 4 * error and error < 0.03 * expected


def test_peak_positions():
    grid = np.arange(0.0, 4000.0)
    band = np.exp(-(((grid - 3412.3) / 60) ** 2)) + 0.5 * np.exp(-(((grid - 1640.0) / 30) ** 2))
    assert peak_positions(grid, band, 3000, 3800) == pytest.approx(3412.3, abs=0.05)
    both = peak_positions(grid, np.stack([band, 2 * band]), 1500, 1800)
    np.testing.assert_allclose(both, 1640.0, atol=0.05)
    with pytest.raises(SeriesError, match="no point between"):
        peak_positions(grid, band, 5000, 6000)


def test_spectrum_file(tmp_path):
    dipole = RANDOM.normal(size=(500, 3)).cumsum(0)
    window = Window("hann", 50.0)
    flux = estimate([Correlation(50).compute(central_difference(dipole, 1.0))])
    spectrum = infrared_spectrum(flux, Conditions(1.0, 300.0, 1000.0, "TRPMD", 8), window)
    spectrum.write(tmp_path / "ir.csv")
    lines = (tmp_path / "ir.csv").read_text().splitlines()
    assert lines[0].startswith("# Infrared") and "# dynamics: TRPMD, 8 beads, 300 K" in lines
    assert any("hann, 50 fs, full width at half maximum 667.1" in line for line in lines)
    table = [line for line in lines if not line.startswith("#")]
    assert table[0].startswith("wavenumber (cm^-1),n_alpha (cm^-1),n_alpha standard error")
    read = np.array([line.split(",") for line in table[1:]], dtype=float)
    np.testing.assert_allclose(read[:, 1], spectrum["n_alpha"].values, rtol=1e-6)
    assert raman_spectrum(flux, flux, Conditions(1.0), window).kind == "raman"


def test_grid_ends_below_the_nyquist_frequency():
    assert wavenumbers(1.0)[-1] == 5000.0
    assert wavenumbers(4.0)[-1] == pytest.approx(0.7 / (2 * SPEED_OF_LIGHT * 4.0), abs=1.0)
