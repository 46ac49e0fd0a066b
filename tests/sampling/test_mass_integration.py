"""Classical to quantum free energies: harmonic oscillators exactly, and ring polymers that are drawn."""

import numpy as np
import pytest
from ase.units import kB
from beadwise.sampling import SamplingError, centroid_virial_kinetic_energy, gauss_legendre_ratios, integrate_over_mass
from scipy import constants
from scipy.stats import linregress

TEMPERATURE = 300.0
THERMAL_ENERGY = kB * TEMPERATURE
BEADS = (16, 32, 64)
WAVENUMBERS = (500.0, 1600.0, 3700.0)
# mean potential over k_B T for these numbers of beads and exactly, and (A_q − A_cl)/k_B T
TABLE = {
    500.0: (0.717663, 0.718949, 0.719272, 0.719379, 0.229058),
    1600.0: (1.867349, 1.906532, 1.916721, 1.920154, 1.798503),
    3700.0: (3.879652, 4.274952, 4.394204, 4.436229, 5.996358),
}
ROUNDING = 1e-6  # all are within half of the last digit, but 0.7193797, which was cut


def reduced_frequency(wavenumber):
    """βħω."""
    return constants.h * constants.c * 100 * wavenumber / (constants.k * TEMPERATURE)


def modes_of_ring(beads):
    """(βħω_k)² of the free ring polymer; its centroid has zero."""
    return np.square(2 * beads * np.sin(np.pi * np.arange(beads) / beads))


def kinetic_energy(reduced, beads=None):
    """Mean T_CV of one degree of freedom over k_B T, which for an oscillator is the mean potential."""
    if beads is None:
        return reduced / 4 / np.tanh(reduced / 2)
    return 0.5 * (reduced**2 / (modes_of_ring(beads) + reduced**2)).sum()


def free_energy(reduced, beads=None):
    """(A_q − A_cl)/k_B T of one degree of freedom."""
    if beads is None:
        return np.log(2 * np.sinh(reduced / 2) / reduced)
    return 0.5 * np.log1p(reduced**2 / modes_of_ring(beads)[1:]).sum()


def integrated(ratios, wavenumber, beads=None, **keywords):
    """A_q − A_cl over k_B T of one degree of freedom, from that of an atom in three equal springs."""
    reduced = reduced_frequency(wavenumber)
    means = 3 * THERMAL_ENERGY * np.array([kinetic_energy(y * reduced, beads) for y in ratios])
    return integrate_over_mass(ratios, means, 1, TEMPERATURE, **keywords).difference / (3 * THERMAL_ENERGY)


def drawn_rings(samples, beads, ratio, random):
    """Exact samples of an atom with the three wavenumbers along x, y, z and the mass m/ratio².

    The unit of length of each direction is √(k_B T/mω²), so that forces are −k_B T q.
    """
    reduced = np.array([reduced_frequency(wavenumber) for wavenumber in WAVENUMBERS])
    # β times the energy is (1/P) Σ_k [(P/βħω)² ratio⁻² (q_k+1 − q_k)²/2 + q_k²/2]
    stiffness = (modes_of_ring(beads)[:, None] / np.square(ratio * reduced) + 1) / beads
    spectrum = np.fft.fft(random.normal(size=(samples, beads, 3)), axis=1)
    positions = np.fft.ifft(spectrum / np.sqrt(stiffness), axis=1).real[:, :, None]
    return positions, -THERMAL_ENERGY * positions


@pytest.mark.parametrize("wavenumber", WAVENUMBERS)
def test_the_table_of_harmonic_oscillators(wavenumber):
    reduced = reduced_frequency(wavenumber)
    computed = [kinetic_energy(reduced, beads) for beads in (*BEADS, None)]
    ratios, _ = gauss_legendre_ratios(16)
    np.testing.assert_allclose([*computed, integrated(ratios, wavenumber)], TABLE[wavenumber], rtol=0, atol=ROUNDING)
    assert integrated(ratios, wavenumber) == pytest.approx(free_energy(reduced), rel=1e-11)


