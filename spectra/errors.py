"""What can be wrong with a series or with what is asked of it."""

from __future__ import annotations


class NotComputedError(RuntimeError):
    """A result that was read before anything was computed."""
