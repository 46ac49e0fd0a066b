"""What files of frames hold: labels and where they stood, species, distances, repetitions, outliers, broken rules."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from ase.data import chemical_symbols

from .distances import shortest_by_species
from .frame import Frame
from .label import labels
from .reading import Reading
from .sum_rules import SumRules

OVERLAP = 0.4  # Å, below which no model answers; see `beadwise.model.checks`
DIGITS = 4  # of positions and cells in Å, by which frames are the same
DEVIATIONS = 12.0  # robust standard deviations from the others that make an outlier
LEAST_DEVIATION = 0.05  # eV per atom, below which no energy is an outlier
FEWEST = 8  # frames that outliers can be told among
MOST_OF_A_FILE = 0.5  # of its energies, whose zero is then another one
UNBALANCED = 0.3  # of what forces would add up to if they had nothing to do with each other
NAMED = 3  # of many frames
MOST_PAIRS = 15  # of elements, whose distances are printed


@dataclass
class LabelSummary:
    """One label of a file: in how many frames, from which entries, and its largest number."""

    frames: int = 0
    keys: Counter[str] = field(default_factory=Counter)
    largest: float = -1.0
    largest_frame: str = ""

    def add(self, values: np.ndarray, key: str, frame: str) -> None:
        """Take the label of one more frame."""
        self.frames += 1
        self.keys[key] += 1
        largest = float(np.abs(values[np.isfinite(values)]).max(initial=0.0))
        if largest > self.largest:
            self.largest, self.largest_frame = largest, frame


@dataclass
class FileSummary:
    """What one file, or one set of frames, holds.

    Parameters
    ----------
    name : str
    reading : Reading
        With which it was read.
    source : str
        What its frames are of, if all are of one file.
    """

    name: str
    reading: Reading
    source: str = ""
    frames: int = 0
    atoms: list[int] = field(default_factory=list)
    species: set[int] = field(default_factory=set)
    periodic: Counter[int] = field(default_factory=Counter)
    labels: dict[str, LabelSummary] = field(default_factory=dict)
    unused: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    shortest: dict[tuple[int, int], tuple[float, str]] = field(default_factory=dict)
    weights: list[float] = field(default_factory=list)
    groups: Counter[str] = field(default_factory=Counter)
    charges: Counter[float] = field(default_factory=Counter)
    repeated: list[tuple[str, str]] = field(default_factory=list)
    energies: list[tuple[Counter[int], float, str]] = field(default_factory=list)
    unbalanced: list[float] = field(default_factory=list)
    rules: SumRules = field(default_factory=SumRules)

    def add(self, frame: Frame, seen: dict[bytes, str]) -> None:
        """Take one more frame; ``seen`` has the names of all before, by what they are."""
        name = frame.name if frame.source != self.source else f"frame {frame.index}"
        self.frames += 1
        self.atoms.append(len(frame.atoms))
        self.species |= set(frame.atoms.numbers.tolist())
        self.periodic[int(frame.atoms.pbc.sum())] += 1
        self.weights.append(frame.weight)
        if frame.group:
            self.groups[frame.group] += 1
        if frame.charge is not None:
            self.charges[frame.charge + 0.0] += 1  # -0.0 is 0.0
        for label, value in frame.labels.items():
            self.labels.setdefault(label, LabelSummary()).add(value, frame.found.keys.get(label, label), name)
        self.unused.update(frame.found.unused)
        self.left_out.update(frame.found.left_out)
        for pair, distance in shortest_by_species(frame.atoms).items():
            self.shortest[pair] = min(self.shortest.get(pair, (np.inf, "")), (distance, name))
        first = seen.setdefault(_identity(frame), frame.name)
        if first != frame.name:
            self.repeated.append((name, first))
        if "energy" in frame.labels:
            self.energies.append((Counter(frame.atoms.numbers.tolist()), float(frame.labels["energy"]), frame.name))
        forces = frame.labels.get("forces")
        if forces is not None and len(forces) > 2 and np.isfinite(forces).all() and forces.any():
            total = np.linalg.norm(forces.sum(axis=0))
            self.unbalanced.append(float(total / np.linalg.norm(forces)))
        self.rules.add(frame)

    def row(self) -> tuple[str, str, str, str]:
        """Name, frames, atoms and labels of a table."""
        fewest, most = min(self.atoms, default=0), max(self.atoms, default=0)
        held = (f"{name} {own.frames}" for name, own in self.labels.items())
        return (
            self.name,
            str(self.frames),
            str(most) if fewest == most else f"{fewest}–{most}",
            ", ".join(held) or "none",
        )

    def findings(self) -> Iterator[str]:
        """Sentences about what is there."""
        if not self.frames:
            yield "no frame could be read"
            return
        directions = {0: "no direction", 1: "one direction", 2: "two directions", 3: "all directions"}
        cells = ", ".join(f"periodic in {directions[count]} {n}" for count, n in sorted(self.periodic.items()))
        yield f"{', '.join(chemical_symbols[number] for number in sorted(self.species))}; {cells}"
        for name, own in self.labels.items():
            for key, count in own.keys.items():
                if key != name or name in self.reading.units:
                    turned = ", −virial/volume" if name == "stress" and "virial" in key.lower() else ""
                    yield f"{self.reading.described(name, key)}{turned}: {frames_of(count)}"
        if "forces" in self.labels:
            own = self.labels["forces"]
            yield f"largest force component {own.largest:.4g} eV/Å, {own.largest_frame}"
        pairs = sorted(self.shortest.items(), key=lambda item: item[1])
        if pairs:
            shown = (
                f"{chemical_symbols[a]}–{chemical_symbols[b]} {own:.3f}" for (a, b), (own, _) in pairs[:MOST_PAIRS]
            )
            rest = f", and {len(pairs) - MOST_PAIRS} other pairs" if len(pairs) > MOST_PAIRS else ""
            yield f"shortest distances in Å: {', '.join(shown)}{rest}"
        if set(self.weights) - {1.0}:
            yield f"weights of frames from {min(self.weights):g} to {max(self.weights):g}"
        if self.groups:
            yield "groups: " + ", ".join(f"{name} {count}" for name, count in self.groups.most_common(12))
        if self.charges:
            yield "total charges in e: " + ", ".join(f"{q:+g} {count}" for q, count in sorted(self.charges.items()))
        if self.unused:
            yield "not used: " + ", ".join(f"'{key}' ({count})" for key, count in self.unused.most_common(12))
        yield from self.rules.findings()[0]

    def problems(self) -> Iterator[str]:
        """Sentences about what is wrong, or may be."""
        for pair, (distance, frame) in sorted(self.shortest.items(), key=lambda item: item[1]):
            if distance < OVERLAP:
                names = "–".join(chemical_symbols[number] for number in pair)
                yield f"{names} are {distance:.3f} Å apart in {frame}; a model needs at least {OVERLAP} Å"
        for name, count in self.left_out.items():
            yield f"{name} of {frames_of(count)} is left out: nothing is periodic there"
        if self.repeated:
            pairs = "; ".join(f"{name} is {first}" for name, first in self.repeated[:NAMED])
            yield f"{frames_of(len(self.repeated))} repeat others: {pairs}"
        if self.unbalanced and float(np.median(self.unbalanced)) > UNBALANCED:
            yield (
                f"forces do not add up to zero: typically to {float(np.median(self.unbalanced)):.2g} of their norm; "
                "are these columns the forces?"
            )
        yield from self.rules.findings()[1]


@dataclass
class DataSummary:
    """What all files hold, and how they go together."""

    files: dict[str, FileSummary] = field(default_factory=dict)
    seen: dict[bytes, str] = field(default_factory=dict)

    @classmethod
    def of(cls, sets: Mapping[str, Sequence[Frame]], reading: Reading | None = None) -> DataSummary:
        """Read all frames of sets by their names, one after the other."""
        found = cls()
        for name, frames in sets.items():
            sources = {frame.source for frame in frames}
            found.add(name, frames, reading, sources.pop() if len(sources) == 1 else "")
        return found

    def add(self, name: str, frames: Iterable[Frame], reading: Reading | None = None, source: str = "") -> None:
        """Read all frames of one more file, or set; it counts as far as it can be read."""
        own = self.files.setdefault(name, FileSummary(name, reading or Reading(), source))
        for frame in frames:
            own.add(frame, self.seen)

    @property
    def species(self) -> tuple[int, ...]:
        """Atomic numbers that occur anywhere."""
        return tuple(sorted(set().union(*(own.species for own in self.files.values()))))

    @property
    def labels(self) -> set[str]:
        """Labels that occur anywhere."""
        return {label for own in self.files.values() for label in own.labels}

    @property
    def most_atoms(self) -> int:
        """Of the largest frame."""
        return max((max(own.atoms, default=0) for own in self.files.values()), default=0)

    def missing_keys(self) -> dict[str, str]:
        """Names that were said and are in no frame, by label."""
        readings = [own.reading for own in self.files.values()]
        used = {key for own in self.files.values() for label in own.labels.values() for key in label.keys}
        said = readings[0].keys if readings else {}
        return {label: key for label, key in said.items() if label in (*labels(), "virial") and key not in used}

    def lines(self) -> Iterator[str]:
        """Sentences, file by file, and about energies across all of them; what may be wrong begins with ``warning``."""
        for name, own in self.files.items():
            yield name
            yield from (f"  {text}" for text in own.findings())
            yield from (f"  warning: {text}" for text in own.problems())
        for label, key in self.missing_keys().items():
            yield f"warning: '{key}', which keys says is the {label}, is in no frame"
        yield from (f"warning: {text}" for text in self.energy_problems())

    def energy_problems(self) -> Iterator[str]:
        """Energies that do not go with the others of the same composition, and files with another zero."""
        entries = [(name, *entry) for name, own in self.files.items() for entry in own.energies]
        entries = [entry for entry in entries if entry[1].total() > 1]  # isolated atoms are far from all others
        if len(entries) < FEWEST:
            return
        counts = np.array([[entry[1][number] for number in self.species] for entry in entries], dtype=float)
        energies, atoms = np.array([entry[2] for entry in entries]), counts.sum(axis=1)
        offsets = _robust_fit(counts / atoms[:, None], energies / atoms)
        rest = energies / atoms - counts / atoms[:, None] @ offsets
        middle = float(np.median(rest))
        limit = max(DEVIATIONS * 1.4826 * float(np.median(np.abs(rest - middle))), LEAST_DEVIATION)
        is_far = np.abs(rest - middle) > limit
        names = np.array([entry[0] for entry in entries])
        for name in dict.fromkeys(names[is_far].tolist()):
            own = names == name
            shift = float(np.median(rest[own])) - middle
            if own.sum() >= FEWEST and is_far[own].mean() > MOST_OF_A_FILE and abs(shift) > limit:
                is_far &= ~own
                yield (
                    f"energies of {name} have another zero, or are of another method: {shift:+.3g} eV per atom from "
                    "those of the others"
                )
        far = np.flatnonzero(is_far)
        if len(far):
            worst = far[np.argsort(-np.abs(rest[far] - middle))][:NAMED]
            named = ", ".join(f"{entries[k][3]} by {rest[k] - middle:+.3g}" for k in worst)
            yield f"energies of {frames_of(len(far))} are far from those of the others, in eV per atom: {named}"

    def as_dict(self) -> dict[str, Any]:
        """Numbers for JSON."""
        return {name: _numbers(own) for name, own in self.files.items()}


def frames_of(count: int) -> str:
    """A number of frames."""
    return f"{count} frame{'s' * (count != 1)}"


def _robust_fit(rows: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Least absolute deviations by reweighted least squares: a few wrong energies do not move the others."""
    weights = np.ones(len(values))
    for _ in range(20):
        scaled = np.sqrt(weights)[:, None]
        solution = np.linalg.lstsq(scaled * rows, scaled[:, 0] * values, rcond=1e-10)[0]
        weights = 1 / np.maximum(np.abs(values - rows @ solution), 1e-6)
    return solution


