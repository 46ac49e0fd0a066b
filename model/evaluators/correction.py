"""``correction:MODEL``: a correction alone, for those who serve the baseline apart."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ..charges.record import has_charges
from ..errors import EvaluatorError
from ..files import load_model
from ..model import Model
from .provider import Provider, models_from

if TYPE_CHECKING:
    from ..charges.evaluator import WithCharges

PREFIX = "correction"


def correction(name: str, threads: int) -> Model | WithCharges:
    """Load a correction without its baseline, with its charges if it has some.

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
    alone = replace(model, source=f"{PREFIX}:{model.source}")
    if not has_charges(model.metadata):
        return alone
    from ..charges.evaluator import charges_of  # with SciPy, which takes long to import

    return charges_of(alone)


PROVIDER = Provider(PREFIX, correction, f"{PREFIX}:MODEL", models=models_from(0))
