"""Surfaces of free energy over two collective variables, with standard errors.

A cell of the plane is a bin like any other: cells are numbered, and all that is done for profiles along one variable,
weights, blocks, MBAR, is done over their numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
from ase.units import kB

from ...whole_files import write_table
from ..biased_series import BiasedSeries
from ..errors import SamplingError
from ..multistate import Window
from ..profile import FreeEnergyProfile, series_profile, window_profile

OUTSIDE = -1  # number of the cell of what is in none
Run = TypeVar("Run", BiasedSeries, Window)


@dataclass(frozen=True)
class FreeEnergySurface:
    """F(s, t) = −k_B T ln p(s, t), p being normalised over the ranges; its lowest value is zero.

    Parameters
    ----------
    edges : tuple of ndarray of float64, shapes (rows + 1,) and (columns + 1,)
        Of the cells along the first and the second variable, in their units.
    free_energy : ndarray of float64, shape (rows, columns)
        In eV; not a number where nothing was sampled.
    standard_error : ndarray of float64, shape (rows, columns)
        Of −k_B T ln p(s, t), in eV; the constant that makes the lowest value zero is not part of it.  Not a number
        where it is not known.
    temperature : float
        In K.
    samples, blocks, beads : int
    effective_samples : float
        Samples of equal weight that would be worth as much (Kish).
    notes : mapping of str to str
    """

    edges: tuple[np.ndarray, np.ndarray]
    free_energy: np.ndarray
    standard_error: np.ndarray
    temperature: float
    samples: int
    effective_samples: float
    blocks: int
    beads: int
    notes: Mapping[str, str] = field(default_factory=dict)

    @property
    def coordinates(self) -> tuple[np.ndarray, np.ndarray]:
        """Centres of the cells along the first and the second variable."""
        first, second = ((own[1:] + own[:-1]) / 2 for own in self.edges)
        return first, second

    @property
    def density(self) -> np.ndarray:
        """p(s, t) with the integral one over the ranges, shape (rows, columns)."""
        density = np.exp(-np.nan_to_num(self.free_energy, nan=np.inf) / (kB * self.temperature))
        areas = np.outer(*map(np.diff, self.edges))
        return np.asarray(density / (density * areas).sum())


def cell_numbers(first: np.ndarray, second: np.ndarray, edges: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Number of the cell that each pair of values is in, row by row; −1 for none.

    Parameters
    ----------
    first, second : ndarray of float64, shape (samples, beads)
        Of the same samples and beads.
    edges : tuple of ndarray of float64, shapes (rows + 1,) and (columns + 1,)
        The last cell includes its upper edge, the others do not.

    Returns
    -------
    ndarray of float64, shape (samples, beads)

    Raises
    ------
    SamplingError
        If shapes differ, or edges are not at least two finite numbers that increase.
    """
    if np.shape(first) != np.shape(second):
        raise SamplingError(f"two variables have the shapes {np.shape(first)} and {np.shape(second)}; both need one")
    places = []
    for values, own in zip((first, second), edges, strict=True):
        if np.ndim(own) != 1 or len(own) < 2 or not np.isfinite(own).all() or (np.diff(own) <= 0).any():
            raise SamplingError("edges of cells must be at least two finite numbers that increase")
        place = np.searchsorted(own, values, side="right") - 1
        place[values == own[-1]] -= 1
        places.append(np.where((place >= 0) & (place < len(own) - 1), place, OUTSIDE))
    inside = (places[0] >= 0) & (places[1] >= 0)
    return np.where(inside, places[0] * (len(edges[1]) - 1) + places[1], OUTSIDE).astype(np.float64)


def free_energy_surface(
    first: Sequence[Run],
    second: Sequence[np.ndarray],
    edges: tuple[np.ndarray, np.ndarray],
    temperature: float,
    blocks: int = 16,
    independent: bool = True,
) -> FreeEnergySurface:
    """The surface of runs that each have a bias of their own, or of umbrella windows, joined by MBAR.

    Parameters
    ----------
    first : sequence of BiasedSeries, or of Window
        Runs with values of the first variable.
    second : sequence of ndarray of float64, shape (samples, beads)
        Values of the second variable, of the same samples of each run.
    edges : tuple of ndarray of float64, shapes (rows + 1,) and (columns + 1,)
        Values outside are left out.
    temperature : float
        In K.
    blocks : int
        Contiguous parts of every run that errors come from; see `series_profile`.
    independent : bool
        Whether runs are; walkers that deposit into one bias are not.

    Raises
    ------
    SamplingError
        If samples do not belong together, are fewer than blocks, or none is inside the edges.
    """
    pairs = zip(first, second, strict=True)
    numbered = [replace(run, values=cell_numbers(run.values, own, edges)) for run, own in pairs]
    shape = (len(edges[0]) - 1, len(edges[1]) - 1)
    cells = np.arange(shape[0] * shape[1] + 1) - 0.5
    if not any((run.values >= 0).any() for run in numbered):
        ends = [np.concatenate([np.ravel(own) for own in runs]) for runs in ([run.values for run in first], second)]
        sampled = " and ".join(f"{own.min():g} to {own.max():g}" for own in ends)
        raise SamplingError(f"no sample is inside the ranges; values go from {sampled}")
    profile: FreeEnergyProfile
    if isinstance(numbered[0], Window):
        windows = [run for run in numbered if isinstance(run, Window)]
        profile = window_profile(windows, cells, temperature, blocks)
    else:
        series = [run for run in numbered if isinstance(run, BiasedSeries)]
        profile = series_profile(series, cells, temperature, blocks, independent)
    # cells have one size each, which the numbers do not know of
    areas = kB * temperature * np.log(np.outer(*map(np.diff, edges)))
    free_energy = profile.free_energy.reshape(shape) + areas
    return FreeEnergySurface(
        edges=edges,
        free_energy=free_energy - np.nanmin(free_energy),
        standard_error=profile.standard_error.reshape(shape),
        temperature=temperature,
        samples=profile.samples,
        effective_samples=profile.effective_samples,
        blocks=profile.blocks,
        beads=profile.beads,
        notes=profile.notes,
    )


def write_surfaces(surfaces: Mapping[str, FreeEnergySurface], path: Path, variables: tuple[str, str]) -> None:
    """Write comma-separated values, a row for each cell; the notes come first, each in a line that begins with ``#``.

    Parameters
    ----------
    surfaces : mapping of str to FreeEnergySurface
        By their names; all with the same edges.
    path : Path
        The file is replaced at once, so that a reader never sees half of it.
    variables : tuple of str
        Headers of the first two columns.

    Raises
    ------
    SamplingError
        If there is no surface.
    """
    if not surfaces:
        raise SamplingError("there is no surface; at least one is needed")
    found = next(iter(surfaces.values()))
    said = [f"free energy over {' and '.join(variables)}"]
    header = list(variables)
    arrays = [own.ravel() for own in np.meshgrid(*found.coordinates, indexing="ij")]
    for name, surface in surfaces.items():
        said += [f"{name}, {topic}: {note}" for topic, note in surface.notes.items()]
        header += [f"{name} free energy (eV)", f"{name} standard error (eV)"]
        arrays += [surface.free_energy.ravel(), surface.standard_error.ravel()]
    write_table(path, said, [header, *([f"{value:.7g}" for value in row] for row in np.stack(arrays, axis=1))])
