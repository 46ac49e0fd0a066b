"""Folders that tests read from, wherever a test stands."""

import os
from pathlib import Path

HELPERS = Path(__file__).resolve().parent  # on the path of processes that tests start
REPOSITORY = HELPERS.parents[1]
INPUTS = REPOSITORY / "inputs"
SHARED = REPOSITORY.parent / "shared"  # data that are not part of the project; tests of them skip where it is absent
# for processes that need what a test of the driver defines itself, or a slow twin
MODULES = os.pathsep.join(str(HELPERS.parent / folder) for folder in ("helpers", "twins", "driver"))


def pages_of_documentation(*without: str) -> list[Path]:
    """Markdown of all folders of the documentation but some; the site may be in the making, in `_build`."""
    docs = REPOSITORY / "docs"
    folders = [path for path in docs.iterdir() if path.is_dir() and path.name not in ("_build", *without)]
    return sorted([*docs.glob("*.md"), *(page for folder in folders for page in folder.rglob("*.md"))])
