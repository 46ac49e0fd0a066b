"""The density in plain torch: a twin of the compiled kernel that runs on any device and can be differentiated freely.

It is slower than the kernel on a processor and takes memory for every pair; fits use the kernel.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from ase import Atoms
from ase.neighborlist import neighbor_list

from ...model import Model


def torch_density(
    model: Model, atoms: Atoms, positions: torch.Tensor, strain: torch.Tensor | None = None
) -> torch.Tensor:
    """Density coefficients c_i[lm, k] = Σ_j R_n(r_ij) Y_lm(r̂_ij), shape (atoms, harmonics, channels), float64.

    Bartók, Kondor, Csányi, Phys. Rev. B 87, 184115 (2013), with delta functions for the neighbours.

    Parameters
    ----------
    model : Model
        Gives radial functions, species and groups.
    atoms : ase.Atoms
        The structure whose neighbour list is used.
    positions : Tensor of float64, shape (atoms, 3)
        Near those of ``atoms``, in Å, on the device to be used.
    strain : Tensor of float64, shape (3, 3), optional
        ε of r → r + ε r for every vector between atoms.
    """
    device = positions.device
    first, second, shifts = neighbor_list("ijS", atoms, model.radial.cutoff)
    offsets = torch.as_tensor(shifts @ atoms.cell.array, device=device)
    centre, neighbour = torch.as_tensor(first, device=device), torch.as_tensor(second, device=device)
    vectors = positions[neighbour] - positions[centre] + offsets
    if strain is not None:
        vectors = vectors + vectors @ strain.T
    distances = vectors.norm(dim=1)
    species = torch.as_tensor(model.species_indices(atoms.numbers).astype(np.int64), device=device)
    radial = radial_values(model, species[centre], species[neighbour], distances)
    harmonics = torch_harmonics(vectors / distances[:, None], model.l_max)
    shape = model.shape
    group = torch.as_tensor(model.groups, device=device)[species[neighbour]]
    flat = torch.zeros(
        (len(positions) * shape.groups, shape.harmonics, shape.radial), dtype=torch.float64, device=device
    )
    flat = flat.index_add(0, centre * shape.groups + group, harmonics[:, :, None] * radial[:, None, :])
    by_group = flat.reshape(len(positions), shape.groups, shape.harmonics, shape.radial)
    return by_group.transpose(1, 2).reshape(len(positions), shape.harmonics, shape.channels)


def radial_values(model: Model, centre: torch.Tensor, neighbour: torch.Tensor, distances: torch.Tensor) -> torch.Tensor:
    """R_n of every pair from the model's Hermite splines (de Boor, A Practical Guide to Splines, 1978, ch. IV)."""
    table = torch.as_tensor(model.radial.splines, device=distances.device)
    intervals = table.shape[2] - 1
    place = distances * (intervals / model.radial.cutoff)
    interval = place.detach().long().clamp(max=intervals - 1)
    t = (place - interval)[:, None]
    left, right = table[centre, neighbour, interval], table[centre, neighbour, interval + 1]
    return (
        (1 + 2 * t) * (1 - t) ** 2 * left[:, 0]
        + t * (1 - t) ** 2 * left[:, 1]
        + t**2 * (3 - 2 * t) * right[:, 0]
        - t**2 * (1 - t) * right[:, 1]
    )


def torch_harmonics(directions: torch.Tensor, l_max: int) -> torch.Tensor:
    """Real spherical harmonics of unit vectors, shape (vectors, (l_max + 1)²), index l(l+1) + m (DLMF 14.10.3)."""
    x, y, z = directions.unbind(1)
    cosine, sine = [torch.ones_like(x)], [torch.zeros_like(x)]
    for _ in range(l_max):
        cosine, sine = [*cosine, x * cosine[-1] - y * sine[-1]], [*sine, x * sine[-1] + y * cosine[-1]]
    columns = []
    legendre: dict[tuple[int, int], torch.Tensor] = {}
    for l in range(l_max + 1):  # noqa: E741
        for m in range(l + 1):
            if l == m:  # P_m^m / sin^m θ
                legendre[l, m] = torch.full_like(z, math.prod(range(1, 2 * m, 2)))
            else:
                below = legendre.get((l - 2, m), torch.zeros_like(z))
                legendre[l, m] = ((2 * l - 1) * z * legendre[l - 1, m] - (l + m - 1) * below) / (l - m)
        for m in range(-l, l + 1):
            k = abs(m)
            norm = math.sqrt(
                (1 if m == 0 else 2) * (2 * l + 1) / (4 * math.pi) * math.factorial(l - k) / math.factorial(l + k)
            )
            columns.append(norm * legendre[l, k] * (cosine[k] if m >= 0 else sine[k]))
    return torch.stack(columns, dim=1)
