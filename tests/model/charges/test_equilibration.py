"""Charge equilibration against closed forms, against a twin in NumPy, and in backgrounds."""

import numpy as np
import pytest
from beadwise.model import Batch, StructureError
from beadwise.model.charges.kinds import EquilibratedCharges, TransferredCharges
from beadwise.model.electrostatics import COULOMB, Electrostatics
from scipy.special import erf

WIDTHS = np.array([0.6, 0.9])
HARDNESS = np.array([9.0, 6.0])
CHI = np.array([3.0, 5.5])


def isolated(positions):
    positions = np.asarray(positions, dtype=float)
    return Batch(np.full(len(positions), 6), positions[None], np.zeros((1, 3, 3)), np.zeros(3, dtype=bool))


def equilibrated(batch, chi, widths, hardness, total):
    sums = Electrostatics(batch.positions, batch.cells, batch.periodic, widths, accuracy=1e-14)
    own = hardness + COULOMB / (widths * np.sqrt(np.pi))
    return EquilibratedCharges(batch, np.asarray(chi, float)[None], sums, own, np.array([float(total)]))


def two_atoms(r, total):
    """Closed forms: Q_1, E, A_12 and its slope."""
    gamma = np.sqrt(2 * (WIDTHS**2).sum())
    a12 = COULOMB * erf(r / gamma) / r
    slope = COULOMB * (2 / np.sqrt(np.pi) / gamma * np.exp(-((r / gamma) ** 2)) / r - erf(r / gamma) / r**2)
    a11, a22 = HARDNESS + COULOMB / (WIDTHS * np.sqrt(np.pi))
    d = a11 + a22 - 2 * a12
    first = ((a22 - a12) * total - (CHI[0] - CHI[1])) / d
    return first, d, slope, (a11, a22, a12)


@pytest.mark.parametrize("total", [0.0, 1.0])
def test_two_atoms_have_closed_forms(total):
    r, direction = 1.7, np.array([2.0, 3.0, 6.0]) / 7
    batch = isolated([[0.3, 0.1, -0.2], np.array([0.3, 0.1, -0.2]) + r * direction])
    charges = equilibrated(batch, CHI, WIDTHS, HARDNESS, total)
    first, d, slope, (_, a22, a12) = two_atoms(r, total)
    np.testing.assert_allclose(charges.values[0], [first, total - first], atol=1e-9)
    energy = (charges.head * charges.values).sum() + 0.5 * charges.values[0] @ charges.matrix[0] @ charges.values[0]
    if total == 0:
        np.testing.assert_allclose(energy, -((CHI[0] - CHI[1]) ** 2) / (2 * d), atol=1e-9)
    np.testing.assert_allclose(charges.potential[0], CHI[1] + a12 * first + a22 * (total - first), atol=1e-9)
    # dE/dr = Q1 Q2 A12', by the theorem of Hellmann and Feynman
    found = charges.sums.energy(charges.values)
    np.testing.assert_allclose(-found.forces[0, 1] @ direction, first * (total - first) * slope, atol=1e-9)
    polarizability = charges.polarizability()[0]
    expected = r**2 / d * np.outer(direction, direction)  # along the axis alone
    np.testing.assert_allclose(polarizability, expected, atol=1e-9)
    # Z* of atom 2 along r is Q2 + r dQ2/dr, with A_ij alone depending on r
    change = ((-total) * slope * d + 2 * slope * ((a22 - a12) * total - (CHI[0] - CHI[1]))) / d**2  # dQ1/dr
    _, adjoint = charges.dipole()
    born = adjoint.gradients[0, :, 1].T  # (displacement, component)
    if total == 0:
        np.testing.assert_allclose(direction @ born @ direction, -first - r * change, atol=1e-9)
    np.testing.assert_allclose(adjoint.gradients[0].sum(axis=1).T, total * np.eye(3), atol=1e-9)


def test_chains_polarize_as_conductors_do():
    """With these three numbers the known growth comes out; of charges that are moved along bonds it is constant."""
    growth, split = [], []
    for atoms in (5, 10, 20, 40, 80):
        positions = 1.4006 * np.arange(atoms)[:, None] * [1.0, 0.0, 0.0]
        batch = isolated(positions)
        widths, hardness = np.full(atoms, 0.694), np.full(atoms, 8.556)
        charges = equilibrated(batch, np.zeros(atoms), widths, hardness, 0.0)
        growth.append(COULOMB * charges.polarizability()[0, 0, 0] / atoms)
        chi = -positions[:, 0]  # a field of 1 V/Å
        moved = TransferredCharges(batch, chi[None], np.zeros(atoms), 2.5)
        split.append(COULOMB * moved.dipole()[0][0, 0] / (atoms - 1))
    np.testing.assert_allclose(growth, [2.69, 7.57, 22.1, 68.0, 217.9], rtol=1.5e-3)
    np.testing.assert_allclose(split, split[0], rtol=1e-12)


