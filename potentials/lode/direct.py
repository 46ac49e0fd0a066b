"""Expanded potentials of atoms without images: a sum over all pairs, whatever their distance.

Around atom i atom j adds W_nl(R) Y_lm(R/R) with R = r_j − r_i, where W_nl is what `power_law.projections` gives.  It is
kept as a table with derivatives, so that gradients are those of what is evaluated.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from .power_law import projections
from .settings import Expansion
from .solid_harmonics import solid_harmonics

if TYPE_CHECKING:
    from scipy.interpolate import CubicHermiteSpline

CLOSEST = 0.2  # Å
FAR = 12.0  # Å
FINE = 0.02  # Å between points of the table up to there
COARSE = 0.004  # of the distance between points beyond, where all falls as powers


@lru_cache(maxsize=8)
def _table(expansion: Expansion, reach: float) -> CubicHermiteSpline:
    """W_nl/R^l for all exponents, radial functions and l, from `CLOSEST` to ``reach`` in Å."""
    near = np.arange(CLOSEST, FAR, FINE)
    beyond = np.arange(1, np.ceil(np.log(max(reach, FAR + 1) / near[-1]) / COARSE) + 1)
    points = np.concatenate([near, near[-1] * np.exp(COARSE * beyond)])
    values, slopes = [], []
    power = np.arange(expansion.l_max + 1)
    for exponent in expansion.exponents:
        own = projections(points, exponent, expansion.smearing, expansion.radius, expansion.radial, expansion.l_max)
        scale = points[:, None, None] ** -power.astype(float)
        values.append(own[0] * scale)
        slopes.append((own[1] - own[0] * power / points[:, None, None]) * scale)
    from scipy.interpolate import CubicHermiteSpline  # which takes long to import, and a server may not need it

    return CubicHermiteSpline(points, np.stack(values, axis=1), np.stack(slopes, axis=1))


@lru_cache(maxsize=32)
def own_potential(expansion: Expansion) -> np.ndarray:
    """What an atom adds to the columns around itself, shape (columns,)."""
    out = np.zeros((len(expansion.exponents), expansion.radial, expansion.harmonics))
    for place, exponent in enumerate(expansion.exponents):
        own = expansion.smearing, expansion.radius, expansion.radial, 0
        out[place, :, 0] = projections(np.zeros(1), exponent, *own)[0][0, :, 0] / np.sqrt(4 * np.pi)
    return out.ravel()


def pairs(positions: np.ndarray, expansion: Expansion) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What is around i of j; as `waves.Waves.pairs`, for atoms without images.

    Raises
    ------
    ValueError
        If two atoms are nearer than `CLOSEST`.
    """
    atoms, columns = len(positions), expansion.columns
    apart = positions[None] - positions[:, None]
    distance = np.linalg.norm(apart, axis=2)
    other = ~np.eye(atoms, dtype=bool)
    if other.any() and distance[other].min() < CLOSEST:
        raise ValueError(f"two atoms are {distance[other].min():.3g} Å apart; at least {CLOSEST} Å are needed")
    values = np.zeros((atoms, atoms, columns))
    gradients = np.zeros((atoms, atoms, columns, 3))
    strains = np.zeros((atoms, atoms, columns, 3, 3))
    values[~other] = own_potential(expansion)
    if other.any():
        vectors, far = apart[other], distance[other]
        table = _table(expansion, 2.0 ** np.ceil(np.log2(far.max())))
        harmonics, slopes = solid_harmonics(vectors, expansion.l_max)
        order = np.repeat(np.arange(expansion.l_max + 1), 2 * np.arange(expansion.l_max + 1) + 1)
        radial, steep = table(far)[..., order], table(far, 1)[..., order]
        flat = (len(far), columns)
        values[other] = (radial * harmonics[:, None, None]).reshape(flat)
        along = (steep * harmonics[:, None, None])[..., None] * (vectors / far[:, None])[:, None, None, None]
        along = (along + radial[..., None] * slopes[:, None, None]).reshape(*flat, 3)
        gradients[other] = -along
        strains[other] = along[..., None] * vectors[:, None, None]
    return values, gradients, strains
