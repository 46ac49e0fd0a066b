"""The compiled kernel against its NumPy twin, finite differences and the symmetries of physics."""

import numpy as np
import pytest
import twin
from beadwise.pyx.coupling import pairs
from beadwise.pyx.kernel import Kernel
from scipy.spatial.transform import Rotation

CUTOFF = 3.1
L_MAX = 4
HEADS = ((0, 1), (1, 1), (0, 1), (2, 1))  # λ and parity
CELLS = {
    "cubic": (np.eye(3) * 6.3, (True, True, True)),
    "skewed": (np.array([[5.0, 0, 0], [3.9, 4.2, 0], [-2.2, 2.0, 4.6]]), (True, True, True)),
    "small": (np.array([[2.2, 0, 0], [0.3, 2.4, 0], [0.1, -0.4, 2.1]]), (True, True, True)),
    "slab": (np.diag([5.0, 5.5, 0.0]), (True, True, False)),
    "slab in y": (np.array([[5.0, 0.4, 0], [0, 0, 0], [1.0, 0, 5.5]]), (True, False, True)),
    "wire": (np.array([[0.0, 0, 0], [0, 0, 0], [1.0, 0.5, 3.9]]), (False, False, True)),
    "molecule": (np.zeros((3, 3)), (False, False, False)),
}


class Setup:
    """A random model and the calls that its tests need."""

    def __init__(self, seed=0, kinds=2, radial=8, l_max=L_MAX, cutoff=CUTOFF, skin=0.4, heads=HEADS):
        rng = np.random.default_rng(seed)
        self.kinds, self.l_max, self.cutoff, self.channels = kinds, l_max, cutoff, kinds * radial
        self.table = twin.random_table(rng, kinds, 300, radial, cutoff)
        self.pair_table = np.ascontiguousarray(twin.random_table(rng, kinds, 300, 4, cutoff)[..., 0])
        self.pair_table = (self.pair_table + np.swapaxes(self.pair_table, 0, 1)) / 2
        self.pair_cutoff = np.full((kinds, kinds), cutoff)
        self.heads = [
            twin.random_head(rng, order, kinds, self.channels, pairs(order, l_max, parity), parity=parity)
            for order, parity in heads
        ]
        self.kernel = Kernel(
            self.table,
            self.pair_table,
            self.pair_cutoff,
            l_max,
            cutoff,
            skin,
            np.arange(kinds, dtype=np.int32),
            self.heads,
        )
        self.outputs = sum(2 * head[0] + 1 for head in self.heads)

    def evaluate(
        self, species, positions, cell, periodic, combinations=None, threads=1, closest=0.0, kernel=None,
        want_head=None, part=0, parts=1,
    ):  # fmt: skip
        positions = np.ascontiguousarray(positions.reshape(-1, len(species), 3))
        beads, atoms = positions.shape[:2]
        cells = np.ascontiguousarray(np.broadcast_to(cell, (beads, 3, 3)), dtype=float)
        if combinations is None:
            combinations = np.eye(self.outputs)
        combinations = np.ascontiguousarray(np.broadcast_to(combinations, (beads, *np.shape(combinations)[-2:])))
        channels = combinations.shape[1]
        self.values = np.zeros((beads, atoms, self.outputs))
        self.gradients = np.zeros((beads, channels, atoms, 3))
        self.strains = np.zeros((beads, channels, 3, 3))
        self.density = np.zeros((beads, atoms, (self.l_max + 1) ** 2, self.channels))
        self.overlap = (kernel or self.kernel).evaluate(
            species, positions, cells, periodic, want_head or [True] * len(self.heads), combinations, self.values,
            self.gradients, self.strains, closest, threads, self.density, part, parts,
        )  # fmt: skip
        return self

    def totals(self, *arguments):
        return self.evaluate(*arguments).values.sum(axis=1)[0].copy()


