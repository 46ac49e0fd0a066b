"""``ions:Ba=1.25,Ti=2.5,O=-1.25[,width=W]``: a charge for each species, in crystals, slabs and molecules.

What ions of polar crystals do to each other falls off as 1/r³ of their displacements, with Born charges over the root
of the permittivity of the electrons, Z*/√ε∞ (W. Cochran, R. A. Cowley, J. Phys. Chem. Solids 23, 447 (1962); X. Gonze,
C. Lee, Phys. Rev. B 55, 10355 (1997)).  As a baseline of a fit it takes the place of what no cutoff reaches.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from ase.data import atomic_numbers, chemical_symbols

from ...short_repr import short_repr
from ..checks import check_cells, volumes
from ..errors import EvaluatorError, StructureError
from ..evaluators.provider import Provider
from ..response import Response, refuse_unavailable
from ..structures import Batch, indices_of_species

PREFIX = "ions"
USAGE = f"{PREFIX}:SYMBOL=CHARGE,…[,width=W]"
WIDTH = 1.0  # Å
ACCURACY = 1e-10
ANSWERS = ("energy", "forces", "virial")
NEUTRAL = 1e-6  # e


class Ions:
    """Gaussian charges of each species: Ewald's sum, in a conductor (tin foil), or the plain sum without a lattice.

    Two of them at a distance r have the energy k_C q q' erf(r/2σ)/r; what each does to itself is not in it.

    Parameters
    ----------
    charges : mapping of int to float
        In e by atomic number.
    width : float
        σ of each Gaussian in Å: ions that are nearer than about 4 σ feel less of each other than points do.
    threads : int

    Raises
    ------
    EvaluatorError
        If there is no charge, or a number is not finite, or the width is not above 0.
    """

    properties = ANSWERS

    def __init__(self, charges: Mapping[int, float], width: float = WIDTH, threads: int = 1):
        if not charges:
            raise EvaluatorError(f"{PREFIX} without a charge; it is written {USAGE}")
        for number, charge in charges.items():
            if not np.isfinite(charge):
                raise EvaluatorError(
                    f"the charge of {chemical_symbols[number]} in {PREFIX} is {charge}; a finite one is needed"
                )
        if not 0 < width < np.inf:
            raise EvaluatorError(f"width of {PREFIX} is {width:g} Å; it must be finite and above 0")
        self.species = tuple(sorted(charges))
        self.charges = np.array([charges[number] for number in self.species], dtype=np.float64)
        self.width, self.threads = float(width), threads

    def __repr__(self) -> str:
        return short_repr(self, ("species", "charges", "width"))

    def evaluate(self, batch: Batch, want: Sequence[str]) -> Response:
        """Answer the wanted properties for every bead.

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
            If a species has no charge, the charges of a periodic structure do not add up to 0, one direction alone is
            periodic, or two atoms lie on each other.
        """
        from ..electrostatics import Electrostatics  # with SciPy, which takes long to import

        refuse_unavailable(want, ANSWERS, PREFIX)
        charges = self.charges[indices_of_species(self.species, batch.numbers)]
        check_cells(batch)
        periodic = np.array(batch.periodic)
        if periodic.all() and not np.isfinite(volumes(batch)).all():
            periodic[:] = False
        if periodic.any() and abs(charges.sum()) > NEUTRAL:
            raise StructureError(
                f"the charges of {PREFIX} add up to {charges.sum():.6g} e in this structure; in one with images 0 is "
                "needed"
            )
        widths = np.full(batch.atoms, self.width)
        sums = Electrostatics(batch.positions, batch.cells, periodic, widths, accuracy=ACCURACY, threads=self.threads)
        found = sums.energy(np.repeat(charges[None], batch.beads, axis=0))
        arrays = {"energy": found.energy, "forces": found.forces, "virial": found.virial}
        return Response(**{name: arrays[name] for name in want})


def _make(rest: str, threads: int) -> Ions:
    charges: dict[int, float] = {}
    width: float | None = None
    for item in rest.split(","):
        key, _, text = (part.strip() for part in item.partition("="))
        known = key == "width" or key in atomic_numbers
        if not known or (key == "width" and width is not None) or atomic_numbers.get(key) in charges:
            raise EvaluatorError(f"'{PREFIX}:{rest}' has '{item.strip()}'; it is written {USAGE}, each once")
        try:
            number = float(text)
        except ValueError:
            raise EvaluatorError(f"{key} of '{PREFIX}:{rest}' is '{text}', which is no number; {USAGE}") from None
        if key == "width":
            width = number
        else:
            charges[atomic_numbers[key]] = number
    return Ions(charges, WIDTH if width is None else width, threads)


PROVIDER = Provider(PREFIX, _make, USAGE)
