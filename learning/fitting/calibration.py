"""Whether the spread of a committee is as large as its errors, and the factor that makes it so."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.table import Table

from ...model import Batch, Corrected, Evaluator, Model
from ...model.members import Members, calibrated_names
from ...properties.quantities import properties, quantities
from ..data import DataError, Frame
from .accuracy import label_near
from .configuration import FEWEST_MEMBERS
from .guards import TOO_SURE
from .reliability import fractions_within

# of the root mean squares: where symmetry fixes a value, members differ by rounding alone, and errors are small
FIXED_SPREAD, FIXED_ERROR = 1e-6, 1e-3


@dataclass(frozen=True)
class Reliability:
    """Predicted uncertainties of one property beside the errors that were made.

    Parameters
    ----------
    unit : str
        Of both.
    uncertainties, errors : ndarray of float64, shape (values,)
        Standard deviation over members (ddof 1), calibrated if the members are, and prediction minus reference; one
        value for each frame's energy, and for each independent component of forces and other quantities.
    members : int
    places : ndarray of int, shape (values,)
        Which of the frames each value is of.
    """

    unit: str
    uncertainties: np.ndarray
    errors: np.ndarray
    members: int
    places: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=int))

    def fraction_within(self, deviations: float) -> float:
        """Part of the errors that are not larger than so many standard deviations; 0.683 and 0.954 of a Gaussian."""
        return fractions_within(self.uncertainties, self.errors, (deviations,))[0]

    @property
    def factor(self) -> float:
        """α that the uncertainties would have to be multiplied by; see `calibration_factor`."""
        return calibration_factor(self.errors, self.uncertainties**2, self.members)

    def as_dict(self) -> dict[str, float | int | str]:
        """Numbers for JSON."""
        return {
            "unit": self.unit,
            "values": len(self.errors),
            "root_mean_square_error": float(np.sqrt(np.mean(self.errors**2))),
            "root_mean_square_uncertainty": float(np.sqrt(np.mean(self.uncertainties**2))),
            "within_1_standard_deviation": self.fraction_within(1),
            "within_2_standard_deviations": self.fraction_within(2),
        }


def calibration_factor(errors: np.ndarray, variances: np.ndarray, members: int) -> float:
    """α of y_i ← ȳ + α (y_i − ȳ) with which the errors of a committee are as likely as its variances say.

    α² = −1/M + (M − 3)/(M − 1) <(y_ref − ȳ)²/σ²>, where the second term corrects for the few members that σ² is
    estimated from, and the first for the error of their mean (Imbalzano, Zhuang, Kapil, Rossi, Engel, Grasselli,
    Ceriotti, J. Chem. Phys. 154, 074102 (2021)).  Where members are so far apart that this is not positive, the first
    term is left out.  Values that symmetry fixes for all members, such as forces out of the plane of a molecule, do not
    count: their σ is rounding.

    Parameters
    ----------
    errors : ndarray of float64
        y_ref − ȳ, of frames that no member was fitted to.
    variances : ndarray of float64, same shape
        σ² over members, ddof 1.
    members : int
        M.

    Raises
    ------
    DataError
        If there are fewer than five members, nothing to compare, or members that all agree on what is wrong.
    """
    errors, variances = np.asarray(errors, dtype=np.float64), np.asarray(variances, dtype=np.float64)
    if members < FEWEST_MEMBERS:
        raise DataError(f"a committee of {members} members cannot be calibrated; at least {FEWEST_MEMBERS} are needed")
    free = _not_fixed(errors, variances)
    if not free.any() or not (variances[free] > FIXED_SPREAD**2 * variances.mean()).all():
        raise DataError(
            f"a committee cannot be calibrated on {len(errors)} values, {int(free.sum())} not fixed by symmetry, "
            f"with variances from {variances.min(initial=np.inf):.3g}; at least one is needed, and variances above 0"
        )
    errors, variances = errors[free], variances[free]
    ratio = (members - 3) / (members - 1) * float(np.mean(np.square(errors) / variances))
    square = ratio - 1 / members
    return float(np.sqrt(square if square > 0 else ratio))


def _not_fixed(errors: np.ndarray, variances: np.ndarray) -> np.ndarray:
    """Which values are more than rounding: those with a spread, and those with an error in spite of none."""
    if not len(errors):
        return np.zeros(0, dtype=bool)
    squares = np.square(errors)
    return (variances > FIXED_SPREAD**2 * variances.mean()) | (squares > FIXED_ERROR**2 * squares.mean())


def reliabilities(
    evaluator: Evaluator, frames: Iterable[Frame], progress: Callable[[], object] | None = None
) -> dict[str, Reliability]:
    """Uncertainties and errors of all properties that the committee has and the frames have labels of.

    Parameters
    ----------
    evaluator : Evaluator
        With members, or a `beadwise.model.Committee`.
    frames : iterable of Frame
        That no member was fitted to.
    progress : callable, optional
        Called without arguments after each frame.

    Returns
    -------
    dict of str to Reliability
        By property: ``energy``, of the whole cell, ``forces``, and the other quantities.

    Raises
    ------
    StructureError
        If the model cannot answer for a frame.
    """
    if not any(f"committee_{name}" in evaluator.properties for name in calibrated_names()):
        return {}  # and no frame is evaluated
    found: dict[str, list[tuple[np.ndarray, np.ndarray, np.ndarray]]] = {}
    members = 0
    for place, frame in enumerate(frames):
        names = [
            name
            for name in calibrated_names()
            if label_of(name) in frame.labels and f"committee_{name}" in evaluator.properties
        ]
        want = [*names, *(f"committee_{name}" for name in names)]
        response = evaluator.evaluate(Batch.from_ase(frame.atoms), want)
        for name in names:
            values = response[f"committee_{name}"][0]
            members = len(values)
            spread = values.std(axis=0, ddof=1) * spread_factor(evaluator, name)
            label = label_near(evaluator, frame, label_of(name), response[name][0])
            if label.shape != response[name][0].shape:
                received = f"{label_of(name)} of {frame.name} has shape {label.shape}"
                raise DataError(f"{received}; that of the model has {response[name][0].shape}")
            error = response[name][0] - label
            if name in quantities():
                form = quantities()[name].form
                spread, error = form.independent_values(spread), form.independent_values(error)
            is_known = np.isfinite(error)  # atoms and molecules may have no label
            spread = np.broadcast_to(spread, error.shape)
            places = np.full(np.count_nonzero(is_known), place)
            found.setdefault(name, []).append((spread[is_known], error[is_known], places))
        if progress:
            progress()
    reliable = {}
    for name, own in found.items():
        uncertainties, errors, places = (np.concatenate(part) for part in zip(*own, strict=True))
        reliable[name] = Reliability(str(properties()[name].unit), uncertainties, errors, members, places)
    return reliable


def label_of(name: str) -> str:
    """The label that a calibrated property is compared with."""
    return quantities()[name].label if name in quantities() else name


def spread_factor(evaluator: Evaluator, name: str) -> float:
    """What the spread of the members' values is multiplied by: forces have a calibration of their own."""
    model = evaluator.correction if isinstance(evaluator, Corrected) else evaluator
    members = getattr(model, "members", None)
    if name != "forces" or not isinstance(members, Members):
        return 1.0
    return members.factor("forces") / members.factor("energy")


