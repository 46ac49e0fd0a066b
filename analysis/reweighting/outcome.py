"""What ``beadwise reweight`` found: numbers and curves, each with two errors, as table, CSV and JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.table import Table

from ...json_text import plain
from ...sampling import CommitteeAverage, SamplingError, UncertainDifference, UncertainProfile
from ...whole_files import write_table
from ..results import warned

HEADER = ("unit", "mean", "sampling error", "model error", "noise floor", "effective samples", "spread of h")
MOST_DECIMALS = 9


@dataclass(frozen=True)
class Line:
    """One number with its errors.

    Parameters
    ----------
    name, unit : str
    mean, sampling_error, model_error, noise_floor : float
        In the unit.
    members : tuple of float
        What each member of the potentials says, mean over the members of a property.
    effective_samples : float
        Of the member with fewest.
    spread : float
        Largest standard deviation of h_i over members.
    samples : int
    details : tuple of (str, float)
        Other numbers, by their name.
    """

    name: str
    unit: str
    mean: float
    sampling_error: float
    model_error: float
    noise_floor: float
    members: tuple[float, ...]
    effective_samples: float
    spread: float
    samples: int
    details: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class Curve:
    """A function with its errors.

    Parameters
    ----------
    axis, name : str
        What stands along the two axes, with units.
    coordinate, values, sampling_error, model_error, noise_floor : ndarray of float64, shape (points,)
    members : ndarray of float64, shape (members, points)
    """

    axis: str
    name: str
    coordinate: np.ndarray
    values: np.ndarray
    sampling_error: np.ndarray
    model_error: np.ndarray
    noise_floor: np.ndarray
    members: np.ndarray


@dataclass(frozen=True)
class Outcome:
    """All that was found.

    Parameters
    ----------
    title : str
        Data and method in one line.
    lines : tuple of Line
    curve : Curve or None
    notes, warnings : tuple of str
    """

    title: str
    lines: tuple[Line, ...]
    curve: Curve | None
    notes: tuple[str, ...]
    warnings: tuple[str, ...]

    def table(self) -> Table:
        """The numbers, for a terminal."""
        table = Table(title=self.title, title_justify="left", box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
        table.add_column("observable", no_wrap=True)
        for name in HEADER:
            # in two lines, as these are words above numbers of few digits
            table.add_column(name.replace(" ", "\n", 1), justify="left" if name == "unit" else "right")
        for line in self.lines:
            errors = (line.sampling_error, line.model_error, line.noise_floor)
            numbers = [f"{error:.2g}" if np.isfinite(error) else "–" for error in errors]
            mean = _with_digits(line.mean, errors[:2])
            table.add_row(line.name, line.unit, mean, *numbers, f"{line.effective_samples:.4g}", f"{line.spread:.3g}")
        return table

    def as_dict(self) -> dict[str, Any]:
        """All numbers for programs; what is not known is None."""
        return {
            "title": self.title,
            "observables": [_line_as_dict(line) for line in self.lines],
            "curve": plain(self.curve),
            "notes": list(self.notes),
            "warnings": list(self.warnings),
        }

    def write(self, path: Path) -> None:
        """Write the curve, or the numbers if there is none, as comma-separated values, after what must be said."""
        rows = _rows_of_lines(self.lines) if self.curve is None else _rows_of_curve(self.curve)
        write_table(path, (self.title, *self.notes, *warned(self.warnings)), rows)


def _rows_of_lines(lines: Sequence[Line]) -> Iterable[list[str]]:
    members = len(lines[0].members) if lines else 0
    yield ["observable", *HEADER, *(f"member {number}" for number in range(members))]
    for line in lines:
        errors = (line.sampling_error, line.model_error, line.noise_floor)
        numbers = (line.mean, *errors, line.effective_samples, line.spread, *line.members)
        yield [line.name, line.unit, *(f"{number:.10g}" for number in numbers)]


def _rows_of_curve(curve: Curve) -> Iterable[list[str]]:
    members = [f"member {number}" for number in range(len(curve.members))]
    yield [curve.axis, curve.name, "sampling error", "model error", "noise floor", *members]
    errors = (curve.sampling_error, curve.model_error, curve.noise_floor)
    columns = np.stack([curve.coordinate, curve.values, *errors, *curve.members], axis=1)
    yield from ([f"{number:.7g}" for number in row] for row in columns)


def _line_as_dict(line: Line) -> dict[str, Any]:
    content = plain(line)
    details = dict(content.pop("details"))
    return {"observable": content.pop("name"), **content, "spread_of_h": content.pop("spread"), **details}


def _with_digits(mean: float, errors: Iterable[float]) -> str:
    """A mean with two digits of the smallest of its errors."""
    known = [error for error in errors if np.isfinite(error) and error > 0]
    if not known:
        return f"{mean:.6g}"
    decimals = 1 - int(np.floor(np.log10(min(known))))
    return f"{mean:.{decimals}f}" if 0 <= decimals <= MOST_DECIMALS else f"{mean:.6g}"


def curve_of_profile(result: UncertainProfile, variable: str) -> Curve:
    """The profile with its lowest value zero; members are those of the normalised −k_B T ln p."""
    profile = result.profile
    return Curve(
        variable, "free energy / eV", profile.coordinate, profile.free_energy, profile.standard_error,
        result.model_error, result.noise_floor, result.members,
    )  # fmt: skip


def lines_of(result: CommitteeAverage, labels: Sequence[str], units: Sequence[str]) -> list[Line]:
    """A line for each column of an average."""
    return [
        Line(
            name=label,
            unit=unit,
            mean=float(result.mean[column]),
            sampling_error=float(result.sampling_error[column]),
            model_error=float(result.model_error[column]),
            noise_floor=float(result.noise_floor[column]),
            members=tuple(result.members[..., column].mean(axis=1).tolist()),
            effective_samples=float(result.effective_samples.min()),
            spread=float(result.spread.max()),
            samples=result.samples,
            details=(
                ("error_of_potentials", float(result.potential_error[column])),
                ("error_of_properties", float(result.property_error[column])),
                ("second_order", float(result.second_order[column])),
            ),
        )
        for column, (label, unit) in enumerate(zip(labels, units, strict=True))
    ]


def lines_of_profile(result: UncertainProfile, variable: str) -> list[Line]:
    """The highest value of a profile whose error is known, and that with the largest model error."""
    profile = result.profile
    known = np.isfinite(profile.standard_error) & np.isfinite(result.model_error)
    if not known.any():
        raise SamplingError("no bin of the profile has known errors; fewer bins or a longer run would have")
    places = [int(np.argmax(np.where(known, one, -np.inf))) for one in (profile.free_energy, result.model_error)]
    return [
        Line(
            name=f"F at {variable} {profile.coordinate[place]:.4g}",
            unit="eV",
            mean=float(profile.free_energy[place]),
            sampling_error=float(profile.standard_error[place]),
            model_error=float(result.model_error[place]),
            noise_floor=float(result.noise_floor[place]),
            members=tuple(result.members[:, place].tolist()),
            effective_samples=float(result.effective_samples.min()),
            spread=float(result.spread.max()),
            samples=profile.samples,
        )
        for place in dict.fromkeys(places)
    ]


def line_of_difference(
    difference: UncertainDifference, ranges: tuple[tuple[float, float], tuple[float, float]], samples: int
) -> Line:
    """The free-energy difference of the second range from the first."""
    (first_low, first_high), (second_low, second_high) = ranges
    return Line(
        name=f"F({second_low:g} to {second_high:g}) − F({first_low:g} to {first_high:g})",
        unit="eV",
        mean=difference.value,
        sampling_error=difference.sampling_error,
        model_error=difference.model_error,
        noise_floor=difference.noise_floor,
        members=tuple(difference.members.tolist()),
        effective_samples=float(difference.effective_samples.min()),
        spread=float(difference.spread.max()),
        samples=samples,
    )


def without_model_error(line: Line) -> Line:
    """The same line, which says nothing about the model."""
    return replace(line, model_error=np.nan, noise_floor=np.nan, members=(np.nan,) * len(line.members), details=())
