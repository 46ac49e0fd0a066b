"""What an atom knows of its surroundings: a few channels of its density, and of the products of two of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ...short_repr import short_repr
from .coupled import Part, Parts, coupled

ROUNDING = 1e-12  # of a mean square
ONE: Part = (0, 1)  # of what does not turn


@dataclass(frozen=True, repr=False)
class Surroundings:
    """Equivariant features of atoms of one species.

    ``A = c U`` takes the density's channels to a few for each l; ``B = [A ⊗ A] V`` is the λ-SOAP product of two, both
    parities, taken to a few for each λ.  U and V are principal components of the training data.

    Parameters
    ----------
    channels : mapping of Part to ndarray
        U of every (l, 1), shape (channels of the density, few).
    products : mapping of Part to ndarray
        V of every (λ, parity), shape (products, few).
    channel_means, product_means : ndarray of float64, shape (few,)
        What is taken off A and B of λ = 0, so that they are small where an atom is as in the training.
    """

    channels: Mapping[Part, np.ndarray]
    products: Mapping[Part, np.ndarray]
    channel_means: np.ndarray
    product_means: np.ndarray

    __repr__ = short_repr

    def linear(self, density: np.ndarray) -> dict[Part, np.ndarray]:
        """A of densities (rows, harmonics, channels)."""
        found = {part: density[:, _place(part)] @ own for part, own in self.channels.items()}
        found[ONE] -= self.channel_means
        return found

    def parts(self, linear: Parts) -> dict[Part, np.ndarray]:
        """1, A and B side by side, by λ and parity."""
        rows = len(next(iter(linear.values())))
        found = {}
        for part in dict.fromkeys([ONE, *linear, *self.products]):
            own = [np.ones((rows, 1, 1))] if part == ONE else []
            own += [linear[part]] if part in linear else []
            if part in self.products:
                own += [
                    coupled(linear, linear, part) @ self.products[part] - (self.product_means if part == ONE else 0)
                ]
            found[part] = np.concatenate(own, axis=2)
        return found


def _place(part: Part) -> slice:
    """Where the components of λ stand among harmonics."""
    return slice(part[0] ** 2, (part[0] + 1) ** 2)


def principal_components(
    features: np.ndarray, few: int, size: float, smallest: float = 1e-9
) -> tuple[np.ndarray, np.ndarray]:
    """Directions in which features vary most, scaled so that the first has a mean square of 1, and means along them.

    Parameters
    ----------
    features : ndarray of float64, shape (rows, 2 λ + 1, features)
        Those of λ = 0 vary about their mean, others about zero, since they turn.
    few : int
        At most so many.
    size : float
        Mean square of what such features are made of: what varies by its rounding only is no component.
    smallest : float
        None whose mean square is less than this part of the first's.

    Returns
    -------
    directions : ndarray of float64, shape (features, components)
    means : ndarray of float64, shape (components,)
        Zeros for λ > 0.
    """
    if not features.size:  # as of atoms that are always alone, whose density is a scalar
        return np.zeros((features.shape[2], 0)), np.zeros(0)
    rows = features.reshape(-1, features.shape[2])
    mean = rows.mean(axis=0) if features.shape[1] == 1 else np.zeros(rows.shape[1])
    squares, directions = _squares_and_directions(rows - mean)
    squares, directions = squares[::-1][:few], directions[:, ::-1][:, :few]
    kept = squares > max(smallest * squares[0], ROUNDING * size)
    directions = directions[:, kept] / np.sqrt(squares[0]) if kept.any() else directions[:, :0]
    return directions, mean @ directions


def _squares_and_directions(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean squares along principal directions, ascending, and these, shape (features, directions).

    Of fewer rows than features those of the rows' products with each other, which have the same squares.
    """
    count, features = rows.shape
    if count >= features:
        return np.linalg.eigh(rows.T @ rows / count)
    squares, mixtures = np.linalg.eigh(rows @ rows.T / count)
    return squares, rows.T @ (mixtures / np.sqrt(np.maximum(squares, np.finfo(float).tiny) * count))


def fitted_surroundings(density: np.ndarray, l_max: int, few_channels: int, few_products: int) -> Surroundings:
    """Principal components of densities of one species, shape (rows, harmonics, channels), and of their products.

    Parameters
    ----------
    density : ndarray of float64
        Of atoms of the training frames.
    l_max : int
        Highest l of A and λ of B, at most that of the density.
    few_channels, few_products : int
        At most so many components of each.
    """
    channels, products, means = {}, {}, {}
    size = float((density[:, 0] ** 2).sum(axis=1).mean())
    for l in range(l_max + 1):  # noqa: E741
        channels[l, 1], means[l] = principal_components(density[:, l * l : (l + 1) ** 2], few_channels, size)
    linear = Surroundings(channels, {}, means[0], np.zeros(0)).linear(density)
    product_means = np.zeros(0)
    for part in ((order, parity) for order in range(l_max + 1) for parity in (1, -1) if order or parity == 1):
        own = coupled(linear, linear, part)
        found, mean = principal_components(own, few_products, 1.0)
        if found.shape[1]:
            products[part] = found
            product_means = mean if part == ONE else product_means
    return Surroundings(channels, products, means[0], product_means)
