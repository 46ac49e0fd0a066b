"""Labels of a fit of a Hamiltonian: structures and their matrices, checked and in the order of our orbitals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
from ase import Atoms

from ....model import Batch
from ....model.errors import StructureError
from ....model.orbitals.basis import OrbitalBasis
from ....model.structures import charge_of_frame
from ....properties.unit_names import ENERGY, in_own_units
from ...data import DataError, read_frames, split
from .array_files import arrays_of_file, reals_of
from .sections import HamiltonianConfiguration

Own = TypeVar("Own", bound="Labelled")
SMALLEST_OVERLAP = 1e-6
ASYMMETRY = 1e-6  # of the largest element
NAMES = {"hamiltonian": ("hamiltonian", "fock", "H", "F"), "overlap": ("overlap", "S")}


@dataclass(frozen=True)
class Molecules:
    """Frames of one molecule with their matrices.

    Parameters
    ----------
    batch : Batch
    hamiltonian : ndarray of float64, shape (frames, orbitals, orbitals)
        In eV.
    overlap : ndarray of float64, same shape, or None
    """

    batch: Batch
    hamiltonian: np.ndarray
    overlap: np.ndarray | None

    def part(self, chosen: np.ndarray) -> Molecules:
        """Some of the frames."""
        return Molecules(
            part_of_batch(self.batch, chosen),
            self.hamiltonian[chosen],
            None if self.overlap is None else self.overlap[chosen],
        )


def read_molecules(configuration: HamiltonianConfiguration) -> list[Molecules]:
    """All frames of all files, those of the same atoms together.

    Raises
    ------
    DataError
        If a file is missing or holds something else, or matrices do not fit the orbitals of the structures.
    """
    data, basis = configuration.data, configuration.hamiltonian.basis
    p_order = data.p_order
    unit = in_own_units(data.unit, ENERGY)
    found: dict[bytes, list[Molecules]] = {}
    for structures, matrices in zip(data.train, data.matrices, strict=True):
        frames = [frame.atoms for frame in read_frames(configuration.folder / structures)]
        path = configuration.folder / matrices
        for atoms, number, hamiltonian, overlap in _frame_by_frame(path, frames):
            where = f"{path}, frame {number}"
            if atoms.pbc.any():
                raise DataError(f"{structures}, frame {number} is periodic; Hamiltonians are fitted to molecules")
            check_charge(atoms, data.charge, f"{structures}, frame {number}")
            own = _ordered(basis, atoms.numbers, hamiltonian, p_order, where) * unit
            metric = None if overlap is None else _ordered(basis, atoms.numbers, overlap, p_order, where)
            if metric is not None and not configuration.hamiltonian.overlap:
                own, metric = orthogonalised(own, metric, where), None
            if metric is None and configuration.hamiltonian.overlap:
                raise DataError(f"{where} has no overlap; overlap = true in [hamiltonian] needs one")
            one = Molecules(Batch.from_ase(atoms), own[None], None if metric is None else metric[None])
            found.setdefault(atoms.numbers.tobytes(), []).append(one)
    return [_together(own) for own in found.values()]


def check_charge(atoms: Atoms, charge: float, where: str) -> None:
    """Refuse a frame that says another charge than [data].

    Raises
    ------
    DataError
    """
    try:
        said = charge_of_frame(atoms)
    except StructureError as error:
        raise DataError(f"{where}: {error}") from error
    if said is not None and said != charge:
        raise DataError(f"{where} has the charge {said:g}; [data] has charge = {charge:g}")


def orthogonalised(hamiltonian: np.ndarray, overlap: np.ndarray, where: str) -> np.ndarray:
    """S^(−1/2) H S^(−1/2) (P.-O. Löwdin, J. Chem. Phys. 18, 365 (1950)): the same levels in orthogonal orbitals."""
    squares, directions = np.linalg.eigh(overlap)
    if squares[0] < SMALLEST_OVERLAP:
        raise DataError(
            f"{where}: the overlap has the eigenvalue {squares[0]:.3g}; it must be above {SMALLEST_OVERLAP}"
        )
    half = (directions / np.sqrt(squares)) @ directions.T
    return half @ hamiltonian @ half


def _together(own: list[Molecules]) -> Molecules:
    batch = joined([one.batch for one in own])
    overlaps = [one.overlap for one in own if one.overlap is not None]
    return Molecules(
        batch, np.concatenate([one.hamiltonian for one in own]), np.concatenate(overlaps) if overlaps else None
    )


def _frame_by_frame(path: Path, frames: list) -> Iterator[tuple]:
    arrays = arrays_of_file(path, "matrices", "hamiltonian")
    hamiltonian = _whole(arrays, "hamiltonian", path)
    if hamiltonian is None:
        raise DataError(f"'{path}' holds {', '.join(arrays)}; 'hamiltonian' or 'fock' is needed, or its upper triangle")
    overlap = _whole(arrays, "overlap", path)
    for name, own in (("Hamiltonians", hamiltonian), ("overlaps", overlap)):
        if own is not None and len(own) != len(frames):
            raise DataError(f"'{path}' has {len(own)} {name} for {len(frames)} structures; one for each is needed")
    for number, atoms in enumerate(frames):
        yield atoms, number, hamiltonian[number], None if overlap is None else overlap[number]


def _whole(arrays: dict[str, np.ndarray], name: str, path: Path) -> np.ndarray | None:
    """Matrices by one of their names, of their upper triangle where that is what there is."""
    for own in NAMES[name]:
        if own in arrays:
            return reals_of(arrays[own], own, path, 3)
        if (upper := f"{own}_upper") in arrays:
            triangle = reals_of(arrays[upper], upper, path, 2)
            rows, columns = (_places(arrays.get(key, np.zeros(0)), key, path) for key in ("rows", "cols"))
            size = int(max(rows.max(initial=-1), columns.max(initial=-1))) + 1
            if len(rows) != triangle.shape[1] or len(columns) != len(rows) or size * (size + 1) // 2 != len(rows):
                raise DataError(
                    f"'{path}': {upper} has {triangle.shape[1]} elements, and rows and cols have {len(rows)} and "
                    f"{len(columns)} for matrices of {size}; whole triangles are needed"
                )
            if len({*map(frozenset, zip(rows.tolist(), columns.tolist(), strict=True))}) != len(rows):
                raise DataError(f"'{path}': rows and cols of {upper} name some elements twice; each is needed once")
            whole = np.zeros((len(triangle), size, size))
            whole[:, rows, columns] = whole[:, columns, rows] = triangle
            return whole
    return None


def _places(array: np.ndarray, name: str, path: Path) -> np.ndarray:
    places = reals_of(array, name, path, 1)
    if (places % 1 != 0).any() or (places < 0).any():
        raise DataError(f"'{path}': {name} has {places.min():g} to {places.max():g}; whole numbers from 0 are needed")
    return places.astype(int)


def _ordered(basis: OrbitalBasis, numbers: np.ndarray, matrix: np.ndarray, p_order: str, where: str) -> np.ndarray:
    """A matrix in our order of orbitals, if it is one of theirs."""
    order = basis.order_of_labels(numbers, p_order)
    if matrix.shape != (len(order), len(order)):
        raise DataError(f"{where} has a matrix of {matrix.shape}; the shells of its atoms make {len(order)} orbitals")
    if np.abs(matrix - matrix.T).max(initial=0) > ASYMMETRY * np.abs(matrix).max(initial=0):
        raise DataError(f"{where} has a matrix that is not symmetric; real symmetric ones are needed")
    return matrix[order][:, order]


def part_of_batch(batch: Batch, chosen: np.ndarray) -> Batch:
    """Some of the frames."""
    return Batch(batch.numbers, batch.positions[chosen], batch.cells[chosen], batch.periodic)


def joined(batches: Sequence[Batch]) -> Batch:
    """Frames of several batches of the same atoms."""
    positions, cells = (np.concatenate([getattr(own, name) for own in batches]) for name in ("positions", "cells"))
    return Batch(batches[0].numbers, positions, cells, batches[0].periodic)


class Labelled(Protocol):
    """Frames of one molecule with labels of some kind."""

    @property
    def batch(self) -> Batch:
        """Their structures."""
        ...

    def part(self: Own, chosen: np.ndarray) -> Own:
        """Some of the frames."""
        ...


def set_aside(molecules: Sequence[Own], fraction: float) -> tuple[list[Own], list[Own]]:
    """Part a random choice of all frames, the same every time; molecules of which none is left are in neither."""
    every = [(place, frame) for place, own in enumerate(molecules) for frame in range(own.batch.beads)]
    parts: list[list[Own]] = []
    for chosen in split(every, fraction):
        frames = [[frame for place, frame in chosen if place == own] for own in range(len(molecules))]
        parts.append([own.part(np.array(some)) for own, some in zip(molecules, frames, strict=True) if some])
    return parts[0], parts[1]
