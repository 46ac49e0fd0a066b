"""More frames near those that are known, labelled by a teacher: what a fast network learns from a slow, better model.

    python docs/equivariant/more_frames.py FRAMES GUIDE TEACHER OUTPUT

From every frame atoms set out with random velocities, and move for some tens of femtoseconds on the energy of GUIDE,
which need not be good: it only says where atoms go.  Where they are then, TEACHER gives energy and forces.  Both are
any name that commands take: a model file, `GFN2-xTB`, a correction of it.  Several temperatures make several rounds;
`--time 0` labels the frames where they are, as beads of a path integral.
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import click
import numpy as np
from ase import Atoms, units
from ase.data import atomic_masses
from ase.io import write
from beadwise.learning.data import read_frames
from beadwise.model import Batch, BeadwiseError, Evaluator, Model
from beadwise.model.correction import Corrected
from beadwise.model.evaluators import load_evaluator
from rich.progress import track

TIMESTEP = 0.5  # fs
ROUNDS = (300.0, 500.0, 500.0, 500.0, 700.0, 900.0)  # K
LARGEST_STEP = 0.1  # Å, of an atom: beyond it the guide is lost, and the frame is left out


def systems(frames: list[Atoms]) -> list[list[Atoms]]:
    """Frames behind each other that have the same atoms in the same periodic directions."""

    def system(atoms: Atoms) -> tuple[bytes, bytes]:
        return atoms.numbers.tobytes(), atoms.pbc.tobytes()

    return [list(group) for _, group in itertools.groupby(frames, system)]


def moved(frames: list[Atoms], guide: Evaluator, kelvin: float, femtoseconds: float, rng) -> list[Atoms]:
    """The frames of one system after so long at constant energy (velocity Verlet), with velocities of a temperature."""
    positions = np.array([atoms.positions for atoms in frames])
    cells, masses = np.array([atoms.cell.array for atoms in frames]), atomic_masses[frames[0].numbers][:, None]
    velocities = rng.normal(size=positions.shape) * np.sqrt(units.kB * kelvin / masses)
    velocities -= np.sum(masses * velocities, axis=1, keepdims=True) / masses.sum()
    step, good = TIMESTEP * units.fs, np.ones(len(frames), dtype=bool)

    def accelerations() -> np.ndarray:
        batch = Batch(frames[0].numbers, positions, cells, frames[0].pbc)
        return guide.evaluate(batch, ("forces",)).forces / masses

    pushed = accelerations()
    for _ in range(round(femtoseconds / TIMESTEP)):
        velocities += step / 2 * pushed
        change = step * velocities
        good &= np.abs(change).max(axis=(1, 2)) < LARGEST_STEP
        positions += np.where(good[:, None, None], change, 0.0)
        pushed = accelerations()
        velocities += step / 2 * pushed
    own = zip(frames, positions, good, strict=True)
    return [Atoms(a.numbers, place, cell=a.cell, pbc=a.pbc) for a, place, is_good in own if is_good]


def without_guard(teacher: Evaluator) -> Evaluator:
    """The teacher, without the short-range guard of a correction: its baseline has a repulsion of its own.

    The guard keeps runs out of what no frame of the fit had; as a label it would be learned.
    """
    correction = getattr(teacher, "correction", None)
    if not isinstance(teacher, Corrected) or not isinstance(correction, Model):
        return teacher
    return Corrected(teacher.baseline, replace(correction, repulsion=replace(correction.repulsion, strength=0.0)))


def labelled(atoms: Atoms, teacher: Evaluator) -> Atoms:
    """The frame with the teacher's energy and forces."""
    answer = teacher.evaluate(Batch.from_ase(atoms), ("energy", "forces"))
    atoms.info["energy"] = float(answer.energy[0])
    atoms.arrays["forces"] = answer.forces[0]
    atoms.info["config_type"] = "taught"
    return atoms


@click.command(help=__doc__)
@click.argument("frames")
@click.argument("guide")
@click.argument("teacher")
@click.argument("output", type=click.Path(path_type=Path))
@click.option(
    "--temperature", "kelvin", type=float, multiple=True, default=ROUNDS, show_default=True, help="K, of a round."
)
@click.option("--time", "femtoseconds", type=float, default=40.0, show_default=True, help="Of each round, in fs.")
@click.option("--largest-force", type=float, default=20.0, show_default=True, help="Frames beyond are left out, eV/Å.")
@click.option("--isolated", is_flag=True, help="Without the cell: a molecule in the large box of a run has no images.")
@click.option("--seed", type=int, default=0, show_default=True)
def main(frames, guide, teacher, output, kelvin, femtoseconds, largest_force, isolated, seed) -> None:
    rng, found = np.random.default_rng(seed), []
    try:
        known = [frame.atoms for frame in read_frames([frames])]
        guiding, teaching = load_evaluator(guide, 1), without_guard(load_evaluator(teacher, 1))
    except BeadwiseError as error:
        raise click.ClickException(str(error)) from error
    for atoms in known if isolated else ():
        atoms.set_cell(None)
        atoms.pbc = False
    for own in kelvin if femtoseconds else (0.0,):  # where nothing moves, one round is enough
        for group in systems(known):
            found += moved(group, guiding, own, femtoseconds, rng)
    taught = [labelled(atoms, teaching) for atoms in track(found, "labels")]
    kept = [atoms for atoms in taught if np.abs(atoms.arrays["forces"]).max() < largest_force]
    write(output, [kept[place] for place in rng.permutation(len(kept))], format="extxyz")
    click.echo(f"{len(kept)} frames in {output}; left out: {len(known) * len(kelvin) - len(kept)}")


if __name__ == "__main__":
    main()
