"""A fit on the field of its own dipoles: these are fitted first, and the energy to what they leave over."""

from __future__ import annotations

from collections.abc import Sequence

from ....model import Corrected, Evaluator, Model
from ....model.correction import is_of_own_dipoles
from ....model.electrostatics.own_dipoles import OwnDipoles
from ....model.molecules import FIELD_INSIDE
from ...data import Frame
from ..baseline_labels import without_baseline
from ..configuration import Configuration, ConfigurationError
from ..fit_data import nominal_record
from ..local_labels import in_its_field


def uses_own_dipoles(configuration: Configuration) -> bool:
    """Whether the baseline of a fit is that of its own dipoles.

    Raises
    ------
    ConfigurationError
        If something in the configuration does not go with it.
    """
    energy = configuration.energy
    if energy is None or not is_of_own_dipoles(energy.baseline):
        return False
    said = f"baseline = '{energy.baseline}' in [energy]"
    network = configuration.equivariant
    if "dipole" not in configuration.quantities:
        raise ConfigurationError(f"{said} is the field of the model's dipoles; it needs a section [dipole]")
    if nominal_record(configuration):
        raise ConfigurationError(f"{said} and nominal_charges in [dipole]; allowed is one of them")
    if network is not None and network.weight_of("dipole") and not network.keeps_linear("dipole"):
        raise ConfigurationError(
            f"{said} is of linear dipoles, and [equivariant] has linear = {network.linear}; allowed are true and lists "
            "with 'dipole'"
        )
    for name, present in (("[committee]", configuration.committee), (FIELD_INSIDE, configuration.metadata)):
        if present if name == "[committee]" else FIELD_INSIDE in (present or {}):
            raise ConfigurationError(f"{said} and {name}; allowed is one of them")
    return True


def without_own_field(configuration: Configuration, model: Model, *sets: Sequence[Frame]) -> tuple[list[Frame], ...]:
    """Sets of frames with what the field of a model's dipoles gives taken from their energies, forces and stresses.

    Parameters
    ----------
    configuration : Configuration
        Names the baseline.
    model : Model
        With dipole heads that are fitted.
    *sets : sequence of Frame

    Raises
    ------
    BaselineError
        If a number of the baseline is not as described.
    """
    assert configuration.energy is not None
    own = OwnDipoles.of(configuration.energy.baseline, model)
    return tuple(without_baseline(frames, own) for frames in sets)


def with_own_field(model: Model) -> Evaluator:
    """What answers for a fitted model: with the field of its dipoles, or of its molecules, where it has one."""
    if is_of_own_dipoles(model.baseline):
        return Corrected(OwnDipoles.of(model.baseline, model), model)
    return in_its_field(model)
