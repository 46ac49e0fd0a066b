"""Models for servers of a benchmark that write down when they evaluate.

``beadwise serve counted_model:outer`` is the model that ``COUNTED_OUTER`` names, ``counted_model:inner`` that of
``COUNTED_INNER``; both have ``COUNTED_THREADS`` threads.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from time import time
from typing import Any

import numpy as np
from beadwise.model import Batch
from beadwise.model.evaluators import load_evaluator
from beadwise.model.response import Evaluator, Response

ROLES = ("outer", "inner")


def log_of(role: str) -> str:
    """Name of the file, in the folder of the run, with begin, end (s) and structures of every evaluation."""
    return f"evaluations-{role}"


def variable_of(role: str) -> str:
    """The environment variable that names the model."""
    return f"COUNTED_{role.upper()}"


def read_log(folder: Path, role: str) -> np.ndarray:
    """Evaluations so far, shape (evaluations, 3): begin and end in s, structures."""
    path = folder / log_of(role)
    numbers = np.fromfile(path) if path.exists() else np.zeros(0)
    return numbers[: len(numbers) // 3 * 3].reshape(-1, 3)


class CountedModel:
    """An evaluator whose evaluations are written down."""

    def __init__(self, evaluator: Evaluator, log: Path):
        self._evaluator = evaluator
        self._log = log

    def __getattr__(self, name: str) -> Any:
        return getattr(self._evaluator, name)

    def evaluate(self, batch: Batch, want: Sequence[str]) -> Response:
        """Answer as the evaluator does, and append a line to the log."""
        begin = time()
        response = self._evaluator.evaluate(batch, want)
        with self._log.open("ab") as file:
            file.write(np.array([begin, time(), batch.beads]).tobytes())
        return response


def _counted(role: str) -> CountedModel:
    threads = int(os.environ.get("COUNTED_THREADS", "1"))
    return CountedModel(load_evaluator(os.environ[variable_of(role)], threads), Path(log_of(role)).resolve())


def outer() -> CountedModel:
    """The expensive model."""
    return _counted("outer")


def inner() -> CountedModel:
    """The cheap model."""
    return _counted("inner")