def twin(positions, cell, chi, widths, hardness, total, kappa=0.6, reach=3, waves=9):
    """Matrix by plain loops over images and waves, charges by the bordered equations, in a periodic cell."""
    atoms, volume = len(positions), abs(np.linalg.det(cell))
    matrix = np.zeros((atoms, atoms))
    shifts = np.stack(np.meshgrid(*[np.arange(-reach, reach + 1)] * 3, indexing="ij"), -1).reshape(-1, 3) @ cell
    reciprocal = 2 * np.pi * np.linalg.inv(cell).T
    ks = np.stack(np.meshgrid(*[np.arange(-waves, waves + 1)] * 3, indexing="ij"), -1).reshape(-1, 3) @ reciprocal
    ks = ks[np.linalg.norm(ks, axis=1) > 1e-9]
    squares = (ks**2).sum(axis=1)
    for i in range(atoms):
        for j in range(atoms):
            gamma = np.sqrt(2 * (widths[i] ** 2 + widths[j] ** 2))
            r = np.linalg.norm(positions[j] - positions[i] + shifts, axis=1)
            r = r[r > 1e-9]
            matrix[i, j] += ((erf(r / gamma) - erf(kappa * r)) / r).sum()
            phases = np.cos(ks @ (positions[j] - positions[i]))
            matrix[i, j] += 4 * np.pi / volume * (np.exp(-squares / 4 / kappa**2) / squares * phases).sum()
            matrix[i, j] -= np.pi / volume * (1 / kappa**2 - gamma**2 * 1.0)
            if i == j:
                matrix[i, i] -= 2 * kappa / np.sqrt(np.pi)
    matrix = COULOMB * matrix + np.diag(hardness + COULOMB / (widths * np.sqrt(np.pi)))
    bordered = np.block([[matrix, np.ones((atoms, 1))], [np.ones((1, atoms)), np.zeros((1, 1))]])
    charges = np.linalg.solve(bordered, [*-chi, total])[:atoms]
    return matrix, charges, chi @ charges + 0.5 * charges @ matrix @ charges


@pytest.mark.parametrize("total", [0.0, 1.0])
def test_periodic_cells_by_a_twin_in_numpy(total):
    rng = np.random.default_rng(4)
    cell = np.array([[6.0, 0.0, 0.0], [0.7, 5.5, 0.0], [-0.4, 0.6, 6.2]])
    positions = np.array([[0, 0, 0], [1.6, 0.2, 0.1], [3.0, 3.1, 2.2], [0.5, 2.8, 4.1]]) + rng.normal(0, 0.1, (4, 3))
    widths, hardness, chi = rng.uniform(0.5, 0.9, 4), rng.uniform(5, 12, 4), rng.normal(0, 3, 4)
    batch = Batch(np.full(4, 6), positions[None], cell[None], np.ones(3, dtype=bool))
    charges = equilibrated(batch, chi, widths, hardness, total)
    _, expected, energy = twin(positions, cell, chi, widths, hardness, total)
    np.testing.assert_allclose(charges.values[0], expected, atol=1e-9)
    found = (charges.head * charges.values).sum() + 0.5 * charges.values[0] @ charges.matrix[0] @ charges.values[0]
    np.testing.assert_allclose(found, energy, atol=1e-8)


def test_one_ion_in_a_background_has_the_known_energy():
    """−ξ q² k_C/2L of a point; of a Gaussian of width σ the background adds 2π σ² k_C q²/L³ · 1/2 · 2 to it."""
    length, width = 30.0, 0.5
    batch = Batch(np.array([6]), np.zeros((1, 1, 3)), length * np.eye(3)[None], np.ones(3, dtype=bool))
    charges = equilibrated(batch, [0.0], np.array([width]), np.zeros(1), 1.0)
    np.testing.assert_allclose(charges.values, 1.0, atol=1e-12)
    energy = charges.sums.energy(charges.values).energy[0]
    point = -2.837297479 * COULOMB / (2 * length)
    np.testing.assert_allclose(point, -0.68093, atol=5e-6)
    np.testing.assert_allclose(energy, point + 2 * np.pi * width**2 * COULOMB / length**3, atol=1e-9)


def test_what_has_no_equilibrium_is_refused():
    batch = isolated([[0, 0, 0], [0.8, 0, 0]])
    with pytest.raises(StructureError, match="no equilibrium"):
        equilibrated(batch, CHI, np.array([2.0, 2.0]), np.array([-9.0, -9.0]), 0.0)


def test_transfers_do_not_change_with_images():
    rng = np.random.default_rng(7)
    cell = np.array([[6.0, 0.0, 0.0], [0.7, 5.5, 0.0], [-0.4, 0.6, 6.2]])
    positions, chi = rng.uniform(0, 6, (8, 3)), rng.normal(0, 0.5, (1, 8))
    wrapped = positions + rng.integers(-2, 3, (8, 3)) @ cell
    found = []
    for own in (positions, wrapped):
        batch = Batch(np.full(8, 6), own[None], cell[None], np.ones(3, dtype=bool))
        found.append(TransferredCharges(batch, chi, np.zeros(8), 2.9))
    assert abs(found[0].values).max() > 0.1
    assert abs(found[0].values.sum()) < 1e-14
    np.testing.assert_allclose(found[1].values, found[0].values, atol=1e-13)
    np.testing.assert_allclose(found[1].dipole()[0], found[0].dipole()[0], atol=1e-13)
    assert abs(found[0].values @ (positions - wrapped)).max() > 0.5  # as plain sums of charges times positions do