def calibrated(model: Model, frames: Iterable[Frame], progress: Callable[[], object] | None = None) -> Model:
    """The model with members whose deviations are multiplied by the factors that these frames give.

    Parameters
    ----------
    model : Model
        With members.
    frames : iterable of Frame
        That it was not fitted to; of a correction, their labels without the baseline.
    progress : callable, optional
        Called without arguments after each frame.

    Raises
    ------
    DataError
        If there are fewer than five members.
    """
    assert model.members is not None
    bare = replace(model, members=Members(model.members.deviations))
    found = reliabilities(bare, frames, progress)
    factors = {name: found[name].factor for name in calibrated_names() if name in found}
    if "forces" not in factors and "energy" in factors:
        factors["forces"] = factors["energy"]
    if "energy" not in factors and "forces" in factors:
        factors["energy"] = factors["forces"]
    return replace(model, members=Members(model.members.deviations, factors))


def reliability_table(found: Mapping[str, Reliability]) -> Table:
    """Lay out uncertainties beside errors as a rich table."""
    table = Table(box=SIMPLE_HEAD, header_style="bold", show_edge=False, padding=(0, 1, 0, 0))
    table.add_column("uncertainty of", no_wrap=True)
    table.add_column("unit", no_wrap=True)
    for heading in ("values", "predicted", "error found", "within 1σ (68.3 %)", "within 2σ (95.4 %)"):
        table.add_column(heading, justify="right")
    for name, own in found.items():
        numbers = own.as_dict()
        root_mean_squares = (numbers[f"root_mean_square_{kind}"] for kind in ("uncertainty", "error"))
        fractions = (f"{100 * own.fraction_within(deviations):.1f} %" for deviations in (1, 2))
        sizes = (f"{number:.4g}" for number in root_mean_squares)
        table.add_row(name, own.unit, str(len(own.errors)), *sizes, *fractions)
    return table


def calibration_text(model: Model) -> str:
    """One line about the members of a model: α of every property, how many values gave it, and what has none."""
    assert model.members is not None
    record = model.metadata.get("calibration", {})
    values = {name: record[name]["values"] if name in record else 0 for name in model.members.factors}
    factors = [f"{name} {factor:.4g} ({values[name]})" for name, factor in model.members.factors.items()]
    text = f"{model.members.count} members, calibration α (validation values): {', '.join(factors) or 'none'}"
    missing = model.members.uncalibrated
    return f"{text}; not calibrated, for want of validation labels: {', '.join(missing)}" if missing else text


def calibration_warnings(model: Model) -> Iterator[str]:
    """Sentences about members that differ far less than they err."""
    assert model.members is not None
    for name, factor in model.members.factors.items():
        if factor > TOO_SURE:
            yield (
                f"warning: members differ {factor:.3g} times less in the {name} than they err on the validation "
                "frames; look whether these are inside the guard or outside the envelope of the training"
            )


def calibration_record(model: Model, found: Mapping[str, Reliability]) -> dict[str, dict[str, float | int | str]]:
    """What the metadata of a model say of its calibration: α and what came out on the frames that it was made with."""
    assert model.members is not None
    return {name: {"factor": model.members.factor(name), **own.as_dict()} for name, own in found.items()}
