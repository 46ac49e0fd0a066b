"""Energies of isolated atoms, which a model keeps exactly: the zero of every energy of formation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers

from ...model import Batch
from ...model.checks import lattice_heights
from ..data import Frame
from .configuration import ConfigurationError

SAME = 1e-6  # eV


def given_atoms(energies: Mapping[str, float], species: Sequence[int]) -> list[Frame]:
    """Frames of the atoms that a configuration gives the energies of, as far as they occur.

    Parameters
    ----------
    energies : mapping of str to float
        In eV by chemical symbol.
    species : sequence of int
        Atomic numbers that occur.

    Raises
    ------
    ConfigurationError
        If a symbol or an energy is none.
    """
    frames = []
    for index, (symbol, energy) in enumerate(energies.items()):
        is_energy = isinstance(energy, (int, float)) and not isinstance(energy, bool) and np.isfinite(energy)
        if not atomic_numbers.get(symbol) or not is_energy:
            raise ConfigurationError(
                f"isolated_atoms has {symbol} = {energy!r} in [energy]; chemical symbols with finite energies in eV "
                "are needed"
            )
        if atomic_numbers[symbol] in species:
            labels = {"energy": np.array(float(energy))}
            frames.append(Frame(Atoms(symbol), labels, "isolated_atoms of [energy]", index))
    return frames


def is_isolated(frame: Frame, cutoff: float) -> bool:
    """Whether a frame is one atom with an energy that sees no image of itself."""
    if len(frame.atoms) != 1 or "energy" not in frame.labels:
        return False
    batch = Batch.from_ase(frame.atoms)
    return not batch.periodic.any() or bool((lattice_heights(batch.cells, batch.periodic) > cutoff).all())


def isolated_energies(frames: Sequence[Frame], cutoff: float) -> dict[int, float]:
    """Energies in eV of the isolated atoms among some frames, by atomic number.

    Raises
    ------
    ConfigurationError
        If an element has two of them.
    """
    found: dict[int, Frame] = {}
    for frame in frames:
        if not is_isolated(frame, cutoff):
            continue
        first = found.setdefault(int(frame.atoms.numbers[0]), frame)
        energies = [float(own.labels["energy"]) for own in (first, frame)]
        if abs(energies[0] - energies[1]) > SAME:
            raise ConfigurationError(
                f"isolated {frame.atoms.symbols[0]} has the energy {energies[0]:.8g} eV in {first.name} and "
                f"{energies[1]:.8g} eV in {frame.name}; give one of them"
            )
    return {number: float(frame.labels["energy"]) for number, frame in found.items()}


def without_isolated(frames: Sequence[Frame], cutoff: float) -> list[Frame]:
    """The frames of more than isolated atoms: these say nothing but where the energy begins."""
    return [frame for frame in frames if not is_isolated(frame, cutoff)] or list(frames)
