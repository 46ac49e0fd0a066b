"""One linear head: which rows a frame adds to its normal equations, and how they are solved."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from ...model import Model
from ...properties.quantities import ORDERS
from ...pyx.tensor_head import DensityShape, TensorHead, feature_sizes, head_from_features
from ..data import Frame
from .configuration import Configuration, ConfigurationError
from .energy_fit import add_energy_frame, energy_head, species_energies
from .least_squares import NormalEquations
from .target_fit import add_property_frame, prior_variances


@dataclass(frozen=True)
class HeadProblem:
    """What a head is fitted with.

    Parameters
    ----------
    name : str
        Of the head.
    model : Model
        Gives the density, and what of the energy is known already.
    shape : DensityShape
        Sizes of the part of the density that the head reads.
    configuration : Configuration
    offsets : ndarray of float64, shape (species,)
        Energies in eV that are taken off before the energy is fitted; zeros for other heads.
    """

    name: str
    model: Model
    shape: DensityShape
    configuration: Configuration
    offsets: np.ndarray

    @classmethod
    def of(cls, name: str, model: Model, frames: Iterable[Frame], configuration: Configuration) -> HeadProblem:
        """The problem of one head of a configuration."""
        species = len(model.numbers)
        offsets = species_energies(model.numbers, frames) if name == "energy" else np.zeros(species)
        return cls(name, model, head_shape(name, model, configuration), configuration, offsets)

    @property
    def order(self) -> int:
        """Angular momentum λ of the head."""
        return ORDERS[self.name]

    @property
    def ridge(self) -> float:
        """Regularisation, see `NormalEquations.solve`."""
        if self.name == "energy":
            assert self.configuration.energy is not None
            return self.configuration.energy.ridge
        return regularisation(self.name, self.configuration)[0]

    @property
    def prior(self) -> np.ndarray | None:
        """Expected variances of the weights; None for those that the data set."""
        if self.name == "energy":
            return None
        _, angular_decay, radial_decay = regularisation(self.name, self.configuration)
        channels = self.configuration.density.chemical_channels
        return prior_variances(self.order, self.shape, angular_decay, radial_decay, channels)

    def empty_equations(self) -> NormalEquations:
        """Equations without a row."""
        return NormalEquations(self.shape.species * sum(feature_sizes(self.order, self.shape)))

    def add(self, equations: NormalEquations, frame: Frame) -> None:
        """Add what one frame says about the head."""
        if self.name == "energy":
            assert self.configuration.energy is not None
            add_energy_frame(equations, self.model, frame, self.offsets, self.configuration.energy)
        else:
            add_property_frame(equations, self.name, self.shape, self.model, frame)

    def solve(self, equations: NormalEquations) -> TensorHead:
        """The head.

        Raises
        ------
        ConfigurationError
            If no frame has said anything about it.
        """
        if equations.rows == 0:
            raise ConfigurationError(
                f"no training frame has labels for the {self.name} head; remove its section or add data"
            )
        if self.name == "energy":
            return energy_head(equations, self.model, self.offsets, self.ridge)
        return head_from_features(self.order, self.shape, equations.solve(self.ridge, self.prior))


def head_shape(name: str, model: Model, configuration: Configuration) -> DensityShape:
    """Sizes of the part of the density that a head reads."""
    settings = configuration.dipole if name == "dipole" else configuration.polarizability
    if name == "energy" or settings is None:
        return model.shape
    if not ORDERS[name] <= settings.l_max <= model.l_max:
        raise ConfigurationError(
            f"l_max = {settings.l_max} of the {name} head; allowed are {ORDERS[name]}, its own angular momentum, "
            f"to {model.l_max}, that of the density"
        )
    return replace(model.shape, l_max=settings.l_max)


def regularisation(name: str, configuration: Configuration) -> tuple[float, float, float]:
    """Ridge, angular decay and radial decay of a property's head."""
    if name == "dipole":
        assert configuration.dipole is not None
        own = configuration.dipole
        return own.ridge, own.angular_decay, own.radial_decay
    assert configuration.polarizability is not None
    both = configuration.polarizability
    isotropic = name == "polarizability_isotropic"
    return (
        both.ridge,
        both.angular_decay,
        both.isotropic_radial_decay if isotropic else both.anisotropic_radial_decay,
    )
