"""Models of MACE as evaluators: all beads of a batch in one forward, derivatives by automatic differentiation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...reading import reason
from ..checks import check_cells, refuse_other_charge, refuse_unknown_species
from ..electric_field import NO_FIELD, Field, checked_field
from ..errors import EvaluatorError, StructureError
from ..response import Response, refuse_unavailable
from ..structures import Batch
from .derivatives import gradients, in_field
from .devices import most_pairs, threads_of_torch
from .mace_file import MaceFile, read_mace
from .names import ByName, file_and_settings, one_of, unit_factors, whole
from .neighbours import edges

if TYPE_CHECKING:
    from torch import Tensor

PREFIX = "mace"
SETTINGS = ("head", "dtype", "device", "chunk", "charge", "spin", "dipole_unit", "polarizability_unit")
USAGE = f"{PREFIX}:FILE[,head=NAME][,dtype=float64|float32][,device=cpu|cuda][,chunk=BEADS][,dipole_unit=UNIT]"
VALUES = ("energy", "dipole", "polarizability")
SHAPES = {"energy": (), "virial": (3, 3), "dipole": (3,), "polarizability": (3, 3)}
SHAPES_OF_ATOMS = {"forces": (3,), "born_charges": (3, 3), "polarizability_derivatives": (3, 3, 3)}
SYMMETRIC = [(first, second) for first in range(3) for second in range(first, 3)]  # components of a polarizability


class MacePotential(ByName):
    """A model of MACE, of energies, dipoles, or dipoles and polarizabilities.

    Parameters
    ----------
    file : MaceFile
    path : Path
        Its file, for messages.
    units : mapping of str to str, optional
        Names of the units of dipole and polarizability in the file, where they are not those of its class.
    chunk : int
        Beads in one forward; 0 for as many as have no more than `most_pairs` together, and at least one.
    charge, spin : int
        Of all atoms together, for models that ask for them.
    threads : int
        Of torch, on a processor.
    electric_field : tuple of float
        In V/Å; energy, forces and virial are those in it.
    """

    def __init__(
        self,
        file: MaceFile,
        path: Path,
        units: Mapping[str, str] | None = None,
        chunk: int = 0,
        charge: int = 0,
        spin: int = 1,
        threads: int = 1,
        electric_field: Field = NO_FIELD,
    ):
        self.file, self.path = file, path
        self.units = {**file.units, **(units or {})}
        self._factors = unit_factors(self.units, path)
        self.chunk, self.charge, self.spin, self.threads = chunk, charge, spin, threads
        self.electric_field = electric_field
        self.properties = file.properties
        self.species = tuple(sorted(file.species))
        self.provider = f"mace-torch {version('mace-torch')}"
        parameter = next(file.module.parameters())
        self._dtype, self._device = parameter.dtype, parameter.device

    def __repr__(self) -> str:
        units = "".join(f", {name} in {unit}" for name, unit in self.units.items())
        where = f"{str(self._dtype).removeprefix('torch.')} on {self._device}"
        return f"MacePotential('{self.path}', {self.file.kind}, {where}{units}: {', '.join(self.properties)})"

    def in_field(self, electric_field: Sequence[float]) -> MacePotential:
        """The same in a static electric field in V/Å; only models with an energy and a dipole can be.

        Raises
        ------
        PropertyError
            If the field is not three finite numbers, or there is no energy or no dipole.
        """
        own = checked_field(electric_field, self.properties)
        refuse_unavailable(["energy"] if any(own) else [], self.properties, f"the MACE model '{self.path}'")
        given = (self.file, self.path, self.units, self.chunk, self.charge, self.spin, self.threads, own)
        driven = MacePotential(*given)
        driven.made_from = self.made_from
        return driven

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
            If the model does not know an element, it reads the charge and the batch has another, atoms lie on each
            other, the cell is too flat, or memory is out.
        """
        refuse_unavailable(want, self.properties, f"the MACE model '{self.path}'")
        refuse_unknown_species(batch, self.species, f"the MACE model '{self.path}'")
        if self.file.reads_charge:
            refuse_other_charge(batch, self.charge, f"the MACE model '{self.path}'")
        check_cells(batch)
        shapes = {name: (batch.beads, *shape) for name, shape in SHAPES.items()}
        shapes |= {name: (batch.beads, batch.atoms, *shape) for name, shape in SHAPES_OF_ATOMS.items()}
        arrays = {name: np.zeros(shapes[name]) for name in want}
        with threads_of_torch(self._device, self.threads):
            for first, graphs in self._chunks(batch) if batch.atoms else ():
                found = self._forward(batch, first, graphs, want)
                for name in want:
                    arrays[name][first : first + len(graphs)] = found[name]
        return Response(**arrays)

    def _chunks(self, batch: Batch) -> Iterator[tuple[int, list[tuple[np.ndarray, ...]]]]:
        """First bead and pairs of the beads of each forward."""
        graphs: list[tuple[np.ndarray, ...]] = []
        first = pairs = 0
        most = most_pairs(self._device)
        for bead in range(batch.beads):
            graph = edges(batch, bead, self.file.cutoff)
            is_full = len(graphs) == self.chunk if self.chunk else pairs + len(graph[0]) > most
            if graphs and is_full:
                yield first, graphs
                graphs, first, pairs = [], bead, 0
            graphs.append(graph)
            pairs += len(graph[0])
        if graphs:
            yield first, graphs

    def _forward(
        self, batch: Batch, first: int, graphs: Sequence[tuple[np.ndarray, ...]], want: Sequence[str]
    ) -> dict[str, np.ndarray]:
        """Answer for some beads, in eV, Å and e."""
        import torch

        data = self._data(batch, first, graphs)
        positions = data["positions"].requires_grad_(True)
        strains = positions.new_zeros((len(graphs), 3, 3)).requires_grad_(True)
        differentiates = any(name not in VALUES for name in want)
        try:
            with torch.set_grad_enabled(differentiates):
                if "virial" in want:
                    _strain(data, strains)
                output = self.file.module(data, training=False, compute_force=False)
                found = self._derived(self._values(output, len(graphs)), positions, strains, want)
        except RuntimeError as error:  # of torch: out of memory, mostly
            beads = f"beads {first} to {first + len(graphs) - 1}"
            raise StructureError(f"the MACE model '{self.path}' cannot answer for {beads}: {reason(error)}") from error
        arrays = {name: value.detach().to("cpu", torch.float64).numpy() for name, value in found.items()}
        for name in set(arrays) & set(SHAPES_OF_ATOMS):
            arrays[name] = arrays[name].reshape(len(graphs), batch.atoms, *SHAPES_OF_ATOMS[name])
        return arrays

    def _values(self, output: Mapping[str, Any], beads: int) -> dict[str, Tensor]:
        """What the model says of each bead, in eV, Å and e, in the field."""
        import torch

        values = {name: output[name] * self._factors.get(name, 1.0) for name in VALUES if output.get(name) is not None}
        if "energy" in values and self._dtype == torch.float32 and self.file.sums_atoms:
            # energies of atoms are large, and their sum in single precision has steps of 1 meV for a liquid
            values["energy"] = output["node_energy"].reshape(beads, -1).sum(dim=1, dtype=torch.float64)
        if any(self.electric_field):
            values["energy"] = in_field(values["energy"], values["dipole"], self.electric_field)
        return values

    def _derived(
        self, values: Mapping[str, Tensor], positions: Tensor, strains: Tensor, want: Sequence[str]
    ) -> dict[str, Tensor]:
        """Wanted properties; derivatives by one sweep back for each component."""
        import torch

        found = {name: value for name, value in values.items() if name in want}
        of_energy = {name: one for name, one in {"forces": positions, "virial": strains}.items() if name in want}
        if of_energy:
            slopes = gradients(values["energy"], list(of_energy.values()))
            found |= {name: -slope for name, slope in zip(of_energy, slopes, strict=True)}
        if "virial" in want and not any(self.electric_field):  # a field turns molecules
            found["virial"] = (found["virial"] + found["virial"].transpose(1, 2)) / 2
        if "born_charges" in want:
            slopes = [gradients(values["dipole"][:, axis], [positions])[0] for axis in range(3)]
            found["born_charges"] = torch.stack(slopes, dim=-1)
        if "polarizability_derivatives" in want:
            derivatives = positions.new_zeros((*positions.shape, 3, 3))
            for row, column in SYMMETRIC:
                slope = gradients(values["polarizability"][:, row, column], [positions])[0]
                derivatives[..., row, column] = derivatives[..., column, row] = slope
            found["polarizability_derivatives"] = derivatives
        return found

    def _data(self, batch: Batch, first: int, graphs: Sequence[tuple[np.ndarray, ...]]) -> dict[str, Tensor]:
        """All beads of a forward as one graph, as MACE wants it."""
        import torch

        count, atoms = len(graphs), batch.atoms
        places = [own + bead * atoms for bead, graph in enumerate(graphs) for own in graph[:2]]
        shifts = np.concatenate([images @ cell for _, _, images, cell in graphs])
        elements = np.array([self.file.species.index(number) for number in batch.numbers.tolist()])
        one_hot = np.tile(np.eye(len(self.file.species))[elements], (count, 1))

        def real(array: np.ndarray) -> Tensor:
            return torch.as_tensor(array, dtype=self._dtype, device=self._device)

        def whole_numbers(array: np.ndarray) -> Tensor:
            return torch.as_tensor(array, dtype=torch.int64, device=self._device)

        return {
            "positions": real(batch.positions[first : first + count].reshape(-1, 3)),
            "node_attrs": real(one_hot),
            "edge_index": whole_numbers(np.stack([np.concatenate(places[side::2]) for side in (0, 1)])),
            "shifts": real(shifts),
            "unit_shifts": real(np.concatenate([graph[2] for graph in graphs])),
            "cell": real(np.concatenate([graph[3] for graph in graphs])),
            "batch": whole_numbers(np.repeat(np.arange(count), atoms)),
            "ptr": whole_numbers(np.arange(count + 1) * atoms),
            "head": whole_numbers(np.full(count, self.file.head)),
            "charges": real(np.zeros(count * atoms)),
            "total_charge": real(np.full(count, float(self.charge))),
            "total_spin": real(np.full(count, float(self.spin))),
        }


