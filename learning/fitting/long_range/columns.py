"""Columns of long-range features beside those of the local density, in one least squares."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ....model import Batch, Model
from ....model.errors import as_structure_error
from ....model.lode import LongRangeEnergy
from ....potentials.lode.settings import Expansion, LongRangeShape
from ...data import Frame
from ..least_squares import NormalEquations
from .settings import LodeSettings

RAREST = 1e-5  # of the mean square of features of the same kind, l and exponent


def bare_long_range(settings: LodeSettings | None, species: int, cutoff: float) -> LongRangeEnergy | None:
    """The long-range part of a model before its fit."""
    if settings is None:
        return None
    own = settings
    expansion = Expansion(tuple(own.exponents), own.smearing, own.radius, own.radial, own.l_max)
    return LongRangeEnergy.without_weights(LongRangeShape(expansion, species, cutoff, own.neighbours))


def long_range_features(model: Model) -> int:
    """Number of columns."""
    return 0 if model.long_range is None else model.long_range.weights.size


def with_long_range(
    model: Model, frame: Frame, rows: tuple[np.ndarray, np.ndarray, np.ndarray]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Value, gradient and strain of a frame's features, with the columns of the long-range ones behind.

    Raises
    ------
    StructureError
        If the frame is periodic in some directions only, or its cell has too many waves.
    """
    if model.long_range is None:
        return rows
    batch = Batch.from_ase(frame.atoms)
    with as_structure_error(frame.name):
        own = model.long_range.of(batch, model.species_indices(batch.numbers), 0).scalar_rows("stress" in frame.labels)
    return tuple(np.concatenate(pair, axis=-1) for pair in zip(rows, own, strict=True))  # type: ignore[return-value]


def split(model: Model, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weights of the local features and of the long-range ones."""
    local = len(weights) - long_range_features(model)
    return weights[:local], weights[local:]


def prior_of(model: Model, equations: NormalEquations) -> np.ndarray | None:
    """Expected variances of the weights; None without long-range features, where the data set them.

    It is the inverse of the mean square of each feature, as by default, but not more than `RAREST` allows: what hardly
    occurs in the training, as the field of a species whose images alone are there, would get weights without bound.
    """
    if model.long_range is None:
        return None
    squares = np.diag(equations.matrix)
    prior = equations.rows / np.where(squares > 0, squares, 1.0)
    blocks = np.tile(model.long_range.shape.scalar_blocks(), model.long_range.shape.species)
    own = squares[len(squares) - len(blocks) :]
    means = np.bincount(blocks, own) / np.bincount(blocks)
    least = np.maximum(own, RAREST * means[blocks])
    prior[len(squares) - len(blocks) :] = equations.rows / np.where(least > 0, least, 1.0)
    return prior


def with_fitted(model: Model, weights: np.ndarray) -> Model:
    """The model with the long-range weights among all those of the energy."""
    if model.long_range is None:
        return model
    return replace(model, long_range=model.long_range.with_weights(split(model, weights)[1]))
