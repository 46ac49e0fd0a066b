"""What ``beadwise average`` found: rows with two errors and distributions, as table, CSV, JSON and picture."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.table import Table

from ...json_text import plain
from ...whole_files import write_table
from ..results import warned
from .rows import Row

HEADER = ("unit", "nuclei", "mean", "sampling error", "model error", "autocorrelation / samples")
MOST_DECIMALS = 9
MOST_SHOWN = 60  # rows of the table in a terminal


@dataclass(frozen=True)
class Distribution:
    """How the values of single beads are distributed.

    Parameters
    ----------
    edges : ndarray of float64, shape (bins + 1,)
    density : ndarray of float64, shape (bins,)
        Normalised.
    """

    edges: np.ndarray
    density: np.ndarray


@dataclass(frozen=True)
class Outcome:
    """All that was found.

    Parameters
    ----------
    title : str
    name, unit : str
        Of what is averaged.
    rows : tuple of Row
    distributions : mapping of str to Distribution
        By the name of a group.
    notes, warnings : tuple of str
    """

    title: str
    name: str
    unit: str
    rows: tuple[Row, ...]
    distributions: Mapping[str, Distribution]
    notes: tuple[str, ...]
    warnings: tuple[str, ...]

    def table(self) -> Table:
        """The means, for a terminal."""
        table = Table(title=self.title, title_justify="left", box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
        table.add_column("mean of", no_wrap=True)
        for name in HEADER:
            table.add_column(name.replace(" ", "\n", 1), justify="left" if name == "unit" else "right")
        for row in self.rows[:MOST_SHOWN]:
            errors = [_error(own) for own in (row.sampling_error, row.model_error)]
            time = f"{row.time:.3g}" if np.isfinite(row.time) else "–"
            table.add_row(row.name, row.unit, str(row.nuclei), with_digits(row), *errors, time)
        if len(self.rows) > MOST_SHOWN:
            table.add_row(f"… {len(self.rows) - MOST_SHOWN} more in the files", *[""] * len(HEADER))
        return table

    def as_dict(self) -> dict[str, Any]:
        """All numbers for programs; what is not known is None."""
        return {
            "title": self.title,
            "of": self.name,
            "rows": [plain(row) for row in self.rows],
            "distributions": {name: plain(own) for name, own in self.distributions.items()},
            "notes": list(self.notes),
            "warnings": list(self.warnings),
        }

    def write(self, path: Path) -> None:
        """Write the rows as comma-separated values, after what must be said."""
        write_table(path, (self.title, *self.notes, *warned(self.warnings)), self._table_rows())

    def _table_rows(self) -> Iterator[Sequence[str]]:
        members = max((len(row.members) for row in self.rows), default=0)
        yield ("mean of", *HEADER, *(f"member {number}" for number in range(members)))
        for row in self.rows:
            numbers = (row.mean, row.sampling_error, row.model_error, row.time, *row.members)
            yield (row.name, row.unit, str(row.nuclei), *(f"{number:.10g}" for number in numbers))

    def write_distributions(self, path: Path) -> None:
        """Write the distributions as comma-separated values."""
        write_table(path, (self.title,), self._distribution_rows())

    def _distribution_rows(self) -> Iterator[Sequence[str]]:
        yield ("group", f"from / {self.unit}".strip(" /"), "to", "density")
        for name, own in self.distributions.items():
            for low, high, density in zip(own.edges[:-1], own.edges[1:], own.density, strict=True):
                yield (name, f"{low:.8g}", f"{high:.8g}", f"{density:.8g}")


def _error(value: float) -> str:
    return f"{value:.2g}" if np.isfinite(value) else "–"


def with_digits(row: Row) -> str:
    """The mean with two digits of the smaller error."""
    known = [own for own in (row.sampling_error, row.model_error) if np.isfinite(own) and own > 0]
    if not known:
        return f"{row.mean:.6g}"
    decimals = 1 - int(np.floor(np.log10(min(known))))
    return f"{row.mean:.{decimals}f}" if 0 <= decimals <= MOST_DECIMALS else f"{row.mean:.6g}"
