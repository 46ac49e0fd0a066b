"""What one equivariant network is fitted to together: energy, quantities, which linear heads stay below it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ....model import Batch, Model
from ....model.outputs import empty_head
from ....properties.quantities import quantities
from ...data import DataError, Frame, labels
from ..accuracy import evaluate_errors
from ..configuration import Configuration, EnergySettings, EquivariantSettings, read_by_network
from ..energy_fit import OF_ENERGY
from ..fit_data import nominal_record
from .objective import Errors, errors_of_energy
from .quantity_labels import DIPOLE, FittedQuantity, species_constants


@dataclass(frozen=True)
class JointFit:
    """What a network is fitted to.

    Parameters
    ----------
    settings : EquivariantSettings
    energy : EnergySettings or None
    quantities : tuple of FittedQuantity
    metadata : mapping
        Of the model that comes out: charges that move with the atoms, and the molecule.
    """

    settings: EquivariantSettings
    energy: EnergySettings | None
    quantities: tuple[FittedQuantity, ...]
    metadata: Mapping[str, object]

    @classmethod
    def of(cls, configuration: Configuration, model: Model, charge: Mapping[str, object]) -> JointFit:
        """That of a configuration; ``charge`` is what the metadata of the model will keep of charges."""
        settings = configuration.equivariant
        assert settings is not None
        charges = configuration.charges
        of_labels = {**model.metadata, **configuration.metadata, **nominal_record(configuration)}
        fitted = tuple(
            FittedQuantity(
                quantities()[name],
                getattr(own, "derivative_length", 0.0),
                settings.weight_of(name),
                of_labels,
                name == DIPOLE and charges is not None and charges.network,
            )
            for name, own in configuration.quantities.items()
            if name in read_by_network(settings, configuration.quantities)
        )
        energy = configuration.energy if settings.weight_of("energy") else None
        return cls(settings, energy, fitted, {**of_labels, **charge})

    @property
    def names(self) -> set[str]:
        """Labels that it is fitted to."""
        own = {one.name for one in self.quantities}
        found = {name for name, label in labels().items() if label.quantity and label.quantity.name in own}
        return found | (OF_ENERGY if self.energy is not None else set())

    def judged(self, frames: Sequence[Frame]) -> list[Frame]:
        """The frames with labels that count."""
        return [frame for frame in frames if self.names & frame.labels.keys() and frame.weight > 0]

    def on_branches_of(self, model: Model, frames: Sequence[Frame]) -> list[Frame]:
        """The frames with dipoles on the branch that is nearest to what a model says."""
        found = []
        for frame in frames:
            if frame.is_folded and DIPOLE in self.names:
                predicted = self._whole(model).evaluate(Batch.from_ase(frame.atoms), (DIPOLE,))[DIPOLE][0]
                frame = replace(frame, labels={**frame.labels, DIPOLE: frame.label_near(DIPOLE, predicted)})
            found.append(frame)
        return found

    def errors(self, model: Model, frames: Sequence[Frame]) -> Errors:
        """Errors of a model: mean absolute ones of energies and forces, root mean square ones of further labels."""
        found = Errors(None, None, None, 0.0)
        if self.energy is not None:
            found = errors_of_energy(model, frames, self.energy)
        wanted = self.names - OF_ENERGY
        own = [replace(f, labels={name: f.labels[name] for name in wanted & f.labels.keys()}) for f in frames]
        own = [frame for frame in own if frame.labels]
        try:
            report = evaluate_errors(self._whole(model), own) if own else None
        except DataError:  # labels that this model cannot be compared with
            report = None
        known = {} if report is None else report.properties
        return replace(found, quantities={name: one.root_mean_square_error for name, one in known.items()})

    def without_linear(self, model: Model, frames: Sequence[Frame]) -> Model:
        """The model without the linear heads that do not stay, but for constants of species."""
        heads = dict(model.heads)
        for own in self.quantities:
            heads |= {head.name: empty_head(head.order, model.shape) for head in own.charge_heads}
            if self.settings.keeps_linear(own.name):
                continue
            constants = species_constants(own, model, frames)
            for head in own.heads:
                empty = empty_head(head.order, model.shape)
                heads[head.name] = replace(empty, offset=constants.get(head.name, empty.offset))
        return replace(model, heads=heads)

    def _whole(self, model: Model) -> Model:
        return replace(model, metadata=dict(self.metadata))
