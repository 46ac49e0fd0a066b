"""How far a model is from reference labels, property by property."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from ase import Atoms
from ase.units import GPa
from rich.box import SIMPLE_HEAD
from rich.table import Table

from ...model import Batch, Evaluator, Model, StructureError
from ...model.answers import values_of_atoms
from ...model.charges.images import has_dipole
from ...properties.quantities import properties, table_of_registry
from ..data import DataError, Frame, labels
from ..data.curves import FURTHEST, best_shifts, shifted
from .guards import ENVELOPE, GuardReport

GIGAPASCAL_PER_MILLIELECTRONVOLT = 1e-3 / GPa
DENSITY_OF_STATES = "density_of_states"
OF_ENERGIES = {"energy": "meV/atom", "forces": "meV/Å", "stress": "meV/Å³", DENSITY_OF_STATES: "1/eV/atom"}
NUMBER_HEADINGS = (
    "values",
    "mean absolute error",
    "root mean square error",
    "deviation of reference",
    "error / deviation",
)


@table_of_registry
def report_units() -> Mapping[str, str]:
    """Unit of the errors of every label."""
    known = properties()
    units = {name: label.unit if label.is_of_atoms else known[label.of].unit for name, label in labels().items()}
    return {name: OF_ENERGIES.get(name) or str(unit) for name, unit in units.items()}


class NothingToCompareError(DataError):
    """Frames none of which has a label that a model can be compared with."""


@dataclass(frozen=True)
class PropertyErrors:
    """Reference and prediction of one property, and the errors that follow.

    Parameters
    ----------
    unit : str
        Of both.
    reference, predicted : ndarray of float64, shape (samples, components)
        A sample is a frame, an atom or a molecule, and for forces one Cartesian component of one atom.  The mean that a
        standard deviation refers to is taken over the samples, separately for each component.
    """

    unit: str
    reference: np.ndarray
    predicted: np.ndarray

    @property
    def count(self) -> int:
        """Number of values compared."""
        return self.reference.size

    @property
    def mean_absolute_error(self) -> float:
        """Mean of |predicted − reference|."""
        return float(np.abs(self.predicted - self.reference).mean())

    @property
    def root_mean_square_error(self) -> float:
        """Square root of the mean of (predicted − reference)²."""
        return float(np.sqrt(((self.predicted - self.reference) ** 2).mean()))

    @property
    def standard_deviation(self) -> float:
        """Of the reference about its mean over the samples."""
        return float(np.sqrt(((self.reference - self.reference.mean(axis=0)) ** 2).mean()))

    @property
    def percent_error(self) -> float | None:
        """100 times the root mean square error over the standard deviation; None where the reference is constant."""
        spread = self.standard_deviation
        constant = spread <= 1e-12 * np.abs(self.reference).max()
        return None if constant else 100 * self.root_mean_square_error / spread

    @property
    def mean_error(self) -> np.ndarray:
        """Mean of predicted − reference over the samples, shape (components,)."""
        return (self.predicted - self.reference).mean(axis=0)

    def without_mean_error(self) -> PropertyErrors:
        """Take the mean error off the predictions: what is left once a constant is fitted."""
        return replace(self, predicted=self.predicted - self.mean_error)

    def in_unit(self, unit: str, factor: float) -> PropertyErrors:
        """Give the same in another unit, which the values reach by a factor."""
        return PropertyErrors(unit, self.reference * factor, self.predicted * factor)

    def as_dict(self) -> dict[str, Any]:
        """All numbers but the pairs themselves, for JSON."""
        names = ("count", "mean_absolute_error", "root_mean_square_error", "standard_deviation", "percent_error")
        return {"unit": self.unit} | {name: getattr(self, name) for name in names}


@dataclass(frozen=True)
class ErrorReport:
    """Errors of a model over some frames.

    Parameters
    ----------
    frames : int
        How many were evaluated.
    properties : dict of str to PropertyErrors
        By label; energies are per atom.
    guards : GuardReport
        Which frames the model was not made for.
    """

    frames: int
    properties: dict[str, PropertyErrors] = field(default_factory=dict)
    guards: GuardReport = field(default_factory=GuardReport)

    def as_dict(self) -> dict[str, Any]:
        """All numbers for JSON.

        Besides the entries of `PropertyErrors.as_dict`, the energy has its ``mean_error`` (the predicted energies'
        constant offset) and the errors about it, and the stress has errors in GPa.
        """
        errors = {name: own.as_dict() for name, own in self.properties.items()}
        if "energy" in errors:
            own = self.properties["energy"]
            shifted = own.without_mean_error()
            errors["energy"] |= {
                "mean_error": float(own.mean_error[0]),
                "root_mean_square_error_about_mean_error": shifted.root_mean_square_error,
                "percent_error_about_mean_error": shifted.percent_error,
            }
        if "stress" in errors:
            errors["stress"]["gigapascal"] = _in_gigapascal(self.properties["stress"]).as_dict()
        return {"frames": self.frames, "properties": errors, **self.guards.as_dict()}

    def table(self, title: str = "") -> Table:
        """Lay the errors out as a rich table.

        Its last column is the root mean square error in percent of the standard deviation of the reference.
        """
        table = Table(
            title=title or None,
            caption=self._caption(),
            title_justify="left",
            caption_justify="left",
            header_style="bold",
            box=SIMPLE_HEAD,
            show_edge=False,
            padding=(0, 1, 0, 0),
        )
        for heading in ("property", "unit"):
            table.add_column(heading, no_wrap=True)
        for heading in NUMBER_HEADINGS:
            table.add_column(heading, justify="right")
        for name, own in self._rows():
            percent = "–" if own.percent_error is None else f"{_four_digits(own.percent_error)} %"
            numbers = (own.mean_absolute_error, own.root_mean_square_error, own.standard_deviation)
            table.add_row(name, own.unit, str(own.count), *map(_four_digits, numbers), percent)
        return table

    def _caption(self) -> str | None:
        if "energy" not in self.properties:
            return None
        return f"shifted: without the mean error of the energy, {self.properties['energy'].mean_error[0]:.4g} meV/atom"

    def _rows(self) -> list[tuple[str, PropertyErrors]]:
        rows = []
        for name, own in self.properties.items():
            rows.append((name, own))
            if name == "energy":
                rows.append(("  shifted", own.without_mean_error()))
            if name == "stress":
                rows.append(("", _in_gigapascal(own)))
        return rows


def _in_gigapascal(stress: PropertyErrors) -> PropertyErrors:
    return stress.in_unit("GPa", GIGAPASCAL_PER_MILLIELECTRONVOLT)


def _four_digits(value: float) -> str:
    """At least four significant digits, without an exponent where the number is of a usual size."""
    if value != 0 and not 1e-4 <= value < 1e6:
        return f"{value:.3e}"
    return f"{value:.{max(0, min(3 - int(np.floor(np.log10(value))), 7))}f}" if value else "0"


def evaluate_errors(
    model: Evaluator, frames: Iterable[Frame], progress: Callable[[], object] | None = None
) -> ErrorReport:
    """Compare a model with the labels of frames, which may differ in their atoms.

    Labels that a frame lacks and properties that the model lacks are left out.  The stress is −virial/volume; of a
    frame without three lattice vectors it is left out, too, and so is the dipole of charges that depends on images.

    Parameters
    ----------
    model : Evaluator
    frames : iterable of Frame
        Read once, one at a time.
    progress : callable, optional
        Called without arguments after each frame.

    Returns
    -------
    ErrorReport
        In the units of `report_units`.

    Raises
    ------
    NothingToCompareError
        If no frame has a label that the model can be compared with.
    DataError
        If a label has another shape than what the model says.
    StructureError
        If the model cannot answer for a frame.
    """
    pairs: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {name: [] for name in labels()}
    present: set[str] = set()
    guards, count = GuardReport.of(model), 0
    for frame in frames:
        present |= frame.labels.keys()
        for name, pair in _compare(model, frame, guards).items():
            pairs[name].append(pair)
        count += 1
        if progress is not None:
            progress()
    if not any(pairs.values()):
        raise NothingToCompareError(_nothing_to_compare(model, count, present))
    properties = {
        name: PropertyErrors(report_units()[name], *(np.concatenate(side) for side in zip(*own, strict=True)))
        for name, own in pairs.items()
        if own
    }
    return ErrorReport(count, properties, guards)


def _compare(model: Evaluator, frame: Frame, guards: GuardReport) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Pairs (reference, predicted) of one frame by label, each of shape (samples, components)."""
    names = [name for name in frame.labels if can_be_compared(model, name)]
    if frame.atoms.cell.rank < 3:
        names = [name for name in names if name != "stress"]
    if not names:
        return {}
    try:
        batch = Batch.from_ase(frame.atoms)
        if not has_dipole(model, batch):
            names = [name for name in names if (own := labels()[name].quantity) is None or own.name != "dipole"]
        if not names:
            return {}
        want = [labels()[name].of for name in names if not labels()[name].is_of_atoms]
        response = model.evaluate(batch, [*want, *([ENVELOPE] if guards.has_envelope else [])])
        of_atoms = {name: of_each_atom(model, batch, name) for name in names if labels()[name].is_of_atoms}
    except StructureError as error:
        raise StructureError(f"{frame.name}: {error}") from error
    guards.add(frame, float(response[ENVELOPE][0]) if guards.has_envelope else 0.0)
    pairs = {}
    for name in names:
        predicted = of_atoms[name] if name in of_atoms else response[labels()[name].of][0]
        is_asked = np.isfinite(frame.labels[name]) if predicted.shape == frame.labels[name].shape else True
        if not (np.isfinite(predicted) | ~np.asarray(is_asked)).all():  # a species without labels has no number
            raise StructureError(f"{frame.name}: the model's {name} is not finite; it cannot answer for this structure")
        if predicted.shape != frame.labels[name].shape and name != "stress":
            raise DataError(
                f"{name} of {frame.name} has shape {frame.labels[name].shape}; the model's {predicted.shape}"
            )
        if name == "stress":
            predicted = -predicted / frame.atoms.get_volume()
        reference = _in_report_units(name, label_near(model, frame, name, predicted), frame.atoms)
        is_known = np.isfinite(reference).all(axis=1)  # atoms and molecules may have no label
        pairs[name] = (reference[is_known], _in_report_units(name, predicted, frame.atoms)[is_known])
    return pairs


