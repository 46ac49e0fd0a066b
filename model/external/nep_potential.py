"""Neuroevolution potentials (NEP) as evaluators: of energies, dipoles or polarizabilities.

What a NEP is: Z. Fan et al., Phys. Rev. B 104, 104309 (2021); of dipoles and polarizabilities: N. Xu et al., J. Chem.
Theory Comput. 20, 3273 (2024).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from ...reading import reason
from ..checks import check_cells, refuse_unknown_species
from ..errors import EvaluatorError, StructureError
from ..response import Response, refuse_unavailable
from ..structures import Batch
from .names import ByName, file_and_settings, one_of, unit_factors
from .neighbours import box, refuse_overlapping
from .nep_file import NepFile, read_nep

PREFIX = "nep"
SETTINGS = ("device", "dipole_unit", "polarizability_unit")
USAGE = f"{PREFIX}:FILE[,device=cpu|cuda][,dipole_unit=UNIT][,polarizability_unit=UNIT]"
PROPERTIES = {
    "ordinary": ("energy", "forces", "virial"),
    "dipole": ("dipole",),
    "polarizability": ("polarizability",),
}
EXAMPLES = {"dipole": "e*bohr", "polarizability": "bohr^3"}
VOIGT = [[0, 3, 5], [3, 1, 4], [5, 4, 2]]  # places of xx, yy, zz, xy, yz, zx


class NepPotential(ByName):
    """A NEP through the optional package nep-adapters; all beads of a batch in one call.

    A NEP of dipoles or polarizabilities has no derivatives of them here, as nep-adapters gives none.

    Parameters
    ----------
    file : NepFile
    path : Path
        Its file.
    units : mapping of str to str
        Name of the unit of the dipole or the polarizability in the file, which does not tell it.
    device : str
        ``cpu`` or ``cuda``.
    """

    def __init__(self, file: NepFile, path: Path, units: Mapping[str, str], device: str = "cpu"):
        self.file, self.path, self.units, self.device = file, path, dict(units), device
        self.properties = PROPERTIES[file.kind]
        self._factors = unit_factors(self.units, path)
        self.species = tuple(sorted(file.species))
        package = _package()
        try:
            self._model = package.NEPCalculator(str(path), backend=device).model
        except (RuntimeError, ValueError) as error:  # all of nep-adapters are one of these
            raise EvaluatorError(f"nep-adapters cannot load '{path}' on {device}: {reason(error)}") from error
        self.provider = f"nep-adapters {version('nep-adapters')}"

    def __repr__(self) -> str:
        units = "".join(f", {name} in {unit}" for name, unit in self.units.items())
        return f"NepPotential('{self.path}', {self.file.kind} on {self.device}{units}: {', '.join(self.properties)})"

    def evaluate(self, batch: Batch, want: Sequence[str]) -> Response:
        """Answer the wanted properties for every bead.

        Parameters
        ----------
        batch : Batch
            Periodic in any directions.
        want : sequence of str
            Names out of `properties`.

        Raises
        ------
        PropertyError
            If a wanted property is not available.
        StructureError
            If the NEP does not know an element, or nep-adapters refuses a structure.
        """
        refuse_unavailable(want, self.properties, f"the NEP '{self.path}'")
        refuse_unknown_species(batch, self.species, f"the NEP '{self.path}'")
        check_cells(batch)
        for bead in range(batch.beads if batch.atoms else 0):
            refuse_overlapping(batch, bead)
        shapes = {"forces": (batch.atoms, 3), "virial": (3, 3), "dipole": (3,), "polarizability": (3, 3)}
        if not want or not batch.beads or not batch.atoms:
            return Response(**{name: np.zeros((batch.beads, *shapes.get(name, ()))) for name in want})
        try:
            arrays = self._answer(batch)
        except (RuntimeError, ValueError, MemoryError) as error:
            raise StructureError(f"the NEP '{self.path}' cannot answer: {reason(error)}") from error
        return Response(**{name: arrays[name] * self._factors.get(name, 1.0) for name in want})

    def _answer(self, batch: Batch) -> dict[str, np.ndarray]:
        """All that the NEP says, in its own units."""
        beads, atoms = batch.beads, batch.atoms
        of_atoms = [self.file.species.index(number) for number in batch.numbers.tolist()]
        boxes = np.array([box(batch, bead, self.file.cutoff).T.ravel() for bead in range(beads)])
        arguments = (
            np.tile(np.array(of_atoms, dtype=np.int32), beads),
            boxes,
            batch.positions.reshape(-1, 3),
            np.full(beads, atoms, dtype=np.int32),
            np.ones((beads, 3), dtype=np.int32),
        )
        if self.file.kind == "dipole":
            return {"dipole": np.asarray(self._model.dipoles(*arguments)).reshape(beads, 3)}
        if self.file.kind == "polarizability":
            six = np.asarray(self._model.polarizabilities(*arguments)).reshape(beads, 6)
            return {"polarizability": six[:, VOIGT]}
        energies, forces, virials = (np.asarray(own, dtype=np.float64) for own in self._model.calculate(*arguments))
        return {
            "energy": energies.reshape(beads, atoms).sum(axis=1),
            "forces": forces.reshape(beads, atoms, 3),
            "virial": virials.reshape(beads, atoms, 3, 3).sum(axis=1),
        }


def nep_potential(rest: str, threads: int = 1) -> NepPotential:
    """Make the evaluator of a name, ``FILE,dipole_unit=e*bohr``; nep-adapters sees to its threads itself.

    Raises
    ------
    EvaluatorError
        If the file is missing, damaged or of something else, a setting is unknown or not allowed, or there is no unit.
    """
    path, settings = file_and_settings(PREFIX, rest, SETTINGS, USAGE)
    device = one_of("device", settings, ("cpu", "cuda"), "cpu")
    file = read_nep(path)
    units = {name.removesuffix("_unit"): unit for name, unit in settings.items() if name.endswith("_unit")}
    needed = [name for name in PROPERTIES[file.kind] if name in ("dipole", "polarizability")]
    for quantity in units:
        if quantity not in needed:
            raise EvaluatorError(f"{quantity}_unit of '{path}': it has no {quantity}")
    for quantity in needed:
        if quantity not in units:
            raise EvaluatorError(
                f"'{path}' is a NEP of the {quantity}, and does not say in which unit: it is that of the data of its "
                f"training; give {quantity}_unit, as {quantity}_unit={EXAMPLES[quantity]}"
            )
    potential = NepPotential(file, path, units, device)
    potential.made_from = (nep_potential, (rest, threads))
    return potential


def _package() -> Any:
    try:
        return import_module("nep_adapters")
    except ImportError as error:
        raise EvaluatorError(
            f"files of NEP need the package nep-adapters, which cannot be imported ({reason(error)}); "
            "install it with `pip install 'beadwise[nep]'`"
        ) from error
