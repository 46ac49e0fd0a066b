"""What a section [lode] cannot stand beside."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ....potentials.lode.settings import EXPONENTS, MOST_SMEARINGS
from .settings import LodeSettings

EXCLUDED = ("network", "equivariant", "committee", "charges")


def long_range_problem(sections: Mapping[str, Any]) -> str:
    """What is wrong with a section [lode] beside the others; empty if nothing is."""
    own: LodeSettings = sections["lode"]
    if "energy" not in sections:
        return "[lode] is read by the energy; it needs a section [energy]"
    for other in EXCLUDED:
        if other in sections:
            return f"[lode] and [{other}]; only a linear energy alone reads [lode]: allowed is one of the two sections"
    if not own.exponents or set(own.exponents) - set(EXPONENTS) or len(set(own.exponents)) < len(own.exponents):
        return f"exponents = {own.exponents} in [lode]; allowed are one or more of {list(EXPONENTS)}, each once"
    if own.radius > MOST_SMEARINGS * own.smearing:
        return (
            f"radius = {own.radius} and smearing = {own.smearing} in [lode]; the radius must be at most "
            f"{MOST_SMEARINGS} times as long as the smearing"
        )
    return ""
