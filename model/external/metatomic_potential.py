"""Models of metatomic as evaluators: all beads of a batch in one forward, derivatives by automatic differentiation."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, SupportsIndex

import numpy as np

from ...properties.quantities import properties, quantities
from ...quantity import Unit
from ...reading import reason
from ..checks import check_cells, refuse_unknown_species
from ..errors import EvaluatorError, StructureError
from ..members import spread
from ..response import Response, refuse_unavailable
from ..structures import Batch
from .devices import threads_of_torch
from .metatomic_file import DIRECT, ENERGY, ENSEMBLE, MetatomicFile, quiet, read_metatomic
from .names import file_and_settings, one_of, unit_factors, whole
from .neighbours import refuse_overlapping

if TYPE_CHECKING:
    from torch import Tensor

logger = logging.getLogger(__name__)

PREFIX = "metatomic"
USAGE = f"{PREFIX}:FILE[,energy=OUTPUT][,dipole=OUTPUT][,dipole_unit=UNIT][,forces=direct][,device=cpu|cuda]"
OWN_SETTINGS = ("forces", "device", "chunk", "extensions")
CHUNK = 16  # beads in one forward, unless a number is given
OF_MEMBERS = {"committee_energy": "energy", "committee_forces": "forces", "committee_virial": "virial"}
Y, Z, X = range(3)  # order of the components of a vector in spherical form


class MetatomicPotential:
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
        Beads in one forward.
    threads : int
        Of torch, on a processor.

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
        chunk: int = CHUNK,
        threads: int = 1,
    ):
        self.file, self.path, self.direct, self.chunk, self.threads = file, path, direct, chunk, threads
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
        self.made_from: tuple[str, int] | None = None
        self._lists: list[Any] = []

    def __repr__(self) -> str:
        where = f"{str(self.file.dtype).removeprefix('torch.')} on {self.file.device}"
        direct = ", forces that are no derivatives" if self.direct else ""
        return f"MetatomicPotential('{self.path}', {where}{direct}: {', '.join(self.properties)})"

    def __reduce_ex__(self, protocol: SupportsIndex) -> str | tuple[Any, ...]:
        """Read the file again where it came from one."""
        return (metatomic_potential, self.made_from) if self.made_from else super().__reduce_ex__(protocol)

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
        for first in range(0, batch.beads, self.chunk):
            beads = range(first, min(first + self.chunk, batch.beads))
            for bead in beads:
                refuse_overlapping(batch, bead)
            try:
                with quiet() as metatomic, threads_of_torch(self.file.device, self.threads):
                    pieces.append(self._forward(metatomic, batch, beads, want))
            except RuntimeError as error:  # of torch and of the model
                raise StructureError(
                    f"the metatomic model '{self.path}' cannot answer for beads {first} to {beads[-1]}: {reason(error)}"
                ) from error
        return Response(**{name: np.concatenate([piece[name] for piece in pieces]) for name in want})

    def _forward(self, metatomic: Any, batch: Batch, beads: range, want: Sequence[str]) -> dict[str, np.ndarray]:
        """Answer for some beads, in eV, Å and e."""
        import torch

        def real(array: np.ndarray) -> Tensor:
            return torch.as_tensor(np.ascontiguousarray(array), dtype=self.file.dtype, device=self.file.device)

        types = torch.as_tensor(batch.numbers, dtype=torch.int32, device=self.file.device)
        periodic = torch.as_tensor(np.asarray(batch.periodic, dtype=bool), device=self.file.device)
        positions = [real(batch.positions[bead]).requires_grad_(True) for bead in beads]
        strains = [real(np.eye(3)).requires_grad_(True) for _ in beads]
        cells = [real(np.where(np.asarray(batch.periodic)[:, None], batch.cells[bead], 0.0)) for bead in beads]
        systems = [
            metatomic.System(types, own @ strain, cell @ strain, periodic)
            for own, strain, cell in zip(positions, strains, cells, strict=True)
        ]
        self._add_neighbours(systems)
        options = metatomic.ModelEvaluationOptions(length_unit="angstrom", outputs=self._asked(metatomic, want))
        answer = self.file.module(systems, options, check_consistency=False)
        found = self._values(answer, want, positions, strains, batch.atoms)
        arrays = {name: value.detach().to("cpu", torch.float64).numpy() for name, value in found.items()}
        for name, array in arrays.items():
            quantity = properties()[name].quantity
            assert quantity is not None
            own = self._output_of(name) if quantity.name == ENERGY else ""
            is_converted = bool(own) and own not in self._unsaid  # by metatomic
            arrays[name] = array * (1.0 if is_converted else self._factors.get(quantity.name, 1.0))
        for name in want:
            if properties()[name].kind == "uncertainty":
                member = next(own for own, of in OF_MEMBERS.items() if of == properties()[name].of)
                arrays[name] = spread(properties()[name].of, arrays[member])
        return {name: arrays[name] for name in want}

    def _add_neighbours(self, systems: Sequence[Any]) -> None:
        """Every bead has lists of its own, which last while its atoms move little."""
        import vesin.metatomic

        requested = self.file.module.requested_neighbor_lists()
        while len(self._lists) < len(systems):
            self._lists.append([vesin.metatomic.NeighborList(own, length_unit="angstrom") for own in requested])
        for system, lists in zip(systems, self._lists, strict=False):
            for own in lists:
                own.add_neighbor_list(system, copy=True)

    def _asked(self, metatomic: Any, want: Sequence[str]) -> dict[str, Any]:
        """Outputs that the wanted properties are made of."""
        asked = {}
        for name in want:
            one = properties()[name]
            assert one.quantity is not None
            own = one.quantity.name
            output = self._output_of(name) if own == ENERGY else own
            units = {ENERGY: "eV", ENSEMBLE: "eV", DIRECT: "eV/Angstrom"}
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

    def _values(
        self,
        answer: Mapping[str, Any],
        want: Sequence[str],
        positions: Sequence[Tensor],
        strains: Sequence[Tensor],
        atoms: int,
    ) -> dict[str, Tensor]:
        """Wanted properties in the model's units."""
        import torch

        outputs, beads = self.file.outputs, len(positions)

        def value(own: str) -> Tensor:
            return _block(answer[outputs[own]], outputs[own], self.path)

        def gradients(of: Tensor, inputs: Sequence[Tensor]) -> Tensor:
            if not of.requires_grad:  # nothing depends on positions where no atom has a neighbour
                return torch.stack([torch.zeros_like(one) for one in inputs])
            own = torch.autograd.grad([of.sum()], list(inputs), retain_graph=True, allow_unused=True)
            both = zip(inputs, own, strict=True)
            return torch.stack([torch.zeros_like(one) if slope is None else slope for one, slope in both])

        def virial(energies: Tensor) -> Tensor:
            own = -gradients(energies, strains)
            return (own + own.transpose(1, 2)) / 2

        found: dict[str, Tensor] = {}
        members = {OF_MEMBERS.get(name, properties()[name].of) for name in want
                   if properties()[name].kind in ("members", "uncertainty")}  # fmt: skip
        if members:
            energies = value(ENSEMBLE).reshape(beads, -1)
            each = range(energies.shape[1])
            if "energy" in members:
                found["committee_energy"] = energies
            if "forces" in members:
                slopes = [-gradients(energies[:, member], positions) for member in each]
                found["committee_forces"] = torch.stack(slopes, dim=1)
            if "virial" in members:
                found["committee_virial"] = torch.stack([virial(energies[:, member]) for member in each], dim=1)
        if {"energy", "forces", "virial"} & set(want) and outputs[ENERGY] in answer:
            energies = value(ENERGY).reshape(beads)
            found["energy"] = energies
            if "forces" in want and not self.direct:
                found["forces"] = -gradients(energies, positions)
            if "virial" in want:
                found["virial"] = virial(energies)
        if "forces" in want and self.direct:
            forces = value(DIRECT).reshape(beads, atoms, 3)
            found["forces"] = forces - forces.mean(dim=1, keepdim=True)  # nothing pushes all atoms together
        for name in self._others:
            one = quantities()[name]
            if not {name, one.derivative} & set(want):
                continue
            samples = (beads,) if one.per == "cell" else (beads, atoms)
            own = value(name).reshape(*samples, *one.form.shape)
            found[name] = own
            if one.derivative and one.derivative in want:
                flat = own.reshape(beads, -1)
                slopes = [gradients(flat[:, place], positions) for place in range(flat.shape[1])]
                found[one.derivative] = torch.stack(slopes, dim=-1).reshape(beads, atoms, 3, *one.form.shape)
        return found


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
    potential = MetatomicPotential(file, path, said, direct, whole("chunk", settings, CHUNK, 1), threads)
    potential.made_from = (rest, threads)
    return potential
