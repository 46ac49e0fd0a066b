"""Sections of configurations: what messages say of wrong values, and the JSON Schema of the same."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import numpy as np
import pytest
from beadwise.errors import BeadwiseError
from beadwise.schema import NO_KEY, UNIT, FileName, about, for_editors, settings_of, table_schema, words
from jsonschema import Draft202012Validator


@dataclass(frozen=True)
class Inner:
    """Known keys of an open table."""

    kind: Annotated[Literal["one", "two"], about("Which.")] = "one"


@dataclass(frozen=True)
class Example:
    """What an example may say.

    More of it.
    """

    files: Annotated[list[FileName], about("Files.", min_length=1)]
    length: Annotated[float, about("Length.", unit="Å", gt=0)] = 6.0
    part: Annotated[float, about("Part.", gt=0, lt=1)] = 0.5
    shift: Annotated[float, about("Any number.")] = 0.0
    plain: float = 1.0
    count: Annotated[int, about("Count.", ge=2, le=6)] = 3
    maybe: Annotated[int | None, about("None if it is not given.")] = None
    kind: Annotated[Literal["", "fast", "slow"], about("Which.")] = ""
    names: Annotated[dict[str, str], about("Names.", names=lambda: ["energy", "forces"])] = field(default_factory=dict)
    wanted: Annotated[list[str], about("Labels.", names=lambda: ["energy", "forces"])] = field(default_factory=list)
    atoms: Annotated[dict[str, Annotated[float, about("", unit="eV")]], about("Energies.")] = field(
        default_factory=dict
    )
    is_on: Annotated[bool, about("Truth.")] = False
    options: Annotated[dict[str, Any], about("Others.", inner=Inner)] = field(default_factory=dict)
    folder: str = field(default="here", metadata=NO_KEY)


def example(**values: Any) -> Example:
    return settings_of(Example, {"files": ["a.xyz"], **values}, "example", BeadwiseError)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"lenght": 1.0},
            r"unknown key 'lenght' in \[example\]; allowed are \['files', 'length', .*; did you mean 'length'",
        ),
        ({"folder": "x"}, "unknown key 'folder'"),
        ({"files": []}, r"files = \[\] in \[example\]; it must be a list of one or more file names$"),
        ({"files": "a.xyz"}, "files = 'a.xyz' in .example.; it must be a list of one or more file names$"),
        ({"length": 0}, "length = 0 in .example.; it must be a finite number above 0 in Å$"),
        ({"length": "long"}, "length = 'long' in .example.; it must be a finite number above 0 in Å$"),
        ({"length": math.inf}, "length = inf in .example.; it must be a finite number"),
        ({"length": True}, "length = True in .example.; it must be a finite number"),
        ({"part": 1}, "part = 1 in .example.; it must be a number between 0 and 1$"),
        ({"shift": math.nan}, "shift = nan in .example.; it must be a finite number$"),
        ({"plain": -1.0}, "plain = -1.0 in .example.; it must be a finite number that is not negative$"),
        ({"count": 7}, "count = 7 in .example.; it must be a whole number from 2 to 6$"),
        ({"count": 3.0}, "count = 3.0 in .example.; it must be a whole number"),
        ({"maybe": "x"}, "maybe = 'x' in .example.; it must be a whole number$"),
        ({"kind": "fats"}, r"kind = 'fats' in \[example\]; allowed are \['fast', 'slow'\]; did you mean 'fast'\?$"),
        ({"kind": 3}, r"kind = 3 in \[example\]; allowed are \['fast', 'slow'\]$"),
        ({"names": "energy"}, "names = 'energy' in .example.; it must be a table of texts$"),
        ({"names": {"energy": 1}}, "names has energy = 1 in .example.; it must be text$"),
        ({"atoms": {"H": "low"}}, "atoms has H = 'low' in .example.; it must be a finite number in eV$"),
        ({"atoms": {"H": math.inf}}, "atoms has H = inf"),
        ({"is_on": 1}, "is_on = 1 in .example.; it must be true or false$"),
        ({"options": 3}, r"'example.options' is 3; it must be a section \[example.options\]$"),
        (
            {"options": {"kind": "three", "other": 1}},
            r"kind = 'three' in \[example.options\]; allowed are \['one', 'two'\]",
        ),
        ({"count": 10**30}, "count = 1000000000000000000000000000000 in"),
        ({"kind": "x" * 1000}, "1002 characters"),
    ],
)
def test_what_is_wrong_is_one_line(values: dict[str, Any], message: str) -> None:
    with pytest.raises(BeadwiseError, match=message) as raised:
        example(**values)
    assert "\n" not in str(raised.value)


def test_zero_is_not_above_zero_where_the_smallest_numbers_are_flushed() -> None:
    """Libraries that were compiled with -ffast-math do that to a process, as torch does where it is asked to."""
    torch = pytest.importorskip("torch")
    if not torch.set_flush_denormal(True):
        pytest.skip("this processor flushes no numbers")
    try:
        for wrong in ({"length": 0}, {"length": 0.0}, {"length": -0.0}):
            with pytest.raises(BeadwiseError, match="it must be a finite number above 0"):
                example(**wrong)
    finally:
        torch.set_flush_denormal(False)


def test_a_section_that_is_none_or_lacks_a_key() -> None:
    with pytest.raises(BeadwiseError, match=r"'example' is 3; it must be a section \[example\]"):
        settings_of(Example, 3, "example", BeadwiseError)
    with pytest.raises(BeadwiseError, match=r"\[example\] needs \['files'\]"):
        settings_of(Example, {"length": 3}, "example", BeadwiseError)


def test_values_stay_what_they_are() -> None:
    own = example(length=6, files=("a", "b"), shift=np.float64(-2.5), options={"kind": "two", "queue": "long"}, kind="")
    assert own.length == 6 and isinstance(own.length, int)
    assert own.files == ("a", "b") and own.shift == -2.5 and own.options == {"kind": "two", "queue": "long"}


def test_the_json_schema_of_a_section() -> None:
    schema = table_schema(Example)
    Draft202012Validator.check_schema(schema)
    keys = schema["properties"]
    assert schema["description"] == "What an example may say." and schema["required"] == ["files"]
    assert keys["length"] == {
        "type": "number", "description": "Length.", UNIT: "Å", "exclusiveMinimum": 0, "default": 6.0
    }  # fmt: skip
    assert "default" not in keys["maybe"] and keys["maybe"]["type"] == "integer"
    assert keys["kind"]["enum"] == ["fast", "slow"] and "default" not in keys["kind"]
    assert list(keys["names"]["properties"]) == ["energy", "forces"] and not keys["names"]["additionalProperties"]
    assert keys["wanted"]["items"] == {"enum": ["energy", "forces"]}
    assert keys["options"]["additionalProperties"] and keys["options"]["description"] == "Others."
    assert "folder" not in keys


@pytest.mark.parametrize(
    ("values", "is_allowed"),
    [
        ({}, True),
        ({"length": 6, "names": {"energy": "E"}, "options": {"queue": "long"}}, True),
        ({"lenght": 6}, False),
        ({"length": -6}, False),
        ({"options": {"kind": "three"}}, False),
        ({"names": {"enery": "E"}}, False),
    ],
)
def test_the_json_schema_allows_what_the_check_does(values: dict[str, Any], is_allowed: bool) -> None:
    whole = for_editors(table_schema(Example), "An example")
    assert Draft202012Validator(whole).is_valid({"files": ["a.xyz"], **values}) is is_allowed


def test_editors_are_told_the_unit() -> None:
    whole = for_editors(table_schema(Example), "An example")
    assert whole["$schema"].endswith("2020-12/schema") and whole["title"] == "An example"
    assert whole["properties"]["length"]["description"] == "Length. Unit: Å."


def test_words_of_tables_and_choices() -> None:
    keys = table_schema(Example)["properties"]
    assert words(keys["wanted"]) == "a list of 'energy', 'forces'"
    assert words(keys["names"]) == "a table of texts"
    assert words(keys["atoms"]) == "a table of finite numbers in eV"
    assert words(keys["kind"]) == "one of 'fast', 'slow'"
    assert words(keys["options"]) == "a table"
