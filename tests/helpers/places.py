"""Folders that tests read from, wherever a test stands."""

from pathlib import Path

HELPERS = Path(__file__).resolve().parent  # on the path of processes that tests start
REPOSITORY = HELPERS.parents[1]
INPUTS = REPOSITORY / "inputs"
