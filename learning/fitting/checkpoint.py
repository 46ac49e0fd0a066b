"""The state of a training on disk, so that one that was stopped goes on where it was."""

from __future__ import annotations

import io
import time
from pathlib import Path
from typing import Any

import torch

from ...whole_files import write_bytes

SECONDS = 30.0  # between two states that are written


class Checkpoint:
    """A file with the state of a training; without a path nothing is kept.

    Parameters
    ----------
    path : Path or None
    belongs_to : str
        A `fingerprint` of `kept_equations`; the state of anything else is left alone until it is written over.
    """

    def __init__(self, path: Path | None, belongs_to: str):
        self.path, self.belongs_to = path, belongs_to
        self._written = time.monotonic()

    def read(self) -> dict[str, Any] | None:
        """The state; None if there is none, or one that cannot be read or belongs to something else."""
        if self.path is None or not self.path.is_file():
            return None
        try:
            found = torch.load(self.path, weights_only=True)
        except Exception:  # whatever torch says of a file that is not one of its own
            return None
        return found["state"] if isinstance(found, dict) and found.get("belongs_to") == self.belongs_to else None

    def write(self, state: dict[str, Any], is_last: bool = False) -> None:
        """Keep a state, unless one was written a moment ago; the last one is always kept."""
        if self.path is None or (time.monotonic() - self._written < SECONDS and not is_last):
            return
        buffer = io.BytesIO()
        torch.save({"belongs_to": self.belongs_to, "state": state}, buffer)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(self.path, buffer.getvalue())
        self._written = time.monotonic()
