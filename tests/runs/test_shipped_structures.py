"""The shipped structures are read alike by i-PI and by ASE, with their cells and periodic directions."""

import ase.io
import numpy as np
import pytest
from beadwise import load
from beadwise.model import Batch
from ipi.utils.io import read_file
from ipi.utils.units import unit_to_user
from places import INPUTS

STRUCTURES = sorted(path.name for path in INPUTS.glob("*.xyz"))
MODELS = {"ethanol.xyz": "ethanol", "ethene.xyz": "ethene"}


@pytest.mark.parametrize("name", STRUCTURES)
def test_ipi_and_ase_read_the_same(name):
    atoms = ase.io.read(INPUTS / name)
    with open(INPUTS / name, encoding="utf-8") as file:
        read = read_file("xyz", file)
    positions = unit_to_user("length", "angstrom", read["atoms"].q.reshape(-1, 3))
    cell = unit_to_user("length", "angstrom", read["cell"].h.T)
    np.testing.assert_allclose(positions, atoms.positions, atol=1e-6)
    np.testing.assert_allclose(cell, atoms.cell.array, atol=2e-6)  # i-PI's bohr has nine digits
    assert list(read["atoms"].names) == atoms.get_chemical_symbols()
    assert atoms.pbc.all() == (name not in ("ethanol.xyz", "ethene.xyz"))

    model = load(MODELS.get(name, "water"))
    of_ase = model.evaluate(Batch.from_ase(atoms), ["energy"]).energy
    in_ipi = atoms.copy()
    in_ipi.positions[:], in_ipi.cell[:] = positions, cell
    of_ipi = model.evaluate(Batch.from_ase(in_ipi), ["energy"]).energy
    np.testing.assert_allclose(of_ase, of_ipi, atol=1e-5 * len(atoms))
