"""Electrostatics: derivatives by differences, what nothing may depend on, the mesh beside Ewald's sum."""

import numpy as np
import pytest
from beadwise.model.electrostatics import COULOMB, Electrostatics
from beadwise.model.electrostatics.cuts import smooth_number
from scipy.spatial.transform import Rotation

RANDOM = np.random.default_rng(5)
SITES = 6
CELL = np.array([[5.0, 0.0, 0.0], [1.0, 6.0, 0.0], [0.5, -0.7, 5.5]])
POSITIONS = RANDOM.uniform(size=(SITES, 3)) @ CELL
CHARGES, DIPOLES = RANDOM.normal(size=SITES), RANDOM.normal(size=(SITES, 3))
WIDTHS = RANDOM.uniform(0.3, 0.8, SITES)
DIRECTIONS = [(True, True, True), (False, True, True), (False, False, False)]


def made(positions=POSITIONS, cell=CELL, periodic=DIRECTIONS[0], coarse=False, **settings):
    settings = {"widths": WIDTHS, "accuracy": 1e-14, **settings}
    sums = Electrostatics(positions[None], cell[None], periodic, **settings)
    if coarse:
        sums._cut |= {"mesh": (9, 10, 8), "order": 6}
    return sums


def slope(function, size=1e-3):
    """Of fourth order."""
    near, far = (function(step) - function(-step) for step in (size, 2 * size))
    return (8 * near - far) / (12 * size)


def with_change(array, place, step):
    changed = array.copy()
    changed[place] += step
    return changed


@pytest.mark.parametrize("settings", [{}, {"coarse": True, "splitting": 0.7}])
@pytest.mark.parametrize("periodic", DIRECTIONS)
@pytest.mark.parametrize("with_dipoles", [True, False])
def test_derivatives(periodic, with_dipoles, settings):
    """Forces, virials of a triclinic cell, ∂E/∂q and ∂E/∂p; of a mesh they are those of its own energy."""
    if settings and not any(periodic):
        return
    moments = (CHARGES[None], DIPOLES[None] if with_dipoles else None)
    found = made(periodic=periodic, **settings).energy(*moments)

    def energy(positions=POSITIONS, cell=CELL, charges=CHARGES, dipoles=DIPOLES):
        sums = made(positions, cell, periodic, **settings)
        return sums.energy(charges[None], dipoles[None] if with_dipoles else None).energy[0]

    for place in ((0, 0), (2, 1), (5, 2)):
        if not settings:
            assert found.by_dipole[0][place] == pytest.approx(
                made(periodic=periodic)
                .potentials(*(m if m is None else m[:, None] for m in moments))
                .gradient[0, 0][place]
            )
        moved = slope(lambda h, p=place: energy(positions=with_change(POSITIONS, p, h)))
        assert found.forces[0][place] == pytest.approx(-moved, abs=2e-7)
        by_charge = slope(lambda h, i=place[0]: energy(charges=with_change(CHARGES, i, h)))
        assert found.by_charge[0, place[0]] == pytest.approx(by_charge, abs=1e-8)
        if with_dipoles:
            by_dipole = slope(lambda h, p=place: energy(dipoles=with_change(DIPOLES, p, h)))
            assert found.by_dipole[0][place] == pytest.approx(by_dipole, abs=1e-8)
    if periodic == DIRECTIONS[1] and settings:
        return  # what a slab does not depend on, its vacuum, is there in a coarse mesh
    for a, b in np.ndindex(3, 3):

        def strained(h, a=a, b=b):
            strain = with_change(np.eye(3), (a, b), h)
            return energy(POSITIONS @ strain.T, CELL @ strain.T)

        assert found.virial[0, a, b] == pytest.approx(-slope(strained, 5e-4), abs=1e-7)


def test_virial_of_bare_charges_is_their_energy():
    """1/r: Σ_a ∂E/∂ε_aa = −E."""
    found = made(widths=None).energy((CHARGES - CHARGES.mean())[None])
    assert np.trace(found.virial[0]) == pytest.approx(found.energy[0], rel=1e-10)


