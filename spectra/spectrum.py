"""What a spectrum is: columns over wavenumber with standard errors, which are drawn, and what is said beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..whole_files import write_table
from .bands import Band
from .conditions import Conditions
from .estimates import FEWEST_UNITS, Estimate
from .model_error import ModelError
from .units import SPEED_OF_LIGHT
from .window import Window

PRELIMINARY = "preliminary"  # the note that says why a spectrum is to be looked at as one that may still change
NO_BAND = "no error band yet"


@dataclass(frozen=True)
class Column:
    """One quantity at every wavenumber.

    Parameters
    ----------
    values, standard_error : ndarray of float64, shape (frequencies,)
        Errors are not a number where they are not known.
    unit : str
    model : ModelError or None
        What the members of committees say; None where there are none.
    """

    values: np.ndarray
    standard_error: np.ndarray
    unit: str
    model: ModelError | None = None

    @property
    def has_band(self) -> bool:
        """Whether any of its errors is known."""
        return bool(np.isfinite(self.standard_error).any())


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
    bands : tuple of Band
        Of the column that stands for it, as far as they are told from noise.
    """

    kind: str
    title: str
    wavenumber: np.ndarray
    columns: Mapping[str, Column]
    notes: Mapping[str, str] = field(default_factory=dict)
    bands: tuple[Band, ...] = ()

    def __getitem__(self, name: str) -> Column:
        return self.columns[name]

    @property
    def has_members(self) -> bool:
        """Whether it holds model errors."""
        return any(column.model is not None for column in self.columns.values())

    @property
    def preliminary(self) -> str:
        """Why it is preliminary, in a few words for a title; nothing if it is not.

        It is while it has no error band, or one from fewer than 8 independent parts of the data, and until as much is
        recorded as was planned, see `so_far`. The reason is the note ``preliminary``, also in the table that `write`
        makes, so that whoever reads the file knows it as well.
        """
        return self.notes.get(PRELIMINARY, "")

    def so_far(self, recorded: float, planned: float) -> Spectrum:
        """The same, as the spectrum of a run of which this much is recorded.

        Parameters
        ----------
        recorded, planned : float
            In ps.

        Returns
        -------
        Spectrum
            Preliminary if less is recorded than was planned.
        """
        if recorded >= planned:
            return self
        reasons = [self.preliminary, f"{recorded:.3g} of {planned:.3g} ps"]
        return replace(self, notes={**self.notes, PRELIMINARY: ", ".join(filter(None, reasons))})

    def as_dict(self) -> dict[str, Any]:
        """All numbers for programs, in the units that are named beside them."""
        return {
            "kind": self.kind,
            "title": self.title,
            "notes": dict(self.notes),
            "wavenumber": self.wavenumber,
            "columns": dict(self.columns),
            "bands": self.bands,
        }

    def write(self, path: Path) -> None:
        """Write comma-separated values; the notes come first, each in a line that begins with ``#``.

        Behind each column stand its standard error and, where there are members, its model error with the noise in it;
        where there are members of both properties and potentials, what each of them alone would give.

        The file is replaced at once, so that a reader never sees half of it.
        """
        table = {"wavenumber (cm^-1)": self.wavenumber}
        for name, column in self.columns.items():
            table[_header(name, column)] = column.values
            table[f"{name} standard error"] = column.standard_error
            if (model := column.model) is not None:
                table |= {f"{name} model error": model.total, f"{name} noise floor": model.noise_floor}
                for kind, members in model.parts.items():
                    table[f"{name} model error of {kind}"] = members.error
                    table[f"{name} noise floor of {kind}"] = members.noise_floor
        self._write_table(path, table)

    def write_members(self, path: Path) -> None:
        """Write the spectrum of every member as comma-separated values, with the notes before them.

        Members of the properties are numbered in the order in which the model sends them, and so are those of the
        potentials.
        """
        table = {"wavenumber (cm^-1)": self.wavenumber}
        for name, column in self.columns.items():
            if column.model is not None:
                for kind, members in (("property", column.model.properties), ("potential", column.model.potentials)):
                    for number, values in enumerate(members.spectra):
                        table[f"{_header(name, column)} {kind} {number}"] = values
        self._write_table(path, table)

    def _write_table(self, path: Path, table: Mapping[str, np.ndarray]) -> None:
        rows = [[f"{value:.7g}" for value in row] for row in np.stack([*table.values()], axis=1)]
        said = [self.title, *(f"{name}: {note}" for name, note in self.notes.items())]
        write_table(path, said, [list(table), *rows])