@pytest.mark.parametrize("beads", BEADS)
@pytest.mark.parametrize("wavenumber", WAVENUMBERS)
def test_a_finite_number_of_beads_gives_its_own_free_energy(wavenumber, beads):
    ratios, _ = gauss_legendre_ratios(16)
    exact = free_energy(reduced_frequency(wavenumber), beads)
    assert integrated(ratios, wavenumber, beads) == pytest.approx(exact, rel=1e-9)


def test_convergence_of_gauss_legendre():
    exact = free_energy(reduced_frequency(3700.0))
    errors = [abs(integrated(gauss_legendre_ratios(runs)[0], 3700.0) / exact - 1) for runs in range(2, 11)]
    # what the documentation says of 4 and 6
    assert errors[2] < 5e-4
    assert errors[4] < 2e-5
    decay = linregress(np.arange(2, 11), np.log(errors))
    assert np.exp(decay.slope) < 0.25  # each run more
    assert decay.rvalue < -0.99


def test_convergence_of_the_trapezoidal_rule():
    exact = free_energy(reduced_frequency(1600.0))
    runs = np.array([8, 16, 32, 64])
    errors = [abs(integrated(np.arange(1, n + 1) / n, 1600.0, rule="trapezoidal") / exact - 1) for n in runs]
    assert -linregress(np.log(runs), np.log(errors)).slope == pytest.approx(2, abs=0.05)
    uneven = np.square(np.linspace(0, 1, 41)[1:]) * 0.4 + 0.6 * np.linspace(0, 1, 41)[1:]
    assert integrated(uneven, 1600.0, rule="trapezoidal") == pytest.approx(exact, rel=1e-3)


def test_the_trapezoidal_rule_needs_no_run_near_zero():
    """A line through the origin is integrated exactly from the mass itself."""
    kinetic = 1.5 * THERMAL_ENERGY + 0.05
    result = integrate_over_mass([1.0], [kinetic], 1, TEMPERATURE, rule="trapezoidal")
    assert result.difference == pytest.approx(0.05)
    two = integrate_over_mass(
        [1.0, 0.3], [kinetic, 1.5 * THERMAL_ENERGY + 0.05 * 0.09], 1, TEMPERATURE, [0.002, 0.001], rule="trapezoidal"
    )
    assert two.difference == pytest.approx(0.05)
    # weights are (1 − 0)/2 at y = 0.3 and (1 − 0.3)/2 at y = 1
    assert two.standard_error == pytest.approx(np.hypot(0.5 * 2 / 0.3 * 0.001, 0.35 * 2 * 0.002))
    np.testing.assert_allclose(two.root_mass_ratios, [0.3, 1.0])
    np.testing.assert_allclose(two.integrand, [0.03, 0.1])


def test_order_of_runs_does_not_matter():
    ratios, weights = gauss_legendre_ratios(5)
    energies, errors = np.linspace(1, 2, 5), np.linspace(0.01, 0.02, 5)
    plain = integrate_over_mass(ratios, energies, 4, TEMPERATURE, errors)
    turned = integrate_over_mass(ratios[::-1], energies[::-1], 4, TEMPERATURE, errors[::-1])
    assert (turned.difference, turned.standard_error) == (plain.difference, plain.standard_error)
    np.testing.assert_allclose(plain.weights, weights)
    excess = [energy - 6 * THERMAL_ENERGY for energy in energies]
    twin = sum(w * 2 / y * e for w, y, e in zip(weights, ratios, excess, strict=True))
    assert plain.difference == pytest.approx(twin)
    assert np.isnan(integrate_over_mass(ratios, energies, 4, TEMPERATURE).standard_error)


def test_kinetic_energy_is_that_of_loops():
    random = np.random.default_rng(1)
    positions, forces = random.normal(size=(2, 7, 5, 4, 3))
    expected = []
    for place, force in zip(positions, forces, strict=True):
        virial = sum(
            (place[k, n, a] - place[:, n, a].mean()) * -force[k, n, a]
            for k in range(5)
            for n in range(4)
            for a in range(3)
        )
        expected.append(6 * THERMAL_ENERGY + virial / 10)
    np.testing.assert_allclose(centroid_virial_kinetic_energy(positions, forces, TEMPERATURE), expected)
    moved = centroid_virial_kinetic_energy(positions + 100.0, forces, TEMPERATURE)
    np.testing.assert_allclose(moved, expected)
    classical = centroid_virial_kinetic_energy(positions[:, :1], forces[:, :1], TEMPERATURE)
    np.testing.assert_allclose(classical, 6 * THERMAL_ENERGY)


