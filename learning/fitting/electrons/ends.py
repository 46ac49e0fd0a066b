"""Whether curves are whole on the axis of a fit: after their shifts, at its lower end, and for the electrons."""

from __future__ import annotations

import logging

import numpy as np

from ...data import DataError
from .labels import NAME

logger = logging.getLogger(__name__)

LOST = 0.02  # of a curve, that goes unsaid


def lost_by_shifts(curves: np.ndarray, shifts: np.ndarray, step: float) -> np.ndarray:
    """What shifts push over an end of the axis, or leave empty at the other one, as a share of each curve.

    Parameters
    ----------
    curves : ndarray of float64, shape (curves, points)
        Before their shifts.
    shifts : ndarray of float64, shape (curves,)
        In eV.
    step : float
        Spacing of the axis in eV.

    Returns
    -------
    ndarray of float64, shape (curves,)
    """
    places = np.arange(curves.shape[1])
    up, size = shifts[:, None] > 0, np.abs(shifts)[:, None] / step
    pushed = np.where(np.where(up, places[::-1], places) < size, np.abs(curves), 0).sum(axis=1)
    empty = np.where(up[:, 0], np.abs(curves[:, 0]), np.abs(curves[:, -1])) * size[:, 0]
    total = np.abs(curves).sum(axis=1)
    return np.divide(pushed + empty, total, out=np.zeros_like(total), where=total > 0)


def warn_of_lost(curves: np.ndarray, shifts: np.ndarray, step: float) -> None:
    """Tell in one line of curves that shifts cut."""
    lost = lost_by_shifts(curves, shifts, step)
    if lost.max() > LOST:
        logger.warning(
            "one zero of energy shifts %d of %d curves of the %s over an end of the axis: up to %.2g of a curve is "
            "lost or missing there, by %.3g eV; labels on a longer axis, whose ends no curve reaches, are "
            "needed, or on one zero already, with adaptive_zero = false",
            np.count_nonzero(lost > LOST), len(lost), NAME, lost.max(), shifts[lost.argmax()],
        )  # fmt: skip


def refuse_too_many(curve: np.ndarray, step: float, electrons: float, name: str) -> None:
    """Refuse electrons that a curve of a frame has no states for.

    Raises
    ------
    DataError
    """
    held = float(curve.sum() * step)
    if electrons >= held:
        raise DataError(
            f"{electrons:g} electrons in the {NAME} of {name}, whose curve holds {held:.6g}; fewer are needed, of "
            "'electrons' or on a longer axis"
        )