def _strain(data: dict[str, Tensor], strains: Tensor) -> None:
    """Strain positions and cells of every bead, so that the virial is a derivative; MACE's own strain is symmetric."""
    import torch

    of_atoms = strains[data["batch"]]
    of_pairs = of_atoms[data["edge_index"][0]]
    for name, own in {"positions": of_atoms, "shifts": of_pairs}.items():
        data[name] = data[name] + torch.einsum("ix,ixy->iy", data[name], own)


def mace_potential(rest: str, threads: int = 1) -> MacePotential:
    """Make the evaluator of a name, ``FILE,dtype=float32``.

    Raises
    ------
    EvaluatorError
        If the file is missing, damaged or of something else, or a setting is unknown or not allowed.
    """
    path, settings = file_and_settings(PREFIX, rest, SETTINGS, USAGE)
    dtype = one_of("dtype", settings, ("float64", "float32", ""), "")
    chunk = whole("chunk", settings, 0, 1) if "chunk" in settings else 0
    charge, spin = whole("charge", settings, 0), whole("spin", settings, 1, 1)
    file = read_mace(path, settings.get("head", ""), dtype, settings.get("device", "cpu"))
    units = {name.removesuffix("_unit"): unit for name, unit in settings.items() if name.endswith("_unit")}
    for quantity in units:
        if quantity not in file.units:
            raise EvaluatorError(f"{quantity}_unit of '{path}': {file.kind} has no {quantity}")
    potential = MacePotential(file, path, units, chunk, charge, spin, threads)
    potential.made_from = (mace_potential, (rest, threads))
    return potential
