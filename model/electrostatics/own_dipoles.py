"""Local dipoles of a model that see each other beyond its cutoff: a baseline of its energy, ``own-dipoles:…``.

In a polar crystal the forces of atoms on each other fall off as 1/r³, with their Born charges over ε∞ (W. Cochran,
R. A. Cowley, J. Phys. Chem. Solids 23, 447 (1962); X. Gonze, C. Lee, Phys. Rev. B 55, 10355 (1997)).  A model whose
local dipoles p_i have the right Born charges knows these charges in every structure, so that with

    E = 1/(2 ε∞) Σ_i Σ_j≠i p_i·T_ij·p_j

nothing is left to fit at long range, as in effective Hamiltonians of ferroelectrics (W. Zhong, D. Vanderbilt,
K. M. Rabe, Phys. Rev. B 52, 6301 (1995)).  Each dipole is smeared out to a Gaussian, so that neighbours, which the
local energy knows, see little of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..checks import CLOSEST_ALLOWED, refuse_overlap, volumes
from ..correction import OWN_DIPOLES, BaselineError
from ..errors import as_structure_error
from ..model import Model
from ..outputs import empty_head
from ..passes.values import values_of_heads
from ..response import Response, refuse_unavailable
from ..structures import Batch
from ..training.net_charge import net_charge, nominal_charges
from .sums import Electrostatics

USAGE = f"{OWN_DIPOLES}:permittivity=E[,width=W]"
WIDTH = 2.0  # Å
ACCURACY = 1e-13  # of potentials; those of dipoles are a hundred times less exact
ANSWERS = ("energy", "forces", "virial")


@dataclass(frozen=True)
class OwnDipoles:
    """Energy, forces and virial of the dipoles of a model's linear head in each other's field, beyond contact.

    An equivariant network that corrects these dipoles has no part in it: the baseline is known before the network is
    trained, and does not change with it.

    Parameters
    ----------
    model : Model
        With a dipole head.
    permittivity : float
        ε∞, of electrons alone.
    width : float
        σ of each Gaussian in Å.

    Raises
    ------
    BaselineError
        If a number is not as described, or the model has no dipole, or charges beside it.
    """

    model: Model
    permittivity: float
    width: float = WIDTH

    def __post_init__(self) -> None:
        if not 1 <= self.permittivity < np.inf:
            raise BaselineError(f"permittivity of {OWN_DIPOLES} is {self.permittivity:g}; allowed are numbers from 1")
        if not 0 < self.width < np.inf:
            raise BaselineError(f"width of {OWN_DIPOLES} is {self.width:g} Å; allowed are finite lengths above 0")
        record = self.model.metadata
        if net_charge(record) or nominal_charges(record):
            raise BaselineError(
                f"{OWN_DIPOLES} is for neutral systems without nominal charges, whose field is not in it; the model "
                f"has the total charge {net_charge(record):g} e and nominal_charges {nominal_charges(record)}"
            )
        if "dipole" not in self.model.heads:
            raise BaselineError(
                f"{OWN_DIPOLES} needs a model with a dipole; this one has {list(self.model.quantities)}"
            )

    @classmethod
    def of(cls, baseline: str, model: Model) -> OwnDipoles:
        """Those of a model, by what the baseline is called: ``own-dipoles:permittivity=E[,width=W]``.

        Raises
        ------
        BaselineError
            If the name or a number is not as described.
        """
        numbers: dict[str, float] = {}
        for item in baseline.partition(":")[2].split(","):
            key, _, text = (part.strip() for part in item.partition("="))
            try:
                if key not in ("permittivity", "width") or key in numbers:
                    raise ValueError
                numbers[key] = float(text)
            except ValueError:
                raise BaselineError(f"baseline '{baseline}' has '{item.strip()}'; it is written {USAGE}") from None
        if "permittivity" not in numbers:
            raise BaselineError(f"baseline '{baseline}' has no permittivity; it is written {USAGE}")
        return cls(model, **numbers)

    @property
    def species(self) -> tuple[int, ...]:
        """Atomic numbers that can be evaluated."""
        return self.model.species

    @property
    def properties(self) -> tuple[str, ...]:
        """What it answers."""
        return ANSWERS

    @cached_property
    def _carrier(self) -> Model:
        """The dipole head alone, on the same density."""
        own = self.model
        heads = {"energy": empty_head(0, own.shape), "dipole": own.heads["dipole"]}
        return Model(own.numbers, own.l_max, own.radial, heads, own.repulsion, groups=own.groups, threads=own.threads)

    def evaluate(self, batch: Batch, want: Sequence[str]) -> Response:
        """Answer the wanted properties for every bead.

        Forces and virial are exact: what changes with the dipoles is a combination of the outputs of each atom, which
        the kernel differentiates as it does energies.

        Parameters
        ----------
        batch : Batch
            Periodic in three, two or no directions.
        want : sequence of str
            Out of energy, forces and virial.

        Raises
        ------
        PropertyError
            If a wanted property is not available.
        StructureError
            As of the model, and if one direction alone is periodic.
        """
        refuse_unavailable(want, ANSWERS, OWN_DIPOLES)
        carrier, layout = self._carrier, self._carrier.layout
        outputs = values_of_heads(carrier, batch, ("dipole",))
        dipoles = layout.cartesian("dipole", outputs)
        has_images = batch.periodic
        if batch.periodic.all() and not np.isfinite(volumes(batch)).all():
            has_images = np.zeros(3, dtype=bool)
        sums = Electrostatics(
            batch.positions,
            batch.cells,
            has_images,
            np.full(batch.atoms, self.width),
            accuracy=ACCURACY,
            threads=carrier.threads,
        )
        found = sums.energy(None, dipoles)
        arrays = {"energy": found.energy, "forces": found.forces, "virial": found.virial}
        if "forces" in want or "virial" in want:
            gradients, strains = self._by_dipoles(batch, found.by_dipole)
            arrays |= {"forces": found.forces - gradients, "virial": found.virial - strains}
        return Response(**{name: arrays[name] / self.permittivity for name in want})

    def _by_dipoles(self, batch: Batch, slopes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Derivatives of ``Σ slopes·p`` by positions (beads, atoms, 3) and strain (beads, 3, 3), at constant slopes."""
        carrier, layout = self._carrier, self._carrier.layout
        of_outputs = layout.cartesian("dipole", np.eye(layout.outputs))  # (outputs, 3)
        combinations = np.ascontiguousarray(np.einsum("bia,oa->bio", slopes, of_outputs)[:, None])
        beads, atoms = batch.beads, batch.atoms
        gradients, strains = np.zeros((beads, 1, atoms, 3)), np.zeros((beads, 1, 3, 3))
        with as_structure_error():
            overlap = carrier.kernel.evaluate(
                carrier.species_indices(batch.numbers),
                batch.positions,
                batch.cells,
                batch.periodic,
                [False] * len(layout.heads),
                combinations,
                np.zeros((beads, atoms, layout.outputs)),
                gradients,
                strains,
                CLOSEST_ALLOWED,
                carrier.threads,
            )
        refuse_overlap(overlap)
        return gradients[:, 0], strains[:, 0]