def structure(name, atoms=7, seed=1, kinds=2):
    """Random atoms that keep a distance, some of them outside the cell."""
    rng = np.random.default_rng(seed)
    cell, periodic = CELLS[name]
    if name == "small":
        atoms = 2
    box = np.where(np.array(periodic)[:, None], cell, np.eye(3) * 4.0)
    for _ in range(10000):
        positions = rng.uniform(size=(atoms, 3)) @ box
        vectors = twin.neighbour_vectors(positions, cell, periodic, 0.9)
        if not vectors:
            break
    shifts = rng.integers(-2, 3, size=(atoms, 3)) * np.array(periodic)
    return (
        np.arange(atoms, dtype=np.int32) % kinds,
        positions + shifts @ np.where(np.isfinite(cell), cell, 0),
        cell,
        periodic,
    )


@pytest.mark.parametrize("name", CELLS)
def test_density_and_heads_agree_with_their_twins(name):
    setup = Setup()
    species, positions, cell, periodic = structure(name)
    setup.evaluate(species, positions, cell, periodic)
    expected = twin.density(species, positions, cell, periodic, setup.table, CUTOFF, L_MAX)
    np.testing.assert_allclose(setup.density[0], expected, rtol=1e-12, atol=1e-12)
    values = np.concatenate([twin.head_values(head, species, expected) for head in setup.heads], axis=1)
    for i, j, vector in twin.neighbour_vectors(positions, cell, periodic, CUTOFF):
        distance = np.linalg.norm(vector)
        values[i, 0] += 0.5 * twin.hermite(setup.pair_table[species[i], species[j]], CUTOFF, distance)[0]
    np.testing.assert_allclose(setup.values[0], values, rtol=1e-12, atol=1e-11)


@pytest.mark.parametrize("radial", [4, 8, 12, 16])
@pytest.mark.parametrize("l_max", range(2, 7))
def test_every_compiled_size_agrees_with_the_twin(radial, l_max):
    setup = Setup(radial=radial, l_max=l_max)
    species, positions, cell, periodic = structure("skewed", atoms=4)
    setup.evaluate(species, positions, cell, periodic)
    expected = twin.density(species, positions, cell, periodic, setup.table, CUTOFF, l_max)
    np.testing.assert_allclose(setup.density[0], expected, rtol=1e-12, atol=1e-12)
    direction = np.random.default_rng(0).normal(size=positions.shape)
    analytic = np.einsum("cax,ax->c", setup.gradients[0], direction)
    step = 1e-5
    ahead = setup.totals(species, positions + step * direction, cell, periodic)
    behind = setup.totals(species, positions - step * direction, cell, periodic)
    np.testing.assert_allclose(analytic, (ahead - behind) / (2 * step), rtol=1e-6, atol=1e-6 * np.abs(analytic).max())


@pytest.mark.parametrize("name", CELLS)
def test_gradients_agree_with_finite_differences(name):
    setup = Setup()
    species, positions, cell, periodic = structure(name)
    gradients = setup.evaluate(species, positions, cell, periodic).gradients[0].copy()
    step = 1e-5
    numerical = np.zeros_like(gradients)
    for atom, axis in np.ndindex(*positions.shape):
        moved = [positions.copy(), positions.copy()]
        moved[0][atom, axis] += step
        moved[1][atom, axis] -= step
        ahead, behind = (setup.totals(species, place, cell, periodic) for place in moved)
        numerical[:, atom, axis] = (ahead - behind) / (2 * step)
    scale = np.abs(gradients).max()
    np.testing.assert_allclose(gradients, numerical, atol=2e-7 * scale)


@pytest.mark.parametrize("name", CELLS)
def test_strain_derivatives_agree_with_finite_differences(name):
    setup = Setup()
    species, positions, cell, periodic = structure(name)
    strains = setup.evaluate(species, positions, cell, periodic).strains[0].copy()
    step = 1e-5
    numerical = np.zeros_like(strains)
    for a, b in np.ndindex(3, 3):
        totals = []
        for sign in (1, -1):
            deformation = np.eye(3)
            deformation[b, a] += sign * step
            totals.append(setup.totals(species, positions @ deformation, cell @ deformation, periodic))
        numerical[:, a, b] = (totals[0] - totals[1]) / (2 * step)
    np.testing.assert_allclose(strains, numerical, atol=2e-7 * np.abs(strains).max())


