"""A model whose molecules see each other: local polarizabilities, dressed for the cell, slab or cluster they are in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from ...properties.quantities import properties
from ...reading import shown
from ..checks import volumes
from ..electric_field import NO_FIELD, VOLUME_OF_RESPONSE, Field, checked_field, checked_order, lasts_polarized
from ..errors import EvaluatorError
from ..model import Model
from ..molecules import FIELD_INSIDE, is_polarizability
from ..outputs import symmetric
from ..response import Response, refuse_unavailable
from ..structures import Batch
from .atoms import derivatives_by_atoms
from .dressing import OF_DERIVATIVES, OF_PARTS, OF_VALUES, PAIRS, Dressing, checked_local
from .interaction import refuse_partly_periodic, sums_of

ACCURACY = 1e-7  # of the sums; models are known far less well
DERIVATIVE = "polarizability_derivatives"
# what a field of second order needs for each property: the polarizability, or its derivatives
BY_ORDER_TWO = {"energy": "polarizability", "dipole": "polarizability", "forces": DERIVATIVE, "virial": DERIVATIVE}
BY_ORDER_TWO |= {"born_charges": DERIVATIVE}
EXAMPLE = "{damping = 1.0}"
NEEDS = ("molecular_polarizability", "molecular_position")
SCREENED = "screened_polarizability"
DRESSED = ("polarizability", SCREENED, DERIVATIVE)


@dataclass(frozen=True)
class WithFieldInside:
    """A model with another polarizability: that of its molecules, at their centres of mass, in each other's field.

    All else is what the model answers; `molecular_polarizability` stays local, and `screened_polarizability` is what a
    molecule has of the polarizability of all.  Members of the polarizability cannot be asked for.

    Parameters
    ----------
    model : Model
        With molecules and a polarizability, fitted to local values (`beadwise.model.field_inside.undressed`).
    damping : float
        Length in Å; 0 for none.
    electric_field : tuple of float
        In V/Å; it acts on the dipole of the model, and to second order on this polarizability.
    field_order : int
        1 or 2.

    Raises
    ------
    EvaluatorError
        If the model has no molecular polarizability, its polarizability is not local, its metadata say another damping,
        or the damping is negative.
    PropertyError
        If the field is not three finite numbers, there is no dipole, or the order is another one.
    """

    model: Model
    damping: float = 0.0
    electric_field: Field = NO_FIELD
    field_order: int = 1

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
        checked_order(self.field_order, self.electric_field, self.properties)

    @property
    def species(self) -> tuple[int, ...]:
        """Atomic numbers that can be evaluated."""
        return self.model.species

    @cached_property
    def properties(self) -> tuple[str, ...]:
        """Those of the model without what is made of its polarizability otherwise."""
        own = self.model.properties
        found = [name for name, one in properties().items() if name in own and not is_polarizability(one)]
        if self._is_polarized:
            found = [name for name in found if lasts_polarized(name)]
        return tuple(dict.fromkeys([*found, *DRESSED, *NEEDS]))

    @property
    def _is_polarized(self) -> bool:
        return self.field_order > 1 and any(self.electric_field)

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
        needed = set(DRESSED) & set(want)
        if self._is_polarized:
            needed |= {BY_ORDER_TWO[name] for name in want if name in BY_ORDER_TWO}
        if not needed:
            return self._driven.evaluate(batch, want)
        asked = [name for name in want if name not in DRESSED]
        answers = self._driven.evaluate(batch, list(dict.fromkeys([*asked, *NEEDS])))
        arrays = {name: answers[name] for name in asked}
        tolerance = OF_PARTS if SCREENED in needed else OF_DERIVATIVES if DERIVATIVE in needed else OF_VALUES
        dressing = self._dressing(batch, answers, tolerance)
        if "polarizability" in want:
            arrays["polarizability"] = dressing.polarizability
        if SCREENED in want:
            arrays[SCREENED] = symmetric(np.moveaxis(dressing.columns, 1, 3))
        slopes = None
        if DERIVATIVE in want or (self._is_polarized and "born_charges" in want):
            slopes = self._all_derivatives(batch, dressing)
        if DERIVATIVE in want and slopes is not None:
            arrays[DERIVATIVE] = slopes
        if self._is_polarized:
            self._add_second_order(batch, dressing, slopes, arrays)
        return Response(**{name: arrays[name] for name in want})

    def in_field(self, electric_field: Sequence[float], order: int = 1) -> WithFieldInside:
        """The same in a static electric field in V/Å, to first or second order.

        Raises
        ------
        PropertyError
            If it is not three finite numbers, or the model has no dipole.
        """
        field = checked_field(electric_field, self.model.properties)
        return replace(self, electric_field=field, field_order=order)

    @property
    def _driven(self) -> Model:
        """The model in the field to first order."""
        return self.model.in_field(self.electric_field) if any(self.electric_field) else self.model

    def _dressing(self, batch: Batch, answers: Response, tolerance: float) -> Dressing:
        refuse_partly_periodic(batch.periodic)
        is_periodic = bool(batch.periodic.all()) and bool(np.isfinite(volumes(batch)).all())
        places, local = answers["molecular_position"], checked_local(answers["molecular_polarizability"])
        sums = sums_of(places, batch.cells, is_periodic, self.damping, ACCURACY, threads=self.model.threads)
        return Dressing(sums, local, tolerance)

    def _all_derivatives(self, batch: Batch, dressing: Dressing) -> np.ndarray:
        """∂α/∂r in Å², shape (beads, atoms, 3, 3, 3), the displacement first."""
        directions = np.eye(3)
        sides = [[directions[pair[side]] for pair in PAIRS] for side in (0, 1)]
        gradients, _ = derivatives_by_atoms(self.model, batch, dressing, *sides)
        found = np.zeros((*np.moveaxis(gradients, 1, 3).shape[:3], 3, 3))
        for number, (c, d) in enumerate(PAIRS):
            found[..., c, d] = found[..., d, c] = gradients[:, number]
        return found

    def _add_second_order(
        self, batch: Batch, dressing: Dressing, slopes: np.ndarray | None, arrays: dict[str, np.ndarray]
    ) -> None:
        """Add what the electrons do that follow the field, in place: energy −½ E·α·E."""
        field = np.array(self.electric_field)
        induced = dressing.polarizability @ field / VOLUME_OF_RESPONSE
        if "energy" in arrays:
            arrays["energy"] = arrays["energy"] - 0.5 * induced @ field
        if "dipole" in arrays:
            arrays["dipole"] = arrays["dipole"] + induced
        if "forces" in arrays or "virial" in arrays:
            gradients, strains = derivatives_by_atoms(self.model, batch, dressing, [field], [field])
            for name, slope in (("forces", gradients), ("virial", strains)):
                if name in arrays:
                    arrays[name] = arrays[name] + 0.5 * slope[:, 0] / VOLUME_OF_RESPONSE
        if "born_charges" in arrays:
            assert slopes is not None
            arrays["born_charges"] = arrays["born_charges"] + slopes @ field / VOLUME_OF_RESPONSE


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
