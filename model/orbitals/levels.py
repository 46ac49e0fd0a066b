"""Levels of single-particle Hamiltonians, what electrons make of them, and what a free energy says of the matrices."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import linalg
from scipy.special import expit

from ...properties.mermin import BOLTZMANN, entropy_of
from .basis import OrbitalError

PER_LEVEL = 2.0  # electrons
SMALLEST_OVERLAP = 1e-6
SAME_LEVEL = 1e-9  # of the range of all levels


@dataclass(frozen=True)
class Levels:
    """Levels and orbitals of closed-shell Hamiltonians, two electrons at most in each.

    Parameters
    ----------
    energies : ndarray of float64, shape (beads, orbitals)
        In eV, ascending.
    orbitals : ndarray of float64, shape (beads, orbitals, orbitals)
        Coefficients of each level in a column, C^T S C = 1.
    electrons : float
    """

    energies: np.ndarray
    orbitals: np.ndarray
    electrons: float

    @classmethod
    def of(cls, hamiltonian: np.ndarray, overlap: np.ndarray | None, electrons: float) -> Levels:
        """Solve H C = S C ε for every bead.

        Raises
        ------
        OrbitalError
            If the electrons do not fit, or an overlap is not positive.
        """
        most = 2 * hamiltonian.shape[1]
        if not 0 <= electrons <= most:
            raise OrbitalError(f"{electrons:g} electrons in {hamiltonian.shape[1]} orbitals; allowed are 0 to {most}")
        if overlap is None:
            return cls(*np.linalg.eigh(hamiltonian), electrons)
        smallest = float(np.linalg.eigvalsh(overlap).min(initial=1.0))
        if smallest < SMALLEST_OVERLAP:
            raise OrbitalError(
                f"the overlap has the eigenvalue {smallest:.3g}; it must be above {SMALLEST_OVERLAP:g}: the structure "
                "is outside of what the model was fitted to"
            )
        found = [linalg.eigh(own, metric) for own, metric in zip(hamiltonian, overlap, strict=True)]
        return cls(np.stack([one for one, _ in found]), np.stack([own for _, own in found]), electrons)

    @property
    def filled(self) -> int:
        """Levels that hold two electrons each at zero temperature.

        Raises
        ------
        OrbitalError
            If the number of electrons is odd or broken, or a level above or below the gap is missing.
        """
        filled = round(self.electrons / 2)
        if abs(self.electrons - 2 * filled) > 1e-9 or not 0 < filled < self.energies.shape[1]:
            raise OrbitalError(
                f"{self.electrons:g} electrons in {self.energies.shape[1]} levels have no gap; an even number is "
                f"needed, from 2 to {2 * self.energies.shape[1] - 2}"
            )
        return filled

    @property
    def gap(self) -> np.ndarray:
        """Lowest empty minus highest filled level in eV, shape (beads,)."""
        return self.energies[:, self.filled] - self.energies[:, self.filled - 1]

    def occupations(self, temperature: float) -> tuple[np.ndarray, np.ndarray]:
        """Fermi level (beads,) in eV and occupations from 0 to 1, shape (beads, orbitals), at a temperature in K.

        At T = 0 electrons fill levels from below, and levels of one energy alike; μ is between the last and the next.
        """
        if not 0 <= temperature < np.inf:
            raise OrbitalError(f"an electronic temperature of {temperature:g} K; allowed are finite ones from 0")
        if temperature == 0:
            return self._ground()
        thermal = BOLTZMANN * temperature
        low = self.energies.min(axis=1, initial=np.inf) - 60 * thermal
        high = self.energies.max(axis=1, initial=-np.inf) + 60 * thermal
        if not 0 < self.electrons < 2 * self.energies.shape[1]:
            level = low if self.electrons == 0 else high
            return level, np.full_like(self.energies, float(self.electrons > 0))
        # where all is full or empty to the last digit, every level in the gap would do: the middle is taken
        below, above = (self._bisected(low, high, thermal, has_all) for has_all in (False, True))
        level = (below + above) / 2
        return level, expit((level[:, None] - self.energies) / thermal)

    def _bisected(self, low: np.ndarray, high: np.ndarray, thermal: float, has_all: bool) -> np.ndarray:
        """The lowest level, or the highest, at which the number of electrons is right."""
        filled = int(self.electrons // 2)
        is_below = np.arange(self.energies.shape[1]) < filled
        for _ in range(200):
            middle = (low + high) / 2
            reduced = (middle[:, None] - self.energies) / thermal
            # holes in what is filled at T = 0 are counted, and not its electrons: no digit is lost
            excess = np.where(is_below, -expit(-reduced), expit(reduced)).sum(axis=1) - (self.electrons / 2 - filled)
            few = excess <= 0 if has_all else excess < 0
            low, high = np.where(few, middle, low), np.where(few, high, middle)
        return (low + high) / 2

    def _ground(self) -> tuple[np.ndarray, np.ndarray]:
        count = self.energies.shape[1]
        left = np.clip(self.electrons / 2 - np.arange(count), 0.0, 1.0)
        shared = np.empty_like(self.energies)
        for own, energies in zip(shared, self.energies, strict=True):
            starts = np.flatnonzero(np.diff(energies, prepend=-np.inf) > SAME_LEVEL * max(np.ptp(energies), 1e-12))
            sizes = np.diff([*starts, count])
            own[:] = np.repeat(np.add.reduceat(left, starts) / sizes, sizes)
        filled = min(int(np.ceil(self.electrons / 2)), count)
        below = self.energies[:, max(filled - 1, 0)]
        above = self.energies[:, min(round(self.electrons / 2), count - 1)]
        return (below + above) / 2, shared

    def free_energy(self, temperature: float) -> np.ndarray:
        """A = Σ 2 f ε − TS in eV, shape (beads,), of electrons that do not see each other (Mermin 1965)."""
        _, filled = self.occupations(temperature)
        return 2 * (filled * self.energies).sum(axis=1) - temperature * self.entropy(temperature)

    def entropy(self, temperature: float) -> np.ndarray:
        """S in eV/K, shape (beads,), of two electrons in each level; see `beadwise.properties.mermin`."""
        _, filled = self.occupations(temperature)
        return BOLTZMANN * entropy_of(filled, 1 - filled, PER_LEVEL)

    def densities(self, temperature: float) -> tuple[np.ndarray, np.ndarray]:
        """P = Σ 2 f C C^T and W = Σ 2 f ε C C^T, so that dA = Tr P dH − Tr W dS.

        Derivatives of orbitals are not needed, so this holds where levels are degenerate, too.

        Returns
        -------
        tuple of ndarray of float64, shapes (beads, orbitals, orbitals)
        """
        _, filled = self.occupations(temperature)
        transposed = self.orbitals.swapaxes(1, 2)
        return (
            (self.orbitals * (2 * filled)[:, None]) @ transposed,
            (self.orbitals * (2 * filled * self.energies)[:, None]) @ transposed,
        )
