"""What can be wrong with samples or with what is asked of them."""

from __future__ import annotations


class SamplingError(ValueError):
    """Samples, or their description, that no average can be made of."""
