"""The model that an input names for its own run, if the user knows what it may run."""

from __future__ import annotations

from ...model.evaluators import models_of
from ...model.evaluators.trust import named_by_a_file
from ...reading import shown
from ...runs.input.elements import InputError
from ...runs.input.named_model import named_model
from ...runs.input.run_input import RunInput


def force_field_and_model(value: str) -> tuple[str, str]:
    """Split ``FORCEFIELD=MODEL``; the name of the force field is empty for a MODEL alone."""
    name, equals, model = value.partition("=")
    if not equals or set(":,") & set(name):  # harmonic:k=1.0, GFN1-xTB,charge=1: the "=" belongs to the model
        return "", value
    return name, model


def trusted_model_of(run: RunInput) -> str:
    """The model that an input names, as ``--model`` takes it; empty where it names none.

    Raises
    ------
    EvaluatorError
        If a part of it may run code, and the user has not named that, too.
    InputError
        If ``--model`` would take a part of it for the name of a force field, and so load another model than this.
    """
    name = named_model(run)
    if force_field_and_model(name)[1] != name:
        raise InputError(
            f"'{run.path}' names the model '{shown(name)}', of which --model takes what is before '=' for a force "
            "field; a name without '=' is needed"
        )
    for part in models_of(name) if name else []:
        with named_by_a_file(part, files=True):
            pass
    return name
