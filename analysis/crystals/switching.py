"""From runs at several λ to the anharmonic free energy: what ``beadwise lambda-integration`` does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import SamplingError
from ...properties.quantities import SWITCH_COUPLING, SWITCH_DIFFERENCE
from ...reading import shown
from ...runs.input.atoms import SAME_MASS
from ...runs.input.dynamics import Ensemble, first_step
from ...runs.input.elements import InputError
from ...runs.input.named_model import named_model
from ...runs.input.run_input import RunInput, System
from ...runs.output.bead_means import read_bead_means
from ...runs.source import find_run
from ...sampling import integrated_autocorrelation_time, standard_error_of_mean
from ...sampling.switching import (
    SwitchIntegration,
    SwitchMultistate,
    integrate_over_switch,
    multistate_over_switch,
)
from ...whole_files import write_table
from ...with_errors import with_error
from ..formula_unit import formula_unit
from ..mass.masses import DALTON
from ..results import LAMBDA_INTEGRATION, beside, stem_of, warned, write_files
from .switch_inputs import refuse_fixed_atoms

FEWEST_SAMPLES = 16
SAME_COUPLING = 1e-7
DIFFER = 2.0  # errors, from which on two numbers that should be one are said to differ
# of two runs, as of umbrella windows; K in a row whose neighbours share as much have 1 − cos(π/K) of it
LEAST_OVERLAP = 0.06
MILLI = 1000


@dataclass(frozen=True)
class SwitchRun:
    """V − V_har along one run.

    Parameters
    ----------
    source : Path
    model : str
        That the input names; empty of a RESTART.
    coupling : float
        λ.
    beads : int
    labels : tuple of str
        Of the atoms.
    masses : ndarray of float64, shape (atoms,)
        In u.
    ensemble : Ensemble
    differences : ndarray of float64, shape (samples,)
        In eV, means over beads, after equilibration.
    autocorrelation_time : float
        In samples.
    """

    source: Path
    model: str
    coupling: float
    beads: int
    labels: tuple[str, ...]
    masses: np.ndarray
    ensemble: Ensemble
    differences: np.ndarray
    autocorrelation_time: float

    @property
    def mean(self) -> float:
        """⟨V − V_har⟩ in eV."""
        return float(self.differences.mean())

    @property
    def standard_error(self) -> float:
        """Of the mean of correlated samples, in eV."""
        return standard_error_of_mean(self.differences, self.autocorrelation_time)


@dataclass(frozen=True)
class SwitchReport:
    """What came out.

    Parameters
    ----------
    runs : list of SwitchRun
        By increasing λ.
    integration : SwitchIntegration or None
        None where no rule suits their λ.
    multistate : SwitchMultistate or None
        None where it cannot be had.
    without_multistate : str
        The reason.
    first : Path
        Of the runs as the user named them.
    """

    runs: list[SwitchRun]
    integration: SwitchIntegration | None
    multistate: SwitchMultistate | None
    without_multistate: str
    first: Path

    def lines(self) -> Iterator[str]:
        """What the command prints."""
        first = self.runs[0]
        unit, units = formula_unit(first.labels)
        beads = "1 bead, classical" if first.beads == 1 else f"{first.beads} beads"
        yield f"{len(first.labels)} atoms, {units} x {unit}, {beads}, {first.ensemble.temperature:g} K"
        yield f"<V - V_har> in meV per {unit}, the autocorrelation time tau in samples"
        yield f"{'lambda':>10}{'weight':>10}{'<V-V_har>':>14}{'error':>9}{'samples':>9}{'tau':>7}"
        weights = [None] * len(self.runs) if self.integration is None else self.integration.weights.tolist()
        for run, weight in zip(self.runs, weights, strict=True):
            mean, error = (MILLI / units * energy for energy in (run.mean, run.standard_error))
            yield (
                f"{run.coupling:>10.6f}{'' if weight is None else f'{weight:.5f}':>10}{mean:>14.4f}{error:>9.2g}"
                f"{len(run.differences):>9}{run.autocorrelation_time:>7.2g}"
            )
        for name, found in self._results:
            value, error = (MILLI / units * energy for energy in (found.difference, found.standard_error))
            total = with_error(f"{found.difference:.6f}", found.standard_error, "eV")
            yield f"A - A_har = {total} = {with_error(f'{value:.4f}', error, f'meV per {unit}')}  ({name})"
        yield from warned(self.warnings)

    @property
    def _results(self) -> list[tuple[str, SwitchIntegration | SwitchMultistate]]:
        """What each method gives, the one to be taken first."""
        found: list[tuple[str, SwitchIntegration | SwitchMultistate]] = []
        if self.integration is not None:
            found.append((self.integration.rule, self.integration))
        if self.multistate is not None:
            found.append((f"MBAR, overlap {self.multistate.overlap:.2g}", self.multistate))
        return found

    @property
    def warnings(self) -> list[str]:
        """What speaks against trusting the numbers."""
        warnings = list(filter(None, (run.ensemble.warning(run.source) for run in self.runs)))
        if self.integration is None:
            nodes = ", ".join(f"{run.coupling:.6g}" for run in self.runs)
            warnings.append(f"no rule has the λ {nodes}; --prepare writes inputs of one that has")
        else:
            warnings += [
                f"<V - V_har> rises from λ = {low:.4g} to {high:.4g} by {rise:.1f} errors; it can only fall, so runs "
                "are too short, not in equilibrium, or no longer of one crystal"
                for low, high, rise in self.integration.rises
                if rise > DIFFER
            ]
        if self.multistate is None:
            warnings.append(f"no MBAR: {self.without_multistate}")
            return warnings
        least = LEAST_OVERLAP * (1 - np.cos(np.pi / max(2, len(self.runs))))
        if self.multistate.overlap < least:
            warnings.append(
                f"the overlap of runs is {self.multistate.overlap:.2g}, less than {least:.2g}: the error of MBAR may "
                "be too small; more λ are needed"
            )
        if self.integration is not None:
            error = np.hypot(self.integration.standard_error, self.multistate.standard_error)
            apart = abs(self.integration.difference - self.multistate.difference)
            if apart > DIFFER * error:
                warnings.append(
                    f"the rule and MBAR differ by {MILLI * apart:.3g} meV, {apart / error:.1f} errors: more λ, or "
                    "longer runs, are needed"
                )
        return warnings

    def as_dict(self) -> dict[str, Any]:
        """The same for programs, in eV of all atoms."""
        first = self.runs[0]
        unit, units = formula_unit(first.labels)
        name, best = self._results[0] if self._results else ("", None)
        return {
            "made_by": LAMBDA_INTEGRATION,
            "difference": None if best is None else best.difference,
            "standard_error": None if best is None else best.standard_error,
            "method": name,
            "integration": self.integration,
            "multistate": self.multistate,
            "atoms": len(first.labels),
            "formula_unit": unit,
            "formula_units": units,
            "temperature": first.ensemble.temperature,
            "beads": first.beads,
            "masses": first.masses.tolist(),
            "warnings": self.warnings,
            "runs": [
                {
                    "source": str(run.source),
                    "model": run.model,
                    "lambda": run.coupling,
                    "mean": run.mean,
                    "standard_error": run.standard_error,
                    "samples": len(run.differences),
                    "autocorrelation_time": run.autocorrelation_time,
                }
                for run in self.runs
            ],
        }

    def write(self, output: Path | None) -> list[Path]:
        """Write the integrand as CSV and PNG.

        Parameters
        ----------
        output : Path or None
            Name of the files, with an ending or without; None for one beside the first run.

        Raises
        ------
        BeadwiseError
            If they cannot be written.
        """
        rows = [(run.coupling, run.mean, run.standard_error, len(run.differences)) for run in self.runs]

        def draw(image: Path) -> None:
            from .switch_plot import plot_switch  # takes long to import

            unit, units = formula_unit(self.runs[0].labels)
            results = [(name, found.difference, found.standard_error) for name, found in self._results]
            plot_switch(np.array(rows), MILLI / units, unit, results, image)

        header = ("lambda", "V - V_har/eV", "standard error/eV", "samples")
        return write_files(
            stem_of(output, beside(self.first, "lambda_integration")),
            {".csv": lambda table: write_table(table, (), [header, *rows]), ".png": draw},
        )


def integrate(paths: Sequence[Path], skip: float | None = None) -> SwitchReport:
    """Read V − V_har of runs at several λ, and make the free energy over that of the harmonic crystal of it.

    Parameters
    ----------
    paths : sequence of Path
        Folders of runs, i-PI inputs or RESTARTs.
    skip : float, optional
        Time to leave out of each run, in ps; by default a tenth of it.

    Raises
    ------
    BeadwiseError
        If a run cannot be used, or runs do not belong together.
    """
    runs = sorted((read_run(find_run(path), skip) for path in paths), key=lambda run: run.coupling)
    _check_alike(runs)
    couplings = np.array([run.coupling for run in runs])
    means, errors = np.array([[run.mean, run.standard_error] for run in runs]).T
    integration = integrate_over_switch(couplings, means, errors)
    multistate, reason = None, ""
    try:
        temperature = runs[0].ensemble.temperature
        multistate = multistate_over_switch(couplings.tolist(), [run.differences for run in runs], temperature)
    except SamplingError as error:  # the rule still stands
        reason = str(error)
    return SwitchReport(runs, integration, multistate, reason, paths[0])


def read_run(run: RunInput, skip: float | None) -> SwitchRun:
    """Read what one run wrote.

    Raises
    ------
    BeadwiseError
        If it did not write V − V_har and λ, is biased, or is too short.
    """
    source = run.path
    system = run.only_system()
    if not system.has_constant_volume or system.biases:
        raise InputError(f"'{source}' changes its volume or is biased; runs at constant volume without bias are needed")
    refuse_fixed_atoms(system)
    steps, differences = _series(system, SWITCH_DIFFERENCE)
    couplings = _series(system, SWITCH_COUPLING)[1]
    if np.ptp(couplings) > SAME_COUPLING:
        raise InputError(
            f"'{source}' wrote samples of λ from {couplings.min():g} to {couplings.max():g}; one is needed"
        )
    kept = differences[steps >= first_step(steps, skip, system.timestep, source)]
    if len(kept) < FEWEST_SAMPLES:
        raise SamplingError(
            f"'{source}' has {len(kept)} samples after equilibration; at least {FEWEST_SAMPLES} are needed"
        )
    return SwitchRun(
        source=source,
        model=named_model(run),
        coupling=float(f"{couplings.mean():.8g}"),
        beads=system.beads,
        labels=system.labels,
        masses=system.atoms.masses / DALTON,
        ensemble=system.ensemble,
        differences=kept,
        autocorrelation_time=integrated_autocorrelation_time(kept),
    )


def _series(system: System, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Steps and means over beads of one extra."""
    outputs = [one for one in system.extras_outputs if name in one.extras and one.holds_all(system.beads)]
    # in one file of all beads, i-PI writes several numbers of each bead in an order that does not tell beads
    outputs = [one for one in outputs if one.rows < 2 or len(one.extras) == 1]
    if not outputs:
        raise InputError(
            f"'{system.run.path}' does not write {name} of all beads, alone in its file; `beadwise lambda-integration "
            "--prepare` writes inputs that do"
        )
    files = [system.run.folder / file for file in outputs[0].files(system.beads)]
    found = read_bead_means(files)
    if not len(found.steps):
        raise InputError(f"'{files[0]}' holds no sample yet")
    return found.steps, found.series(name)


