"""Labels of a fit to levels alone: structures with their levels, and the matrices that the fit begins from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase.data import atomic_numbers

from ....model import Batch
from ....model.orbitals.model import HamiltonianModel
from ....properties.unit_names import ENERGY, in_own_units
from ...data import DataError, read_frames
from .errors import POOR, ComparedLevels
from .guess import guessed_matrices
from .matrices import Molecules, check_charge, joined, read_molecules
from .sections import HamiltonianConfiguration


@dataclass(frozen=True)
class Spectra:
    """Frames of one molecule with their levels.

    Parameters
    ----------
    start : Molecules
        Frames, and matrices that the fit begins from.
    levels : ndarray of float64, shape (frames, levels)
        In eV, ascending; the lowest of the model are compared with them.
    """

    start: Molecules
    levels: np.ndarray

    @property
    def batch(self) -> Batch:
        """Their structures."""
        return self.start.batch

    def part(self, chosen: np.ndarray) -> Spectra:
        """Some of the frames."""
        return Spectra(self.start.part(chosen), self.levels[chosen])


def read_spectra(configuration: HamiltonianConfiguration) -> list[Spectra]:
    """All frames of all files, those of the same atoms together.

    Raises
    ------
    DataError
        If a file is missing or holds something else, or frames of the same atoms have different numbers of levels.
    """
    data = configuration.data
    found: dict[bytes, list[tuple[Batch, np.ndarray]]] = {}
    for structures in data.train:
        for number, frame in enumerate(read_frames(configuration.folder / structures)):
            where = f"{structures}, frame {number}"
            if frame.atoms.pbc.any():
                raise DataError(f"{where} is periodic; Hamiltonians are fitted to molecules")
            check_charge(frame.atoms, data.charge, where)
            levels = _levels_of(frame.atoms.info.get(data.levels), data.levels, where)
            levels = np.sort(levels)[data.skipped_levels :] * in_own_units(data.unit, ENERGY)
            if not len(levels):
                raise DataError(
                    f"{where} has no level beside skipped_levels = {data.skipped_levels} in [data]; more are needed"
                )
            found.setdefault(frame.atoms.numbers.tobytes(), []).append((Batch.from_ase(frame.atoms), levels))
    starts = _starts(configuration, found)
    return [Spectra(start, _together(own, start)) for own, start in zip(found.values(), starts, strict=True)]


def _levels_of(value: Any, name: str, where: str) -> np.ndarray:
    if value is None:
        raise DataError(f"{where} has no '{name}'; the levels are needed, or their name as levels in [data]")
    try:
        # nine numbers in a comment are a matrix by columns for ASE
        array = np.array(value, dtype=np.float64).ravel(order="F")
    except (TypeError, ValueError):
        array = np.array([np.nan])
    if not np.isfinite(array).all():
        raise DataError(f"'{name}' of {where} is {value!r:.60}; finite numbers are needed")
    return array


def _together(own: Sequence[tuple[Batch, np.ndarray]], start: Molecules) -> np.ndarray:
    counts = sorted({len(levels) for _, levels in own})
    if len(counts) > 1:
        raise DataError(f"frames of the same atoms have {counts[0]} and {counts[-1]} levels; as many are needed in all")
    return np.array([levels for _, levels in own])[:, : start.hamiltonian.shape[1]]


def _starts(
    configuration: HamiltonianConfiguration, found: dict[bytes, list[tuple[Batch, np.ndarray]]]
) -> list[Molecules]:
    """Matrices of the files in the order of ``found``, or guessed ones."""
    if configuration.data.matrices:
        return read_molecules(configuration)  # of the same files, and so in the same order
    settings = configuration.hamiltonian
    levels = {atomic_numbers[symbol]: own for symbol, own in settings.start.items()}
    batches = [joined([batch for batch, _ in own]) for own in found.values()]
    return [Molecules(batch, guessed_matrices(settings.basis, levels, batch), None) for batch in batches]


@dataclass(frozen=True)
class LevelErrors:
    """Errors in eV on some frames, of the levels that there are labels of.

    Parameters
    ----------
    frames : int
    filled_levels, empty_levels : float
        Mean absolute errors; NaN where there are no labels.
    gap, gap_deviation : float
        Mean absolute error of the gap, and standard deviation of the gap itself; NaN where labels have none.
    deviation : float
        Root mean square of what levels of the labels differ from their mean over the frames by.
    """

    frames: int
    filled_levels: float
    empty_levels: float
    gap: float
    gap_deviation: float
    deviation: float

    def lines(self) -> list[str]:
        """For people, in meV."""
        found = [f"{self.frames} frames that were not fitted, mean absolute errors:"]
        for name, error in (("filled levels", self.filled_levels), ("empty levels", self.empty_levels)):
            if np.isfinite(error):
                found.append(f"  {name:14} {1e3 * error:9.3f} meV; they vary by {1e3 * self.deviation:.1f} meV")
        if np.isfinite(self.gap):
            found.append(f"  {'gap':14} {1e3 * self.gap:9.3f} meV; it varies by {1e3 * self.gap_deviation:.1f} meV")
        if self.frames > 1 and not np.nanmax([self.filled_levels, self.empty_levels]) < POOR * self.deviation:
            found.append(
                "warning: levels are missed by about as much as they vary; are unit, shells, electrons and "
                "skipped_levels those of the labels?"
            )
        return found


def level_errors(model: HamiltonianModel, spectra: Sequence[Spectra]) -> LevelErrors:
    """Compare levels and gaps with their labels."""
    compared, apart = ComparedLevels(), [np.zeros(0)]
    for own in spectra:
        compared.add(model.levels(own.batch), own.levels)
        apart.append((own.levels - own.levels.mean(axis=0)).ravel())
    deviation = float(np.sqrt(np.mean(np.concatenate(apart) ** 2)))
    return LevelErrors(frames=sum(own.batch.beads for own in spectra), deviation=deviation, **compared.errors())
