"""Structures for a reference that is computed elsewhere, written to extended xyz, and its energies read from there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms
from ase.geometry import find_mic

from ...model import Batch, BeadwiseError
from ...model.kept_answers import Labelled, beads_of_batch
from ...runs.output.extended_xyz import complete_frames
from ...whole_files import whole_file

SAME_PLACE = 1e-3  # Å; programs write positions with fewer digits than they read


class ReferenceFrames:
    """Reference energies in an extended xyz file: all beads of the first sample, then those of the next.

    Parameters
    ----------
    path : Path
        Every frame has ``energy`` in eV.  Atoms may be folded into the cell.
    """

    def __init__(self, path: Path):
        self.name = str(path)
        self._path = path

    def energies(self, structures: Iterable[Labelled], workers: int | None = None) -> Iterator[np.ndarray]:
        """Energies of the beads of each batch in eV, shape (beads,).

        Parameters
        ----------
        structures : iterable of (str, Batch)
        workers : int, optional
            Of no use here.

        Raises
        ------
        BeadwiseError
            If a frame is missing, is another structure, or has no energy.
        SeriesError
            If the file cannot be read.
        """
        frames = complete_frames(self._path)
        number = 0
        for label, batch in structures:
            energies = []
            for bead in beads_of_batch(batch):
                frame = next(frames, None)
                where = f"frame {number} of '{self._path}'"
                if frame is None:
                    raise BeadwiseError(
                        f"'{self._path}' has {number} frames, and none for {label}; it needs one for every bead of "
                        "every sample, as --structures writes them"
                    )
                _check_same(frame, bead, f"{where} is not {label}, which comes at this place")
                energies.append(_energy(frame, where))
                number += 1
            yield np.array(energies)
        if next(frames, None) is not None:
            raise BeadwiseError(
                f"'{self._path}' has more than the {number} frames that belong to the samples; give the same --samples "
                "and --skip as when its structures were written"
            )


def write_structures(path: Path, structures: Iterable[Labelled]) -> int:
    """Write all beads of the first sample, then those of the next, and say how many frames there are.

    Parameters
    ----------
    path : Path
        Extended xyz; what it holds is lost.
    structures : iterable of (str, Batch)
        What the comment line calls a structure, and its beads.

    Raises
    ------
    BeadwiseError
        If the file cannot be written.
    """
    frames = 0
    try:
        with whole_file(path) as unfinished, open(unfinished, "w", encoding="utf-8") as file:
            for label, batch in structures:
                for bead in range(batch.beads):
                    atoms = Atoms(
                        batch.numbers, batch.positions[bead], cell=batch.cells[bead], pbc=batch.periodic,
                        info={"sample": label, "bead": bead},
                    )  # fmt: skip
                    ase.io.write(file, atoms, format="extxyz")
                    frames += 1
    except OSError as error:
        raise BeadwiseError(f"cannot write '{path}': {error.strerror}") from error
    return frames


def _energy(frame: Atoms, where: str) -> float:
    results = {} if frame.calc is None else frame.calc.results
    energy = results.get("energy", frame.info.get("energy"))
    if energy is None or not np.isfinite(energy):
        raise BeadwiseError(f"{where} has the energy {energy}; a finite number in eV is needed")
    return float(energy)


def _check_same(frame: Atoms, bead: Batch, problem: str) -> None:
    """Refuse a frame that is another structure than a bead."""
    if not np.array_equal(frame.numbers, bead.numbers):
        wanted = Atoms(bead.numbers).symbols
        raise BeadwiseError(f"{problem}: its atoms are {frame.symbols}; needed are {wanted}, in this order")
    vectors = frame.positions - bead.positions[0]
    # a cell that is not told, or an isolated molecule's, leaves positions as they are
    _, distances = find_mic(vectors, bead.cells[0], pbc=bool(abs(np.linalg.det(bead.cells[0])) > 0))
    if distances.max() > SAME_PLACE:
        atom = int(distances.argmax())
        raise BeadwiseError(
            f"{problem}: atom {atom} is {distances[atom]:.3g} Å away; at most {SAME_PLACE:g} Å are allowed"
        )
