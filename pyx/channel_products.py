"""Products of equivariant channels as short lists: which rows of two factors add to which row, and by how much."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

SMALLEST = 1e-12  # of a Clebsch–Gordan number that is not zero


class Path(NamedTuple):
    """One coupling of l1 of the first factor and l2 of the second to ``order``.

    ``coupling`` has the shape (2 l1 + 1, 2 l2 + 1, 2 order + 1).
    """

    l1: int
    l2: int
    order: int
    coupling: np.ndarray


class ProductList(NamedTuple):
    """Rows of a product in the order in which the kernel sums them.

    ``terms`` (first row, second row, coefficient), ``segments`` (path, end of its terms) and ``rows`` (row, end of its
    segments); row l² + m is component m of l.
    """

    terms: list[tuple[int, int, float]]
    segments: list[tuple[int, int]]
    rows: list[tuple[int, int]]


def forward_list(paths: Sequence[Path], square: bool) -> ProductList:
    """The product itself: ``out_M = Σ_paths w Σ G(m1, m2, M) first_m1 second_m2``.

    Parameters
    ----------
    paths : sequence of Path
    square : bool
        Whether both factors are the same array, so that (m1, m2) and (m2, m1) are one term.
    """
    found = []
    for path, first, second, out, value in _entries(paths):
        ordered = (min(first, second), max(first, second)) if square else (first, second)
        found.append((out, path, *ordered, value))
    return _listed(found)


def adjoint_list(paths: Sequence[Path], square: bool, to_second: bool = False) -> ProductList:
    """The adjoint of a factor: ``first̄_m1 = Σ_paths w Σ G(m1, m2, M) second_m2 out̄_M``, or that of the second.

    With ``square`` it is the adjoint of the one array that is both factors.
    """
    found = []
    for path, first, second, out, value in _entries(paths):
        if square or not to_second:
            found.append((first, path, second, out, value))
        if square or to_second:
            found.append((second, path, first, out, value))
    return _listed(found)


def message_lists(paths: Sequence[Path], sent_rows: int) -> tuple[ProductList, ProductList]:
    """The coupling of received rows, and its adjoint: ``out_M = Σ_paths w Σ G(m, m', M) received_{lm, Lm'}``.

    Parameters
    ----------
    paths : sequence of Path
        From l of the harmonics and L of what is sent.
    sent_rows : int
        Rows (l_sent + 1)² of what is sent; row (lm, LM) of what is received is lm · sent_rows + LM.

    Returns
    -------
    tuple of ProductList
        The first factor is what is received, or the adjoint of the product; the second is a row of ones.
    """
    forward, adjoint = [], []
    for path, first, second, out, value in _entries(paths):
        forward.append((out, path, first * sent_rows + second, 0, value))
        adjoint.append((first * sent_rows + second, path, out, 0, value))
    return _listed(forward), _listed(adjoint)


def _entries(paths: Sequence[Path]) -> Iterable[tuple[int, int, int, int, float]]:
    """(path, row of the first, row of the second, row of the product, coefficient) of all that are not zero."""
    for index, (l1, l2, order, coupling) in enumerate(paths):
        for m1, m2, m in np.argwhere(np.abs(coupling) > SMALLEST).tolist():
            yield index, l1 * l1 + m1, l2 * l2 + m2, order * order + m, float(coupling[m1, m2, m])


def _listed(entries: Iterable[tuple[int, int, int, int, float]]) -> ProductList:
    """Entries (row, path, first, second, coefficient), equal ones added, row by row and path by path."""
    sums: dict[tuple[int, int, int, int], float] = {}
    for row, path, first, second, value in entries:
        key = (row, path, first, second)
        sums[key] = sums.get(key, 0.0) + value
    terms: list[tuple[int, int, float]] = []
    segments: list[tuple[int, int]] = []
    rows: list[tuple[int, int]] = []
    last = None
    for (row, path, first, second), value in sorted(sums.items()):
        if last is None or row != last[0]:
            rows.append((row, 0))
        if (row, path) != last:
            segments.append((path, 0))
        terms.append((first, second, value))
        last = (row, path)
        segments[-1] = (path, len(terms))
        rows[-1] = (row, len(segments))
    return ProductList(terms, segments, rows)
