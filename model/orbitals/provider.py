"""Evaluators of molecules from one file, with their charge: ``PREFIX:[charge=Q,]FILE``."""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np

from ..errors import EvaluatorError
from ..evaluators.provider import Provider, Rename
from ..response import Evaluator

CHARGE = "charge="
Load = Callable[[str, int, float | None], Evaluator]


def of_molecules(prefix: str, what: str, load: Load) -> Provider:
    """What names that begin with a prefix are.

    Parameters
    ----------
    prefix : str
    what : str
        Of which it is the file, for messages.
    load : callable
        From the name of the file, threads, and the charge in e or None for that of the file.
    """
    usage = f"{prefix}:[{CHARGE}Q,]FILE.safetensors"

    def make(rest: str, threads: int) -> Evaluator:
        setting, name = _parts(rest)
        text = setting.removeprefix(CHARGE).removesuffix(",")
        try:
            charge = float(text) if text else None
        except ValueError:
            charge = np.nan
        if charge is not None and not np.isfinite(charge):
            raise EvaluatorError(f"'{prefix}:{rest}' has the charge '{text}'; a number in e is needed: {usage}")
        if not os.path.isfile(name):
            raise EvaluatorError(f"no file '{name}' of {what}; it is written {usage}")
        return load(name, threads, charge)

    def paths(rest: str, rename: Rename) -> str:
        setting, name = _parts(rest)
        return setting + rename(name)

    return Provider(prefix, make, usage, paths=paths)


def _parts(rest: str) -> tuple[str, str]:
    """The setting, with its comma, and the name of the file."""
    first, comma, name = rest.partition(",")
    is_setting = first.strip().startswith(CHARGE) and bool(comma)
    return (f"{first.strip()},", name.strip()) if is_setting else ("", rest.strip())
