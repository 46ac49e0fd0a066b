"""Labels of molecules that hold the field of all others become local ones, in which a polarizability is linear."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ...model import Batch, Model, StructureError
from ...model.molecules import FIELD_INSIDE, centres_of_mass, repeating_unit
from ..data import DataError, Frame
from .configuration import Configuration, ConfigurationError
from .target_fit import molecule_of_atoms

SCREENED, LOCAL, WHOLE = "screened_polarizability", "molecular_polarizability", "polarizability"
ACCURACY = 1e-9  # of the sums over images


def with_local_labels(configuration: Configuration, frames: Iterable[Frame]) -> list[Frame]:
    """Frames whose `screened_polarizability` has become the `molecular_polarizability` that belongs to it.

    Parameters
    ----------
    configuration : Configuration
        Whose metadata say by ``field_inside`` that the model is one of local polarizabilities.
    frames : iterable of Frame

    Raises
    ------
    ConfigurationError
        If there are such labels and no ``field_inside``, or the whole polarizability of several molecules is to be
        fitted where there is one, in which it is not linear.
    DataError
        If no local polarizabilities have such a response.
    """
    frames = list(frames)
    if WHOLE not in configuration.quantities:
        return frames
    metadata = configuration.metadata
    if FIELD_INSIDE not in metadata:
        refuse_screened(frames)
        return frames
    unit = repeating_unit(metadata)
    if unit is None:
        raise ConfigurationError(
            f"{FIELD_INSIDE} in [metadata] is for models of molecules; repeating_unit, a formula such as OHH, is needed"
        )
    for frame in frames:
        if WHOLE in frame.labels and len(frame.atoms) > len(unit):
            raise ConfigurationError(
                f"{WHOLE} of {frame.name} is of several molecules in each other's field, which is not linear in local "
                f"values: with {FIELD_INSIDE} in [metadata] a fit needs {SCREENED} or {LOCAL}; say which by keys in "
                "[data], or leave it out"
            )
    return [with_local(frame, metadata, unit) for frame in frames]


def refuse_screened(frames: Sequence[Frame]) -> None:
    """Refuse screened labels where nothing says that they shall become local."""
    for frame in frames:
        if SCREENED in frame.labels and LOCAL not in frame.labels:
            raise ConfigurationError(
                f"{SCREENED} of {frame.name} has the field of all molecules in it; a fit makes local values of it "
                f"where [metadata] has {FIELD_INSIDE} = {{damping = 0.0}}"
            )


def with_local(frame: Frame, metadata: Mapping[str, Any], unit: Sequence[int]) -> Frame:
    """One frame with local values, if it has screened ones and no local ones.

    Raises
    ------
    DataError
        If they cannot be found.
    """
    if SCREENED not in frame.labels or LOCAL in frame.labels:
        return frame
    from ...model.field_inside import DipoleInteraction, local_of_symmetric  # with SciPy, which takes long to import
    from ...model.field_inside.evaluator import damping_of

    screened = frame.labels[SCREENED]
    molecule_of_atoms(frame, metadata, SCREENED, len(screened))
    if not np.isfinite(screened).all():
        raise DataError(
            f"{SCREENED} of {frame.name} is missing for some molecules; all are needed, as they see each other"
        )
    periodic = frame.atoms.pbc
    if periodic.any() and not periodic.all():
        raise DataError(f"{frame.name} is periodic in {int(periodic.sum())} directions; a field inside needs 3 or none")
    (places,) = centres_of_mass(Batch.from_ase(frame.atoms), unit)
    try:
        interaction = DipoleInteraction(
            places, frame.atoms.cell.array, bool(periodic.all()), damping_of(metadata), ACCURACY
        )
        local = local_of_symmetric(interaction, screened)
    except StructureError as error:
        raise DataError(f"{SCREENED} of {frame.name}: {error}") from error
    return replace(frame, labels={**frame.labels, LOCAL: local})


def in_its_field(model: Model) -> Any:
    """What answers for a model whose polarizabilities are local: the field of all molecules with it; else the model."""
    if FIELD_INSIDE not in model.metadata or LOCAL not in model.properties:
        return model
    from ...model.field_inside.evaluator import WithFieldInside, damping_of

    return WithFieldInside(model, damping_of(model.metadata))
