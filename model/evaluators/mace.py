"""``mace:FILE``: a model of MACE, of energies, dipoles, or dipoles and polarizabilities."""

from __future__ import annotations

from ..external.mace_potential import PREFIX, USAGE, mace_potential
from ..external.names import rename_file
from .provider import Provider

PROVIDER = Provider(
    PREFIX, mace_potential, USAGE, models=rename_file, files=lambda rest: [], runs_code=True, code_is_in_file=True
)
