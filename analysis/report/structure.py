"""Some frames of a run for a viewer of structures, and what their atoms can be coloured by."""

from __future__ import annotations

import math
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
from ase.data import chemical_symbols

from ...reading import reason
from ...runs.input.elements import InputError
from ...runs.input.outputs import TrajectoryOutput
from ...runs.input.run_input import System
from ...runs.ipi_utilities import read_file
from ...runs.output.alarms import ModelAlarms
from ...runs.output.compressed import uncompressed
from ...runs.output.frames import FramePlaces, places_of_frames
from ...runs.units import from_atomic, lengths_from_atomic

KINDS = ("x_centroid", "positions", "forces", "f_centroid")
OF_POSITIONS, OF_FORCES = KINDS[:2], KINDS[2:]
UNCERTAINTY = "forces_uncertainty"
MOST_FRAMES = 11
MOST_ATOMS = 20_000  # of all frames together: more are no picture, and a large file


def structure_content(
    system: System, alarms: ModelAlarms | None = None, most_bytes: float = math.inf
) -> dict[str, Any] | None:
    """Frames of a system, as `beadwise.analysis.report` says; None if it writes none, or more than so many bytes.

    Raises
    ------
    InputError
        If a file cannot be read.
    """
    found = [one for one in system.trajectory_outputs if one.form == "xyz" and one.keyword in OF_POSITIONS]
    # the centroid is one file, whatever the number of beads
    for output in sorted(found, key=lambda one: (OF_POSITIONS.index(one.keyword), one.written.stride)):
        path = _path(system, output)
        if path is not None and path.stat().st_size <= most_bytes:
            return _frames(system, output, path, alarms)
    return None


def _path(system: System, output: TrajectoryOutput) -> Path | None:
    """The file of the centroid, or of the first bead that is written; None if there is none yet."""
    written = output.written
    name = written.name if output.keyword.endswith("centroid") else written.files(system.beads)[0]
    path = system.run.folder / f"{name}.xyz"
    return path if path.is_file() else None


def _frames(system: System, output: TrajectoryOutput, path: Path, alarms: ModelAlarms | None) -> dict[str, Any] | None:
    numbers = system.run.numbers
    places = _places(path, len(numbers))
    if not len(places.steps):
        return None
    count = int(max(1, min(MOST_FRAMES, len(places.steps), MOST_ATOMS // len(numbers))))
    kept = np.unique(np.linspace(len(places.steps) - 1, 0, count).round().astype(int))
    steps = places.steps[kept]
    read = [_read(path, places.places[place], len(numbers)) for place in kept]
    timestep = system.timestep
    frames = [
        {
            "step": int(step),
            "time": None if timestep is None else float(step * timestep / 1000),
            "positions": np.round(lengths_from_atomic(positions), 4).tolist(),
            "cell": np.round(lengths_from_atomic(cell.T), 5).tolist(),
        }
        for step, (positions, cell) in zip(steps, read, strict=True)
    ]
    return {
        "symbols": [chemical_symbols[number] for number in numbers],
        "frames": frames,
        "what": "centroid" if output.keyword == "x_centroid" else f"bead {output.written.written(system.beads)[0]}",
        "colours": [*_uncertainties(alarms, steps), *_forces(system, steps.tolist())],
    }


def _uncertainties(alarms: ModelAlarms | None, steps: np.ndarray) -> list[dict[str, Any]]:
    """Uncertainty of the force on each atom, worst bead, where it was written at the steps of all frames."""
    if alarms is None or UNCERTAINTY not in alarms.values:
        return []
    known = alarms.steps[UNCERTAINTY]
    if not np.isin(steps, known).all():
        return []
    values = alarms.values[UNCERTAINTY][np.searchsorted(known, steps)]
    return [{"name": "uncertainty of the force", "unit": "eV/Å", "values": np.round(values, 5).tolist()}]


def _forces(system: System, steps: list[int]) -> list[dict[str, Any]]:
    """Length of the force on each atom, where a run writes forces at the steps of all frames."""
    for output in (one for one in system.trajectory_outputs if one.form == "xyz" and one.keyword in OF_FORCES):
        path = _path(system, output)
        if path is None:
            continue
        atoms = len(system.run.numbers)
        places = _places(path, atoms)
        by_step = dict(zip(places.steps.tolist(), places.places, strict=True))
        if all(step in by_step for step in steps):
            forces = [from_atomic("forces", _read(path, by_step[step], atoms)[0]) for step in steps]
            lengths = [np.round(np.linalg.norm(own, axis=1), 4).tolist() for own in forces]
            return [{"name": "force", "unit": "eV/Å", "values": lengths}]
    return []


def _places(path: Path, atoms: int) -> FramePlaces:
    try:
        return places_of_frames(path, atoms)
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read '{path}': {reason(error)}") from error


def _read(path: Path, place: slice, atoms: int) -> tuple[np.ndarray, np.ndarray]:
    """Numbers (atoms, 3) and lattice vectors (one per column) of one frame, both in i-PI's units."""
    try:
        with open(uncompressed(path), "rb") as file:
            file.seek(place.start)
            text = file.read(place.stop - place.start).decode(errors="replace")
        frame = read_file("xyz", StringIO(f"{atoms}\n{text}"))
        return np.array(frame["atoms"].q, dtype=np.float64).reshape(atoms, 3), np.array(frame["cell"].h)
    except (OSError, ValueError, TypeError, IndexError, KeyError, EOFError, StopIteration) as error:
        raise InputError(f"'{path}' holds a frame that cannot be read: {reason(error)}") from error
