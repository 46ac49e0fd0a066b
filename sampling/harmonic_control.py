"""The quantum kinetic energy with a harmonic crystal as control variate: what fluctuates is anharmonic alone.

For ring polymers sampled from exp(−(β/P) U), U = Σ_j V(q_j) + Σ_k ω_k² x_k²/2 in mass-weighted modes x_k of the ring,
ω_k = (2P/βħ) sin(kπ/P), partial integration gives ⟨Σ_k F_k·∂U/∂x_k⟩ = (P/β) ⟨Σ_k ∇_k·F_k⟩ for any field F, for any
V: an average that is known, and that may be taken off an estimator times anything (R. Assaraf, M. Caffarel, Phys.
Rev. Lett. 83, 4682 (1999); A. Mira, R. Solgi, D. Imparato, Stat. Comput. 23, 653 (2013)).  The centroid-virial kinetic
energy is 3N/2β − (1/2P) Σ_{k>0} x_k·f_k, with the forces f_k in the same modes.  For a harmonic crystal of squared
frequencies D the field F_k = D (ω_k² + D)⁻¹ x_k/2P takes away all that fluctuates, and in general there is left

    T = T_har + (1/2P) Σ_{k>0} x_k · ω_k² (ω_k² + D)⁻¹ (−f_k − D x_k),   2β T_har = 3N + Σ_{k>0} tr D (ω_k² + D)⁻¹,

where T_har is what the harmonic crystal has with P beads.  The mean is that of the plain estimator, whatever D is.  The
centroid is in none of the modes, so that it does not matter where the crystal is, nor whether its centre is held.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from ase import units

from .errors import SamplingError
from .mass_integration import check_beads

HBAR = units._hbar * units.J * units.s  # in eV times ASE's unit of time, Å √(u/eV)
UNSTABLE = 1e-8  # of the largest squared frequency; what is negative by less is rounding of a translation


class HarmonicControl:
    """The harmonic crystal as control variate of the kinetic energy of ring polymers.

    Parameters
    ----------
    hessian : ndarray of float64, shape (3 atoms, 3 atoms)
        In eV/Å², at the minimum.
    masses : ndarray of float64, shape (atoms,)
        Of the run, in u.
    temperature : float
        In K.
    beads : int
        P.

    Raises
    ------
    SamplingError
        If the shapes do not belong together, a mode is unstable, a mass, the temperature is not positive, or the
        beads are not two or more.
    """

    def __init__(self, hessian: np.ndarray, masses: np.ndarray, temperature: float, beads: int):
        hessian, masses = np.asarray(hessian, dtype=np.float64), np.asarray(masses, dtype=np.float64)
        if masses.ndim != 1 or hessian.shape != (3 * len(masses), 3 * len(masses)) or not masses.size:
            raise SamplingError(
                f"a Hessian has the shape {hessian.shape}, and masses {masses.shape}; (3 atoms, 3 atoms) and (atoms,) "
                "are needed"
            )
        if not np.isfinite(hessian).all() or not (np.isfinite(masses) & (masses > 0)).all():
            raise SamplingError("a Hessian or masses are not finite, or a mass is not positive; all must be")
        if not (np.isfinite(temperature) and temperature > 0) or beads < 2 or beads % 1:
            raise SamplingError(
                f"{temperature} K and {beads} beads; beads are a whole number, and a temperature above 0 and "
                "two beads are needed"
            )
        self._thermal = units.kB * temperature
        self._roots = np.sqrt(np.repeat(masses, 3))
        dynamical = hessian / self._roots[:, None] / self._roots
        self._squares, self._modes = np.linalg.eigh((dynamical + dynamical.T) / 2)
        if self._squares[0] < -UNSTABLE * np.abs(self._squares).max():
            raise SamplingError(f"a squared frequency is {self._squares[0]:.3g}; a harmonic crystal has none below 0")
        self._squares = np.maximum(self._squares, 0.0)
        self._ring = modes_of_ring(beads)[1:]
        own = (2 * beads * self._thermal / HBAR * np.sin(np.pi * np.arange(1, beads) / beads)) ** 2
        self._of_springs = own[:, None] / (own[:, None] + self._squares)

    @cached_property
    def kinetic_energy(self) -> float:
        """T_har, exact mean of the harmonic crystal with P beads, in eV of all atoms."""
        return float(self._thermal / 2 * (len(self._squares) + (1 - self._of_springs).sum()))

    def anharmonic_kinetic_energy(self, positions: np.ndarray, forces: np.ndarray) -> np.ndarray:
        """T − T_har of samples.

        Parameters
        ----------
        positions : ndarray of float64, shape (samples, beads, atoms, 3)
            In Å, or displacements from the sites; the beads of an atom together, not folded into a cell one by one.
        forces : ndarray of float64, shape (samples, beads, atoms, 3)
            −∂V/∂q_k of every bead, in eV/Å, not divided by P.

        Returns
        -------
        ndarray of float64, shape (samples,)
            In eV of all atoms.

        Raises
        ------
        SamplingError
            If the shapes are others, or a number is not finite.
        """
        positions, forces = check_beads(positions, forces)
        beads, coordinates = len(self._ring) + 1, len(self._roots)
        if positions.shape[1] != beads or 3 * positions.shape[2] != coordinates:
            raise SamplingError(
                f"positions have the shape {positions.shape}; (samples, {beads}, {coordinates // 3}, 3) is needed"
            )
        shape = (len(positions), beads, coordinates)
        displaced = self._ring @ positions.reshape(shape) * self._roots @ self._modes
        forces = self._ring @ forces.reshape(shape) / self._roots @ self._modes
        work = self._of_springs * displaced * (-forces - self._squares * displaced)
        return np.asarray(work.sum(axis=(1, 2)) / (2 * beads))


def modes_of_ring(beads: int) -> np.ndarray:
    """Modes of a ring of beads, orthonormal and real, one per row, shape (beads, beads); the first is the centroid."""
    angles = 2 * np.pi / beads * np.outer(np.arange(beads), np.arange(beads))
    # cosine plus sine of one angle is real, and for k and P − k orthogonal (the transform of R. N. Bracewell)
    return np.asarray((np.cos(angles) + np.sin(angles)) / np.sqrt(beads))
