"""Structures and references of the tests about labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import bulk, molecule

SPRINGS = '''
import os, signal, time
from pathlib import Path
import numpy as np
from ase.calculators.calculator import Calculator, all_changes

class Springs(Calculator):
    """Springs to the origin that write down what they were asked; far from there the first atom is bad."""

    implemented_properties = ["energy", "forces", "dipole"]

    def __init__(self, log="", stiffness=0.01, pause=0.0):
        super().__init__()
        self.log, self.stiffness, self.pause = Path(log), stiffness, pause

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        positions = self.atoms.positions
        with open(self.log, "a") as file:
            file.write(f"{os.getpid()} {positions.sum():.9f}\\n")
        time.sleep(self.pause)
        if (self.log.parent / "broken").exists():
            raise RuntimeError("broken")
        if positions[0, 0] == 100.0:
            raise ValueError("the electrons went home\\nand left no note")
        if positions[0, 0] == 300.0:
            os.kill(os.getpid(), signal.SIGKILL)
        energy = 0.5 * self.stiffness * (positions**2).sum() if positions[0, 0] != 200.0 else np.nan
        self.results = {"energy": energy, "forces": -self.stiffness * positions, "dipole": positions.sum(axis=0)}

class OnlyEnergy(Calculator):
    implemented_properties = ["energy"]
'''


def water() -> Atoms:
    """Two water molecules in a periodic cell."""
    first, second = molecule("H2O"), molecule("H2O")
    second.translate([3.1, 0.4, 0.2])
    both = first + second
    both.set_cell([[9.0, 0, 0], [0.6, 8.5, 0], [0.1, 0.2, 9.2]])
    both.pbc = True
    return both


def argon() -> Atoms:
    """Eight atoms of a noble gas in a periodic cell that has no right angles."""
    atoms = bulk("Ar", "fcc", 4.2) * 2
    return atoms


def shaken(atoms: Atoms, count: int, seed: int = 0) -> list[Atoms]:
    """Copies, displaced at random."""
    random = np.random.default_rng(seed)
    copies = [atoms.copy() for _ in range(count)]
    for copy in copies:
        copy.positions += random.normal(scale=0.03, size=copy.positions.shape)
    return copies


def label_files(folder: Path) -> list[Path]:
    """Files that keep labels; none that is not whole may be there."""
    files = [path for path in folder.iterdir() if not path.name.endswith(".failed.txt")]
    assert all(path.suffix == ".xyz" and not path.name.startswith(".") for path in files)
    return files
