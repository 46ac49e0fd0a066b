"""What can be wrong with samples or with what is asked of them."""

from __future__ import annotations


class SamplingError(ValueError):
    """Samples, or their description, that no average can be made of."""


class OutOfReachError(SamplingError):
    """Members are too far from the run for numbers that mean anything; who wants them all the same can force them."""
