"""What the tests of corrections to a baseline share: configurations, frames, and a baseline of their own."""

from __future__ import annotations

import numpy as np
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write
from beadwise.driver.commands.group import main
from beadwise.learning.data import frame_from_ase
from beadwise.model import Batch, Corrected, StructureError
from beadwise.model.qtip4pf import QTip4pF
from click.testing import CliRunner
from models import labelled, random_model, random_structure
from test_fit import molecules
from toy import Toy

LENNARD_JONES = "lennard-jones:epsilon=0.01,sigma=0.9,cutoff=2.8"
ENERGIES = ("energy", "forces", "virial")


class Own(Toy):
    """A baseline of the test's own that counts, and fails where it is told to."""

    def __init__(self, properties=ENERGIES, fails=None):
        super().__init__(properties)
        self.fails = fails

    def evaluate(self, batch, want):
        if self.fails is not None and np.allclose(batch.positions[0], self.fails.positions):
            raise StructureError("its electrons find no ground state")
        return super().evaluate(batch, want)


def configuration(folder, baseline, more=""):
    path = folder / "fit.toml"
    path.write_text(f"""
[data]
train = ["train.xyz"]
validation = ["valid.xyz"]
[density]
cutoff = 3.0
radial = 3
l_max = 2
[energy]
ridge = 1e-12
baseline = "{baseline}"
{more}
[repulsion]
strength = 1.0
[output]
model = "fitted.safetensors"
""")
    return path


def frames(count, first=0):
    """Labelled frames of two molecules; the labels are a random model's."""
    model = random_model(heads=["energy"])
    structures = [random_structure(seed, 2) for seed in range(first, first + count)]
    return [frame_from_ase(labelled(model, atoms), "a.xyz", place) for place, atoms in enumerate(structures)]


def write_water(path, truth, seeds):
    """Periodic water labelled with what q-TIP4P/F and a model add up to."""
    labelled_frames = []
    for seed in seeds:
        atoms = molecules(seed)
        response = Corrected(QTip4pF(), truth).evaluate(Batch.from_ase(atoms), ENERGIES)
        stress = -response.virial[0] / atoms.get_volume()
        atoms.calc = SinglePointCalculator(atoms, energy=response.energy[0], forces=response.forces[0], stress=stress)
        labelled_frames.append(atoms)
    write(path, labelled_frames, format="extxyz")


def kept_files(folder):
    return sorted(folder.glob("*/[!.]*.npz"))  # hidden ones are not finished


def invoke(*arguments):
    return CliRunner().invoke(main, list(map(str, arguments)))


def assert_one_line(result, *texts):
    assert result.exit_code == 2, result.output
    assert result.stderr.startswith("Error: ") and result.stderr.count("\n") == 1
    for text in texts:
        assert text in result.stderr