def wigner(order, rotation):
    """D with Y(R r̂) = D Y(r̂), found by least squares over directions."""
    from beadwise.pyx.coupling import real_harmonics

    points = np.random.default_rng(0).normal(size=(60, 3))
    points /= np.linalg.norm(points, axis=1)[:, None]
    block = slice(order**2, (order + 1) ** 2)
    before, after = (real_harmonics(p, order)[:, block] for p in (points, points @ rotation.T))
    return np.linalg.lstsq(before, after, rcond=None)[0].T


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("handedness", [1, -1])
def test_heads_rotate_and_invert(name, handedness):
    setup = Setup()
    species, positions, cell, periodic = structure(name)
    before = setup.evaluate(species, positions, cell, periodic).values[0].copy()
    rotation = handedness * Rotation.random(random_state=3).as_matrix()
    after = setup.evaluate(species, positions @ rotation.T, cell @ rotation.T, periodic).values[0]
    first = 0
    for order, *_ in setup.heads:
        block = slice(first, first + 2 * order + 1)
        expected = before[:, block] @ wigner(order, rotation).T
        np.testing.assert_allclose(after[:, block], expected, atol=1e-10 * np.abs(before[:, block]).max())
        first += 2 * order + 1


@pytest.mark.parametrize("name", CELLS)
def test_translation_permutation_and_image_change_nothing(name):
    setup = Setup()
    species, positions, cell, periodic = structure(name)
    rng = np.random.default_rng(5)
    reference = setup.evaluate(species, positions, cell, periodic)
    values, gradients = reference.values[0].copy(), reference.gradients[0].copy()
    order = rng.permutation(len(species))
    shift = rng.integers(-3, 4, size=(len(species), 3)) * np.array(periodic)
    for s, p, places in [
        (species, positions + rng.normal(size=3), slice(None)),
        (species, positions + shift @ cell, slice(None)),
        (species[order], positions[order], order),
    ]:
        setup.evaluate(s, p, cell, periodic)
        np.testing.assert_allclose(setup.values[0], values[places], atol=1e-10 * np.abs(values).max())
        np.testing.assert_allclose(setup.gradients[0], gradients[:, places], atol=1e-10 * np.abs(gradients).max())


def test_another_lattice_basis_of_the_same_crystal_changes_nothing():
    setup = Setup()
    species, positions, cell, periodic = structure("skewed")
    values = setup.evaluate(species, positions, cell, periodic).values[0].copy()
    other = np.array([[1, 0, 0], [-1, 1, 0], [1, -2, 1]]) @ cell
    np.testing.assert_allclose(
        setup.evaluate(species, positions, other, periodic).values[0], values, atol=1e-10 * np.abs(values).max()
    )


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_beads_and_threads_give_what_single_beads_give(threads):
    setup = Setup()
    species, positions, cell, periodic = structure("cubic")
    beads = positions + 0.05 * np.random.default_rng(2).normal(size=(5, *positions.shape))
    single = [setup.evaluate(species, bead, cell, periodic).gradients[0].copy() for bead in beads]
    together = setup.evaluate(species, beads, cell, periodic, threads=threads).gradients
    np.testing.assert_allclose(together, np.array(single), rtol=1e-12, atol=1e-10)


def test_neighbour_lists_with_a_skin_never_miss_a_neighbour():
    rng = np.random.default_rng(7)
    setup, fresh = Setup(skin=0.5), Setup(skin=0.0)
    species, positions, cell, periodic = structure("skewed")
    for _ in range(60):
        positions = positions + 0.03 * rng.normal(size=positions.shape)
        cell = cell + 0.004 * rng.normal(size=(3, 3))
        kept = setup.evaluate(species, positions, cell, periodic).density.copy()
        np.testing.assert_allclose(kept, fresh.evaluate(species, positions, cell, periodic).density, atol=1e-12)
    assert setup.kernel.neighbour_lists_built < 40
    assert fresh.kernel.neighbour_lists_built == 60


def test_overlapping_atoms_are_reported():
    setup = Setup()
    species, positions, cell, periodic = structure("cubic")
    positions[3] = positions[5] + [0.0, 0.1, 0.2] + cell[1]
    bead, first, second, distance = setup.evaluate(species, positions, cell, periodic, closest=0.3).overlap
    assert (bead, {first, second}) == (0, {3, 5})
    assert distance == pytest.approx(np.hypot(0.1, 0.2))
