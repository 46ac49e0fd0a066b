"""The moments that CP2K prints as text: dipoles, of the Berry phase with the lattice that they are defined by.

Blocks of ``Dipole moment [Debye]`` with ``X= … Y= … Z= …`` below, in the file of ``&PRINT &MOMENTS`` or in the output
of the run; before them, where the operator is periodic, the rows ``[X] [ a b c ] [i]`` of the lattice in debye.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from ....errors import SeriesError
from ....properties.unit_names import DEBYE
from ..compressed import uncompressed
from .source import Source

MARK = b"Dipole moment [Debye]"
NUMBER = r"\s*([-+]?[\d.]+(?:[eEdD][-+]?\d+)?|\*+|NaN)"
DIPOLE = re.compile(rf"Dipole moment \[Debye\]\s+X={NUMBER}\s+Y={NUMBER}\s+Z={NUMBER}", re.IGNORECASE)
ROW = re.compile(rf"^\s*\[[XYZ]\]\s*=?\s*\[{NUMBER}{NUMBER}{NUMBER}\s*\]", re.MULTILINE)


@dataclass
class Moments(Source):
    """Dipoles in the order of the file."""

    def samples(self) -> Iterator[dict[str, np.ndarray]]:
        """All samples at once; the file is read once."""
        yield self._all

    @cached_property
    def _all(self) -> dict[str, np.ndarray]:
        try:
            text = uncompressed(self.path).read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            raise SeriesError(f"cannot read '{self.path}': {error.strerror}") from error
        text = text[: text.rfind("\n") + 1]
        dipoles = _numbers(DIPOLE.findall(text), self.path)
        rows = _numbers(ROW.findall(text), self.path)
        if len(rows) == 3 * len(dipoles):
            if wrong := self.set_cells(DEBYE * rows.reshape(-1, 3, 3)):
                raise SeriesError(wrong)
        self.unit, self.tells_unit = "debye", True
        self.remarks.append("dipole from CP2K's moments, in debye, in the order of the file, which tells no times")
        return {"dipole": DEBYE * dipoles}


def _numbers(found: list[tuple[str, str, str]], path: Path) -> np.ndarray:
    try:
        values = [[float(word.replace("D", "e").replace("d", "e")) for word in row] for row in found]
    except ValueError:
        wrong = next(word for row in found for word in row if "*" in word)
        raise SeriesError(f"'{path}' holds '{wrong}' where a number of a dipole is needed") from None
    return np.array(values).reshape(-1, 3)
