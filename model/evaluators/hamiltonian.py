"""``hamiltonian:FILE`` and ``hamiltonian:charge=Q,FILE``: levels and gaps of molecules from a fitted Hamiltonian."""

from __future__ import annotations

import os

from ..errors import EvaluatorError
from ..response import Evaluator
from .provider import Provider, Rename

PREFIX = "hamiltonian"
USAGE = f"{PREFIX}:[charge=Q,]FILE.safetensors"
CHARGE = "charge="


def _parts(rest: str) -> tuple[str, str]:
    """The setting, with its comma, and the name of the file."""
    first, comma, name = rest.partition(",")
    is_setting = first.strip().startswith(CHARGE) and bool(comma)
    return (f"{first.strip()},", name.strip()) if is_setting else ("", rest.strip())


def _make(rest: str, threads: int) -> Evaluator:
    from ..orbitals.file import load_hamiltonian  # with SciPy, which takes long to import

    setting, name = _parts(rest)
    text = setting.removeprefix(CHARGE).removesuffix(",")
    try:
        charge = float(text) if text else None
    except ValueError:
        raise EvaluatorError(f"'{PREFIX}:{rest}' has the charge '{text}'; a number in e is needed: {USAGE}") from None
    if not os.path.isfile(name):
        raise EvaluatorError(f"no file '{name}' of a Hamiltonian; it is written {USAGE}")
    return load_hamiltonian(name, threads, charge)


def _paths(rest: str, rename: Rename) -> str:
    setting, name = _parts(rest)
    return setting + rename(name)


PROVIDER = Provider(PREFIX, _make, USAGE, paths=_paths)
