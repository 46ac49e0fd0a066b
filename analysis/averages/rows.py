"""Means of groups, atoms and components, each with its sampling error and what members say."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...properties.quantities import Property
from ...properties.shielding import principal_values
from ...quantity import OPEN
from ...runs.input.elements import InputError
from ...sampling.block_averages import block_average, jackknife_over_blocks
from .groups import SHIFT, Group
from .series import KeptSeries

UNLIKELY = 0.01  # chance of runs to differ so much in any of all rows
PRINCIPAL = {
    "Haeberlen Δ": ("reduced_anisotropy", True),
    "Haeberlen η": ("asymmetry", False),
    "span Ω": ("span", True),
    "skew κ": ("skew", False),
}


@dataclass(frozen=True)
class Row:
    """One mean.

    Parameters
    ----------
    name, unit : str
    nuclei : int
        Atoms, molecules, or 1 for a cell.
    mean, sampling_error : float
    model_error : float
        Standard deviation of what members say; NaN without members.
    time : float
        τ_int in samples; NaN of what is no mean of a series.
    members : tuple of float
    atoms : tuple of int
    """

    name: str
    unit: str
    nuclei: int
    mean: float
    sampling_error: float
    model_error: float
    time: float
    members: tuple[float, ...] = ()
    atoms: tuple[int, ...] = ()

    def minus(self, other: Row) -> Row:
        """The difference from the same mean of another run, both errors included: the same members answered both."""
        members: tuple[float, ...] = ()
        if self.members and len(self.members) == len(other.members):
            members = tuple(own - its for own, its in zip(self.members, other.members, strict=True))
        return replace(
            self,
            mean=self.mean - other.mean,
            sampling_error=float(np.hypot(self.sampling_error, other.sampling_error)),
            model_error=_spread(members),
            time=max(self.time, other.time),
            members=members,
        )

    def as_shift(self, reference: float) -> Row:
        """δ = σ_ref − σ, with the same errors."""
        members = tuple(reference - own for own in self.members)
        return replace(self, name=f"{SHIFT} {self.name}", mean=reference - self.mean, members=members)


@dataclass(frozen=True)
class Means:
    """All rows, and what must be said of them.

    Parameters
    ----------
    rows : list of Row
    blocks : int
        That the slowest of them allows.
    unknown : list of str
        Atoms that the model knows nothing of.
    disagreeing : list of str
        Rows in which runs differ by more than their errors.
    """

    rows: list[Row]
    blocks: int
    unknown: list[str]
    disagreeing: list[str]


@dataclass(frozen=True)
class _Column:
    """What a row is the mean of: from means over beads (…, units, *shape) to one number (…)."""

    name: str
    unit: str
    atoms: tuple[int, ...]
    of: Callable[[np.ndarray], np.ndarray]
    nuclei: int


def rows_of(
    series: Sequence[KeptSeries], one: Property, labels: Sequence[str], groups: Sequence[Group], in_frame: bool,
    references: Mapping[str, float],
) -> Means:  # fmt: skip
    """Means with their errors.

    Parameters
    ----------
    series : sequence of KeptSeries
        Of independent runs.
    one : Property
    labels : sequence of str
        Of all atoms.
    groups : sequence of Group
    in_frame : bool
        Whether components have a meaning: they are means in axes that are fixed.
    references : mapping of str to float
        σ_ref by label.

    Raises
    ------
    InputError
        If there is no row, or models of the runs do not know the same atoms.
    """
    finite = [np.isfinite(own.means[0]).all(axis=tuple(range(1, own.means.ndim - 1))) for own in series]
    is_known = finite[0]
    if any((own != is_known).any() for own in finite):
        raise InputError(f"some of the runs hold {one.name} of other atoms than others; they must be of the same")
    unknown = (
        [f"{labels[atom]} atom {atom}" for atom in np.flatnonzero(~is_known).tolist()] if one.per == "atom" else []
    )
    known = set(np.flatnonzero(is_known).tolist())
    columns = list(_columns(one, labels, groups, known, in_frame, series[0].means.shape[1:]))
    if not columns:
        why = "its components need --frame crystal or molecule" if known else "the model knows nothing of any atom"
        raise InputError(f"no mean of {one.name} can be told: {why}")
    found = [np.stack([column.of(own.means) for column in columns], axis=-1) for own in series]
    averages = block_average(found)
    members = _members(series, columns)
    rows = [
        Row(
            column.name, column.unit, column.nuclei, float(averages.mean[k]), float(averages.error[k]),
            _spread(tuple(members[:, k])), float(averages.time[k]), tuple(members[:, k].tolist()), column.atoms,
        )
        for k, column in enumerate(columns)
    ]  # fmt: skip
    if in_frame and one.name == "shielding":  # the names are those of magnetic resonance
        for atom in sorted(known):
            rows += _principal_rows(series, f"{labels[atom]} atom {atom}", str(one.unit), atom)
    shifts = [
        row.as_shift(references[labels[row.atoms[0]]])
        for row in rows
        if row.atoms and labels[row.atoms[0]] in references and len({labels[atom] for atom in row.atoms}) == 1
        and ", " not in row.name
    ]  # fmt: skip
    unlikely = averages.chance < UNLIKELY / len(columns)
    disagreeing = [column.name for column, differs in zip(columns, unlikely, strict=True) if differs]
    return Means(rows + shifts, averages.blocks, unknown, disagreeing)


def _columns(
    one: Property, labels: Sequence[str], groups: Sequence[Group], known: set[int], in_frame: bool,
    sample: tuple[int, ...],
) -> Iterator[_Column]:  # fmt: skip
    """Columns of groups, then of single atoms, then of components where axes mean something."""
    unit = str(one.unit)
    if one.per == "orbital":
        for level in range(sample[0]):
            yield _Column(f"{one.name}, level {level}", unit, (), _component(level, ()), 1)
        return
    if one.shape == (OPEN,) and one.per == "cell":
        for place in range(sample[1]):
            yield _Column(f"{one.name}, value {place}", unit, (), _component(0, (place,)), 1)
        return
    if one.per != "atom":
        yield from _columns_of_cells(one, unit)
        return
    if one.shape in ((), (3, 3)):
        singles = [Group(f"{labels[atom]} atom {atom}", (atom,)) for atom in range(len(labels))]
        seen: set[tuple[int, ...]] = set()
        for group in (*groups, *singles):
            atoms = tuple(atom for atom in group.atoms if atom in known)
            if atoms and atoms not in seen:
                seen.add(atoms)
                yield _Column(group.name, unit, atoms, _scalar_mean(atoms, one.shape), len(atoms))
    if one.shape and (in_frame or one.shape not in ((3, 3), (3,))):
        for atom in sorted(known):
            for component, axis in _places(one):
                name = f"{labels[atom]} atom {atom}, {axis}"
                yield _Column(name, unit, (atom,), _component(atom, component), 1)


def _columns_of_cells(one: Property, unit: str) -> Iterator[_Column]:
    """Components of a cell, or of the mean over its molecules."""
    whole = one.name if one.per == "cell" else f"{one.name}, mean over molecules"
    if one.shape in ((), (3, 3)):
        yield _Column(whole, unit, (), lambda means: _scalar(means, one.shape).mean(axis=-1), 1)
    for place, axis in _places(one) if one.shape else ():
        yield _Column(f"{whole}, {axis}", unit, (), _mean_component(place), 1)


def _component(atom: int, place: tuple[int, ...]) -> Callable[[np.ndarray], np.ndarray]:
    where: Any = (..., atom, *place)
    return lambda means: means[where]


def _mean_component(place: tuple[int, ...]) -> Callable[[np.ndarray], np.ndarray]:
    where: Any = (..., slice(None), *place)
    return lambda means: means[where].mean(axis=-1)


def _places(one: Property) -> list[tuple[tuple[int, ...], str]]:
    """Where independent values stand in a sample, and their labels."""
    form = one.quantity.form if one.quantity is not None else None
    if form is None or form.shape != one.shape:  # what follows from a quantity has a shape of its own
        is_of_axes = set(one.shape) == {3}
        return [
            (place, "".join("xyz"[axis] for axis in place) if is_of_axes else str(place))
            for place in np.ndindex(one.shape)
        ]
    places = form.independent or tuple(np.ndindex(form.shape))
    return list(zip(places, form.axes, strict=True))


def _scalar(means: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    return np.trace(means, axis1=-2, axis2=-1) / 3 if shape else means


def _scalar_mean(atoms: tuple[int, ...], shape: tuple[int, ...]) -> Callable[[np.ndarray], np.ndarray]:
    def of(means: np.ndarray) -> np.ndarray:
        # the axis of atoms is the last one before those of a sample
        axis = means.ndim - len(shape) - 1
        return _scalar(np.take(means, atoms, axis=axis), shape).mean(axis=-1)

    return of


def _members(series: Sequence[KeptSeries], columns: Sequence[_Column]) -> np.ndarray:
    """What members say of each column, mean over runs, shape (members, columns); no member without them."""
    found = [own.members for own in series]
    if any(own is None for own in found) or len({own.shape for own in found if own is not None}) > 1:
        return np.zeros((0, len(columns)))
    shares = np.array([len(own.steps) for own in series], dtype=np.float64)
    mean = np.average(np.array(found), axis=0, weights=shares)
    return np.stack([column.of(mean) for column in columns], axis=-1)


def _principal_rows(series: Sequence[KeptSeries], name: str, unit: str, atom: int) -> Iterator[Row]:
    """What is told of the mean tensor: the tensors are averaged first, and diagonalised afterwards."""

    def of(means: np.ndarray) -> np.ndarray:
        found = principal_values(means.reshape(*means.shape[:-1], 3, 3))
        return np.stack([getattr(found, own) for own, _ in PRINCIPAL.values()], axis=-1)

    values, errors = jackknife_over_blocks([own.means[:, atom].reshape(len(own.means), 9) for own in series], of)
    members = np.zeros((0, len(values)))
    said = [own.members[:, atom] for own in series if own.members is not None]
    if len(said) == len(series) and len({own.shape for own in said}) == 1:
        members = of(np.average(said, axis=0, weights=[len(own.steps) for own in series]).reshape(-1, 9))
    for place, (label, (_, has_unit)) in enumerate(PRINCIPAL.items()):
        own = tuple(members[:, place].tolist())
        yield Row(
            f"{name}, {label}", unit if has_unit else "", 1, float(values[place]), float(errors[place]), _spread(own),
            np.nan, own, (atom,),
        )  # fmt: skip


def _spread(members: Sequence[float]) -> float:
    return float(np.std(members, ddof=1)) if len(members) > 1 else np.nan
