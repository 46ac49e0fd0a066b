"""A surface of free energy over two variables, of samples that are drawn from a known density under a known bias.

python docs/pictures/enhanced_sampling/surface.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from beadwise.sampling import BiasedSeries
from beadwise.sampling.surfaces.plot import plot_surfaces
from beadwise.sampling.surfaces.surface import free_energy_surface

IMAGE = Path(__file__).with_name("surface.png")
SAMPLES = 40_000
EDGES = (np.linspace(-1.6, 1.6, 33), np.linspace(-1.2, 1.6, 29))


def energy(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Two wells on a bent path, in k_B T."""
    return 2.5 * (x**2 - 1) ** 2 + 3 * (y - 0.4 * x**2 + 0.3 * x) ** 2


def bias(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """What lowers the barrier, in k_B T."""
    return -1.5 * (x**2 - 1) ** 2 + 0.6 * x * y


def main() -> None:
    """Draw samples, and the picture."""
    random = np.random.default_rng(4)
    fine = np.linspace(-2.4, 2.4, 401)
    x, y = np.meshgrid(fine, fine, indexing="ij")
    weights = np.exp(-energy(x, y) - bias(x, y)).ravel()
    places = random.choice(len(weights), SAMPLES, p=weights / weights.sum())
    x, y = x.ravel()[places], y.ravel()[places]
    surface = free_energy_surface([BiasedSeries(x[:, None], bias(x, y))], [y[:, None]], EDGES, 300.0)
    plot_surfaces({"classical": surface}, IMAGE, ("s", "t"))


if __name__ == "__main__":
    main()
