"""From matrices to a model: principal components of the surroundings, then least squares for every block."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from ase.data import chemical_symbols

from ....model import Batch
from ....model.orbitals.blocks import Block, Places, Rows, blocks_of, rows_of
from ....model.orbitals.hamiltonian import BlockModel, Features, Weights
from ....model.orbitals.model import HamiltonianModel
from ....model.orbitals.pair_functions import PairFunctions
from ....model.radial import RadialForm
from ....progress import Progress
from ...data import DataError
from ..bare_model import envelope_of
from ..least_squares import NormalEquations, sum_of
from .atoms import density_model, surroundings_of
from .matrices import Molecules, part_of_batch
from .members import Parts, parts_of
from .sections import HamiltonianConfiguration

FRAMES_AT_A_TIME = 8
STAGE, OVERLAP_STAGE = "blocks of the Hamiltonian", "blocks of the overlap"


def fit_hamiltonian(
    configuration: HamiltonianConfiguration, training: Sequence[Molecules], progress: Progress | None = None
) -> HamiltonianModel:
    """Fit a Hamiltonian, an overlap where the configuration says so, and members, which are not calibrated.

    Parameters
    ----------
    configuration : HamiltonianConfiguration
    training : sequence of Molecules
    progress : Progress, optional
        Told of the blocks.

    Raises
    ------
    DataError
        If an element of the shells is in no molecule, or members have too few frames.
    """
    settings, basis = configuration.hamiltonian, configuration.hamiltonian.basis
    seen = {int(number) for own in training for number in own.batch.numbers}
    if missing := sorted(set(basis.numbers) - seen):
        raise DataError(
            f"no molecule has {chemical_symbols[missing[0]]}, whose shells are given; take it out of [hamiltonian]"
        )
    density = density_model(configuration.density, basis.numbers)
    surroundings = surroundings_of(
        density, basis.numbers, [own.batch for own in training], settings.l_max, settings.channels, settings.products
    )
    pairs = pair_functions(configuration, settings.pair_radial)
    bare = BlockModel(basis, density, surroundings, pairs, settings.few, {})
    labels = [own.hamiltonian for own in training]
    parts = parts_of(training, configuration.committee)
    hamiltonian = fit_blocks(bare, training, labels, settings.ridge, STAGE, parts, progress)
    overlap = None
    if settings.overlap:
        bare = BlockModel(basis, density, {}, pair_functions(configuration, settings.overlap_radial), 0, {})
        labels = [own.overlap for own in training if own.overlap is not None]
        overlap = fit_blocks(bare, training, labels, settings.ridge * 1e-4, OVERLAP_STAGE, parts, progress)
    metadata = dict(configuration.metadata) | {"envelope": envelope_of(density, (own.batch for own in training))}
    if configuration.data.charge:
        metadata["charge"] = configuration.data.charge
    return HamiltonianModel(hamiltonian, overlap, metadata)


def pair_functions(configuration: HamiltonianConfiguration, radial: int) -> PairFunctions:
    """Functions of pairs, up to their own cutoff."""
    density, settings = configuration.density, configuration.hamiltonian
    form = RadialForm(
        settings.pair_cutoff, density.warp_length, min(density.innermost, settings.pair_cutoff / 2), 3.0, 1.0
    )
    return PairFunctions(form, radial, settings.pair_l_max)


def fit_blocks(
    bare: BlockModel,
    training: Sequence[Molecules],
    labels: Sequence[np.ndarray],
    ridge: float,
    stage: str,
    parts: Parts,
    progress: Progress | None = None,
) -> BlockModel:
    """Weights of all blocks by regularised least squares, blocks of one λ and parity of one pair of species together.

    Parameters
    ----------
    bare : BlockModel
        Without weights.
    training : sequence of Molecules
    labels : sequence of ndarray of float64
        Matrices of each, shape (frames, orbitals, orbitals).
    ridge : float
        Of `NormalEquations.solve`.
    stage : str
        What progress is told.
    parts : Parts
        Frames of members; weights and their deviations are fitted in one pass over all frames.
    """
    weights: dict[Block, Weights] = {}
    deviations: dict[Block, Weights] = {}
    shared: dict[tuple, list[Block]] = {}
    for block in blocks_of(bare.basis):
        shared.setdefault((block.species, block.part, block.is_of_equals), []).append(block)
    for done, blocks in enumerate(shared.values()):
        for block, (own, of_members) in _fitted(bare, blocks, training, labels, ridge, parts).items():
            weights[block] = own
            if parts.chosen:
                deviations[block] = of_members
        if progress is not None:
            progress(stage, done + 1, len(shared))
    return replace(bare, weights=weights, deviations=deviations)


def _fitted(
    bare: BlockModel,
    blocks: list[Block],
    training: Sequence[Molecules],
    labels: Sequence[np.ndarray],
    ridge: float,
    parts: Parts,
) -> dict[Block, tuple[Weights, Weights]]:
    """Weights of blocks that share their features, and what those of members differ from them by."""
    first, members = blocks[0], len(parts.chosen)
    equations: list[NormalEquations] = []
    ours = 0
    for part, rows, values, ours in _equations(bare, blocks, training, labels, parts):  # noqa: B007
        if not rows.shape[1]:  # a pseudotensor of a vector alone
            break
        equations = equations or [NormalEquations(rows.shape[1], len(blocks)) for _ in range(parts.count)]
        equations[part].add(rows, values)
    if not equations:  # or no two such atoms in any molecule
        nothing = np.zeros(0), np.zeros((members, 0))
        return dict.fromkeys(blocks, tuple(Weights(own, own) for own in nothing))  # type: ignore[arg-type]
    prior = np.ones(equations[0].right.shape[0])
    if first.is_on_site and first.order == 0:
        prior[0] = np.inf  # 1 · 1, the value of an atom as in the training
    whole = sum_of(equations) if members else equations[0]
    solution = np.atleast_2d(whole.solve(ridge, prior))
    of_members = np.zeros((members, *solution.shape))
    for member, chosen in enumerate(parts.chosen):
        own_equations = sum_of([equations[part] for part in chosen])
        if not own_equations.rows:
            kind = "–".join(chemical_symbols[number] for number in first.species)
            raise DataError(f"member {member} of the committee has no frame with {kind}; give more frames of it")
        of_members[member] = own_equations.solve(ridge, prior)
    of_members -= of_members.mean(axis=0) if members else 0.0
    return {
        block: (weights_of(block, own, ours), weights_of(block, of_members[:, place], ours))
        for place, (block, own) in enumerate(zip(blocks, solution, strict=True))
    }


def weights_of(block: Block, own: np.ndarray, ours: int) -> Weights:
    """Weights of one block from those of the columns of `features_of_blocks`.

    Parameters
    ----------
    block : Block
    own : ndarray of float64, shape (…, features)
    ours : int
        How many are the first atom's.
    """
    if block.is_on_site:
        return Weights(own, own[..., :0])
    if block.is_of_equals:
        return Weights(own, block.exchange * own)
    return Weights(own[..., :ours], own[..., ours:])


def _equations(
    bare: BlockModel, blocks: list[Block], training: Sequence[Molecules], labels: Sequence[np.ndarray], parts: Parts
) -> Iterator[tuple[int, np.ndarray, np.ndarray, int]]:
    """Rows of features and of labels of blocks that share them.

    Before them the part that their frames are in, and behind how many features are the first atom's.
    """
    first = blocks[0]
    for own, matrices, of_frames in zip(training, labels, parts.of_frames, strict=True):
        rows = rows_of(first.species, own.batch.numbers)
        if not len(rows.first):
            continue
        places = Places(bare.basis, own.batch.numbers)
        for part, frames in _pieces(of_frames):
            batch = part_of_batch(own.batch, frames)
            features, ours = features_of_blocks(bare, blocks, batch, rows)
            values = np.stack(
                [places.part_of(matrices[frames], block, rows).ravel() for block in blocks], axis=1,
            )  # fmt: skip
            yield part, features, values, ours


def features_of_blocks(bare: BlockModel, blocks: list[Block], batch: Batch, rows: Rows) -> tuple[np.ndarray, int]:
    """Features that blocks of one λ and parity share, and how many of them are the first atom's.

    Parameters
    ----------
    bare : BlockModel
        Whose weights are not read.
    blocks : list of Block
    batch : Batch
    rows : Rows
        Of the blocks in these molecules.

    Returns
    -------
    features : ndarray of float64, shape (frames · rows · (2 λ + 1), features)
    ours : int
    """
    first = blocks[0]
    _, (ours, theirs) = next(Features(bare, batch).of_blocks(first.species, [first], rows))
    if first.is_on_site:
        features = ours
    elif first.is_of_equals:
        features = ours + first.exchange * theirs
    else:
        features = np.concatenate([ours, theirs], axis=2)
    return features.reshape(features.shape[0] * features.shape[1], -1), ours.shape[2]


def _pieces(of_frames: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """A few frames at a time, all of one part, and which part it is."""
    for part in np.unique(of_frames).tolist():
        frames = np.flatnonzero(of_frames == part)
        for begin in range(0, len(frames), FRAMES_AT_A_TIME):
            yield part, frames[begin : begin + FRAMES_AT_A_TIME]
