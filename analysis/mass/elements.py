"""One isotope in place of another, by integration over the mass of its atoms alone.

A(m') − A(m) = −∫ T(μ) d ln μ from m to m', where T is the kinetic energy of the substituted atoms, by the rule of Gauss
and Legendre in ln μ (M. Ceriotti, T. E. Markland, J. Chem. Phys. 138, 014112 (2013)).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...runs.input.dynamics import Ensemble
from ...runs.input.elements import InputError
from ...runs.input.labels import element_of_label
from ...runs.input.run_input import RunInput
from ...runs.ipi_utilities import Elements
from ...runs.output.properties import writes_property
from ...runs.source import find_run
from ...sampling import SamplingError, gauss_legendre_ratios
from ...with_errors import with_error
from ..prepared_inputs import renamed_copy, write_input
from ..results import MASS_INTEGRATION, warned
from .inputs import add_masses
from .kinetic_energies import kinetic_energy_of
from .masses import ALIKE, DALTON, KINETIC_ENERGY, labels_and_masses, without_template

AT_A_NODE = 1e-4  # of ln μ, relative to its range; masses in inputs are rounded
MILLI = 1000


@dataclass(frozen=True)
class Exchange:
    """One isotope in place of another.

    Parameters
    ----------
    light, heavy : str
        i-PI's labels.
    """

    light: str
    heavy: str

    @classmethod
    def of(cls, text: str) -> Exchange:
        """Read ``H=D``.

        Raises
        ------
        InputError
            If it names no two isotopes of one element that i-PI knows.
        """
        light, _, heavy = (part.strip() for part in text.partition("="))
        number = element_of_label(light) if light else None
        is_known = {light, heavy} <= set(Elements.mass_list)
        if number is None or not is_known or number != element_of_label(heavy) or light == heavy:
            raise InputError(f"'{text}' are no two isotopes of one element that i-PI knows; it is written H=D")
        return cls(light, heavy)

    @property
    def ratio(self) -> float:
        """The ratio of masses, heavy over light."""
        return float(Elements.mass(self.heavy) / Elements.mass(self.light))

    @property
    def range(self) -> float:
        """The logarithm of the ratio of masses."""
        return float(np.log(self.ratio))

    @property
    def kinetic_energy(self) -> str:
        """i-PI's name of the kinetic energy of these atoms."""
        return f"{KINETIC_ENERGY}({self.light})"


@dataclass(frozen=True)
class ExchangeRun:
    """Kinetic energy of the substituted atoms of one run, in eV.

    Parameters
    ----------
    source : Path
    place : float
        ln(μ/m) over its range.
    beads : int
    labels : tuple of str
        Of all atoms.
    atoms : int
        How many are substituted.
    ensemble : Ensemble
    mean, standard_error : float
    rows : int
    """

    source: Path
    place: float
    beads: int
    labels: tuple[str, ...]
    atoms: int
    ensemble: Ensemble
    mean: float
    standard_error: float
    rows: int


@dataclass(frozen=True)
class ExchangeReport:
    """A(m') − A(m) in eV of all substituted atoms.

    Parameters
    ----------
    exchange : Exchange
    runs : list of ExchangeRun
        By increasing mass.
    difference, standard_error : float
    """

    exchange: Exchange
    runs: list[ExchangeRun]
    difference: float
    standard_error: float

    def lines(self) -> Iterator[str]:
        """What the command prints."""
        first, own = self.runs[0], self.exchange
        yield f"{first.atoms} {own.light} -> {own.heavy}, {first.beads} beads, {first.ensemble.name}"
        yield f"T_CV in meV per {own.light}"
        yield f"{'mass/u':>10}{'T_CV':>12}{'error':>9}{'rows':>8}"
        for run in self.runs:
            mass = Elements.mass(own.light) / DALTON * np.exp(run.place * own.range)
            mean, error = (MILLI * energy / run.atoms for energy in (run.mean, run.standard_error))
            yield f"{mass:>10.5f}{mean:>12.4f}{error:>9.2g}{run.rows:>8}"
        letter = first.ensemble.free_energy
        value, error = self.difference, self.standard_error
        total = with_error(f"{value:.6f}", error, "eV")
        per_atom = with_error(f"{MILLI * value / first.atoms:.4f}", MILLI * error / first.atoms, f"meV per {own.light}")
        yield f"{letter}({own.heavy}) - {letter}({own.light}) = {total} = {per_atom}"
        yield from warned(self.warnings)

    @property
    def warnings(self) -> list[str]:
        """What speaks against trusting the numbers."""
        return list(filter(None, (run.ensemble.warning(run.source) for run in self.runs)))

    def as_dict(self) -> dict[str, Any]:
        """The same for programs."""
        return {
            "made_by": f"{MASS_INTEGRATION} --element",
            "light": self.exchange.light,
            "heavy": self.exchange.heavy,
            "difference": self.difference,
            "standard_error": self.standard_error,
            "substituted": self.runs[0].atoms,
            "temperature": self.runs[0].ensemble.temperature,
            "beads": self.runs[0].beads,
            "free_energy": self.runs[0].ensemble.free_energy,
            "warnings": self.warnings,
            "runs": [
                {
                    "source": str(run.source),
                    "place": run.place,
                    "kinetic_energy": run.mean,
                    "standard_error": run.standard_error,
                    "rows": run.rows,
                }
                for run in self.runs
            ],
        }


