"""The integrated model: structures, the shared descriptor, the file format and the evaluation of a batch of beads."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from ase import Atoms

from ..errors import BeadwiseError, StructureWarning
from ..properties import quantities as _quantities
from .committee import Committee
from .correction import BaselineError, Corrected
from .errors import EvaluatorError, ModelFileError, PropertyError, StructureError
from .evaluators import load
from .files import save, shipped_models
from .model import Model
from .response import Evaluator, Response
from .structures import Batch

if TYPE_CHECKING:
    ORDINARY_PROPERTIES: tuple[str, ...]
    PROPERTIES: tuple[str, ...]

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
    "StructureWarning",
    "evaluate",
    "load",
    "save",
    "shipped_models",
]


def evaluate(
    model: Evaluator,
    batch: Batch | Atoms | Sequence[Atoms],
    want: Sequence[str] = ("energy", "forces", "virial"),
) -> Response:
    """Evaluate a batch of beads, or structures of ASE; otherwise the same as ``model.evaluate(batch, want)``.

    Parameters
    ----------
    model : Evaluator
        What `load` returns, or anything with the same interface.
    batch : Batch, ase.Atoms, or sequence of ase.Atoms
        Structures with the same atoms in the same order, in Å.  One alone is a batch of one: all arrays of the
        response have its beads first.
    want : sequence of str
        Names out of `PROPERTIES`, or one of them.

    Raises
    ------
    EvaluatorError
        If the model is none, but the name of one.
    PropertyError
        If a wanted property is not available.
    StructureError
        If a structure cannot be evaluated, or structures differ in their atoms.
    """
    if not hasattr(model, "evaluate"):
        raise EvaluatorError(f"{model!r} is no model; what beadwise.load gives is needed, as beadwise.load('water')")
    if not isinstance(want, Iterable):
        raise PropertyError(f"want is {want!r}; names of properties are needed, as ['energy', 'forces']")
    wanted = (want,) if isinstance(want, str) else tuple(want)
    return model.evaluate(batch if isinstance(batch, Batch) else Batch.from_ase(batch), wanted)


def __getattr__(name: str) -> Any:
    """``PROPERTIES``, all that can be asked for, and ``ORDINARY_PROPERTIES``, those that need no committee."""
    if name in ("PROPERTIES", "ORDINARY_PROPERTIES"):
        return getattr(_quantities, name)  # made anew: quantities may have been registered since
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
