"""Models of metatomic as evaluators: all beads of a batch in one forward, derivatives by automatic differentiation."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...properties.quantities import properties, quantities
from ...quantity import Unit
from ...reading import reason
from ..checks import check_cells, refuse_unknown_species
from ..electric_field import NO_FIELD, Field, checked_field
from ..errors import EvaluatorError, StructureError
from ..members import spread
from ..response import Response, refuse_unavailable
from ..structures import Batch
from .derivatives import gradients, in_field
from .devices import most_pairs, threads_of_torch
from .metatomic_file import DIRECT, ENERGY, ENSEMBLE, MetatomicFile, quiet, read_metatomic
from .names import ByName, file_and_settings, one_of, unit_factors, whole
from .neighbours import refuse_overlapping

if TYPE_CHECKING:
    from torch import Tensor

logger = logging.getLogger(__name__)

PREFIX = "metatomic"
USAGE = f"{PREFIX}:FILE[,energy=OUTPUT][,dipole=OUTPUT][,dipole_unit=UNIT][,forces=direct][,device=cpu|cuda]"
OWN_SETTINGS = ("forces", "device", "chunk", "extensions")
OF_MEMBERS = {"committee_energy": "energy", "committee_forces": "forces", "committee_virial": "virial"}
Y, Z, X = range(3)  # order of the components of a vector in spherical form


@dataclass(frozen=True)
class Beads:
    """Beads of one forward, and what their answers are differentiated by.

    Parameters
    ----------
    systems : list of System
    positions, strains : list of Tensor
        Of each system; shapes (atoms, 3) and (3, 3).
    """

    systems: list[Any] = field(default_factory=list)
    positions: list[Tensor] = field(default_factory=list)
    strains: list[Tensor] = field(default_factory=list)


class MetatomicPotential(ByName):
    """A model of metatomic.

    Parameters
    ----------
    file : MetatomicFile
    path : Path
        Its file, for messages.
    units : mapping of str to str
        Names of the units of quantities other than the energy, where the file does not say them.
    direct : bool
        Whether forces are those that the model gives by themselves: cheaper, and no derivatives of the energy.
    chunk : int
        Beads in one forward; 0 for as many as have no more than `most_pairs` together, and at least one.
    threads : int
        Of torch, on a processor.
    electric_field : tuple of float
        In V/Å; energy, forces and virial are those in it.

    Raises
    ------
    EvaluatorError
        If the unit of a quantity is not known, or the model has no forces by themselves.
    """

    def __init__(
        self,
        file: MetatomicFile,
        path: Path,
        units: Mapping[str, str] | None = None,
        direct: bool = False,
        chunk: int = 0,
        threads: int = 1,
        electric_field: Field = NO_FIELD,
    ):
        self.file, self.path, self.direct, self.chunk, self.threads = file, path, direct, chunk, threads
        self.electric_field = electric_field
        said = {name: unit for name, unit in file.units.items() if unit} | dict(units or {})
        self._others = [name for name in file.outputs if name in quantities() and name != ENERGY]
        in_use = [ENERGY, DIRECT] if direct else [ENERGY, ENSEMBLE]
        self._unsaid = [own for own in file.unsaid if own in in_use]
        if self._unsaid and ENERGY not in said:
            raise EvaluatorError(
                f"'{path}' does not say the unit of its output {file.outputs[self._unsaid[0]]}; say it with "
                f"{ENERGY}_unit=UNIT"
            )
        if ENERGY in said and not self._unsaid:
            raise EvaluatorError(f"{ENERGY}_unit is '{said[ENERGY]}', and '{path}' says the unit of its energy itself")
        for name in self._others:
            if name not in said and quantities()[name].unit != Unit():
                raise EvaluatorError(
                    f"'{path}' does not say the unit of its output {file.outputs[name]}; say it with {name}_unit=UNIT"
                )
        self.units = {name: unit for name, unit in said.items() if name in (*self._others, ENERGY)}
        self._factors = unit_factors(self.units, path)
        if direct and DIRECT not in file.outputs:
            raise EvaluatorError(f"forces is 'direct', and '{path}' gives no forces by themselves")
        self.species = file.species
        self.provider = f"metatomic-torch {version('metatomic-torch')}"
        self.properties = tuple(name for name in properties() if self._has(name))
        self._lists: list[Any] = []

    def __repr__(self) -> str:
        where = f"{str(self.file.dtype).removeprefix('torch.')} on {self.file.device}"
        direct = ", forces that are no derivatives" if self.direct else ""
        return f"MetatomicPotential('{self.path}', {where}{direct}: {', '.join(self.properties)})"

    def in_field(self, electric_field: Sequence[float]) -> MetatomicPotential:
        """The same in a static electric field in V/Å; only models with an energy and a dipole can be.

        Raises
        ------
        PropertyError
            If the field is not three finite numbers, or there is no energy or no dipole.
        """
        own = checked_field(electric_field, self.properties)
        refuse_unavailable([ENERGY] if any(own) else [], self.properties, f"the metatomic model '{self.path}'")
        said = {name: unit for name, unit in self.units.items() if not self.file.units.get(name)}
        driven = MetatomicPotential(self.file, self.path, said, self.direct, self.chunk, self.threads, own)
        driven.made_from = self.made_from
        return driven

    def _has(self, name: str) -> bool:
        """Whether a property can be made of the outputs."""
        one = properties()[name]
        if one.quantity is None or one.per == "molecule":
            return False
        if one.quantity.name == ENERGY:
            if ENERGY not in self.file.outputs or (self.direct and one.of == "virial"):
                return False
            return one.kind not in ("members", "uncertainty") or (ENSEMBLE in self.file.outputs and not self.direct)
        return one.quantity.name in self._others and one.kind in ("value", "derivative") and one.per in ("cell", "atom")

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
            If the model does not know an element, atoms lie on each other, or the model itself fails.
        """
        refuse_unavailable(want, self.properties, f"the metatomic model '{self.path}'")
        refuse_unknown_species(batch, self.species, f"the metatomic model '{self.path}'")
        check_cells(batch)
        pieces = []
        with quiet() as metatomic, threads_of_torch(self.file.device, self.threads):
            for first, beads in self._chunks(metatomic, batch, want):
                try:
                    pieces.append(self._forward(metatomic, beads, batch.atoms, want))
                except RuntimeError as error:  # of torch and of the model
                    last = first + len(beads.systems) - 1
                    raise StructureError(
                        f"the metatomic model '{self.path}' cannot answer for beads {first} to {last}: {reason(error)}"
                    ) from error
        return Response(**{name: np.concatenate([piece[name] for piece in pieces]) for name in want})

    def _chunks(self, metatomic: Any, batch: Batch, want: Sequence[str]) -> Iterator[tuple[int, Beads]]:
        """First bead, and the beads of each forward."""
        given = self._given if not any(self.electric_field) else set()
        differentiates = any(properties()[name].of not in {*quantities(), *given} for name in want)
        first, pairs, beads = 0, 0, Beads()
        for bead in range(batch.beads):
            refuse_overlapping(batch, bead)
            try:
                one, own = self._bead(metatomic, batch, bead, differentiates)
            except RuntimeError as error:  # of torch and of the neighbour lists
                raise StructureError(
                    f"the metatomic model '{self.path}' cannot answer for bead {bead}: {reason(error)}"
                ) from error
            is_full = len(beads.systems) == self.chunk if self.chunk else pairs + own > most_pairs(self.file.device)
            if beads.systems and is_full:
                yield first, beads
                first, pairs, beads = bead, 0, Beads()
            beads.systems.extend(one.systems)
            beads.positions.extend(one.positions)
            beads.strains.extend(one.strains)
            pairs += own
        if beads.systems:
            yield first, beads

    def _bead(self, metatomic: Any, batch: Batch, bead: int, differentiates: bool) -> tuple[Beads, int]:
        """One bead with its neighbours, and how many pairs it has."""
        import torch

        def real(array: np.ndarray) -> Tensor:
            return torch.as_tensor(np.ascontiguousarray(array), dtype=self.file.dtype, device=self.file.device)

        types = torch.as_tensor(batch.numbers, dtype=torch.int32, device=self.file.device)
        periodic = torch.as_tensor(np.asarray(batch.periodic, dtype=bool), device=self.file.device)
        positions = real(batch.positions[bead]).requires_grad_(differentiates)
        strain = real(np.eye(3)).requires_grad_(differentiates)
        cell = real(np.where(np.asarray(batch.periodic)[:, None], batch.cells[bead], 0.0))
        system = metatomic.System(types, positions @ strain, cell @ strain, periodic)
        most = 0
        for own in self._lists_of(bead):
            own.add_neighbor_list(system, copy=True)
            most = max(most, len(system.get_neighbor_list(own.options).samples))
        return Beads([system], [positions], [strain]), most

    def _lists_of(self, bead: int) -> list[Any]:
        """Every bead has lists of its own, which last while its atoms move little."""
        import vesin.metatomic

        requested = self.file.module.requested_neighbor_lists()
        while len(self._lists) <= bead:
            self._lists.append([vesin.metatomic.NeighborList(own, length_unit="angstrom") for own in requested])
        return self._lists[bead]

    def _forward(self, metatomic: Any, beads: Beads, atoms: int, want: Sequence[str]) -> dict[str, np.ndarray]:
        """Answer for some beads, in eV, Å and e."""
        import torch

        options = metatomic.ModelEvaluationOptions(length_unit="angstrom", outputs=self._asked(metatomic, want))
        answer = self.file.module(beads.systems, options, check_consistency=False)
        found = self._values(answer, want, beads, atoms)
        arrays = {name: value.detach().to("cpu", torch.float64).numpy() for name, value in found.items()}
        for name in want:
            if properties()[name].kind == "uncertainty":
                member = next(own for own, of in OF_MEMBERS.items() if of == properties()[name].of)
                arrays[name] = spread(properties()[name].of, arrays[member])
        return {name: arrays[name] for name in want}

    def _asked(self, metatomic: Any, want: Sequence[str]) -> dict[str, Any]:
        """Outputs that the wanted properties are made of."""
        units = {ENERGY: "eV", ENSEMBLE: "eV", DIRECT: "eV/Angstrom"}
        of = {name: one.quantity.name for name in want if (one := properties()[name]).quantity is not None}
        needed = [self._output_of(name) if own == ENERGY else own for name, own in of.items()]
        if any(self.electric_field) and ENERGY in of.values():
            needed.append("dipole")
        asked = {}
        for output in needed:
            per_atom = output == DIRECT or (output in quantities() and quantities()[output].per == "atom")
            asked[self.file.outputs[output]] = metatomic.ModelOutput(
                unit="" if output in self._unsaid else units.get(output, ""),
                sample_kind="atom" if per_atom else "system",
            )
        return asked

    def _output_of(self, name: str) -> str:
        """Which output a property of the energy is made of."""
        if properties()[name].kind in ("members", "uncertainty"):
            return ENSEMBLE
        return DIRECT if self.direct and name == "forces" else ENERGY

    def _values(self, answer: Mapping[str, Any], want: Sequence[str], beads: Beads, atoms: int) -> dict[str, Tensor]:
        """Wanted properties, and energies of members for the spread of them, in eV, Å and e."""
        import torch

        count = len(beads.systems)
        found: dict[str, Tensor] = {}

        def value(own: str) -> Tensor:
            is_said = own in (ENERGY, ENSEMBLE, DIRECT) and own not in self._unsaid  # and converted by metatomic
            name = ENERGY if own in (ENSEMBLE, DIRECT) else own
            factor = 1.0 if is_said else self._factors.get(name, 1.0)
            return _block(answer[self.file.outputs[own]], self.file.outputs[own], self.path) * factor

        def driven(energies: Tensor) -> Tensor:
            is_driven = any(self.electric_field)
            return in_field(energies, value("dipole").reshape(count, 3), self.electric_field) if is_driven else energies

        of_members = [properties()[name] for name in want if properties()[name].kind in ("members", "uncertainty")]
        if of_members:
            energies = driven(value(ENSEMBLE).reshape(count, -1))
            slopes = [self._slopes(energies[:, member], {one.of for one in of_members}, beads)
                      for member in range(energies.shape[1])]  # fmt: skip
            own = {name: torch.stack([slope[name] for slope in slopes], dim=1) for name in slopes[0]}
            found |= {f"committee_{name}": tensor for name, tensor in ({"energy": energies} | own).items()}
        of_energy = {"energy", "forces", "virial"} & set(want)
        if of_energy and self.file.outputs[ENERGY] in answer:
            energies = driven(value(ENERGY).reshape(count))
            found |= {"energy": energies, **self._slopes(energies, of_energy - self._given, beads)}
        if "forces" in want and self.direct:
            forces = value(DIRECT).reshape(count, atoms, 3)
            found["forces"] = forces - forces.mean(dim=1, keepdim=True)  # nothing pushes all atoms together
            if any(self.electric_field):
                of_field = driven(forces.new_zeros(count))
                found["forces"] = found["forces"] + self._slopes(of_field, {"forces"}, beads)["forces"]
        for name in self._others:
            one = quantities()[name]
            if not {name, one.derivative} & set(want):
                continue
            samples = (count,) if one.per == "cell" else (count, atoms)
            found[name] = value(name).reshape(*samples, *one.form.shape)
            if one.derivative and one.derivative in want:
                flat = found[name].reshape(count, -1)
                columns = [torch.stack(gradients(flat[:, place], beads.positions)) for place in range(flat.shape[1])]
                found[one.derivative] = torch.stack(columns, dim=-1).reshape(count, atoms, 3, *one.form.shape)
        return found

    def _slopes(self, energies: Tensor, names: set[str], beads: Beads) -> dict[str, Tensor]:
        """Forces and virial of each bead, as far as they are wanted, in one sweep back."""
        import torch

        inputs = {"forces": beads.positions, "virial": beads.strains}
        inputs = {name: own for name, own in inputs.items() if name in names}
        slopes = gradients(energies, [one for own in inputs.values() for one in own])
        count = len(beads.systems)
        found = {name: -torch.stack(slopes[place * count : (place + 1) * count]) for place, name in enumerate(inputs)}
        if "virial" in found and not any(self.electric_field):  # a field turns molecules
            found["virial"] = (found["virial"] + found["virial"].transpose(1, 2)) / 2
        return found

    @property
    def _given(self) -> set[str]:
        """What the model gives by itself, and is no derivative."""
        return {"forces"} if self.direct else set()


