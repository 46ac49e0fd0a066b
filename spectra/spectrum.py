"""What a spectrum is: columns over wavenumber with standard errors, and what must be said beside them."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from .conditions import Conditions
from .estimates import FEWEST_UNITS, Estimate
from .units import SPEED_OF_LIGHT
from .window import Window


@dataclass(frozen=True)
class Column:
    """One quantity at every wavenumber.

    Parameters
    ----------
    values, standard_error : ndarray of float64, shape (frequencies,)
        Errors are not a number where they are not known.
    unit : str
    """

    values: np.ndarray
    standard_error: np.ndarray
    unit: str


@dataclass(frozen=True)
class Spectrum:
    """A spectrum.

    Parameters
    ----------
    kind : str
        ``ir``, ``raman``, ``sfg`` or ``dos``.
    title : str
        Its name in words.
    wavenumber : ndarray of float64, shape (frequencies,)
        In cm⁻¹.
    columns : mapping of str to Column
    notes : mapping of str to str
        Dynamics, window, number of blocks, checks: they stand before the columns in a file.
    """

    kind: str
    title: str
    wavenumber: np.ndarray
    columns: Mapping[str, Column]
    notes: Mapping[str, str] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Column:
        return self.columns[name]

    def write(self, path: Path) -> None:
        """Write comma-separated values; the notes come first, each in a line that begins with ``#``.

        The file is replaced at once, so that a reader never sees half of it.
        """
        temporary = path.with_name(f".{path.name}")
        with open(temporary, "w", newline="", encoding="utf-8") as file:
            file.write(f"# {self.title}\n")
            file.writelines(f"# {name}: {note}\n" for name, note in self.notes.items())
            writer = csv.writer(file)
            header = ["wavenumber (cm^-1)"]
            arrays = [self.wavenumber]
            for name, column in self.columns.items():
                unit = f" ({column.unit})" if column.unit else ""
                header += [f"{name}{unit}", f"{name} standard error"]
                arrays += [column.values, column.standard_error]
            writer.writerow(header)
            writer.writerows([[f"{value:.7g}" for value in row] for row in np.stack(arrays, axis=1)])
        os.replace(temporary, path)


def notes_of(conditions: Conditions, window: Window, estimate: Estimate) -> dict[str, str]:
    """What is said beside every spectrum."""
    time = estimate.pairs[:, 0].sum() * conditions.timestep / 1000
    length = estimate.block_length * conditions.timestep / 1000
    resolved = 1 / (2 * SPEED_OF_LIGHT * conditions.timestep)
    caveat = "" if estimate.units >= FEWEST_UNITS else f"; fewer than {FEWEST_UNITS}, so that they are uncertain"
    return {
        "dynamics": conditions.label,
        "estimator": "mean over beads, then correlated" if conditions.beads > 1 else "classical",
        "data": f"{time:.6g} ps, a sample every {conditions.timestep:g} fs, which resolves up to {resolved:.0f} cm^-1",
        "window": str(window),
        "standard errors": f"jackknife over {estimate.units} {estimate.unit} of {length:.4g} ps{caveat}",
    }
