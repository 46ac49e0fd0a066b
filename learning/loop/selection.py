"""Which of the structures that an exploration flagged are worth a label: uncertain ones that differ from each other."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import groupby

import numpy as np
from ase import Atoms

from ...model import Batch, BeadwiseError, Model
from ...model.structures import charge_of_frame

ATOMS_PER_FRAME = 3  # the molecule that a model is unsure of, rather than one of its atoms
DIMENSIONS = 128  # of a descriptor: distances keep to within 1/√(2·128) = 6 % of what they are in all features
UNRELATED = math.sqrt(2.0)  # distance of two environments that have nothing in common
COPY = 1e-6  # distance below which two environments are the same: rounding alone gives 1e-8
CHUNK_NUMBERS = 4_000_000  # of an intermediate array, 32 MB


class SelectionError(BeadwiseError, ValueError):
    """Candidates that cannot be chosen from, or a number of them that is not allowed."""


@dataclass(frozen=True)
class Candidate:
    """A structure that may get a label.

    Parameters
    ----------
    atoms : ase.Atoms
        Positions and cell in Å.
    uncertainty : float
        Highest calibrated uncertainty of the force on an atom, in eV/Å per component.
    input : str
        Input of the run that it is from.
    step, bead : int
        Its place in that run.
    atom_uncertainties : ndarray of float, shape (atoms,), optional
        The model's ``forces_uncertainty`` in eV/Å; without it the model is asked again.
    """

    atoms: Atoms
    uncertainty: float
    input: str = ""
    step: int = 0
    bead: int = 0
    atom_uncertainties: np.ndarray | None = field(default=None, repr=False, compare=False)

    @property
    def name(self) -> str:
        """What messages call it."""
        return f"bead {self.bead} at step {self.step} of '{self.input}'"


def random_choice(candidates: Sequence[Candidate], count: int, seed: int = 0) -> list[Candidate]:
    """Choose at random and without repetition, the same for the same seed; all if there are no more than ``count``.

    Raises
    ------
    SelectionError
        If the count is negative.
    """
    _checked_count(count)
    order = np.random.default_rng(seed).permutation(len(candidates))[:count]
    return [candidates[place] for place in order]


def select(candidates: Sequence[Candidate], count: int, model: Model, known: Sequence[Atoms] = ()) -> list[Candidate]:
    """Choose uncertain structures that differ from what is known and from each other.

    A structure of hundreds of atoms is uncertain because of a few, which an average over all would hide.  So it is
    represented by the environments of its `ATOMS_PER_FRAME` most uncertain atoms.  A label, on the other hand, tells of
    all atoms.  So the distance d of an environment is that to the nearest one of the same species on *any* atom of the
    frames that are known or chosen already.  Chosen next is the candidate of the highest σ_i d_i over its atoms i, with
    the uncertainty σ_i of the force: farthest-point sampling (Eldar, Lindenbaum, Porat, Zeevi, IEEE Trans. Image
    Process. 6, 1305 (1997); Imbalzano et al., JCP 148, 241730 (2018)), weighted by what the model does not know.

    Beads of the same step are nearly copies of each other: once one is chosen, the rest are close to it, whichever of
    their atoms happens to be the most uncertain.

    Parameters
    ----------
    candidates : sequence of Candidate
        Tens of thousands are fine: a candidate takes 3 kB beyond its atoms.
    count : int
        How many at most.
    model : Model
        Whose density makes the descriptors.
    known : sequence of ase.Atoms
        Frames that have a label already.

    Returns
    -------
    list of Candidate
        In the order of choice, the same for the same input.  Fewer than ``count`` if the rest are copies of what is
        known or chosen, or are certain.

    Raises
    ------
    SelectionError
        If the count is negative, an uncertainty is negative or not finite, or it is not known for single atoms and the
        model has none.
    StructureError
        If the model cannot evaluate a structure.
    """
    _checked_count(count)
    if count == 0 or not candidates:
        return []
    points = _Points(model, candidates)
    for places in _chunks(model, known):
        points.cover(*descriptors_of(model, [known[place] for place in places]))
    chosen: list[Candidate] = []
    while len(chosen) < min(count, len(candidates)):
        place = points.farthest()
        if place is None:
            break
        chosen.append(candidates[place])
        points.cover(*descriptors_of(model, [candidates[place].atoms]))
    return chosen


def descriptors_of(model: Model, frames: Sequence[Atoms]) -> tuple[np.ndarray, np.ndarray]:
    """Descriptors of all atoms of frames with the same atoms.

    Returns
    -------
    descriptors : ndarray of float64, shape (frames * atoms, dimensions)
    species : ndarray of int32, shape (frames * atoms,)
        Species indices.
    """
    density = model.density(Batch.from_ase(frames))
    species = model.species_indices(frames[0].numbers)
    return describe(density.reshape(-1, *density.shape[2:])), np.tile(species, len(frames))


def describe(density: np.ndarray) -> np.ndarray:
    """Describe environments by a vector whose Euclidean distance does not change with rotation, inversion or labelling.

    It is the power spectrum ``p_lkq = Σ_m c_lmk c_lmq / √(2 l + 1)`` of unit length, so that scalar products are the
    SOAP kernel and distances run from 0 to √2 (Bartók, Kondor, Csányi, Phys. Rev. B 87, 184115 (2013)), and where it is
    longer than `DIMENSIONS`, a fixed random projection of it, which keeps distances (Johnson, Lindenstrauss, Contemp.
    Math. 26, 189 (1984)).

    Parameters
    ----------
    density : ndarray of float64, shape (atoms, harmonics, channels)
        Of `Model.density`.

    Returns
    -------
    ndarray of float64, shape (atoms, at most `DIMENSIONS`)
        An atom without neighbours has a vector of zeros.
    """
    vectors = power_spectrum(density)
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors /= np.where(length > 0, length, 1.0)
    return vectors if vectors.shape[1] <= DIMENSIONS else vectors @ _projection(vectors.shape[1])


@cache
def _projection(features: int) -> np.ndarray:
    """Random matrix (features, DIMENSIONS), the same at every call."""
    return np.random.default_rng(features).normal(0.0, 1 / math.sqrt(DIMENSIONS), (features, DIMENSIONS))


def power_spectrum(density: np.ndarray) -> np.ndarray:
    """Power spectrum of every atom, each pair of channels once, weighted as if it stood there twice.

    Parameters
    ----------
    density : ndarray of float64, shape (atoms, harmonics, channels)

    Returns
    -------
    ndarray of float64, shape (atoms, (l_max + 1) * channels * (channels + 1) / 2)
    """
    atoms, harmonics, channels = density.shape
    upper = np.triu_indices(channels)
    twice = np.where(upper[0] == upper[1], 1.0, math.sqrt(2.0))
    degrees = math.isqrt(harmonics)
    spectrum = np.empty((atoms, degrees, len(twice)))
    for degree in range(degrees):
        own = density[:, degree**2 : (degree + 1) ** 2]
        products = np.matmul(own.transpose(0, 2, 1), own)
        spectrum[:, degree] = products[:, upper[0], upper[1]] * (twice / math.sqrt(2 * degree + 1))
    return spectrum.reshape(atoms, -1)


class _Points:
    """The most uncertain environments of all candidates, and how far each is from what is known or chosen."""

    def __init__(self, model: Model, candidates: Sequence[Candidate]):
        frames = [candidate.atoms for candidate in candidates]
        shape = (len(frames), ATOMS_PER_FRAME)
        self.uncertainties = np.zeros(shape)  # stays 0 where a frame has fewer atoms
        self.species = np.full(shape, -1)
        self.distances = np.full(shape, UNRELATED)
        dimensions = describe(np.zeros((1, model.shape.harmonics, model.shape.channels))).shape[1]
        self.descriptors = np.zeros((*shape, dimensions))
        self.taken = np.zeros(len(frames), dtype=bool)
        for places in _chunks(model, frames):
            self._fill(model, places, [candidates[place] for place in places])

    def _fill(self, model: Model, places: range, candidates: Sequence[Candidate]) -> None:
        """Describe candidates with the same atoms."""
        batch = Batch.from_ase([candidate.atoms for candidate in candidates])
        uncertainties = _uncertainties(model, batch, candidates)
        worst = np.argsort(-uncertainties, axis=1, kind="stable")[:, :ATOMS_PER_FRAME]
        density = np.take_along_axis(model.density(batch), worst[:, :, None, None], axis=1)
        descriptors = describe(density.reshape(-1, *density.shape[2:]))
        own = np.s_[places.start : places.stop, : worst.shape[1]]
        self.uncertainties[own] = np.take_along_axis(uncertainties, worst, axis=1)
        self.species[own] = model.species_indices(batch.numbers)[worst]
        self.descriptors[own] = descriptors.reshape(*worst.shape, -1)

    def cover(self, descriptors: np.ndarray, species: np.ndarray) -> None:
        """Shorten distances to those to environments that are known now: (atoms, dimensions), species (atoms,)."""
        for kind in np.unique(species):
            known = descriptors[species == kind]
            own = np.argwhere(self.species == kind)
            step = max(1, CHUNK_NUMBERS // len(known))
            for begin in range(0, len(own), step):
                part = tuple(own[begin : begin + step].T)
                nearest = nearest_distance(self.descriptors[part], known)
                self.distances[part] = np.minimum(self.distances[part], nearest)

    def farthest(self) -> int | None:
        """Take the candidate that comes next; None if those that are left would teach nothing."""
        scores = (self.uncertainties * np.where(self.distances > COPY, self.distances, 0.0)).max(axis=1)
        scores[self.taken] = 0.0
        place = int(np.argmax(scores))
        if scores[place] <= 0:
            return None
        self.taken[place] = True
        return place


def nearest_distance(points: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Distance of each point (points, dimensions) to the nearest of those known (known, dimensions)."""
    squares = (known**2).sum(axis=1) - 2 * points @ known.T
    return np.sqrt(np.maximum(squares.min(axis=1) + (points**2).sum(axis=1), 0.0))


