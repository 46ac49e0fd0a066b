"""``mace:FILE``: a model of MACE, of energies, dipoles, or dipoles and polarizabilities."""

from __future__ import annotations

from ..external.mace_potential import PREFIX, USAGE, MacePotential, mace_potential
from ..external.names import rename_file
from .provider import Provider


def _make(rest: str, threads: int) -> MacePotential:
    return mace_potential(rest, threads)


PROVIDER = Provider(PREFIX, _make, USAGE, models=rename_file, files=lambda rest: [], runs_code=True)
