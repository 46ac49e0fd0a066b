"""The sections of a fit, key by key: types, defaults, limits, and a sentence about each; see `beadwise.schema`."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Literal

from ...pyx.kernel import limits
from ...schema import FileName, about
from ..data import Reading
from ..data.reading import names_of_keys, names_of_orders, names_of_units

LIMITS = limits()  # of the compiled kernel
MANY_SPECIES = 8  # that share weights of an equivariant network unless a fit says otherwise
FEWEST_MEMBERS = 5  # of a committee that is calibrated; see beadwise.learning.fitting.calibration
SYMBOLS = {"propertyNames": {"pattern": "^[A-Z][a-z]?$"}}  # a table of chemical symbols

NumbersByName = dict[str, Annotated[float, about("", ge=0)]]


@dataclass(frozen=True)
class DataSettings:
    """Files of labelled frames, and how they are read.

    All paths are relative to the configuration file.  What is said of labels is a `beadwise.learning.data.Reading`.
    """

    train: Annotated[
        list[FileName],
        about(
            "Files with frames to fit. A name may be a pattern, as `run_*/train.xyz`, and `FILE@START:STOP:STEP` is a "
            "part of a file.",
            min_length=1,
        ),
    ]
    validation: Annotated[
        list[FileName] | Annotated[float, about("", gt=0, lt=1)],
        about(
            "Files with frames that are not fitted: a committee is calibrated on them, and their errors are reported. "
            "A number in place of files is the fraction of the training frames that is set aside for this.",
        ),
    ] = field(default_factory=list)
    independent: Annotated[
        list[FileName],
        about("Files with frames that are neither fitted nor used to calibrate; their errors are reported."),
    ] = field(default_factory=list)
    keys: Annotated[
        dict[str, str],
        about(
            "Name in the files of each label that stands under another name; also of `virial`, `weight`, `charge` and "
            "`group`.",
            names=names_of_keys,
        ),
    ] = field(default_factory=dict)
    units: Annotated[
        dict[str, str],
        about(
            "Unit in the files of each label that has another unit, as `hartree` or `kcal/mol`. A minus in front turns "
            "the sign; `positions` is the unit of positions and cell.",
            names=names_of_units,
        ),
    ] = field(default_factory=dict)
    orders: Annotated[
        dict[str, str],
        about(
            "Order in the files of the numbers of a tensor, as `xx yy zz xy yz zx`: six components, or all nine.",
            names=names_of_orders,
        ),
    ] = field(default_factory=dict)
    nan_is_missing: Annotated[
        bool, about("If true, a label that is NaN is taken as missing; if false, it is refused.")
    ] = False
    weights: Annotated[
        NumbersByName,
        about("Weight of the frames of each group (`config_type`); it multiplies the weight that a frame has itself."),
    ] = field(default_factory=dict)
    charge: Annotated[float | None, about("Total charge of the frames that do not give their own.", unit="e")] = None
    dipole_origin: Annotated[
        Literal["", "coordinates", "centre_of_mass"],
        about(
            "Origin of the dipoles of charged frames: that of the coordinates, or the centre of mass. It is needed "
            "where dipoles of ions are fitted.",
        ),
    ] = ""
    dipole_quantum: Annotated[
        Literal["", "lattice", "none"],
        about(
            "What dipoles are known up to: `lattice` is whole numbers of e times each lattice vector, as of a Berry "
            "phase, `none` is that they stand on one branch. If it is empty, the files tell: by `dipole_quantum`, "
            "three vectors in the unit of the dipole, or by Born charges of a periodic frame, which mean `lattice`.",
        ),
    ] = ""
    species: Annotated[
        str,
        about(
            "Elements of the atoms, in their order, in files of arrays (`.npz`) that do not say them, as `OHH`; "
            "repeated for all atoms of a frame."
        ),
    ] = ""

    @cached_property
    def reading(self) -> Reading:
        """What is said of the labels; DataError if that cannot be."""
        names = "keys units orders nan_is_missing weights charge dipole_origin dipole_quantum species".split()
        return Reading(**{name: getattr(self, name) for name in names})

    @property
    def validation_files(self) -> list[str]:
        """Files of validation frames; none where a part of the training frames is set aside."""
        return self.validation if isinstance(self.validation, list) else []

    @property
    def validation_part(self) -> float:
        """Part of the training frames that is set aside; 0 where there are files."""
        return 0.0 if isinstance(self.validation, list) else self.validation


@dataclass(frozen=True)
class DensitySettings:
    """The density of the neighbours of each atom, of which all features are made.

    See `beadwise.model.radial.RadialForm`.
    """

    cutoff: Annotated[float, about("Cutoff: atoms that are farther apart do not see each other.", unit="Å", gt=0)] = 6.0
    radial: Annotated[
        int,
        about(
            "Number of radial functions for each species of neighbours, or for each chemical channel.",
            ge=1,
            le=LIMITS["radial"],
        ),
    ] = 8
    l_max: Annotated[int, about("Highest angular momentum of the density.", ge=2, le=LIMITS["l_max"])] = 4
    warp_length: Annotated[
        float,
        about(
            "Length a of the scale ln(1 + r/a) on which the radial functions oscillate: the smaller it is, the finer "
            "they are at short distances.",
            unit="Å",
            gt=0,
        ),
    ] = 0.3
    innermost: Annotated[
        float,
        about(
            "About the shortest distance between two atoms, where that scale begins; it must be below the cutoff.",
            unit="Å",
            ge=0,
        ),
    ] = 0.7
    decay_length: Annotated[
        float, about("Distance r₀ from which neighbours count less: their weight is 1/(1 + (r/r₀)^p).", unit="Å", gt=0)
    ] = 2.0
    decay_power: Annotated[
        float, about("Power p of that weight, 1 or more; 0 gives all distances the same weight.", ge=0)
    ] = 3.0
    chemical_channels: Annotated[
        int,
        about(
            "Number of chemical channels that all species share, so that the size of the density does not grow with "
            "the number of species; 0 gives each species functions of its own. This number times `radial` must not be "
            f"above {LIMITS['radial']}.",
            ge=0,
            le=LIMITS["radial"],
        ),
    ] = 0


@dataclass(frozen=True)
class EnergySettings:
    """The energy, fitted to energies, forces and stresses together.

    Labels are weighed by the inverse squares of their expected errors.
    """

    energy_error: Annotated[
        float,
        about(
            "Expected error of an energy over the square root of the number of atoms. Labels with smaller expected "
            "errors weigh more.",
            unit="eV",
            gt=0,
        ),
    ] = 0.01
    force_error: Annotated[float, about("Expected error of a component of a force.", unit="eV/Å", gt=0)] = 0.05
    stress_error: Annotated[float, about("Expected error of a component of the stress.", unit="eV/Å³", gt=0)] = 0.0005
    ridge: Annotated[
        float,
        about(
            "Strength of the regularisation: variance of the noise over the variance that the features are expected to "
            "explain.",
            ge=0,
        ),
    ] = 1e-8
    baseline: Annotated[
        str,
        about(
            "Potential that the model corrects, as `GFN1-xTB`, `qtip4pf`, `ions:Na=1,Cl=-1` or "
            "`ase:package.module.Class`: the difference from it is fitted. Without one, the model is the whole energy.",
        ),
    ] = ""
    isolated_atoms: Annotated[
        dict[str, Annotated[float, about("", unit="eV")]],
        about(
            "Energies of isolated atoms by chemical symbol, which the model reproduces exactly. Frames of one atom "
            "without neighbours have the same effect.",
            unit="eV",
            more=SYMBOLS,
        ),
    ] = field(default_factory=dict)


@dataclass(frozen=True)
class NetworkSettings:
    """A neural network that is added to the linear energy; its fit needs PyTorch.

    A fit that was stopped goes on from `MODEL.training.pt`, named after the model, in the folder of the
    report.
    """

    hidden: Annotated[
        list[Annotated[int, about("", ge=1)]],
        about("Widths of the hidden layers, from the first to the last.", min_length=1),
    ]
    epochs: Annotated[int, about("Number of passes over the training frames.", ge=1)] = 100
    batch: Annotated[int, about("Number of frames in each step of the optimiser.", ge=1)] = 4
    learning_rate: Annotated[
        float,
        about("Highest learning rate; it rises during the first 2 % of the steps and then falls to zero.", gt=0),
    ] = 0.002
    seed: Annotated[int, about("Seed of the initial weights and of the order of the frames.", ge=0)] = 0


@dataclass(frozen=True)
class EquivariantSettings:
    """An equivariant network that gives energies and other quantities, with or without messages; its fit needs PyTorch.

    See `beadwise.potentials.equivariant_network`.  A fit that was stopped goes on from `MODEL.training.pt`, named
    after the model, in the folder of the report.
    """

    channels: Annotated[int, about("Number of learned channels, a multiple of 8.", ge=8)] = 32
    l_max: Annotated[int, about("Highest angular momentum of the channels, at most that of the density.", ge=1)] = 3
    hidden: Annotated[
        list[Annotated[int, about("", ge=1)]],
        about("Widths of the hidden layers that read the invariants.", min_length=1),
    ] = field(default_factory=lambda: [64, 64])
    sent: Annotated[
        int,
        about("Number of channels that atoms send to their neighbours, a multiple of 8; 0 is no message.", ge=0),
    ] = 0
    l_sent: Annotated[int, about("Highest angular momentum of what is sent, at most `l_max`.", ge=0)] = 1
    species: Annotated[
        Literal["", "own", "shared"],
        about(
            "`own`: all weights differ between species. `shared`: mixing, hidden layers, readouts and messages are the "
            "same for all, so that few atoms of one species suffice; channels, products and biases differ. If it is "
            f"empty, `shared` from {MANY_SPECIES} species on."
        ),
    ] = ""
    epochs: Annotated[int, about("Number of passes over the training frames.", ge=1)] = 300
    batch: Annotated[int, about("Number of frames in each step of the optimiser.", ge=1)] = 10
    learning_rate: Annotated[
        float, about("Highest learning rate; it rises during the first hundred steps and then falls to zero.", gt=0)
    ] = 0.003
    averaging: Annotated[
        float, about("Factor by which a step counts less than the next one in the average of the weights.", ge=0, lt=1)
    ] = 0.998
    patience: Annotated[
        int,
        about(
            "After how many looks at the validation frames without a lower loss the fit ends, of at most 50 looks in "
            "all; 0 is never.",
            ge=0,
        ),
    ] = 15
    linear: Annotated[
        bool | list[str],
        about(
            "If true, the linear heads stay and the network corrects them; if false, the network is the whole. A list "
            "names the quantities whose linear heads stay."
        ),
    ] = False
    weights: Annotated[
        NumbersByName,
        about(
            "What the labels of a quantity count beside those of the others, as `{dipole = 2}`: the loss is the mean "
            "of those of all quantities with these weights, each relative to its own without the network. 1 where "
            "nothing is said; 0 leaves a quantity to its linear heads, or to `ridge_readouts`."
        ),
    ] = field(default_factory=dict)
    ridge_readouts: Annotated[
        list[str],
        about(
            "Quantities whose readouts are solved by ridge regression when the network is trained, on all that its "
            "layers give and, where linear heads stay (`linear`), on their features, as few labels ask for. Frames "
            "that are left out by turns say how strong each block of features is. With `weights = {… = 0}` the network "
            "itself learns nothing of them."
        ),
    ] = field(default_factory=list)
    start: Annotated[
        str,
        about(
            "Model file whose equivariant network is started from, as one that was fitted to many labels of a cheap "
            "method. Species, density and sizes must be the same; constants of the energy are fitted anew."
        ),
    ] = ""
    seed: Annotated[int, about("Seed of the initial weights and of the order of the frames.", ge=0)] = 0

    def weight_of(self, quantity: str) -> float:
        """What the labels of a quantity count beside those of the others."""
        return self.weights.get(quantity, 1.0)

    def shares_weights(self, species: int) -> bool:
        """Whether so many species share weights."""
        return self.species == "shared" or (not self.species and species >= MANY_SPECIES)

    def keeps_linear(self, quantity: str) -> bool:
        """Whether the linear heads of a quantity stay below the network."""
        return self.linear if isinstance(self.linear, bool) else quantity in self.linear


@dataclass(frozen=True)
class CommitteeSettings:
    """The members of a committee, whose spread is the uncertainty.

    See `beadwise.learning.fitting.committee_fit`.
    """

    members: Annotated[
        int, about(f"Number of members; their calibration needs {FEWEST_MEMBERS} or more.", ge=FEWEST_MEMBERS)
    ] = 8
    kind: Annotated[
        Literal["subsampling", "last-layer"],
        about(
            "`subsampling` fits each member to a random part of the frames. `last-layer` draws members from the "
            "distribution of the weights of the last, linear layer; it is needed where there is a network.",
        ),
    ] = "subsampling"
    fraction: Annotated[
        float, about("Fraction of the frames that each member is fitted to, for `subsampling`.", gt=0, lt=1)
    ] = 0.5
    seed: Annotated[int, about("Seed of the random choice of frames or weights.", ge=0)] = 0
    model: Annotated[
        str,
        about(
            "Model file that gets the members. Nothing else is fitted then, and the other sections must describe that "
            "model. Without it, a new model is fitted.",
        ),
    ] = ""


@dataclass(frozen=True)
class RepulsionSettings:
    """The short-range guard, which replaces the model where atoms are closer than in the training frames.

    Quantum nuclei come nearer than the classical ones of a training by some percent; there the model still answers.
    """

    onset_fraction: Annotated[
        float, about("Where the guard of a pair of species begins, over its shortest distance in the training.", ge=0)
    ] = 0.9
    strength: Annotated[
        float, about("Factor of the screened nuclear repulsion that the guard is made of; 0 is no guard.", ge=0)
    ] = 100.0
    onset_fractions: Annotated[NumbersByName, about("Of pairs, as `{O-O = 1.0}`.")] = field(default_factory=dict)
    strengths: Annotated[NumbersByName, about("Of pairs with a hole, as `{O-O = 4e4}`.")] = field(default_factory=dict)


@dataclass(frozen=True)
class OutputSettings:
    """Where results are written, relative to the configuration file."""

    model: Annotated[str, about("Model file that is written, `.safetensors`.")]
    report: Annotated[str, about("Folder for the errors and the parity plots.")] = "report"
    baselines: Annotated[
        str, about("Folder that keeps the energies and forces of the baseline, so that they are computed once.")
    ] = "baselines"


@dataclass(frozen=True)
class Metadata:
    """What the model file says of itself; any other keys are kept in it, too, but for those that a fit writes."""

    repeating_unit: Annotated[
        str,
        about(
            "Formula of the molecule in the order of its atoms, as `OHH`. It is needed for labels of molecules, and "
            "for dipoles and polarizabilities of molecules in a run.",
        ),
    ] = ""
    title: Annotated[str, about("What the model is, in one line.")] = ""
    licence: Annotated[str, about("Licence of the model and of its data.")] = ""
    sources: Annotated[list[str] | str, about("Where the data come from.")] = field(default_factory=list)
    limits: Annotated[
        list[str] | str, about("What the model must not be used for; `beadwise inspect` shows it first.")
    ] = field(default_factory=list)
