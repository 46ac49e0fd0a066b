"""The rooms of the package: an import goes down only, and folders and files stay small enough to read."""

import ast
from collections import Counter
from pathlib import Path

import pytest
from places import REPOSITORY

MAY_IMPORT = {
    "base": set(),
    "pyx": set(),
    "spectra": set(),
    "sampling": set(),
    "properties": set(),
    "potentials": {"pyx"},
    "model": {"potentials", "properties", "pyx"},
    "runs": {"model", "properties"},
    "learning": {"model", "potentials", "properties", "pyx"},
    "analysis": {"runs", "spectra", "sampling", "model", "properties"},
    "driver": {"analysis", "learning", "runs", "sampling", "spectra", "model", "properties", "pyx"},
    "inputs": {"driver", "learning", "model"},  # evaluators, variables and the making of models, beside what needs them
}
MOST_FILES, MOST_LINES = 25, 400


def python_files(*folders):
    return sorted(path for folder in folders for path in (REPOSITORY / folder).rglob("*.py"))


def imported_modules(path: Path):
    """Dotted names below the package of all that a file imports at any place, those for types apart."""
    package = path.relative_to(REPOSITORY).parent.parts
    package = package[1:] if package[0] == "base" else package
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name.split(".")[1:] for name in node.names if name.name.startswith("beadwise."))
        elif isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - node.level + 1]
            yield from ([*base, *(node.module or name.name).split(".")] for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("beadwise"):
            yield node.module.split(".")[1:] or ["base"]


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_arrows_go_down_only(room):
    rooms = set(MAY_IMPORT)
    for path in python_files(room):
        if path == REPOSITORY / "base" / "__init__.py":  # the front door: names of other rooms, imported when asked for
            continue
        for module in imported_modules(path):
            target = module[0] if module[0] in rooms else "base"
            assert target in {room, "base", *MAY_IMPORT[room]}, f"{path.relative_to(REPOSITORY)} imports {target}"


def test_folders_and_files_are_small():
    everywhere = python_files(*MAY_IMPORT, "tests", "benchmarks", "docs", "fuzz")
    crowded = {folder: count for folder, count in Counter(p.parent for p in everywhere).items() if count > MOST_FILES}
    assert not crowded
    sources = [path for room in MAY_IMPORT for path in (REPOSITORY / room).rglob("*") if path.suffix in SOURCES]
    lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in {*everywhere, *sources}}
    assert not {path: count for path, count in lines.items() if count > MOST_LINES}


SOURCES = (".py", ".pyx", ".pxi", ".hpp")
