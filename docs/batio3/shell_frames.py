"""Frames of BaTiO₃ with labels of the shell model.

    python shell_frames.py start start.xyz              # 40 atoms at ideal sites
    python shell_frames.py distorted distorted.xyz 120  # polar and strained cells, from random numbers
    python shell_frames.py visited visited.xyz RUN/npt.pos_0.extxyz …

Distorted cells have energy, forces, stress, dipole, Born charges and polarizability; those that runs visited have all
but the last two, which take longest.
"""

import sys

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import read, write
from beadwise.model import Batch
from shell_model import crystal

LATTICE = 4.0  # Å
CELL = {"Ba": [(0, 0, 0)], "Ti": [(0.5, 0.5, 0.5)], "O": [(0.5, 0.5, 0), (0.5, 0, 0.5), (0, 0.5, 0.5)]}
QUANTITIES = ["energy", "forces", "virial", "dipole"]
RESPONSES = ["polarizability", "born_charges"]


def ideal() -> Atoms:
    """2 × 2 × 2 cubic unit cells."""
    sites = [(symbol, site) for symbol, of_symbol in CELL.items() for site in of_symbol]
    symbols, scaled = zip(*sites, strict=True)
    return Atoms(symbols, scaled_positions=scaled, cell=[LATTICE] * 3, pbc=True).repeat(2)


def distorted(rng: np.random.Generator) -> Atoms:
    """A strained cell with ions moved along a polar direction, and each by random numbers."""
    atoms = ideal()
    strain = rng.normal(0, 0.01, (3, 3))
    atoms.set_cell(atoms.cell[:] @ (rng.uniform(0.985, 1.02) * np.eye(3) + (strain + strain.T) / 2), scale_atoms=True)
    direction = rng.normal(size=3)
    polar = rng.uniform(0, 0.16) * direction / np.linalg.norm(direction)
    along = np.select([atoms.symbols == "Ti", atoms.symbols == "O"], [1.0, -0.45], 0.0)
    atoms.positions += np.outer(along, polar) + rng.normal(0, rng.uniform(0.01, 0.08), (len(atoms), 3))
    return atoms


def labelled(atoms: Atoms, responses: bool) -> Atoms:
    """The frame with what the shell model says of it."""
    found = crystal.evaluate(Batch.from_ase(atoms), QUANTITIES + (RESPONSES if responses else []))
    frame = Atoms(atoms.symbols, atoms.positions, cell=atoms.cell, pbc=True)
    frame.calc = SinglePointCalculator(
        frame,
        energy=found.energy[0],
        forces=found.forces[0],
        stress=-found.virial[0] / frame.get_volume(),
        dipole=found.dipole[0],
    )
    if responses:
        frame.info["polarizability"] = found.polarizability[0].ravel()
        frame.arrays["born_effective_charges"] = found.born_charges[0].reshape(-1, 9)
    return frame


def main() -> None:
    kind, output, *rest = sys.argv[1:]
    if kind == "start":
        write(output, ideal(), format="extxyz")
        return
    if kind == "distorted":
        rng = np.random.default_rng(1)
        frames = [distorted(rng) for _ in range(int(rest[0]))]
    else:
        frames = [frame for file in rest for frame in read(file, "1:")]
    write(output, [labelled(frame, kind == "distorted") for frame in frames], format="extxyz")


if __name__ == "__main__":
    main()
