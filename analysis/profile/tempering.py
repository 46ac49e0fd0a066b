"""Parallel tempering: samples of systems that exchange temperatures, sorted by temperature and joined by MBAR.

A sample at T_k has the reduced energy u_k = (U + V)/(k_B T_k), where U is the potential and V the bias, which is the
same in all systems.  With all u_k of every sample known, MBAR (M. R. Shirts, J. D. Chodera, J. Chem. Phys. 129, 124105
(2008)) gives the unbiased ensemble at each temperature from the samples of all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase import units

from ...runs.input.dynamics import first_step, mode_of
from ...runs.input.elements import InputError, words
from ...runs.input.force_components import weight_of
from ...runs.input.run_input import RunInput, System
from ...runs.output.properties import energies_of_run
from ...runs.output.temperatures import ensemble_temperatures
from ...runs.plumed.bias_series import counted_biases, read_bias_series
from ...runs.plumed.biased_runs import BiasedRun, read_biased_runs
from .samples import ProfileOptions, Samples
from .windows import check_same_biases

SAME_TEMPERATURE = 6  # decimals of K
KIND = "exchanged temperature"


@dataclass(frozen=True)
class _Visits:
    """What one system, or all systems at one temperature, went through, in the order of time.

    Parameters
    ----------
    steps : ndarray of int64, shape (samples,)
    temperatures : ndarray of float64, shape (samples,)
        In K.
    potential, bias : ndarray of float64, shape (samples,)
        In eV.
    values : ndarray of float64, shape (samples,)
        Of the variable.
    """

    steps: np.ndarray
    temperatures: np.ndarray
    potential: np.ndarray
    bias: np.ndarray
    values: np.ndarray

    def kept(self, which: np.ndarray) -> _Visits:
        """Those of a mask or an order."""
        return _Visits(*(numbers[which] for numbers in self._columns))

    @classmethod
    def joined(cls, parts: Sequence[_Visits]) -> _Visits:
        """Those of all systems."""
        columns = zip(*(one._columns for one in parts), strict=True)
        return cls(*(np.concatenate(own) for own in columns))

    @property
    def _columns(self) -> tuple[np.ndarray, ...]:
        return self.steps, self.temperatures, self.potential, self.bias, self.values


def tempered_samples(source: RunInput, options: ProfileOptions) -> list[Samples]:
    """Samples of a run of parallel tempering, for one curve at each of its temperatures.

    Parameters
    ----------
    source : RunInput
        i-PI input or RESTART with ``<smotion mode='remd'>``.
    options : ProfileOptions

    Raises
    ------
    InputError
        If a system is no classical one at constant volume, biases are deposited, they or the weights of forces differ
        from system to system, or ``potential``, ``ensemble_temperature`` or the variable is not written.
    """
    runs = read_biased_runs(source, exchanging=True)
    _check(source, runs, options)
    variable = runs[0].variable(options.variable)
    visits = _Visits.joined(
        [_visits_of(system, run, options) for system, run in zip(source.systems, runs, strict=True)]
    )
    temperatures = np.unique(visits.temperatures)
    betas = 1 / (units.kB * temperatures)
    sorted_visits = []
    for temperature in temperatures:
        own = visits.kept(visits.temperatures == temperature)
        sorted_visits.append(own.kept(np.argsort(own.steps, kind="stable")))
    return [
        Samples(
            label=f"classical, {target:g} K",
            temperature=float(target),
            values=own.values[:, None],
            log_weights=np.zeros(len(own.steps)),
            restraints=tuple((other - beta) * own.potential + other * own.bias for other in betas),
            period=runs[0].period_of(variable),
            kind=KIND,
            variable=variable,
        )
        for target, beta in zip(temperatures, betas, strict=True)
        for own in sorted_visits
    ]


def _check(source: RunInput, runs: Sequence[BiasedRun], options: ProfileOptions) -> None:
    """Refuse runs whose ensembles differ in more than their temperatures, or are not those of classical particles."""
    if len(runs) < len(source.systems):
        raise InputError(
            f"{len(runs)} of {len(source.systems)} systems of '{source.path}' have a bias; systems that exchange "
            "temperatures need the same bias each"
        )
    for system, run in zip(source.systems, runs, strict=True):
        if run.beads > 1:
            raise InputError(
                f"'{source.path}' exchanges temperatures of {run.beads} beads, whose springs are others at each "
                "temperature; profiles of exchanging systems are made of classical ones, with 1 bead"
            )
        mode = "" if system.dynamics is None else mode_of(system.dynamics)
        if mode != "nvt":
            raise InputError(f"'{source.path}' exchanges temperatures with mode='{mode}'; profiles of it need nvt")
        if run.is_deposited:
            raise InputError(
                f"'{source.path}' exchanges temperatures under a bias that grows along the run; one that stays, as a "
                "restraint, is needed"
            )
    check_same_biases(runs, options.biases)
    _check_same_potential(source)


def _check_same_potential(source: RunInput) -> None:
    """Refuse systems whose forces are weighted otherwise: then a sample has another potential in each ensemble."""
    for system in source.systems:
        # i-PI adds what they change to the bias, and they are no part of ``potential``
        scales = words(system.element.findtext("ensemble/hamiltonian_weights"))
        if any(float(scale) != 1 for scale in scales):
            raise InputError(
                f"<hamiltonian_weights> of '{source.path}' are {', '.join(scales)}; systems that exchange temperatures "
                "need 1 for each force"
            )
    first, *others = [
        [weight_of(force) for force in system.element.findall("forces/force")] for system in source.systems
    ]
    for weights in others:
        if weights != first:
            raise InputError(
                f"weights of <force> in '{source.path}' are {first} in one system and {weights} in another; systems "
                "that exchange temperatures need the same ones"
            )


def check_apart(samples: Sequence[Samples]) -> None:
    """Refuse runs whose curves would have the names of those of a run of parallel tempering, and be mixed with them.

    Parameters
    ----------
    samples : sequence of Samples
        Of all runs.

    Raises
    ------
    InputError
    """
    for label in {one.label: None for one in samples if one.kind == KIND}:
        own = [one for one in samples if one.label == label]
        if len(own) != len(own[0].restraints):
            raise InputError(
                f"several runs give a curve '{label}', and one of them exchanges temperatures, whose samples are not "
                "joined with those of others; make a profile of each"
            )


def _visits_of(system: System, run: BiasedRun, options: ProfileOptions) -> _Visits:
    """What one system went through, without the beginning that is left out."""
    series = read_bias_series(run)
    at_steps, temperatures = ensemble_temperatures(system)
    with_energy, potential = energies_of_run(system, "potential")
    common = np.intersect1d(np.intersect1d(series.steps, at_steps), with_energy)
    first = first_step(common, options.skip, run.timestep, run.source)
    steps = common[common >= first]
    if len(common) and not len(steps):
        raise InputError(
            f"'{run.output.name}' of '{run.source}' has {len(common)} samples; --skip {options.skip:g} leaves out all"
        )
    if not len(steps):
        raise InputError(
            f"'{run.output.name}' of '{run.source}' has no step at which potential and "
            "ensemble_temperature are written, too; give all of them the same stride"
        )
    places = np.searchsorted(series.steps, steps)
    biases = (series.column(bias.extra)[places, 0] * bias.energy_unit for bias in counted_biases(run, options.biases))
    return _Visits(
        steps=steps,
        temperatures=np.round(temperatures[np.searchsorted(at_steps, steps)], SAME_TEMPERATURE),
        potential=potential[np.searchsorted(with_energy, steps)],
        bias=sum(biases, np.zeros(len(steps))),
        values=series.column(run.variable(options.variable))[places, 0],
    )
