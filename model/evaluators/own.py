"""``package.module:attribute``: an evaluator of the user's own."""

from __future__ import annotations

import importlib

from ...own_modules import modules_of_here
from ...suggestions import did_you_mean
from ..errors import EvaluatorError
from ..response import Evaluator
from .registry import BUILT_IN, is_evaluator, others, usages


def own_evaluator(name: str) -> Evaluator:
    """Import an evaluator, or a function without arguments that makes one; the current folder has modules, too.

    Raises
    ------
    EvaluatorError
        If the module or its attribute does not exist, or is no evaluator.
    """
    module_name, _, attribute = name.partition(":")
    try:
        with modules_of_here():
            found = getattr(importlib.import_module(module_name), attribute)
    except (ImportError, AttributeError, ValueError, TypeError) as error:
        if module_name in BUILT_IN:
            raise EvaluatorError(
                f"'{name}' is no {module_name}; it is written {BUILT_IN[module_name].usage}"
            ) from error
        raise EvaluatorError(
            f"cannot import the evaluator '{name}' ({error}); allowed are a model file, the potentials {usages()}, "
            f"the name of a shipped model, and MODULE:ATTRIBUTE{did_you_mean(module_name, [*BUILT_IN, *others()])}"
        ) from error
    evaluator = found if is_evaluator(found) else found() if callable(found) else None
    if not is_evaluator(evaluator):
        raise EvaluatorError(
            f"'{name}' gives {type(evaluator or found).__name__}, which is no evaluator; "
            "it needs the attributes species, properties and evaluate (see beadwise.model.Evaluator)"
        )
    return evaluator
