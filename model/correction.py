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
    """A baseline and a learned correction; energies add up, dipole and polarizability are the learned ones.

    Parameters
    ----------
    baseline : Evaluator
        Of its answers only energy, forces and virial are used.
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
        """Properties that can be asked for: those of the correction, as far as the baseline has them where it must."""
        return tuple(
            name
            for name in properties()
            if name in self.correction.properties
            and (_energy_like(name) is None or _energy_like(name) in self.baseline.properties)
        )

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
        learned = self.correction.evaluate(batch, want)  # first, since it is quick to refuse what cannot be evaluated
        shared = list(dict.fromkeys(own for name in want if (own := _energy_like(name))))
        if not shared:
            return learned
        given = self.baseline.evaluate(batch, shared)
        arrays = {name: learned[name] for name in learned.names}
        for name in want:
            own = _energy_like(name)
            if own is not None:
                added = given[own] if own == name else given[own][:, None]  # the same for all members of a committee
                arrays[name] = learned[name] + added
        return Response(**arrays)

    def in_field(self, electric_field: Sequence[float]) -> Corrected:
        """The same in a static electric field in V/Å, which acts on the learned dipole.

        Raises
        ------
        PropertyError
            If the field is not three finite numbers, or the correction cannot be put into a field.
        """
        method = getattr(self.correction, "in_field", None)
        if method is None:
            raise PropertyError(
                f"a {type(self.correction).__name__} on a baseline cannot be put into an electric field; "
                "allowed is a model with a dipole"
            )
        return Corrected(self.baseline, method(electric_field))


def _energy_like(name: str) -> str | None:
    """Which of the baseline's properties adds to this one: ``energy`` to ``committee_energy``; None if none does."""
    one = properties()[name]
    own = name if one.kind == "uncertainty" else one.of  # a spread does not change when the same is added to all
    return own if own in ENERGIES else None
