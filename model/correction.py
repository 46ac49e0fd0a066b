"""A learned correction on top of a baseline, served as one potential: Δ-learning.

``V = V_baseline + V_correction``, where the correction was fitted to what a reference has beyond the baseline:
R. Ramakrishnan, P. O. Dral, M. Rupp, O. A. von Lilienfeld, J. Chem. Theory Comput. 11, 2087 (2015).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import BeadwiseError
from ..properties.quantities import properties
from ..short_repr import first_line, with_lines
from .errors import PropertyError
from .response import Evaluator, Response, refuse_unavailable
from .structures import Batch

ENERGIES = ("energy", "forces", "virial")  # what both parts have, and what adds up


class BaselineError(BeadwiseError, ValueError):
    """A baseline that is missing, or does not belong to a correction."""


class Corrected:
    """A baseline and a learned correction; energies add up, other quantities are the learned ones where there are any.

    Parameters
    ----------
    baseline : Evaluator
        Besides energy, forces and virial it gives the quantities that the correction does not have.
    correction : Evaluator
        A model, or a committee of models, whose energy is the rest.  The energies of a committee's members get the
        baseline, too, so that each is a whole potential.

    Raises
    ------
    BaselineError
        If there is no species that both know, or the baseline has no energy.
    """

    def __init__(self, baseline: Evaluator, correction: Evaluator):
        self.baseline = baseline
        self.correction = correction
        if "energy" not in baseline.properties:
            raise BaselineError(f"a baseline with {list(baseline.properties)}; it must have an energy")
        both = set(correction.species) & set(baseline.species or correction.species)
        if correction.species and not both:
            raise BaselineError(
                f"a correction for the species {list(correction.species)} on a baseline for {list(baseline.species)}; "
                "they must have some in common"
            )
        self.species = tuple(sorted(both)) if both else tuple(baseline.species)

    def __repr__(self) -> str:
        parts = {"baseline": first_line(self.baseline), "correction": first_line(self.correction)}
        return with_lines("Corrected baseline", parts | {"properties": ", ".join(self.properties)})

    @property
    def properties(self) -> tuple[str, ...]:
        """Properties that can be asked for: those of the correction, as far as the baseline has them where it must.

        Quantities that the correction does not know are those of the baseline.
        """
        own = {
            name
            for name in self.correction.properties
            if _energy_like(name) is None or _energy_like(name) in self.baseline.properties
        }
        return tuple(name for name in properties() if name in own or name in self._of_baseline)

    @property
    def _of_baseline(self) -> set[str]:
        """Properties of quantities that the baseline alone knows."""
        learned = {_quantity(name) for name in self.correction.properties}
        return {name for name in self.baseline.properties if _quantity(name) and _quantity(name) not in learned}

    @property
    def metadata(self) -> Mapping[str, Any]:
        """What the correction's model file says of itself."""
        return getattr(self.correction, "metadata", {})

    def evaluate(self, batch: Batch, want: Sequence[str]) -> Response:
        """Answer the wanted properties for every bead.

        Parameters
        ----------
        batch : Batch
        want : sequence of str
            Names out of `properties`.

        Raises
        ------
        PropertyError
            If a wanted property is not available.
        StructureError
            If one of the two cannot answer for a structure.
        """
        refuse_unavailable(want, self.properties, "this correction with its baseline")
        of_baseline = self._of_baseline
        wanted = [name for name in want if name not in of_baseline]
        # first, since it is quick to refuse what cannot be evaluated
        learned = self.correction.evaluate(batch, wanted) if wanted else Response()
        shared = list(dict.fromkeys(own for name in wanted if (own := _energy_like(name))))
        shared += [name for name in want if name in of_baseline]
        if not shared:
            return learned
        given = self.baseline.evaluate(batch, shared)
        arrays = {name: learned[name] for name in learned.names} | {
            name: given[name] for name in want if name in of_baseline
        }
        for name in wanted:
            own = _energy_like(name)
            if own is not None:
                added = given[own] if own == name else given[own][:, None]  # the same for all members of a committee
                arrays[name] = learned[name] + added
        return Response(**arrays)

    def in_field(self, electric_field: Sequence[float]) -> Corrected:
        """The same in a static electric field in V/Å, which acts on the dipole of whichever of the two has one.

        Raises
        ------
        PropertyError
            If the field is not three finite numbers, or the one with the dipole cannot be put into a field.
        """
        has_dipole = self.baseline if "dipole" in self._of_baseline else self.correction
        method = getattr(has_dipole, "in_field", None)
        if method is None:
            raise PropertyError(
                f"a {type(self.correction).__name__} on a baseline cannot be put into an electric field; "
                "allowed is a model with a dipole"
            )
        driven = method(electric_field)
        if has_dipole is self.baseline:
            return Corrected(driven, self.correction)
        return Corrected(self.baseline, driven)


def _quantity(name: str) -> str:
    """Name of the quantity of a property; empty for positions of molecules and alarms."""
    quantity = properties()[name].quantity
    return quantity.name if quantity is not None else ""


def _energy_like(name: str) -> str | None:
    """Which of the baseline's properties adds to this one: ``energy`` to ``committee_energy``; None if none does."""
    one = properties()[name]
    own = name if one.kind == "uncertainty" else one.of  # a spread does not change when the same is added to all
    return own if own in ENERGIES else None
