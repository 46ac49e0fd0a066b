"""Nuclei that are averaged together: those that bonds do not tell apart, and names that are refused."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from beadwise.analysis.averages.groups import equivalent_nuclei, groups_of
from beadwise.errors import BeadwiseError


def test_equivalent_nuclei_of_ethanol():
    atoms = molecule("CH3CH2OH")
    classes = equivalent_nuclei(atoms.get_chemical_symbols(), atoms)
    sizes = sorted(np.bincount(classes).tolist())
    assert sizes == [1, 1, 1, 1, 2, 3]
    names = [group.name for group in groups_of(atoms.get_chemical_symbols(), atoms, {})]
    assert len(names) == len(set(names)) and "H" in names
    crystal = Atoms("Si2", scaled_positions=[[0, 0, 0], [0.25] * 3], cell=5.43 / 2 * (1 - np.eye(3)), pbc=True)
    assert len(set(equivalent_nuclei(["Si", "Si"], crystal))) == 1


@pytest.mark.parametrize("name", ["H", "H atom 2", "H like atom 1", "H atom 1, xx", "shift of H"])
def test_names_that_other_rows_have_are_refused(name):
    water = molecule("H2O")
    with pytest.raises(BeadwiseError, match="is no name for a group"):
        groups_of(["O", "H", "H"], water, {name: (0, 1)})
    assert groups_of(["O", "H", "H"], water, {"both": (1, 2)})[0].name == "both"
