"""BaTiO₃ as ions with shells: ``--model shell_model:crystal`` in this folder.  It compiles shell_model.cpp by ``c++``.

Every atom is a core and a shell on an anharmonic spring; shells repel each other and are where the energy is least.
The form is that of S. Tinte, M. G. Stachiotti, S. R. Phillpot, M. Sepliarsky, D. Wolf, R. L. Migoni,
J. Phys.: Condens. Matter 16, 3495 (2004), the parameters are after it and were not compared with the print.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import subprocess
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from beadwise.model import Batch, Response, StructureError
from beadwise.model.checks import check_cells, refuse_unknown_species
from beadwise.model.response import refuse_unavailable
from scipy.linalg import cho_factor, cho_solve
from scipy.linalg.blas import dsymv, dsyr, dsyr2

SOURCE = Path(__file__).with_name("shell_model.cpp")
COMPILER = ["c++", "-O3", "-march=native", "-ffast-math", "-fno-finite-math-only", "-shared", "-fPIC"]
SPECIES = (56, 22, 8)
#        charge of core and shell in e, k₂ in eV/Å², k₄ in eV/Å⁴
IONS = {56: (5.62, -3.76, 251.8, 0.0), 22: (4.76, -1.58, 322.0, 500.0), 8: (0.91, -2.59, 31.0, 4000.0)}
#        A in eV, ρ in Å, C in eV Å⁶
REPULSION = {(56, 8): (1061.3, 0.3740, 0.0), (22, 8): (3769.93, 0.2589, 0.0), (8, 8): (4740.0, 0.2686, 160.0)}
COULOMB = 14.399645478  # e²/4πε₀ in eV Å
NEAR_ENOUGH = 1e-5  # eV/Å, the largest gradient by a shell that is left
LONGEST_STEP, STEPS, MANY = 0.1, 60, 15  # Å, of one step; steps; after so many the Hessian is made anew
DIFFERENCE = 3e-5  # Å, for second derivatives
FAR = 0.1  # Å: shells of atoms that went farther start anew
WHAT = "the shell model of BaTiO3"


@cache
def library() -> ctypes.CDLL:
    """What the source is compiled to, kept until it changes."""
    tag = hashlib.sha256(SOURCE.read_bytes() + " ".join(COMPILER).encode()).hexdigest()[:16]
    file = Path(tempfile.gettempdir()) / f"beadwise-shell-model-{os.getuid()}-{tag}.so"
    if not file.exists():
        own = file.with_suffix(f".{os.getpid()}")
        subprocess.run([*COMPILER, str(SOURCE), "-o", str(own)], check=True)
        own.replace(file)
    found = ctypes.CDLL(str(file))
    found.crystal_new.restype = ctypes.c_void_p
    return found


def pointer(array: np.ndarray) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)


class Gradient(NamedTuple):
    """Energy in eV; its derivatives by cores that take nothing along, by shells, and by a strain of all."""

    energy: float
    cores: np.ndarray
    shells: np.ndarray
    strain: np.ndarray


class Shells:
    """Cores and shells of one structure: gradients, and shells where the energy is least.

    Parameters
    ----------
    numbers : ndarray of int, shape (atoms,)
    """

    def __init__(self, numbers: np.ndarray):
        self.atoms = len(numbers)
        self.core, self.shell, spring, stiffening = np.array([IONS[int(z)] for z in numbers]).T
        self.charge = self.core + self.shell
        self._library = library()
        kind = np.array([SPECIES.index(z) for z in numbers], np.int32)
        per_atom = np.ascontiguousarray(np.stack([self.core, self.shell, spring, stiffening], 1))
        none = (0.0, 1.0, 0.0)
        pairs = np.array([[REPULSION.get((a, b)) or REPULSION.get((b, a), none) for b in SPECIES] for a in SPECIES])
        self._handle = ctypes.c_void_p(
            self._library.crystal_new(self.atoms, pointer(kind), pointer(per_atom), len(SPECIES), pointer(pairs))
        )
        self._before: list[np.ndarray] = []  # displacements at the latest places
        self._positions = np.full((self.atoms, 3), np.inf)
        self._inverse: np.ndarray | None = None  # of the Hessian, at places that may be gone

    def __del__(self):
        self._library.crystal_delete(self._handle)

    def place(self, cell: np.ndarray, positions: np.ndarray) -> None:
        """Put the cores there, in Å."""
        own = [np.ascontiguousarray(array, float) for array in (cell, positions)]
        if np.abs(own[1] - self._positions).max() > FAR:
            self._before = []
        self._positions = own[1].copy()
        self._library.crystal_place(self._handle, *map(pointer, own))

    def gradient(self, displacements: np.ndarray, whole: bool = True) -> Gradient:
        """Energy and its derivatives with shells displaced from their cores; of shells alone if it is not the whole.

        Raises
        ------
        StructureError
            If two charges are too near each other, or a shell is too far from its core.
        """
        displacements = np.ascontiguousarray(displacements)
        energy, cores, shells, strain = np.zeros(1), *np.zeros((2, self.atoms, 3)), np.zeros((3, 3))
        out = map(pointer, (energy, cores, shells, strain))
        if self._library.crystal_gradient(self._handle, pointer(displacements), int(whole), *out):
            raise StructureError(
                f"ions are within 0.5 Å of each other, or a shell 0.4 Å from its core; {WHAT} ends there"
            )
        return Gradient(float(energy[0]), cores, shells, strain)

    def relax(self) -> tuple[np.ndarray, Gradient]:
        """Displacements of the shells in Å, shape (atoms, 3), where the energy is least, and what it is there.

        Newton's method with the inverse of a Hessian that learns from every step (Broyden, Fletcher, Goldfarb, Shanno)
        and is kept from place to place.

        Raises
        ------
        StructureError
            If there is no such place near.
        """
        found = self._guess()
        now = self.gradient(found)
        for step in range(STEPS):
            if np.abs(now.shells).max() < NEAR_ENOUGH:
                self._before = [found, *self._before[:2]]
                return found, now
            if self._inverse is None or step == MANY:
                self._inverse = np.asfortranarray(cho_solve(self._factor(found), np.eye(3 * self.atoms)))
            move = dsymv(-1.0, self._inverse, now.shells.ravel())
            move *= min(1.0, LONGEST_STEP / np.abs(move).max())
            found = found + move.reshape(-1, 3)
            before, now = now, self.gradient(found)
            self._learn(move, (now.shells - before.shells).ravel())
        raise StructureError(f"shells find no rest within {STEPS} steps; {WHAT} ends there")

    def _learn(self, move: np.ndarray, change: np.ndarray) -> None:
        """Let the inverse Hessian, of which one triangle is kept, take the change of the gradient back to the move."""
        along = move @ change
        if along > 0:
            wrong = move - dsymv(1.0, self._inverse, change)
            dsyr2(1 / along, wrong, move, a=self._inverse, overwrite_a=True)
            dsyr(-(wrong @ change) / along**2, move, a=self._inverse, overwrite_a=True)

    def _guess(self) -> np.ndarray:
        """From the latest places, as a parabola goes on."""
        if len(self._before) == 3:
            return 3 * (self._before[0] - self._before[1]) + self._before[2]
        return self._before[0] if self._before else np.zeros((self.atoms, 3))

    def _factor(self, displacements: np.ndarray) -> tuple:
        """The Hessian by the shells through central differences, as a Cholesky factor."""
        directions = np.eye(3 * self.atoms).reshape(-1, self.atoms, 3)
        hessian = np.array([self._along(displacements, one) for one in directions])
        try:
            return cho_factor(0.5 * (hessian + hessian.T))
        except np.linalg.LinAlgError as error:
            self._before = []
            raise StructureError(f"shells are at no minimum of the energy; {WHAT} ends there") from error

    def _along(self, displacements: np.ndarray, direction: np.ndarray) -> np.ndarray:
        ends = [self.gradient(displacements + sign * DIFFERENCE * direction, False).shells for sign in (1, -1)]
        return (ends[0] - ends[1]).ravel() / (2 * DIFFERENCE)

    def response(self, displacements: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Polarizability in Å³, shape (3, 3), and Born charges in e, shape (atoms, 3, 3), at relaxed shells."""
        factor = self._factor(displacements)
        field = np.einsum("i,ab->iab", self.shell, np.eye(3)).reshape(-1, 3)
        moved = cho_solve(factor, field)  # how shells go with a field
        born = np.einsum("i,ab->iab", self.charge, np.eye(3))
        for axis in range(3):
            along = moved[:, axis].reshape(-1, 3)
            ends = [self.gradient(displacements + sign * DIFFERENCE * along) for sign in (1, -1)]
            force = [-(end.cores + end.shells) for end in ends]
            born[:, :, axis] += (force[0] - force[1]) / (2 * DIFFERENCE)
        return COULOMB * field.T @ moved, born