@pytest.mark.parametrize("with_charges", [True, False])
def test_second_derivatives_of_the_potential(with_charges):
    """∇∇φ at a site is the slope of ∇φ there; only the site's own moments are left out of it."""
    charges = (CHARGES - CHARGES.mean()) if with_charges else np.zeros(SITES)
    charges, dipoles = charges.copy(), DIPOLES.copy()
    charges[1], dipoles[1] = 0.0, 0.0  # a probe

    def gradient(h, axis):
        sums = made(with_change(POSITIONS, (1, axis), h))
        return sums.potentials(charges[None, None], dipoles[None, None]).gradient[0, 0, 1]

    found = made().potentials(charges[None, None], dipoles[None, None], second=True).second[0, 0, 1]
    for axis in range(3):
        np.testing.assert_allclose(found[:, axis], slope(lambda h, a=axis: gradient(h, a)), atol=1e-8)
    volume = abs(np.linalg.det(CELL))
    background = 4 * np.pi * charges.sum() / volume
    assert np.trace(made(widths=None).potentials(charges[None, None], dipoles[None, None], True).second[0, 0, 1]) == (
        pytest.approx(COULOMB * background, abs=1e-8)
    )


@pytest.mark.parametrize("periodic", DIRECTIONS[:2])
def test_nothing_depends_on_cut_wrapping_supercell_or_turning(periodic):
    first = made(periodic=periodic).energy(CHARGES[None], DIPOLES[None])
    steps = RANDOM.integers(-2, 3, (SITES, 3)) * np.array(periodic)
    for other in (
        made(periodic=periodic, splitting=0.5),
        made(periodic=periodic, splitting=1.1),
        made(POSITIONS + steps @ CELL + [0.3, -1.0, 2.0], periodic=periodic),
    ):
        found = other.energy(CHARGES[None], DIPOLES[None])
        for name in ("energy", "by_charge", "by_dipole", "forces", "virial"):
            if name in ("energy", "forces") or periodic[0]:
                scale = np.abs(getattr(first, name)).max()
                np.testing.assert_allclose(getattr(found, name), getattr(first, name), atol=1e-10 * scale)
    double = made(
        np.concatenate([POSITIONS, POSITIONS + CELL[1]]), np.diag([1, 2, 1]) @ CELL, periodic, widths=np.tile(WIDTHS, 2)
    )
    neutral = CHARGES - CHARGES.mean()
    twice = double.energy(np.tile(neutral, 2)[None], np.tile(DIPOLES, (2, 1))[None])
    once = made(periodic=periodic).energy(neutral[None], DIPOLES[None])
    assert twice.energy[0] == pytest.approx(2 * once.energy[0], rel=1e-10)
    np.testing.assert_allclose(twice.forces[0, :SITES], once.forces[0], atol=1e-10 * np.abs(once.forces).max())
    for matrix in (Rotation.random(random_state=1).as_matrix(), -np.eye(3)):
        turned = made(POSITIONS @ matrix.T, CELL @ matrix.T, periodic).energy(CHARGES[None], (DIPOLES @ matrix.T)[None])
        assert turned.energy[0] == pytest.approx(first.energy[0], rel=1e-10)
        np.testing.assert_allclose(turned.forces, first.forces @ matrix.T, atol=1e-9)


def test_moved_as_a_whole_no_force():
    assert np.abs(made().energy(CHARGES[None], DIPOLES[None]).forces.sum(axis=1)).max() < 1e-10


