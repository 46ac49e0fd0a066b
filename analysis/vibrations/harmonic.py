"""Harmonic vibrations: normal modes of a Hessian, infrared and Raman intensities, longitudinal modes of crystals.

Formulas: E. B. Wilson, J. C. Decius, P. C. Cross, Molecular Vibrations (1955); intensities as in D. Porezag and M. R.
Pederson, Phys. Rev. B 54, 7830 (1996); longitudinal modes as in X. Gonze and C. Lee, Phys. Rev. B 55, 10355 (1997).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import constants

from .derivatives import Derivatives, VibrationError

EV, ANGSTROM, DALTON = constants.electron_volt, constants.angstrom, constants.atomic_mass
# of √(eV/Å²/u) in cm⁻¹
WAVENUMBER = np.sqrt(EV / DALTON) / ANGSTROM / (2 * np.pi * constants.c * 100)
# of e²/u in km/mol: N_A/(12 ε0 c²), Napierian
KM_PER_MOL = constants.N_A * constants.e**2 / DALTON / (12 * constants.epsilon_0 * constants.c**2) / 1000
COULOMB = constants.e / (4 * np.pi * constants.epsilon_0) / ANGSTROM  # e²/(4πε0) in eV Å
STILL = 1e-3  # of the largest singular value, below which a rotation moves no atom
NEGATIVE = 1.0  # cm⁻¹; modes below minus this are told of


@dataclass(frozen=True)
class Modes:
    """Normal modes.

    Parameters
    ----------
    wavenumbers : ndarray of float64, shape (modes,)
        In cm⁻¹, ascending; those of modes along which the energy falls are negative.
    displacements : ndarray of float64, shape (modes, atoms, 3)
        Orthonormal in mass-weighted coordinates, divided by √m: in u^(−1/2).
    infrared : ndarray of float64, shape (modes,), or None
        In km/mol.
    raman : ndarray of float64, shape (modes,), or None
        Activity 45 ā'² + 7 γ'² in Å⁴/u.
    depolarisation : ndarray of float64, shape (modes,), or None
        3 γ'²/(45 ā'² + 4 γ'²), of linearly polarised light.
    """

    wavenumbers: np.ndarray
    displacements: np.ndarray
    infrared: np.ndarray | None = None
    raman: np.ndarray | None = None
    depolarisation: np.ndarray | None = None

    @property
    def negative(self) -> np.ndarray:
        """Wavenumbers of modes along which the energy falls."""
        return self.wavenumbers[self.wavenumbers < -NEGATIVE]


def normal_modes(
    found: Derivatives, masses: np.ndarray, positions: np.ndarray, periodic: bool, added: np.ndarray | None = None
) -> Modes:
    """Modes of a molecule, or those of a crystal at the zone centre, without translations and rotations.

    As nothing of a translation is left in them, the charge of an ion does not count in its infrared intensities.

    Parameters
    ----------
    found : Derivatives
    masses : ndarray of float64, shape (atoms,)
        In u.
    positions : ndarray of float64, shape (atoms, 3)
        In Å.
    periodic : bool
        Whether it is a crystal, which does not rotate.
    added : ndarray of float64, shape (3 atoms, 3 atoms), optional
        To the Hessian, in eV/Å²: `non_analytical`.
    """
    roots = np.sqrt(np.repeat(masses, 3))
    hessian = found.hessian if added is None else found.hessian + added
    inner = _complement(_rigid_motions(masses, positions, periodic))
    values, vectors = np.linalg.eigh(inner.T @ (hessian / np.outer(roots, roots)) @ inner)
    wavenumbers = np.sign(values) * np.sqrt(np.abs(values)) * WAVENUMBER
    displacements = ((inner @ vectors).T / roots).reshape(len(values), -1, 3)
    infrared = raman = ratio = None
    if found.born_charges is not None:
        dipoles = np.einsum("mia,iab->mb", displacements, found.born_charges)
        infrared = KM_PER_MOL * np.square(dipoles).sum(axis=1)
    if found.raman_tensors is not None:
        raman, ratio = _raman(np.einsum("mia,iabc->mbc", displacements, found.raman_tensors))
    return Modes(wavenumbers, displacements, infrared, raman, ratio)


def non_analytical(found: Derivatives, volume: float, permittivity: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """What the field of a longitudinal wave adds to the Hessian of a crystal at the zone centre.

    4πe²/V · (q·Z*_i)_a (q·Z*_j)_b/(q·ε∞·q) in eV/Å², in the limit of q → 0 along a direction (Gonze and Lee).

    Parameters
    ----------
    found : Derivatives
        With Born charges, whose sum over atoms is taken away in equal parts.
    volume : float
        In Å³.
    permittivity : ndarray of float64, shape (3, 3)
        ε∞.
    direction : ndarray of float64, shape (3,)

    Raises
    ------
    VibrationError
        If there are no Born charges, or the permittivity is not positive along the direction.
    """
    if found.born_charges is None:
        raise VibrationError("the model has no dipole; longitudinal modes need Born charges")
    screening = float(direction @ permittivity @ direction)
    if not screening > 0:
        raise VibrationError(f"the permittivity along {direction.tolist()} is {screening:g}; it must be positive")
    along = (_neutral(found.born_charges) @ direction).ravel()
    return 4 * np.pi * COULOMB / volume * np.outer(along, along) / screening


def optical_permittivity(polarizability: np.ndarray, volume: float) -> np.ndarray:
    """ε∞ = 1 + 4πα/V of the polarizability of a cell, in Å³, which a model of crystals gives as (ε − 1)V/4π."""
    return np.eye(3) + 4 * np.pi * polarizability / volume


def _neutral(born_charges: np.ndarray) -> np.ndarray:
    """Born charges whose sum over atoms vanishes, as it must in a crystal (acoustic sum rule)."""
    return np.asarray(born_charges - born_charges.mean(axis=0))


def _raman(slopes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Activities and depolarisation ratios of derivatives of the polarizability by normal coordinates."""
    mean = np.trace(slopes, axis1=1, axis2=2) / 3
    rest = slopes - mean[:, None, None] * np.eye(3)
    anisotropy = 1.5 * np.square(rest).sum(axis=(1, 2))  # γ'²
    strong = 45 * mean**2 + 4 * anisotropy
    ratio = np.divide(3 * anisotropy, strong, out=np.full_like(strong, np.nan), where=strong > 0)
    return 45 * mean**2 + 7 * anisotropy, ratio


def _rigid_motions(masses: np.ndarray, positions: np.ndarray, periodic: bool) -> np.ndarray:
    """Orthonormal mass-weighted translations, and rotations of a molecule, shape (3 atoms, 3 to 6)."""
    roots = np.sqrt(masses)[:, None, None]
    motions = [np.broadcast_to(roots * np.eye(3), (len(masses), 3, 3))]
    if not periodic and len(masses) > 1:
        around = positions - np.average(positions, axis=0, weights=masses)
        motions.append(roots * np.stack([np.cross(axis, around) for axis in np.eye(3)], axis=-1))
    flat = np.concatenate(motions, axis=-1).reshape(3 * len(masses), -1)
    left, values, _ = np.linalg.svd(flat, full_matrices=False)
    return left[:, values > STILL * values[0]]


def _complement(motions: np.ndarray) -> np.ndarray:
    """Orthonormal basis of what is left."""
    left, _, _ = np.linalg.svd(motions, full_matrices=True)
    return left[:, motions.shape[1] :]
