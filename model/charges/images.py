"""Whether an evaluator, whatever it is made of, answers for the dipole of a structure; without SciPy."""

from __future__ import annotations

from typing import Any

from ..response import Evaluator
from ..structures import Batch

DIPOLE = "dipole"


def has_dipole(evaluator: Evaluator, batch: Batch) -> bool:
    """False where the dipole would be that of charges in a cell, which depends on the images that atoms are in.

    Parameters
    ----------
    evaluator : Evaluator
        A model with charges, or a correction, a committee or a mixture that may have such a part; true for others.
    batch : Batch

    Raises
    ------
    StructureError
        If charges are of molecules alone, and an image is near.
    """
    own = getattr(evaluator, "has_dipole", None)
    if own is not None:
        return bool(own(batch))
    return all(has_dipole(part, batch) for part in _parts(evaluator) if DIPOLE in part.properties)


def _parts(evaluator: Any) -> list[Evaluator]:
    """Those that a dipole may come from."""
    if hasattr(evaluator, "correction"):
        knows = DIPOLE in evaluator.correction.properties
        return [evaluator.correction if knows else evaluator.baseline]
    if hasattr(evaluator, "committees"):  # of a mixture
        named = [*evaluator.parts.get(DIPOLE, ()), evaluator.committees.get(DIPOLE)]
        return [part.evaluator for part in named if part is not None]
    members = getattr(evaluator, "members", None)
    return list(members) if isinstance(members, tuple) else []