@pytest.mark.parametrize("accuracy", [1e-4, 1e-6, 1e-9])
def test_the_mesh_is_as_exact_as_it_says(accuracy):
    random = np.random.default_rng(1)
    cell = np.diag([14.0, 15.0, 16.0]) + random.normal(size=(3, 3))
    positions = random.uniform(size=(1, 150, 3)) @ cell
    charges = random.normal(size=(1, 1, 150))
    charges -= charges.mean()
    dipoles = random.normal(size=(1, 1, 150, 3))
    columns = np.concatenate([charges, charges[:, :, ::-1]], axis=1), np.concatenate([dipoles, -dipoles], axis=1)
    exact = Electrostatics(positions, cell[None], [True] * 3, accuracy=1e-13)
    for splitting in (None, 0.6):
        mesh = Electrostatics(positions, cell[None], [True] * 3, accuracy=accuracy, mesh=True, splitting=splitting)
        for one, other in zip(
            exact.couplings(*columns, [(0, 1), (0, 0)]), mesh.couplings(*columns, [(0, 1), (0, 0)]), strict=True
        ):
            assert np.sqrt(np.square(one - other).mean() / np.square(one).mean()) < 30 * accuracy
        one, other = (sums.potentials(*columns).values for sums in (exact, mesh))
        for part in (slice(0, 1), slice(1, 4)):
            error = np.sqrt(np.square((one - other)[..., part]).mean() / np.square(one[..., part]).mean())
            assert error < 2 * accuracy


@pytest.mark.parametrize("settings", [{}, {"mesh": True, "accuracy": 1e-6}])
def test_threads_and_beads_give_the_same_bits(settings):
    random = np.random.default_rng(2)
    cells = 9 * np.eye(3) + random.normal(size=(3, 3, 3))
    positions, charges = random.uniform(size=(3, 70, 3)) @ cells, random.normal(size=(3, 70))
    settings = {"accuracy": 1e-8, "splitting": 0.5, **settings}
    together = Electrostatics(positions, cells, [True] * 3, **settings).energy(charges)
    for bead in range(3):
        alone = Electrostatics(positions[bead : bead + 1], cells[bead : bead + 1], [True] * 3, threads=3, **settings)
        if not settings.get("mesh"):
            found = alone.energy(charges[bead : bead + 1])
            for name in ("energy", "by_charge", "forces", "virial"):
                np.testing.assert_array_equal(getattr(found, name)[0], getattr(together, name)[bead])
    many = Electrostatics(positions, cells, [True] * 3, threads=5, **settings).energy(charges)
    np.testing.assert_array_equal(many.forces, together.forces)


def test_adjoints():
    """A number made of potentials and fields: its derivatives are potentials and couplings of its own derivatives."""
    random = np.random.default_rng(7)
    c, d = random.normal(size=(1, SITES)), random.normal(size=(1, SITES, 3))

    def number(positions=POSITIONS, cell=CELL, charges=CHARGES):
        found = made(positions, cell).potentials(charges[None, None], DIPOLES[None, None])
        return (c * found.potential[:, 0]).sum() + (d * found.gradient[:, 0]).sum()

    charges, dipoles = np.stack([c, CHARGES[None]], axis=1), np.stack([d, DIPOLES[None]], axis=1)
    values, gradients, strains = made().couplings(charges, dipoles, [(0, 1)])
    assert values[0, 0] == pytest.approx(number(), rel=1e-12)
    assert gradients[0, 0, 3, 1] == pytest.approx(slope(lambda h: number(with_change(POSITIONS, (3, 1), h))), abs=1e-7)
    strain = np.eye(3) + 0.0
    assert strains[0, 0, 0, 2] == pytest.approx(
        slope(
            lambda h: number(POSITIONS @ with_change(strain, (0, 2), h).T, CELL @ with_change(strain, (0, 2), h).T),
            5e-4,
        ),
        abs=1e-7,
    )
    by_charge = made().potentials(c[None], d[None]).potential[0, 0, 4]
    assert by_charge == pytest.approx(slope(lambda h: number(charges=with_change(CHARGES, 4, h))), abs=1e-9)


def test_matrix():
    for periodic in DIRECTIONS:
        sums = made(periodic=periodic)
        matrix = sums.matrix()[0]
        assert 0.5 * CHARGES @ matrix @ CHARGES == pytest.approx(sums.energy(CHARGES[None]).energy[0], rel=1e-10)


def test_sides_of_meshes():
    assert [smooth_number(n) for n in (1, 7, 11, 31, 49, 130)] == [2, 8, 12, 32, 50, 144]