def _identity(frame: Frame) -> bytes:
    """The same for frames of the same structure."""
    atoms = frame.atoms
    content = hashlib.blake2b(atoms.numbers.tobytes() + atoms.pbc.tobytes(), digest_size=16)
    for array in (atoms.positions, atoms.cell.array):
        content.update((np.round(array, DIGITS) + 0.0).tobytes())  # -0.0 is 0.0
    return content.digest()


def _numbers(own: FileSummary) -> dict[str, Any]:
    return {
        "frames": own.frames,
        "atoms": {"fewest": min(own.atoms, default=0), "most": max(own.atoms, default=0)},
        "species": [chemical_symbols[number] for number in sorted(own.species)],
        "periodic_directions": dict(own.periodic),
        "labels": {
            name: {"frames": one.frames, "keys": dict(one.keys), "largest": one.largest, "in": one.largest_frame}
            for name, one in own.labels.items()
        },
        "shortest_distances": {
            "-".join(chemical_symbols[number] for number in pair): {"distance": distance, "in": frame}
            for pair, (distance, frame) in own.shortest.items()
        },
        "not_used": dict(own.unused),
        "repeated": [{"frame": name, "is": first} for name, first in own.repeated],
        "weights": {"lowest": min(own.weights, default=1.0), "highest": max(own.weights, default=1.0)},
        "groups": dict(own.groups),
        "findings": list(own.findings()),
        "warnings": list(own.problems()),
    }
