"""Where sums are cut: Ewald's splitting, the reach of its near part, its waves, and the mesh that takes their place."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...constants import COULOMB as COULOMB

FARTHEST_ERFC = 6.4  # κr, beyond which the kernel has nothing
COST_OF_PAIRS = 1.9  # of Ewald's splitting: above 1 for fewer pairs and more waves
COST_OF_POINTS = 8.0  # of a point of the mesh, transforms included, in pairs
LARGEST_EWALD = 1000  # sites, above which the mesh is faster
MOST_POINTS = 1024  # of the mesh along a direction
# κh at which splines of each order have an error of 1e-6 of potentials, measured; it goes as (κh)^order
SPACINGS = {6: 0.24, 8: 0.35, 10: 0.42}
WIDEST_SPACING = 0.45  # κh
VIRIALS = 0.3  # of the accuracy: virials are less exact than potentials


def depth_of(accuracy: float) -> float:
    """κr and k/2κ at which e^(−x²) is the accuracy."""
    return math.sqrt(-math.log(accuracy))


def balanced_splitting(sites: int, volume: float) -> float:
    """κ in 1/Å at which Ewald's two sums cost about the same (Perram, Petersen, de Leeuw, Mol. Phys. 65, 875 (1988)).

    Parameters
    ----------
    sites : int
    volume : float
        In Å³.
    """
    return COST_OF_PAIRS * math.sqrt(math.pi) * (max(sites, 1) / volume**2) ** (1 / 6)


def order_and_spacing(accuracy: float) -> tuple[int, float]:
    """The order of the splines, and κh for it.

    Parameters
    ----------
    accuracy : float
        Of potentials, relative.
    """
    order = 6 if accuracy > 3e-6 else 8 if accuracy > 3e-9 else 10
    return order, min(WIDEST_SPACING, SPACINGS[order] * (VIRIALS * accuracy / 1e-6) ** (1 / order))


def mesh_splitting(sites: int, volume: float, accuracy: float) -> float:
    """κ in 1/Å at which the near part costs as much as the mesh.

    Parameters
    ----------
    sites : int
    volume : float
        In Å³.
    accuracy : float
    """
    pairs_times_cube = sites**2 / volume * 4 / 3 * math.pi * depth_of(accuracy) ** 3  # pairs · κ³
    points_over_cube = volume / order_and_spacing(accuracy)[1] ** 3  # points / κ³
    return float((pairs_times_cube / (COST_OF_POINTS * points_over_cube)) ** (1 / 6))


def smooth_number(least: float) -> int:
    """The smallest product of 2, 3 and 5 that is not below a number, and even."""
    products = (2 * 2**i * 3**j * 5**k for i in range(10) for j in range(7) for k in range(5))
    return min(number for number in products if number >= least)


def near_reach(splitting: float, accuracy: float, widest: float, damping: float) -> float:
    """How far the near part reaches, in Å: what widths and damping change may go farther than Ewald's own.

    Parameters
    ----------
    splitting : float
        κ in 1/Å.
    accuracy : float
    widest : float
        The largest width of a Gaussian, in Å.
    damping : float
        In Å.
    """
    depth = depth_of(accuracy)
    return max(min(depth, FARTHEST_ERFC) / splitting, 2 * widest * depth, damping * depth ** (2 / 3))


def plain_cut() -> dict[str, Any]:
    """All pairs, no waves."""
    return {"splitting": 0.0, "reach": 0.0, "highest": 0.0, "mesh": (0, 0, 0), "order": 0}


def ewald_cut(splitting: float, accuracy: float, widest: float, damping: float) -> dict[str, Any]:
    """Plain sums over waves; what is left out is about the accuracy, relative to the whole.

    Parameters
    ----------
    splitting, accuracy, widest, damping : float
        As in `near_reach`.
    """
    return {
        "splitting": splitting,
        "reach": near_reach(splitting, accuracy, widest, damping),
        "highest": 2 * splitting * depth_of(accuracy),
        "mesh": (0, 0, 0),
        "order": 0,
    }


def mesh_cut(splitting: float, accuracy: float, widest: float, damping: float, cells: np.ndarray) -> dict[str, Any]:
    """Waves by a mesh, whose spacing goes with the accuracy.

    Parameters
    ----------
    splitting, accuracy, widest, damping : float
        As in `near_reach`.
    cells : ndarray of float64, shape (beads, 3, 3)
        In Å.
    """
    order, spacing = order_and_spacing(accuracy)
    lengths = np.linalg.norm(cells, axis=2).max(axis=0)
    mesh = tuple(smooth_number(max(length * splitting / spacing, order)) for length in lengths)
    return {**ewald_cut(splitting, accuracy, widest, damping), "mesh": mesh, "order": order}
