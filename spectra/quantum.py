"""From Kubo-transformed and classical line shapes to what an experiment sees.

Classical dynamics, RPMD, TRPMD and CMD all approximate the Kubo-transformed correlation function, so that one factor
serves them all (Ramírez, López-Ciudad, Kumar, Marx, J. Chem. Phys. 121, 3973 (2004)).  It is the harmonic one; others
have been used on classical line shapes, and are offered for comparison.
"""

from __future__ import annotations

import numpy as np

from .units import reduced_energy

HARMONIC = "harmonic"
CORRECTIONS = ("standard", HARMONIC, "schofield", "none")


def quantum_correction(wavenumber: np.ndarray, temperature: float, name: str) -> np.ndarray:
    """Factor that makes a quantum line shape of a classical one, by one of the usual approximations.

    With x = βħω: ``standard`` 2/(1 + e^{−x}); ``harmonic`` x/(1 − e^{−x}), exact for harmonic oscillators with linear
    moments, and for a Kubo line shape always; ``schofield`` e^{x/2} (P. Schofield, Phys. Rev. Lett. 4, 239 (1960));
    ``none`` 1.  All fulfil detailed balance but the last: they are compared by Ramírez et al., J. Chem. Phys. 121, 3973
    (2004), whose table I they are from.

    Parameters
    ----------
    wavenumber : ndarray of float64
        In cm⁻¹; may be negative.
    temperature : float
        In K.
    name : str
        One of `CORRECTIONS`.
    """
    energy = reduced_energy(wavenumber, temperature)
    if name == "standard":
        return 2.0 / (1.0 + np.exp(-energy))
    if name == "schofield":
        return np.exp(energy / 2)
    if name == "none":
        return np.ones_like(energy)
    return quantum_factor(wavenumber, temperature)


def relative_correction(wavenumber: np.ndarray, temperature: float, name: str) -> np.ndarray:
    """`quantum_correction` over the harmonic one, by which spectra of another correction differ; 1 at ω = 0."""
    factor = quantum_factor(wavenumber, temperature)
    return quantum_correction(wavenumber, temperature, name) / factor


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
