"""``nep:FILE``: a neuroevolution potential of energies, dipoles or polarizabilities."""

from __future__ import annotations

from ..external.names import rename_file
from ..external.nep_potential import PREFIX, USAGE, nep_potential
from .provider import Provider

PROVIDER = Provider(PREFIX, nep_potential, USAGE, models=rename_file, files=lambda rest: [])
