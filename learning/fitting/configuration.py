"""What a fit is told: the TOML file of ``beadwise fit``, checked key by key."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from ...errors import BeadwiseError
from ...potentials.padding import LANES
from ...properties.quantities import quantities
from ...quantity import HeadSettings
from ...reading import refusing, toml_of
from ...schema import check_table, sections_schema, settings_of, table_schema
from ...suggestions import did_you_mean
from ..data import DataError, expanded
from ..data.files import part_of_file
from .charges.section import ChargeSettings
from .long_range.checks import long_range_problem
from .long_range.settings import LodeSettings
from .sections import (
    FEWEST_MEMBERS,
    LIMITS,
    CommitteeSettings,
    DataSettings,
    DensitySettings,
    EnergySettings,
    EquivariantSettings,
    Metadata,
    NetworkSettings,
    OutputSettings,
    RepulsionSettings,
)  # fmt: skip

__all__ = [
    "FEWEST_MEMBERS", "CommitteeSettings", "Configuration", "ConfigurationError", "DataSettings", "DensitySettings",
    "EnergySettings", "EquivariantSettings", "NetworkSettings", "fit_schema", "read_configuration",
]  # fmt: skip


class ConfigurationError(BeadwiseError, ValueError):
    """A configuration file that is missing, is not TOML, or has a key or value that is not allowed."""


@dataclass(frozen=True)
class Configuration:
    """All of a configuration file; a quantity without its table is not fitted.

    ``quantities`` has the tables of all but the energy, in the order of the registry.
    """

    folder: Path
    data: DataSettings
    density: DensitySettings
    lode: LodeSettings | None
    output: OutputSettings
    repulsion: RepulsionSettings
    energy: EnergySettings | None
    charges: ChargeSettings | None
    network: NetworkSettings | None
    equivariant: EquivariantSettings | None
    quantities: Mapping[str, HeadSettings]
    committee: CommitteeSettings | None
    metadata: dict[str, Any]

    @property
    def adds_members(self) -> bool:
        """Whether a fitted model gets members, and nothing else is fitted."""
        return self.committee is not None and bool(self.committee.model)


# in the order of the reference; quantities stand behind the network
BEFORE: dict[str, type] = {
    "data": DataSettings,
    "density": DensitySettings,
    "lode": LodeSettings,
    "energy": EnergySettings,
    "charges": ChargeSettings,
    "network": NetworkSettings,
    "equivariant": EquivariantSettings,
}
AFTER: dict[str, type] = {"committee": CommitteeSettings, "repulsion": RepulsionSettings, "output": OutputSettings}
OPTIONAL = ("lode", "energy", "charges", "network", "equivariant", "committee")
METADATA = "metadata"
WRITTEN = (  # among the metadata by a fit itself
    "baseline",
    "calibration",
    "charges",
    "envelope",
    "equivariant",
    "errors",
    "net_charge",
    "nominal_charges",
    "training_structures",
)


def fitted_sections() -> dict[str, type[HeadSettings]]:
    """Sections of all quantities but the energy, as the registry has them."""
    return {name: own.settings for name, own in quantities().items() if name != "energy"}


def fit_schema() -> dict[str, Any]:
    """JSON Schema of a configuration file of ``beadwise fit``, with the sections of all registered quantities."""
    kinds = {**BEFORE, **fitted_sections(), **AFTER}
    tables = {name: table_schema(kind) for name, kind in kinds.items()}
    for name in fitted_sections():
        own = quantities()[name]
        unit = str(own.unit) or "no unit"
        tables[name]["description"] = f"The {name.replace('_', ' ')} of each {own.per} ({unit})."
    tables[METADATA] = table_schema(Metadata, is_open=True) | {"propertyNames": {"not": {"enum": list(WRITTEN)}}}
    needs = {
        "anyOf": [{"required": [name]} for name in ("energy", "charges", *fitted_sections())],
        "dependentRequired": {"network": ["energy"], "lode": ["energy"]},
    }
    return sections_schema("A fit: `beadwise fit CONFIG.toml`.", tables, ("data", "output")) | needs


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
    kinds = fitted_sections()
    allowed = [*BEFORE, *kinds, *AFTER, METADATA]
    unknown = sorted(set(content) - set(allowed))
    if unknown:
        hint = did_you_mean(unknown[0], allowed)
        raise ConfigurationError(f"{path}: unknown section {unknown}; allowed are {allowed}{hint}")
    refuse = refusal(path)
    sections: dict[str, Any] = {
        name: settings_of(kind, content.get(name, {}), name, refuse)
        for name, kind in (BEFORE | AFTER).items()
        if name in content or name not in OPTIONAL
    }
    fitted = {name: settings_of(kind, content[name], name, refuse) for name, kind in kinds.items() if name in content}
    metadata = content.get(METADATA, {})
    check_table(Metadata, metadata, METADATA, refuse, is_open=True)
    if taken := sorted(set(metadata) & set(WRITTEN)):
        raise ConfigurationError(
            f"{path}: {taken[0]} in [metadata]; allowed are keys other than {list(WRITTEN)}, which the fit writes"
        )
    if not fitted and not {"energy", "charges"} & sections.keys():
        known = ["energy", "charges", *kinds]
        raise ConfigurationError(f"{path}: nothing to fit; give at least one of the sections {known}")
    if "network" in sections and "energy" not in sections:
        raise ConfigurationError(f"{path}: [network] corrects the linear energy; it needs a section [energy]")
    if "lode" in sections and (problem := long_range_problem(sections)):
        raise ConfigurationError(f"{path}: {problem}")
    if "equivariant" in sections:
        check_equivariant(path, sections, fitted)
    if "charges" in sections:
        check_charges(path, sections, fitted, metadata)
    if "committee" in sections:
        check_committee(path, sections["committee"], "network" in sections)
    check_density(path, sections["density"])
    sections["data"] = checked_data(path, sections["data"])
    read = [sections["data"].train, sections["data"].validation_files, sections["data"].independent]
    check_output(path, sections["output"], [name for names in read for name in names])
    complete: dict[str, Any] = {**dict.fromkeys(BEFORE | AFTER), **sections, "quantities": fitted}
    return Configuration(folder=path.resolve().parent, metadata=metadata, **complete)


def checked_data(path: Path, data: DataSettings) -> DataSettings:
    """The section with the files that its patterns stand for.

    Raises
    ------
    ConfigurationError
        If a pattern stands for no file, or what is said of the labels cannot be.
    """
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


def check_output(path: Path, output: OutputSettings, data: Iterable[str]) -> None:
    """Refuse to write over what a fit reads, before it begins.

    Parameters
    ----------
    path : Path
        Of the configuration, whose folder names are relative to.
    output : OutputSettings
    data : iterable of str
        Names of all files of [data].

    Raises
    ------
    ConfigurationError
        If what is to be written is one of these files, or the configuration.
    """
    folder = path.resolve().parent
    read = {part_of_file(folder / name)[0].resolve() for name in data} | {path.resolve()}
    for own in fields(output):
        name = getattr(output, own.name)
        if (folder / name).resolve() in read:
            raise ConfigurationError(
                f"{path}: {own.name} = '{name}' in [output] is a file that the fit reads, which would be written over; "
                "allowed is another name"
            )


def check_equivariant(path: Path, sections: Mapping[str, Any], fitted: Mapping[str, HeadSettings]) -> None:
    """Refuse an equivariant network beside what it cannot stand with, of sizes that it cannot have, or for nothing."""
    own, l_max = sections["equivariant"], sections["density"].l_max
    for other in ("network", "committee"):
        if other in sections:
            raise ConfigurationError(f"{path}: [equivariant] and [{other}]; allowed is one of them")
    for name in ("channels", "sent"):
        if getattr(own, name) % LANES:
            raise ConfigurationError(
                f"{path}: {name} = {getattr(own, name)} in [equivariant]; it must be a multiple of {LANES}"
            )
    if not own.l_max <= l_max or not own.l_sent <= own.l_max:
        raise ConfigurationError(
            f"{path}: l_max = {own.l_max} and l_sent = {own.l_sent} in [equivariant]; allowed are at most {l_max}, "
            "that of the density, and at most l_max"
        )
    present = [*(["energy"] if "energy" in sections else []), *fitted]
    linear = [] if isinstance(own.linear, bool) else own.linear
    named = {"weights": list(own.weights), "linear": linear, "ridge_readouts": own.ridge_readouts}
    for key, names in named.items():
        if unknown := [name for name in names if name not in present]:
            hint = did_you_mean(unknown[0], present)
            raise ConfigurationError(
                f"{path}: {key} has '{unknown[0]}' in [equivariant]; allowed are the sections that are there, "
                f"{present}{hint}"
            )
    given = read_by_network(own, present)
    if not any(own.weight_of(name) for name in given):
        raise ConfigurationError(f"{path}: [equivariant] with weights = {own.weights} gives no quantity of {present}")
    can_be_solved = [name for name in given if name != "energy"]
    if strange := [name for name in own.ridge_readouts if name not in can_be_solved]:
        raise ConfigurationError(
            f"{path}: ridge_readouts has '{strange[0]}' in [equivariant]; allowed are quantities that the network "
            f"gives, but for the energy, {can_be_solved}"
        )
    heads = [head for name in given for head in quantities()[name].heads if head.parity == 1]
    highest = max(heads, key=lambda head: head.order)
    if highest.order > own.l_max:
        raise ConfigurationError(
            f"{path}: l_max = {own.l_max} in [equivariant]; the {highest.name} head needs at least {highest.order}"
        )


def read_by_network(settings: EquivariantSettings, names: Iterable[str]) -> list[str]:
    """Those of some quantities that an equivariant network gives: pseudotensors and curves of energies stay linear."""
    known = quantities()
    return [
        name
        for name in names
        if (settings.weight_of(name) or name in settings.ridge_readouts)
        and any(head.parity == 1 for head in known[name].heads)
        and not known[name].form.is_open
    ]


def check_committee(path: Path, committee: CommitteeSettings, has_network: bool) -> None:
    """Refuse a committee that cannot be made this way."""
    if has_network and committee.kind == "subsampling":
        raise ConfigurationError(
            f"{path}: [committee] by subsampling with a [network], which members share; allowed is kind = 'last-layer'"
        )


def check_charges(
    path: Path, sections: Mapping[str, Any], fitted: Mapping[str, HeadSettings], metadata: Mapping[str, Any]
) -> None:
    """Refuse charges beside what they cannot stand with, and what their kind does not look at."""
    own = sections["charges"]
    if "committee" in sections:
        raise ConfigurationError(f"{path}: [charges] and [committee]; allowed is one of them")
    if taken := [name for name in ("partial_charges", "electronegativity") if name in fitted]:
        raise ConfigurationError(f"{path}: [charges] fits its own head; [{taken[0]}] cannot stand beside it")
    if own.energy == "equilibration" and own.kind != "equilibration":
        raise ConfigurationError(
            f"{path}: energy = 'equilibration' in [charges] of kind = '{own.kind}'; allowed are none and coulomb"
        )
    if getattr(fitted.get("dipole"), "nominal_charges", {}):
        raise ConfigurationError(f"{path}: nominal_charges in [dipole] and [charges]; allowed is one of them")
    for name, kind in (("formal", "transfers"), ("hardness", "equilibration")):
        if getattr(own, name) and own.kind != kind:
            raise ConfigurationError(f"{path}: {name} in [charges] of kind = '{own.kind}'; it is for kind = '{kind}'")
    if own.groups == "molecules" and (own.kind != "plain" or "repeating_unit" not in metadata):
        raise ConfigurationError(
            f"{path}: groups = 'molecules' in [charges] of kind = '{own.kind}'; it needs kind = 'plain' and "
            "repeating_unit in [metadata], a formula such as OHH"
        )
    if own.network and (own.kind, own.of_energy, own.groups) != ("plain", "none", "cell"):
        raise ConfigurationError(
            f"{path}: network = true in [charges] of kind = '{own.kind}', energy = '{own.of_energy}', groups = "
            f"'{own.groups}'; it needs kind = 'plain', energy = 'none' and groups = 'cell'"
        )
    network = sections.get("equivariant")
    if own.network and (network is None or "dipole" not in read_by_network(network, fitted)):
        raise ConfigurationError(
            f"{path}: network = true in [charges]; it needs [equivariant] and a [dipole] that the network gives"
        )
    if own.network and network is not None and "dipole" in network.ridge_readouts:
        raise ConfigurationError(
            f"{path}: network = true in [charges] and ridge_readouts = {network.ridge_readouts} in [equivariant]; a "
            "dipole with charges of the network is trained: leave it out of the readouts that are solved"
        )


def check_density(path: Path, density: DensitySettings) -> None:
    """Refuse more functions than the kernel is compiled for, and numbers that make no density."""
    functions = density.radial * max(density.chemical_channels, 1)
    if functions > LIMITS["radial"]:
        raise ConfigurationError(
            f"{path}: radial = {density.radial} and chemical_channels = {density.chemical_channels} in [density] make "
            f"{functions} functions; allowed are 1 to {LIMITS['radial']}"
        )
    if not density.innermost < density.cutoff:
        raise ConfigurationError(
            f"{path}: innermost = {density.innermost} and cutoff = {density.cutoff} in [density]; innermost must be "
            "below the cutoff"
        )
    if 0 < density.decay_power < 1:  # the slope of the weight would be infinite at distance 0
        raise ConfigurationError(
            f"{path}: decay_power = {density.decay_power} in [density]; it must be 0, or 1 or more"
        )


def refusal(path: Path) -> Callable[[str], ConfigurationError]:
    """Make errors about a file."""
    return lambda text: ConfigurationError(f"{path}: {text}")
