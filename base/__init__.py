"""beadwise: machine-learned energies, dipoles and polarizabilities for every bead of a ring polymer.

What users need stands here and is imported when it is first asked for, so that ``import beadwise`` is fast.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from importlib.metadata import version

    from .model import Batch, Response, evaluate
    from .model.calculator import Calculator
    from .model.evaluators import load_evaluator as load

    __version__ = version("beadwise")

__all__ = ["Batch", "Calculator", "Response", "__version__", "evaluate", "load"]

PLACES = {
    "Batch": ("beadwise.model", "Batch"),
    "Calculator": ("beadwise.model.calculator", "Calculator"),
    "Response": ("beadwise.model", "Response"),
    "evaluate": ("beadwise.model", "evaluate"),
    "load": ("beadwise.model.evaluators", "load_evaluator"),
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for (PEP 562)."""
    if name == "__version__":
        from importlib.metadata import version

        return version("beadwise")
    if name not in PLACES:
        raise AttributeError(f"module 'beadwise' has no attribute '{name}'; it has {', '.join(__all__)}")
    module, attribute = PLACES[name]
    value = getattr(importlib.import_module(module), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Public names, whether they have been imported or not."""
    return sorted({*globals(), *__all__})