def _check_alike(runs: Sequence[SwitchRun]) -> None:
    first = runs[0]
    for run in runs[1:]:
        if run.labels != first.labels or run.beads != first.beads or run.ensemble.name != first.ensemble.name:
            raise InputError(
                f"'{first.source}' has {len(first.labels)} atoms, {first.beads} beads and {first.ensemble.name}, "
                f"'{run.source}' {len(run.labels)}, {run.beads} and {run.ensemble.name}; they must be the same, atoms "
                "in the same order"
            )
        if run.beads > 1 and not np.allclose(run.masses, first.masses, rtol=SAME_MASS, atol=0):
            raise InputError(
                f"'{first.source}' and '{run.source}' have other masses; the same isotopes are needed where there are "
                "beads"
            )
    named = [run for run in runs if run.model]  # a RESTART names none
    for run in named[1:]:
        if _crystal_of(run) != _crystal_of(named[0]):
            raise InputError(
                f"'{named[0].source}' goes from and to '{shown(_crystal_of(named[0]))}', '{run.source}' "
                f"'{shown(_crystal_of(run))}'; harmonic crystal and potential must be the same"
            )
    for run, other in pairwise(runs):
        if other.coupling - run.coupling < SAME_COUPLING * min(1.0, other.coupling):
            raise InputError(f"'{run.source}' and '{other.source}' both have λ = {run.coupling:g}; each counts once")


def _crystal_of(run: SwitchRun) -> str:
    """File of the harmonic crystal and potential, which follow λ in the name of a model."""
    return run.model.partition(",")[2]
