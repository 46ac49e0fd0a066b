"""Linear heads that share features: which rows a frame adds to their normal equations, and how they are solved."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...model import Model
from ...properties.quantities import properties, quantities
from ...pyx.tensor_head import DensityShape, TensorHead, feature_sizes, head_from_features
from ...quantity import Irrep, Quantity
from ..data import Frame, labels
from .configuration import Configuration, ConfigurationError, read_by_network
from .energy_fit import OF_ENERGY, add_energy_frame, energy_head, species_energies
from .fit_data import nominal_record
from .least_squares import NormalEquations, Told
from .long_range.columns import long_range_features, prior_of, with_fitted
from .long_range.molecules import charge_rows, warn_of_missed
from .polarization.derivatives import derivative_label
from .target_fit import add_target, labelled_species, prior_variances

REMEDY = "; remove its section or add data"
# from which, and up to twice as many, linear heads are fitted that are only compared with
FRAMES_COMPARED = 1000
ATOMS_COMPARED = 3000  # the same of atoms with derivatives of a quantity: nine rows each for Born charges


@dataclass(frozen=True)
class HeadProblem:
    """What the heads of one irrep of a quantity are fitted with: as many as the irrep counts.

    Parameters
    ----------
    quantity : Quantity
    irrep : Irrep
    model : Model
        Gives the density, and what of the energy is known already.
    shape : DensityShape
        Sizes of the part of the density that the heads read.
    configuration : Configuration
    offsets : ndarray of float64, shape (species,)
        Energies in eV that are taken off before the energy is fitted; zeros for other quantities.
    is_fixed : ndarray of bool, shape (species,)
        Whether an offset is the energy of an isolated atom, and stays.
    labelled : ndarray of int, shape (labelled,)
        Indices of the species that have weights: those of the atoms with a label of a quantity per atom, else all.
    told : Told, optional
        What is known of the weights beside the frames: charges of molecules, of a long-range energy.
    """

    quantity: Quantity
    irrep: Irrep
    model: Model
    shape: DensityShape
    configuration: Configuration
    offsets: np.ndarray
    is_fixed: np.ndarray
    labelled: np.ndarray
    told: Told | None = None

    @classmethod
    def of(
        cls,
        name: str,
        model: Model,
        frames: Sequence[Frame],
        configuration: Configuration,
        isolated: Mapping[int, float] | None = None,
    ) -> HeadProblem:
        """The problem of one part of a quantity, by its name, with energies of isolated atoms that are known."""
        quantity, irrep = parts()[name]
        known = isolated or {}
        offsets = species_energies(model.numbers, frames, known) if name == "energy" else np.zeros(len(model.numbers))
        shape = head_shape(quantity, irrep, model, configuration)
        is_fixed = np.array([number in known for number in model.numbers])
        numbers = sorted(labelled_species([quantity.name], frames).get(quantity.name, ())) or model.numbers
        labelled = model.species_indices(np.array(numbers))
        told = charge_rows(model, frames, configuration.lode) if name == "energy" else None
        return cls(quantity, irrep, model, shape, configuration, offsets, is_fixed, labelled, told)

    @property
    def name(self) -> str:
        """Of the heads."""
        return self.quantity.part(self.irrep)

    @property
    def names(self) -> list[str]:
        """Of each head."""
        return [head.name for head in self.quantity.heads if head.irrep is self.irrep]

    @property
    def is_energy(self) -> bool:
        """Whether it is the energy, which has labels of derivatives."""
        return self.quantity.name == "energy"

    @property
    def ridge(self) -> float:
        """Regularisation, see `NormalEquations.solve`."""
        if self.is_energy:
            assert self.configuration.energy is not None
            return self.configuration.energy.ridge
        return self.configuration.quantities[self.quantity.name].ridge

    @property
    def prior(self) -> np.ndarray | None:
        """Expected variances of the weights; None for those that the data set."""
        if self.is_energy:
            return None
        settings = self.configuration.quantities[self.quantity.name]
        decays = settings.angular_decay, settings.radial_decay_of(self.irrep)
        return prior_variances(self.irrep, self.fitted_shape, *decays, self.configuration.density.chemical_channels)

    @property
    def metadata(self) -> dict[str, Any]:
        """What is said of molecules and charges; also by a model that gets members."""
        return {**self.model.metadata, **self.configuration.metadata, **nominal_record(self.configuration)}

    @property
    def derivative_length(self) -> float:
        """What labels of derivatives count, in Å; see `add_derivatives`."""
        return getattr(self.configuration.quantities[self.quantity.name], "derivative_length", 0.0)

    @property
    def fitted_shape(self) -> DensityShape:
        """The shape for the species that have weights."""
        return replace(self.shape, species=len(self.labelled))

    @property
    def features(self) -> int:
        """Number of weights of each head."""
        local = len(self.labelled) * sum(feature_sizes(self.irrep.order, self.shape, self.irrep.parity))
        return local + (long_range_features(self.model) if self.is_energy else 0)

    def empty_equations(self) -> NormalEquations:
        """Equations without a row."""
        return NormalEquations(self.features, self.irrep.count)

    def add(self, equations: NormalEquations, frame: Frame) -> None:
        """Add what one frame says about the heads."""
        if self.is_energy:
            assert self.configuration.energy is not None
            settings = self.configuration.energy
            add_energy_frame(equations, self.model, frame, self.offsets, settings, self.is_fixed)
        else:
            own = self.quantity, self.irrep, self.fitted_shape, self.model
            add_target(equations, *own, frame, self.metadata, self.derivative_length, self.labelled)

    def solve(self, equations: NormalEquations) -> tuple[TensorHead, ...]:
        """The heads.

        Raises
        ------
        ConfigurationError
            If no frame has said anything about them.
        """
        if equations.rows == 0:
            raise ConfigurationError(f"no training frame has labels for the {self.name} head{REMEDY}")
        if self.is_energy:
            return (energy_head(equations, self.model, self.offsets, self.ridge, self.told),)
        return self.heads_from(equations.solve(self.ridge, self.prior))

    def with_long_range(self, equations: NormalEquations) -> Model:
        """The model with the long-range weights of the energy, if it has such."""
        if not self.is_energy or self.model.long_range is None:
            return self.model
        weights = equations.solve(self.ridge, prior_of(self.model, equations), self.told)
        warn_of_missed(self.told, weights)
        return with_fitted(self.model, weights)

    def heads_from(self, weights: np.ndarray) -> tuple[TensorHead, ...]:
        """The heads with weights (features,), or (heads, features)."""
        order, parity = self.irrep.order, self.irrep.parity
        every = np.zeros((len(np.atleast_2d(weights)), self.shape.species, weights.shape[-1] // len(self.labelled)))
        every[:, self.labelled] = weights.reshape(len(every), len(self.labelled), -1)
        return tuple(head_from_features(order, self.shape, own.ravel(), parity) for own in every)


def frames_of_head(name: str, frames: Sequence[Frame], configuration: Configuration) -> Sequence[Frame]:
    """All frames; of linear heads that an equivariant network takes the place of, enough to tell what it brought."""
    quantity, irrep = parts()[name]
    settings, own = configuration.equivariant, quantity.name
    if settings is None or own not in read_by_network(settings, [own]) or settings.keeps_linear(own):
        return frames
    if any(frame.is_folded for frame in frames):  # linear heads tell the branches of dipoles
        return frames
    label, length = derivative_label(quantity), getattr(configuration.quantities.get(own), "derivative_length", 0.0)
    if own == "energy":
        useful = [frame for frame in frames if OF_ENERGY & frame.labels.keys()]
        most = FRAMES_COMPARED
    elif label and length and irrep.parity == 1:
        useful = [frame for frame in frames if {label, own} & frame.labels.keys()]
        atoms = sum(len(frame.atoms) for frame in useful if label in frame.labels)
        most = max(1, len(useful) * ATOMS_COMPARED // max(atoms, 1))
    else:
        return frames
    chosen = set(range(0, len(useful), max(1, len(useful) // most)))
    known: set[int] = set().union(*(useful[place].atoms.numbers.tolist() for place in chosen))
    for place, frame in enumerate(useful):
        if not known.issuperset(numbers := frame.atoms.numbers.tolist()):
            known.update(numbers)
            chosen.add(place)
    return [useful[place] for place in sorted(chosen)]


def require_labels(configuration: Configuration, frames: Sequence[Frame]) -> None:
    """Refuse a section without a label in any frame, before anything takes long.

    Raises
    ------
    ConfigurationError
        Naming what the frames hold instead.
    """
    unused = list(dict.fromkeys(key for frame in frames for key in frame.found.unused))
    for name in (*(["energy"] if configuration.energy is not None else []), *configuration.quantities):
        known = [label for label, own in labels().items() if own.quantity is quantities()[name]]
        known += ["forces", "stress"] if name == "energy" else []
        if not any(label in frame.labels for frame in frames for label in known):
            there = (
                f"; they have {', '.join(map(repr, unused[:12]))}: say which by keys in [data]" if unused else REMEDY
            )
            raise ConfigurationError(f"no training frame has labels for the {name} head ({', '.join(known)}){there}")


def labels_not_fitted(configuration: Configuration, there: Iterable[str]) -> list[str]:
    """Labels that are there and that a configuration has no section for; only those of the energy have derivatives."""
    fitted = {"energy"} if configuration.energy is not None else set()
    fitted |= set(configuration.quantities)
    charges = configuration.charges
    fitted |= {"partial_charges", "dipole"} if charges is not None and not charges.network else set()
    return [name for name in labels() if name in there and quantity_of(name) not in fitted]


def quantity_of(name: str) -> str:
    """Name of the quantity that a fit makes use of a label for; empty if none."""
    if name in ("forces", "stress"):
        return "energy"
    label = labels()[name]
    one = properties().get(label.of)
    if one is not None and one.kind == "screened" and one.quantity is not None:
        return one.quantity.name  # its local values
    return label.quantity.name if label.quantity is not None else ""


def parts() -> dict[str, tuple[Quantity, Irrep]]:
    """All irreps of all quantities by the names of their heads."""
    return {own.part(irrep): (own, irrep) for own in quantities().values() for irrep in own.form.irreps}


def head_shape(quantity: Quantity, irrep: Irrep, model: Model, configuration: Configuration) -> DensityShape:
    """Sizes of the part of the density that a head reads."""
    if quantity.name == "energy" or quantity.name not in configuration.quantities:
        return model.shape
    l_max = configuration.quantities[quantity.name].l_max
    if not irrep.order <= l_max <= model.l_max:
        raise ConfigurationError(
            f"l_max = {l_max} of the {quantity.part(irrep)} head; allowed are {irrep.order}, its own angular momentum, "
            f"to {model.l_max}, that of the density"
        )
    return replace(model.shape, l_max=l_max)