@dataclass(frozen=True)
class Panel:
    """One picture of a spectrum.

    Parameters
    ----------
    label : str
        Of the vertical axis.
    columns : dict of str to str
        Columns that are drawn, and their names in the legend.
    follows : bool
        Whether it follows from other panels, so that it is left out where several spectra are compared.
    """

    label: str
    columns: dict[str, str]
    follows: bool = False


PANELS = {
    "ir": [Panel("n(ω) α(ω) / cm⁻¹", {"n_alpha": ""})],
    "raman": [
        Panel("reduced Raman / Å⁶ fs", {"parallel": "parallel (VV)", "perpendicular": "perpendicular (VH)"}),
        Panel("reduced Raman / Å⁶ fs", {"isotropic": "isotropic", "anisotropic": "anisotropic"}, follows=True),
    ],
    "sfg": [
        Panel("Im χ$_{ssp}$ / 10⁻²² m² V⁻¹", {"near_imaginary": "with near neighbours", "self_imaginary": "self"}),
        Panel("|χ$_{ssp}$|² / 10⁻⁴⁴ m⁴ V⁻²", {"near_squared": "with near neighbours", "self_squared": "self"}),
    ],
    "dos": [Panel("density of states / cm", {"total": "total"})],
}


def panels_of(spectrum: Spectrum) -> list[Panel]:
    """The pictures of one spectrum."""
    if spectrum.kind != "dos":
        return PANELS[spectrum.kind]
    return [Panel("density of states / cm", {name: name for name in spectrum.columns})]


def _header(name: str, column: Column) -> str:
    return f"{name} ({column.unit})" if column.unit else name


def notes_of(conditions: Conditions, window: Window, estimate: Estimate) -> dict[str, str]:
    """What is said beside every spectrum."""
    time = estimate.pairs[:, 0].sum() * conditions.timestep / 1000
    length = estimate.block_length * conditions.timestep / 1000
    resolved = 1 / (2 * SPEED_OF_LIGHT * conditions.timestep)
    notes = {
        "dynamics": conditions.label,
        "estimator": "mean over beads, then correlated" if conditions.beads > 1 else "classical",
        "data": f"{time:.6g} ps, a sample every {conditions.timestep:g} fs, which resolves up to {resolved:.0f} cm⁻¹",
        "window": str(window),
        "standard errors": _note_of_errors(estimate, length, window),
    }
    reason = _too_few(estimate)
    return notes | ({PRELIMINARY: reason} if reason else {})


def _too_few(estimate: Estimate) -> str:
    """Why there are too few independent parts for an error band to be trusted; nothing if there are enough."""
    if not estimate.has_errors:
        return NO_BAND
    return f"error band of {estimate.units} {estimate.unit} only" if estimate.units < FEWEST_UNITS else ""


def _note_of_errors(estimate: Estimate, length: float, window: Window) -> str:
    """Where standard errors come from, units having a length in ps; without any, how long a series would have them."""
    if not estimate.has_errors:
        # blocks are joined until they are twice as long as the window, if that leaves enough of them
        enough = 2 * FEWEST_UNITS * window.length / 1000
        units = estimate.unit.removesuffix("s") if estimate.units == 1 else estimate.unit
        return (
            f"none, as the data are {estimate.units} {units} of {length:.4g} ps; a series of {enough:.3g} ps, "
            f"{FEWEST_UNITS} blocks of twice the window, would have them, or a shorter window"
        )
    caveat = "" if estimate.units >= FEWEST_UNITS else f"; fewer than {FEWEST_UNITS}, so that they are uncertain"
    return f"jackknife over {estimate.units} {estimate.unit} of {length:.4g} ps{caveat}"
