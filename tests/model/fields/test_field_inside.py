"""The field inside: local polarizabilities that see each other, against closed forms, a slow twin and differences."""

import numpy as np
import pytest
from beadwise.model import StructureError
from beadwise.model.electrostatics import Electrostatics
from beadwise.model.field_inside import DipoleInteraction, FieldInside, undressed
from beadwise.model.field_inside.dressing import Dressing
from beadwise.model.field_inside.interaction import sums_of
from dipole_interaction_twin import dense_interaction
from places import REPOSITORY
from scipy.spatial.transform import Rotation

WATER = REPOSITORY.parent / "shared" / "data" / "water_molecular"
RANDOM = np.random.default_rng(0)
SITES = 6
CELL = np.array([[5.0, 0.0, 0.0], [1.0, 6.0, 0.0], [0.5, -0.7, 5.5]])
POSITIONS = RANDOM.uniform(size=(SITES, 3)) @ CELL
LOCAL = np.array([0.5 * np.eye(3) + m @ m.T for m in 0.4 * RANDOM.normal(size=(SITES, 3, 3))])
DIPOLES = RANDOM.normal(size=(SITES, 3))
DAMPING = 2.0  # Å; some of the sites are nearer than that


def made(positions=POSITIONS, cell=CELL, local=LOCAL, dipoles=DIPOLES, periodic=True, **settings):
    settings = {"damping": DAMPING, "accuracy": 1e-14, "splitting": 0.5 if periodic else None, **settings}
    return FieldInside(DipoleInteraction(positions, cell, periodic, **settings), local, dipoles)


def bare(r, damping=0.0):
    """1/r³ − 3 r r/r⁵, damped as Thole does."""
    length = np.linalg.norm(r)
    w = (length / damping) ** 3 if damping else np.inf
    faded = np.exp(-w) if damping else 0.0
    further = (1 + w) * faded if damping else 0.0
    return (1 - faded) * np.eye(3) / length**3 - 3 * (1 - further) * np.outer(r, r) / length**5


@pytest.mark.parametrize(("axis", "expected"), [(0, 3.12397), (1, 2.66197)])
def test_two_points(axis, expected):
    """2α/(1 − 2α/r³) along the axis, 2α/(1 + α/r³) across it."""
    found = made([[0, 0, 0], [3.0, 0, 0]], np.eye(3), np.tile(1.4 * np.eye(3), (2, 1, 1)), None, False, damping=0.0)
    assert found.polarizability[axis, axis] == pytest.approx(expected, abs=5e-6)


@pytest.mark.parametrize("splitting", [None, 0.7, 1.2])
def test_cubic_lattices(splitting):
    """Energy −(2π/3) p²/v of equal dipoles in a conductor (−2.09440), and Clausius and Mossotti's formula."""
    interaction = DipoleInteraction(np.zeros((1, 3)), 3 * np.eye(3), accuracy=1e-14, splitting=splitting)
    np.testing.assert_allclose(27 * interaction.dense() / 2, -2.0943951023932 * np.eye(3), atol=1e-10)
    local = 1.3
    found = FieldInside(interaction, local * np.eye(3)[None]).polarizability
    dielectric = 1 + 4 * np.pi * found[0, 0] / 27
    assert (dielectric - 1) / (dielectric + 2) == pytest.approx(4 * np.pi * local / (3 * 27), rel=1e-10)


