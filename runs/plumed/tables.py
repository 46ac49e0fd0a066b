"""Tables that PLUMED writes: ``COLVAR``, and the hills of metadynamics, of a run that was killed and continued, too."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..input.elements import InputError
from ..output.alignment import that_count
from .input import plumed_number

FIELDS, SETTING = "#! FIELDS", "#! SET"


@dataclass(frozen=True)
class PlumedTable:
    """A table of PLUMED.

    Parameters
    ----------
    path : Path
    names : tuple of str
        Of the columns; the first is ``time``.
    rows : ndarray of float64, shape (rows, columns)
        Times increase: where they go back, as in a run that was continued, the later rows count.
    settings : dict of str to str
        What stands after ``#! SET``.
    """

    path: Path
    names: tuple[str, ...]
    rows: np.ndarray
    settings: dict[str, str] = field(default_factory=dict)

    def column(self, name: str) -> np.ndarray:
        """One column, shape (rows,).

        Raises
        ------
        InputError
            If there is none of this name.
        """
        if name not in self.names:
            raise InputError(f"'{self.path}' has no column '{name}'; it has {', '.join(self.names[1:])}")
        return self.rows[:, self.names.index(name)]

    @property
    def holds_hills(self) -> bool:
        """Whether they are the hills of metadynamics: centres, widths and heights."""
        return {"height", "biasf"} <= set(self.names) and bool(self.hill_variables)

    @property
    def holds_kernels(self) -> bool:
        """Whether they are kernels of another kind, as those of OPES, or hills that are not along their variables."""
        return not self.holds_hills and any(name.startswith("sigma_") for name in self.names)

    @property
    def hill_variables(self) -> tuple[str, ...]:
        """The variables of hills."""
        return tuple(name for name in self.names[1:] if f"sigma_{name}" in self.names)

    def period_of(self, variable: str) -> tuple[float, float] | None:
        """Limits of a variable that is periodic; None for one that is not.

        Raises
        ------
        InputError
            If they are no numbers.
        """
        limits = [self.settings.get(f"{end}_{variable}") for end in ("min", "max")]
        try:
            return None if None in limits else (plumed_number(str(limits[0])), plumed_number(str(limits[1])))
        except ValueError:
            raise InputError(f"'{self.path}' says that {variable} goes from {limits[0]} to {limits[1]}") from None


def is_plumed_table(path: Path) -> bool:
    """Whether a file begins as PLUMED's tables do."""
    try:
        with open(path, "rb") as file:
            return file.read(len(FIELDS)) == FIELDS.encode()
    except OSError:
        return False


def read_plumed_table(path: Path) -> PlumedTable:
    """Read a table of PLUMED; a last line that is not whole is left out.

    Raises
    ------
    InputError
        If it cannot be read, is no table of PLUMED with times, or holds something else than finite numbers.
    """
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise InputError(f"cannot read '{path}': {error.strerror}") from error
    lines = text[: text.rfind("\n") + 1].splitlines()
    if not lines or not lines[0].startswith(FIELDS):
        raise InputError(f"'{path}' does not begin with '{FIELDS}', as tables of PLUMED do")
    names = tuple(lines[0][len(FIELDS) :].split())
    settings = dict(line[len(SETTING) :].split(maxsplit=1) for line in lines if _is_setting(line))
    records = [line.split() for line in lines if line.strip() and not line.startswith("#!")]
    # a killed run leaves half a line, which the next one continues
    whole = [record for record in records if len(record) == len(names)]
    try:
        rows = np.array(whole, dtype=np.float64).reshape(-1, len(names))
    except ValueError:
        raise InputError(f"'{path}' holds a line that is not {len(names)} numbers") from None
    if names[:1] != ("time",) or len(names) < 2:
        raise InputError(f"'{path}' has the columns {' '.join(names) or '(none)'}; time and a variable are needed")
    if not np.isfinite(rows).all():
        raise InputError(f"'{path}' holds numbers that are not finite")
    return PlumedTable(path, names, rows[that_count(rows[:, 0])], settings)


def _is_setting(line: str) -> bool:
    return line.startswith(SETTING) and len(line.split()) > 3
