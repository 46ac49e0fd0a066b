"""``member:K,MODEL``: member K, from 0, of a model that has members, alone."""

from __future__ import annotations

from ..correction import Corrected
from ..errors import EvaluatorError
from ..members import single_member
from ..model import Model
from ..response import Evaluator
from . import hamiltonian
from .loading import load
from .provider import Provider, models_from, with_a_comma

PREFIX = "member"
USAGE = f"{PREFIX}:K,MODEL"


def _make(rest: str, threads: int) -> Evaluator:
    number, _, name = (part.strip() for part in rest.partition(","))
    if not number.isdecimal():
        raise EvaluatorError(f"'{PREFIX}:{rest}' is no member; it is written {USAGE}, K counting from 0")
    if name.startswith(f"{hamiltonian.PREFIX}:"):
        model = hamiltonian.PROVIDER.make(name.partition(":")[2].strip(), threads)
        return model.member(int(number))  # type: ignore[attr-defined, no-any-return]
    whole = load(name, threads)
    if isinstance(whole, Model):
        return single_member(whole, int(number))
    if not isinstance(whole, Corrected) or not isinstance(whole.correction, Model):
        raise EvaluatorError(f"'{name}' has charges and no members; allowed are models with members")
    return Corrected(whole.baseline, single_member(whole.correction, int(number)))


PROVIDER = Provider(PREFIX, _make, USAGE, accepts=with_a_comma, models=models_from(1))
