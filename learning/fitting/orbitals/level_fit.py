"""A Hamiltonian fitted to levels alone: gradients of its eigenvalues by its weights, through torch.

The loss is ``Σ (ε_k − ε_k^label)²`` over frames and levels, and a ridge that holds the weights near those of a fit to
matrices.  Where labels are degenerate all levels of the set are compared with their mean.  Then the loss is symmetric
in them, and a smooth function of the matrix, though single levels are none (dε_k = C_kᵀ dH C_k depends on which
orbitals of the set are chosen, its sum over the set does not).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.optimize import minimize

from ....model.orbitals.blocks import Block, Places, blocks_of, rows_of
from ....model.orbitals.hamiltonian import BlockModel, Weights
from ....model.orbitals.model import HamiltonianModel
from ....progress import Progress
from .fit import features_of_blocks, fit_hamiltonian, weights_of
from .levels import Spectra
from .matrices import part_of_batch
from .sections import HamiltonianConfiguration

STAGE = "levels"
SAME_LABEL = 1e-4  # eV: labels that are no further apart are one level
OF_CONSTANT = 100.0  # size of the feature that is 1, whose weight is hardly held
SMALLEST = 1e-3  # of the ridge: directions in which features vary less are left as they are
FRAMES_AT_A_TIME = 8


def fit_to_levels(
    configuration: HamiltonianConfiguration, training: Sequence[Spectra], progress: Progress | None = None
) -> HamiltonianModel:
    """Fit matrices to begin from, and then their levels.

    Parameters
    ----------
    configuration : HamiltonianConfiguration
    training : sequence of Spectra
    progress : Progress, optional
        Told of blocks and steps.

    Raises
    ------
    DataError
        As `beadwise.learning.fitting.orbitals.fit.fit_hamiltonian`.
    """
    model = fit_hamiltonian(configuration, [own.start for own in training], progress)
    settings = configuration.hamiltonian
    problem = LevelProblem(model, training, settings.level_ridge)
    steps = 0

    def told(_: np.ndarray) -> None:
        nonlocal steps
        steps += 1
        if progress is not None:
            progress(STAGE, steps, settings.level_steps)

    options = {"maxiter": settings.level_steps, "maxfun": 4 * settings.level_steps, "ftol": 1e-12, "gtol": 1e-9}
    start = np.zeros(problem.size)
    found = minimize(problem.loss, start, jac=True, method="L-BFGS-B", callback=told, options=options)
    if progress is not None and steps < settings.level_steps:
        progress(STAGE, settings.level_steps, settings.level_steps)
    return replace(model, hamiltonian=problem.model_at(found.x))


@dataclass(frozen=True)
class _Group:
    """Blocks that share features, and the directions of their weights that levels are fitted along.

    Parameters
    ----------
    blocks : list of Block
    directions : ndarray of float64, shape (features, directions)
        Scaled so that the loss of the matrix elements is about as steep along each.
    sizes : ndarray of float64, shape (directions,)
        ridge · t |w|² of a step of 1.
    ours : int
        Features of the first atom.
    """

    blocks: list[Block]
    directions: np.ndarray
    sizes: np.ndarray
    ours: int

    @property
    def size(self) -> int:
        return len(self.sizes) * len(self.blocks)


@dataclass(frozen=True)
class _Frames:
    """Frames of one molecule as tensors.

    Parameters
    ----------
    matrices : Tensor, shape (frames, orbitals²)
        To begin from.
    halves : Tensor or None
        S^(−1/2).
    features : list of Tensor, shape (frames · rows · (2 λ + 1), directions)
        Of each group.
    places : list of list of (Tensor, Tensor, Tensor)
        Of each block of each group: coupling coefficients, and where its elements and their mirror images stand.
    levels : Tensor, shape (frames, levels)
    """

    matrices: torch.Tensor
    halves: torch.Tensor | None
    features: list[torch.Tensor]
    places: list[list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]]
    levels: torch.Tensor


class LevelProblem:
    """The loss as a function of steps from the weights that it begins with.

    Parameters
    ----------
    model : HamiltonianModel
    training : sequence of Spectra
    ridge : float
        As in a fit to matrices: variance of the noise over what the features explain.
    """

    def __init__(self, model: HamiltonianModel, training: Sequence[Spectra], ridge: float):
        self.model = model
        shared: dict[tuple, list[Block]] = {}
        for block in blocks_of(model.hamiltonian.basis):
            if model.hamiltonian.weights[block].ours.size:
                shared.setdefault((block.species, block.part, block.is_of_equals), []).append(block)
        self.groups: list[_Group] = []
        of_groups: list[list[np.ndarray]] = []
        for blocks in shared.values():
            rows = [_features(model.hamiltonian, blocks, own) for own in training]
            group = _directions(blocks, rows, ridge)
            self.groups.append(group)
            of_groups.append([own @ group.directions for own, _ in rows])
        self.frames = [
            _frames(model, own, self.groups, [features[place] for features in of_groups])
            for place, own in enumerate(training)
        ]
        self._penalties = torch.as_tensor(
            np.concatenate([np.repeat(group.sizes, len(group.blocks)) for group in self.groups] or [np.zeros(0)])
        )

    @property
    def size(self) -> int:
        """Number of steps."""
        return sum(group.size for group in self.groups)

    def loss(self, steps: np.ndarray) -> tuple[float, np.ndarray]:
        """The loss in eV², and its gradient by the steps, shape (size,)."""
        own = torch.tensor(steps, dtype=torch.float64, requires_grad=True)
        loss = (self._penalties * own**2).sum()
        for frames in self.frames:
            loss = loss + ((self._levels(frames, own) - frames.levels) ** 2).sum()
        loss.backward()  # type: ignore[no-untyped-call]
        assert own.grad is not None
        return float(loss.detach()), own.grad.numpy()

    def model_at(self, steps: np.ndarray) -> BlockModel:
        """The Hamiltonian with the weights of some steps."""
        blocks, weights, begin = self.model.hamiltonian, dict(self.model.hamiltonian.weights), 0
        for group in self.groups:
            own = group.directions @ steps[begin : begin + group.size].reshape(-1, len(group.blocks))
            begin += group.size
            for place, block in enumerate(group.blocks):
                added, before = weights_of(block, own[:, place], group.ours), weights[block]
                weights[block] = Weights(before.ours + added.ours, before.theirs + added.theirs)
        return replace(blocks, weights=weights)

    def _levels(self, frames: _Frames, steps: torch.Tensor) -> torch.Tensor:
        matrices, begin = frames.matrices, 0
        for group, features, places in zip(self.groups, frames.features, frames.places, strict=True):
            if len(features):
                values = features @ steps[begin : begin + group.size].reshape(-1, len(group.blocks))
                values = values.reshape(len(matrices), -1, 2 * group.blocks[0].order + 1, len(group.blocks))
                for place, (coefficients, whereto, mirrored) in enumerate(places):
                    block = torch.einsum("brM,xyM->brxy", values[..., place], coefficients).reshape(len(matrices), -1)
                    matrices = matrices.index_add(1, whereto, block)
                    if len(mirrored):
                        matrices = matrices.index_add(1, mirrored, block)
            begin += group.size
        orbitals = round(matrices.shape[1] ** 0.5)
        matrices = matrices.reshape(-1, orbitals, orbitals)
        if frames.halves is not None:
            matrices = frames.halves @ matrices @ frames.halves
        return torch.linalg.eigvalsh(matrices)[:, : frames.levels.shape[1]]


def _features(model: BlockModel, blocks: list[Block], own: Spectra) -> tuple[np.ndarray, int]:
    """Features of blocks in all frames, shape (rows, features), and how many are the first atom's."""
    rows = rows_of(blocks[0].species, own.batch.numbers)
    if not len(rows.first):
        return np.zeros((0, 0)), 0
    pieces = [
        features_of_blocks(model, blocks, part_of_batch(own.batch, frames), rows)
        for frames in np.array_split(np.arange(own.batch.beads), -(-own.batch.beads // FRAMES_AT_A_TIME))
    ]
    return np.concatenate([features for features, _ in pieces]), pieces[0][1]


def _directions(blocks: list[Block], rows: list[tuple[np.ndarray, int]], ridge: float) -> _Group:
    """Principal directions of the features of some blocks, as many as the ridge lets move."""
    every = [own for own, _ in rows if len(own)]
    squares = sum(own.T @ own for own in every)
    scale = np.ones(len(squares))
    penalty = ridge * float(np.trace(squares)) / sum(map(len, every))
    if blocks[0].is_on_site and blocks[0].order == 0:
        scale[0] = OF_CONSTANT
        penalty = ridge * float(np.trace(squares) - squares[0, 0]) / sum(map(len, every))
    own_squares, directions = np.linalg.eigh(squares * scale * scale[:, None])
    kept = own_squares > SMALLEST * penalty
    lengths = 1 / np.sqrt(own_squares[kept] + penalty)
    sizes = penalty * lengths**2
    return _Group(blocks, scale[:, None] * directions[:, kept] * lengths, sizes, max(ours for _, ours in rows))


def _frames(model: HamiltonianModel, own: Spectra, groups: list[_Group], features: list[np.ndarray]) -> _Frames:
    places = Places(model.hamiltonian.basis, own.batch.numbers)
    halves = None
    if model.overlap is not None:
        squares, directions = np.linalg.eigh(model.overlap.matrices(own.batch))
        halves = torch.as_tensor((directions / np.sqrt(squares)[:, None]) @ directions.swapaxes(1, 2))
    whereto = []
    for group in groups:
        rows = rows_of(group.blocks[0].species, own.batch.numbers)
        found = []
        for block in group.blocks:
            row, column = places.indices(block, rows)
            direct = (row * places.orbitals + column).ravel()
            mirrored = np.zeros(0, dtype=int) if block.is_of_equals else (column * places.orbitals + row).ravel()
            found.append((torch.tensor(block.coefficients), torch.as_tensor(direct), torch.as_tensor(mirrored)))
        whereto.append(found)
    matrices = model.hamiltonian.matrices(own.batch).reshape(own.batch.beads, -1)
    labels = torch.as_tensor(same_levels_together(own.levels))
    return _Frames(torch.as_tensor(matrices), halves, [torch.as_tensor(one) for one in features], whereto, labels)


def same_levels_together(levels: np.ndarray) -> np.ndarray:
    """Levels (frames, levels), ascending, with each set of degenerate ones replaced by its mean."""
    found = levels.copy()
    for own in found:
        starts = np.flatnonzero(np.diff(own, prepend=-np.inf) > SAME_LABEL)
        sizes = np.diff([*starts, len(own)])
        own[:] = np.repeat(np.add.reduceat(own, starts) / sizes, sizes)
    return found
