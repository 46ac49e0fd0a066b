"""The package as mypy sees it from outside: a folder ``beadwise`` with all rooms in it, as an import has them.

The rooms stand beside each other in the repository, and an editable install maps them by a hook that mypy does not
know.  As a program it checks the types of the whole package, across its rooms.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
ROOMS = sorted({path.parent.name for path in REPOSITORY.glob("*/__init__.py")} - {"base"})


def package_tree(folder: Path) -> Path:
    """Link the installed package together, however it was installed; the folder to search for it."""
    package = folder / "beadwise"
    package.mkdir(parents=True)
    base = find_spec("beadwise")
    assert base is not None and base.submodule_search_locations
    for entry in Path(base.submodule_search_locations[0]).iterdir():
        # an installed package has the rooms there, too
        is_own = (entry / "__init__.py").is_file() and entry.name not in ROOMS
        if entry.suffix in (".py", ".pyi", ".typed") or is_own:
            (package / entry.name).symlink_to(entry)
    for room in ROOMS:
        found = find_spec(f"beadwise.{room}")
        if found is not None and found.submodule_search_locations:
            (package / room).symlink_to(found.submodule_search_locations[0])
    return folder


def mypy(tree: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run mypy with the project's settings on something that imports the package."""
    command = [sys.executable, "-m", "mypy", "--config-file", str(REPOSITORY / "pyproject.toml"), *arguments]
    environment = {**os.environ, "MYPYPATH": str(tree)}
    return subprocess.run(command, env=environment, cwd=tree, capture_output=True, text=True, timeout=600)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        done = mypy(package_tree(Path(name)), "--package", "beadwise")
        print(done.stdout + done.stderr, end="")
        sys.exit(done.returncode)
