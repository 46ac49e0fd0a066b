"""Fitted models of beadwise and of its peers, each by its own program: what is timed is what errors are measured of."""

from __future__ import annotations

from abc import abstractmethod
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from ase import Atoms
from contenders import WANTS, Beadwise, Contender, Nep, PeerError

TASK = next(iter(WANTS))


class Answer(NamedTuple):
    """Of one structure: eV, eV/Å, eV."""

    energy: float
    forces: np.ndarray  # (atoms, 3)
    virial: np.ndarray  # (3, 3)


class Peer(Contender):
    """A program that is asked for one bead after the other; each bead takes as long, so a few are timed."""

    beads = 2

    def __init__(self, name: str):
        super().__init__(name, TASK)

    def evaluate(self, positions: np.ndarray) -> None:
        for bead in positions[: self.beads]:
            self.answer(bead)

    @abstractmethod
    def answer(self, positions: np.ndarray) -> Answer:
        """What it says of one bead."""


class Ours(Peer):
    """beadwise, all beads in one call."""

    beads = 32

    def __init__(self, model: str, structure: Atoms):
        super().__init__("beadwise")
        self.inner = Beadwise(model, TASK, structure, 1)

    def evaluate(self, positions: np.ndarray) -> None:
        self.inner.evaluate(positions[: self.beads])

    def answer(self, positions: np.ndarray) -> Answer:
        results = self.inner.model.evaluate(self.inner.batch(positions[None]), WANTS[TASK])
        return Answer(*(results[name][0] for name in WANTS[TASK]))


class NepPeer(Peer):
    """A NEP by the compiled CPU code of nep-adapters, all beads in one call."""

    beads = 32

    def __init__(self, path: str, structure: Atoms):
        super().__init__("NEP")
        self.inner = Nep(Path(path), "calculate", TASK, structure)

    def evaluate(self, positions: np.ndarray) -> None:
        self.inner.evaluate(positions[: self.beads])

    def answer(self, positions: np.ndarray) -> Answer:
        energies, forces, virials = map(np.asarray, self.inner.evaluate(positions[None]))
        return Answer(energies.sum(), forces, virials.sum(axis=0).reshape(3, 3))


class LammpsPeer(Peer):
    """A pair style of LAMMPS, whose lists of neighbours are made anew for each bead, as NEP's are."""

    def __init__(self, name: str, folder: str, structure: Atoms):
        super().__init__(name)
        try:
            import fit_pod
            import fit_snap
            from lammps_box import Box
        except (ImportError, OSError) as error:  # OSError: no libmpi
            raise PeerError(f"LAMMPS does not start ({error})") from error
        commands = {"SNAP": fit_snap, "POD": fit_pod}[name].commands(Path(folder))
        self.box, self.volume = Box(structure, commands), structure.get_volume()

    def answer(self, positions: np.ndarray) -> Answer:
        energy, forces, stress = self.box.evaluate(positions)
        return Answer(energy, forces, full(-self.volume * stress))


def full(voigt: np.ndarray) -> np.ndarray:
    """The matrix of xx yy zz yz xz xy."""
    xx, yy, zz, yz, xz, xy = voigt
    return np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])


PROGRAMS = {"beadwise": Ours, "nep": NepPeer}
PROGRAMS |= {"snap": partial(LammpsPeer, "SNAP"), "pod": partial(LammpsPeer, "POD")}
