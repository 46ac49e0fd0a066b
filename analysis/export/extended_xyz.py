"""Extended xyz as ASE reads it, with all digits: frame after frame."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TextIO

import numpy as np
from ase.data import atomic_masses, chemical_symbols

from ...properties.quantities import properties
from ...runs.ipi_utilities import unit_to_internal
from ...runs.units import PERIODIC
from .frames import Frame, FramesOfSystem

DIGITS = 14  # significant ones, more than any file of i-PI has


def write(frames: FramesOfSystem, shown: Iterable[Frame], path: Path) -> None:
    """Write structures.

    Parameters
    ----------
    frames : FramesOfSystem
    shown : iterable of Frame
        The same, one after the other.
    path : Path
    """
    symbols = [chemical_symbols[number] for number in frames.numbers]
    masses = own_masses(frames)
    with open(path, "w", encoding="utf-8") as file:
        for frame in shown:
            _write_frame(file, frame, symbols, masses)


def own_masses(frames: FramesOfSystem) -> np.ndarray | None:
    """Masses in u, where one is another than that of its element; shape (atoms,)."""
    masses = frames.system.atoms.masses / float(unit_to_internal("mass", "dalton", 1.0))
    usual = atomic_masses[frames.numbers]
    return None if np.allclose(masses, usual, rtol=1e-3) else masses


def name_for_ase(name: str) -> str:
    """What ASE calls a property."""
    one = properties().get(name)
    return name if one is None else one.ase or name


def _write_frame(file: TextIO, frame: Frame, symbols: list[str], masses: np.ndarray | None) -> None:
    columns = {"pos": frame.positions}
    columns |= {name_for_ase(name): values.reshape(len(symbols), -1) for name, values in frame.of_atoms.items()}
    if masses is not None:
        columns["masses"] = masses[:, None]
    table = np.hstack(list(columns.values()))
    described = ":".join(f"{name}:R:{values.shape[1]}" for name, values in columns.items())
    words = [f'Lattice="{_numbers(frame.cell)}"', f"Properties=species:S:1:{described}"]
    words.append(f'pbc="{" ".join("T" if one else "F" for one in PERIODIC)}" step={frame.step}')
    words += [] if frame.bead < 0 else [f"bead={frame.bead}"]
    words += [] if frame.time is None else [f"time_fs={_numbers(np.array(frame.time))}"]
    words += [f"{name_for_ase(name)}={_entry(value)}" for name, value in frame.values.items()]
    file.write(f"{len(symbols)}\n{' '.join(words)}\n")
    form = " ".join([f"%.{DIGITS}g"] * table.shape[1])
    file.writelines(f"{symbol} {form % tuple(row)}\n" for symbol, row in zip(symbols, table.tolist(), strict=True))


def _entry(value: np.ndarray) -> str:
    """A value of the comment line: numbers of one sample in a row, several samples as ASE's JSON."""
    value = np.asarray(value)
    if value.ndim == 0:
        return _numbers(value)
    if value.ndim == 1 or value.shape == (3, 3):
        return f'"{_numbers(value)}"'
    rows = value.reshape(len(value), -1).tolist()
    return '"_JSON [' + ", ".join("[" + ", ".join(f"{one:.{DIGITS}g}" for one in row) + "]" for row in rows) + ']"'


def _numbers(values: np.ndarray) -> str:
    return " ".join(f"{one:.{DIGITS}g}" for one in np.ravel(values).tolist())
