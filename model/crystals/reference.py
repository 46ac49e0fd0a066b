"""The harmonic reference of a crystal: its minimum, the Hessian there, and what both were made with, in one file."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from ase import units

from ...errors import BeadwiseError
from ...reading import CONTENT, reason, shown
from ...whole_files import whole_file
from ..structures import Batch

FORMAT = "beadwise harmonic crystal 1"
ARRAYS = ("numbers", "masses", "positions", "cell", "hessian", "energy", "floats", "model", "identity", "format")
SMALLEST_VOLUME = 1e-3  # Å³
SYMMETRIC = 1e-9  # relative to the largest element
HBAR = units._hbar * units.J * units.s  # in eV times ASE's unit of time, Å √(u/eV)
LOWEST = 0.1  # cm⁻¹: what is lower has no harmonic free energy to speak of
SHOWN_MODES = 5


class CrystalError(BeadwiseError, ValueError):
    """A crystal that is no harmonic reference, or a reference that does not belong to what it is used for."""


@dataclass(frozen=True, eq=False)
class HarmonicReference:
    """A crystal at its minimum, and the Hessian there.

    Parameters
    ----------
    numbers : ndarray of int32, shape (atoms,)
    masses : ndarray of float64, shape (atoms,)
        In u.
    positions : ndarray of float64, shape (atoms, 3)
        Sites in Å.
    cell : ndarray of float64, shape (3, 3)
        Lattice vectors in Å, one per row; all directions are periodic.
    hessian : ndarray of float64, shape (3 atoms, 3 atoms)
        In eV/Å², symmetric.
    energy : float
        Of the minimum in eV.
    floats : bool
        Whether the crystal may be anywhere in space, as its Hessian keeps the acoustic sum rule; otherwise something
        outside holds the atoms, and all 3N modes count.
    model : str
        Name of the potential.
    identity : str
        What tells the potential from all others (`beadwise.model.evaluators.identity_of`).

    Raises
    ------
    CrystalError
        If shapes do not belong together, or a number is not finite.
    """

    numbers: np.ndarray
    masses: np.ndarray
    positions: np.ndarray
    cell: np.ndarray
    hessian: np.ndarray
    energy: float
    floats: bool
    model: str
    identity: str

    def __post_init__(self) -> None:
        atoms = len(self.numbers)
        expected = {"masses": (atoms,), "positions": (atoms, 3), "cell": (3, 3), "hessian": (3 * atoms, 3 * atoms)}
        for name, shape in expected.items():
            array = getattr(self, name)
            if array.shape != shape or not np.isfinite(array).all():
                raise CrystalError(
                    f"{name} of a harmonic crystal of {atoms} atoms has the shape {array.shape}; finite numbers of the "
                    f"shape {shape} are needed"
                )
        if not atoms or not (self.masses > 0).all() or not np.isfinite(self.energy):
            raise CrystalError(
                f"a harmonic crystal of {atoms} atoms, the energy {self.energy} eV and the smallest mass "
                f"{self.masses.min(initial=np.inf):g} u; atoms, a finite energy and masses above 0 are needed"
            )
        if not abs(np.linalg.det(self.cell)) > SMALLEST_VOLUME:
            raise CrystalError(f"the cell of a harmonic crystal is {self.cell.tolist()} Å, which spans no volume")
        if np.abs(self.hessian - self.hessian.T).max() > SYMMETRIC * np.abs(self.hessian).max():
            raise CrystalError("the Hessian of a harmonic crystal is not symmetric")

    @cached_property
    def fractions(self) -> np.ndarray:
        """Sites in fractions of the lattice vectors, shape (atoms, 3)."""
        return np.asarray(self.positions @ np.linalg.inv(self.cell))

    @property
    def batch(self) -> Batch:
        """The minimum as a batch of one."""
        return Batch(self.numbers, self.positions[None], self.cell[None], np.ones(3, dtype=bool))

    def with_masses(self, masses: np.ndarray) -> HarmonicReference:
        """The same crystal of other isotopes; masses in u, shape (atoms,)."""
        kept = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return HarmonicReference(**{**kept, "masses": masses})

    @cached_property
    def quanta(self) -> np.ndarray:
        """ħω of all modes in eV, increasing, shape (modes,).

        There are 3N of atoms that are held, and 3N − 3 of a crystal that floats: translations are projected out
        exactly, and not told by being small.

        Raises
        ------
        CrystalError
            If a mode is unstable, or so low that it is no vibration.
        """
        inverse = np.repeat(1 / np.sqrt(self.masses), 3)
        dynamical = inverse[:, None] * self.hessian * inverse
        if self.floats:
            # an orthonormal basis of everything but the three translations of masses
            translations = np.kron(np.sqrt(self.masses)[:, None], np.eye(3))
            basis = np.linalg.qr(translations, mode="complete")[0][:, 3:]
            dynamical = basis.T @ dynamical @ basis
        squares = np.linalg.eigvalsh(dynamical)
        quanta = HBAR * np.sign(squares) * np.sqrt(np.abs(squares))
        low = quanta[quanta < LOWEST * units.invcm] / units.invcm
        if len(low):
            listed = ", ".join(f"{wavenumber:.4g}" for wavenumber in low[:SHOWN_MODES])
            raise CrystalError(
                f"{len(low)} of {len(quanta)} modes are unstable or free: {listed}{' …' * (len(low) > SHOWN_MODES)} "
                f"cm⁻¹ (negative for imaginary); a minimum needs all above {LOWEST:g} cm⁻¹"
            )
        return np.asarray(quanta)

    @property
    def wavenumbers(self) -> np.ndarray:
        """Of `quanta`, in cm⁻¹."""
        return np.asarray(self.quanta / units.invcm)

    def save(self, path: Path) -> None:
        """Write all of it into one file of NumPy, whole or not at all.

        Raises
        ------
        CrystalError
            If it cannot be written.
        """
        content = {name: getattr(self, name) for name in self.__dataclass_fields__} | {"format": FORMAT}
        try:
            with whole_file(path) as unfinished, open(unfinished, "wb") as file:
                np.savez_compressed(file, **content)
        except OSError as error:
            raise CrystalError(f"cannot write '{path}': {error.strerror}") from error

    @classmethod
    def load(cls, path: Path) -> HarmonicReference:
        """Read a file that `save` wrote.

        Raises
        ------
        CrystalError
            If it cannot be read, or is none.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                content = {name: file[name] for name in ARRAYS}
                if str(content["format"]) != FORMAT:
                    raise CrystalError(
                        f"'{path}' has the format '{shown(content['format'])}'; '{FORMAT}' is needed, which "
                        "`beadwise harmonic` writes"
                    )
                return cls(
                    numbers=content["numbers"].astype(np.int32),
                    **{name: content[name].astype(np.float64) for name in ("masses", "positions", "cell", "hessian")},
                    energy=float(content["energy"]),
                    floats=bool(content["floats"]),
                    model=str(content["model"]),
                    identity=str(content["identity"]),
                )
        except BeadwiseError as error:
            raise CrystalError(f"'{path}' is no harmonic crystal: {error}") from error
        except (*CONTENT, zipfile.BadZipFile) as error:
            raise CrystalError(
                f"'{path}' is no harmonic crystal, as `beadwise harmonic` writes it: {reason(error)}"
            ) from error
