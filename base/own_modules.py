"""Modules of the user's own, which lie in the current folder."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def modules_of_here() -> Iterator[None]:
    """Look for modules in the current folder first; afterwards last, so that nothing else is found there by chance."""
    here = os.getcwd()
    sys.path.insert(0, here)
    try:
        yield
    finally:
        with suppress(ValueError):  # the module may have changed the path itself
            sys.path.remove(here)
        if here not in sys.path:
            sys.path.append(here)
