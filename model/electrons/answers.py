"""Electrons in the density of states of a model: what they have at a temperature, and their forces.

A free energy A of electrons depends on the positions through the coefficients c of the curve alone, which are sums of
λ = 0 heads over atoms.  So its gradient is that of the linear combination Σ_k (dA/dc_k) c_k of outputs of the kernel,
which differs from bead to bead, and needs the coefficients first (Ben Mahmoud, Grasselli, Ceriotti, Phys. Rev. B 106,
L121116 (2022)).
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from ...errors import StructureWarning
from ...properties import density_of_states as dos
from ...properties.curves import EnergyCurves
from ...quantity import Form
from ..errors import StructureError
from ..outputs import ELECTRONIC_ROW, symmetric, wants_electronic_forces
from ..passes.values import values_of_heads

if TYPE_CHECKING:
    from ...properties.grand_potential import Filled, GrandPotential
    from ..model import Model
    from ..structures import Batch

NAME = dos.QUANTITY.name
NEGATIVE = (
    "the density of states has ripples below zero where μ is, as fitted curves have in a gap: the heat capacity of "
    "electrons would be negative, and is not a number there"
)
OF_GROUND_STATE = (dos.THERMAL, dos.THERMAL_FORCES, dos.THERMAL_VIRIAL)  # for which A(0) is needed, too


def forms_of(curves: EnergyCurves | None) -> Mapping[str, Form]:
    """Form of the density of states of a model with these curves."""
    return {} if curves is None else {NAME: curves.form}


class ElectronsOfModel:
    """Electrons in the curves of a model at a temperature.

    Parameters
    ----------
    curves : EnergyCurves
        With numbers of electrons.
    temperature : float
        In K.

    Raises
    ------
    ElectronError
        If there is no such temperature.
    """

    def __init__(self, curves: EnergyCurves, temperature: float):
        from ...properties.grand_potential import GrandPotential  # with SciPy, which takes long to import

        self.curves = curves
        self.at_temperature = GrandPotential(curves, temperature)
        self._has_warned = False

    @cached_property
    def ground_state(self) -> GrandPotential:
        """The same at 0 K."""
        return type(self.at_temperature)(self.curves, 0.0)

    def count(self, species: np.ndarray) -> float:
        """Number of electrons of atoms of these species."""
        return float(np.array(self.curves.electrons)[species].sum())

    def filled(self, coefficients: np.ndarray, species: np.ndarray) -> Filled:
        """Curves of coefficients (structures, channels) at the temperature.

        Raises
        ------
        StructureError
            If a curve holds too few electrons.
        """
        return _fill(self.at_temperature, coefficients, self.count(species))

    def filled_at_zero(self, coefficients: np.ndarray, species: np.ndarray) -> Filled:
        """The same at 0 K."""
        return _fill(self.ground_state, coefficients, self.count(species))

    def thermal_slopes(self, coefficients: np.ndarray, species: np.ndarray) -> np.ndarray:
        """d[A(T) − A(0)]/dc, shape (structures, channels)."""
        return self.filled(coefficients, species).slopes - self.filled_at_zero(coefficients, species).slopes

    def properties(self, want: Sequence[str], coefficients: np.ndarray, species: np.ndarray) -> dict[str, np.ndarray]:
        """Those of `beadwise.properties.density_of_states.DERIVED` that are wanted, forces and virial apart.

        A and U are those of the curve without its smearing, to second order: −(width²/2) g_T(μ) is taken off A.  What
        energies and forces of dynamics are made of, A(T) − A(0), is that of the curve as it is.
        """
        from ...properties.mermin import BOLTZMANN, smearing_bias

        own = self.filled(coefficients, species)
        corrected = own.free_energy - smearing_bias(own.density, self.curves.smearing)
        arrays = {
            dos.FERMI_LEVEL: own.chemical_potential,
            dos.DENSITY_AT_LEVEL: own.density,
            dos.ENTROPY: own.entropy,
            dos.HEAT_CAPACITY: self._possible(own.heat_capacity) if dos.HEAT_CAPACITY in want else own.heat_capacity,
            dos.FREE_ENERGY: corrected,
            dos.BAND_ENERGY: corrected + BOLTZMANN * self.at_temperature.temperature * own.entropy,
        }
        if dos.THERMAL in want:
            cold, count = self.filled_at_zero(coefficients, species), self.count(species)
            arrays[dos.THERMAL] = own.above(cold, coefficients, count)
        return {name: array for name, array in arrays.items() if name in want}

    def _possible(self, heat_capacity: np.ndarray) -> np.ndarray:
        """Heat capacities, and NaN where one is below zero: fitted curves ripple in a gap, and cannot tell it."""
        is_negative = heat_capacity < 0
        if is_negative.any() and not self._has_warned:
            self._has_warned = True
            warnings.warn(NEGATIVE, StructureWarning, stacklevel=2)
        return np.where(is_negative, np.nan, heat_capacity)


def _fill(potential: GrandPotential, coefficients: np.ndarray, count: float) -> Filled:
    from ...properties.mermin import ElectronError

    try:
        return potential.fill(coefficients, count)
    except ElectronError as error:
        raise StructureError(str(error)) from error


def add_electronic_row(model: Model, batch: Batch, want: Sequence[str], rows: np.ndarray) -> None:
    """Write dA/dc of every bead into what the gradient of its free energy of electrons is of, in place.

    Parameters
    ----------
    model : Model
    batch : Batch
    want : sequence of str
    rows : ndarray of float64, shape (beads, gradients, outputs)
        Combinations of outputs of the kernel.
    """
    if not wants_electronic_forces(want):
        return
    place = model.layout.gradient_places(want)[ELECTRONIC_ROW].start
    own = coefficients_of(model, batch)
    slopes = model.electrons.thermal_slopes(own, model.species_indices(batch.numbers))
    rows[:, place, model.layout.places[NAME]] = slopes


def coefficients_of(model: Model, batch: Batch) -> np.ndarray:
    """Coefficients of the curve of every bead, shape (beads, channels)."""
    return values_of_heads(model, batch, (NAME,), in_sum=True).sum(axis=1)[:, model.layout.places[NAME]]


def electrons_of_members(model: Model, batch: Batch, want: Sequence[str], outputs: np.ndarray) -> dict[str, np.ndarray]:
    """What follows from the density of states of every member, shape (beads, members) each.

    Parameters
    ----------
    model : Model
    batch : Batch
    want : sequence of str
        Out of `beadwise.properties.density_of_states.OF_CURVES`.
    outputs : ndarray of float64, shape (beads, members, outputs)
    """
    beads, members = outputs.shape[:2]
    coefficients = outputs[..., model.layout.places[NAME]].reshape(beads * members, -1)
    arrays = model.electrons.properties(want, coefficients, model.species_indices(batch.numbers))
    return {name: array.reshape(beads, members) for name, array in arrays.items()}


def electronic_answers(
    model: Model, batch: Batch, want: Sequence[str], totals: np.ndarray, gradients: np.ndarray, strains: np.ndarray
) -> dict[str, np.ndarray]:
    """What follows from the density of states, from the kernel's sums."""
    if not set(want) & set(dos.DERIVED_NAMES):
        return {}
    coefficients = totals[:, model.layout.places[NAME]]
    arrays = model.electrons.properties(want, coefficients, model.species_indices(batch.numbers))
    if wants_electronic_forces(want):
        place = model.layout.gradient_places(want)[ELECTRONIC_ROW].start
        arrays |= {dos.THERMAL_FORCES: -gradients[:, place], dos.THERMAL_VIRIAL: -symmetric(strains[:, place])}
    return {name: array for name, array in arrays.items() if name in want}
