"""Series of the energies of a committee's members and of observables, and their common steps."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

import numpy as np

from ...properties.forms import VECTOR
from ...properties.quantities import properties, quantities
from ...quantity import Quantity
from ...runs.input import dynamics as run_ensemble
from ...runs.input.elements import InputError
from ...runs.output.properties import electronvolts, find_property
from ...sampling.member_deviations import scaled_about_mean
from .runs import ENERGY, CommitteeRun

# what i-PI makes of the energies or forces of the mean, and would make of each member's own otherwise
MADE_OF_FORCES = (
    "potential", "bead_potentials", "pot_component", "interaction_energy", "conserved", "forcemod", "ensemble_lp",
    "kinetic_cv", "kinetic_ij", "kinetic_tens", "kinetic_prsc", "kinetic_tdsc", "kinetic_opsc", "kstress_cv",
    "kstress_tdsc", "vir", "pressure", "stress", "atom_f", "scaledcoords", "sc_", "displacedpath", "isotope_sc",
    "isotope_zetasc", "chin_weight", "ti_",
)  # fmt: skip
# of the difference between the potential and the mean of the members
DIFFERING = 0.01  # over what the potential varies by
WRITTEN_DIGITS = 1e-6  # over the potential itself, which may have been written with few digits


def observables() -> dict[str, Quantity]:
    """Quantities of the cell that averages are made of, the energy apart."""
    return {own.name: own for own in quantities().values() if own.per == "cell" and own.name != "energy"}


def of_members(name: str) -> str:
    """The series of what every member says of a quantity."""
    return f"committee_{name}"


@dataclass(frozen=True)
class Series:
    """An observable of one run.

    Parameters
    ----------
    steps : ndarray of int64, shape (samples,)
    values : ndarray of float64, shape (samples, columns) or (samples, members, columns)
        Means over beads; with an axis of members where each of them predicts it.
    labels, units : tuple of str
        Of each column.
    is_paired : bool
        Whether what a member predicts counts in its own ensemble alone, as its energy.
    """

    steps: np.ndarray
    values: np.ndarray
    labels: tuple[str, ...]
    units: tuple[str, ...]
    is_paired: bool = False

    @property
    def is_of_members(self) -> bool:
        """Whether it is predicted by every member."""
        return self.values.ndim == 3


def read_members(run: CommitteeRun) -> Series:
    """Energies of the members, means over beads, as columns, in eV.

    Raises
    ------
    InputError
        If they are not written, or there is no sample yet.
    SeriesError
        If a file cannot be read.
    """
    steps, energies = _read_extra(run, ENERGY)
    if not len(steps):
        raise InputError(f"'{run.output_of(ENERGY).name}' of '{run.source}' holds no sample yet")
    members = energies.shape[1]
    return Series(steps, energies, tuple(map(str, range(members))), ("eV",) * members)


def read_observable(
    run: CommitteeRun, name: str, calibration: float = 1.0, property_calibration: float = 1.0
) -> Series:
    """A property of i-PI, or one of the extras: ``dipole``, ``polarizability``, ``committee_pot``.

    A dipole is given by its three components and its square, a polarizability by its six components and a third of its
    trace; of every member, where members are written.

    Parameters
    ----------
    run : CommitteeRun
    name : str
        As in the header of the properties, or ``dipole``, ``polarizability`` or ``committee_pot``: each member's energy
        in its own ensemble.
    calibration, property_calibration : float
        α of a_j ← ā + α (a_j − ā), for energies and for what else every member predicts.

    Raises
    ------
    InputError
        If the run does not write it.
    SeriesError
        If a file of extras cannot be read.
    """
    if name == properties()[ENERGY].key:
        steps, energies = _read_extra(run, ENERGY)
        values = scaled_about_mean(energies, calibration, axis=1)[..., None]
        return Series(steps, values, (name,), ("eV",), is_paired=True)
    # i-PI's name of what members say means the same observable
    name = next((own.name for own in observables().values() if own.member_extras == name), name)
    if name in observables() and (run.holds(name) or run.holds(of_members(name))):
        return _read_moments(run, observables()[name], property_calibration)
    found = find_property(run.tables, name)
    if found is None:
        raise InputError(f"'{run.source}' writes no '{name}'; it writes {', '.join(observables_of(run))}")
    table, column = found
    values = table.rows[:, column.columns]
    label = column.full_name
    labels = (label,) if values.shape[1] == 1 else tuple(f"{label} {n}" for n in range(values.shape[1]))
    return Series(table.steps, values, labels, (column.unit_label,) * len(labels))


def observables_of(run: CommitteeRun) -> list[str]:
    """Names of all that averages can be made of."""
    extras = [name for name in observables() if run.holds(name) or run.holds(of_members(name))]
    names = [one.full_name for table in run.tables for one in table.properties if one.name not in ("step", "time")]
    return [*dict.fromkeys(names), *extras, properties()[ENERGY].key]


def is_made_of_forces(name: str) -> bool:
    """Whether a property of i-PI is made of energies or forces, so that that of the mean is not that of a member.

    A kinetic energy by the centroid virial estimator is: of a stiffer member it is higher, and the average of the
    mean's estimator in its ensemble is lower.
    """
    return name.startswith(MADE_OF_FORCES)


def first_used_step(run: CommitteeRun, members: Series, skip: float | None) -> int:
    """The first step that counts.

    Parameters
    ----------
    run : CommitteeRun
    members : Series
    skip : float or None
        Time at the beginning that is left out, in ps; None for a tenth.

    Raises
    ------
    InputError
        If nothing would be left.
    """
    first = int(np.ceil(run_ensemble.first_step(members.steps, skip, run.timestep, run.source)))
    if skip is not None and first > members.steps[-1]:
        raise InputError(
            f"'{run.output_of(ENERGY).name}' of '{run.source}' ends at step {members.steps[-1]}; --skip {skip:g} "
            "leaves out all"
        )
    return first


def common_steps(first: int, fewest: int, named: dict[str, np.ndarray]) -> np.ndarray:
    """Steps that several series have in common.

    Parameters
    ----------
    first : int
        Steps before it do not count.
    fewest : int
        How many are needed.
    named : dict of str to ndarray of int64
        Steps of each series, by its name.

    Raises
    ------
    InputError
        If there are too few.
    """
    common = reduce(np.intersect1d, named.values())
    common = common[common >= first]
    if len(common) < fewest:
        given = ", ".join(f"{name} every {_stride(steps)} ({len(steps)} in all)" for name, steps in named.items())
        raise InputError(f"{len(common)} steps from {first} on are in all series, {fewest} are needed: {given}")
    return common


def at_steps(series: Series, steps: np.ndarray) -> np.ndarray:
    """Values at steps that the series has."""
    return series.values[np.searchsorted(series.steps, steps)]


def what_else_acts(run: CommitteeRun, members: Series) -> str:
    """A warning if the potential of the run is not the mean of its members, up to a constant; empty otherwise."""
    found = find_property(run.tables, "potential")
    if found is None:
        return ""
    table, column = found
    common, mine, theirs = np.intersect1d(members.steps, table.steps, return_indices=True)
    if len(common) < 2:
        return ""
    means = members.values[mine].mean(axis=1)
    potential = table.values(column)[theirs] * electronvolts(column.unit, table.path)
    varies = float(np.std(potential - means))
    if varies <= max(DIFFERING * potential.std(), WRITTEN_DIGITS * np.abs(potential).max()):
        return ""
    return (
        f"the potential of '{run.source}' differs from the mean of its members by what varies by {varies:.3g} eV: the "
        "errors hold if another force, the same for all members, acts beside them, and not if something else moved "
        "the run"
    )


def _read_moments(run: CommitteeRun, quantity: Quantity, calibration: float) -> Series:
    """A quantity and what is made of it, mean over beads, of every member if these are written.

    Beside its independent values, of a vector its square, and of a symmetric tensor a third of its trace.
    """
    name, unit = quantity.name, str(quantity.unit)
    has_members = run.holds(of_members(name))
    steps, values = _read_extra(run, of_members(name) if has_members else name)
    if has_members:  # before squares are made of them
        values = scaled_about_mean(values, calibration, axis=1)
    columns = [quantity.form.independent_values(values)]
    labels, units = [f"{name} {axis}".strip() for axis in quantity.form.axes], [unit] * len(quantity.form.axes)
    if quantity.form is VECTOR:
        columns.append(np.square(values).sum(axis=-1, keepdims=True))
        labels, units = [*labels, f"{name} squared"], [*units, f"({unit})²"]
    elif quantity.form.shape == (3, 3):
        columns.append(np.trace(values, axis1=-2, axis2=-1)[..., None] / 3)
        labels, units = [*labels, f"{name} mean"], [*units, unit]
    return Series(steps, np.concatenate(columns, axis=-1), tuple(labels), tuple(units))


def _read_extra(run: CommitteeRun, series: str) -> tuple[np.ndarray, np.ndarray]:
    """Steps that all beads have, and the mean over beads of one of the extras, in beadwise's units."""
    found = run.means(run.output_of(series))
    return found.steps, found.series(series) if len(found.steps) else np.zeros((0, 0))


def _stride(steps: np.ndarray) -> str:
    """Steps between the samples of a series."""
    apart = np.unique(np.diff(steps))
    return f"{apart[0]} steps" if len(apart) == 1 else "time"
