"""What a fit is told: the TOML file of ``beadwise fit``, checked key by key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from ...errors import BeadwiseError
from ...properties.quantities import quantities
from ...pyx.kernel import limits
from ...quantity import HeadSettings
from ...reading import refusing, shown, toml_of
from ...suggestions import did_you_mean
from ..data import DataError, Reading, expanded


class ConfigurationError(BeadwiseError, ValueError):
    """A configuration file that is missing, is not TOML, or has a key or value that is not allowed."""


@dataclass(frozen=True)
class DataSettings:
    """Files of frames, relative to the configuration file, and how they are read.

    Patterns stand for all files that are called so, and ``FILE@START:STOP:STEP`` for a part of one.  ``validation``
    frames are never fitted; a number in place of files is the part of the training frames that is set aside for it.
    ``independent`` ones are only reported, under their own name.  The other keys are those of
    `beadwise.learning.data.Reading`.
    """

    train: list[str]
    validation: list[str] | float = field(default_factory=list)
    independent: list[str] = field(default_factory=list)
    keys: dict[str, str] = field(default_factory=dict)
    units: dict[str, str] = field(default_factory=dict)
    orders: dict[str, str] = field(default_factory=dict)
    nan_is_missing: bool = False
    weights: dict[str, float] = field(default_factory=dict)
    charge: float | None = None
    dipole_origin: str = ""

    @cached_property
    def reading(self) -> Reading:
        """What is said of the labels; DataError if that cannot be."""
        how = self.keys, self.units, self.orders, self.nan_is_missing, self.weights, self.charge, self.dipole_origin
        return Reading(*how)

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
    """The shared density: see `beadwise.model.radial.RadialForm`; lengths in Å.

    With ``chemical_channels`` = 0 each neighbour species has radial functions of its own; otherwise all share this many
    times ``radial`` functions, and the size of the density no longer depends on the number of species.
    """

    cutoff: float = 6.0
    radial: int = 8
    l_max: int = 4
    warp_length: float = 0.3
    innermost: float = 0.7
    decay_length: float = 2.0
    decay_power: float = 3.0
    chemical_channels: int = 0


@dataclass(frozen=True)
class EnergySettings:
    """Expected errors that weigh the rows, and the ridge: energy in eV per √atom, forces in eV/Å, stress in eV/Å³.

    ``isolated_atoms`` are energies in eV by chemical symbol, which the model keeps exactly, as it does those of frames
    of one atom without neighbours.  With a ``baseline``, a potential as
    `beadwise.model.evaluators.load_evaluator` takes it, what is fitted is the difference from it: Δ-learning.
    """

    energy_error: float = 0.01
    force_error: float = 0.05
    stress_error: float = 0.0005
    ridge: float = 1e-8
    baseline: str = ""
    isolated_atoms: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class NetworkSettings:
    """The nonlinear part of the energy: widths of its layers, and how they are optimised.

    ``epochs`` passes over all frames, ``batch`` frames to a step, the highest ``learning_rate``, and the ``seed`` of
    the initial weights and of the order of the frames.
    """

    hidden: list[int]
    epochs: int = 100
    batch: int = 4
    learning_rate: float = 0.002
    seed: int = 0


@dataclass(frozen=True)
class CommitteeSettings:
    """Members of a committee, see `beadwise.learning.fitting.committee_fit`.

    ``kind`` is ``subsampling``, where each of the ``members`` is fitted to this ``fraction`` of the frames, or
    ``last-layer``.  With a ``model``, a file, the members are added to it and nothing else is fitted.
    """

    members: int = 8
    kind: str = "subsampling"
    fraction: float = 0.5
    seed: int = 0
    model: str = ""


@dataclass(frozen=True)
class RepulsionSettings:
    """The guard inside the shortest distance of the training data: fraction of that distance, and strength.

    Quantum nuclei come nearer than the classical ones of a training by some percent; there the model still answers.
    """

    onset_fraction: float = 0.9
    strength: float = 100.0


@dataclass(frozen=True)
class OutputSettings:
    """Where the model, the error report and what a baseline says go, relative to the configuration file."""

    model: str
    report: str = "report"
    baselines: str = "baselines"


@dataclass(frozen=True)
class Configuration:
    """All of a configuration file; a quantity without its table is not fitted.

    ``quantities`` has the tables of all but the energy, in the order of the registry.
    """

    folder: Path
    data: DataSettings
    density: DensitySettings
    output: OutputSettings
    repulsion: RepulsionSettings
    energy: EnergySettings | None
    network: NetworkSettings | None
    quantities: Mapping[str, HeadSettings]
    committee: CommitteeSettings | None
    metadata: dict[str, Any]

    @property
    def adds_members(self) -> bool:
        """Whether a fitted model gets members, and nothing else is fitted."""
        return self.committee is not None and bool(self.committee.model)


FIXED_SECTIONS: dict[str, type] = {
    "data": DataSettings,
    "density": DensitySettings,
    "energy": EnergySettings,
    "network": NetworkSettings,
    "committee": CommitteeSettings,
    "repulsion": RepulsionSettings,
    "output": OutputSettings,
}
OPTIONAL = ("energy", "network", "committee")
COMMITTEE_KINDS = ("subsampling", "last-layer")
FEWEST_MEMBERS = 5  # of a committee that is calibrated; see beadwise.learning.fitting.calibration


def read_configuration(path: str | Path) -> Configuration:
    """Read and check a configuration file.

    Raises
    ------
    ConfigurationError
        Naming the section, the key and what is allowed there.
    """
    path = Path(path)
    with refusing(ConfigurationError, f"cannot read the configuration {path}"):
        content = toml_of(path)
    if "baseline" in content:
        raise ConfigurationError(f"{path}: baseline = {content['baseline']!r} stands alone; it belongs into [energy]")
    kinds = {name: own.settings for name, own in quantities().items() if name != "energy"}
    unknown = sorted(set(content) - {*FIXED_SECTIONS, *kinds, "metadata"})
    if unknown:
        allowed = [*FIXED_SECTIONS, *kinds, "metadata"]
        hint = did_you_mean(unknown[0], allowed)
        raise ConfigurationError(f"{path}: unknown section {unknown}; allowed are {allowed}{hint}")
    sections: dict[str, Any] = {
        name: section(path, name, kind, content.get(name, {}))
        for name, kind in FIXED_SECTIONS.items()
        if name in content or name not in OPTIONAL
    }
    fitted = {name: section(path, name, kind, content[name]) for name, kind in kinds.items() if name in content}
    if not fitted and "energy" not in sections:
        raise ConfigurationError(f"{path}: nothing to fit; give at least one of the sections {['energy', *kinds]}")
    if "network" in sections:
        if "energy" not in sections:
            raise ConfigurationError(f"{path}: [network] corrects the linear energy; it needs a section [energy]")
        check_network(path, sections["network"])
    if "committee" in sections:
        check_committee(path, sections["committee"], "network" in sections)
    check_density(path, sections["density"])
    sections["data"] = checked_data(path, sections["data"])
    complete: dict[str, Any] = {**dict.fromkeys(FIXED_SECTIONS), **sections, "quantities": fitted}
    return Configuration(folder=path.resolve().parent, metadata=content.get("metadata", {}), **complete)


def checked_data(path: Path, data: DataSettings) -> DataSettings:
    """The section with the files that its patterns stand for.

    Raises
    ------
    ConfigurationError
        If there is no file to train on, or what is said of the labels cannot be.
    """
    if not data.train:
        raise ConfigurationError(f"{path}: train = [] in [data]; at least one file is needed")
    if not isinstance(data.validation, list) and not 0 < data.validation < 1:
        raise ConfigurationError(
            f"{path}: validation = {data.validation} in [data]; allowed are files, or a part between 0 and 1 of the "
            "training frames"
        )
    try:
        _ = data.reading
        files: dict[str, Any] = {
            name: expanded(names, path.resolve().parent)
            for name in ("train", "validation", "independent")
            if isinstance(names := getattr(data, name), list)
        }
    except DataError as error:
        raise ConfigurationError(f"{path}: {error}, in [data]") from error
    return replace(data, **files)


def check_network(path: Path, network: NetworkSettings) -> None:
    """Refuse a network without layers, and an optimisation without steps."""
    if not network.hidden or min(network.hidden) < 1:
        raise ConfigurationError(f"{path}: hidden = {network.hidden} in [network]; one or more widths are needed")
    if network.seed >= 2**63:
        raise ConfigurationError(f"{path}: seed = {network.seed} in [network]; it must be below 2^63")
    if min(network.epochs, network.batch, network.learning_rate) <= 0:
        raise ConfigurationError(
            f"{path}: epochs = {network.epochs}, batch = {network.batch}, learning_rate = {network.learning_rate} in "
            "[network]; each must be larger than 0"
        )


def check_committee(path: Path, committee: CommitteeSettings, has_network: bool) -> None:
    """Refuse a committee that cannot be calibrated, or cannot be made this way."""
    if committee.kind not in COMMITTEE_KINDS:
        raise ConfigurationError(
            f"{path}: kind = '{committee.kind}' in [committee]; allowed are {', '.join(COMMITTEE_KINDS)}"
            f"{did_you_mean(committee.kind, COMMITTEE_KINDS)}"
        )
    if committee.members < FEWEST_MEMBERS:
        raise ConfigurationError(
            f"{path}: members = {committee.members} in [committee]; a calibration needs at least {FEWEST_MEMBERS}"
        )
    if not 0 < committee.fraction < 1:
        raise ConfigurationError(f"{path}: fraction = {committee.fraction} in [committee]; it must be between 0 and 1")
    if has_network and committee.kind == "subsampling":
        raise ConfigurationError(
            f"{path}: [committee] by subsampling with a [network], which members share; allowed is kind = 'last-layer'"
        )


def check_density(path: Path, density: DensitySettings) -> None:
    """Refuse sizes that the kernel is not compiled for, and lengths that leave no density."""
    allowed = limits()
    if not 2 <= density.l_max <= allowed["l_max"]:
        raise ConfigurationError(f"{path}: l_max = {density.l_max} in [density]; allowed are 2 to {allowed['l_max']}")
    functions = density.radial * max(density.chemical_channels, 1)
    if not 1 <= functions <= allowed["radial"]:
        raise ConfigurationError(
            f"{path}: radial = {density.radial} and chemical_channels = {density.chemical_channels} in [density] make "
            f"{functions} functions; allowed are 1 to {allowed['radial']}"
        )
    if not density.innermost < density.cutoff or not density.warp_length > 0 or not density.decay_length > 0:
        raise ConfigurationError(
            f"{path}: cutoff = {density.cutoff}, innermost = {density.innermost}, warp_length = {density.warp_length}, "
            f"decay_length = {density.decay_length} in [density]; the cutoff must exceed innermost, the others 0"
        )


Section = TypeVar("Section")


def section(path: Path, name: str, kind: type[Section], values: Any) -> Section:
    """Make one section's settings, or say which key or value is wrong."""
    if not isinstance(values, dict):
        raise ConfigurationError(f"{path}: '{name}' is {shown(repr(values))}; it must be a section [{name}]")
    allowed = {entry.name: entry for entry in fields(kind)}  # type: ignore[arg-type]
    for key, value in values.items():
        if key not in allowed:
            hint = did_you_mean(key, allowed)
            raise ConfigurationError(f"{path}: unknown key '{key}' in [{name}]; allowed are {list(allowed)}{hint}")
        check_value(path, name, key, value, getattr(allowed[key].type, "__name__", str(allowed[key].type)))
    try:
        return kind(**values)
    except TypeError as error:
        missing = [key for key in ("train", "model", "hidden") if key in allowed and key not in values]
        raise ConfigurationError(f"{path}: [{name}] needs {missing}") from error


