"""What beadwise raises when the input is at fault: every message names the value received and what is allowed."""

from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import BeadwiseError


class StructureError(BeadwiseError, ValueError):
    """A structure that cannot be served: unknown species, non-finite positions, overlapping atoms, a bad cell."""


class ModelFileError(BeadwiseError, ValueError):
    """A model file that is missing, damaged, or of an unknown format version."""


class PropertyError(BeadwiseError, KeyError):
    """A property that was not asked for, or that the model does not provide."""

    def __str__(self) -> str:
        return str(self.args[0])


class EvaluatorError(BeadwiseError, ValueError):
    """An evaluator that cannot be found or is none, or whose parameters cannot be read."""


@contextmanager
def as_structure_error(where: str = "") -> Iterator[None]:
    """Raise what compiled code refuses, a cell that is far too low or atoms that lie on each other, as StructureError.

    Parameters
    ----------
    where : str
        What the structure is called, for the message.
    """
    try:
        yield
    except BeadwiseError:
        raise
    except (ValueError, MemoryError) as error:
        crowded = "there is no memory for so many neighbours: atoms lie on each other, or the cell is far too small"
        what = crowded if isinstance(error, MemoryError) else str(error)
        raise StructureError(f"{where}: {what}" if where else what) from error
