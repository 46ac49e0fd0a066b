"""A model whose molecules see each other: local polarizabilities, dressed for the cell, slab or cluster they are in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...properties.quantities import properties
from ...reading import shown
from ..checks import volumes
from ..errors import EvaluatorError, StructureError
from ..model import Model
from ..molecules import FIELD_INSIDE, is_polarizability
from ..outputs import symmetric
from ..response import Response, refuse_unavailable
from ..structures import Batch
from .interaction import DipoleInteraction
from .response import FieldInside

ACCURACY = 1e-7  # of the sums; models are known far less well
EXAMPLE = "{damping = 1.0}"
NEEDS = ("molecular_polarizability", "molecular_position")
SCREENED = "screened_polarizability"
DRESSED = ("polarizability", SCREENED)


@dataclass(frozen=True)
class WithFieldInside:
    """A model with another polarizability: that of its molecules, at their centres of mass, in each other's field.

    All else is what the model answers; `molecular_polarizability` stays local, and `screened_polarizability` is what a
    molecule has of the polarizability of all.  What would follow from the polarizability in another way, its
    derivatives and members, cannot be asked for.

    Parameters
    ----------
    model : Model
        With molecules and a polarizability, fitted to local values (`beadwise.model.field_inside.undressed`).
    damping : float
        Length in Å; 0 for none.

    Raises
    ------
    EvaluatorError
        If the model has no molecular polarizability, its polarizability is not local, its metadata say another damping,
        or the damping is negative.
    """

    model: Model
    damping: float = 0.0

    def __post_init__(self) -> None:
        missing = [name for name in NEEDS if name not in self.model.properties]
        if missing:
            raise EvaluatorError(
                f"a field inside needs {missing[0]}, and the model has {', '.join(self.model.properties)}; allowed are "
                "models with a polarizability and a repeating_unit in their metadata"
            )
        if FIELD_INSIDE in self.model.metadata:
            if self.damping != (fitted := damping_of(self.model.metadata)):
                raise EvaluatorError(f"damping={self.damping:g} Å, but the model was fitted with {fitted:g} Å")
        elif not self.model.local_field:
            raise EvaluatorError(
                f"the metadata of the model have no {FIELD_INSIDE}, so that its polarizability is not known to be "
                "local; one of screened values would be in the field of the others twice"
            )
        if not 0 <= self.damping < np.inf:
            raise EvaluatorError(f"damping={self.damping:g} Å; allowed are finite lengths from 0")

    @property
    def species(self) -> tuple[int, ...]:
        """Atomic numbers that can be evaluated."""
        return self.model.species

    @property
    def properties(self) -> tuple[str, ...]:
        """Those of the model without what is made of its polarizability otherwise."""
        own = self.model.properties
        found = (name for name, one in properties().items() if name in own and not is_polarizability(one))
        return tuple(dict.fromkeys([*found, *DRESSED, *NEEDS]))

    @property
    def metadata(self) -> Mapping[str, Any]:
        """What the model's file says of itself, its repeating unit among it."""
        return self.model.metadata

    def evaluate(self, batch: Batch, want: Sequence[str]) -> Response:
        """Answer the wanted properties for every bead.

        Raises
        ------
        PropertyError
            If a wanted property is not available.
        StructureError
            As the model does, and if only some directions are periodic, or the polarizability diverges.
        """
        refuse_unavailable(want, self.properties, "this model with a field inside")
        asked = [name for name in want if name not in DRESSED]
        if len(asked) == len(want):
            return self.model.evaluate(batch, want)
        answers = self.model.evaluate(batch, list(dict.fromkeys([*asked, *NEEDS])))
        arrays = {name: answers[name] for name in asked}
        dressed = self._dressed(batch, answers)
        if "polarizability" in want:
            arrays["polarizability"] = np.stack([inside.polarizability for inside in dressed])
        if SCREENED in want:
            arrays[SCREENED] = symmetric(np.stack([inside.parts for inside in dressed]))
        return Response(**arrays)

    def in_field(self, electric_field: Sequence[float]) -> WithFieldInside:
        """The same in a static electric field in V/Å, to first order."""
        return WithFieldInside(self.model.in_field(electric_field), self.damping)

    def _dressed(self, batch: Batch, answers: Response) -> list[FieldInside]:
        if batch.periodic.any() and not batch.periodic.all():
            raise StructureError(
                f"periodic directions are {batch.periodic.tolist()}; a field inside needs all three, or none"
            )
        is_periodic = bool(batch.periodic.all()) and bool(np.isfinite(volumes(batch)).all())
        found = []
        for cell, places, local in zip(
            batch.cells, answers["molecular_position"], answers["molecular_polarizability"], strict=True
        ):
            interaction = DipoleInteraction(places, cell, is_periodic, self.damping, ACCURACY)
            found.append(FieldInside(interaction, local))
        return found


def damping_of(metadata: object) -> float:
    """The damping that a model was fitted with, in Å; 0 where its metadata do not say.

    Raises
    ------
    EvaluatorError
        If they say something else.
    """
    if not isinstance(metadata, dict) or FIELD_INSIDE not in metadata:
        return 0.0
    record = metadata[FIELD_INSIDE]
    if not isinstance(record, dict) or not record.keys() <= {"damping"}:
        raise EvaluatorError(f"{FIELD_INSIDE} in the metadata is {shown(record)}; allowed is a table such as {EXAMPLE}")
    damping = record.get("damping", 0.0)
    if isinstance(damping, bool) or not isinstance(damping, (int, float)):
        raise EvaluatorError(f"damping of {FIELD_INSIDE} in the metadata is {damping!r}; a length in Å is needed")
    return float(damping)
