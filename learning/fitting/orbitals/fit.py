"""From matrices to a model: principal components of the surroundings, then least squares for every block."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from ase.data import chemical_symbols

from ....model.orbitals.blocks import Block, Places, blocks_of, rows_of
from ....model.orbitals.hamiltonian import BlockModel, Features, Weights
from ....model.orbitals.model import HamiltonianModel
from ....model.orbitals.pair_functions import PairFunctions
from ....model.radial import RadialForm
from ....progress import Progress
from ...data import DataError
from ..bare_model import envelope_of
from ..least_squares import NormalEquations
from .atoms import density_model, surroundings_of
from .matrices import Molecules
from .sections import HamiltonianConfiguration

FRAMES_AT_A_TIME = 8
STAGE, OVERLAP_STAGE = "blocks of the Hamiltonian", "blocks of the overlap"


def fit_hamiltonian(
    configuration: HamiltonianConfiguration, training: Sequence[Molecules], progress: Progress | None = None
) -> HamiltonianModel:
    """Fit a Hamiltonian, and an overlap where the configuration says so.

    Parameters
    ----------
    configuration : HamiltonianConfiguration
    training : sequence of Molecules
    progress : Progress, optional
        Told of the blocks.

    Raises
    ------
    DataError
        If an element of the shells is in no molecule.
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
    hamiltonian = fit_blocks(bare, training, labels, settings.ridge, STAGE, progress)
    overlap = None
    if settings.overlap:
        bare = BlockModel(basis, density, {}, pair_functions(configuration, settings.overlap_radial), 0, {})
        labels = [own.overlap for own in training if own.overlap is not None]
        overlap = fit_blocks(bare, training, labels, settings.ridge * 1e-4, OVERLAP_STAGE, progress)
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
    """
    weights: dict[Block, Weights] = {}
    shared: dict[tuple, list[Block]] = {}
    for block in blocks_of(bare.basis):
        shared.setdefault((block.species, block.part, block.is_of_equals), []).append(block)
    for done, blocks in enumerate(shared.values()):
        weights |= _fitted(bare, blocks, training, labels, ridge)
        if progress is not None:
            progress(stage, done + 1, len(shared))
    return replace(bare, weights=weights)


def _fitted(
    bare: BlockModel, blocks: list[Block], training: Sequence[Molecules], labels: Sequence[np.ndarray], ridge: float
) -> dict[Block, Weights]:
    first = blocks[0]
    equations: NormalEquations | None = None
    ours = 0
    for rows, values, ours in _equations(bare, blocks, training, labels):  # noqa: B007
        if not rows.shape[1]:  # a pseudotensor of a vector alone
            break
        if equations is None:
            equations = NormalEquations(rows.shape[1], len(blocks))
        equations.add(rows, values)
    if equations is None:  # or no two such atoms in any molecule
        empty = Weights(np.zeros(0), np.zeros(0))
        return dict.fromkeys(blocks, empty)
    prior = np.ones(equations.right.shape[0])
    if first.is_on_site and first.order == 0:
        prior[0] = np.inf  # 1 · 1, the value of an atom as in the training
    solution = np.atleast_2d(equations.solve(ridge, prior))
    found = {}
    for block, own in zip(blocks, solution, strict=True):
        if block.is_on_site:
            found[block] = Weights(own, np.zeros(0))
        elif block.is_of_equals:
            found[block] = Weights(own, block.exchange * own)
        else:
            found[block] = Weights(own[:ours], own[ours:])
    return found


def _equations(
    bare: BlockModel, blocks: list[Block], training: Sequence[Molecules], labels: Sequence[np.ndarray]
) -> Iterator[tuple[np.ndarray, np.ndarray, int]]:
    """Rows of features and of labels of blocks that share them, and how many features are the first atom's."""
    first = blocks[0]
    for own, matrices in zip(training, labels, strict=True):
        rows = rows_of(first.species, own.batch.numbers)
        if not len(rows.first):
            continue
        places = Places(bare.basis, own.batch.numbers)
        for begin in range(0, own.batch.beads, FRAMES_AT_A_TIME):
            piece = own.part(np.arange(begin, min(begin + FRAMES_AT_A_TIME, own.batch.beads)))
            _, (ours, theirs) = next(Features(bare, piece.batch).of_blocks(first.species, [first], rows))
            if first.is_on_site:
                features = ours
            elif first.is_of_equals:
                features = ours + first.exchange * theirs
            else:
                features = np.concatenate([ours, theirs], axis=2)
            values = np.stack(
                [places.part_of(matrices[begin : begin + FRAMES_AT_A_TIME], block, rows).ravel() for block in blocks],
                axis=1,
            )
            yield features.reshape(len(values), -1), values, ours.shape[2]
