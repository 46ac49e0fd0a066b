"""From Kubo-transformed and classical line shapes to what an experiment sees.

Classical dynamics, RPMD, TRPMD and CMD all approximate the Kubo-transformed correlation function, so that one factor
serves them all (Ramírez, López-Ciudad, Kumar, Marx, J. Chem. Phys. 121, 3973 (2004)).
"""

from __future__ import annotations

import numpy as np

from .units import reduced_energy


def quantum_factor(wavenumber: np.ndarray, temperature: float) -> np.ndarray:
    """βħω/(1 − e^{−βħω}): the symmetric Kubo line shape times it is the quantum one; 1 at ω = 0.

    Parameters
    ----------
    wavenumber : ndarray of float64
        In cm⁻¹; may be negative.
    temperature : float
        In K.
    """
    energy = reduced_energy(wavenumber, temperature)
    small = np.abs(energy) < 1e-8
    safe = np.where(small, 1.0, energy)
    return np.where(small, 1.0 + energy / 2, safe / -np.expm1(-safe))


def stokes_factor(wavenumber: np.ndarray, temperature: float, laser: float) -> np.ndarray:
    """(ω_L − ω)⁴/ω_L⁴ · βħω/(1 − e^{−βħω}), what makes Stokes intensity of a Kubo line shape.

    D. A. Long, The Raman Effect (Wiley, 2002), chapter 5.

    Parameters
    ----------
    wavenumber : ndarray of float64
        Raman shift in cm⁻¹.
    temperature : float
        In K.
    laser : float
        ω_L in cm⁻¹.
    """
    return (1 - np.asarray(wavenumber) / laser) ** 4 * quantum_factor(wavenumber, temperature)
