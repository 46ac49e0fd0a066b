"""Vibrational density of states of each species, from velocities."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from .conditions import Conditions
from .estimates import Estimate, jackknife
from .spectrum import Column, Spectrum, notes_of
from .transform import even_transform, wavenumbers
from .units import SPEED_OF_LIGHT
from .window import Window


def density_of_states(
    velocities: Mapping[str, Estimate],
    atoms: Mapping[str, int],
    conditions: Conditions,
    window: Window,
    wavenumber: np.ndarray | None = None,
) -> Spectrum:
    """Vibrational density of states, normalised so that each species integrates to its three degrees of freedom.

    g(ν̃) = 2c · 3N · FT⟨v v(t)⟩/⟨v v⟩, so that ∫_0^∞ g dν̃ = 3N (Allen and Tildesley, Computer Simulation of Liquids,
    section 2.7).

    Parameters
    ----------
    velocities : mapping of str to Estimate
        ⟨Σ v(0)·v(t)⟩ of the atoms of each species, in any unit; of the centroids for path integrals.
    atoms : mapping of str to int
        Number of atoms of each species.
    conditions : Conditions
    window : Window
    wavenumber : ndarray of float64, optional
        In cm⁻¹, equally spaced from 0; up to 5000 cm⁻¹ by default.

    Returns
    -------
    Spectrum
        A column for each species, and ``total``, in cm (per cm⁻¹).
    """
    grid = wavenumbers(conditions.timestep) if wavenumber is None else wavenumber
    species = list(velocities)

    def columns(*series: np.ndarray) -> np.ndarray:
        parts = [
            even_transform(values / values[..., :1], conditions.timestep, window, grid)
            * (2 * SPEED_OF_LIGHT * 3 * atoms[name])
            for name, values in zip(species, series, strict=True)
        ]
        return np.stack([*parts, sum(parts)], axis=-2)

    values, errors = jackknife(columns, *velocities.values())
    data = {name: Column(values[k], errors[k], "cm") for k, name in enumerate([*species, "total"])}
    notes = notes_of(conditions, window, next(iter(velocities.values())))
    notes["normalisation"] = "each species integrates to three degrees of freedom for each of its atoms"
    return Spectrum("dos", "Vibrational density of states", grid, data, notes)