def _uncertainties(model: Model, batch: Batch, candidates: Sequence[Candidate]) -> np.ndarray:
    """Force uncertainties (candidates, atoms) in eV/Å, those of the model unless all candidates bring their own."""
    known = [candidate.atom_uncertainties for candidate in candidates]
    arrays = [np.asarray(array, dtype=np.float64) for array in known if array is not None]
    if len(arrays) < len(known):
        if "forces_uncertainty" not in model.properties:
            raise SelectionError(
                f"{candidates[known.index(None)].name} comes without uncertainties of its atoms, and the model has no "
                "members that would tell; one of both is needed"
            )
        arrays = list(model.evaluate(batch, ["forces_uncertainty"])["forces_uncertainty"])
    for candidate, array in zip(candidates, arrays, strict=True):
        if array.shape != (batch.atoms,) or not (np.isfinite(array) & (array >= 0)).all():
            raise SelectionError(
                f"uncertainties of {candidate.name} have shape {array.shape} and lie between {array.min()} and "
                f"{array.max()} eV/Å; needed is one for each of {batch.atoms} atoms, finite and not negative"
            )
    return np.array(arrays)


def _chunks(model: Model, frames: Sequence[Atoms]) -> Iterator[range]:
    """Places of neighbouring frames of one batch, few enough that their densities and features fit."""
    shape = model.shape
    numbers = shape.harmonics * shape.channels + (model.l_max + 1) * shape.channels * (shape.channels + 1) // 2
    for _, group in groupby(range(len(frames)), lambda place: _kind(frames[place])):
        places = list(group)
        step = max(1, CHUNK_NUMBERS // (numbers * len(frames[places[0]])))
        for begin in range(places[0], places[-1] + 1, step):
            yield range(begin, min(begin + step, places[-1] + 1))


def _kind(atoms: Atoms) -> tuple[bytes, bytes, float | None]:
    """What frames of one batch have in common."""
    return atoms.numbers.tobytes(), atoms.pbc.tobytes(), charge_of_frame(atoms)


def _checked_count(count: int) -> None:
    if count < 0:
        raise SelectionError(f"{count} candidates are to be chosen; allowed is 0 or more")
