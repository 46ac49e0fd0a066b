"""From coefficients to a model: principal components of features, then all blocks at once in the metric of the density.

The loss is Σ_frames (c − c_ref)ᵀ M (c − c_ref), which is the integral of δρ², or its Coulomb energy, and not |δc|²:
functions overlap, and coefficients of neighbours that are wrong together may mean the same density (A. Grisafi et al.,
ACS Cent. Sci. 5, 57 (2019), section 2; A. M. Lewis, A. Grisafi, M. Ceriotti, M. Rossi, J. Chem. Theory Comput. 17, 7203
(2021), equations 13 to 16).  So the weights of all species and l are coupled by M.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from ....model import Model
from ....model.electron_density.basis import Functions
from ....model.electron_density.features import atomic_features
from ....model.electron_density.integrals import Metric, metric_matrix
from ....model.electron_density.model import DensityModel
from ....model.orbitals.surroundings import Surroundings, principal_components
from ....progress import Progress
from ...data import DataError
from ..memory import available_memory, size
from ..orbitals.atoms import density_model, surroundings_of
from .labels import Densities, pieces_of
from .sections import ElectronDensityConfiguration

FRAMES_AT_A_TIME = 16
MOST_ROWS = 4000  # of features of one species and λ, for their principal components
SMALLEST_COMPONENT = 1e-13  # in mean square, of the largest
TOLERANCE, MOST_STEPS = 1e-9, 2000  # of the conjugate gradients: of the right side, and of steps
STAGE = "electron density"
Kind = tuple[int, int]  # species and l
Weights = dict[Kind, np.ndarray]


def fit_electron_density(
    configuration: ElectronDensityConfiguration, training: Sequence[Densities], progress: Progress | None = None
) -> DensityModel:
    """Fit a density.

    Parameters
    ----------
    configuration : ElectronDensityConfiguration
    training : sequence of Densities
    progress : Progress, optional
        Told of the steps of the solution.

    Raises
    ------
    DataError
        If the equations cannot be solved, or need more memory than there is.
    """
    settings, basis = configuration.electron_density, configuration.basis
    seen = {int(number) for own in training for number in own.batch.numbers}
    basis = type(basis)(
        {number: own for number, own in basis.shells.items() if number in seen},
        {number: own for number, own in basis.electrons.items() if number in seen},
    )
    density = density_model(configuration.density, basis.numbers)
    surroundings = surroundings_of(
        density, basis.numbers, [own.batch for own in training], settings.l_max, settings.channels, settings.products
    )
    components = components_of(density, surroundings, settings.few, settings.features, training)
    _check_memory(components, settings.features, training)
    equations = Equations(components, density, surroundings, settings.few, settings.metric, settings.ridge, training)
    weights = equations.solve(progress)
    metadata = dict(configuration.metadata)
    if configuration.data.charge:
        metadata["charge"] = configuration.data.charge
    whole = {kind: components[kind].whole(own) for kind, own in weights.items()}
    return DensityModel(basis, density, surroundings, settings.few, whole, settings.metric, metadata)


@dataclass(frozen=True)
class Components:
    """Principal components of the features of one species and λ, and what is always 1 where λ = 0.

    Parameters
    ----------
    directions : ndarray of float64, shape (features, components)
    means : ndarray of float64, shape (components,)
    is_scalar : bool
        Whether λ = 0.
    """

    directions: np.ndarray
    means: np.ndarray
    is_scalar: bool

    def of(self, features: np.ndarray) -> np.ndarray:
        """Components of features (rows, 2 λ + 1, features), for λ = 0 with the 1 behind them."""
        found = features @ self.directions - self.means
        return np.concatenate([found, np.ones((*found.shape[:2], 1))], axis=2) if self.is_scalar else found

    def whole(self, weights: np.ndarray) -> np.ndarray:
        """Weights of the features themselves, the first of which is 1 where λ = 0, from those of the components."""
        count = len(self.means)
        found = self.directions @ weights[:count]
        if self.is_scalar:
            found[0] += weights[count] - self.means @ weights[:count]
        return found


def components_of(
    density: Model,
    surroundings: Mapping[int, Surroundings],
    few: int,
    most: int,
    training: Sequence[Densities],
) -> dict[Kind, Components]:
    """Principal components of features of every species and l of the functions."""
    basis, found = training[0].functions.basis, {}
    for number in density.numbers:
        own = [piece for piece in training if (piece.batch.numbers == number).any()]
        frames = sum(piece.batch.beads for piece in own)
        for order in sorted(set(basis.momenta(number))):
            atoms = max(int((piece.batch.numbers == number).sum()) for piece in own)
            step = max(1, -(-frames * atoms * (2 * order + 1) // MOST_ROWS))
            chosen = [piece.part(np.arange(0, piece.batch.beads, step)) for piece in own]
            rows = np.concatenate(
                [
                    atomic_features(density, surroundings, few, piece.batch, number, [order])[order]
                    for piece in pieces_of(chosen, FRAMES_AT_A_TIME)
                ]
            )
            found[number, order] = Components(*principal_components(rows, most, 1.0, SMALLEST_COMPONENT), order == 0)
    return found


def _check_memory(components: Mapping[Kind, Components], most: int, training: Sequence[Densities]) -> None:
    """Refuse what would not fit: the components of all features, and a metric for each frame.

    Raises
    ------
    DataError
    """
    need = 0
    for own in training:
        columns = {kind: len(one.means) + one.is_scalar for kind, one in components.items()}
        rows = {(number, order): (own.batch.numbers == number).sum() * (2 * order + 1) for number, order in columns}
        numbers = sum(int(rows[kind]) * count for kind, count in columns.items()) + own.functions.count**2
        need += own.batch.beads * numbers * np.dtype(float).itemsize
    there = available_memory()
    if there is not None and need > there:
        frames = sum(own.batch.beads for own in training)
        raise DataError(
            f"features = {most} in [electron_density] makes {size(need)} for {frames} frames, and {size(there)} are "
            "there; take fewer features or frames"
        )


@dataclass
class _Frames:
    """Frames of one molecule with the components of their features, shape (frames, atoms, 2 l + 1, components)."""

    own: Densities
    features: Weights
    metrics: np.ndarray

    def predicted(self, weights: Weights) -> np.ndarray:
        """Coefficients, shape (frames, functions)."""
        found = np.zeros((self.own.batch.beads, self.own.functions.count))
        for kind, features in self.features.items():
            found[:, self.own.functions.places(*kind)] = (features @ weights[kind]).swapaxes(2, 3)
        return found

    def add_adjoint(self, adjoint: np.ndarray, of_weights: Weights) -> None:
        """Add what an adjoint of the coefficients says of the weights."""
        for kind, features in self.features.items():
            values = adjoint[:, self.own.functions.places(*kind)].swapaxes(2, 3)
            of_weights[kind] += np.tensordot(features, values, axes=([0, 1, 2], [0, 1, 2]))


class Equations:
    """Normal equations of the weights of all species and l, coupled by the metric, and their solution.

    The regularisation is κ tr(wᵀ w m) for each species and l, with the metric m between the shells of one atom.  Then
    (XᵀX + κ) ⊗ m is on the diagonal, by which the conjugate gradients are preconditioned; what is left couples atoms.
    What is always 1 is not penalised.

    Parameters
    ----------
    components : mapping of (int, int) to Components
    density, surroundings, few
        Of `atomic_features`.
    metric : str
    ridge : float
        κ over the sum of squares of the components, the mean over rows.
    training : sequence of Densities
    """

    def __init__(
        self,
        components: Mapping[Kind, Components],
        density: Model,
        surroundings: Mapping[int, Surroundings],
        few: int,
        metric: Metric,
        ridge: float,
        training: Sequence[Densities],
    ):
        self.components, self.training, self.ridge = components, training, ridge
        self.basis = training[0].functions.basis
        self.metric: Metric = metric
        self.frames = [self._of(own, density, surroundings, few) for own in pieces_of(training, FRAMES_AT_A_TIME)]

    def _of(self, own: Densities, density: Model, surroundings: Mapping[int, Surroundings], few: int) -> _Frames:
        features: Weights = {}
        for number in np.unique(own.batch.numbers).tolist():
            orders = sorted(set(self.basis.momenta(number)))
            for order, found in atomic_features(density, surroundings, few, own.batch, number, orders).items():
                rows = self.components[number, order].of(found)
                features[number, order] = rows.reshape(own.batch.beads, len(rows) // own.batch.beads, *rows.shape[1:])
        return _Frames(own, features, own.metrics(self.metric))

    def zeros(self) -> Weights:
        """Weights of nothing."""
        return {
            (number, order): np.zeros((len(own.means) + own.is_scalar, len(self.basis.of_momentum(number, order))))
            for (number, order), own in self.components.items()
        }

    @cached_property
    def right(self) -> Weights:
        """Xᵀ M c of the labels."""
        found = self.zeros()
        for own in self.frames:
            own.add_adjoint(_times(own.metrics, own.own.coefficients), found)
        return found

    def applied(self, weights: Weights) -> Weights:
        """(XᵀMX + κ ⊗ m) w."""
        found = self.zeros()
        for own in self.frames:
            own.add_adjoint(_times(own.metrics, own.predicted(weights)), found)
        for kind, values in weights.items():
            found[kind] += self.penalties[kind][:, None] * (values @ self.on_site[kind])
        return found

    @cached_property
    def grams(self) -> Weights:
        """XᵀX of the components of each species and l."""
        found = {kind: np.zeros((len(own), len(own))) for kind, own in self.zeros().items()}
        for own in self.frames:
            for kind, features in own.features.items():
                rows = features.reshape(int(np.prod(features.shape[:3])), features.shape[3])
                found[kind] += rows.T @ rows
        return found

    @cached_property
    def penalties(self) -> Weights:
        """κ of each component: the same for all, and 0 for what is always 1."""
        found = {}
        for kind, gram in self.grams.items():
            shapes = [own.features[kind].shape for own in self.frames if kind in own.features]
            rows = sum(frames * atoms * functions for frames, atoms, functions, _ in shapes)
            count = len(self.components[kind].means)
            found[kind] = np.zeros(len(gram))
            found[kind][:count] = self.ridge * np.trace(gram[:count, :count]) / rows
        return found

    @cached_property
    def on_site(self) -> Weights:
        """The metric between the shells of one atom, by species and l."""
        found = {}
        for number, order in self.components:
            alone = np.array([number])
            places = Functions(self.basis, alone).places(number, order)[0, :, 0]
            found[number, order] = metric_matrix(self.basis, alone, np.zeros((1, 1, 3)), self.metric)[0][
                np.ix_(places, places)
            ]
        return found

    def solve(self, progress: Progress | None = None) -> Weights:
        """Weights by preconditioned conjugate gradients (M. R. Hestenes, E. Stiefel, J. Res. NBS 49, 409 (1952)).

        Raises
        ------
        DataError
            If they do not come to an end.
        """
        grams = {kind: cho_factor(own + np.diag(self.penalties[kind])) for kind, own in self.grams.items() if len(own)}
        metrics = {kind: cho_factor(own) for kind, own in self.on_site.items()}

        def preconditioned(rest: Weights) -> Weights:
            return {
                kind: cho_solve(metrics[kind], cho_solve(grams[kind], own).T).T if kind in grams else own
                for kind, own in rest.items()
            }

        weights, rest = self.zeros(), {kind: own.copy() for kind, own in self.right.items()}
        guess = preconditioned(rest)
        direction, size = guess, _product(rest, guess)
        first = size
        for step in range(MOST_STEPS):
            if size <= TOLERANCE**2 * first:
                return weights
            image = self.applied(direction)
            length = size / _product(direction, image)
            weights = {kind: own + length * direction[kind] for kind, own in weights.items()}
            rest = {kind: own - length * image[kind] for kind, own in rest.items()}
            guess = preconditioned(rest)
            before, size = size, _product(rest, guess)
            direction = {kind: own + size / before * direction[kind] for kind, own in guess.items()}
            if progress is not None:
                progress(STAGE, step + 1, 0, f"residual {np.sqrt(max(size, 0.0) / first):.1e}")
        raise DataError(
            f"the weights of the density are not found after {MOST_STEPS} steps, with a residual of "
            f"{np.sqrt(max(size, 0.0) / first):.1e}; a larger ridge in [electron_density] than {self.ridge:g} helps"
        )


def _times(metrics: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
    return (metrics @ coefficients[:, :, None])[:, :, 0]


def _product(first: Weights, second: Weights) -> float:
    return float(sum((own * second[kind]).sum() for kind, own in first.items()))
