"""The polarizability of a cell: λ = 0 and λ = 2, and the local-field map of a periodic cell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from ..quantity import CellMap, HeadSettings, Irrep, Quantity, Unit
from ..schema import about
from .forms import symmetric_tensor


def with_local_field(additive: np.ndarray, volume: np.ndarray) -> np.ndarray:
    """Polarizability (ε − 1) V/4π of a cell from the sum of its local polarizabilities.

    Clausius–Mossotti in tensor form: with x = 4π a/3V, (ε − 1)(ε + 2)⁻¹ = x, so that ε − 1 = 3x (1 − x)⁻¹ and
    α = a (1 − x)⁻¹ (Born and Wolf, Principles of Optics, section 2.3).

    Parameters
    ----------
    additive : ndarray of float64, shape (…, 3, 3)
        Sum of the local polarizabilities a, in Å³.
    volume : ndarray of float64, shape (…)
        Of the cell, in Å³.

    Returns
    -------
    ndarray of float64, shape (…, 3, 3)
    """
    ratio = 4 * np.pi / (3 * np.asarray(volume)[..., None, None])
    tensor = additive @ np.linalg.inv(np.eye(3) - ratio * additive)
    return 0.5 * (tensor + np.swapaxes(tensor, -1, -2))


def derivative_with_local_field(derivative: np.ndarray, additive: np.ndarray, volume: np.ndarray) -> np.ndarray:
    """Derivatives of `with_local_field` at constant volume: dα = (1 − x)⁻¹ da (1 − x)⁻¹, x = 4π a/3V.

    Parameters
    ----------
    derivative : ndarray of float64, shape (beads, …, 3, 3)
        da.
    additive, volume : ndarray of float64, shapes (beads, 3, 3), (beads,)
        As for `with_local_field`.

    Returns
    -------
    ndarray of float64, shape (beads, …, 3, 3)
    """
    ratio = 4 * np.pi / (3 * np.asarray(volume)[..., None, None])
    inverse = np.linalg.inv(np.eye(3) - ratio * additive)
    return np.einsum("bij,b...jk,bkl->b...il", inverse, derivative, inverse)


def without_local_field(polarizability: np.ndarray, volume: np.ndarray) -> np.ndarray:
    """The inverse of `with_local_field`: a = α (1 + 4π α/3V)⁻¹."""
    ratio = 4 * np.pi / (3 * np.asarray(volume)[..., None, None])
    tensor = polarizability @ np.linalg.inv(np.eye(3) + ratio * polarizability)
    return 0.5 * (tensor + np.swapaxes(tensor, -1, -2))


def diverging(additive: np.ndarray, volume: np.ndarray) -> str:
    """What is wrong with the first bead that is too dense for `with_local_field`; empty if nothing."""
    if not np.isfinite(additive).all():
        return f"local polarizabilities of bead {int(np.argwhere(~np.isfinite(additive))[0][0])} are not finite"
    ratio = 4 * np.pi / (3 * volume) * np.linalg.eigvalsh(additive)[:, -1]
    if (ratio < 1).all():
        return ""
    bead = int(np.argmax(ratio))
    return (
        f"local polarizabilities of bead {bead} are too large for its volume of {volume[bead]:.4g} Å³: "
        f"4π a/3V is {ratio[bead]:.3g}, and must be below 1"
    )


@dataclass(frozen=True)
class PolarizabilitySettings(HeadSettings):
    """`HeadSettings` with radial decays of the isotropic and the anisotropic part.

    ``local_field`` fits additive Clausius–Mossotti polarizabilities where the cell is periodic.
    """

    angular_decay: Annotated[
        float,
        about(
            "How fast the expected variance of the weights falls with the angular momenta l and l′ of a feature: as "
            "exp(−angular_decay (l + l′)).",
            ge=0,
        ),
    ] = 1.0
    isotropic_radial_decay: Annotated[
        float,
        about(
            "How fast the expected variance of the weights of the isotropic part falls with the numbers n and n′, from "
            "0, of the radial functions of a feature: as ((1 + n)(1 + n′))^−isotropic_radial_decay.",
            ge=0,
        ),
    ] = 2.0
    anisotropic_radial_decay: Annotated[float, about("The same for the anisotropic part.", ge=0)] = 1.0
    local_field: Annotated[
        bool,
        about(
            "If true, the polarizability of a cell that is periodic in all directions is the Clausius–Mossotti map of "
            "the sum over its atoms; if false, it is the sum itself.",
        ),
    ] = True

    def radial_decay_of(self, irrep: Irrep) -> float:
        """The radial decay of one irrep."""
        return self.anisotropic_radial_decay if irrep.order else self.isotropic_radial_decay


QUANTITY = Quantity(
    name="polarizability",
    form=symmetric_tensor("isotropic", "anisotropic"),
    unit=Unit(length=3),
    member_extras="member_polarizabilities",
    cell_map=CellMap(with_local_field, without_local_field, derivative_with_local_field, diverging),
    is_molecular=True,
    aliases=("alpha", "pol"),
    settings=PolarizabilitySettings,
)
