"""Positions of all beads that a run of i-PI wrote, sample by sample: finished, going on, killed, or continued.

A killed i-PI may leave half a frame, and the RESTART may lie steps before the last one; the run that continues appends
to the files. Where frames go back in step the later ones count, half a frame never does, and a sample is what all
beads have.
"""

from __future__ import annotations

import mmap
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from io import StringIO
from pathlib import Path
from typing import BinaryIO

import numpy as np
from ipi.utils.io import read_file

from ..input.atoms import species_of_run
from ..input.dynamics import Ensemble, ensemble_of
from ..input.elements import InputError, beads_of, integer_attribute, parse, systems_of, timestep_of
from ..input.force_components import weight_of
from ..input.outputs import KEYWORD, ExtrasOutput, output_name
from ..units import lengths_from_atomic

# without "#" inside, or half a comment that a killed i-PI left would swallow the one appended to it
COMMENT = re.compile(rb"#[^#\n]*\bStep: +(?P<step>\d+)[^#\n]*\n")
OF_BEADS, OF_CENTROID = "positions", "x_centroid"  # of a single bead they are the same


@dataclass(frozen=True)
class BeadTrajectory:
    """Where the positions of all beads of a run are, and what the run was told.

    Parameters
    ----------
    source : Path
        i-PI input or RESTART.
    files : tuple of Path
        i-PI's xyz, one for each bead.
    numbers : ndarray of int32, shape (atoms,)
        Atomic numbers.
    ensemble : Ensemble
    timestep : float or None
        In fs; None if the run is no dynamics.
    is_biased : bool
        Whether a bias acts, so that samples have weights.
    """

    source: Path
    files: tuple[Path, ...]
    numbers: np.ndarray
    ensemble: Ensemble
    timestep: float | None
    is_biased: bool

    @property
    def temperature(self) -> float:
        """In K."""
        return self.ensemble.temperature

    @property
    def beads(self) -> int:
        """Number of beads."""
        return len(self.files)

    @cached_property
    def frames(self) -> dict[int, tuple[slice, ...]]:
        """Where in the files the frame of each bead is, by the step of the sample, increasing.

        Raises
        ------
        InputError
            If a file cannot be read.
        """
        by_bead = [_frames_of(path, len(self.numbers)) for path in self.files]
        common = sorted(set(by_bead[0]).intersection(*by_bead[1:]))
        return {step: tuple(frames[step] for frames in by_bead) for step in common}

    @property
    def steps(self) -> list[int]:
        """Steps that have a whole frame of every bead, increasing."""
        return list(self.frames)


def find_bead_trajectory(source: Path) -> BeadTrajectory:
    """Read from an i-PI input or RESTART where it writes the positions of all beads.

    Parameters
    ----------
    source : Path
        i-PI input or RESTART; its outputs are in the same folder.

    Raises
    ------
    InputError
        If it is no i-PI input, has several systems, does not write the positions of all beads as xyz, or does not
        sample usual path integrals at one temperature.
    StructureError
        If the file with its atoms cannot be read.
    """
    root = parse(source)
    systems = list(systems_of(root))
    if len(systems) != 1:
        raise InputError(f"'{source}' has {len(systems)} systems; a run of one is needed")
    system = systems[0]
    dynamics = next(system.iter("dynamics"), None)
    timestep = None
    if dynamics is not None:
        timestep = timestep_of(dynamics, source)
    return BeadTrajectory(
        source=source,
        files=_files(root, system, source),
        numbers=species_of_run(source, source.parent),
        ensemble=ensemble_of(root, system, source),
        timestep=timestep,
        is_biased=any(weight_of(force) != 0 for force in system.iterfind("ensemble/bias/force")),
    )


