"""``d3:functional=NAME``: dispersion D3 with the parameters of a functional."""

from ..evaluators.provider import Provider
from .evaluator import Dispersion, from_text

PREFIX = "d3"
SETTINGS = "[,three_body=true|false][,cutoff=R][,three_body_cutoff=R][,smoothing=R][,isolated=true]"
USAGE = f"{PREFIX}:functional=NAME[,damping=DAMPING]{SETTINGS}"


def _make(rest: str, threads: int) -> Dispersion:
    return from_text(PREFIX, USAGE, rest, threads)


PROVIDER = Provider(PREFIX, _make, USAGE)
