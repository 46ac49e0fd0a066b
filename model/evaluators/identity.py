"""What tells a potential from all others: its name without folders, what provides it, and the content of its files."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

from ...reading import digest_of
from ..response import Evaluator
from .registry import files_of, full_name

DIGITS = 32


def identity_of(name: str, evaluator: Evaluator) -> str:
    """A hash that is the same wherever the files of a potential lie, and another one once anything of it changes.

    Parameters
    ----------
    name : str
        As `beadwise.model.evaluators.load_evaluator` takes it.
    evaluator : Evaluator
        What it loaded.

    Returns
    -------
    str
        32 hexadecimal digits.
    """
    words = re.split("([,:=])", full_name(name)) if not os.path.isfile(name) else [name]
    bare = "".join(Path(word).name if os.path.isfile(word) else word for word in words)
    content = hashlib.sha256(f"{bare} {getattr(evaluator, 'provider', '')}".encode())
    for digest in sorted(map(digest_of, files_of(name))):
        content.update(digest.encode())
    return content.hexdigest()[:DIGITS]
