"""``density:FILE`` and ``density:charge=Q,FILE``: electron densities of molecules from a fitted one."""

from __future__ import annotations

from ..orbitals.provider import of_molecules
from ..response import Evaluator

PREFIX = "density"


def _load(name: str, threads: int, charge: float | None) -> Evaluator:
    from .file import load_density  # with SciPy, which takes long to import

    return load_density(name, threads, charge)


PROVIDER = of_molecules(PREFIX, "an electron density", _load)
