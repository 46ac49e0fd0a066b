"""``charges:charge=Q,MODEL``: a model with charges, for structures of the total charge Q that do not say theirs."""

from __future__ import annotations

from ..errors import EvaluatorError
from ..evaluators.provider import Provider, Rename
from ..response import Evaluator

PREFIX = "charges"
USAGE = f"{PREFIX}:charge=Q,MODEL"
CHARGE = "charge="


def _parts(rest: str) -> tuple[str, str]:
    """The setting, with its comma, and the name of the model."""
    first, comma, name = rest.partition(",")
    is_setting = first.strip().startswith(CHARGE) and bool(comma)
    return (f"{first.strip()},", name.strip()) if is_setting else ("", rest.strip())


def _make(rest: str, threads: int) -> Evaluator:
    from ..correction import Corrected
    from ..evaluators.loading import load
    from .evaluator import WithCharges  # with SciPy, which takes long to import

    setting, name = _parts(rest)
    text = setting.removeprefix(CHARGE).removesuffix(",")
    try:
        given = float(text)
    except ValueError:
        raise EvaluatorError(f"'{PREFIX}:{rest}' has the charge '{text}'; a number in e is needed: {USAGE}") from None
    whole = load(name, threads)
    own = whole.correction if isinstance(whole, Corrected) else whole
    if not isinstance(own, WithCharges):
        raise EvaluatorError(f"'{name}' is no model with charges of its own; {PREFIX}: is for such model files")
    charged = WithCharges(own.model, given)
    return Corrected(whole.baseline, charged) if isinstance(whole, Corrected) else charged


def _models(rest: str, rename: Rename) -> str:
    setting, name = _parts(rest)
    return setting + rename(name)


PROVIDER = Provider(PREFIX, _make, USAGE, models=_models)
