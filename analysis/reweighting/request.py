"""What a user asks of ``beadwise reweight``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ...sampling import Method
from ..results import beside, stem_of


@dataclass(frozen=True)
class ReweightRequest:
    """What a user asks of ``beadwise reweight``.

    Parameters
    ----------
    runs : tuple of Path
        Folders of runs, i-PI inputs or RESTARTs.
    observables : tuple of str
        Properties of i-PI by their names, ``dipole``, ``polarizability``.
    distance : tuple of str or None
        Labels of two atoms whose distances are averaged.
    counts : bool
        Whether neighbours are counted, in place of a radial distribution function.
    profile : bool
        Whether a free-energy profile is made.
    variable : str or None
        Collective variable of the profile; None for the one that is biased.
    ranges : tuple of two ranges, or None
        Whose free-energy difference, of the second from the first, is made.
    biases : tuple of str
        Labels of the biases that count; all if there is none.
    method : str
        ``cea`` or ``direct``.
    skip : float or None
        Time at the beginning that is left out, in ps; None for a tenth.
    calibration, property_calibration : float
        α of the energies of the members, and of the dipoles and polarizabilities of each of them.
    limits : tuple of float or None
        Range of distances in Å, or of the variable.
    bins, blocks : int
    force : bool
        Whether numbers that would be refused are given.
    output : Path or None
        Name of the files to write, without the ending.
    """

    runs: tuple[Path, ...]
    observables: tuple[str, ...] = ()
    distance: tuple[str, str] | None = None
    counts: bool = False
    profile: bool = False
    variable: str | None = None
    ranges: tuple[tuple[float, float], tuple[float, float]] | None = None
    biases: tuple[str, ...] = ()
    method: str = "cea"
    skip: float | None = None
    calibration: float = 1.0
    property_calibration: float = 1.0
    limits: tuple[float, float] | None = None
    bins: int = 50
    blocks: int = 16
    force: bool = False
    output: Path | None = None

    def method_for(self, independent: bool) -> Method:
        """How averages are made of runs that are independent of each other, or not."""
        return Method(self.method, self.calibration, self.blocks, independent, self.force)

    @property
    def stem(self) -> Path:
        """Path of the files to write, without the ending."""
        return stem_of(self.output, beside(self.runs[0], "reweighted", self.method, *self._what))

    @property
    def _what(self) -> tuple[str, ...]:
        """What is averaged, in words of a file's name."""
        if self.distance is not None:
            return ("count" if self.counts else "g", "-".join(self.distance))
        return ("profile", *filter(None, (self.variable,))) if self.profile else ()
