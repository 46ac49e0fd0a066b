"""One schema for the configurations of fits and of active learning: what ships fits it, and so do own quantities."""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from typing import Any

import pytest
from beadwise.learning.fitting.configuration import AFTER, BEFORE, fit_schema, fitted_sections, read_configuration
from beadwise.learning.fitting.electron_density.sections import SECTION as OF_DENSITY
from beadwise.learning.fitting.electron_density.sections import electron_density_schema
from beadwise.learning.fitting.orbitals.sections import SECTION as OF_HAMILTONIAN
from beadwise.learning.fitting.orbitals.sections import hamiltonian_schema
from beadwise.learning.labels.settings import ClusterOptions, LabelSettings, label_schema
from beadwise.learning.loop.configuration import SECTIONS, OtherFit, learn_schema, read_learn_configuration
from beadwise.properties.quantities import SECTIONS as RESERVED
from beadwise.properties.quantities import registered
from beadwise.schema import for_editors, keys_of
from jsonschema import Draft202012Validator
from places import REPOSITORY

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SHIPPED = sorted([*(REPOSITORY / "inputs").glob("*.toml"), *(REPOSITORY / "docs").rglob("*.toml")])
CONFIGURATIONS = {
    path: set(tomllib.loads(path.read_text(encoding="utf-8"))) for path in SHIPPED if "_build" not in path.parts
}
FITS = [path for path, sections in CONFIGURATIONS.items() if {"data", "output"} <= sections]
LOOPS = [path for path, sections in CONFIGURATIONS.items() if "explore" in sections]


def problems(schema: dict[str, Any], path: Path) -> list[str]:
    Draft202012Validator.check_schema(schema)
    content = tomllib.loads(path.read_text(encoding="utf-8"))
    return [error.message for error in Draft202012Validator(schema).iter_errors(content)]


@pytest.mark.parametrize("path", FITS, ids=lambda path: path.name)
def test_shipped_fits_are_as_the_schema_says(path: Path) -> None:
    alone = {OF_HAMILTONIAN: hamiltonian_schema, OF_DENSITY: electron_density_schema}
    (schema,) = [own for section, own in alone.items() if section in CONFIGURATIONS[path]] or [fit_schema]
    assert problems(for_editors(schema(), "A fit"), path) == []


@pytest.mark.parametrize("path", LOOPS, ids=lambda path: path.name)
def test_shipped_loops_are_as_the_schema_says(path: Path) -> None:
    assert problems(for_editors(learn_schema(), "Active learning"), path) == []
    read_learn_configuration(path)


def test_what_ships_is_found() -> None:
    assert len(FITS) >= 6 and len(LOOPS) >= 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[density]\ncutof = 3.0", "cutof"),
        ("[density]\nl_max = 7", "7"),
        ("[committee]\nkind = 'bagging'", "bagging"),
        ("[network]\nhidden = []", "[]"),
        ("[dipol]", "dipol"),
        ("[metadata]\nsources = 3\nanything = 4", "3"),
        ("[metadata]\nequivariant = 'no'", "equivariant"),
    ],
)
def test_what_the_code_refuses_the_schema_refuses(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "fit.toml"
    path.write_text(f"[data]\ntrain = ['a.xyz']\n[output]\nmodel = 'm.safetensors'\n[energy]\n{text}\n")
    found = problems(fit_schema(), path)
    assert len(found) == 1 and message in found[0]
    with pytest.raises(ValueError, match=r"must be|allowed are"):
        read_configuration(path)


def test_what_belongs_together(tmp_path: Path) -> None:
    path = tmp_path / "fit.toml"
    for text in ("[network]\nhidden = [4]\n[dipole]", ""):
        path.write_text(f"[data]\ntrain = ['a.xyz']\n[output]\nmodel = 'm'\n{text}\n")
        assert len(problems(fit_schema(), path)) == 1
        with pytest.raises(ValueError, match=r"needs a section|nothing to fit"):
            read_configuration(path)
    labels = Draft202012Validator(label_schema())
    assert labels.is_valid({"reference": "water"}) and labels.is_valid({"client": "x {address}", "restart": "cell"})
    assert not labels.is_valid({}) and not labels.is_valid({"reference": "water", "client": "x"})


def test_a_fit_of_another_file_is_allowed() -> None:
    fit = Draft202012Validator(learn_schema()["properties"]["fit"])
    assert fit.is_valid({"configuration": "fit.toml"})
    assert fit.is_valid({"energy": {}, "committee": {}})
    assert not fit.is_valid({"energy": {}})
    assert not fit.is_valid({"energy": {}, "committee": {}, "data": {"train": ["a.xyz"]}})


def test_a_new_quantity_brings_its_section() -> None:
    from own_quantities import LEVELS

    assert "level_density" not in fit_schema()["properties"]
    with registered(LEVELS):
        section = fit_schema()["properties"]["level_density"]
        assert section["description"] == "The level density of each cell (1/eV)."
        assert set(section["properties"]) == {"l_max", "ridge", "angular_decay", "radial_decay", "derivative_length"}
        assert "level_density" in learn_schema()["properties"]["fit"]["anyOf"][0]["properties"]
        assert "level_density" in fit_schema()["properties"]["data"]["properties"]["keys"]["properties"]


def test_no_quantity_can_be_called_like_a_section() -> None:
    assert {*BEFORE, *AFTER, OF_HAMILTONIAN, OF_DENSITY, "metadata"} - {"energy"} == set(RESERVED)


def test_every_key_has_a_sentence_and_is_read() -> None:
    """No key is there that nothing reads: each is an attribute, or an entry of a table, somewhere in the package."""
    read = set()
    for path in (own for room in ("learning", "driver", "model") for own in (REPOSITORY / room).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute):
                read.add(node.attr)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                read.add(node.value)
    kinds = [*BEFORE.values(), *AFTER.values(), *SECTIONS.values(), OtherFit, LabelSettings, ClusterOptions]
    unread = {(kind.__name__, key) for kind in kinds for key in keys_of(kind) if key not in read}
    assert not unread
    for schema in (fit_schema(), learn_schema()):
        assert not list(without_a_sentence(schema))
    assert set(fitted_sections()) >= {"dipole", "polarizability"}


def without_a_sentence(schema: dict[str, Any], name: str = "") -> Any:
    """Keys and sections whose description is no sentence; entries of tables and lists have none."""
    for key, own in schema.get("properties", {}).items():
        if name not in ("keys", "units", "orders"):
            if not str(own.get("description", "")).strip().endswith((".", ".)")):
                yield key
            yield from without_a_sentence(own, key)
    for own in schema.get("anyOf", ()):
        yield from without_a_sentence(own)