def _block(answer: Any, name: str, path: Path) -> Tensor:
    """Values of an output in Cartesian form."""
    if len(answer) != 1:
        raise StructureError(
            f"the output {name} of '{path}' has {len(answer)} blocks; one in Cartesian form is needed, as of a target "
            "of type cartesian"
        )
    block = answer.block()
    spherical = [component for component in block.components if component.names == ["o3_mu"]]
    if not spherical:
        return block.values
    if len(block.components) > 1 or len(spherical[0]) != 3:
        raise StructureError(
            f"the output {name} of '{path}' is spherical of an order other than 1; Cartesian is needed"
        )
    return block.values[:, [X, Y, Z]]


def metatomic_potential(rest: str, threads: int = 1) -> MetatomicPotential:
    """Make the evaluator of a name, ``FILE,dipole=mtt::dipole,dipole_unit=debye``.

    Raises
    ------
    EvaluatorError
        If the file is missing, damaged or of something else, an output is not there, or a setting is unknown.
    """
    names = [*quantities(), ENSEMBLE]
    units = [f"{name}_unit" for name in quantities()]
    path, settings = file_and_settings(PREFIX, rest, [*names, *units, *OWN_SETTINGS], USAGE)
    direct = one_of("forces", settings, ("derivatives", "direct"), "derivatives") == "direct"
    chunk = whole("chunk", settings, 0, 1) if "chunk" in settings else 0
    wanted = {name: settings[name] for name in names if name in settings}
    file = read_metatomic(path, wanted, settings.get("device", "cpu"), settings.get("extensions", ""))
    said = {name.removesuffix("_unit"): settings[name] for name in units if name in settings}
    for quantity in said:
        if quantity not in file.outputs:
            raise EvaluatorError(f"{quantity}_unit of '{path}': there is no output for the {quantity}")
    if direct:
        logger.warning(
            "'%s' gives forces that are no derivatives of its energy: use them inside multiple time steps", path
        )
    potential = MetatomicPotential(file, path, said, direct, chunk, threads)
    potential.made_from = (metatomic_potential, (rest, threads))
    return potential
