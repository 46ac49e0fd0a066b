"""What can be wrong with samples or with what is asked of them."""

from __future__ import annotations

from ..errors import SamplingError


class OutOfReachError(SamplingError):
    """Members are too far from the run for numbers that mean anything; who wants them all the same can force them."""
