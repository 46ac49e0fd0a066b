"""What a fitted Hamiltonian is worth: errors of elements, levels and gaps on frames that were not fitted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ....model.orbitals.basis import OrbitalError
from ....model.orbitals.levels import Levels
from ....model.orbitals.model import HamiltonianModel
from .matrices import Molecules

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


def hamiltonian_errors(model: HamiltonianModel, molecules: Sequence[Molecules]) -> HamiltonianErrors:
    """Compare matrices, levels and gaps with their labels."""
    squares, spread, elements, frames = 0.0, 0.0, 0, 0
    filled: list[np.ndarray] = []
    empty: list[np.ndarray] = []
    gaps: list[tuple[np.ndarray, np.ndarray]] = []
    for own in molecules:
        found = model.hamiltonian.matrices(own.batch)
        squares += float(((found - own.hamiltonian) ** 2).sum())
        spread += float(((own.hamiltonian - own.hamiltonian.mean(axis=0)) ** 2).sum())
        elements, frames = elements + found.size, frames + len(found)
        ours = model.levels(own.batch)
        theirs = Levels.of(own.hamiltonian, own.overlap, ours.electrons)
        differences = np.abs(ours.energies - theirs.energies)
        try:
            count = ours.filled
        except OrbitalError:  # an odd number of electrons
            count = int(np.ceil(ours.electrons / 2))
        else:
            gaps.append((ours.gap, theirs.gap))
        filled.append(differences[:, :count].ravel())
        empty.append(differences[:, count:].ravel())
    ours_of_gap, theirs_of_gap = (np.concatenate([pair[side] for pair in gaps] or [np.zeros(0)]) for side in (0, 1))
    return HamiltonianErrors(
        frames,
        float(np.sqrt(squares / max(elements, 1))),
        _mean(np.concatenate(filled)),
        _mean(np.concatenate(empty)),
        _mean(np.abs(ours_of_gap - theirs_of_gap)),
        float(theirs_of_gap.std()) if len(theirs_of_gap) else np.nan,
        float(np.sqrt(spread / max(elements, 1))),
    )


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else np.nan
