"""From runs with heavier atoms to the quantum free energy: what ``beadwise mass-integration`` does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...runs.input.dynamics import Ensemble
from ...runs.input.elements import InputError
from ...runs.input.run_input import RunInput
from ...runs.source import find_run
from ...sampling import MassIntegration, integrate_over_mass
from ...sampling.mass_integration import fitting_rule
from ...whole_files import write_table
from ...with_errors import with_error
from ..formula_unit import formula_unit
from ..results import MASS_INTEGRATION, beside, stem_of, warned, write_files
from .kinetic_energies import kinetic_energy_of
from .masses import DALTON, KINETIC_ENERGY, labels_and_ratio

LARGEST_GAP = 0.25  # of the trapezoidal rule, whose error is of its second order
FEWEST_MASSES = 3
MILLI = 1000


@dataclass(frozen=True)
class MassRun:
    """Mean kinetic energy of one run.

    Parameters
    ----------
    source : Path
    ratio : float
        y, the square root of the mass over that of the run.
    beads : int
    labels : tuple of str
        Of the atoms.
    masses : ndarray of float64, shape (atoms,)
        Of the same atoms at y = 1, in u.
    ensemble : Ensemble
    mean, standard_error : float
        Of the centroid-virial kinetic energy of all atoms, in eV.
    rows : int
        Of the property output that the mean is of.
    autocorrelation_time : float
        In rows.
    """

    source: Path
    ratio: float
    beads: int
    labels: tuple[str, ...]
    masses: np.ndarray
    ensemble: Ensemble
    mean: float
    standard_error: float
    rows: int
    autocorrelation_time: float


@dataclass(frozen=True)
class MassReport:
    """What came out.

    Parameters
    ----------
    runs : list of MassRun
        By increasing y.
    integration : MassIntegration
    first : Path
        Of the runs as the user named them.
    """

    runs: list[MassRun]
    integration: MassIntegration
    first: Path

    @property
    def atoms(self) -> int:
        """Number of atoms."""
        return len(self.runs[0].labels)

    def lines(self) -> Iterator[str]:
        """What the command prints."""
        first, result = self.runs[0], self.integration
        unit, units = formula_unit(first.labels)
        yield f"{self.atoms} atoms, {units} x {unit}, {first.ensemble.temperature:g} K, rule {result.rule}"
        yield "T_CV and the integrand (2/y)(T_CV - 3/2 kT) in meV per atom, the autocorrelation time tau in rows"
        yield f"{'y':>9}{'mass':>10}{'beads':>7}{'T_CV':>12}{'error':>9}{'integrand':>12}{'rows':>8}{'tau':>7}"
        for run, value in zip(self.runs, result.integrand, strict=True):
            mean, error, value = (MILLI * energy / self.atoms for energy in (run.mean, run.standard_error, value))
            yield (
                f"{run.ratio:>9.5f}{run.ratio**-2:>10.4g}{run.beads:>7}{mean:>12.4f}{error:>9.2g}{value:>12.4f}"
                f"{run.rows:>8}{run.autocorrelation_time:>7.2g}"
            )
        letter = first.ensemble.free_energy
        yield f"{letter}_q - {letter}_cl = {with_error(f'{result.difference:.6f}', result.standard_error, 'eV')}"
        for count, name in ((self.atoms, "atom"), (units, unit)):
            value, error = (MILLI * energy / count for energy in (result.difference, result.standard_error))
            yield f"           = {with_error(f'{value:.4f}', error, f'meV per {name}')}"
        yield from warned(self.warnings)

    @property
    def warnings(self) -> list[str]:
        """What speaks against trusting the numbers."""
        of_runs = (run.ensemble.warning(run.source) for run in self.runs)
        return list(filter(None, (self._warning_of_rule(), *of_runs)))

    def _warning_of_rule(self) -> str:
        """What is to be said of masses that are too few for the integral; empty if they are enough."""
        result = self.integration
        if result.rule == "trapezoidal":
            gap = np.diff(result.root_mass_ratios, prepend=0.0).max()
            if gap <= LARGEST_GAP:
                return ""
            what = f"the trapezoidal rule has neighbouring y {gap:.2g} apart, more than {LARGEST_GAP:g}"
        elif len(self.runs) < FEWEST_MASSES:
            what = f"the masses are {len(self.runs)}, less than {FEWEST_MASSES}"
        else:
            return ""
        return f"{what}: the error of the rule, which ± does not hold, may be far larger; --prepare makes more runs"

    def as_dict(self) -> dict[str, Any]:
        """The same for programs, in eV of all atoms."""
        unit, units = formula_unit(self.runs[0].labels)
        result = self.integration
        return {
            "made_by": MASS_INTEGRATION,
            "difference": result.difference,
            "standard_error": result.standard_error,
            "atoms": self.atoms,
            "formula_unit": unit,
            "formula_units": units,
            "temperature": self.runs[0].ensemble.temperature,
            "free_energy": self.runs[0].ensemble.free_energy,
            "masses": self.runs[0].masses.tolist(),
            "rule": result.rule,
            "warnings": self.warnings,
            "runs": [
                {
                    "source": str(run.source),
                    "root_mass_ratio": run.ratio,
                    "beads": run.beads,
                    "kinetic_energy": run.mean,
                    "standard_error": run.standard_error,
                    "integrand": float(value),
                    "weight": float(weight),
                    "rows": run.rows,
                    "autocorrelation_time": run.autocorrelation_time,
                }
                for run, value, weight in zip(self.runs, result.integrand, result.weights, strict=True)
            ],
        }

    def write(self, output: Path | None) -> list[Path]:
        """Write the integrand as CSV and PNG.

        Parameters
        ----------
        output : Path or None
            Name of the files, with an ending or without; None for one beside the first run.

        Returns
        -------
        list of Path
            The table and the picture.

        Raises
        ------
        BeadwiseError
            If they cannot be written.
        """
        result = self.integration
        errors = np.array([2 / run.ratio * run.standard_error for run in self.runs])
        rows = zip(result.root_mass_ratios, result.integrand, errors, result.weights, strict=True)

        def draw(image: Path) -> None:
            from ...sampling.mass_plot import plot_integrand  # takes long to import

            plot_integrand(result, errors, self.atoms, image)

        header = ("y", "integrand/eV", "standard error/eV", "weight")
        return write_files(
            stem_of(output, beside(self.first, "mass_integration")),
            {".csv": lambda table: write_table(table, (), [header, *rows]), ".png": draw},
        )


def integrate(paths: Sequence[Path], skip: float | None = None) -> MassReport:
    """Read the kinetic energies of runs with scaled masses, and integrate over the mass.

    Parameters
    ----------
    paths : sequence of Path
        Folders of runs, i-PI inputs or RESTARTs.
    skip : float, optional
        Time to leave out of each run, in ps; by default a tenth of it.

    Raises
    ------
    InputError
        If a run cannot be used, or runs do not belong together.
    SamplingError
        If a run is too short, or no rule suits the masses.
    """
    runs = sorted((_read_run(find_run(path), skip) for path in paths), key=lambda run: run.ratio)
    first = runs[0]
    for run in runs[1:]:
        if run.labels != first.labels:
            raise InputError(f"'{first.source}' and '{run.source}' have different atoms, or in a different order")
        if run.ensemble.name != first.ensemble.name:
            raise InputError(
                f"'{first.source}' is at {first.ensemble.name} and '{run.source}' at {run.ensemble.name}; they must be "
                "the same"
            )
    ratios = np.array([run.ratio for run in runs])
    integration = integrate_over_mass(
        ratios,
        np.array([run.mean for run in runs]),
        len(first.labels),
        first.ensemble.temperature,
        np.array([run.standard_error for run in runs]),
        fitting_rule(ratios),
    )
    return MassReport(runs, integration, paths[0])


def _read_run(run: RunInput, skip: float | None) -> MassRun:
    labels, ratio = labels_and_ratio(run)
    system = run.only_system()
    energy = kinetic_energy_of(run, KINETIC_ENERGY, skip)
    return MassRun(
        source=run.path,
        ratio=ratio,
        beads=system.beads,
        labels=labels,
        masses=system.atoms.masses / DALTON * ratio**2,
        ensemble=system.ensemble,
        mean=energy.mean,
        standard_error=energy.standard_error,
        rows=energy.rows,
        autocorrelation_time=energy.autocorrelation_time,
    )
