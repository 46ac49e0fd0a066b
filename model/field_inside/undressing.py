"""Local polarizabilities from labels of molecules that hold the field of all others, and are symmetric."""

from __future__ import annotations

import numpy as np

from ..errors import StructureError
from .interaction import DipoleInteraction
from .response import FieldInside, undressed

MOST_STEPS = 60
TOLERANCE = 1e-9  # of the labels, relative to the largest


def local_of_symmetric(interaction: DipoleInteraction, screened: np.ndarray) -> np.ndarray:
    """Symmetric local polarizabilities a_i whose responses X_i to the field in the medium have given symmetric parts.

    X_i itself is not symmetric: only the sum of all is.  Programs write its symmetric part, and `undressed` needs all
    of it.  So the antisymmetric part is taken from the model that is found, until nothing changes:
    ``a ← undressed(p + ½(X(a) − X(a)ᵀ))``, which starts with 0 for it.

    Parameters
    ----------
    interaction : DipoleInteraction
        Of the sites.
    screened : ndarray of float64, shape (sites, 3, 3)
        p_i in Å³, of which the symmetric part counts.

    Returns
    -------
    ndarray of float64, shape (sites, 3, 3)
        In Å³.

    Raises
    ------
    StructureError
        If no positive local polarizabilities have such a response, or they are not found.
    """
    symmetric = 0.5 * (screened + np.swapaxes(screened, 1, 2))
    enough = TOLERANCE * float(np.abs(symmetric).max(initial=0.0))
    turned = np.zeros_like(symmetric)
    for _ in range(MOST_STEPS):
        local = undressed(interaction, symmetric + turned)
        parts = FieldInside(interaction, local).parts
        turned = 0.5 * (parts - np.swapaxes(parts, 1, 2))
        missed = float(np.abs(parts - turned - symmetric).max(initial=0.0))
        if missed <= enough:
            return local
    raise StructureError(
        f"no local polarizabilities were found for these labels of molecules: after {MOST_STEPS} steps they are "
        f"{missed:.3g} Å³ off; screened_polarizability must be the response of each molecule to the field in the medium"
    )
