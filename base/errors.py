"""The errors that bad input can cause: one line that names the value received and what is allowed."""

from __future__ import annotations


class BeadwiseError(Exception):
    """Base of all errors caused by input rather than by a defect; the command line turns it into one line, status 2."""


class StructureWarning(UserWarning):
    """A structure that can be evaluated, but is hardly what was meant."""


class SeriesError(BeadwiseError, ValueError):
    """A time series, or its description, that no spectrum can be made from."""


class SamplingError(BeadwiseError, ValueError):
    """Samples, or their description, that no average can be made of."""


class PictureError(BeadwiseError, ValueError):
    """A picture that cannot be written."""


class PluginError(BeadwiseError, ValueError):
    """What another package adds under an entry point, and that cannot be used."""
