"""What every reader of a series gives: samples, and what its file says of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

CELL_CHANGE, RARE = 0.01, 0.1  # of the volume between two frames; share of the frames that see a change


@dataclass
class Source:
    """One series.  What its file says is known after the first samples; what it does not say is None, 0 or empty.

    Parameters
    ----------
    path : Path
        For messages.
    beads : int
        That the samples are means of.
    stride : int
        Steps between samples.
    spacing : float or None
        Time between samples, in fs.
    volumes : tuple of float or None
        Lowest, mean and highest volume of the cell, in Å³.
    volume_of_samples : ndarray of float64, shape (samples,), or None
        Volume of the cell of each sample in Å³, where it changes.
    steps : ndarray of int64, shape (samples,), or None
        Of those samples that `samples` gave last.
    cell : ndarray of float64, shape (3, 3), or None
        Lattice vectors in Å, one per row, where they are the same for all samples.
    unit : str
        That the numbers in the file were taken to be in; empty for units of e, Å and eV.
    tells_unit : bool
        Whether the file says so itself.
    remarks : list of str
        What a user should know of how it was read.
    """

    path: Path
    beads: int = field(default=0, kw_only=True)
    stride: int = field(default=0, kw_only=True)
    spacing: float | None = field(default=None, kw_only=True)
    volumes: tuple[float, float, float] | None = field(default=None, kw_only=True)
    volume_of_samples: np.ndarray | None = field(default=None, kw_only=True)
    steps: np.ndarray | None = field(default=None, kw_only=True)
    cell: np.ndarray | None = field(default=None, kw_only=True)
    unit: str = field(default="", kw_only=True)
    tells_unit: bool = field(default=False, kw_only=True)
    remarks: list[str] = field(default_factory=list, kw_only=True)

    def samples(self) -> Iterator[dict[str, np.ndarray]]:
        """Consecutive samples by the name of their series, some at a time, in units of e, Å and eV."""
        raise NotImplementedError

    def count(self) -> int:
        """Number of samples that count, of series of different lengths that of the shortest."""
        return min((len(values) for samples in self.samples() for values in samples.values()), default=0)

    def set_cells(self, cells: np.ndarray) -> str:
        """Take in the cells of all samples; what is wrong with them, empty if nothing.

        Parameters
        ----------
        cells : ndarray of float64, shape (samples, 3, 3)
            In Å.
        """
        volumes = np.abs(np.linalg.det(cells))
        if not np.isfinite(volumes).all() or not (volumes > 0).all():
            return ""  # no cell in three directions
        changes = np.abs(np.diff(cells, axis=0)).max(axis=(1, 2), initial=0.0) > 1e-6 * np.abs(cells).max()
        jumps = np.abs(np.diff(volumes)) > CELL_CHANGE * volumes[1:]
        if changes.any() and (jumps.any() or changes.mean() < RARE):
            place = int(np.argmax(jumps if jumps.any() else changes)) + 1
            return (
                f"frame {place} of '{self.path}' has a cell of {volumes[place]:.6g} Å³, the one before "
                f"{volumes[place - 1]:.6g} Å³; the frames of one run are needed"
            )
        self.cell = None if changes.any() else cells[0]
        self.volume_of_samples = volumes if changes.any() else None
        self.volumes = float(volumes.min()), float(volumes.mean()), float(volumes.max())
        return ""
