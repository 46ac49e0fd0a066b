"""``electrons:temperature=T,[forces=yes,]MODEL``: electrons of a density of states at a temperature in K."""

from __future__ import annotations

from ..errors import EvaluatorError
from ..evaluators.provider import Provider, Rename
from ..response import Evaluator

PREFIX = "electrons"
USAGE = f"{PREFIX}:temperature=T,[forces=yes,]MODEL"
ANSWERS = {"yes": True, "no": False}


def _parts(rest: str) -> tuple[dict[str, str], str]:
    """Settings by their names, and the name of the model."""
    settings: dict[str, str] = {}
    while True:
        first, comma, others = rest.partition(",")
        key, equals, value = (part.strip() for part in first.partition("="))
        if key not in ("temperature", "forces") or not equals or not comma or key in settings:
            return settings, rest.strip()
        settings[key], rest = value, others


def _make(rest: str, threads: int) -> Evaluator:
    from ..evaluators.loading import load_evaluator
    from .hot import WithElectrons, at_electronic_temperature

    settings, name = _parts(rest)
    try:
        temperature = float(settings["temperature"])
        adds = ANSWERS[settings.get("forces", "no")]
    except (KeyError, ValueError):
        raise EvaluatorError(
            f"'{PREFIX}:{rest}' says no electronic temperature in K, or forces other than yes and no; it is written "
            f"{USAGE}"
        ) from None
    if name.partition(":")[0].strip() == PREFIX:
        raise EvaluatorError(
            f"'{PREFIX}:{rest}' says two electronic temperatures, of which '{name}' is of one already; allowed is one, "
            f"{USAGE}"
        )
    warm = at_electronic_temperature(load_evaluator(name, threads), temperature, name)
    return WithElectrons(warm) if adds else warm


def _models(rest: str, rename: Rename) -> str:
    settings, name = _parts(rest)
    return "".join(f"{key}={value}," for key, value in settings.items()) + rename(name)


PROVIDER = Provider(PREFIX, _make, USAGE, models=_models)
