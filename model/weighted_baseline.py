"""The weighted baseline: a committee corrects a baseline as far as its members agree.

``V = V_b + V_0 + w (V̄ − V_0)`` with ``w = s_b² / (s_b² + σ²)``: V_b is the baseline, s_b the uncertainty that it is
given, V̄ the mean and σ the standard deviation (over M − 1) of the members' corrections, all for the whole cell
(G. Imbalzano, Y. Zhuang, V. Kapil, K. Rossi, E. A. Engel, F. Grasselli, M. Ceriotti, J. Chem. Phys. 154, 074102
(2021)).  Where the members agree the potential is the corrected one, where they do not it is the baseline.  Since w
depends on the positions, ``∂w/∂r = −2 s_b² / (s_b² + σ²)² Σ_i (V_i − V̄) ∂(V_i − V̄)/∂r / (M − 1)`` adds to forces and
virial.

V_0, a constant for each species, is what the correction was on average in training.  A correction also carries the
difference between the two methods' zeros of energy, thousands of eV; that part is certain, and multiplied by w it would
drown all forces.  i-PI's ``<ffcommittee>`` has no such constant, so its members must be made with one zero of energy.

Where V̄ exceeds V_0 the energy falls as w does, so the forces can hold a structure where the members disagree.  They
are the derivative of the energy all the same; ``correction_weight`` shows it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..properties.quantities import WEIGHT, properties
from ..short_repr import first_line, with_lines
from .committee import Committee, ordinary
from .correction import ENERGIES, BaselineError
from .model import Model
from .response import Evaluator, Response, refuse_unavailable
from .structures import Batch


class WeightedBaseline:
    """A baseline, and the corrections of a committee to it, weighted by how well its members agree.

    Besides what a `beadwise.model.Corrected` has, it offers ``correction_weight``, w of every bead, between 0 (the
    baseline alone) and 1 (the mean of the corrected potentials).

    Parameters
    ----------
    baseline : Evaluator
    members : sequence of Model
        At least two corrections to this baseline, by the same name.
    uncertainty : float
        s_b in eV, for the whole cell: about the standard deviation of reference minus baseline over such structures.

    Raises
    ------
    BaselineError
        If a member corrects nothing or another baseline, does not say what it was on average in training, or the
        uncertainty is not finite and above 0.
    CommitteeError
        If there are fewer than two members, or no species that all know.
    """

    def __init__(self, baseline: Evaluator, members: Sequence[Model], uncertainty: float):
        if not 0 < uncertainty < np.inf:
            raise BaselineError(f"uncertainty of the baseline is {uncertainty} eV; it must be finite and above 0")
        named = sorted({member.baseline for member in members})
        if len(named) > 1 or "" in named:
            raise BaselineError(
                f"members of a weighted baseline correct {named}; all must correct one and the same baseline"
            )
        self.baseline = baseline
        self.committee = Committee(members)
        self.uncertainty = float(uncertainty)
        self._zeros = [_mean_correction(member) for member in members]

    def __repr__(self) -> str:
        parts = {"baseline": first_line(self.baseline)}
        parts |= {f"correction {index}": first_line(own) for index, own in enumerate(self.committee.members)}
        title = f"WeightedBaseline of uncertainty {self.uncertainty:g} eV"
        return with_lines(title, parts | {"properties": ", ".join(self.properties)})

    @property
    def species(self) -> tuple[int, ...]:
        """Atomic numbers that baseline and members can evaluate."""
        known = self.baseline.species
        return tuple(number for number in self.committee.species if not known or number in known)

    @property
    def properties(self) -> tuple[str, ...]:
        """Properties that can be asked for."""
        missing = set(ENERGIES) - set(self.baseline.properties)
        own = [name for name in self.committee.properties if ordinary(name) not in missing]
        return tuple(name for name in properties() if name in (*own, WEIGHT))

    @property
    def metadata(self) -> Mapping[str, Any]:
        """The molecule that the members are for, if they name the same."""
        return self.committee.metadata

    def evaluate(self, batch: Batch, want: Sequence[str]) -> Response:
        """Answer the wanted properties for every bead; baseline and members are evaluated once.

        Parameters
        ----------
        batch : Batch
        want : sequence of str
            Names out of `properties`.  Energies, forces and virials of the members are those of whole potentials, with
            the baseline and without weight.

        Raises
        ------
        PropertyError
            If a wanted property is not available.
        StructureError
            If the baseline or a member cannot answer for a structure.
        """
        refuse_unavailable(want, self.properties, "this weighted baseline")
        needs = {ordinary(name) for name in want if properties()[name].kind != "uncertainty"}
        shared = [name for name in ENERGIES if name in needs]
        needed = dict.fromkeys([name for name in want if name != WEIGHT])
        weighted = [name for name in ENERGIES if name in want]
        if weighted or WEIGHT in want:
            needed |= dict.fromkeys(["committee_energy", *(f"committee_{name}" for name in weighted)])
        learned = self.committee.evaluate(batch, list(needed))
        arrays = {name: learned[name] for name in want if name != WEIGHT}
        if shared:
            given = self.baseline.evaluate(batch, shared)
            for name in want:
                if properties()[name].kind == "members" and ordinary(name) in shared:
                    arrays[name] = learned[name] + given[ordinary(name)][:, None]
        if "committee_energy" not in needed:
            return Response(**arrays)
        mixed, weight = self._mixed(batch.numbers, learned, weighted)
        arrays |= {name: given[name] + mixed[name] for name in weighted}
        if WEIGHT in want:
            arrays[WEIGHT] = weight
        return Response(**arrays)

    def _mixed(
        self, numbers: np.ndarray, learned: Response, wanted: Sequence[str]
    ) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """What is added to the baseline, and the weight of every bead."""
        energies = learned["committee_energy"]
        constant = np.mean([sum(zero[int(number)] for number in numbers) for zero in self._zeros])
        certain = self.uncertainty**2
        weight = certain / (certain + energies.var(axis=1, ddof=1))
        above = energies.mean(axis=1) - constant
        deviations = energies - energies.mean(axis=1, keepdims=True)
        # of w (V̄ − V_0) with respect to the energy of each member
        slopes = weight[:, None] / energies.shape[1]
        slopes = slopes - (2 * above * weight**2 / certain)[:, None] * deviations / (energies.shape[1] - 1)
        added = {"energy": constant + weight * above}
        for name in wanted:
            if name != "energy":
                added[name] = np.einsum("bm,bm...->b...", slopes, learned[f"committee_{name}"])
        return added, weight


def _mean_correction(member: Model) -> dict[int, float]:
    """Energy per atom of each species that the correction had on average in training, in eV.

    Raises
    ------
    BaselineError
        If the model file does not say it.
    """
    described = member.metadata.get("baseline")
    energies = described.get("species_energies") if isinstance(described, dict) else None
    if (
        not isinstance(energies, list)
        or len(energies) != len(member.numbers)
        or not all(isinstance(energy, (int, float)) and np.isfinite(energy) for energy in energies)
    ):
        raise BaselineError(
            f"a member of a weighted baseline has the species energies {energies}; one for each of its species "
            f"{list(member.numbers)} is needed, as `beadwise fit` writes them with a baseline"
        )
    return dict(zip(member.numbers, map(float, energies), strict=True))
