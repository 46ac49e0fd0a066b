"""``hamiltonian:FILE`` and ``hamiltonian:charge=Q,FILE``: levels and gaps of molecules from a fitted Hamiltonian."""

from __future__ import annotations

from ..orbitals.provider import of_molecules
from ..response import Evaluator

PREFIX = "hamiltonian"


def _load(name: str, threads: int, charge: float | None) -> Evaluator:
    from ..orbitals.file import load_hamiltonian  # with SciPy, which takes long to import

    return load_hamiltonian(name, threads, charge)


PROVIDER = of_molecules(PREFIX, "a Hamiltonian", _load)