def test_drawn_ring_polymers_give_the_exact_difference_within_their_errors():
    """Three oscillators of the table in one atom, of 32 beads, many times over."""
    random = np.random.default_rng(2)
    ratios, _ = gauss_legendre_ratios(6)
    exact = THERMAL_ENERGY * sum(free_energy(reduced_frequency(wavenumber), 32) for wavenumber in WAVENUMBERS)
    deviations = []
    for _ in range(40):
        series = [centroid_virial_kinetic_energy(*drawn_rings(120, 32, ratio, random), TEMPERATURE) for ratio in ratios]
        means, errors = np.mean(series, axis=1), np.std(series, axis=1, ddof=1) / np.sqrt(120)
        result = integrate_over_mass(ratios, means, 1, TEMPERATURE, errors)
        deviations.append((result.difference - exact) / result.standard_error)
    assert result.standard_error < 0.03 * exact
    assert abs(np.mean(deviations)) < 4 / np.sqrt(40)
    assert 0.7 < np.std(deviations) < 1.35


def test_rounded_masses_are_nodes_still():
    ratios, _ = gauss_legendre_ratios(4)
    masses = np.array([float(f"{1.00794 / y**2:.6g}") for y in ratios])
    rounded = np.sqrt(1.00794 / masses)
    assert integrated(rounded, 3700.0) == pytest.approx(integrated(ratios, 3700.0), rel=1e-5)


def run_of(ratios, energies=None, **keywords):
    energies = np.ones(len(ratios)) if energies is None else energies
    arguments = {"atoms": 1, "temperature": TEMPERATURE, **keywords}
    return integrate_over_mass(ratios, energies, **arguments)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: gauss_legendre_ratios(0), "0 runs were asked for"),
        (lambda: run_of([]), r"shape \(0,\)"),
        (lambda: run_of([0.5], [1.0, 2.0]), r"kinetic energies \(2,\)"),
        (lambda: run_of([0.0, 1.0]), "0 < y ≤ 1"),
        (lambda: run_of([0.5, 1.5]), "0 < y ≤ 1"),
        (lambda: run_of([0.5, 0.5]), "differ from each other"),
        (lambda: run_of([np.nan]), "0 < y ≤ 1"),
        (lambda: run_of([0.5], [np.inf]), r"kinetic energies are \[inf\]"),
        (lambda: run_of([0.5], atoms=0), "0 atoms"),
        (lambda: run_of([0.5], temperature=-3.0), "-3.0 K"),
        (lambda: run_of([0.5], standard_errors=[-0.1]), r"are \[-0.1\]; each run needs one"),
        (lambda: run_of([0.5], standard_errors=[0.1, 0.1]), "each run needs one"),
        (lambda: run_of([0.2, 0.8]), r"nodes of 2 runs are \[0.211325, 0.788675\]"),
        (lambda: run_of([0.2, 0.8], rule="trapezoidal"), "the largest y is 0.8"),
        (lambda: run_of([0.5], rule="simpson"), "the rule is 'simpson'"),
        (lambda: centroid_virial_kinetic_energy(np.ones((2, 4, 3)), np.ones((2, 4, 3)), 300.0), r"\(2, 4, 3\)"),
        (lambda: centroid_virial_kinetic_energy(np.ones((2, 4, 1, 3)), np.ones((2, 4, 2, 3)), 300.0), "both"),
        (lambda: centroid_virial_kinetic_energy(np.full((1, 2, 1, 3), np.nan), np.ones((1, 2, 1, 3)), 300.0), "finite"),
        (lambda: centroid_virial_kinetic_energy(np.ones((1, 2, 1, 3)), np.ones((1, 2, 1, 3)), 0.0), "0.0 K"),
    ],
)
def test_what_is_refused(call, message):
    with pytest.raises(SamplingError, match=message):
        call()
