"""Real files of metatomic without a training: pairs of H and O with fixed weights, exported as metatrain does."""

from pathlib import Path
from typing import Dict, List, Optional  # noqa: UP035 - TorchScript reads these

import torch
from metatensor.torch import Labels, TensorBlock, TensorMap
from metatomic.torch import (
    AtomisticModel,
    ModelCapabilities,
    ModelMetadata,
    ModelOutput,
    NeighborListOptions,
    System,
)

CUTOFF = 3.2
MEMBERS = 3


class Pairs(torch.nn.Module):
    """Every pair adds to all outputs, with a function that is smooth at the cutoff."""

    def __init__(self, spherical: bool):
        super().__init__()
        self.spherical = spherical
        self.options = NeighborListOptions(cutoff=CUTOFF, full_list=True, strict=True)

    def requested_neighbor_lists(self) -> List[NeighborListOptions]:  # noqa: UP006
        return [self.options]

    def forward(
        self,
        systems: List[System],  # noqa: UP006
        outputs: Dict[str, ModelOutput],  # noqa: UP006
        selected_atoms: Optional[Labels],  # noqa: UP045
    ) -> Dict[str, TensorMap]:  # noqa: UP006
        energies: List[torch.Tensor] = []  # noqa: UP006
        dipoles: List[torch.Tensor] = []  # noqa: UP006
        tensors: List[torch.Tensor] = []  # noqa: UP006
        forces: List[torch.Tensor] = []  # noqa: UP006
        samples: List[torch.Tensor] = []  # noqa: UP006
        for number, system in enumerate(systems):
            neighbors = system.get_neighbor_list(self.options)
            vectors = neighbors.values.squeeze(-1)
            charges = system.types.to(vectors.dtype)
            first = neighbors.samples.column("first_atom").to(torch.long)
            second = neighbors.samples.column("second_atom").to(torch.long)
            distances = torch.sqrt((vectors * vectors).sum(dim=1))
            smooth = (1.0 - distances / 3.2) ** 3
            weights = charges[first] * smooth * (1.0 + 0.1 * charges[second])
            energies.append((weights * torch.sin(distances)).sum().reshape(1))
            dipole = (weights.unsqueeze(1) * vectors).sum(dim=0)
            dipoles.append(dipole)
            tensors.append((weights.unsqueeze(1).unsqueeze(2) * vectors.unsqueeze(1) * vectors.unsqueeze(2)).sum(dim=0))
            own = torch.zeros((len(system), 3), dtype=vectors.dtype)
            forces.append(own.index_add(0, first, weights.unsqueeze(1) * vectors) + 0.25)
            atoms = torch.arange(len(system), dtype=torch.int32)
            samples.append(torch.stack([torch.full_like(atoms, number), atoms], dim=1))
        energy = torch.stack(energies)
        result: Dict[str, TensorMap] = {}  # noqa: UP006
        systems_labels = Labels(["system"], torch.arange(len(systems), dtype=torch.int32).reshape(-1, 1))
        for name in outputs:
            if name == "energy":
                result[name] = self.block(energy, systems_labels, ["energy"], 0)
            elif name == "energy_ensemble":
                members = torch.cat([energy * 0.9, energy + 0.05 * energy**2, energy * 1.1], dim=1)
                result[name] = self.block(members, systems_labels, ["energy"], 0)
            elif name == "mtt::dipole":
                dipole = torch.stack(dipoles)
                if self.spherical:
                    dipole = dipole[:, [1, 2, 0]]
                result[name] = self.block(dipole.unsqueeze(-1), systems_labels, ["dipole"], 1)
            elif name == "mtt::polar":
                result[name] = self.block(torch.stack(tensors).unsqueeze(-1), systems_labels, ["polar"], 2)
            elif name == "non_conservative_force":
                labels = Labels(["system", "atom"], torch.cat(samples))
                result[name] = self.block(torch.cat(forces).unsqueeze(-1), labels, ["force"], 1)
        return result

    def block(self, values: torch.Tensor, samples: Labels, names: List[str], rank: int) -> TensorMap:  # noqa: UP006
        axis = torch.arange(3, dtype=torch.int32).reshape(-1, 1)
        components: List[Labels] = []  # noqa: UP006
        if rank == 1:
            if self.spherical and names[0] == "dipole":
                components.append(Labels(["o3_mu"], axis - 1))
            else:
                components.append(Labels(["xyz"], axis))
        if rank == 2:
            components.append(Labels(["xyz_1"], axis))
            components.append(Labels(["xyz_2"], axis))
        properties = Labels(names, torch.arange(values.shape[-1], dtype=torch.int32).reshape(-1, 1))
        block = TensorBlock(values=values, samples=samples, components=components, properties=properties)
        return TensorMap(Labels(["_"], torch.zeros((1, 1), dtype=torch.int32)), [block])


def metatomic_file(
    path: Path, without: tuple[str, ...] = (), spherical: bool = False, dipole_unit: str = "", energy_unit: str = "eV"
) -> Path:
    """Write a file with some outputs."""
    outputs = {
        "energy": ModelOutput(unit=energy_unit, sample_kind="system"),
        "energy_ensemble": ModelOutput(unit=energy_unit, sample_kind="system"),
        "mtt::dipole": ModelOutput(unit=dipole_unit, sample_kind="system"),
        "mtt::polar": ModelOutput(unit="", sample_kind="system"),
        "non_conservative_force": ModelOutput(unit="eV/Angstrom", sample_kind="atom"),
    }
    capabilities = ModelCapabilities(
        outputs={name: output for name, output in outputs.items() if name not in without},
        atomic_types=[1, 8],
        interaction_range=CUTOFF,
        length_unit="angstrom",
        supported_devices=["cpu"],
        dtype="float64",
    )
    AtomisticModel(Pairs(spherical).eval(), ModelMetadata(), capabilities).save(str(path))
    return path
