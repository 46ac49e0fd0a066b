"""Labelled structures: read frame by frame from files, checked, and split into sets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import TypeVar

import numpy as np
from ase import Atoms
from ase.io import iread
from ase.stress import voigt_6_to_full_3x3_stress

from ..model import BeadwiseError
from ..properties.quantities import properties, quantities, table_of_registry
from ..quantity import Quantity

Item = TypeVar("Item")


@dataclass(frozen=True)
class Label:
    """What may be known of a frame.

    Parameters
    ----------
    name : str
        In extended xyz, and in `Frame.labels`.
    of : str
        The property that it is compared with.
    allowed : str
        What it must be, for messages.
    per : str
        ``cell``, ``atom`` or ``molecule``.
    shape : tuple of int
        Of one sample.
    quantity : Quantity or None
        That its heads are fitted to; None for the derivatives of the energy.
    """

    name: str
    of: str
    allowed: str
    per: str
    shape: tuple[int, ...]
    quantity: Quantity | None = None

    def shaped(self, label: np.ndarray, atoms: int) -> np.ndarray | None:
        """A label of so many atoms in its shape; None if it does not fit."""
        size = prod(self.shape)
        if self.name == "stress" and label.shape == (6,):
            return voigt_6_to_full_3x3_stress(label)
        if self.name == "energy":
            return label.reshape(()) if label.size == 1 else None
        label = np.atleast_1d(label)  # ASE writes an array of one number as a number
        if self.per == "cell":
            return label.reshape(self.shape) if label.shape in (self.shape, (size,)) else None
        samples = atoms if self.per == "atom" else label.size // size
        fits = label.shape in ((samples, *self.shape), (samples, size), (samples * size,)) and samples > 0
        # forces in one row would be those of an unknown order
        return label.reshape(samples, *self.shape) if fits and (self.name != "forces" or label.ndim > 1) else None


PER_SAMPLE = {"cell": "", "atom": " per atom", "molecule": " per molecule"}


@table_of_registry
def labels() -> Mapping[str, Label]:
    """All labels by name: of the energy and its derivatives, of quantities, and of their parts in molecules."""
    found = [
        Label("energy", "energy", "one number in eV", "cell", (), quantities()["energy"]),
        Label("forces", "forces", "three numbers per atom in eV/Å", "atom", (3,)),
        Label("stress", "virial", "9 or 6 (xx yy zz yz xz xy) numbers in eV/Å³", "cell", (3, 3)),
    ]
    for one in properties().values():
        if one.kind in ("value", "molecular") and one.quantity is not None and one.quantity.name != "energy":
            size = prod(one.shape)
            allowed = f"{size} number{'s' * (size > 1)}{PER_SAMPLE[one.per]} in {str(one.unit) or 'no unit'}"
            name = one.quantity.label if one.kind == "value" else one.name
            found.append(Label(name, one.name, allowed, one.per, one.shape, one.quantity))
    return {label.name: label for label in found}


def whole_labels() -> tuple[str, ...]:
    """Labels that are no parts of others, as those of molecules are."""
    return tuple(name for name, label in labels().items() if properties()[label.of].kind != "molecular")


class DataError(BeadwiseError, ValueError):
    """A data file that is missing or unreadable, or a label that cannot be used."""


@dataclass(frozen=True)
class Frame:
    """One structure with what is known about it.

    Parameters
    ----------
    atoms : ase.Atoms
        Positions and cell in Å, without a calculator.
    labels : dict of str to ndarray of float64
        Any of ``energy`` () in eV; ``forces`` (atoms, 3) in eV/Å; ``stress`` (3, 3) in eV/Å³ with ASE's sign, the
        derivative of the energy with respect to strain per volume; ``dipole`` (3,) in e·Å; ``polarizability`` (3, 3)
        in Å³; and the other labels of `labels`, ([atoms or molecules,] their own shape).
    source : str
        File it came from.
    index : int
        Its place in that file, from 0.
    """

    atoms: Atoms
    labels: dict[str, np.ndarray] = field(default_factory=dict)
    source: str = ""
    index: int = 0

    @property
    def name(self) -> str:
        """What messages call it."""
        return f"frame {self.index} of '{self.source}'" if self.source else f"frame {self.index}"


def read_frames(paths: str | Path | Iterable[str | Path]) -> list[Frame]:
    """Read all frames of one file or several; see `iterate_frames`."""
    return list(iterate_frames(paths))


def iterate_frames(paths: str | Path | Iterable[str | Path]) -> Iterator[Frame]:
    """Read files frame by frame: no more than one frame is held at a time.

    Parameters
    ----------
    paths : str, Path, or iterable of them
        Extended xyz, or any other format that ASE reads.  Labels are looked for among ASE's results, then in
        ``atoms.info`` and ``atoms.arrays``, under the names of `labels`.

    Yields
    ------
    Frame

    Raises
    ------
    DataError
        If a file is missing, cannot be read or holds no frame, or a label has a wrong shape or is not finite.
    """
    files = [paths] if isinstance(paths, (str, Path)) else list(paths)
    require_files(files)  # a misspelt last name should not cost the time to read the first
    for path in files:
        index = -1
        for index, atoms in enumerate(_iterate_atoms(Path(path))):
            yield frame_from_ase(atoms, str(path), index)
        if index < 0:
            raise DataError(f"data file '{path}' holds no frame; at least one is needed")


def require_files(paths: Iterable[str | Path]) -> None:
    """Raise DataError if one of the files does not exist."""
    for path in paths:
        if not Path(path).is_file():
            raise DataError(f"data file '{path}' does not exist")


def _iterate_atoms(path: Path) -> Iterator[Atoms]:
    try:
        yield from iread(path, do_not_split_by_at_sign=True)
    except Exception as error:  # ASE's readers raise whatever their parsing stumbles over
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise DataError(f"data file '{path}' cannot be read: {reason}") from error


def frame_from_ase(atoms: Atoms, source: str = "", index: int = 0) -> Frame:
    """Separate a structure from its labels.

    Parameters
    ----------
    atoms : ase.Atoms
        With labels among the results of its calculator, in ``info`` or in ``arrays``.
    source, index : str, int
        Where it comes from, for messages.

    Raises
    ------
    DataError
        If there is no atom, or a label has a wrong shape or is not finite.
    """
    known = {**atoms.arrays, **atoms.info, **(atoms.calc.results if atoms.calc else {})}
    bare = atoms.copy()
    frame = Frame(bare, {}, source, index)
    if len(atoms) == 0:
        raise DataError(f"{frame.name} holds no atom; at least one is needed")
    for name in labels():
        if known.get(name) is not None:
            frame.labels[name] = _checked_label(frame, name, known[name])
        bare.info.pop(name, None)
        bare.arrays.pop(name, None)
    return frame


def _checked_label(frame: Frame, name: str, value: object) -> np.ndarray:
    """Bring a label into its shape, as float64."""
    own = labels()[name]
    try:
        received = np.array(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"{name} of {frame.name} is {value!r}; allowed is {own.allowed}") from error
    label = own.shaped(received, len(frame.atoms))
    if label is None:
        raise DataError(f"{name} of {frame.name} has shape {received.shape}; allowed is {own.allowed}")
    if not np.isfinite(label).all():
        place = np.argwhere(~np.isfinite(label))[0]
        where = f" at {place.tolist()}" if len(place) else ""
        raise DataError(f"{name} of {frame.name} is {label[tuple(place)]}{where}; all labels must be finite")
    return label


def species_of(frames: Iterable[Frame]) -> tuple[int, ...]:
    """Atomic numbers that occur in any of the frames, ascending."""
    return tuple(sorted({int(number) for frame in frames for number in frame.atoms.numbers}))


def split(items: Sequence[Item], fraction: float, seed: int = 0) -> tuple[list[Item], list[Item]]:
    """Set aside a random part, the same for the same seed.

    Parameters
    ----------
    items : sequence
        Frames, or anything else.
    fraction : float
        Of the items to set aside, from 0 to less than 1; rounded to a whole number of them.
    seed : int
        Of the random choice.

    Returns
    -------
    remaining, aside : list
        Each in the order of ``items``.

    Raises
    ------
    DataError
        If the fraction is not allowed, or would leave nothing.
    """
    if not 0 <= fraction < 1:
        raise DataError(f"fraction to set aside is {fraction}; allowed is 0 to less than 1")
    count = round(fraction * len(items))
    if count == len(items):
        raise DataError(f"setting aside {fraction} of {len(items)} frames leaves none")
    chosen = set(np.random.default_rng(seed).permutation(len(items))[:count].tolist())
    remaining = [item for place, item in enumerate(items) if place not in chosen]
    return remaining, [item for place, item in enumerate(items) if place in chosen]