def from_sites(positions: np.ndarray, cell: np.ndarray) -> np.ndarray:
    """Displacements of all atoms from the ideal sites of the perovskite, shape (atoms, 3), in Å.

    The cell is of whole unit cells along each vector; sites are multiples of half a unit cell, and what all atoms are
    moved by together does not matter.
    """
    halves = 2 * np.round(np.linalg.norm(cell, axis=1) / 4.0)
    fractions = positions @ np.linalg.inv(cell) * halves
    fractions = fractions - np.angle(np.exp(2j * np.pi * fractions).mean(axis=0)) / (2 * np.pi)
    return (fractions - np.round(fractions)) / halves @ cell


class ShellModel:
    """The evaluator; beads of a batch are in the same order from step to step, from which shells go on."""

    species = SPECIES
    properties = ("energy", "forces", "virial", "dipole", "polarizability", "born_charges")

    def __init__(self) -> None:
        self._shells: dict[int, Shells] = {}
        self._numbers = np.zeros(0, int)

    def evaluate(self, batch: Batch, want: Sequence[str]) -> Response:
        """Answer the wanted properties for every bead; the dipole is zero with all atoms at ideal sites.

        Raises
        ------
        PropertyError
            If a wanted property is not available.
        StructureError
            If a species is unknown, or shells find no rest.
        """
        refuse_unavailable(want, self.properties, WHAT)
        refuse_unknown_species(batch, self.species, WHAT)
        check_cells(batch)
        if not np.array_equal(self._numbers, batch.numbers):
            self._numbers, self._shells = np.array(batch.numbers), {}
        every = [self._of_bead(bead, batch, want) for bead in range(batch.beads)]
        return Response(**{name: np.array([one[name] for one in every]) for name in want})

    def _of_bead(self, bead: int, batch: Batch, want: Sequence[str]) -> dict:
        if bead not in self._shells:
            self._shells[bead] = Shells(self._numbers)
        shells = self._shells[bead]
        positions, cell = batch.positions[bead], batch.cells[bead]
        shells.place(cell, positions)
        found, there = shells.relax()
        out = {
            "energy": there.energy,
            "forces": -(there.cores + there.shells),
            "virial": -0.5 * (there.strain + there.strain.T),
            "dipole": shells.charge @ from_sites(positions, cell) + shells.shell @ found,
        }
        if {"polarizability", "born_charges"} & set(want):
            out["polarizability"], out["born_charges"] = shells.response(found)
        return out


crystal = ShellModel()
