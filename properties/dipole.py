"""The dipole: the λ = 1 components of the density's head, in Cartesian order."""

from __future__ import annotations

import numpy as np

# The real harmonics of l = 1 are ordered y, z, x.
CARTESIAN_FROM_HARMONICS = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])


def cartesian_vector(components: np.ndarray) -> np.ndarray:
    """Vector (x, y, z) from λ = 1 components.

    Parameters
    ----------
    components : ndarray of float64, shape (…, 3)
        In the order of the real harmonics.

    Returns
    -------
    ndarray of float64, shape (…, 3)
    """
    return components @ CARTESIAN_FROM_HARMONICS.T


def harmonic_components(vector: np.ndarray) -> np.ndarray:
    """The inverse of `cartesian_vector`."""
    return vector @ CARTESIAN_FROM_HARMONICS
