"""How averages over the ensembles of members are made, and what their errors come from."""

from __future__ import annotations

from dataclasses import dataclass

from .errors import SamplingError
from .member_deviations import METHODS, check_positive


@dataclass(frozen=True)
class Method:
    """How averages over the ensembles of members are made.

    Parameters
    ----------
    name : str
        ``direct``: <a>_i = <a e^(−h_i)>/<e^(−h_i)>. ``cea``: the cumulant expansion of this to first order in h_i,
        <a>_i ≈ <a> − [<a h_i> − <a><h_i>], exact where a and h_i are jointly Gaussian, and far less noisy (Ceriotti,
        Brain, Riordan, Manolopoulos, Proc. R. Soc. A 468, 2 (2012)).
    calibration : float
        α of V_i ← V̄ + α (V_i − V̄).
    blocks : int
        Contiguous parts of the run that errors come from, where there are fewer than 8 runs; with more, which have to
        be independent of each other, errors are those between runs.
    independent : bool
        Whether the runs are; walkers that deposit into one bias are not, and are cut into blocks however many.
    forced : bool
        Whether numbers that would be refused because members are too far from the run are given, with a warning.

    Raises
    ------
    SamplingError
        If there is no such method, or the calibration is not positive.
    """

    name: str = "cea"
    calibration: float = 1.0
    blocks: int = 16
    independent: bool = True
    forced: bool = False

    def __post_init__(self) -> None:
        if self.name not in METHODS:
            raise SamplingError(f"the method {self.name!r} is unknown; there are {', '.join(METHODS)}")
        check_positive("calibration", self.calibration)

    @property
    def is_direct(self) -> bool:
        """Whether members have weights, in place of an expansion."""
        return self.name == "direct"


CEA = Method()
