"""Models of MACE as evaluators: all beads of a batch in one forward, derivatives by automatic differentiation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, SupportsIndex

import numpy as np

from ...reading import reason
from ..checks import check_cells, refuse_unknown_species
from ..errors import EvaluatorError, StructureError
from ..response import Response, refuse_unavailable
from ..structures import Batch
from .devices import threads_of_torch
from .mace_file import MaceFile, read_mace
from .names import file_and_settings, one_of, unit_factors, whole
from .neighbours import edges

if TYPE_CHECKING:
    from torch import Tensor

PREFIX = "mace"
SETTINGS = ("head", "dtype", "device", "chunk", "charge", "spin", "dipole_unit", "polarizability_unit")
USAGE = f"{PREFIX}:FILE[,head=NAME][,dtype=float64|float32][,device=cpu|cuda][,chunk=BEADS][,dipole_unit=UNIT]"
# pairs in one forward, unless a number of beads is given: on a processor so many that arrays of a model of medium size
# are below 32 MB, above which the C library asks the system anew for each; elsewhere about 3 GB
MOST_EDGES = {"cpu": 4_000}
MOST_EDGES_ELSEWHERE = 200_000
SHAPES = {"energy": (), "virial": (3, 3), "dipole": (3,), "polarizability": (3, 3)}
SHAPES_OF_ATOMS = {"forces": (3,), "born_charges": (3, 3), "polarizability_derivatives": (3, 3, 3)}
SYMMETRIC = [(first, second) for first in range(3) for second in range(first, 3)]  # components of a polarizability


class MacePotential:
    """A model of MACE, of energies, dipoles, or dipoles and polarizabilities.

    Parameters
    ----------
    file : MaceFile
    path : Path
        Its file, for messages.
    units : mapping of str to str, optional
        Names of the units of dipole and polarizability in the file, where they are not those of its class.
    chunk : int
        Beads in one forward; 0 for as many as have `MOST_EDGES` pairs together, and at least one.
    charge, spin : int
        Of all atoms together, for models that ask for them.
    threads : int
        Of torch, on a processor.
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
    ):
        self.file, self.path = file, path
        self.units = {**file.units, **(units or {})}
        self._factors = unit_factors(self.units, path)
        self.chunk, self.charge, self.spin, self.threads = chunk, charge, spin, threads
        self.properties = file.properties
        self.species = tuple(sorted(file.species))
        self.provider = f"mace-torch {version('mace-torch')}"
        self.made_from: tuple[str, int] | None = None
        parameter = next(file.module.parameters())
        self._dtype, self._device = parameter.dtype, parameter.device

    def __repr__(self) -> str:
        units = "".join(f", {name} in {unit}" for name, unit in self.units.items())
        where = f"{str(self._dtype).removeprefix('torch.')} on {self._device}"
        return f"MacePotential('{self.path}', {self.file.kind}, {where}{units}: {', '.join(self.properties)})"

    def __reduce_ex__(self, protocol: SupportsIndex) -> str | tuple[Any, ...]:
        """Read the file again where it came from one."""
        return (mace_potential, self.made_from) if self.made_from else super().__reduce_ex__(protocol)

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
            If the model does not know an element, atoms lie on each other, the cell is too flat, or memory is out.
        """
        refuse_unavailable(want, self.properties, f"the MACE model '{self.path}'")
        refuse_unknown_species(batch, self.species, f"the MACE model '{self.path}'")
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
        most = MOST_EDGES.get(self._device.type, MOST_EDGES_ELSEWHERE)
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
        differentiates = any(name not in ("energy", "dipole", "polarizability") for name in want)
        try:
            with torch.set_grad_enabled(differentiates):
                output = self.file.module(
                    data, training=False, compute_force=False, compute_displacement="virial" in want
                )
                found = _values(output, positions, want)
                if "energy" in found and self._dtype == torch.float32 and self.file.sums_atoms:
                    # energies of atoms are large, and their sum in single precision has steps of 1 meV for a liquid
                    found["energy"] = output["node_energy"].reshape(len(graphs), -1).sum(dim=1, dtype=torch.float64)
        except RuntimeError as error:  # of torch: out of memory, mostly
            beads = f"beads {first} to {first + len(graphs) - 1}"
            raise StructureError(f"the MACE model '{self.path}' cannot answer for {beads}: {reason(error)}") from error
        arrays = {name: value.detach().to("cpu", torch.float64).numpy() for name, value in found.items()}
        for name in arrays:
            quantity = {"born_charges": "dipole", "polarizability_derivatives": "polarizability"}.get(name, name)
            arrays[name] = arrays[name] * self._factors.get(quantity, 1.0)
            if name in SHAPES_OF_ATOMS:
                arrays[name] = arrays[name].reshape(len(graphs), batch.atoms, *SHAPES_OF_ATOMS[name])
        return arrays

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


def _values(output: Mapping[str, Any], positions: Tensor, want: Sequence[str]) -> dict[str, Tensor]:
    """Wanted properties of a forward in the model's own units; derivatives by one sweep back for each component."""
    import torch

    found = {name: output[name] for name in ("energy", "dipole", "polarizability") if name in want}

    def gradients(value: Tensor, inputs: Sequence[Tensor]) -> list[Tensor]:
        if not value.requires_grad:  # nothing depends on positions where no atom has a neighbour
            return [torch.zeros_like(one) for one in inputs]
        own = torch.autograd.grad([value.sum()], list(inputs), retain_graph=True, allow_unused=True)
        return [torch.zeros_like(one) if slope is None else slope for one, slope in zip(inputs, own, strict=True)]

    inputs: dict[str, Any] = {"forces": positions, "virial": output.get("displacement")}
    of_energy: dict[str, Tensor] = {name: given for name, given in inputs.items() if name in want}
    if of_energy:
        slopes = gradients(output["energy"], list(of_energy.values()))
        found |= {name: -slope for name, slope in zip(of_energy, slopes, strict=True)}
    if "born_charges" in want:
        dipole = output["dipole"]
        found["born_charges"] = torch.stack([gradients(dipole[:, axis], [positions])[0] for axis in range(3)], dim=-1)
    if "polarizability_derivatives" in want:
        tensor = output["polarizability"]
        derivatives = positions.new_zeros((*positions.shape, 3, 3))
        for row, column in SYMMETRIC:
            slope = gradients(tensor[:, row, column], [positions])[0]
            derivatives[..., row, column] = derivatives[..., column, row] = slope
        found["polarizability_derivatives"] = derivatives
    return found


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
    potential.made_from = (rest, threads)
    return potential
