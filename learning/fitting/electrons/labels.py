"""Labels of a density of states: curves as they stand, or made of levels with weights."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ....properties.density_of_states import CHANNELS, QUANTITY, DensityOfStatesSettings
from ....properties.mermin import smeared
from ...data import DataError, Frame
from ..configuration import Configuration, ConfigurationError

logger = logging.getLogger(__name__)

NAME = QUANTITY.name
PER_LEVEL = 2.0  # electrons, of both spins
LARGEST_STEP = 0.5  # of the axis, in widths of the smearing: from here on sums over the axis are no integrals


def settings_of(configuration: Configuration) -> DensityOfStatesSettings | None:
    """The section of the density of states; None where there is none."""
    own = configuration.quantities.get(NAME)
    return own if isinstance(own, DensityOfStatesSettings) else None


def axis_of(settings: DensityOfStatesSettings, points: int) -> tuple[float, float]:
    """First energy and spacing of an axis of so many points, in eV.

    Raises
    ------
    ConfigurationError
        If the section does not say an axis.
    """
    said = settings.energies
    if len(said) != 2 or not np.isfinite(said).all() or not said[0] < said[1]:
        raise ConfigurationError(
            f"energies = {said} in [{NAME}]; the first and the last energy of the axis are needed, in eV"
        )
    if points < CHANNELS:
        raise ConfigurationError(f"an axis of {points} points in [{NAME}]; at least {CHANNELS} are needed")
    return said[0], (said[1] - said[0]) / (points - 1)


def with_curves(configuration: Configuration, sets: Mapping[str, list[Frame]]) -> dict[str, list[Frame]]:
    """Frames whose levels have become curves.

    Raises
    ------
    ConfigurationError
        If the axis or the smearing is not said, or too coarse for it.
    DataError
        If levels or weights cannot be used, or curves have different numbers of points.
    """
    settings = settings_of(configuration)
    if settings is None:
        return dict(sets)
    if settings.levels:
        first, step = axis_of(settings, settings.points)
        if not 0 < step <= LARGEST_STEP * settings.smearing:
            raise ConfigurationError(
                f"smearing = {settings.smearing:g} eV in [{NAME}] on an axis of steps of {step:.4g} eV; at least twice "
                "the step is needed for levels"
            )
        energies = first + step * np.arange(settings.points)
        warn_of_lower([frame for frames in sets.values() for frame in frames], settings, first)
        return {name: [_with_curve(frame, settings, energies) for frame in frames] for name, frames in sets.items()}
    lengths = {len(frame.labels[NAME]): frame for frames in sets.values() for frame in frames if NAME in frame.labels}
    if len(lengths) > 1:
        said = " and ".join(f"{length} in {frame.name}" for length, frame in list(lengths.items())[:2])
        raise DataError(f"curves of the {NAME} have different numbers of points: {said}; all are on one axis")
    for length in lengths:
        if settings.points not in (0, length):
            raise ConfigurationError(f"points = {settings.points} in [{NAME}]; the curves have {length}")
        axis_of(settings, length)
    return dict(sets)


def _with_curve(frame: Frame, settings: DensityOfStatesSettings, energies: np.ndarray) -> Frame:
    entries = frame.atoms.info
    if settings.levels not in entries:
        return frame
    levels = np.atleast_2d(_numbers(frame, settings.levels))
    if levels.ndim != 2 or not levels.size:
        raise DataError(
            f"'{settings.levels}' of {frame.name} has the shape {levels.shape}; (k-points, levels) is needed"
        )
    weights = np.ones(len(levels))
    if settings.level_weights:
        if settings.level_weights not in entries:
            raise DataError(f"{frame.name} has '{settings.levels}' and no '{settings.level_weights}'")
        weights = _numbers(frame, settings.level_weights).ravel()
    if len(weights) != len(levels) or not (weights >= 0).all() or not weights.sum() > 0:
        raise DataError(
            f"'{settings.level_weights}' of {frame.name} holds {len(weights)} weights for {len(levels)} k-points; one "
            "for each is needed, none below 0, and not all 0"
        )
    zero = _numbers(frame, settings.level_zero) if settings.level_zero else np.zeros(1)
    if zero.size != 1:
        raise DataError(f"'{settings.level_zero}' of {frame.name} holds {zero.size} numbers; one is needed")
    each = np.repeat(PER_LEVEL * weights / weights.sum(), levels.shape[1])
    curve = smeared(levels.ravel() - zero.ravel(), each, energies, settings.smearing)
    return replace(frame, labels={**frame.labels, NAME: curve})


def warn_of_lower(frames: Iterable[Frame], settings: DensityOfStatesSettings, first: float) -> None:
    """Tell of levels below the axis, whose electrons no curve holds.

    Parameters
    ----------
    frames : iterable of Frame
    settings : DensityOfStatesSettings
    first : float
        Energy in eV that the axis begins at.
    """
    lower = []
    for frame in (one for one in frames if settings.levels in one.atoms.info):
        levels, zero = np.atleast_2d(_numbers(frame, settings.levels)), 0.0
        if settings.level_zero:
            zero = float(_numbers(frame, settings.level_zero).ravel()[0])
        if count := int(np.count_nonzero((levels - zero < first).any(axis=0))):
            lower.append((count, frame.name, float((levels - zero).min())))
    if lower:
        count, name, lowest = max(lower)
        logger.warning(
            "%d frames have levels below the axis of energies, which begins at %g eV (%d in %s, the lowest at %.4g "
            "eV): their electrons are in no curve, and must not be among the electrons of [%s]",
            len(lower), first, count, name, lowest, NAME,
        )  # fmt: skip


def _numbers(frame: Frame, name: str) -> np.ndarray:
    value: Any = frame.atoms.info.get(name)
    try:
        array = np.array(value, dtype=np.float64)
    except (TypeError, ValueError):
        array = np.array(np.nan)
    if not np.isfinite(array).all():
        raise DataError(f"'{name}' of {frame.name} is {value!r:.60}; finite numbers are needed")
    return array


def electrons_of(settings: DensityOfStatesSettings, symbols: Sequence[str]) -> tuple[float, ...]:
    """Electrons of an atom of each species; empty where none are said.

    Raises
    ------
    ConfigurationError
        If some species have no number, or others have.
    """
    said = settings.electrons
    if said and set(said) != set(symbols):
        raise ConfigurationError(
            f"electrons = {said} in [{NAME}]; a number is needed for each of {', '.join(symbols)} and no other"
        )
    return tuple(said[symbol] for symbol in symbols) if said else ()
