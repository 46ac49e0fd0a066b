"""An evaluator whose electrons are at a temperature, and whose energy may have their free energy in it.

At an electronic temperature the energy is A(T) ≈ E + [A_g(T) − A_g(0)]: a potential of the ground state, and the rise
of the free energy of electrons in the density of states g (Ben Mahmoud, Grasselli, Ceriotti, Phys. Rev. B 106,
L121116 (2022)).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ...properties.density_of_states import DERIVED_NAMES, QUANTITY, THERMAL, THERMAL_FORCES, THERMAL_VIRIAL
from ...properties.quantities import properties
from ...short_repr import first_line, with_lines
from ..errors import EvaluatorError
from ..mixtures.mixture import Mixture, Part
from ..model import Model
from ..response import Evaluator, Response, refuse_unavailable
from ..structures import Batch

ADDED = {"energy": THERMAL, "forces": THERMAL_FORCES, "virial": THERMAL_VIRIAL}


def at_electronic_temperature(evaluator: Evaluator, temperature: float, name: str) -> Evaluator:
    """The same evaluator with what follows from its density of states at a temperature.

    Parameters
    ----------
    evaluator : Evaluator
        A model with a density of states and numbers of electrons, or a mixture with one.
    temperature : float
        In K.
    name : str
        What the user calls it.

    Raises
    ------
    ElectronError
        If the temperature is not one.
    EvaluatorError
        If the evaluator has no density of states, or no numbers of electrons.
    """
    if isinstance(evaluator, Model) and set(DERIVED_NAMES) <= set(evaluator.properties):
        warm = replace(evaluator, electronic_temperature=float(temperature))
        _ = warm.electrons  # refuses a temperature before anything is served
        return warm
    parts = getattr(evaluator, "parts", {})
    if isinstance(evaluator, Mixture) and QUANTITY.name in parts:
        made: dict[int, Evaluator] = {}
        for part in parts[QUANTITY.name]:
            made[id(part.evaluator)] = at_electronic_temperature(part.evaluator, temperature, name)
        changed = {
            own: [Part(made.get(id(one.evaluator), one.evaluator), one.factor) for one in every]
            for own, every in parts.items()
        }
        return replace(evaluator, parts=changed)
    raise EvaluatorError(
        f"'{name}' has no {QUANTITY.name} with numbers of electrons, which an electronic temperature is for; it has "
        f"{list(evaluator.properties)}"
    )


class WithElectrons:
    """An evaluator whose energy, forces and virial have A(T) − A(0) of the electrons in them.

    Parameters
    ----------
    evaluator : Evaluator
        At its electronic temperature, as `at_electronic_temperature` gives it.

    Raises
    ------
    EvaluatorError
        If it has no energy that electrons could be added to.
    """

    def __init__(self, evaluator: Evaluator):
        self.evaluator = evaluator
        lacking = [name for name in ("energy", "forces") if name not in evaluator.properties]
        if lacking:
            raise EvaluatorError(
                f"{first_line(evaluator)} has no {lacking[0]} that the free energy of electrons could be added to"
            )

    def __repr__(self) -> str:
        return with_lines("WithElectrons", {"of": first_line(self.evaluator), "properties": ", ".join(self.properties)})

    @property
    def species(self) -> tuple[int, ...]:
        """Those of the evaluator."""
        return tuple(self.evaluator.species)

    @property
    def metadata(self) -> Any:
        """That of the evaluator."""
        return getattr(self.evaluator, "metadata", {})

    @property
    def properties(self) -> tuple[str, ...]:
        """Those of the evaluator without members of the energy, which know no electrons."""
        known = properties()
        return tuple(
            name for name in self.evaluator.properties if known[name].kind != "members" or known[name].of not in ADDED
        )

    def evaluate(self, batch: Batch, want: Sequence[str]) -> Response:
        """Answer the wanted properties for every bead.

        Raises
        ------
        PropertyError, StructureError
            As the evaluator does.
        """
        refuse_unavailable(want, self.properties, "this model with the free energy of electrons")
        asked = dict.fromkeys([*want, *(ADDED[name] for name in want if name in ADDED)])
        response = self.evaluator.evaluate(batch, tuple(asked))
        return Response(
            **{name: response[name] + response[ADDED[name]] if name in ADDED else response[name] for name in want}
        )
