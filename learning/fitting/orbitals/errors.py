"""What a fitted Hamiltonian is worth: errors of elements, levels and gaps on frames that were not fitted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ....model.orbitals.levels import Levels
from ....model.orbitals.model import HamiltonianModel
from .matrices import Molecules
from .members import has_gap

POOR = 0.3  # of the deviation: from here on something is wrong with the labels


@dataclass(frozen=True)
class HamiltonianErrors:
    """Errors in eV on some frames.

    Parameters
    ----------
    frames : int
    element : float
        Root mean square error of an element of the matrix.
    filled_levels, empty_levels : float
        Mean absolute errors of levels.
    gap, gap_deviation : float
        Mean absolute error of the gap, and standard deviation of the gap itself; NaN without a gap.
    deviation : float
        Root mean square of what the elements of the labels differ from their mean over the frames by.
    """

    frames: int
    element: float
    filled_levels: float
    empty_levels: float
    gap: float
    gap_deviation: float
    deviation: float

    def lines(self) -> list[str]:
        """For people, in meV."""
        found = [
            f"{self.frames} frames that were not fitted:",
            f"  element of the matrix  {1e3 * self.element:9.3f} meV, root mean square; it varies by "
            f"{1e3 * self.deviation:.1f} meV",
            f"  filled levels          {1e3 * self.filled_levels:9.3f} meV, mean absolute",
            f"  empty levels           {1e3 * self.empty_levels:9.3f} meV, mean absolute",
        ]
        if np.isfinite(self.gap):
            found.append(
                f"  gap                    {1e3 * self.gap:9.3f} meV, mean absolute; it varies by "
                f"{1e3 * self.gap_deviation:.1f} meV"
            )
        if not self.element < POOR * self.deviation:
            found.append(
                "warning: elements are missed by about as much as they vary; are unit, shells, their order and p_order "
                "those of the matrices?"
            )
        return found


@dataclass
class ComparedLevels:
    """Levels and gaps beside their labels, molecule after molecule."""

    filled: list[np.ndarray] = field(default_factory=list)
    empty: list[np.ndarray] = field(default_factory=list)
    gaps: list[tuple[np.ndarray, np.ndarray]] = field(default_factory=list)

    def add(self, ours: Levels, labels: np.ndarray) -> None:
        """Levels of frames, and the lowest ones of their labels in eV, shape (frames, levels)."""
        count, filled = labels.shape[1], int(np.ceil(ours.electrons / 2))
        errors = np.abs(ours.energies[:, :count] - labels)
        self.filled.append(errors[:, :filled].ravel())
        self.empty.append(errors[:, filled:].ravel())
        if has_gap(ours) and count > filled:
            self.gaps.append((ours.gap, labels[:, filled] - labels[:, filled - 1]))

    def errors(self) -> dict[str, float]:
        """Mean absolute errors in eV and the deviation of the gap, by the names of `HamiltonianErrors`."""
        ours, theirs = (np.concatenate([pair[side] for pair in self.gaps] or [np.zeros(0)]) for side in (0, 1))
        return {
            "filled_levels": _mean(np.concatenate(self.filled or [np.zeros(0)])),
            "empty_levels": _mean(np.concatenate(self.empty or [np.zeros(0)])),
            "gap": _mean(np.abs(ours - theirs)),
            "gap_deviation": float(theirs.std()) if len(theirs) else np.nan,
        }


def hamiltonian_errors(model: HamiltonianModel, molecules: Sequence[Molecules]) -> HamiltonianErrors:
    """Compare matrices, levels and gaps with their labels."""
    squares, spread, elements, frames = 0.0, 0.0, 0, 0
    compared = ComparedLevels()
    for own in molecules:
        found = model.hamiltonian.matrices(own.batch)
        squares += float(((found - own.hamiltonian) ** 2).sum())
        spread += float(((own.hamiltonian - own.hamiltonian.mean(axis=0)) ** 2).sum())
        elements, frames = elements + found.size, frames + len(found)
        ours = model.levels(own.batch)
        compared.add(ours, Levels.of(own.hamiltonian, own.overlap, ours.electrons).energies)
    return HamiltonianErrors(
        frames=frames,
        element=float(np.sqrt(squares / max(elements, 1))),
        deviation=float(np.sqrt(spread / max(elements, 1))),
        **compared.errors(),
    )


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else np.nan
