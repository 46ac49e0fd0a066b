"""What came out of free-energy perturbation, for people and for programs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase.units import kB

from ...json_text import plain
from ...sampling import AcceptanceRatio, Promotion
from ..results import PROMOTE, warned


@dataclass(frozen=True)
class PromotionReport:
    """A_REF − A_ML, and what speaks against trusting it.

    Parameters
    ----------
    promotion : Promotion
    acceptance : AcceptanceRatio or None
        Where the reference was sampled.
    atoms, beads : int
    masses : ndarray of float64, shape (atoms,)
        In u.
    free_energy : str
        Its letter: A at constant volume, G at constant pressure.
    model, reference : str
    kept : Path or None
        Where the reference energies are.
    warnings : tuple of str
        Of the runs; those of the samples are in `promotion` and `acceptance`.
    """

    promotion: Promotion
    acceptance: AcceptanceRatio | None
    atoms: int
    beads: int
    masses: np.ndarray
    free_energy: str
    model: str
    reference: str
    kept: Path | None
    warnings: tuple[str, ...]

    def lines(self) -> Iterator[str]:
        """What the command prints."""
        one = self.promotion
        thermal_energy = kB * one.temperature
        beads = "1 bead" if self.beads == 1 else f"{self.beads} beads"
        system = f"{self.atoms} atoms, {beads}, {one.temperature:g} K"
        yield f"{one.samples} samples of {system}, kT = {thermal_energy:.6f} eV"
        yield f"model {self.model}, reference {self.reference}"
        difference = f"{self.free_energy}_REF - {self.free_energy}_ML"
        yield f"{difference:<24}{'eV':>18}{'error':>11}{'meV/atom':>18}{'error':>11}"
        yield self._row("perturbation", one.difference, one.standard_error)
        yield self._row("second cumulant", one.second_cumulant, one.second_cumulant_standard_error)
        if self.acceptance is not None:
            yield self._row("acceptance ratio", self.acceptance.difference, self.acceptance.standard_error)
        yield self._row("mean of V_REF - V_ML", self.mean, None)
        yield self._row("perturbation - mean", one.difference - self.mean, None)
        yield (
            f"spread of h {one.spread:.3g} kT; autocorrelation time {one.autocorrelation_time:.2g} samples; "
            f"{one.independent_samples} independent, worth {one.effective_samples:.3g} of equal weight"
        )
        yield (
            f"for Gaussian h of this spread: error {one.predicted_standard_error:.2g} eV, "
            f"bias {one.predicted_bias:.2g} eV"
        )
        if self.acceptance is not None:
            other = self.acceptance
            yield f"overlap {other.overlap:.2g} with {other.reference_samples} independent samples of the reference"
        yield from warned(self.all_warnings)
        if self.kept is not None:
            yield f"reference energies are kept in {self.kept}"

    @property
    def mean(self) -> float:
        """⟨V_REF − V_ML⟩ in eV over the same samples, which is all that a constant offset changes."""
        return self.promotion.second_cumulant + kB * self.promotion.temperature * self.promotion.spread**2 / 2

    @property
    def all_warnings(self) -> tuple[str, ...]:
        """Whatever speaks against trusting the numbers."""
        of_both = self.acceptance.warnings if self.acceptance is not None else ()
        return (*self.warnings, *self.promotion.warnings, *of_both)

    def as_dict(self) -> dict[str, Any]:
        """The same for programs: energies in eV, None where a number is not known."""
        return {
            "made_by": PROMOTE,
            "model": self.model,
            "reference": self.reference,
            "atoms": self.atoms,
            "beads": self.beads,
            "masses": self.masses.tolist(),
            "free_energy": self.free_energy,
            "mean_difference": self.mean,
            "promotion": plain(self.promotion),
            "acceptance_ratio": plain(self.acceptance),
            "warnings": list(self.all_warnings),
        }

    def _row(self, name: str, energy: float, error: float | None) -> str:
        errors = [f"{'':>11}"] * 2
        if error is not None:
            errors = [f"{error:>11.2g}", f"{1000 * error / self.atoms:>11.2g}"]
        return f"{name:<24}{energy:>18.6f}{errors[0]}{1000 * energy / self.atoms:>18.4f}{errors[1]}".rstrip()
