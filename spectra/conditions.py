"""Under what conditions a series was recorded."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import SeriesError


@dataclass(frozen=True)
class Conditions:
    """What a spectrum needs to know beside the series.

    Parameters
    ----------
    timestep : float
        Time between samples, in fs.
    temperature : float
        In K.
    volume : float
        Of the cell, in Å³.
    dynamics : str
        Name of the dynamics, as it is written on the output: ``classical``, ``RPMD``, ``TRPMD``.
    beads : int
        Number of beads.

    Raises
    ------
    SeriesError
        If a number is not positive.
    """

    timestep: float
    temperature: float = 300.0
    volume: float = 1.0
    dynamics: str = "classical"
    beads: int = 1

    def __post_init__(self) -> None:
        for name, unit in (("timestep", "fs"), ("temperature", "K"), ("volume", "Å³"), ("beads", "")):
            value = getattr(self, name)
            if not value > 0:
                raise SeriesError(f"{name} is {value} {unit}".rstrip() + "; it must be positive")

    @property
    def label(self) -> str:
        """Dynamics, beads and temperature in a few words."""
        beads = f", {self.beads} beads" if self.beads > 1 else ""
        return f"{self.dynamics}{beads}, {self.temperature:g} K"
