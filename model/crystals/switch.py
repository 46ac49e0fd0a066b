"""A potential that is switched on over a harmonic crystal: ``V_λ = λ V + (1 − λ) V_har``.

V_har is the energy of the minimum and half the quadratic form of the Hessian.  The free energy of V over that of V_har
is ``∫_0^1 ⟨V − V_har⟩_λ dλ`` (J. G. Kirkwood, J. Chem. Phys. 3, 300 (1935)), with P beads of the mean over beads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...potentials.harmonic_crystal import evaluate_harmonic_crystal
from ...properties.quantities import SWITCH_COUPLING, SWITCH_DIFFERENCE, properties
from ...short_repr import first_line, with_lines
from ..correction import ENERGIES
from ..response import Evaluator, Response, refuse_unavailable
from ..structures import Batch
from .reference import CrystalError, HarmonicReference
from .sites import Sites


class Switched:
    """A potential and a harmonic crystal, mixed linearly.

    Besides energy, forces and virial it offers ``switch_difference``, V − V_har of every bead, and ``switch_lambda``,
    so that what a run wrote tells how it was made.  Other quantities are those of the potential.

    Parameters
    ----------
    potential : Evaluator
    reference : HarmonicReference
    coupling : float
        λ: 0 is the harmonic crystal, 1 the potential, each exactly.

    Raises
    ------
    CrystalError
        If λ is not from 0 to 1, or the potential has neither energy nor forces.
    """

    def __init__(self, potential: Evaluator, reference: HarmonicReference, coupling: float):
        if not 0 <= coupling <= 1:
            raise CrystalError(f"lambda of a switch is {coupling}; it must be from 0, the harmonic crystal, to 1")
        if not {"energy", "forces"} <= set(potential.properties):
            raise CrystalError(f"a switch to a potential with {list(potential.properties)}; it needs energy and forces")
        self.potential = potential
        self.reference = reference
        self.coupling = float(coupling)
        self._sites = Sites(reference)

    def __repr__(self) -> str:
        parts = {"potential": first_line(self.potential), "harmonic crystal": f"{len(self.reference.numbers)} atoms"}
        return with_lines(f"Switched, λ = {self.coupling:g}", parts | {"properties": ", ".join(self.properties)})

    @property
    def species(self) -> tuple[int, ...]:
        """Atomic numbers of the crystal."""
        return tuple(sorted(set(self.reference.numbers.tolist())))

    @property
    def properties(self) -> tuple[str, ...]:
        """Properties that can be asked for."""
        known = {SWITCH_DIFFERENCE, SWITCH_COUPLING}
        for name in self.potential.properties:
            if name in ENERGIES or properties()[name].of not in ENERGIES:
                known.add(name)
        return tuple(name for name in properties() if name in known)

    @property
    def metadata(self) -> Mapping[str, Any]:
        """What the potential says of itself."""
        own = getattr(self.potential, "metadata", {})
        return own if isinstance(own, Mapping) else {}

    def evaluate(self, batch: Batch, want: Sequence[str]) -> Response:
        """Answer the wanted properties for every bead.

        Parameters
        ----------
        batch : Batch
            The atoms of the crystal in its cell, in any images, and moved as a whole where it floats.
        want : sequence of str
            Names out of `properties`.

        Raises
        ------
        PropertyError
            If a wanted property is not available.
        StructureError
            If it is another crystal or cell, an atom left its site, or the potential cannot answer.
        """
        refuse_unavailable(want, self.properties, "this switch")
        moved = self._sites.displacements(batch)
        self._sites.check_places(moved)
        given = self._of_potential(batch, want)
        harmonic = evaluate_harmonic_crystal(moved, self.reference.hessian)
        arrays: dict[str, np.ndarray] = {}
        for name in want:
            if name == SWITCH_COUPLING:
                arrays[name] = np.full(batch.beads, self.coupling)
            elif name == SWITCH_DIFFERENCE:
                arrays[name] = given["energy"] - self.reference.energy - harmonic["energy"]
            elif name in ENERGIES:
                zero = self.reference.energy if name == "energy" else 0.0
                arrays[name] = self._mixed(given, zero + harmonic[name], name)
            else:
                arrays[name] = given[name]
        return Response(**arrays)

    def _mixed(self, given: Response, harmonic: np.ndarray, name: str) -> np.ndarray:
        """λ of one and the rest of the other; at both ends the part alone, to the last bit."""
        if self.coupling == 0:
            return harmonic
        if self.coupling == 1:
            return given[name]
        return self.coupling * given[name] + (1 - self.coupling) * harmonic

    def _of_potential(self, batch: Batch, want: Sequence[str]) -> Response:
        """What the potential has to answer: nothing of energies where the harmonic crystal is all that acts."""
        own = [name for name in want if name not in (SWITCH_COUPLING, SWITCH_DIFFERENCE)]
        needed = [name for name in own if name not in ENERGIES or self.coupling > 0]
        if SWITCH_DIFFERENCE in want and "energy" not in needed:
            needed.append("energy")
        return self.potential.evaluate(batch, needed) if needed else Response()
