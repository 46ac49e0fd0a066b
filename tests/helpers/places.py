"""Folders that tests read from, wherever a test stands."""

import os
from pathlib import Path

HELPERS = Path(__file__).resolve().parent  # on the path of processes that tests start
REPOSITORY = HELPERS.parents[1]
INPUTS = REPOSITORY / "inputs"
SHARED = REPOSITORY.parent / "shared"  # data that are not part of the project; tests of them skip where it is absent
# for processes that need what a test of the driver defines itself, or a slow twin
MODULES = os.pathsep.join(str(HELPERS.parent / folder) for folder in ("helpers", "twins", "driver"))
