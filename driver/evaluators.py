"""What answers: a model file, a potential that is built in, a shipped model, or an evaluator of the user's own."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from pathlib import Path

from ..model import BeadwiseError, Evaluator, load
from ..model.qtip4pf import QTip4pF

BUILT_IN: dict[str, Callable[[int], Evaluator]] = {"qtip4pf": lambda threads: QTip4pF(threads=threads)}


class EvaluatorError(BeadwiseError, ValueError):
    """A Python evaluator that cannot be found or is none."""


def load_evaluator(name: str, threads: int = 1) -> Evaluator:
    """Load what a user calls MODEL.

    Parameters
    ----------
    name : str
        A model file, a potential out of `BUILT_IN`, the name of a shipped model, or ``package.module:attribute``, in
        this order: a file called ``qtip4pf`` is a model file.  The attribute is an evaluator or a function without
        arguments that makes one; modules are looked for in the current folder, too.
    threads : int
        Threads for an evaluation; an evaluator of the user's own sees to its threads itself.

    Raises
    ------
    EvaluatorError
        If the module or its attribute does not exist, or is no evaluator.
    ModelFileError
        If the model file is missing or damaged.
    """
    if ":" in name and not Path(name).exists():
        return _python_evaluator(*name.split(":", maxsplit=1))
    if name in BUILT_IN and not Path(name).is_file():
        return BUILT_IN[name](threads)
    return load(name, threads)


def _python_evaluator(module_name: str, attribute: str) -> Evaluator:
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        found = getattr(importlib.import_module(module_name), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise EvaluatorError(
            f"cannot import the evaluator '{module_name}:{attribute}' ({error}); "
            f"allowed are a model file, a potential out of {list(BUILT_IN)}, the name of a shipped model, "
            "and MODULE:ATTRIBUTE"
        ) from error
    evaluator = found if _is_evaluator(found) else found() if callable(found) else None
    if not _is_evaluator(evaluator):
        raise EvaluatorError(
            f"'{module_name}:{attribute}' gives {type(evaluator or found).__name__}, which is no evaluator; "
            "it needs the attributes species, properties and evaluate (see beadwise.model.Evaluator)"
        )
    return evaluator


def _is_evaluator(candidate: object) -> bool:
    is_instance = not isinstance(candidate, type)
    return is_instance and all(hasattr(candidate, name) for name in ("species", "properties", "evaluate"))
