"""The long-range energy in a model file: sizes in the description, weights among the arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from ...potentials.lode.settings import EXPONENTS, MOST_SMEARINGS, Expansion, LongRangeShape
from .energy import LongRangeEnergy

WEIGHTS = "long_range.weights"


def long_range_description(own: LongRangeEnergy | None) -> dict[str, Any]:
    """What the description of a file says of it; empty where there is none."""
    if own is None:
        return {}
    sizes = {"cutoff": own.shape.cutoff, "neighbours": own.shape.radial}
    return {"long_range": asdict(own.shape.expansion) | sizes}


def long_range_arrays(own: LongRangeEnergy | None) -> dict[str, np.ndarray]:
    """Its arrays by their names in the file."""
    return {} if own is None else {WEIGHTS: own.weights}


def long_range_from(
    arrays: Mapping[str, np.ndarray], described: Mapping[str, Any] | None, species: int
) -> LongRangeEnergy | None:
    """The long-range energy of a file, None where it has none.

    Raises
    ------
    ValueError
        If the arrays are not those of the description, or a size cannot be.
    """
    if described is None:
        if WEIGHTS in arrays:
            raise ValueError(f"an array {WEIGHTS} without a description of its sizes")
        return None
    exponents = tuple(described["exponents"])
    if not exponents or set(exponents) - set(EXPONENTS) or len(set(exponents)) < len(exponents):
        raise ValueError(f"exponents of long-range potentials are {list(exponents)}; allowed are {list(EXPONENTS)}")
    lengths = {name: float(described[name]) for name in ("smearing", "radius", "cutoff")}
    if not all(0 < one < np.inf for one in lengths.values()):
        raise ValueError(f"lengths of long-range potentials are {lengths} Å; they must be finite and above 0")
    if lengths["radius"] > MOST_SMEARINGS * lengths["smearing"]:
        raise ValueError(
            f"the radius of long-range potentials is {lengths['radius']} Å; allowed is at most {MOST_SMEARINGS} times "
            f"the smearing, {lengths['smearing']} Å"
        )
    counts = {name: int(described[name]) for name in ("radial", "l_max", "neighbours")}
    if not (1 <= counts["radial"] <= 8 and 0 <= counts["l_max"] <= 6 and 1 <= counts["neighbours"] <= 8):
        raise ValueError(f"sizes of long-range potentials are {counts}; allowed are 1 to 8, and l_max 0 to 6")
    expansion = Expansion(exponents, lengths["smearing"], lengths["radius"], counts["radial"], counts["l_max"])
    shape = LongRangeShape(expansion, species, lengths["cutoff"], counts["neighbours"])
    return LongRangeEnergy(shape, arrays[WEIGHTS])
