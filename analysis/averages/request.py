"""What a user asks of ``beadwise average``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ..results import beside, stem_of

Frame = Literal["none", "crystal", "molecule"]


@dataclass(frozen=True)
class AverageRequest:
    """What is averaged, over which nuclei, in which frame.

    Parameters
    ----------
    runs : tuple of Path
        Of one system at one temperature, independent of each other.
    of : str
        Name of a property, as ``shielding``.
    minus : tuple of Path
        Runs, as the classical ones, whose means are taken away.
    masks : mapping of str to sequence of int
        Atoms by the name of a group.
    frame : str
        Of tensors: ``crystal``, the axes of the run, ``molecule``, those of the molecule, turned onto its first sample,
        or ``none`` for what no frame is needed for.
    references : mapping of str to float
        σ_ref in ppm by label of the atoms: shifts are given, too.
    skip : float or None
        Time at the beginning that is left out, in ps; None for a tenth.
    bins : int
        Of distributions.
    output : Path or None
        Name of the files to write, without the ending.
    """

    runs: tuple[Path, ...]
    of: str
    minus: tuple[Path, ...] = ()
    masks: Mapping[str, Sequence[int]] = field(default_factory=dict)
    frame: Frame = "none"
    references: Mapping[str, float] = field(default_factory=dict)
    skip: float | None = None
    bins: int = 60
    output: Path | None = None

    @property
    def stem(self) -> Path:
        """Path of the files to write, without the ending."""
        return stem_of(self.output, beside(self.runs[0], "average", self.of))
