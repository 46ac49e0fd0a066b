"""``metatomic:FILE``: a model of metatomic, as metatrain writes them."""

from __future__ import annotations

from ..external.metatomic_potential import PREFIX, USAGE, MetatomicPotential, metatomic_potential
from ..external.names import rename_file
from .provider import Provider


def _make(rest: str, threads: int) -> MetatomicPotential:
    return metatomic_potential(rest, threads)


PROVIDER = Provider(
    PREFIX, _make, USAGE, models=rename_file, files=lambda rest: [], runs_code=True, code_is_in_file=True
)
