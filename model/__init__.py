"""The integrated model: structures, the shared descriptor, the file format and the evaluation of a batch of beads."""

from .errors import BeadwiseError, ModelFileError, PropertyError, StructureError
from .response import PROPERTIES, Evaluator, Response
from .structures import Batch

__all__ = [
    "PROPERTIES",
    "Batch",
    "BeadwiseError",
    "Evaluator",
    "ModelFileError",
    "PropertyError",
    "Response",
    "StructureError",
]
