"""What tells a potential from all others: its name without folders, what provides it, and the content of its files."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

from ...reading import digest_of
from ..model import Model
from ..response import Evaluator
from .registry import files_of, from_any_folder, full_name

DIGITS = 32
PARTS = ("baseline", "correction", "committee")  # of corrections and weighted baselines


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
    name = from_any_folder(name)  # as servers are told
    words = re.split(r"([,:=;\s])", full_name(name)) if not os.path.isfile(name) else [name]
    bare = "".join(Path(word).name if os.path.isfile(word) else word for word in words)
    content = hashlib.sha256(f"{bare} {' '.join(_providers(evaluator))}".encode())
    for digest in sorted(map(digest_of, files_of(name))):
        content.update(digest.encode())
    return content.hexdigest()[:DIGITS]


def _providers(evaluator: Evaluator) -> Iterator[str]:
    """What provides an evaluator and the parts that it is made of, with versions."""
    if isinstance(evaluator, Model):
        return
    yield str(getattr(evaluator, "provider", ""))
    parts = [getattr(evaluator, name, None) for name in PARTS]
    for part in (*filter(None, parts), *getattr(evaluator, "members", ())):
        yield from _providers(part)
