"""One zero of energy for all curves of a fit, the basis they are fitted in, and the strength of its regularisation.

The zero of energy of a bulk means nothing, so that a curve may be shifted along the axis to where a model describes it
best (How, Chong, Grasselli, Huguenin-Dumittan, Ceriotti, arXiv:2407.01068).  Here a linear model of the whole curve and
the shifts are found in turn: the model of shifted curves, then the shifts of curves onto the model.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from ase.data import chemical_symbols

from ....model import Batch, Model
from ....properties.curves import EnergyCurves
from ....properties.density_of_states import CHANNELS, DensityOfStatesSettings
from ....pyx.tensor_head import features
from ...data import Frame
from ...data.curves import best_shifts, shifted
from ..configuration import Configuration, ConfigurationError
from ..head_fit import HeadProblem
from .ends import refuse_too_many, warn_of_lost
from .labels import NAME, axis_of, electrons_of, settings_of

logger = logging.getLogger(__name__)

ROUNDS = 3  # of shifts onto the mean of all
MOST_ROUNDS = 40  # of shifts and models
SETTLED = 2e-3  # eV, root mean square of the last changes of shifts
FURTHEST = 0.3  # of the axis, that a curve is shifted at first
NEARER = 1.5  # eV, afterwards
RIDGES = (1e-1, 3e-2, 1e-2, 3e-3, 1e-3, 3e-4, 1e-4, 3e-5, 1e-5)
FOLDS, FEWEST = 5, 10  # of cross-validation, and frames for it
USUAL_RIDGE = 1e-3


@dataclass(frozen=True)
class CurveProblem:
    """Linear regression of curves per atom on the mean features of frames, with the weights of `HeadProblem`.

    Parameters
    ----------
    offsets : ndarray of float64, shape (frames, species)
        Share of each species, which is not regularised.
    rows : ndarray of float64, shape (frames, features)
        Features times the roots of their prior variances.
    curves : ndarray of float64, shape (frames, points)
    weights : ndarray of float64, shape (frames,)
    """

    offsets: np.ndarray
    rows: np.ndarray
    curves: np.ndarray
    weights: np.ndarray

    def part(self, places: np.ndarray) -> CurveProblem:
        """The same of some frames."""
        return CurveProblem(self.offsets[places], self.rows[places], self.curves[places], self.weights[places])

    def predictions(self, ridges: Sequence[float], others: CurveProblem) -> list[np.ndarray]:
        """Curves of other frames by the models that these strengths of regularisation give."""
        root = np.sqrt(self.weights)[:, None]
        offsets, rows, curves = root * self.offsets, root * self.rows, root * self.curves
        space = np.linalg.qr(offsets)[0]
        left, values, right = np.linalg.svd(rows - space @ (space.T @ rows), full_matrices=False)
        projected, total = left.T @ curves, np.square(values).sum() / len(rows)
        found = []
        for ridge in ridges:
            factors = np.divide(values, values**2 + ridge * total, out=np.zeros_like(values), where=values > 0)
            weights = right.T @ (factors[:, None] * projected)
            constants = np.linalg.lstsq(offsets, curves - rows @ weights, rcond=None)[0]
            found.append(others.offsets @ constants + others.rows @ weights)
        return found


def on_one_zero(
    configuration: Configuration, model: Model, frames: Sequence[Frame], fitted: EnergyCurves | None = None
) -> tuple[Configuration, list[Frame], EnergyCurves | None]:
    """Frames whose labels are coefficients of curves on one zero of energy, with the basis.

    Parameters
    ----------
    configuration : Configuration
    model : Model
        Before its heads; gives the density.
    frames : sequence of Frame
    fitted : EnergyCurves, optional
        Of a model that gets members: its basis is taken.

    Returns
    -------
    configuration : Configuration
        With the ridge that was chosen.
    frames : list of Frame
    curves : EnergyCurves or None
        None where no density of states is fitted.

    Raises
    ------
    ConfigurationError
        If the axis or the electrons are not said, or the curves are not those of the model that gets members.
    DataError
        If a curve has no states for its electrons.
    """
    settings, frames = settings_of(configuration), list(frames)
    labelled = [frame for frame in frames if NAME in frame.labels]
    if settings is None or not labelled:
        return configuration, frames, None
    first, step = axis_of(settings, len(labelled[0].labels[NAME]))
    electrons = electrons_of(settings, [chemical_symbols[number] for number in model.numbers])
    if electrons:
        for frame in labelled:
            count = float(np.array(electrons)[model.species_indices(frame.atoms.numbers)].sum())
            refuse_too_many(frame.labels[NAME], step, count, frame.name)
    problem = curve_problem(configuration, model, labelled, settings)
    settings, shifts = aligned(problem, settings, step)
    warn_of_lost(problem.curves, shifts, step)
    curves = shifted(problem.curves, shifts, step)
    if fitted is None:
        ridge = settings.ridge or USUAL_RIDGE
        described = replace(problem, curves=curves).predictions([ridge], problem)[0]
        basis = basis_of(described, problem.weights)
        fitted = EnergyCurves(first, step, basis, settings.smearing, electrons, settings.adaptive_zero)
    elif (fitted.first, fitted.step, fitted.points) != (first, step, curves.shape[1]):
        raise ConfigurationError(
            f"an axis from {first:g} eV in {curves.shape[1]} steps of {step:g} eV in [{NAME}]; that of the model which "
            f"gets members is from {fitted.first:g} eV in {fitted.points} of {fitted.step:g} eV"
        )
    coefficients = {id(frame): own @ fitted.basis.T for frame, own in zip(labelled, curves, strict=True)}
    made = [_with_coefficients(frame, coefficients.get(id(frame)), settings.size_power) for frame in frames]
    return replace(configuration, quantities={**configuration.quantities, NAME: settings}), made, fitted


def _with_coefficients(frame: Frame, coefficients: np.ndarray | None, power: float) -> Frame:
    """A frame whose label is the coefficients of its whole curve."""
    if coefficients is None:
        return frame
    atoms = len(frame.atoms)
    label = atoms * coefficients
    # a row of a cell counts as the square of its error per atom times its atoms
    others = {name: own for name, own in frame.labels.items() if name != NAME}
    weights = {**frame.label_weights, NAME: atoms ** (power - 1)}
    return replace(frame, labels={**others, NAME: label}, label_weights=weights)


def curve_problem(
    configuration: Configuration, model: Model, frames: Sequence[Frame], settings: DensityOfStatesSettings
) -> CurveProblem:
    """The regression of the curves of frames, all of which have one."""
    own = HeadProblem.of(NAME, model, frames, configuration)
    assert own.prior is not None
    is_offset = ~np.isfinite(own.prior)
    scale = np.sqrt(own.prior[~is_offset])
    offsets, rows = [], []
    for frame in frames:
        batch = Batch.from_ase(frame.atoms)
        density = model.density(batch)[0, :, : own.shape.harmonics]
        mean = features(0, own.shape, density, model.species_indices(batch.numbers))[0] / len(frame.atoms)
        offsets.append(mean[is_offset])
        rows.append(mean[~is_offset] * scale)
    atoms = np.array([len(frame.atoms) for frame in frames], dtype=np.float64)
    curves = np.array([frame.labels[NAME] for frame in frames]) / atoms[:, None]
    weights = np.array([frame.weight for frame in frames]) * atoms**settings.size_power
    return CurveProblem(np.array(offsets), np.array(rows), curves, weights)


def aligned(
    problem: CurveProblem, settings: DensityOfStatesSettings, step: float
) -> tuple[DensityOfStatesSettings, np.ndarray]:
    """The shift of each curve in eV, whose weighted mean is zero, and settings with a ridge."""
    shifts = np.zeros(len(problem.curves))
    if settings.adaptive_zero:
        shifts = settled(problem, onto_their_mean(problem, step), settings.ridge or USUAL_RIDGE, step)
    if not settings.ridge:
        furthest = NEARER if settings.adaptive_zero else 0.0
        chosen = best_ridge(replace(problem, curves=shifted(problem.curves, shifts, step)), step, furthest)
        settings = replace(settings, ridge=chosen)
    if not settings.adaptive_zero:
        return settings, shifts
    shifts = settled(problem, shifts, settings.ridge, step)
    logger.info(
        "zeros of energy of %d curves were shifted by %.3g eV (root mean square), ridge %g",
        len(shifts), np.sqrt(np.mean(shifts**2)), settings.ridge,
    )  # fmt: skip
    return settings, shifts


def settled(problem: CurveProblem, shifts: np.ndarray, ridge: float, step: float) -> np.ndarray:
    """Shifts of curves onto the model that they give, in turn until they stay, or with a warning that they do not."""
    for _ in range(MOST_ROUNDS):
        before, shifts = shifts, onto_their_model(problem, shifts, ridge, step)
        change = np.sqrt(np.mean((shifts - before) ** 2))
        if change < SETTLED:
            return shifts
    logger.warning(
        "zeros of energy still change by %.2g eV (root mean square) after %d rounds; allowed is %g eV: the last ones "
        "are taken, but the fit may depend on where they began; a stronger ridge, or labels on one zero already, with "
        "adaptive_zero = false, are needed",
        change, MOST_ROUNDS, SETTLED,
    )  # fmt: skip
    return shifts


def onto_their_model(problem: CurveProblem, shifts: np.ndarray, ridge: float, step: float) -> np.ndarray:
    """Shifts of curves onto the model of the curves that some shifts give."""
    own = replace(problem, curves=shifted(problem.curves, shifts, step))
    model = own.predictions([ridge], own)[0]
    return centred(shifts + best_shifts(own.curves, model, step, NEARER), problem.weights)


def onto_their_mean(problem: CurveProblem, step: float) -> np.ndarray:
    """Shifts of curves onto the mean of all, which begins with the curve of the largest frame."""
    target, furthest = problem.curves[problem.weights.argmax()], FURTHEST * step * problem.curves.shape[1]
    shifts = np.zeros(len(problem.curves))
    for _ in range(ROUNDS):
        shifts = best_shifts(problem.curves, np.broadcast_to(target, problem.curves.shape), step, furthest)
        target = np.average(shifted(problem.curves, shifts, step), axis=0, weights=problem.weights)
    return centred(shifts, problem.weights)


def centred(shifts: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Shifts without their weighted mean, so that the model's zero is the mean of those of the labels."""
    return shifts - np.average(shifts, weights=weights)