def test_against_a_sum_over_images():
    """A slow twin: spheres of whole cells, whose surface in vacuum is taken off, and which converge as 1/R."""
    positions, edge = POSITIONS[:2], 6.0
    found = DipoleInteraction(positions, edge * np.eye(3), accuracy=1e-14).dense()
    sums = {}
    for radius in (6, 12):
        grid = np.stack(np.meshgrid(*[np.arange(-radius, radius + 1)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
        grid = grid[np.square(grid).sum(axis=1) <= radius**2]
        total = np.zeros((2, 3, 2, 3))
        for i, j in np.ndindex(2, 2):
            r = positions[j] - positions[i] + edge * grid
            r = r[np.square(r).sum(axis=1) > 0]
            square = np.square(r).sum(axis=1)
            total[i, :, j] = (square**-1.5).sum() * np.eye(3) - 3 * np.einsum("n,na,nb->ab", square**-2.5, r, r)
            total[i, :, j] -= 4 * np.pi / (3 * edge**3) * np.eye(3)
        sums[radius] = total.reshape(6, 6)
    off = {radius: np.abs(own - found).max() for radius, own in sums.items()}
    assert off[12] < 2e-3 and off[12] < off[6]


@pytest.mark.parametrize("damping", [0.0, DAMPING])
def test_a_cluster_is_the_plain_sum(damping):
    matrix = np.linalg.inv(
        np.block(
            [
                [
                    np.linalg.inv(LOCAL[i]) if i == j else bare(POSITIONS[j] - POSITIONS[i], damping)
                    for j in range(SITES)
                ]
                for i in range(SITES)
            ]
        )
    ).reshape(SITES, 3, SITES, 3)
    dipoles = None
    if damping:
        found = made(periodic=False)
        dipoles = np.einsum("iajb,jbc,jc->a", matrix, np.linalg.inv(LOCAL), DIPOLES)
        np.testing.assert_allclose(found.dipole, dipoles, atol=1e-12)
        np.testing.assert_allclose(found.parts, matrix.sum(axis=2), atol=1e-12)
        np.testing.assert_allclose(found.polarizability, matrix.sum(axis=(0, 2)), atol=1e-12)
    large = made(periodic=True, cell=400 * np.eye(3), damping=damping, splitting=0.05, local=0.2 * LOCAL)
    alone = made(periodic=False, damping=damping, local=0.2 * LOCAL)
    np.testing.assert_allclose(large.polarizability, alone.polarizability, rtol=1e-6)


@pytest.mark.parametrize("splitting", [0.35, 0.7, None])
def test_nothing_depends_on_the_cut(splitting):
    first, second = made(), made(splitting=splitting)
    np.testing.assert_allclose(second.interaction.dense(), first.interaction.dense(), atol=1e-10)
    np.testing.assert_allclose(second.polarizability, first.polarizability, atol=1e-10)
    np.testing.assert_allclose(second.dipole, first.dipole, atol=1e-10)


def test_a_long_damping_does_not_depend_on_the_cut():
    """It reaches farther than the near part of Ewald's sum."""
    edge, points = 6.2, np.array(list(np.ndindex(2, 2, 2)))
    places = edge / 2 * points + 0.2 * np.random.default_rng(2).normal(size=(8, 3))
    found = [
        made(places, edge * np.eye(3), np.tile(np.eye(3), (8, 1, 1)), None, damping=4.0, splitting=splitting)
        for splitting in (0.6, 1.4)
    ]
    np.testing.assert_allclose(found[1].polarizability, found[0].polarizability, rtol=1e-8)


def test_images_supercells_and_turning():
    found = made()
    moved = POSITIONS + RANDOM.integers(-2, 3, (SITES, 3)) @ CELL + [0.3, -1.0, 2.0]
    for other in (made(moved), made(cell=np.array([[1, 0, 0], [1, 1, 0], [0, -1, 1]]) @ CELL)):
        np.testing.assert_allclose(other.polarizability, found.polarizability, atol=1e-10)
        np.testing.assert_allclose(other.dipole, found.dipole, atol=1e-10)
    double = np.diag([2, 1, 1]) @ CELL
    twice = made(
        np.concatenate([POSITIONS, POSITIONS + CELL[0]]), double, np.tile(LOCAL, (2, 1, 1)), np.tile(DIPOLES, (2, 1))
    )
    np.testing.assert_allclose(twice.polarizability, 2 * found.polarizability, atol=1e-10)
    np.testing.assert_allclose(twice.dipole, 2 * found.dipole, atol=1e-10)
    for matrix in (Rotation.random(random_state=1).as_matrix(), -np.eye(3)):
        turned = made(POSITIONS @ matrix.T, CELL @ matrix.T, matrix @ LOCAL @ matrix.T, DIPOLES @ matrix.T)
        np.testing.assert_allclose(turned.polarizability, matrix @ found.polarizability @ matrix.T, atol=1e-10)
        np.testing.assert_allclose(turned.dipole, matrix @ found.dipole, atol=1e-10)
    order = RANDOM.permutation(SITES)
    np.testing.assert_allclose(
        made(POSITIONS[order], local=LOCAL[order], dipoles=DIPOLES[order]).parts, found.parts[order], atol=1e-10
    )


def test_undressing_is_exact():
    for periodic in (True, False):
        found = made(periodic=periodic)
        np.testing.assert_allclose(undressed(found.interaction, found.parts), LOCAL, atol=1e-12)


@pytest.mark.parametrize("damping", [0.0, DAMPING])
def test_steps_give_what_the_matrix_gives(damping):
    """The compiled interaction and its solution by conjugate gradients, against a matrix in NumPy and its inverse."""
    local = (0.3 if damping else 0.03) * LOCAL
    found = made(local=local, damping=damping)
    matrix = dense_interaction(POSITIONS, CELL, damping)
    np.testing.assert_allclose(found.interaction.dense(), matrix, atol=1e-11)
    dipoles = RANDOM.normal(size=(SITES, 3, 2))
    plain = (matrix @ dipoles.reshape(-1, 2)).reshape(dipoles.shape)
    np.testing.assert_allclose(found.interaction.apply(dipoles), plain, atol=1e-11)
    for site in range(SITES):
        matrix[3 * site : 3 * site + 3, 3 * site : 3 * site + 3] += np.linalg.inv(local[site])
    right = np.concatenate(
        [np.tile(np.eye(3), (SITES, 1)), (np.linalg.inv(local) @ DIPOLES[..., None]).reshape(-1, 1)], 1
    )
    expected = np.linalg.solve(matrix, right).reshape(SITES, 3, 4)
    np.testing.assert_allclose(found.parts, expected[..., :3], atol=1e-10)
    np.testing.assert_allclose(found.all_dipoles, expected[..., 3], atol=1e-10)


@pytest.mark.parametrize("threads", [1, 3])
def test_upright_cells(threads):
    """Where the third vector stands on the others the matrix holds the waves, too; against sums over waves."""
    random = np.random.default_rng(6)
    sites, cell = 19, np.array([[7.0, 0.0, 0.0], [-1.5, 8.0, 0.0], [0.0, 0.0, 6.5]])
    positions = random.uniform(size=(sites, 3)) @ cell
    local = np.array([0.2 * np.eye(3) + m @ m.T for m in 0.2 * random.normal(size=(sites, 3, 3))])
    right = random.normal(size=(1, 3, sites, 3))
    sums = sums_of(positions[None], cell[None], True, DAMPING, 1e-14, splitting=0.5, threads=threads)
    found, rest = sums.induced(local[None], right, 1e-13)
    matrix = DipoleInteraction(positions, cell, damping=DAMPING, accuracy=1e-14, splitting=0.6).dense()
    for site, own in enumerate(local):
        matrix[3 * site : 3 * site + 3, 3 * site : 3 * site + 3] += np.linalg.inv(own)
    expected = np.linalg.solve(matrix, right.reshape(3, -1).T).T.reshape(right.shape)
    np.testing.assert_allclose(found, expected, atol=1e-10)
    np.testing.assert_allclose(rest, 0, atol=1e-10)


def test_many_sites_by_the_mesh():
    """600 sites: the mesh, and plain sums over waves, within the accuracy; the polarizability to its square."""
    random = np.random.default_rng(4)
    cell = 27.0 * np.eye(3) + random.normal(size=(3, 3))
    grid = np.stack(np.meshgrid(*[np.arange(9)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)[:600] / 9
    positions = grid @ cell + 0.3 * random.normal(size=(600, 3))
    local = 1.4 * np.eye(3) + 0.1 * random.normal(size=(1, 600, 3, 3))
    local = 0.5 * (local + np.swapaxes(local, 2, 3))
    by_mesh = sums_of(positions[None], cell[None], True, 0.0, 1e-6)
    assert max(by_mesh._cut["mesh"])
    plain = Electrostatics(positions[None], cell[None], [True] * 3, accuracy=1e-9, mesh=False)
    exact = Dressing(plain, local, 1e-9)
    loose = Dressing(by_mesh, local)
    np.testing.assert_allclose(loose.polarizability, exact.polarizability, atol=1e-5 * exact.polarizability.max())
    axes = list(np.eye(3))
    slopes = [one.by_positions(axes, axes)[0] for one in (Dressing(by_mesh, local, 1e-9), exact)]
    assert np.abs(slopes[0] - slopes[1]).max() < 1e-4 * np.abs(slopes[1]).max()


@pytest.mark.parametrize("periodic", [True, False])
def test_derivatives(periodic):
    """Of polarizability and dipole, by everything; what is solved are four columns, whatever the number of sites."""
    found = made(periodic=periodic)
    by_local, by_position, by_strain = found.polarizability_derivatives()
    of_dipole = found.dipole_derivatives()

    def slope(change, size=2e-5):
        values = [
            np.concatenate([other.polarizability.ravel(), other.dipole])
            for other in (change(step) for step in (size, -size))
        ]
        difference = (values[0] - values[1]) / (2 * size)
        return difference[:9].reshape(3, 3), difference[9:]

    def same(found_slopes, polarizability, dipole):
        assert np.abs(found_slopes[0]).max() + np.abs(found_slopes[1]).max() > 1e-2
        np.testing.assert_allclose(polarizability, found_slopes[0], atol=3e-8)
        np.testing.assert_allclose(dipole, found_slopes[1], atol=3e-8)

    def with_change(array, place, step):
        changed = array.copy()
        changed[place] += step
        return changed

    for site, axis in ((0, 0), (2, 1), (5, 2)):
        slopes = slope(lambda h, p=(site, axis): made(with_change(POSITIONS, p, h), periodic=periodic))
        same(slopes, by_position[site, axis], of_dipole[2][site, axis])
    for i, j in np.ndindex(3, 3):

        def strained(h, i=i, j=j):
            strain = np.eye(3)
            strain[i, j] += h
            return made(POSITIONS @ strain.T, CELL @ strain.T, periodic=periodic)

        same(slope(strained), by_strain[i, j], of_dipole[3][i, j])
    for site, a, b in ((3, 0, 1), (1, 2, 2)):
        both = [(site, a, b), (site, b, a)]

        def softer(h, both=both):
            return made(local=with_change(with_change(LOCAL, both[0], h / 2), both[1], h / 2), periodic=periodic)

        same(slope(softer), by_local[site, :, :, a, b], of_dipole[1][site, :, a, b])
    slopes = slope(lambda h: made(dipoles=with_change(DIPOLES, (4, 1), h), periodic=periodic))
    np.testing.assert_allclose(of_dipole[0][4, 1], slopes[1], atol=1e-8)


def test_moved_as_a_whole_nothing_changes():
    found = made()
    np.testing.assert_allclose(found.polarizability_derivatives()[1].sum(axis=0), 0.0, atol=1e-10)
    np.testing.assert_allclose(found.dipole_derivatives()[2].sum(axis=0), 0.0, atol=1e-10)


def test_what_is_refused():
    with pytest.raises(StructureError, match="site 2 has the eigenvalue -1"):
        made(local=np.where(np.arange(SITES)[:, None, None] == 2, -np.eye(3), LOCAL))
    with pytest.raises(StructureError, match="the polarizability diverges"):
        made(local=30 * LOCAL)
    with pytest.raises(StructureError, match="not finite"):
        made(local=np.nan * LOCAL)
    with pytest.raises(StructureError, match="sites 0 and 1 lie on each other"):
        made(np.zeros((2, 3)), local=LOCAL[:2], dipoles=None)
    with pytest.raises(StructureError, match="spans no volume"):
        made(cell=np.zeros((3, 3)), splitting=None)


@pytest.mark.skipif(not WATER.is_dir(), reason="the labelled water frames are not part of the repository")
def test_six_numbers_of_the_liquid_give_slabs_and_ice():
    """Local values in the axes of a molecule, undressed in the liquid, for what they have not seen."""
    local, screened = [], []
    for molecules, cell, labels in frames_of("bulk", 300):
        axes = axes_of(molecules)
        own = undressed(DipoleInteraction(molecules[:, 0], cell, accuracy=1e-7), labels)
        local.append(axes @ own @ np.swapaxes(axes, 1, 2))
        screened.append(axes @ labels @ np.swapaxes(axes, 1, 2))
    spreads = [np.sqrt(np.concatenate(one).var(axis=0).sum()) for one in (local, screened)]
    assert spreads[0] < 0.6 * spreads[1]
    mean = np.concatenate(local).mean(axis=0)
    for name, every, off in (
        ("bulk", 400, 0.01),
        ("slab", 500, 0.04),
        ("ice_Ih_slab", 300, 0.04),
        ("ice_Ic", 180, 0.04),
    ):
        found, expected = [], []
        for molecules, cell, labels in frames_of(name, every, 7):
            axes = axes_of(molecules)
            interaction = DipoleInteraction(molecules[:, 0], cell, accuracy=1e-7)
            found.append(FieldInside(interaction, np.swapaxes(axes, 1, 2) @ mean @ axes).polarizability.diagonal())
            expected.append(labels.sum(axis=0).diagonal())
        np.testing.assert_allclose(np.mean(found, axis=0), np.mean(expected, axis=0), rtol=off)


def frames_of(name, every, first=0):
    """Molecules, cell and screened polarizabilities of some frames."""
    arrays = np.load(WATER / f"{name}.npz")
    names = ("positions", "cell", "molecular_polarizability")
    positions, cells, labels = (arrays[one][first::every].astype(np.float64) for one in names)
    return zip(positions.reshape(len(positions), -1, 3, 3), cells, labels, strict=True)


def axes_of(molecules):
    """Bisector, in the plane, and across it, one per row, shape (molecules, 3, 3)."""
    arms = molecules[:, 1:] - molecules[:, :1]
    arms /= np.linalg.norm(arms, axis=2, keepdims=True)
    bisector = arms.sum(axis=1)
    bisector /= np.linalg.norm(bisector, axis=1, keepdims=True)
    across = np.cross(bisector, arms[:, 0])
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    return np.stack([bisector, np.cross(across, bisector), across], axis=1)
