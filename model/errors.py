"""What beadwise raises when the input is at fault: every message names the value received and what is allowed."""

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
