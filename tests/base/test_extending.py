"""What the pages about additions show works as they say."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import numpy as np
import pytest
from beadwise.driver.commands.group import main
from beadwise.model.evaluators import load_evaluator
from click.testing import CliRunner
from packages import install
from places import INPUTS, REPOSITORY

PAGE = (REPOSITORY / "docs" / "how_to" / "extending.md").read_text(encoding="utf-8")
ADDITIONS = ("quantities", "evaluators", "doors", "commands")  # their pages, in the order of the package


@pytest.fixture
def package(tmp_path, monkeypatch):
    """The package of the pages."""
    pages = [
        (REPOSITORY / "docs" / "how_to" / "extending" / f"{name}.md").read_text(encoding="utf-8") for name in ADDITIONS
    ]
    source = "\n\n".join(re.findall(r"```python\n(.*?)```", "\n".join(pages), flags=re.DOTALL))
    points = re.findall(r'entry-points."([a-z.]+)"\]\n((?:\w+ = ".*"\n)+)', PAGE)
    groups = {group.replace(".", "_"): dict(re.findall(r'(\w+) = "(.*)"', lines)) for group, lines in points}
    assert sorted(groups) == ["beadwise_commands", "beadwise_doors", "beadwise_evaluators", "beadwise_quantities"]
    install(tmp_path, "my_package", source, **groups)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "my_package", raising=False)
    monkeypatch.chdir(tmp_path)


def test_the_package_of_the_page(package):
    assert load_evaluator("springs:k=2.0").k == 2.0
    assert CliRunner().invoke(main, ["greet"]).stdout == "hello from my package\n"
    positions = np.random.default_rng(0).normal(0, 5, (2, 192, 3))
    np.savez("beads.npz", cells=np.tile(30.0 * np.eye(3), (2, 1, 1)), positions=positions)
    arguments = ["serve", "springs:k=2.0", "--door", "file:beads.npz", "--structure", str(INPUTS / "water_64.xyz")]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    said, answered = result.stdout.splitlines()
    assert said == "springs:k=2.0 serves energy, forces, virial to i-PI from beads.npz"
    hartree, bohr = 27.211386245988, 0.529177210903
    expected = 0.5 * 2.0 * (positions**2).sum((1, 2)) * bohr**2 / hartree
    np.testing.assert_allclose([float(word) for word in answered.split(":")[1].split()], expected, rtol=1e-6)


def test_its_quantities(package, tmp_path):
    code = (
        "from beadwise.properties.quantities import properties\n"
        "print(*(name for name in properties() if 'level_density' in name))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(tmp_path)}
    )
    assert done.stdout.split() == [
        "level_density", "level_density_derivatives", "committee_level_density", "level_density_uncertainty",
    ], done.stderr  # fmt: skip
