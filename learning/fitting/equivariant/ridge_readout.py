"""Readouts of a trained network that are solved by ridge regression, on what its layers and linear heads read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import linalg

from ....model import Batch, Model
from ....model.outputs import empty_head
from ....potentials.equivariant_network import four_body_paths, number_of_scalars
from ....pyx.tensor_head import features_of_parts, head_from_features
from ....quantity import Head
from ...data import Frame, labels
from ..configuration import Configuration, ConfigurationError
from ..head_fit import HeadProblem
from ..polarization.derivatives import derivative_label
from ..target_fit import targets_of
from .block_ridge import Grams
from .quantity_labels import FittedQuantity
from .readout_features import FeaturesOfNetwork, blocks_of
from .torch_network import GAIN

LINEAR = "linear head"
CHOSEN_ROWS = 1500  # of frames taken evenly, by which strengths are chosen
FEWEST_FRAMES = 5
MOST_ROWS = 10000  # whose products with each other are one matrix in memory


@dataclass(frozen=True)
class Rows:
    """Features and labels of all samples of some frames, 2 λ + 1 rows each; kinds are species, or one for all.

    Parameters
    ----------
    blocks : dict of str to ndarray of float64, shape (samples, 2 λ + 1, kinds, features)
        Of scalars without their means over the atoms of a kind.
    means : dict of str to ndarray of float64, shape (kinds, features)
        These means; zeros for tensors.
    counts : ndarray of float64, shape (samples, species)
        Atoms of each sample.
    values : ndarray of float64, shape (samples, 2 λ + 1, heads)
    scales : ndarray of float64, shape (samples,)
        Roots of the weights.
    frame : ndarray of int, shape (samples,)
    """

    blocks: dict[str, np.ndarray]
    means: dict[str, np.ndarray]
    counts: np.ndarray
    values: np.ndarray
    scales: np.ndarray
    frame: np.ndarray

    @property
    def order(self) -> int:
        """λ."""
        return self.values.shape[1] // 2

    def weighted(self, values: np.ndarray) -> np.ndarray:
        """Values of samples and components, (samples, 2 λ + 1, …), as rows of a least-squares problem (rows, …)."""
        scales = self.scales.reshape(-1, *[1] * (values.ndim - 1))
        return (scales * values).reshape(values.shape[0] * values.shape[1], -1)

    def of_frames(self, frames: np.ndarray) -> Rows:
        """Those of some frames."""
        own = np.isin(self.frame, frames)
        blocks = {name: block[own] for name, block in self.blocks.items()}
        return Rows(blocks, self.means, self.counts[own], self.values[own], self.scales[own], self.frame[own])

    def constants(self) -> np.ndarray:
        """Columns of constants of species, shape (rows, species); of tensors there are none."""
        is_scalar = float(self.order == 0)
        return self.weighted(np.repeat(self.counts[:, None], 2 * self.order + 1, axis=1) * is_scalar)


@dataclass(frozen=True)
class Solution:
    """Weights of one irrep.

    Parameters
    ----------
    strengths : dict of str to float
        Prior variance of what each block says, over that of the noise.
    weights : dict of str to ndarray of float64, shape (kinds, features, heads)
    constants : ndarray of float64, shape (species, heads)
    left_out : dict of int to ndarray of float64, shape (samples, 2 λ + 1, heads)
        By frame: what a fit to the others lacks, of the frames that chose the strengths.
    """

    strengths: dict[str, float]
    weights: dict[str, np.ndarray]
    constants: np.ndarray
    left_out: dict[int, np.ndarray]


def check_labels(own: FittedQuantity, frames: Sequence[Frame]) -> None:
    """Refuse labels that readouts cannot be solved from, before a network is trained.

    Raises
    ------
    ConfigurationError
        If there are labels of derivatives, fewer frames than can be left out by turns, or more rows than have products
        with each other in memory.
    """
    label, counted = derivative_label(own.quantity), [frame for frame in frames if frame.weight > 0]
    with_derivatives = sum(label in frame.labels for frame in counted) if label and own.length else 0
    if with_derivatives:
        raise ConfigurationError(
            f"ridge_readouts has '{own.name}' in [equivariant], and {with_derivatives} frames have {label}, which only "
            f"a training reads: leave it out, or say derivative_length = 0 in [{own.name}]"
        )
    largest = 2 * max(head.order for head in own.heads) + 1
    names = {name for name, one in labels().items() if one.quantity is own.quantity and name != label}
    found = [[frame.labels[name].size for name in names & frame.labels.keys()] for frame in counted]
    if (there := sum(map(bool, found))) < FEWEST_FRAMES:
        raise ConfigurationError(
            f"ridge_readouts has '{own.name}' in [equivariant], of which {there} frames have labels; frames are left "
            f"out by turns, and at least {FEWEST_FRAMES} are needed"
        )
    samples = sum(map(sum, found)) // own.quantity.form.size
    if samples * largest > MOST_ROWS:
        raise ConfigurationError(
            f"ridge_readouts has '{own.name}' in [equivariant] with {samples} labels, {largest} rows each; allowed are "
            f"at most {MOST_ROWS // largest} labels: leave it out, as a training learns from so many"
        )


def solved(rows: Rows) -> Solution:
    """The weights of all blocks together, each with a strength by which frames that are left out are said best."""
    frames = np.unique(rows.frame)
    some = rows
    if len(rows.frame) * (2 * rows.order + 1) > CHOSEN_ROWS:
        count = max(2, len(frames) * CHOSEN_ROWS // (len(rows.frame) * (2 * rows.order + 1)))
        some = rows.of_frames(frames[np.linspace(0, len(frames) - 1, count).astype(int)])
    constants = rows.constants()
    start = np.linalg.lstsq(constants, rows.weighted(rows.values), rcond=None)[0]

    def remainder(own: Rows) -> np.ndarray:
        return own.weighted(own.values) - own.constants() @ start

    unit = float(np.sqrt(np.mean(remainder(rows) ** 2))) or 1.0
    sizes = {name: float(np.mean(rows.weighted(block) ** 2) * block[0, 0].size) for name, block in rows.blocks.items()}
    used = [name for name, size in sizes.items() if size > 0]
    of_constants = float(np.mean(np.sum(constants**2, axis=1))) or 1.0

    def grams(own: Rows) -> Grams:
        blocks = {}
        for name in used:
            features = own.weighted(own.blocks[name])
            blocks[name] = features @ features.T / sizes[name]
        columns = own.constants()
        groups = np.repeat(own.frame, 2 * own.order + 1)
        return Grams(blocks, columns @ columns.T / of_constants, remainder(own) / unit, groups)

    chosen = grams(some)
    strengths, _ = chosen.choose()
    errors = chosen.left_out(strengths).reshape(some.values.shape) * unit / some.scales[:, None, None]
    left_out = {int(frame): errors[some.frame == frame] for frame in np.unique(some.frame)}
    whole = chosen if some is rows else grams(rows)
    solution = linalg.solve(whole.covariance(strengths), whole.targets, assume_a="pos") * unit
    weights = {
        name: (strengths[name] / sizes[name] * rows.weighted(block).T @ solution).reshape(*block.shape[2:], -1)
        for name, block in rows.blocks.items()
        if strengths.get(name)
    }
    of_rows = whole.strength_of_constants(strengths) / of_constants
    found = start + of_rows * constants.T @ solution
    for name, own in weights.items():
        found = found - np.einsum("kf,kfh->kh", rows.means[name], own)  # one kind is that of every species
    return Solution(strengths, weights, found, left_out)


def rows_of(
    problem: HeadProblem,
    frames: Sequence[Frame],
    network: FeaturesOfNetwork,
    metadata: object,
    keeps_linear: bool,
    is_shared: bool,
) -> Rows:
    """Features and labels of the heads of one irrep.

    Parameters
    ----------
    problem : HeadProblem
        With the model that has the network.
    frames : sequence of Frame
    network : FeaturesOfNetwork
    metadata : object
        As `targets_of` reads it.
    keeps_linear : bool
        Whether the features of linear heads are read, too.
    is_shared : bool
        Whether all species share weights of the network's readouts.
    """
    model, quantity, irrep = problem.model, problem.quantity, problem.irrep
    first = sum(own.components for own in quantity.form.irreps[: quantity.form.irreps.index(irrep)])
    found: dict[str, list[np.ndarray]] = {}
    counts, values, scales, of_frame = [], [], [], []
    for index, frame in enumerate(frames):
        if frame.weight == 0:
            continue
        batch = Batch.from_ase(frame.atoms)
        for target in targets_of(quantity, model, frame, metadata):
            is_known, part = target.labelled()
            known = int(is_known.sum())
            if not known:
                continue
            for name, block in network.blocks(batch, irrep.order, part, known).items():
                found.setdefault(name, []).append(block.sum(axis=2, keepdims=True) if is_shared else block)
            if keeps_linear:
                found.setdefault(LINEAR, []).append(linear_features(problem, batch, part, known))
            of_parts = np.zeros((known, len(model.numbers)))
            there = part >= 0
            np.add.at(of_parts, (part[there], model.species_indices(batch.numbers)[there]), 1.0)
            own = target.components[is_known, first : first + irrep.components].reshape(known, irrep.count, -1)
            counts.append(of_parts)
            values.append(own.swapaxes(1, 2))
            scales.append(np.sqrt(frame.weight) * target.scales[is_known])
            of_frame.append(np.full(known, index))
    atoms = np.concatenate(counts)
    blocks, means = {}, {}
    for name, parts in found.items():
        block = np.concatenate(parts)
        of_kinds = atoms if block.shape[2] > 1 or atoms.shape[1] == 1 else atoms.sum(axis=1, keepdims=True)
        means[name] = np.zeros(block.shape[2:])
        if irrep.order == 0:
            means[name] = block[:, 0].sum(axis=0) / np.maximum(of_kinds.sum(axis=0), 1.0)[:, None]
            block = block - of_kinds[:, None, :, None] * means[name]
        blocks[name] = block
    return Rows(blocks, means, atoms, np.concatenate(values), np.concatenate(scales), np.concatenate(of_frame))


def linear_features(problem: HeadProblem, batch: Batch, part: np.ndarray, parts: int) -> np.ndarray:
    """Features of linear heads times the roots of their prior variances, shape (parts, 2 λ + 1, species, features)."""
    model, shape, order = problem.model, problem.shape, problem.irrep.order
    density, species = model.density(batch)[0, :, : shape.harmonics], model.species_indices(batch.numbers)
    features = features_of_parts(order, shape, density, species, part, parts)
    return features.reshape(parts, 2 * order + 1, shape.species, -1) * roots_of_prior(problem)


def roots_of_prior(problem: HeadProblem) -> np.ndarray:
    """Expected deviations of the weights of linear heads, which are those of each species; 0 of their constants."""
    prior = problem.prior
    assert prior is not None
    own = prior[: len(prior) // len(problem.labelled)]
    return np.sqrt(np.where(np.isfinite(own), own, 0.0))


def with_solution(model: Model, problem: HeadProblem, solution: Solution) -> Model:
    """The model with the heads of one irrep as they were solved."""
    network, shape, order = model.equivariant, problem.shape, problem.irrep.order
    assert network is not None
    layers, heads = list(network.layers), dict(model.heads)
    for index, name in enumerate(problem.names):
        head, roots = empty_head(order, model.shape), roots_of_prior(problem)
        if LINEAR in solution.weights:
            of_species = solution.weights[LINEAR][..., index] * roots
            head = head_from_features(order, shape, of_species.ravel())
        heads[name] = replace(head, offset=solution.constants[:, index] if order == 0 else head.offset)
        for number, layer in enumerate(layers):
            kind = "tensors" if order else "scalars"
            readouts = getattr(layer, kind)
            plain, hidden = (np.zeros_like(own) for own in readouts[name])
            for block, place in blocks_of(layers, order).items():
                if place.layer == number and block in solution.weights:
                    target = hidden if place.is_nonlinear else plain
                    own = target[..., place.columns]
                    own[:] = solution.weights[block][..., index].reshape(-1, *own.shape[1:])
            changed: dict[str, Any] = {kind: {**readouts, name: (plain, GAIN * hidden)}}
            layers[number] = replace(layer, **changed)
    return replace(model, heads=heads, equivariant=replace(network, layers=layers))


def with_empty_readouts(model: Model, heads: Sequence[Head], seed: int) -> Model:
    """The model with readouts that give zero, of heads that the network was not trained for.

    Products Q of angular momenta that nothing has read so far get random weights: no label has told others, and as
    features of a ridge any are as good.
    """
    assert model.equivariant is not None
    random, layers = np.random.default_rng(seed), []
    highest = max(head.order for head in heads)
    for layer in model.equivariant.layers:
        if layer.l_read < highest:
            ends = [path[2] for path in four_body_paths(layer.l_max, highest)][layer.four.shape[1] :]
            scales = np.array([ends.count(order) ** -0.5 for order in ends])
            drawn = scales[:, None] * random.standard_normal((layer.species, len(ends), layer.channels))
            layer = replace(layer, l_read=highest, four=np.concatenate([layer.four, drawn], axis=1))
        width, channels = layer.widths[-1], 3 * layer.channels
        own: dict[str, dict[str, tuple[np.ndarray, np.ndarray]]] = {"scalars": {}, "tensors": {}}
        for head in heads:
            sizes: tuple[tuple[int, ...], tuple[int, ...]] = (channels,), (width, channels)
            if head.order == 0:
                sizes = (number_of_scalars(layer.l_max, layer.channels),), (width,)
            plain, hidden = (np.zeros((layer.species, *size)) for size in sizes)
            own["tensors" if head.order else "scalars"][head.name] = plain, hidden
        changed: dict[str, Any] = {kind: {**getattr(layer, kind), **found} for kind, found in own.items()}
        layers.append(replace(layer, **changed))
    return replace(model, equivariant=replace(model.equivariant, layers=layers))


def with_ridge_readouts(
    model: Model, frames: Sequence[Frame], own: FittedQuantity, configuration: Configuration
) -> tuple[Model, dict[str, Any]]:
    """The model with readouts of a quantity that are solved, and what is told of them.

    Parameters
    ----------
    model : Model
        With a trained network.
    frames : sequence of Frame
        With labels; those without any do not count.
    own : FittedQuantity
    configuration : Configuration

    Returns
    -------
    Model
    dict
        ``left_out``: root mean square error of frames that are left out by turns, in the unit of the quantity;
        ``strengths`` of all blocks, by head.
    """
    settings = configuration.equivariant
    assert settings is not None
    network, solved_model = FeaturesOfNetwork(model), model
    told: dict[str, dict[str, float]] = {}
    errors: dict[int, list[np.ndarray]] = {}
    for irrep in (one for one in own.quantity.form.irreps if one.parity == 1):
        problem = HeadProblem.of(own.quantity.part(irrep), model, frames, configuration)
        is_shared = settings.shares_weights(len(model.numbers))
        rows = rows_of(problem, frames, network, own.metadata, settings.keeps_linear(own.name), is_shared)
        solution = solved(rows)
        solved_model = with_solution(solved_model, problem, solution)
        told[problem.name] = {name: float(f"{value:.3g}") for name, value in solution.strengths.items()}
        for frame, found in solution.left_out.items():
            errors.setdefault(frame, []).append(-found.swapaxes(1, 2).reshape(len(found), -1))
    left_out = own.errors_of_samples(model, frames, {n: np.concatenate(e, axis=1) for n, e in errors.items()})
    return solved_model, {"left_out": left_out, "strengths": told}