def best_ridge(problem: CurveProblem, step: float, furthest: float) -> float:
    """The strength of regularisation with the smallest error on frames that were left out, by turns.

    As when a model is judged, each curve is shifted by at most ``furthest`` eV to where it lies best on the prediction:
    shifts that belong to the model of all frames would speak for its own regularisation.
    """
    frames = len(problem.curves)
    if frames < FEWEST:
        return USUAL_RIDGE
    errors = np.zeros(len(RIDGES))
    parts = np.array_split(np.random.default_rng(0).permutation(frames), FOLDS)
    for part in parts:
        rest = np.setdiff1d(np.arange(frames), part)
        left_out = problem.part(part)
        for place, curves in enumerate(problem.part(rest).predictions(RIDGES, left_out)):
            labels = left_out.curves
            if furthest:
                labels = shifted(labels, best_shifts(labels, curves, step, furthest), step)
            errors[place] += (left_out.weights[:, None] * (curves - labels) ** 2).sum()
    return RIDGES[int(errors.argmin())]


def basis_of(curves: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The orthonormal curves that describe these best, and smooth ones where there are too few, (channels, points)."""
    points = curves.shape[1]
    _, values, right = np.linalg.svd(np.sqrt(weights)[:, None] * curves, full_matrices=False)
    own = right[:CHANNELS][values[:CHANNELS] > 1e-10 * values[0]]
    cosines = np.cos(np.pi * np.outer(np.arange(CHANNELS), (np.arange(points) + 0.5) / points))
    every = np.vstack([own, cosines])[: len(own) + CHANNELS].T
    basis = np.linalg.qr(every)[0].T[:CHANNELS]
    basis[: len(own)] = own  # QR may turn signs
    return np.ascontiguousarray(basis)
