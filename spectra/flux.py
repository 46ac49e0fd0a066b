"""Fluxes: time derivatives of dipoles and polarizabilities.

Spectra are made from fluxes: the transform of ⟨Ṁ Ṁ(t)⟩ needs no factor ω², with which the noise of ⟨M M(t)⟩ at low
frequency would leak into the whole spectrum.
"""

from __future__ import annotations

import numpy as np

from ..errors import SeriesError
from .units import angular_frequency


class Overlap:
    """The last two samples of a series that comes in pieces, so that differences can be taken across pieces."""

    def __init__(self) -> None:
        self._kept: np.ndarray | None = None

    def extend(self, values: np.ndarray) -> np.ndarray:
        """Put the last two samples before the new ones; shape (samples, …)."""
        joined = values if self._kept is None else np.concatenate([self._kept, values])
        self._kept = joined[-2:].copy()
        return joined

    def state(self) -> np.ndarray:
        """The samples kept, shape (at most 2, …)."""
        return np.zeros((0,)) if self._kept is None else self._kept

    def restore(self, kept: np.ndarray) -> None:
        """Go on from what `state` gave."""
        self._kept = np.array(kept) if len(kept) else None


def central_difference(values: np.ndarray, timestep: float) -> np.ndarray:
    """Flux at all samples but the first and the last, (A(t + Δt) − A(t − Δt))/2Δt.

    Parameters
    ----------
    values : ndarray of float64, shape (samples, …)
    timestep : float
        Δt in fs.

    Returns
    -------
    ndarray of float64, shape (max(samples − 2, 0), …)
        Per fs.
    """
    return (values[2:] - values[:-2]) / (2 * timestep)


def transfer_of_difference(wavenumber: np.ndarray, timestep: float) -> np.ndarray:
    """What a central difference makes of the derivative of e^{iωt}: sin(ωΔt)/(ωΔt).

    Divide the transform of a correlation function of two such fluxes by its square.

    Parameters
    ----------
    wavenumber : ndarray of float64
        In cm⁻¹.
    timestep : float
        Δt in fs.
    """
    return np.sinc(angular_frequency(wavenumber) * timestep / np.pi)


def flux_from_born_charges(born_charges: np.ndarray, velocities: np.ndarray) -> np.ndarray:
    """Flux Ṁ = Σ_i v_i · ∂M/∂r_i, the mean over beads.

    The mean over beads of Z*(q_k)·v_k, not the centroid's: the dipole is no linear function of the positions.

    Parameters
    ----------
    born_charges : ndarray of float64, shape (samples, beads, atoms, 3, 3) or (samples, atoms, 3, 3)
        In e, row displacement, column dipole component.
    velocities : ndarray of float64, shape (samples, beads, atoms, 3) or (samples, atoms, 3)
        In Å/fs.

    Returns
    -------
    ndarray of float64, shape (samples, 3)
        In e·Å/fs.

    Raises
    ------
    SeriesError
        If the shapes do not belong together.
    """
    if np.shape(born_charges) != (*np.shape(velocities), 3) or np.ndim(velocities) not in (3, 4):
        raise SeriesError(
            f"Born effective charges and velocities have the shapes {np.shape(born_charges)} and "
            f"{np.shape(velocities)}; expected (samples, beads, atoms, 3, 3) and (samples, beads, atoms, 3)"
        )
    flux = np.einsum("...iac,...ia->...c", born_charges, velocities)
    return flux if flux.ndim == 2 else flux.mean(axis=1)
