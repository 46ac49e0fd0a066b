"""Electrostatics against numbers that are known: lattices, charges in backgrounds, other routes to the same sum."""

import numpy as np
import pytest
from beadwise.model import StructureError
from beadwise.model.electrostatics import COULOMB, Electrostatics
from coulomb_sums import plain_energy, reciprocal_energy, slab_energy

FACES = np.array([[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]])
HALF, QUARTER = np.full(3, 0.5), np.full(3, 0.25)
# fractional places, charges, and −E in units of k_C/a per cell: Madelung's constants of pairs or formulas at r_nn
LATTICES = {
    "NaCl": (np.concatenate([FACES, FACES + HALF]), [1] * 4 + [-1] * 4, 4 * 1.747564594633 / 0.5),
    "CsCl": (np.array([[0, 0, 0], HALF]), [1, -1], 1.762674773071 / np.sqrt(0.75)),
    "ZnS": (np.concatenate([FACES, FACES + QUARTER]), [1] * 4 + [-1] * 4, 4 * 1.638055053389 / np.sqrt(3 / 16)),
    "CaF2": (
        np.concatenate([FACES, FACES + QUARTER, FACES + 3 * QUARTER]),
        [2] * 4 + [-1] * 8,
        4 * 5.038784880 / np.sqrt(3 / 16),
    ),
    "perovskite": (
        np.array([[0, 0, 0], HALF, [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]),
        [2, 4, -2, -2, -2],
        49.509872113,
    ),
}
BACKGROUNDS = {
    "simple": (np.zeros((1, 3)), 2.837297479),
    "body": (np.array([[0, 0, 0], HALF]), 3.639233450),
    "face": (FACES, 4.584862074),
}
RANDOM = np.random.default_rng(3)
CELL = np.array([[5.0, 0.0, 0.0], [1.0, 6.0, 0.0], [0.5, -0.7, 5.5]])
POSITIONS = RANDOM.uniform(size=(6, 3)) @ CELL
CHARGES, DIPOLES = RANDOM.normal(size=6), RANDOM.normal(size=(6, 3))
WIDTHS = RANDOM.uniform(0.6, 0.9, 6)


def energy_of(places, charges, edge, **settings):
    sums = Electrostatics(edge * places[None], edge * np.eye(3)[None], [True] * 3, **settings)
    return sums.energy(np.array([charges], dtype=float)).energy[0]


@pytest.mark.parametrize(
    ("name", "mesh", "precision"), [(name, mesh, 1e-5 if mesh else 1e-9) for name in LATTICES for mesh in (0, 1)]
)
def test_lattices_of_ions(name, mesh, precision):
    """Madelung's constants: 1e-9 by Ewald's sum, 1e-5 by the mesh with its accuracy of 1e-6."""
    places, charges, expected = LATTICES[name]
    found = energy_of(places, charges, 4.0, accuracy=1e-6 if mesh else 1e-14, mesh=bool(mesh))
    assert -found * 4.0 / COULOMB == pytest.approx(expected, rel=precision)


@pytest.mark.parametrize("name", BACKGROUNDS)
def test_charges_in_a_background(name):
    places, expected = BACKGROUNDS[name]
    for settings in ({"splitting": 0.5}, {"splitting": 1.0}, {"widths": np.full(len(places), 0.2)}):
        sums = Electrostatics(3 * places[None], 3 * np.eye(3)[None], [True] * 3, accuracy=1e-14, **settings)
        found = sums.energy(np.ones((1, len(places)))).energy[0]
        widened = 0.0
        if "widths" in settings:  # less than a point is each in the background: Q Σ q σ² 2π/V
            widened = 2 * np.pi / 27 * len(places) ** 2 * 0.2**2
        # E = −ξ q²/2L for each charge, L the edge of the cubic cell
        assert found / COULOMB - widened == pytest.approx(-expected * len(places) / 6, rel=1e-9)


def test_a_charge_in_a_box_of_30():
    assert energy_of(np.zeros((1, 3)), [1.0], 30.0) == pytest.approx(-0.68093, abs=5e-6)


def test_gaussians_by_waves_alone():
    """Charges that do not add up to zero, and dipoles, of unlike widths."""
    expected = reciprocal_energy(POSITIONS, CELL, CHARGES, DIPOLES, WIDTHS)
    for splitting in (None, 0.5, 0.9):
        sums = Electrostatics(POSITIONS[None], CELL[None], [True] * 3, WIDTHS, accuracy=1e-15, splitting=splitting)
        found = sums.energy(CHARGES[None], DIPOLES[None]).energy[0]
        assert found / COULOMB == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize("widths", [np.zeros(6), WIDTHS])
def test_molecules_are_the_plain_sum(widths):
    found = Electrostatics(POSITIONS[None], CELL[None], [False] * 3, widths).energy(CHARGES[None])
    assert found.energy[0] / COULOMB == pytest.approx(plain_energy(POSITIONS, CHARGES, widths), abs=1e-12)
    alone = Electrostatics(POSITIONS[None], 300 * np.eye(3)[None], [True] * 3, widths, splitting=0.03)
    neutral = CHARGES - CHARGES.mean()
    assert alone.energy(neutral[None]).energy[0] / COULOMB == pytest.approx(
        plain_energy(POSITIONS, neutral, widths), abs=1e-5
    )


@pytest.mark.parametrize("total", [0.0, 1.5])
def test_slabs_are_the_exact_sum_in_two_directions(total):
    charges = CHARGES - CHARGES.mean() + total / 6
    cell = np.array([[5.0, 0.4, 0.0], [1.0, 6.0, 0.0], [0.0, 0.0, 1.0]])
    expected = slab_energy(POSITIONS, cell, charges, 0.6)
    for settings in ({}, {"splitting": 0.5}, {"mesh": True, "accuracy": 1e-10}):
        sums = Electrostatics(POSITIONS[None], cell[None], [True, True, False], **{"accuracy": 1e-13, **settings})
        found = sums.energy(charges[None]).energy[0]
        assert found / COULOMB == pytest.approx(expected, rel=1e-10 if "mesh" not in settings else 1e-8)


def test_two_sites_that_see_each_other():
    """Polarizable points: 2α/(1 − 2α/r³) and 2α/(1 + α/r³) of 1.4 Å³ at 3 Å."""
    sums = Electrostatics(np.array([[[0, 0, 0], [3.0, 0, 0]]]), np.eye(3)[None], [False] * 3)
    right = np.broadcast_to(np.eye(3)[None, :, None], (1, 3, 2, 3))
    found = sums.induced(np.tile(1.4 * np.eye(3), (1, 2, 1, 1)), right)[0].sum(axis=2)[0]
    np.testing.assert_allclose(np.diag(found), [3.12397, 2.66197, 2.66197], atol=5e-6)


@pytest.mark.parametrize("columns", [3, 4])
@pytest.mark.parametrize("periodic", [True, False])
def test_a_divergence_that_no_uniform_field_excites_is_refused(periodic, columns):
    """Two sites that are soft across their line: 1/a − 1/r³ of opposite dipoles is negative, 1/a + 1/r³ is not."""
    sums = Electrostatics(np.array([[[0, 0, 0], [2.0, 0, 0]]]), 40 * np.eye(3)[None], [periodic] * 3)
    right = np.broadcast_to(np.eye(4, 3)[None, :, None] + [0, 0, 0.1], (1, 4, 2, 3))[:, :columns]
    for across, diverges in ((7.9, False), (8.1, True)):
        local = np.tile(np.diag([0.1, across, 0.1]), (1, 2, 1, 1))
        if diverges:
            with pytest.raises(StructureError, match="the polarizability diverges"):
                sums.induced(local, right)
        else:
            found = sums.induced(local, right)[0]
            assert found.shape == right.shape
            assert found[0, 1, 0, 1] == pytest.approx(1 / (1 / across + 1 / 8), rel=1e-3)


def test_what_is_refused():
    def made(periodic=(True,) * 3, positions=POSITIONS, **settings):
        return Electrostatics(positions[None], CELL[None], periodic, **settings).energy(CHARGES[None])

    for message, settings in (
        ("three, two or none", {"periodic": (True, False, False)}),
        ("accuracy is 0; allowed are", {"accuracy": 0.0}),
        ("splitting is -1", {"splitting": -1.0}),
        ("damping is -1", {"damping": -1.0}),
        ("widths go from -1", {"widths": np.full(6, -1.0)}),
        ("damping is 1 Å, and charges", {"damping": 1.0}),
        ("sites 0 and 1 lie on each other", {"positions": np.zeros((6, 3))}),
    ):
        with pytest.raises(StructureError, match=message):
            made(**settings)
    with pytest.raises(StructureError, match="spans no volume"):
        Electrostatics(POSITIONS[None], np.ones((1, 3, 3)), [True] * 3)
    with pytest.raises(StructureError, match="span no plane"):
        Electrostatics(POSITIONS[None], np.ones((1, 3, 3)), [True, True, False])
    for positions, message in ((np.nan * POSITIONS, "positions has numbers"), (POSITIONS[:4], "charges has shape")):
        with pytest.raises(StructureError, match=message):
            made(positions=positions)
