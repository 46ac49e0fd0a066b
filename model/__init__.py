"""The integrated model: structures, the shared descriptor, the file format and the evaluation of a batch of beads."""

from collections.abc import Sequence

from ..errors import BeadwiseError
from ..properties.quantities import ORDINARY_PROPERTIES, PROPERTIES
from .committee import Committee
from .correction import BaselineError, Corrected
from .errors import ModelFileError, PropertyError, StructureError
from .evaluators import load
from .files import save, shipped_models
from .model import Model
from .response import Evaluator, Response
from .structures import Batch

__all__ = [
    "ORDINARY_PROPERTIES",
    "PROPERTIES",
    "BaselineError",
    "Batch",
    "BeadwiseError",
    "Committee",
    "Corrected",
    "Evaluator",
    "Model",
    "ModelFileError",
    "PropertyError",
    "Response",
    "StructureError",
    "evaluate",
    "load",
    "save",
    "shipped_models",
]


def evaluate(model: Evaluator, batch: Batch, want: Sequence[str] = ("energy", "forces", "virial")) -> Response:
    """Evaluate a batch of beads; the same as ``model.evaluate(batch, want)``.

    Parameters
    ----------
    model : Evaluator
        What `load` returns, or anything with the same interface.
    batch : Batch
    want : sequence of str
        Names out of `PROPERTIES`.
    """
    return model.evaluate(batch, want)
