"""Configurations of what is fitted alone, as a Hamiltonian or an electron density, by the section that tells of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

from ase.data import chemical_symbols

from ....reading import refusing, toml_of
from ....schema import FileName, about, check_table, sections_schema, settings_of, table_schema
from ....suggestions import did_you_mean
from ...data import DataError, expanded
from ..configuration import METADATA, ConfigurationError, check_density, refusal
from ..sections import DensitySettings, Metadata

WRITTEN = ("calibration", "charge", "envelope", "errors")  # among the metadata by a fit itself
COMMITTEE = "committee"  # a section that may be missing: then there is none
Refusal = Callable[[str], ConfigurationError]

# keys that several of these configurations have
TrainingFiles = Annotated[
    list[FileName],
    about("Files of structures to fit; a name may be a pattern, as `run_*/train.xyz`.", min_length=1),
]
ValidationPart = Annotated[
    float, about("Fraction of the frames that is set aside, and whose errors are reported.", ge=0, lt=1)
]
KeptProducts = Annotated[int, about("Products of these that are kept for each λ and parity.", ge=1)]
FewChannels = Annotated[int, about("Channels that the products of an atom are multiplied with once more.", ge=1)]
Ridge = Annotated[
    float, about("Strength of the regularisation: variance of the noise over what the features explain.", gt=0)
]


def has_section(path: Path, section: str) -> bool:
    """Whether a configuration has a section; one that cannot be read has none."""
    try:
        return section in toml_of(path)
    except (OSError, ValueError):
        return False


def schema_of(sections: Mapping[str, type], section: str, what: str) -> dict[str, Any]:
    """JSON Schema of a configuration of these sections, of which ``section`` tells what is fitted."""
    tables = {name: table_schema(kind) for name, kind in sections.items()}
    tables[METADATA] = table_schema(Metadata, is_open=True) | {"propertyNames": {"not": {"enum": list(WRITTEN)}}}
    return sections_schema(f"A fit of {what}: `beadwise fit CONFIG.toml`.", tables, ("data", section, "output"))


def read_sections(path: Path, kinds: Mapping[str, type], section: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Settings of every section, [density] among them, and the metadata; None of a committee that is not there.

    Raises
    ------
    ConfigurationError
        Naming the section, the key and what is allowed there.
    """
    with refusing(ConfigurationError, f"cannot read the configuration {path}"):
        content = toml_of(path)
    refuse = refusal(path)
    allowed = [*kinds, METADATA]
    if unknown := sorted(set(content) - set(allowed)):
        hint = did_you_mean(unknown[0], allowed)
        raise refuse(f"section {unknown} beside [{section}]; allowed are {allowed}{hint}")
    sections: dict[str, Any] = {
        name: settings_of(kind, content.get(name, {}), name, refuse) if name != COMMITTEE or name in content else None
        for name, kind in kinds.items()
    }
    metadata = content.get(METADATA, {})
    check_table(Metadata, metadata, METADATA, refuse, is_open=True)
    if taken := sorted(set(metadata) & set(WRITTEN)):
        raise refuse(
            f"{taken[0]} in [{METADATA}]; allowed are keys other than {list(WRITTEN)}, which the fit writes; the "
            "charge of the molecules is a key of [data]"
        )
    check_density(path, sections["density"])
    return sections, metadata


def refuse_no_elements(symbols: Iterable[str], section: str, refuse: Refusal) -> None:
    """Raise ConfigurationError for keys of a table that are no chemical symbols."""
    if strange := [symbol for symbol in symbols if symbol not in chemical_symbols[1:]]:
        raise refuse(f"'{strange[0]}' in [{section}] is no element; chemical symbols are needed, as C")


def refuse_beyond_density(l_max: int, density: DensitySettings, section: str, refuse: Refusal) -> None:
    """Raise ConfigurationError for features of a higher angular momentum than the density has."""
    if l_max > density.l_max:
        raise refuse(f"l_max = {l_max} in [{section}]; allowed is at most {density.l_max}, that of the density")


def files_side_by_side(
    structures: list[str], labels: list[str], what: str, folder: Path, refuse: Refusal
) -> tuple[list[str], list[str]]:
    """All files of structures that names and patterns mean, and as many of their labels, of which ``what`` tells.

    Raises
    ------
    ConfigurationError
        If there is no such file, or not one of labels for each of structures.
    """
    try:
        train, theirs = expanded(structures, folder), expanded(labels, folder)
    except DataError as error:
        raise refuse(f"{error}, in [data]") from error
    if len(train) != len(theirs):
        raise refuse(f"{len(train)} files of structures and {len(theirs)} of {what} in [data]; one for each")
    return train, theirs
