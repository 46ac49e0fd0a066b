"""Configurations of what is fitted alone, as a Hamiltonian or an electron density, by the section that tells of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ....reading import refusing, toml_of
from ....schema import check_table, sections_schema, settings_of, table_schema
from ....suggestions import did_you_mean
from ..configuration import METADATA, ConfigurationError, refusal
from ..sections import Metadata

WRITTEN = ("charge", "envelope", "errors")  # among the metadata by a fit itself


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
    """Settings of every section, and the metadata.

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
        name: settings_of(kind, content.get(name, {}), name, refuse) for name, kind in kinds.items()
    }
    metadata = content.get(METADATA, {})
    check_table(Metadata, metadata, METADATA, refuse, is_open=True)
    if taken := sorted(set(metadata) & set(WRITTEN)):
        raise refuse(
            f"{taken[0]} in [{METADATA}]; allowed are keys other than {list(WRITTEN)}, which the fit writes; the "
            "charge of the molecules is a key of [data]"
        )
    return sections, metadata