def label_near(model: Evaluator, frame: Frame, name: str, predicted: np.ndarray) -> np.ndarray:
    """A label as it is compared with a prediction: without what it is known up to, as quanta of a dipole.

    A density of states is shifted along its axis to where it lies best on the prediction, if the model was fitted so.
    """
    curves, label = getattr(model, "curves", None), frame.label_near(name, predicted)
    if name != DENSITY_OF_STATES or curves is None or not curves.free_zero or label.shape != predicted.shape:
        return label
    shifts = best_shifts(label[None], predicted[None], curves.step, FURTHEST)
    return shifted(label[None], shifts, curves.step)[0]


def can_be_compared(model: Evaluator, name: str) -> bool:
    """Whether a model answers for a label; for what single atoms add, it must be a fitted one."""
    label = labels()[name]
    if label.is_of_atoms:
        return isinstance(model, Model) and label.quantity is not None and label.quantity.name in model.quantities
    return label.of in model.properties


def of_each_atom(model: Evaluator, batch: Batch, name: str) -> np.ndarray:
    """What a model says of a label of single atoms."""
    quantity = labels()[name].quantity
    assert isinstance(model, Model) and quantity is not None
    return values_of_atoms(model, batch, quantity.name)[0]


def _in_report_units(name: str, value: np.ndarray, atoms: Atoms) -> np.ndarray:
    """Convert a label or prediction to the units of `report_units`, shape (samples, components)."""
    if name == "energy":
        return np.reshape(1e3 * value / len(atoms), (1, 1))
    if name == DENSITY_OF_STATES:
        return np.reshape(value / len(atoms), (1, -1))
    if name == "forces":
        return 1e3 * value.reshape(-1, 1)
    if name == "stress":
        return 1e3 * value.reshape(1, -1)
    samples = 1 if labels()[name].per == "cell" else len(value)
    return 1.0 * value.reshape(samples, -1)


def _nothing_to_compare(model: Evaluator, count: int, present: set[str]) -> str:
    known = [name for name in labels() if can_be_compared(model, name)]
    found = [name for name in labels() if name in present]
    return (
        f"nothing to compare: the {count} frames have {', '.join(found) or 'no labels'}; "
        f"this model can be compared by {', '.join(known) or 'none of the labels'}"
    )
