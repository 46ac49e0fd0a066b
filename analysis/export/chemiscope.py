"""The file of chemiscope (https://chemiscope.org), which shows structures beside a map of their properties.

Its format is described at https://chemiscope.org/docs/.  Structures are written as they come; what is a number of each
structure, and the norm of what is a vector, becomes a property.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

import numpy as np
from ase.data import chemical_symbols

from ...properties.quantities import properties
from .frames import Frame, FramesOfSystem
from .units import FAMILIES, LABELS

DECIMALS = 5  # of positions in Å


def write(frames: FramesOfSystem, shown: Iterable[Frame], path: Path, compressed: bool = False) -> None:
    """Write structures and their properties.

    Parameters
    ----------
    frames : FramesOfSystem
    shown : iterable of Frame
        The same, one after the other.
    path : Path
    compressed : bool
        Whether by gzip.
    """
    symbols = [chemical_symbols[number] for number in frames.numbers]
    numbers: dict[str, list[float]] = {}
    with gzip.open(path, "wt", encoding="utf-8") if compressed else open(path, "w", encoding="utf-8") as file:
        file.write('{"meta": ' + json.dumps({"name": frames.system.run.prefix}) + ', "structures": [')
        for place, frame in enumerate(shown):
            file.write(",\n" * bool(place) + json.dumps(_structure(frame, symbols)))
            for own, value in _numbers_of(frame).items():
                numbers.setdefault(own, []).append(value)
        file.write('], "properties": ')
        _write_properties(file, numbers)
        file.write("}\n")


def _structure(frame: Frame, symbols: list[str]) -> dict[str, Any]:
    x, y, z = np.round(frame.positions, DECIMALS).T.tolist()
    cell = np.round(frame.cell, DECIMALS).ravel().tolist()
    return {"size": len(symbols), "names": symbols, "x": x, "y": y, "z": z, "cell": cell}


def _numbers_of(frame: Frame) -> dict[str, float]:
    """What is one number of a structure, by its name."""
    found = {"step": float(frame.step)}
    if frame.bead >= 0:
        found["bead"] = float(frame.bead)
    if frame.time is not None:
        found["time"] = frame.time
    for name, value in frame.values.items():
        if np.ndim(value) == 0:
            found[name] = float(value)
        elif np.shape(value) == (3,):
            found[f"norm of {name}"] = float(np.linalg.norm(value))
        elif np.shape(value) == (3, 3):
            found[f"third of the trace of {name}"] = float(np.trace(value)) / 3
    for name, value in frame.of_atoms.items():
        if value.shape[1:] == (3,):
            found[f"largest of {name}"] = float(np.linalg.norm(value, axis=1).max())
        elif value.ndim == 1:
            found[f"largest of {name}"] = float(value.max())
    return found


def _write_properties(file: IO[str], numbers: dict[str, list[float]]) -> None:
    described = {
        name: {"target": "structure", "values": values, "units": unit_of(name)} for name, values in numbers.items()
    }
    json.dump(described, file)


def unit_of(name: str) -> str:
    """Unit of a property that is exported; empty if it has none."""
    bare = name.rpartition(" of ")[2].removeprefix("mean_")
    if bare in properties():
        return str(properties()[bare].unit)
    family = {"velocities": "velocity", "time": "time"}.get(bare, FAMILIES.get(bare, ""))
    return LABELS.get(family, "")
