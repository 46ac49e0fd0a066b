"""The members of a committee: linear heads that the data allow as well, beside the one that fits them best."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ...pyx.tensor_head import TensorHead
from ..data import Frame
from .configuration import CommitteeSettings, ConfigurationError
from .head_fit import HeadProblem
from .least_squares import NormalEquations, sum_of

LAST_LAYER, SUBSAMPLING = "last-layer", "subsampling"


def fit_with_members(
    problem: HeadProblem, frames: Iterable[Frame], settings: CommitteeSettings
) -> tuple[tuple[TensorHead, ...], tuple[tuple[TensorHead, ...], ...]]:
    """The heads that fit all frames, and the deviations of the members from each.

    ``subsampling``: each member is fitted to a random part of the frames (Politis, Romano, Ann. Stat. 22, 2031 (1994);
    for potentials Musil, Willatt, Langovoy, Ceriotti, J. Chem. Theory Comput. 15, 906 (2019)).  Frames are dealt out to
    as many blocks as there are members, whose normal equations add up, so that one pass is enough.

    ``last-layer``: members are drawn from the Gaussian distribution of the weights that the fit leaves, with the
    covariance (XᵀX + regularisation)⁻¹, X being the features of the last, linear layer: so their variance for features
    x estimates α² xᵀ (XᵀX + regularisation)⁻¹ x, the last-layer prediction rigidity (Bigi, Chong, Ceriotti, Grasselli,
    Mach. Learn.: Sci. Technol. 5, 045018 (2024)).

    Parameters
    ----------
    problem : HeadProblem
    frames : iterable of Frame
        Read once.
    settings : CommitteeSettings

    Returns
    -------
    heads : tuple of TensorHead
        Those of the problem.
    deviations : tuple of tuple of TensorHead
        Of each head one for each member; they add up to zero.

    Raises
    ------
    ConfigurationError
        If no frame says anything about the head, there are fewer that do than a committee needs, or the model that gets
        members reads long-range potentials.
    """
    if problem.model.long_range is not None:
        raise ConfigurationError(
            "the model that gets members reads long-range potentials, and members are heads of the density alone; "
            "allowed is a model without [lode]"
        )
    generator = np.random.default_rng(settings.seed)
    blocks = [problem.empty_equations() for _ in range(settings.members if settings.kind == SUBSAMPLING else 1)]
    order: list[int] = []
    labelled = 0
    for frame in frames:
        order = order or generator.permutation(len(blocks)).tolist()
        block = blocks[order[-1]]
        before = block.rows
        problem.add(block, frame)
        if block.rows > before:  # a frame without such a label leaves its place to the next
            order.pop()
            labelled += 1
    whole = sum_of(blocks)
    heads = problem.solve(whole)
    if labelled < len(blocks):
        raise ConfigurationError(
            f"{labelled} training frames have labels for the {problem.name} head; a committee by {SUBSAMPLING} of "
            f"{len(blocks)} members needs at least as many"
        )
    if settings.kind == LAST_LAYER:
        weights = whole.deviations(problem.ridge, problem.prior, settings.members, generator)
    else:
        parts = chosen_blocks(len(blocks), settings, generator)
        weights = np.array([sum_of([blocks[k] for k in own]).solve(problem.ridge, problem.prior) for own in parts])
    weights -= weights.mean(axis=0)
    deviations = [problem.heads_from(of_member) for of_member in weights]
    return heads, tuple(zip(*deviations, strict=True))


def chosen_blocks(blocks: int, settings: CommitteeSettings, generator: np.random.Generator) -> list[list[int]]:
    """Which blocks each member is fitted to: as many for each, and no two members the same as long as that can be."""
    size = min(max(round(settings.fraction * blocks), 1), blocks - 1)
    chosen: list[list[int]] = []
    for _ in range(100 * settings.members):  # more than enough where there are choices
        own = sorted(generator.permutation(blocks)[:size].tolist())
        if own not in chosen:
            chosen.append(own)
        if len(chosen) == settings.members:
            return chosen
    raise ConfigurationError(
        f"fraction = {settings.fraction} in [committee] leaves {len(chosen)} different choices of {size} of {blocks} "
        f"parts of the frames; {settings.members} members need as many"
    )


def variance_of_last_layer(
    equations: NormalEquations, rows: np.ndarray, ridge: float, prior: np.ndarray | None = None
) -> np.ndarray:
    """xᵀ (XᵀX + regularisation)⁻¹ x: what infinitely many members of the kind ``last-layer`` differ by.

    Parameters
    ----------
    equations : NormalEquations
        Of the fit.
    rows : ndarray of float64, shape (rows, features)
        x, weighted as the rows of the fit.
    ridge, prior
        As for `NormalEquations.solve`.

    Returns
    -------
    ndarray of float64, shape (rows,)
    """
    return np.square(equations.whitened(rows, ridge, prior)).sum(axis=1)