def check_value(path: Path, name: str, key: str, value: Any, kind: str) -> None:
    """Check one value against the type its setting is declared with."""
    numeric = isinstance(value, (int, float)) and not isinstance(value, bool)
    is_texts = isinstance(value, list) and all(isinstance(entry, str) for entry in value)
    fits = {
        "float": numeric and 0 <= value < float("inf"),
        "list[str] | float": is_texts or numeric,
        "dict[str, str]": isinstance(value, dict),  # of what, `Reading` says
        "dict[str, float]": isinstance(value, dict),
        "float | None": numeric,
        "int": isinstance(value, int) and not isinstance(value, bool) and value >= 0,
        "bool": isinstance(value, bool),
        "str": isinstance(value, str),
        "list[str]": is_texts,
        "list[int]": isinstance(value, list) and all(type(entry) is int for entry in value),
    }[kind]
    wanted = {
        "float": "a finite number that is not negative",
        "int": "a whole number that is not negative",
        "list[str]": "a list of texts",
        "list[str] | float": "a list of files or a number",
        "dict[str, str]": "a table of texts, as {energy = 'REF_energy'}",
        "dict[str, float]": "a table of numbers",
        "float | None": "a number",
    }.get(kind, kind)
    if not fits:
        raise ConfigurationError(f"{path}: {key} = {shown(repr(value))} in [{name}]; it must be {wanted}")
