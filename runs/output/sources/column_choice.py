"""Which columns of a table are a dipole or a polarizability.

The user says it, or the file does by names such as ``mux muy muz``, ``c_dip[1] c_dip[2] c_dip[3]`` and ``a_xx … a_zz``,
or their number and content do: three columns beside steps and times (CP2K, GPUMD) are a dipole, also with its norm
behind them (LAMMPS, GROMACS); six are xx yy zz and the others (GPUMD), or the upper triangle, whichever has the large
ones on the diagonal; nine are a symmetric tensor.  Anything else is refused.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ....errors import SeriesError
from ....suggestions import did_you_mean

TENSOR = ("xx", "xy", "xz", "yx", "yy", "yz", "zx", "zy", "zz")
DIAGONAL_FIRST, TRIANGLE = ("xx", "yy", "zz", "xy", "yz", "zx"), ("xx", "xy", "xz", "yy", "yz", "zz")
STEPS = re.compile(r"^(md_?)?(n?steps?|time_?step|time|t|frame|snapshot|#)(nr\.?)?(\W.*)?$", re.IGNORECASE)
PLACE = re.compile(r"^(?P<stem>.*?)[_\W]*(?P<axis>xx|xy|xz|yx|yy|yz|zx|zy|zz|[xyz]|\[[1-9]\])\W*(?:[\[({].*)?$", re.I)
OF_DIPOLE = re.compile(r"dip|mu|mom(?!entum)|mtot|(^|_)[mdp]?$", re.IGNORECASE)
TOLERANCE = 1e-3
ALLOWED = "three of a dipole, or six (xx,yy,zz,xy,yz,zx) or nine of a polarizability"


@dataclass(frozen=True)
class Choice:
    """Columns of a series.

    Parameters
    ----------
    name : str
        ``dipole`` or ``polarizability``.
    columns : list of int
    order : list of int
        Which of `columns` each of its components is.
    reason : str
        How they were found, in a few words.
    """

    name: str
    columns: list[int]
    order: list[int]
    reason: str


def choose_given(wanted: Sequence[str], names: Sequence[str], rows: np.ndarray, path: Path) -> Choice:
    """The columns that a user names, by their numbers from 1 or their names.

    Raises
    ------
    SeriesError
        If there is no such column, or they make no series.
    """
    columns = []
    for word in wanted:
        if word in names:
            columns.append(names.index(word))
        elif word.isdecimal() and 1 <= int(word) <= rows.shape[1]:
            columns.append(int(word) - 1)
        else:
            told = f" and the names {', '.join(names)}{did_you_mean(word, names)}" if names else ""
            raise SeriesError(f"'{path}' has no column '{word}'; allowed are 1 to {rows.shape[1]}{told}")
    if len(set(columns)) < len(columns):
        raise SeriesError(f"columns are {','.join(wanted)}, one of them twice; allowed are {ALLOWED}")
    if len(columns) == 3:
        return Choice("dipole", columns, [0, 1, 2], "as given")
    axes = DIAGONAL_FIRST if len(columns) == 6 else TENSOR
    if len(columns) != len(axes):
        raise SeriesError(f"columns are {','.join(wanted)}; allowed are {ALLOWED}")
    return Choice("polarizability", columns, _order(axes), "as given")


def choose(names: Sequence[str], rows: np.ndarray, axes: Sequence[int], path: Path) -> Choice:
    """The columns that are a dipole or a polarizability, by their names or by what is in them.

    Raises
    ------
    SeriesError
        If that cannot be told.
    """
    named = _by_name(names, rows)
    if named is not None:
        return named
    rest = [column for column in range(rows.shape[1]) if column not in axes]
    norm_follows = len(rest) == 4 and _is_norm(rows[:, rest])
    if not names or norm_follows:
        if len(rest) == 3 or norm_follows:
            beside = "beside steps or times" if axes else "alone"
            reason = "their norm follows" if norm_follows else f"three {beside}"
            return Choice("dipole", rest[:3], [0, 1, 2], reason)
        found = _tensor(rows[:, rest])
        if found is not None:
            return Choice("polarizability", rest, _order(found), " ".join(found))
    have = f"the columns {', '.join(names)}" if names else f"{rows.shape[1]} columns"
    raise SeriesError(
        f"'{path}' has {have}, which do not tell a dipole or a polarizability; say which they are with --columns, as "
        f"--columns 2,3,4: {ALLOWED}"
    )


def _by_name(names: Sequence[str], rows: np.ndarray) -> Choice | None:
    """The one series that names tell; None if there is none, or several."""
    stems: dict[str, dict[str, int]] = {}
    for column, name in enumerate(names):
        found = PLACE.match(name)
        if found and not STEPS.match(name):
            stems.setdefault(found["stem"].lower(), {})[found["axis"].lower()] = column
    choices = []
    for stem, places in stems.items():
        if set(places) >= set(DIAGONAL_FIRST) or set(places) >= set(TRIANGLE):
            axes = [axis for axis in places if axis in TENSOR]
            choices.append(Choice("polarizability", [places[axis] for axis in axes], _order(axes), "by their names"))
        for vector in (("x", "y", "z"), ("[1]", "[2]", "[3]")):
            if set(places) >= set(vector):
                columns = [places[axis] for axis in vector]
                fourth = places.get("[4]")
                is_known = OF_DIPOLE.search(stem) or (fourth is not None and _is_norm(rows[:, [*columns, fourth]]))
                if is_known:
                    choices.append(Choice("dipole", columns, [0, 1, 2], "by their names"))
    return choices[0] if len(choices) == 1 else None


def _is_norm(rows: np.ndarray) -> bool:
    """Whether the fourth of four columns is the norm of the others."""
    norm = np.linalg.norm(rows[:, :3], axis=1)
    return bool(norm.any() and np.allclose(norm, rows[:, 3], rtol=TOLERANCE, atol=TOLERANCE * np.abs(norm).max()))


def _tensor(rows: np.ndarray) -> tuple[str, ...] | None:
    """Which components six or nine columns are; None if that cannot be told."""
    if rows.shape[1] == len(TENSOR):
        tensors = rows.reshape(-1, 3, 3)
        is_symmetric = np.allclose(tensors, np.swapaxes(tensors, 1, 2), rtol=TOLERANCE, atol=TOLERANCE)
        return TENSOR if is_symmetric else None
    fits = [axes for axes in (DIAGONAL_FIRST, TRIANGLE) if rows.shape[1] == 6 and _has_large_diagonal(rows, axes)]
    return fits[0] if len(fits) == 1 else None


def _has_large_diagonal(rows: np.ndarray, axes: Sequence[str]) -> bool:
    means = np.nanmean(rows, axis=0)
    on = np.array([axis[0] == axis[1] for axis in axes])
    return bool(means[on].min() > 2 * np.abs(means[~on]).max())


def _order(axes: Sequence[str]) -> list[int]:
    """For each of nine components in C order the place of what has its name, or the name of its transpose."""
    return [axes.index(axis) if axis in axes else axes.index(axis[::-1]) for axis in TENSOR]
