"""The reference of configurations: each key has its line there, and no line is without a key."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import fields, make_dataclass
from typing import Any

import pytest
from beadwise.analysis.crystals.cycle_settings import STEPS, ClusterKeys, CycleSettings, RunSettings
from beadwise.driver.commands.group import main
from beadwise.learning.fitting.configuration import AFTER, BEFORE, fitted_sections
from beadwise.learning.fitting.electron_density.sections import SECTIONS as DENSITY
from beadwise.learning.fitting.orbitals.sections import SECTIONS as HAMILTONIAN
from beadwise.learning.fitting.sections import Metadata
from beadwise.learning.labels.settings import ClusterOptions, LabelSettings
from beadwise.learning.loop.configuration import SECTIONS, OtherFit
from beadwise.model.evaluators.mixture import PartSettings
from beadwise.properties.quantities import quantities
from click.testing import CliRunner
from jsonschema import Draft202012Validator
from places import REPOSITORY

sys.path.insert(0, str(REPOSITORY / "docs"))

import make_configuration

Members = make_dataclass("Members", list(quantities()))  # the names of the quantities themselves
KINDS: dict[str, dict[str, type]] = {
    "fit": {**BEFORE, **fitted_sections(), **AFTER, "metadata": Metadata},
    "A model out of several": {
        **dict.fromkeys([*quantities(), "hamiltonian", "electron_density"], PartSettings),
        "committee": Members,
    },
    "fit` of a Hamiltonian": {name: HAMILTONIAN[name] for name in ("data", "hamiltonian", "committee")},
    "fit` of an electron density": {name: DENSITY[name] for name in ("data", "electron_density")},
    "free-energy": {
        "Keys outside of sections": CycleSettings,
        "run": RunSettings,
        "run.cluster": ClusterKeys,
        **{f"run.{key}": kind for key, kind in STEPS.items()},
    },
    "learn": {**SECTIONS, "fit": OtherFit, "label": LabelSettings, "label.cluster": ClusterOptions},
}


def rows(page: str) -> dict[str, dict[str, dict[str, list[str]]]]:
    """Cells of the page by command, section and key."""
    found: dict[str, dict[str, dict[str, list[str]]]] = {}
    for part in re.split(r"^## ", page, flags=re.MULTILINE)[1:]:
        own = found.setdefault(part.partition("\n")[0].strip("`").removeprefix("beadwise "), {})
        for section in re.split(r"^### ", part, flags=re.MULTILINE)[1:]:
            lines = [line for line in section.splitlines() if line.startswith("| `")]
            cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
            own[section.partition("\n")[0].strip("`[]")] = {row[0].strip("`"): row[1:] for row in cells}
    return found


def test_the_page_is_that_of_the_schema() -> None:
    written = make_configuration.PAGE.read_text(encoding="utf-8")
    assert written == make_configuration.page(), "python docs/make_configuration.py"


def test_each_key_has_its_line_and_each_line_its_key() -> None:
    """The keys of the page, against the fields of the classes that the code reads, and not against the schema."""
    found = {
        command: {name: set(keys) for name, keys in sections.items()}
        for command, sections in rows(make_configuration.PAGE.read_text(encoding="utf-8")).items()
    }
    expected = {
        command: {name: {own.name for own in fields(kind)} - {"folder"} for name, kind in kinds.items()}
        for command, kinds in KINDS.items()
    }
    expected["learn"]["output"].add("folder")  # elsewhere it is that of the file
    assert found == expected
    assert sum(len(keys) for sections in found.values() for keys in sections.values()) > 90


def test_each_line_has_a_value_a_default_and_a_sentence() -> None:
    for sections in rows(make_configuration.PAGE.read_text(encoding="utf-8")).values():
        for name, keys in sections.items():
            for key, (value, unit, default, meaning) in keys.items():
                where = f"{key} in [{name}]"
                assert value and meaning[0].isupper() | meaning.startswith("`") and meaning.endswith("."), where
                is_measured = "finite number" in value and key.endswith(
                    ("_error", "length", "cutoff", "shifts", "atom")
                )
                assert bool(unit) or not is_measured, where
                assert default == "needed" or not default or json.loads(default.strip("`")) is not None, where


@pytest.mark.parametrize("command", ["fit", "hamiltonian", "density", "learn", "model", "crystal"])
def test_the_schema_is_printed(command: str) -> None:
    done = CliRunner().invoke(main, ["schema", command], catch_exceptions=False)
    whole: dict[str, Any] = json.loads(done.output)
    Draft202012Validator.check_schema(whole)
    assert whole["title"] == f"beadwise {command}" and done.exit_code == 0


def test_a_schema_that_there_is_not() -> None:
    done = CliRunner().invoke(main, ["schema", "run"])
    assert done.exit_code == 2 and "'fit', 'hamiltonian', 'density', 'learn', 'model', 'crystal'" in done.stderr
