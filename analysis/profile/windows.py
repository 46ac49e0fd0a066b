"""Umbrella windows: the energy that the restraint of each window gives to the samples of another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...runs.input.elements import InputError
from ...runs.plumed.bias_series import BiasSeries, counted_biases, reduced_energy
from ...runs.plumed.biased_runs import Bias, BiasedRun

AGREEMENT = 0.01  # of a restraint with what PLUMED wrote, in k_B T, and of its energy: few digits may have been written
OF_A_FILE = frozenset({"FILE", "FMT", "LABEL"})  # keywords that change no energy


def reduced_restraints(window: BiasedRun, run: BiasedRun, series: BiasSeries, labels: Sequence[str]) -> np.ndarray:
    """β V that the restraints of a window would give to the samples of a run, shape (samples,).

    Parameters
    ----------
    window, run : BiasedRun
    series : BiasSeries
        Of `run`.
    labels : sequence of str
        Biases that count; all if there is none.

    Raises
    ------
    InputError
        If a variable is not written by the run, or numbers of a restraint are missing.
    """
    total = np.zeros(len(series.steps))
    for bias in counted_biases(window, labels):
        if bias in window.restraints:
            total += restraint_energy(bias, window, run, series) * (bias.energy_unit / run.thermal_energy)
    return total


def restraint_energy(bias: Bias, window: BiasedRun, run: BiasedRun, series: BiasSeries) -> np.ndarray:
    """Energy of a ``RESTRAINT`` at every sample of a run, in PLUMED's unit: Σ κ/2 (s − s₀)² + slope (s − s₀).

    As PLUMED has it (Tribello et al., Comput. Phys. Commun. 185, 604 (2014)), with the shortest difference of a
    periodic variable.

    Parameters
    ----------
    bias : Bias
        The restraint, of `window`.
    window, run : BiasedRun
    series : BiasSeries
        Of `run`.

    Raises
    ------
    InputError
        If a variable is not written by the run, or numbers of the restraint are missing.
    """
    action = bias.action
    names = action.arguments
    centres = action.numbers("AT")
    stiffness = action.numbers("KAPPA", " ".join(["0.0"] * len(names)))
    slopes = action.numbers("SLOPE", " ".join(["0.0"] * len(names)))
    if not len(names) == len(centres) == len(stiffness) == len(slopes):
        raise InputError(
            f"RESTRAINT '{action.label}' of '{window.source}' has {len(names)} arguments and {len(centres)} centres; "
            "as many are needed"
        )
    total = np.zeros(len(series.steps))
    for name, centre, kappa, slope in zip(names, centres, stiffness, slopes, strict=True):
        difference = series.column(run.variable(name))[:, 0] - centre
        period = window.period_of(name)
        if period is not None:
            length = period[1] - period[0]
            difference -= length * np.round(difference / length)
        total += 0.5 * kappa * np.square(difference) + slope * difference
    return total


def check_restraint(run: BiasedRun, series: BiasSeries, labels: Sequence[str]) -> None:
    """Refuse a window whose own restraint is not what PLUMED wrote, as after an edit of its input.

    Raises
    ------
    InputError
    """
    written = sum(
        (reduced_energy(bias, run, series) for bias in counted_biases(run, labels) if bias in run.restraints),
        np.zeros(len(series.steps)),
    )
    off = np.abs(reduced_restraints(run, run, series, labels) - written)
    if (off > AGREEMENT * (1 + np.abs(written))).any():
        raise InputError(
            f"the restraint of '{run.source}' is up to {off.max():.3g} k_B T from what PLUMED wrote into "
            f"'{run.output.name}'; was the PLUMED input changed since?"
        )


def check_common_biases(windows: Sequence[BiasedRun], labels: Sequence[str]) -> None:
    """Refuse windows that differ in more than their restraints: their other biases are taken for the same.

    Raises
    ------
    InputError
    """
    first, *others = windows
    for window in others:
        if _common_biases(window, labels) != _common_biases(first, labels):
            raise InputError(
                f"the biases of '{first.output.name}' and '{window.output.name}' differ in more than their restraints; "
                "umbrella windows must have the same walls"
            )


def check_same_biases(systems: Sequence[BiasedRun], labels: Sequence[str]) -> None:
    """Refuse systems that exchange temperatures and differ in a bias.

    Raises
    ------
    InputError
    """
    first, *others = systems
    for system in others:
        if _described(counted_biases(system, labels)) != _described(counted_biases(first, labels)):
            raise InputError(
                f"the biases of '{first.output.name}' and '{system.output.name}' differ; systems that exchange "
                "temperatures need the same ones"
            )


def _common_biases(window: BiasedRun, labels: Sequence[str]) -> list[tuple[str, dict[str, str], float]]:
    return _described([bias for bias in counted_biases(window, labels) if bias not in window.restraints])


def _described(biases: Sequence[Bias]) -> list[tuple[str, dict[str, str], float]]:
    """All that their energies depend on."""
    return [
        (
            bias.action.name,
            {keyword: value for keyword, value in bias.action.keywords.items() if keyword not in OF_A_FILE},
            bias.energy_unit,
        )
        for bias in biases
    ]
