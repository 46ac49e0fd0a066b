"""Silicon by Stillinger and Weber: its lattice energy, and its derivatives."""

import numpy as np
import pytest
from ase.build import bulk
from beadwise.inputs.stillinger_weber import silicon
from beadwise.model import Batch, StructureError

WANT = ("energy", "forces", "virial")


def answer(atoms):
    return silicon.evaluate(Batch.from_ase(atoms), WANT)


def test_the_crystal():
    """−2 ε for each atom of the diamond lattice, whose bonds are 2^(1/6) σ and whose angles cost nothing."""
    atoms = bulk("Si", "diamond", 4 / np.sqrt(3) * 2 ** (1 / 6) * 2.0951, cubic=True)
    found = answer([atoms])
    assert found.energy[0] / 8 == pytest.approx(-2 * 2.1683, rel=1e-6)
    np.testing.assert_allclose(found.forces, 0, atol=1e-10)
    np.testing.assert_allclose(found.virial, 0, atol=1e-4)
    primitive = answer([bulk("Si", "diamond", 5.4)]).energy[0] / 2
    assert primitive == pytest.approx(answer([bulk("Si", "diamond", 5.4, cubic=True)]).energy[0] / 8, rel=1e-12)


def test_derivatives_by_finite_differences():
    atoms, step = bulk("Si", "diamond", 5.3, cubic=True), 1e-5
    atoms.rattle(0.2, seed=3)
    found = answer([atoms])

    def slope(change):
        sides = []
        for sign in (1, -1):
            moved = atoms.copy()
            change(moved, sign * step)
            sides.append(answer([moved]).energy[0])
        return (sides[1] - sides[0]) / (2 * step)

    def move(one, size):
        one.positions[2, 1] += size

    def shear(one, size):
        strain = np.eye(3)
        strain[0, 1] += size / 2
        strain[1, 0] += size / 2
        one.set_cell(one.cell.array @ strain, scale_atoms=True)

    assert found.forces[0, 2, 1] == pytest.approx(slope(move), rel=1e-6)
    assert found.virial[0, 0, 1] == pytest.approx(slope(shear), rel=1e-6)
    other = bulk("Ge", "diamond", 5.6)
    with pytest.raises(StructureError, match="does not know Ge"):
        answer([other])


@pytest.mark.parametrize("directions", [0, 1, 2])
def test_slabs_wires_and_clusters_need_no_further_vectors(directions):
    """They are those of a cell that is wide where nothing repeats, wherever atoms stand in it."""
    atoms = bulk("Si", "diamond", 5.4, cubic=True)
    atoms.positions += [0.1, -3.0, 12.0]
    alone, wide = atoms.copy(), atoms.copy()
    is_open = np.arange(3) >= directions
    alone.set_cell(np.where(is_open[:, None], 0.0, atoms.cell.array))
    alone.pbc = ~is_open
    wide.set_cell(atoms.cell.array + np.diag(20.0 * is_open))
    own, other = answer([alone]), answer([wide])
    for name in ("energy", "forces", "virial"):
        np.testing.assert_allclose(own[name], other[name], atol=1e-10)


def test_atoms_at_one_place_are_refused():
    atoms = bulk("Si", "diamond", 5.4, cubic=True)
    atoms.positions[3] = atoms.positions[5] - atoms.cell[0]
    with pytest.raises(StructureError, match="two atoms are within"):
        answer([atoms])
