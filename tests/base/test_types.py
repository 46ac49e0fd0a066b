"""What mypy tells a user of the package: every public name has a type, and none of them is ``Any``."""

from __future__ import annotations

import re

import beadwise
import pytest
from beadwise.model import Response
from typed_package import mypy, package_tree

pytest.importorskip("mypy")

ARRAY = r"numpy\.ndarray\[.*\]"
EXPECTED = {
    "beadwise.load": r"def \(name: .*, threads: int =, trust: typing\.Sequence\[str\] =\) -> beadwise.*\.Evaluator",
    "beadwise.evaluate": r"def \(model: beadwise\.model\.response\.Evaluator, .*\) -> beadwise.*\.Response",
    "beadwise.Batch": r"def \(.*\) -> beadwise\.model\.structures\.Batch",
    "beadwise.Response": r"def \(.*\) -> beadwise\.model\.response\.Response",
    "beadwise.Calculator": r"def \(.*\) -> beadwise\.model\.calculator\.Calculator",
    "beadwise.__version__": r"str",
    "model": r"beadwise\.model\.response\.Evaluator",
    "model.species": r"tuple\[int, \.\.\.\]",
    "model.properties": r"tuple\[str, \.\.\.\]",
    "model.evaluate": r"def \(batch: beadwise\.model\.structures\.Batch, .*\) -> beadwise\.model\.response\.Response",
    "response": r"beadwise\.model\.response\.Response",
    "response['forces']": ARRAY,
    "response.names": r"tuple\[str, \.\.\.\]",
    "batch": r"beadwise\.model\.structures\.Batch",
    "batch.beads": r"int",
    "batch.positions": ARRAY,
    "batch.periodic": ARRAY,
    "calculator": r"beadwise\.model\.calculator\.Calculator",
    "calculator.evaluator": r"beadwise\.model\.response\.Evaluator",
    "calculator.name": r"str",
    "Model.in_field": r"def \(self: .*\) -> beadwise\.model\.model\.Model",
    "shipped_models": r"def \(\) -> list\[str\]",
}
EXPECTED |= {f"response.{name}": ARRAY for name in vars(Response) if isinstance(vars(Response)[name], property)}
EXPECTED["response.names"] = r"tuple\[str, \.\.\.\]"

SCRIPT = """
from pathlib import Path

import beadwise
from ase import Atoms
from beadwise.model import Model, shipped_models

model = beadwise.load(Path("water"), threads=2)
batch = beadwise.Batch.from_ase([Atoms("H")])
response = beadwise.evaluate(model, Atoms("H"), ["energy"])
calculator = beadwise.Calculator("water", threads=2, electric_field=(0, 0, 0.1))
"""
WRONG = """
beadwise.Calculator("water", thread=2)
beadwise.load(3)
"""


def test_public_names_have_types(tmp_path):
    assert set(beadwise.__all__) <= {name.removeprefix("beadwise.") for name in EXPECTED}
    tree = package_tree(tmp_path / "tree")
    lines = [*SCRIPT.splitlines(), *(f"reveal_type({name})" for name in EXPECTED), *WRONG.splitlines()]
    script = tmp_path / "script.py"
    script.write_text("\n".join(lines))
    done = mypy(tree, str(script))
    said = {int(number): text for number, text in re.findall(r"^\S*script\.py:(\d+): (.*)$", done.stdout, re.M)}
    for name, expected in EXPECTED.items():
        text = said.pop(lines.index(f"reveal_type({name})") + 1)
        revealed = re.fullmatch(r'note: Revealed type is "(.*)"', text)
        assert revealed and re.fullmatch(expected, revealed[1]), f"{name}: {text}"
    assert {lines[number - 1] for number in said} == set(WRONG.strip().split("\n"))  # what is wrong, and nothing else
    assert done.stdout.count("error: ") == 2, done.stdout  # and nothing in the package itself
