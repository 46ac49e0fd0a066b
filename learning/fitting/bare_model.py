"""A model before its heads: species, density, the guard against short distances, and what its training has seen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from ase.data import chemical_symbols

from ...model import Batch, Model
from ...model.checks import CLOSEST_ALLOWED
from ...model.model import Repulsion
from ...model.outputs import empty_head
from ...model.radial import RadialBasis, RadialForm
from ...pyx.tensor_head import DensityShape
from ..data import DataError, Frame, species_of
from ..data.distances import shortest_by_species
from .configuration import Configuration, ConfigurationError, DensitySettings
from .long_range.columns import bare_long_range
from .sections import RepulsionSettings


def bare_model(configuration: Configuration, frames: list[Frame]) -> Model:
    """The model before its heads: species, density and repulsion, with an energy that is the repulsion's alone."""
    numbers = species_of(frames)
    density = configuration.density
    basis, groups = radial_basis(density, len(numbers)), neighbour_groups(density, len(numbers))
    shape = density_shape(density, len(numbers))
    return Model(
        numbers,
        density.l_max,
        basis,
        {"energy": empty_head(0, shape)},
        guard(configuration.repulsion, numbers, frames),
        has_local_field(configuration),
        groups=groups,
        long_range=bare_long_range(configuration.lode, len(numbers), density.cutoff),
    )


def guard(settings: RepulsionSettings, numbers: tuple[int, ...], frames: list[Frame]) -> Repulsion:
    """The short-range guard of every pair of species.

    Raises
    ------
    ConfigurationError
        If a pair is named whose species the frames do not have.
    """
    shortest = shortest_distances(numbers, frames)
    fractions = _of_pairs(settings.onset_fraction, settings.onset_fractions, numbers, "onset_fractions")
    strengths = _of_pairs(settings.strength, settings.strengths, numbers, "strengths")
    return Repulsion(fractions * shortest, strengths if settings.strengths else settings.strength)


def _of_pairs(usual: float, own: Mapping[str, float], numbers: tuple[int, ...], name: str) -> np.ndarray:
    """A number for every pair of species, shape (species, species), some of which are named."""
    symbols = [chemical_symbols[number] for number in numbers]
    values = np.full((len(numbers), len(numbers)), usual)
    named: dict[frozenset[str], str] = {}
    for pair, value in own.items():
        species = pair.split("-")
        if (before := named.setdefault(frozenset(species), pair)) != pair:
            raise ConfigurationError(
                f"{name} in [repulsion] names '{before}' and '{pair}', which are one pair; once is needed"
            )
        if len(species) != 2 or not set(species) <= set(symbols):
            raise ConfigurationError(
                f"{name} in [repulsion] names the pair '{pair}'; pairs of {symbols} are needed, as "
                f"{symbols[0]}-{symbols[-1]}"
            )
        first, second = map(symbols.index, species)
        values[first, second] = values[second, first] = value
    return values


def has_local_field(configuration: Configuration) -> bool:
    """Whether quantities with a map of the cell are fitted before it.

    Raises
    ------
    ConfigurationError
        If two of them say different things.
    """
    said = {name: own.local_field for name, own in configuration.quantities.items() if hasattr(own, "local_field")}
    if len(set(said.values())) > 1:
        raise ConfigurationError(f"local_field is {said}; it must be the same for all quantities of a model")
    return next(iter(said.values()), True)


def neighbour_groups(settings: DensitySettings, species: int) -> tuple[int, ...]:
    """Group of every species: one for all if they share chemical channels, else its own."""
    return (0,) * species if settings.chemical_channels else tuple(range(species))


def radial_basis(settings: DensitySettings, species: int) -> RadialBasis:
    """Radial functions, the same for every centre."""
    form = RadialForm(
        settings.cutoff, settings.warp_length, settings.innermost, settings.decay_length, settings.decay_power
    )
    if settings.chemical_channels:
        return RadialBasis.of_chemical_channels(form, species, settings.radial, settings.chemical_channels)
    return RadialBasis.of_primitives(form, species, settings.radial)


def shortest_distances(numbers: tuple[int, ...], frames: Iterable[Frame]) -> np.ndarray:
    """Shortest distance in Å of every pair of species in the frames; 0 for a pair that does not occur.

    Raises
    ------
    DataError
        If two atoms are nearer than any model answers for.
    """
    shortest = np.full((len(numbers), len(numbers)), np.inf)
    for frame in frames:
        for pair, distance in shortest_by_species(frame.atoms).items():
            if distance < CLOSEST_ALLOWED:
                names = "–".join(chemical_symbols[number] for number in pair)
                raise DataError(
                    f"{frame.name}: {names} are {distance:.3f} Å apart; at least {CLOSEST_ALLOWED} Å is needed"
                )
            first, second = np.searchsorted(numbers, pair)
            shortest[first, second] = shortest[second, first] = min(shortest[first, second], distance)
    return np.where(np.isfinite(shortest), shortest, 0.0)


def envelope(model: Model, frames: Iterable[Frame]) -> dict[str, list]:
    """Range of every two-body density seen in training, per species: outside it the model extrapolates."""
    return envelope_of(model, (Batch.from_ase(frame.atoms) for frame in frames))


def envelope_of(model: Model, batches: Iterable[Batch]) -> dict[str, list]:
    """The same of batches."""
    shape = model.shape
    low = np.full((shape.species, shape.channels), np.inf)
    high = -low
    for batch in batches:
        species = model.species_indices(batch.numbers)
        for scalars in model.density(batch)[:, :, 0]:
            np.minimum.at(low, species, scalars)
            np.maximum.at(high, species, scalars)
    return {"two_body_low": low.tolist(), "two_body_high": high.tolist()}


def density_shape(settings: DensitySettings, species: int) -> DensityShape:
    """Sizes of the density of a model of so many species."""
    functions = settings.radial * max(settings.chemical_channels, 1)
    return DensityShape(species, functions, settings.l_max, 1 if settings.chemical_channels else species)
