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
from ...sampling.mass_integration import classical_kinetic_energy, fitting_rule
from ...whole_files import write_table
from ...with_errors import with_error
from ..formula_unit import formula_unit
from ..results import MASS_INTEGRATION, beside, stem_of, warned, write_files
from .control import Control, ControlledKineticEnergy
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
    controlled : ControlledKineticEnergy or None
        With the harmonic crystal as control variate, of which the mean and its error are then.
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
    controlled: ControlledKineticEnergy | None
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
        With a harmonic crystal of what is anharmonic alone.
    first : Path
        Of the runs as the user named them.
    control : Control or None
        The harmonic crystal.
    """

    runs: list[MassRun]
    integration: MassIntegration
    first: Path
    control: Control | None = None

    @property
    def harmonic(self) -> float:
        """A_q − A_cl of the harmonic crystal with infinitely many beads, in eV; 0 without one."""
        return 0.0 if self.control is None else self.control.difference(self.runs[0].ensemble.temperature)

    @property
    def difference(self) -> float:
        """A_q − A_cl in eV."""
        return self.harmonic + self.integration.difference

    @property
    def atoms(self) -> int:
        """Number of atoms."""
        return len(self.runs[0].labels)

    def lines(self) -> Iterator[str]:
        """What the command prints."""
        first, result = self.runs[0], self.integration
        unit, units = formula_unit(first.labels)
        yield f"{self.atoms} atoms, {units} x {unit}, {first.ensemble.temperature:g} K, rule {result.rule}"
        yield from self._table() if self.control is None else self._table_of_control(self.control)
        letter = first.ensemble.free_energy
        yield f"{letter}_q - {letter}_cl = {with_error(f'{self.difference:.6f}', result.standard_error, 'eV')}"
        for count, name in ((self.atoms, "atom"), (units, unit)):
            value, error = (MILLI * energy / count for energy in (self.difference, result.standard_error))
            yield f"           = {with_error(f'{value:.4f}', error, f'meV per {name}')}"
        yield from warned(self.warnings)

    def _table(self) -> Iterator[str]:
        """The integrand of each run."""
        yield "T_CV and the integrand (2/y)(T_CV - 3/2 kT) in meV per atom, the autocorrelation time tau in rows"
        yield f"{'y':>9}{'mass':>10}{'beads':>7}{'T_CV':>12}{'error':>9}{'integrand':>12}{'rows':>8}{'tau':>7}"
        for run, value in zip(self.runs, self.integration.integrand, strict=True):
            mean, error, value = (MILLI * energy / self.atoms for energy in (run.mean, run.standard_error, value))
            yield (
                f"{run.ratio:>9.5f}{run.ratio**-2:>10.4g}{run.beads:>7}{mean:>12.4f}{error:>9.2g}{value:>12.4f}"
                f"{run.rows:>8}{run.autocorrelation_time:>7.2g}"
            )

    def _table_of_control(self, control: Control) -> Iterator[str]:
        """The same with a harmonic crystal, and what it gives."""
        unit, units = formula_unit(self.runs[0].labels)
        yield f"harmonic crystal {control.file} as control variate"
        yield "T_CV, with its error, T_har of as many beads, and the integrand (2/y)(T_CV - T_har) in meV per atom; the"
        yield "error of T_CV without control variate (plain), and the autocorrelation time tau in rows"
        yield (
            f"{'y':>9}{'mass':>10}{'beads':>7}{'T_CV':>12}{'error':>9}{'plain':>9}{'T_har':>12}{'integrand':>12}"
            f"{'rows':>8}{'tau':>7}"
        )
        for run, value in zip(self.runs, self.integration.integrand, strict=True):
            assert run.controlled is not None
            own = run.controlled
            mean, error, plain, harmonic, value = (
                MILLI * energy / self.atoms
                for energy in (run.mean, run.standard_error, own.plain.standard_error, own.harmonic, value)
            )
            yield (
                f"{run.ratio:>9.5f}{run.ratio**-2:>10.4g}{run.beads:>7}{mean:>12.4f}{error:>9.2g}{plain:>9.2g}"
                f"{harmonic:>12.4f}{value:>12.4f}{run.rows:>8}{run.autocorrelation_time:>7.2g}"
            )
        rest = self.integration
        scale = MILLI / units
        anharmonic = with_error(f"{scale * rest.difference:.4f}", scale * rest.standard_error, f"meV per {unit}")
        yield f"harmonic {scale * self.harmonic:.4f} (infinitely many beads), anharmonic {anharmonic}"

    @property
    def warnings(self) -> list[str]:
        """What speaks against trusting the numbers."""
        of_runs = [run.ensemble.warning(run.source) for run in self.runs]
        of_samples = [run.controlled.warning(run.source) for run in self.runs if run.controlled is not None]
        return list(filter(None, (self._warning_of_rule(), *of_runs, *of_samples)))

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
            "difference": self.difference,
            "standard_error": result.standard_error,
            **self._of_control(),
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
                    **_of_controlled(run.controlled),
                }
                for run, value, weight in zip(self.runs, result.integrand, result.weights, strict=True)
            ],
        }

    def _of_control(self) -> dict[str, Any]:
        """What the harmonic crystal adds to that."""
        if self.control is None:
            return {}
        return {
            "harmonic": str(self.control.file),
            "harmonic_difference": self.harmonic,
            "anharmonic_difference": self.integration.difference,
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

            plot_integrand(result, errors, self.atoms, image, None if self.control is None else self.harmonic)

        header = ("y", "integrand/eV", "standard error/eV", "weight")
        return write_files(
            stem_of(output, beside(self.first, "mass_integration")),
            {".csv": lambda table: write_table(table, (), [header, *rows]), ".png": draw},
        )


def integrate(paths: Sequence[Path], skip: float | None = None, harmonic: Path | None = None) -> MassReport:
    """Read the kinetic energies of runs with scaled masses, and integrate over the mass.

    Parameters
    ----------
    paths : sequence of Path
        Folders of runs, i-PI inputs or RESTARTs.
    skip : float, optional
        Time to leave out of each run, in ps; by default a tenth of it.
    harmonic : Path, optional
        Harmonic crystal of the runs, which write positions and forces of all beads: then what it has is taken from its
        closed form, and only what is anharmonic from the runs.

    Raises
    ------
    BeadwiseError
        If a run or the harmonic crystal cannot be used, or they do not belong together.
    SamplingError
        If a run is too short, or no rule suits the masses.
    """
    control = None if harmonic is None else Control.read(harmonic)
    runs = sorted((_read_run(find_run(path), skip, control) for path in paths), key=lambda run: run.ratio)
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
    classical = classical_kinetic_energy(len(first.labels), first.ensemble.temperature)
    # of what is anharmonic: over the harmonic crystal in place of over classical nuclei
    over = [0.0 if run.controlled is None else run.controlled.harmonic - classical for run in runs]
    integration = integrate_over_mass(
        ratios,
        np.array([run.mean for run in runs]) - over,
        len(first.labels),
        first.ensemble.temperature,
        np.array([run.standard_error for run in runs]),
        fitting_rule(ratios),
    )
    return MassReport(runs, integration, paths[0], control)


def _read_run(run: RunInput, skip: float | None, control: Control | None) -> MassRun:
    labels, ratio = labels_and_ratio(run)
    system = run.only_system()
    controlled = None
    if control is None:
        energy = kinetic_energy_of(run, KINETIC_ENERGY, skip)
        mean = energy.mean
    else:
        controlled = control.kinetic_energy_of(run, ratio, skip)
        energy, mean = controlled.anharmonic, controlled.mean
    return MassRun(
        source=run.path,
        ratio=ratio,
        beads=system.beads,
        labels=labels,
        masses=system.atoms.masses / DALTON * ratio**2,
        ensemble=system.ensemble,
        mean=mean,
        standard_error=energy.standard_error,
        controlled=controlled,
        rows=energy.rows,
        autocorrelation_time=energy.autocorrelation_time,
    )


def _of_controlled(found: ControlledKineticEnergy | None) -> dict[str, float]:
    """What JSON has of a run with a control variate."""
    if found is None:
        return {}
    return {
        "harmonic_kinetic_energy": found.harmonic,
        "plain_kinetic_energy": found.plain.mean,
        "plain_standard_error": found.plain.standard_error,
    }