def prepare_exchange(run: RunInput, exchange: Exchange, runs: int) -> list[Path]:
    """Write inputs in which the atoms of one label have masses between those of two isotopes.

    Parameters
    ----------
    run : RunInput
        i-PI input of the light isotope.
    exchange : Exchange
    runs : int
        Number of masses.

    Returns
    -------
    list of Path
        The inputs, ``INPUT_H1.0572.xml``.

    Raises
    ------
    InputError
        If the input cannot be used.
    """
    system = without_template(run)
    labels, masses = labels_and_masses(run)
    chosen = np.array([label == exchange.light for label in labels])
    if system.element.find("initialize") is None or system.element.find("initialize/masses") is not None:
        raise InputError(
            f"'{run.path}' has no <initialize>, or sets <masses> there; an input with those of its labels is needed"
        )
    if system.beads < 2:
        raise InputError(f"'{run.path}' has one bead; a quantum kinetic energy needs those of a path integral")
    if not chosen.any():
        raise InputError(f"'{run.path}' has no {exchange.light}; it has {', '.join(sorted(set(labels)))}")
    if not writes_property(system, exchange.kinetic_energy):
        raise InputError(
            f"'{run.path}' writes no {exchange.kinetic_energy}; add to its <output> <properties filename='out' "
            f"stride='10'> [ step, {exchange.kinetic_energy}{{electronvolt}} ] </properties>"
        )
    written = []
    for number, place in enumerate(gauss_legendre_ratios(runs)[0].tolist()):
        mass = Elements.mass(exchange.light) * np.exp(place * exchange.range)
        path, root = renamed_copy(run, f"_{exchange.light}{mass / DALTON:.4f}", number)
        add_masses(root, np.where(chosen, mass, masses) / DALTON)
        written.append(write_input(path, root))
    return written


def integrate_exchange(paths: Sequence[Path], exchange: Exchange, skip: float | None = None) -> ExchangeReport:
    """Read the kinetic energies of the substituted atoms, and integrate over ln μ.

    Parameters
    ----------
    paths : sequence of Path
        Runs of inputs that `prepare_exchange` wrote.
    exchange : Exchange
    skip : float, optional
        Time to leave out of each run, in ps; by default a tenth of it.

    Raises
    ------
    InputError
        If a run cannot be used, or runs do not belong together.
    SamplingError
        If masses are not the nodes of the rule, or a run is too short.
    """
    runs = sorted((_read(find_run(path), exchange, skip) for path in paths), key=lambda run: run.place)
    first = runs[0]
    for run in runs[1:]:
        if run.labels != first.labels:
            raise InputError(f"'{first.source}' and '{run.source}' have different atoms, or in a different order")
        if (run.atoms, run.beads, run.ensemble.name) != (first.atoms, first.beads, first.ensemble.name):
            raise InputError(
                f"'{first.source}' has {first.atoms} {exchange.light}, {first.beads} beads and {first.ensemble.name}, "
                f"'{run.source}' {run.atoms}, {run.beads} and {run.ensemble.name}; they must be the same"
            )
    nodes, weights = gauss_legendre_ratios(len(runs))
    places = np.array([run.place for run in runs])
    if np.abs(places - nodes).max() > AT_A_NODE:
        raise SamplingError(
            f"ln of masses over their range are {np.round(places, 5).tolist()}; those of {len(runs)} runs are "
            f"{np.round(nodes, 5).tolist()}, as --prepare writes them"
        )
    factors = weights * exchange.range
    return ExchangeReport(
        exchange=exchange,
        runs=runs,
        difference=float(-factors @ [run.mean for run in runs]),
        standard_error=float(np.linalg.norm(factors * [run.standard_error for run in runs])),
    )


def _read(run: RunInput, exchange: Exchange, skip: float | None) -> ExchangeRun:
    source = run.path
    system = run.only_system()
    labels, masses = labels_and_masses(run)
    chosen = np.array([label == exchange.light for label in labels])
    if not chosen.any() or np.ptp(masses[chosen]) > ALIKE * masses[chosen].max():
        raise InputError(f"'{source}' has no {exchange.light}, or not all of them have the same mass")
    wrong = [
        atom
        for atom, (label, mass) in enumerate(zip(labels, masses, strict=True))
        if label != exchange.light and abs(mass / Elements.mass(label) - 1) > ALIKE
    ]
    if wrong:
        raise InputError(
            f"'{source}' gives atom {wrong[0]}, {labels[wrong[0]]}, another mass than its label; only "
            f"{exchange.light} may have"
        )
    energy = kinetic_energy_of(run, exchange.kinetic_energy, skip)
    return ExchangeRun(
        source=source,
        place=float(np.log(masses[chosen].mean() / Elements.mass(exchange.light)) / exchange.range),
        beads=system.beads,
        labels=labels,
        atoms=int(chosen.sum()),
        ensemble=system.ensemble,
        mean=energy.mean,
        standard_error=energy.standard_error,
        rows=energy.rows,
    )
