"""The density of electronic states of a cell: a curve, the sum of one for each atom, and what electrons in it have.

g(E) = Σ_i g_i(E) (Ben Mahmoud, Anelli, Csányi, Ceriotti, Phys. Rev. B 102, 235130 (2020)).  A model has an axis of
energies and a basis of `CHANNELS` curves on it (`beadwise.properties.curves`), whose coefficients are λ = 0 heads.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

import numpy as np

from ..quantity import OPEN, Form, Irrep, Quantity, UniformSettings, Unit
from ..schema import about

CHANNELS = 24  # coefficients of a curve; silicon's curves lose 0.1 % of their deviation by it
ROOM_TEMPERATURE = 300.0  # K


@dataclass(frozen=True)
class Derived:
    """What follows from a density of states and a number of electrons at a temperature.

    Parameters
    ----------
    name : str
        Of the property, and its key in i-PI's extras.
    unit : Unit
        Entropies and heat capacities are in k, Boltzmann's constant.
    per : str
        ``cell``, or ``atom`` for forces.
    shape : tuple of int
        Of one sample.
    """

    name: str
    unit: Unit
    per: str = "cell"
    shape: tuple[int, ...] = ()


EV = Unit(energy=1)
FERMI_LEVEL, DENSITY_AT_LEVEL, BAND_ENERGY = "fermi_level", "density_at_fermi_level", "band_energy"
ENTROPY, HEAT_CAPACITY, FREE_ENERGY = "electronic_entropy", "electronic_heat_capacity", "electronic_free_energy"
THERMAL = "thermal_electronic_free_energy"  # A(T) − A(0), which no zero of energy changes
THERMAL_FORCES, THERMAL_VIRIAL = "thermal_electronic_forces", "thermal_electronic_virial"
DERIVED = (
    Derived(FERMI_LEVEL, EV),
    Derived(DENSITY_AT_LEVEL, Unit(energy=-1)),
    Derived(BAND_ENERGY, EV),
    Derived(ENTROPY, Unit()),
    Derived(HEAT_CAPACITY, Unit()),
    Derived(FREE_ENERGY, EV),
    Derived(THERMAL, EV),
    Derived(THERMAL_FORCES, Unit(energy=1, length=-1), "atom", (3,)),
    Derived(THERMAL_VIRIAL, EV, "cell", (3, 3)),
)
DERIVED_NAMES = tuple(one.name for one in DERIVED)
OF_CURVES = tuple(one.name for one in DERIVED if one.name not in (THERMAL_FORCES, THERMAL_VIRIAL))  # no gradients


@dataclass(frozen=True)
class DensityOfStatesSettings(UniformSettings):
    """`UniformSettings`, where the labels stand, and how their zeros of energy are made one."""

    l_max: Annotated[int, about("Highest angular momentum that is used, at most that of the density.", ge=0, le=6)] = 4
    ridge: Annotated[
        float,
        about(
            "Strength of the regularisation: variance of the noise over the variance that the features are expected to "
            "explain; 0 is the best of several by cross-validation.",
            ge=0,
        ),
    ] = 0.0
    angular_decay: Annotated[
        float,
        about(
            "How fast the expected variance of the weights falls with the angular momenta l and l′ of a feature: as "
            "exp(−angular_decay (l + l′)).",
            ge=0,
        ),
    ] = 1.0
    radial_decay: Annotated[
        float,
        about(
            "How fast the expected variance of the weights falls with the numbers n and n′, from 0, of the radial "
            "functions of a feature: as ((1 + n)(1 + n′))^−radial_decay.",
            ge=0,
        ),
    ] = 2.0
    energies: Annotated[
        list[float],
        about("First and last energy of the axis; labels that are curves have their values evenly on it.", unit="eV"),
    ] = field(default_factory=list)
    points: Annotated[
        int, about("Number of energies of the axis, where labels are levels; curves have theirs.", ge=0)
    ] = 0
    smearing: Annotated[
        float,
        about(
            "Standard deviation of the Gaussian that labels are smeared with; levels are smeared with it, of curves it "
            "is said. It should be at least twice the spacing of the axis.",
            unit="eV",
            ge=0,
        ),
    ] = 0.0
    levels: Annotated[
        str, about("Entry of the frames that holds levels in eV, in place of curves: a row for each k-point.")
    ] = ""
    level_weights: Annotated[
        str,
        about(
            "Entry that holds the weight of each k-point; they are divided by their sum. A level holds two electrons "
            "times its weight."
        ),
    ] = ""
    level_zero: Annotated[
        str, about("Entry that holds the energy to take as zero of the levels, as the Fermi level of the calculation.")
    ] = ""
    electrons: Annotated[
        dict[str, Annotated[float, about("", ge=0)]],
        about(
            "Number of electrons of an atom of each species that the curve counts, as `{Si = 4}`. Without it there is "
            "the curve alone, and nothing that follows from it.",
            more={"propertyNames": {"pattern": "^[A-Z][a-z]?$"}},
        ),
    ] = field(default_factory=dict)
    adaptive_zero: Annotated[
        bool,
        about(
            "If true, the zero of energy of each label is shifted to where the model describes it best, as a bulk has "
            "no absolute zero; if false, labels are taken as they are."
        ),
    ] = True
    size_power: Annotated[
        float,
        about(
            "What a frame of N atoms counts, by the error of its curve per atom: N to this power; 1 is what a sum of "
            "independent errors says, and 0 the same for all.",
            ge=0,
            le=2,
        ),
    ] = 0.5


QUANTITY = Quantity(
    name="density_of_states",
    form=Form((Irrep(0, count=CHANNELS),), (OPEN,), np.asarray, np.asarray),
    unit=Unit(energy=-1),
    settings=DensityOfStatesSettings,
    aliases=("dos", "edos"),
)
