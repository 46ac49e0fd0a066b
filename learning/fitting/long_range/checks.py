"""What a section [lode] cannot stand beside."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ....model.molecules import atoms_of_formula
from ....potentials.lode.settings import EXPONENTS, MOST_SMEARINGS
from .settings import MOST_IN_MOLECULE, LodeSettings

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
    return charge_problem(own)


def charge_problem(own: LodeSettings) -> str:
    """What is wrong with the charges of molecules; empty if nothing is."""
    if own.charges and 1 not in own.exponents:
        return f"charges in [lode] with exponents = {own.exponents}; they act by the exponent 1, which is needed"
    before: dict[tuple[int, ...], str] = {}
    for formula in own.charges:
        try:
            numbers = tuple(sorted(atoms_of_formula(formula, MOST_IN_MOLECULE).tolist()))
        except ValueError:
            return (
                f"charges in [lode] names '{formula}'; allowed are chemical formulas such as C2H6, of at most "
                f"{MOST_IN_MOLECULE} atoms"
            )
        if (other := before.setdefault(numbers, formula)) != formula:
            return f"charges in [lode] names '{other}' and '{formula}', which are one molecule; once is needed"
    return ""
