"""Curves in a model file, and what is refused of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ...properties.curves import EnergyCurves
from ...properties.density_of_states import CHANNELS, QUANTITY
from ..errors import ModelFileError

if TYPE_CHECKING:
    from ..model import Model


def check_curves(model: Model) -> None:
    """Refuse heads of a density of states without their curves, and curves that are not of this model.

    Raises
    ------
    ModelFileError
    """
    curves, has_heads = model.curves, QUANTITY.name in model.quantities
    if (curves is not None) != has_heads:
        missing = "without an axis of energies" if has_heads else "with an axis of energies and no heads for it"
        raise ModelFileError(f"a density of states {missing}; a model needs both")
    if curves is None:
        return
    if curves.channels != CHANNELS:
        raise ModelFileError(f"curves of {curves.channels} coefficients; allowed are {CHANNELS}")
    if len(curves.electrons) not in (0, len(model.numbers)):
        raise ModelFileError(f"{len(curves.electrons)} numbers of electrons for {len(model.numbers)} species")


def curves_description(curves: EnergyCurves | None) -> dict[str, Any]:
    """What a file says of curves, beside their basis."""
    if curves is None:
        return {}
    numbers = {"first": curves.first, "step": curves.step, "smearing": curves.smearing}
    return {"curves": {**numbers, "electrons": list(curves.electrons), "free_zero": curves.free_zero}}


def curves_from(arrays: Mapping[str, np.ndarray], described: Mapping[str, Any] | None) -> EnergyCurves | None:
    """The curves of a file; None where it has none."""
    if described is None:
        return None
    return EnergyCurves(
        float(described["first"]),
        float(described["step"]),
        arrays["curves.basis"],
        float(described["smearing"]),
        tuple(float(own) for own in described["electrons"]),
        bool(described["free_zero"]),
    )
