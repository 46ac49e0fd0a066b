"""The harmonic crystal as control variate of the kinetic energy: by loops, of harmonic forces, of a quartic crystal."""

import numpy as np
import pytest
from ase.units import kB
from beadwise.inputs.quartic_crystal import STIFFNESS
from beadwise.sampling import SamplingError, centroid_virial_kinetic_energy, harmonic_free_energy
from beadwise.sampling.harmonic_control import HBAR, HarmonicControl, modes_of_ring
from quartic_rings import drawn, forces, kinetic_energy
from rings import MASS, TEMPERATURE

MASSES = np.array([15.999, 1.008, 1.008])


def crystal(random):
    """A Hessian with three translations, as of a crystal that floats."""
    factor = random.normal(size=(9, 9))
    keeps = np.eye(9) - np.kron(np.full((3, 3), 1 / 3), np.eye(3))
    return keeps @ factor @ factor.T @ keeps


def twin(hessian, masses, temperature, positions, forces):
    """The plain estimator less the control variate, mode after mode, by their definitions."""
    beads, thermal = len(positions), kB * temperature
    roots = np.sqrt(np.repeat(masses, 3))
    squares, modes = np.linalg.eigh(hessian / roots[:, None] / roots)
    found = centroid_virial_kinetic_energy(positions[None], forces[None], temperature)[0]
    for k in range(1, beads):
        own = 2 * beads * thermal / HBAR * np.sin(np.pi * k / beads)
        angles = 2 * np.pi * k / beads * np.arange(beads)
        row = (np.cos(angles) + np.sin(angles)) / np.sqrt(beads)
        displaced = modes.T @ (roots * np.tensordot(row, positions, 1).ravel())
        force = modes.T @ (np.tensordot(row, forces, 1).ravel() / roots)
        for i in range(len(squares)):
            slope = own**2 * displaced[i] - force[i]  # of U, by the coordinate
            field = squares[i] / (own**2 + squares[i]) * displaced[i] / (2 * beads)
            divergence = squares[i] / (own**2 + squares[i]) / (2 * beads)
            found -= field * slope - beads * thermal * divergence
    return found


@pytest.mark.parametrize("beads", [2, 5, 8])
def test_the_formula_by_loops(beads):
    random = np.random.default_rng(beads)
    hessian = crystal(random)
    positions, on_beads = random.normal(size=(2, 3, beads, 3, 3))
    control = HarmonicControl(hessian, MASSES, 250.0, beads)
    found = control.kinetic_energy + control.anharmonic_kinetic_energy(positions, on_beads)
    expected = [twin(hessian, MASSES, 250.0, *one) for one in zip(positions, on_beads, strict=True)]
    np.testing.assert_allclose(found, expected, rtol=1e-11)
    moved = control.anharmonic_kinetic_energy(positions + np.array([1.0, -2.0, 3.0]), on_beads)
    np.testing.assert_allclose(control.kinetic_energy + moved, found, rtol=1e-10)


@pytest.mark.parametrize("beads", [3, 8])
def test_a_harmonic_crystal_does_not_fluctuate(beads):
    random = np.random.default_rng(3)
    hessian = crystal(random)
    control = HarmonicControl(hessian, MASSES, 250.0, beads)
    positions = random.normal(size=(20, beads, 3, 3))
    harmonic = -(positions.reshape(20, beads, 9) @ hessian).reshape(positions.shape)
    assert np.abs(control.anharmonic_kinetic_energy(positions, harmonic)).max() < 1e-8
    assert centroid_virial_kinetic_energy(positions, harmonic, 250.0).std() > 1

    def free(masses):
        roots = np.sqrt(np.repeat(masses, 3))
        squares = np.linalg.eigvalsh(hessian / roots[:, None] / roots)[3:]
        return harmonic_free_energy(HBAR * np.sqrt(squares), 250.0, beads)

    derivative = (free(MASSES * 0.9999) - free(MASSES * 1.0001)) / 2e-4
    assert control.kinetic_energy == pytest.approx(derivative + 1.5 * kB * 250, rel=1e-6)


@pytest.mark.parametrize("ratio", [0.5, 1.0])
def test_the_quartic_crystal(ratio):
    beads, mass = 8, MASS / ratio**2
    rings = drawn(6000, beads, mass, np.random.default_rng(1))
    shape = (len(rings) // 3, beads, 1, 3)
    positions = np.moveaxis(rings.reshape(-1, 3, beads), 1, 2).reshape(shape)
    exact = 3 * kinetic_energy(beads, mass)
    control = HarmonicControl(STIFFNESS * np.eye(3), np.array([mass]), TEMPERATURE, beads)
    plain = centroid_virial_kinetic_energy(positions, forces(positions), TEMPERATURE)
    rest = control.anharmonic_kinetic_energy(positions, forces(positions))
    error, error_of_rest = (series.std() / np.sqrt(len(series)) for series in (plain, rest))
    assert abs(plain.mean() - exact) < 4 * error
    assert abs(control.kinetic_energy + rest.mean() - exact) < 4 * error_of_rest
    assert error_of_rest < 0.6 * error
    assert control.kinetic_energy == pytest.approx(3 * kinetic_energy(beads, mass, quartic=0.0), rel=1e-5)


def test_modes_of_a_ring_diagonalise_its_springs():
    for beads in (2, 5, 6):
        modes = modes_of_ring(beads)
        springs = 2 * np.eye(beads) - np.roll(np.eye(beads), 1, 0) - np.roll(np.eye(beads), -1, 0)
        np.testing.assert_allclose(modes @ modes.T, np.eye(beads), atol=1e-13)
        squares = 4 * np.sin(np.pi * np.arange(beads) / beads) ** 2
        np.testing.assert_allclose(modes @ springs @ modes.T, np.diag(squares), atol=1e-12)


def test_what_is_refused():
    hessian, masses = np.eye(3), np.ones(1)
    for arguments, text in (
        ((np.eye(6), masses, 250.0, 8), "are needed"),
        ((hessian * np.nan, masses, 250.0, 8), "not finite"),
        ((hessian, -masses, 250.0, 8), "a mass is not positive"),
        ((hessian, masses, 0.0, 8), "a temperature above 0"),
        ((hessian, masses, 250.0, 1), "two beads are needed"),
        ((hessian, masses, 250.0, 4.5), "4.5 beads; beads are a whole number, .* two beads are needed"),
        ((np.diag([1.0, 1.0, -0.1]), masses, 250.0, 8), "has none below 0"),
    ):
        with pytest.raises(SamplingError, match=text):
            HarmonicControl(*arguments)
    control = HarmonicControl(hessian, masses, 250.0, 8)
    for shape in ((2, 7, 1, 3), (2, 8, 2, 3), (8, 1, 3)):
        with pytest.raises(SamplingError, match="is needed"):
            control.anharmonic_kinetic_energy(np.zeros(shape), np.zeros(shape))
