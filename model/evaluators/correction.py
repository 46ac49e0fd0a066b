"""``correction:MODEL``: a correction alone, for those who serve the baseline apart."""

from __future__ import annotations

from dataclasses import replace

from ..errors import EvaluatorError
from ..files import load_model
from ..model import Model
from .provider import Provider, models_from

PREFIX = "correction"


def correction(name: str, threads: int) -> Model:
    """Load a correction without its baseline.

    Raises
    ------
    EvaluatorError
        If the model corrects none.
    ModelFileError
        If there is no such model, or its file is damaged.
    """
    model = load_model(name, threads)
    if not model.baseline:
        raise EvaluatorError(f"model '{name}' corrects no baseline; it is served as '{name}'")
    return replace(model, source=f"{PREFIX}:{model.source}")


PROVIDER = Provider(PREFIX, correction, f"{PREFIX}:MODEL", models=models_from(0))
