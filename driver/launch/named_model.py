"""The model that an input names for its own run, if the user knows what it may run."""

from __future__ import annotations

from ...model.evaluators import models_of
from ...model.evaluators.trust import named_by_a_file
from ...runs.input.named_model import named_model
from ...runs.input.run_input import RunInput


def trusted_model_of(run: RunInput) -> str:
    """The model that an input names, as ``--model`` takes it; empty where it names none.

    Raises
    ------
    EvaluatorError
        If a part of it may run code, and the user has not named that, too.
    """
    name = named_model(run)
    for part in models_of(name) if name else []:
        with named_by_a_file(part, files=True):
            pass
    return name
