"""From the kernel's sums to the arrays of a response."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..errors import StructureWarning
from ..properties.density_of_states import DERIVED_NAMES
from ..properties.quantities import properties
from .checks import volumes
from .electric_field import add_second_order, with_needed
from .electrons.answers import electronic_answers, electrons_of_members
from .errors import StructureError
from .members import committee_properties, member_outputs, ordinary_of
from .molecules import centres_of_mass, dipoles_of_charges, molecule_sums
from .outputs import symmetric
from .passes.values import values_of_heads
from .response import Response
from .structures import Batch
from .training.net_charge import add_charges, charge_among_images, charges_of_atoms, net_charge, nominal_charges
from .training.periodicity import directions_with_images
from .training.unlabelled import hide_unknown

if TYPE_CHECKING:
    from .model import Model

WARNED = -1, b""  # in place of the atoms and directions that were seen last: the warning was given


def assemble(model: Model, batch: Batch, want: Sequence[str], sums: Sequence[np.ndarray]) -> Response:
    """Answer the wanted properties from what `Model.evaluate_part` gives, summed over all parts.

    Parameters
    ----------
    model : Model
    batch : Batch
    want : sequence of str
    sums : sequence of ndarray of float64

    Raises
    ------
    StructureError
        If the map of a cell diverges, or molecular properties are wanted of atoms that do not stand molecule by
        molecule.
    """
    asked, want = want, with_needed(want) if model.is_polarized else want
    totals, gradients, strains, *of_atoms = sums
    volume, known = volumes(batch), properties()
    arrays: dict[str, np.ndarray] = {}
    if "envelope_distance" in want:
        assert model.envelope is not None
        distances = model.envelope.distances(of_atoms.pop(0), model.species_indices(batch.numbers))
        arrays["envelope_distance"] = distances.max(axis=1)
    outputs = {"cell": totals}
    if of_atoms:
        outputs["atom"] = of_atoms[0]
    if any(known[name].per == "molecule" for name in want):
        assert model.repeating_unit is not None
        outputs["molecule"] = molecule_sums(batch, model.repeating_unit, of_atoms[0])
    if "molecular_position" in want:
        assert model.repeating_unit is not None
        arrays["molecular_position"] = centres_of_mass(batch, model.repeating_unit)
    own = {per: every[..., : model.layout.outputs] for per, every in outputs.items()}
    arrays |= derivatives(model, want, totals, gradients, strains, volume)
    arrays |= electronic_answers(model, batch, want, totals, gradients, strains)
    for name in want:
        one = known[name]
        if one.kind in ("value", "molecular") and one.quantity is not None:
            arrays[name] = value_of(model, one.quantity.name, own[one.per], volume, is_whole=one.kind == "value")
    if model.members is not None and totals.shape[1] > model.layout.outputs:
        arrays |= of_committee(model, batch, want, outputs, (gradients, strains), volume)
    charges = charges_of_atoms(model.metadata, batch.numbers, net_charge(model.metadata))
    if charges.any():
        warn_of_charge(model, batch)
        add_charges(arrays, charges, batch, model.electric_field)
        if "molecular_dipole" in arrays and model.repeating_unit is not None:
            arrays["molecular_dipole"] = arrays["molecular_dipole"] + dipoles_of_charges(
                batch, model.repeating_unit, charges
            )
    if model.is_polarized:
        add_second_order(model, batch, arrays)
    hide_unknown(model.metadata, batch.numbers, arrays)
    return Response(**{name: arrays[name] for name in asked})


def warn_of_charge(model: Model, batch: Batch) -> None:
    """Warn once of a charge at the centre of mass whose atoms have images: the dipole depends on which are given."""
    seen = batch.atoms, batch.periodic.tobytes()
    if model._seen_with_charge in (seen, WARNED) or nominal_charges(model.metadata):  # dynamics is not to pay for it
        return
    model._seen_with_charge = seen
    if batch.beads and batch.atoms and directions_with_images(batch, model.radial.cutoff):
        model._seen_with_charge = WARNED
        warnings.warn(charge_among_images(model.metadata, model.source), StructureWarning, stacklevel=2)


def values_of_atoms(model: Model, batch: Batch, name: str) -> np.ndarray:
    """What single atoms add to a quantity per cell, before its map and without charges that move with atoms.

    Parameters
    ----------
    model : Model
    batch : Batch
    name : str
        Of a quantity of the model.

    Returns
    -------
    ndarray of float64, shape (beads, atoms, *shape of one sample)

    Raises
    ------
    StructureError
        As `Model.evaluate`.
    """
    return model.layout.cartesian(name, values_of_heads(model, batch, (name,)))


def of_committee(
    model: Model,
    batch: Batch,
    want: Sequence[str],
    outputs: dict[str, np.ndarray],
    sums: Sequence[np.ndarray],
    volume: np.ndarray,
) -> dict[str, np.ndarray]:
    """What members say, from outputs of model and deviations by what a sample is."""
    members, layout = model.members, model.layout
    assert members is not None
    of_electrons = [name for name in ordinary_of(want) if name in DERIVED_NAMES]
    electronic = {}
    if of_electrons:
        electronic = electrons_of_members(model, batch, of_electrons, member_outputs(layout, outputs["cell"], members))

    def value(name: str) -> np.ndarray:
        if name in electronic:
            return electronic[name]
        of_members = member_outputs(layout, outputs[layout.quantities[name].per], members)
        own = [value_of(model, name, of_members[:, member], volume) for member in range(members.count)]
        return np.stack(own, axis=1)

    return committee_properties(members, want, sums, model.electric_field, value)


def value_of(model: Model, name: str, outputs: np.ndarray, volume: np.ndarray, is_whole: bool = True) -> np.ndarray:
    """A quantity from outputs (beads, …, outputs), mapped to the cell where it is whole and the model says so."""
    if name == "energy":
        return model.layout.energies(outputs, model.electric_field)
    value = model.layout.cartesian(name, outputs)
    return mapped(model, name, value, volume) if is_whole else value


def derivatives(
    model: Model,
    want: Sequence[str],
    totals: np.ndarray,
    gradients: np.ndarray,
    strains: np.ndarray,
    volume: np.ndarray,
) -> dict[str, np.ndarray]:
    """Forces, virial and the derivatives of quantities, from the kernel's sums."""
    arrays: dict[str, np.ndarray] = {}
    rows = model.layout.gradient_places(want)
    if "forces" in want:
        arrays["forces"] = -gradients[:, 0]
    if "virial" in want:
        arrays["virial"] = -strains[:, 0] if model.is_in_field else -symmetric(strains[:, 0])
    for name, quantity in model.layout.derivatives.items():
        if name not in want:
            continue
        derivative = quantity.form.cartesian(np.moveaxis(gradients[:, rows[name]], 1, 3))
        if quantity.cell_map is not None and model.local_field:
            additive = model.layout.cartesian(quantity.name, totals)
            mapped(model, quantity.name, additive, volume)  # refuses what the map cannot be differentiated for
            derivative = quantity.cell_map.differentiate(derivative, additive, volume)
        arrays[name] = derivative
    return arrays


def mapped(model: Model, name: str, additive: np.ndarray, volume: np.ndarray) -> np.ndarray:
    """Map sums of local contributions (beads, …) to the values of cells, if the model is one that asks for it.

    Raises
    ------
    StructureError
        If the map diverges, as it does for a cell that is too dense.
    """
    cell_map = model.layout.quantities[name].cell_map
    if cell_map is None or not model.local_field:
        return additive
    wrong = cell_map.refuse(additive, volume)
    if wrong:
        raise StructureError(wrong)
    return cell_map.apply(additive, volume)
