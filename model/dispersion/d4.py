"""``d4:functional=NAME``: dispersion D4 with the parameters of a functional."""

from ..evaluators.provider import Provider
from .evaluator import OTHER_SETTINGS, Dispersion, from_text

PREFIX = "d4"
USAGE = f"{PREFIX}:functional=NAME[,model=d4s][,charge=CHARGE]{OTHER_SETTINGS}"


def _make(rest: str, threads: int) -> Dispersion:
    return from_text(PREFIX, USAGE, rest, threads)


PROVIDER = Provider(PREFIX, _make, USAGE)
