"""``field-inside:MODEL`` and ``field-inside:damping=D,MODEL``: molecules whose polarizabilities see each other."""

from __future__ import annotations

from ..correction import Corrected
from ..errors import EvaluatorError
from ..model import Model
from ..response import Evaluator
from .loading import load
from .provider import Provider, Rename

PREFIX = "field-inside"
USAGE = f"{PREFIX}:[damping=D,]MODEL"
DAMPING = "damping="


def _parts(rest: str) -> tuple[str, str]:
    """The setting, with its comma, and the name of the model."""
    first, comma, name = rest.partition(",")
    is_setting = first.strip().startswith(DAMPING) and bool(comma)
    return (f"{first.strip()},", name.strip()) if is_setting else ("", rest.strip())


def _make(rest: str, threads: int) -> Evaluator:
    from ..field_inside.evaluator import WithFieldInside, damping_of  # with SciPy, which takes long to import

    setting, name = _parts(rest)
    text = setting.removeprefix(DAMPING).removesuffix(",")
    try:
        given = float(text) if text else None
    except ValueError:
        raise EvaluatorError(f"'{PREFIX}:{rest}' has the damping '{text}'; a length in Å is needed: {USAGE}") from None
    model = load(name, threads)
    if not isinstance(model, Model):
        what = "corrects a baseline" if isinstance(model, Corrected) else "has charges"
        raise EvaluatorError(f"'{name}' {what}; a field inside is for model files without charges and baselines")
    return WithFieldInside(model, damping_of(model.metadata) if given is None else given)


def _models(rest: str, rename: Rename) -> str:
    setting, name = _parts(rest)
    return setting + rename(name)


PROVIDER = Provider(PREFIX, _make, USAGE, models=_models)
