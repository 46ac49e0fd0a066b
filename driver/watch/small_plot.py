"""Curves in letters: a plot of Braille dots, and a line of blocks, for terminals."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

DOTS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])  # of a Braille letter: 4 rows, 2 columns
BLANK_BRAILLE = 0x2800
BLOCKS = "▁▂▃▄▅▆▇█"


def braille_plot(
    values: np.ndarray, columns: int, rows: int, low: float | None = None, high: float | None = None
) -> list[str]:
    """Draw a curve, filled down to its lowest value, with two dots by four in each letter.

    Parameters
    ----------
    values : ndarray of float64, shape (points,)
        At equal distances; what is not finite is left out.
    columns, rows : int
        Letters.
    low : float, optional
        Value at the bottom; by default the lowest, or zero where all are positive.
    high : float, optional
        Value at the top, beyond which it is cut; by default the highest.

    Returns
    -------
    list of str
        One for each row, the top first; blank where there is nothing finite.
    """
    heights = _heights(values, 2 * columns, 4 * rows, low, high)
    lit = np.arange(4 * rows)[::-1, None] < heights[None, :]  # row of dots from the top, column of dots
    cells = lit.reshape(rows, 4, columns, 2)
    letters = BLANK_BRAILLE + (cells * DOTS[None, :, None, :]).sum(axis=(1, 3))
    return ["".join(map(chr, row)) for row in letters]


def sparkline(values: np.ndarray, columns: int) -> str:
    """Draw a series in one line of blocks; a letter is the mean of its share of the values.

    Parameters
    ----------
    values : ndarray of float64, shape (points,)
        What is not finite is left out.
    columns : int
        Letters at most.
    """
    values = np.asarray(values, dtype=np.float64)
    values = values[np.isfinite(values)]
    if not len(values) or columns < 1:
        return ""
    means = np.array([part.mean() for part in np.array_split(values, min(columns, len(values)))])
    low, high = means.min(), means.max()
    places = np.zeros(len(means)) if high == low else (means - low) / (high - low)
    return "".join(BLOCKS[min(int(place * len(BLOCKS)), len(BLOCKS) - 1)] for place in places)


def axis_line(low: float, high: float, columns: int, ticks: Sequence[float]) -> str:
    """Write numbers below a plot, each centred on its place; those that would touch another one are left out."""
    line = [" "] * columns
    for tick in ticks:
        text = f"{tick:g}"
        place = round((tick - low) / (high - low) * (columns - 1)) if high > low else 0
        begin = min(max(place - len(text) // 2, 0), columns - len(text))
        taken = line[max(begin - 1, 0) : begin + len(text) + 1]
        if begin >= 0 and set(taken) == {" "}:
            line[begin : begin + len(text)] = text
    return "".join(line)


def _heights(values: np.ndarray, columns: int, rows: int, low: float | None, high: float | None) -> np.ndarray:
    """How many dots of each column are lit, shape (columns,): the highest value that belongs to it."""
    values = np.asarray(values, dtype=np.float64)
    known = np.isfinite(values)
    if min(columns, rows) < 1 or not known.any():
        return np.zeros(max(columns, 0), dtype=int)
    bottom = min(values[known].min(), 0.0) if low is None else low
    top = values[known].max() if high is None else high
    if top <= bottom:
        return np.zeros(columns, dtype=int)
    edges = np.linspace(0, len(values), columns + 1)
    heights = np.zeros(columns, dtype=int)
    for column in range(columns):
        first = min(int(edges[column]), len(values) - 1)
        own = values[first : max(int(edges[column + 1]), first + 1)]
        own = own[np.isfinite(own)]
        if len(own):
            heights[column] = round(min(max(own.max() - bottom, 0.0) / (top - bottom), 1.0) * rows)
    return heights
