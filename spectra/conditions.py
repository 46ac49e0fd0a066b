"""Under what conditions a series was recorded."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import SeriesError
from .quantum import CORRECTIONS, HARMONIC

CLASSICAL = "classical"


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
    quantum_correction : str
        Factor that makes a quantum line shape of a classical one, out of `beadwise.spectra.quantum.CORRECTIONS`; the
        harmonic one, which is exact for a Kubo line shape, needs no word on the output.

    Raises
    ------
    SeriesError
        If a number is not positive, the correction is unknown, or it is another than the harmonic one for dynamics that
        is not named classical, as that of several beads or on the mean force of centroids: it approximates the Kubo
        line shape.
    """

    timestep: float
    temperature: float = 300.0
    volume: float = 1.0
    dynamics: str = CLASSICAL
    beads: int = 1
    quantum_correction: str = HARMONIC

    def __post_init__(self) -> None:
        for name, unit in (("timestep", "fs"), ("temperature", "K"), ("volume", "Å³"), ("beads", "")):
            value = getattr(self, name)
            if not value > 0:
                raise SeriesError(f"{name} is {value} {unit}".rstrip() + "; it must be positive")
        if self.quantum_correction not in CORRECTIONS:
            raise SeriesError(
                f"the quantum correction is '{self.quantum_correction}'; allowed are {', '.join(CORRECTIONS)}"
            )
        is_classical = self.beads == 1 and self.dynamics.lower().startswith(CLASSICAL)
        if not is_classical and self.quantum_correction != HARMONIC:
            beads = f" with {self.beads} beads" if self.beads > 1 else ""
            raise SeriesError(
                f"quantum correction '{self.quantum_correction}' of {self.dynamics}{beads}; allowed is {HARMONIC}, "
                f"which is exact for a Kubo line shape, and others for dynamics whose name begins with {CLASSICAL}"
            )

    @property
    def label(self) -> str:
        """Dynamics, beads and temperature in a few words."""
        beads = f", {self.beads} beads" if self.beads > 1 else ""
        own = self.quantum_correction
        named = {HARMONIC: "", "none": ", no quantum correction", "schofield": ", Schofield quantum correction"}
        corrected = named.get(own, f", {own} quantum correction")
        return f"{self.dynamics}{beads}, {self.temperature:g} K{corrected}"
