"""Folders that tests read from, wherever a test stands."""

import os
from pathlib import Path

HELPERS = Path(__file__).resolve().parent  # on the path of processes that tests start
REPOSITORY = HELPERS.parents[1]
INPUTS = REPOSITORY / "inputs"
# for processes that evaluate what a test of the driver defines itself
MODULES = os.pathsep.join([str(HELPERS), str(HELPERS.parent / "driver")])