def read_bead_trajectory(
    run: BeadTrajectory | Path, steps: Sequence[int] | None = None
) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Samples of a run, one after the other.

    Parameters
    ----------
    run : BeadTrajectory or Path
        A Path is an i-PI input or RESTART.
    steps : sequence of int, optional
        Which samples, out of `BeadTrajectory.steps`; by default all.

    Returns
    -------
    iterator of (step, positions, cell)
        The step; positions in Å, ndarray of float64, shape (beads, atoms, 3), as i-PI wrote them; lattice vectors in
        Å, one per row, ndarray of float64, shape (3, 3).

    Raises
    ------
    InputError
        If a file cannot be read, lacks a step, or holds a frame of other atoms.
    """
    run = find_bead_trajectory(run) if isinstance(run, Path) else run
    with ExitStack() as stack:
        files = [stack.enter_context(_opened(path)) for path in run.files]
        for step in run.steps if steps is None else steps:
            if step not in run.frames:
                raise InputError(f"'{run.files[0]}' has no sample of step {step}")
            places = run.frames[step]
            frames = [_read_frame(file, place, run) for file, place in zip(files, places, strict=True)]
            yield step, np.array([positions for positions, _ in frames]), frames[0][1]


def _files(root: ElementTree.Element, system: ElementTree.Element, source: Path) -> tuple[Path, ...]:
    """The xyz files of the positions of all beads; of several outputs those that are written most often."""
    beads = beads_of(system)
    found: list[tuple[int, tuple[Path, ...]]] = []
    for element in root.iterfind("output/trajectory"):
        keyword = KEYWORD.match(element.text or "")
        form = element.get("format", "xyz").strip()
        stride = integer_attribute(element, "stride", 1, least=1)
        output = ExtrasOutput(
            output_name(root, element.get("filename", "traj"), system),
            (),
            stride,
            integer_attribute(element, "bead", -1),
        )
        if keyword is None or form != "xyz":
            continue
        if keyword[1] == OF_BEADS and output.holds_all(beads):
            files = tuple(source.parent / f"{name}.xyz" for name in output.files(beads))
            found.append((stride, files))
        if keyword[1] == OF_CENTROID and beads == 1:
            found.append((stride, (source.parent / f"{output.name}.xyz",)))
    if not found:
        raise InputError(
            f"'{source}' does not write the positions of all its beads as xyz; add to its <output> "
            "<trajectory filename='pos' stride='20' format='xyz' cell_units='angstrom'> positions{angstrom} "
            "</trajectory>, without the attribute bead"
        )
    return min(found, key=lambda one: one[0])[1]


def _opened(path: Path) -> BinaryIO:
    """The file, open for reading."""
    try:
        return open(path, "rb")
    except OSError as error:
        raise InputError(f"cannot read '{path}': {error.strerror}") from error


def _frames_of(path: Path, atoms: int) -> dict[int, slice]:
    """Place in the file of each frame that counts, without the line with the number of atoms, by its step."""
    with _opened(path) as file:
        if not path.stat().st_size:
            return {}
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
            comments = list(COMMENT.finditer(text))
            starts = [(int(comment["step"]), comment.start(), comment.end()) for comment in comments]
            del comments  # they hold on to the map
            ends = [*(start for _, start, _ in starts[1:]), len(text)]
            places: dict[int, slice] = {}
            for number, ((step, start, body), end) in enumerate(zip(starts, ends, strict=True)):
                while places and next(reversed(places)) >= step:  # superseded
                    places.popitem()
                # before the next comment stands the line with its number of atoms
                lines = atoms + (number + 1 < len(starts))
                if text[body:end].count(b"\n") >= lines:
                    places[step] = slice(start, end)
    return places


def _read_frame(file: BinaryIO, place: slice, run: BeadTrajectory) -> tuple[np.ndarray, np.ndarray]:
    """Positions and lattice vectors of one frame in Å, by i-PI's own reader, which knows its units."""
    file.seek(place.start)
    text = file.read(place.stop - place.start).decode(errors="replace")
    atoms = len(run.numbers)
    try:
        frame = read_file("xyz", StringIO(f"{atoms}\n{text}"))
    except (ValueError, IndexError, KeyError, EOFError, StopIteration) as error:
        raise InputError(f"'{file.name}' holds a frame that cannot be read: {error}") from error
    positions = np.array(frame["atoms"].q, dtype=np.float64).reshape(atoms, 3)
    return lengths_from_atomic(positions), lengths_from_atomic(np.array(frame["cell"].h, dtype=np.float64)).T
