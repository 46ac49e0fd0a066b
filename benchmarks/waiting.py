"""A potential for i-PI's own driver and its ffdirect: zeros, after as long as an evaluation takes.

What an evaluation leaves behind, cold caches and a sleeping i-PI, is no cost of the driver; this shows it without one.
"""

import os
import time

import numpy as np
from ipi.pes.dummy import Dummy_driver

__DRIVER_NAME__ = "waiting"
__DRIVER_CLASS__ = "Waiting"

MOST_EVALUATIONS = 100_000


class Waiting(Dummy_driver):
    """Dummy_driver that keeps its core busy for so many ms per structure, and notes when."""

    def __init__(self, *unnamed, milliseconds=0.0, **parameters):
        super().__init__()
        self._seconds = 1e-3 * float(milliseconds)
        self._notes = np.memmap(f"evaluations-{os.getpid()}", np.float64, "w+", shape=(MOST_EVALUATIONS, 2))
        self._numbers = iter(range(MOST_EVALUATIONS))

    def compute(self, cell, pos):
        """Zeros, for one structure or a list of them."""
        begin = time.perf_counter()
        wait = self._seconds * (len(pos) if isinstance(cell, list) else 1)
        while time.perf_counter() - begin < wait:
            pass
        self._notes[next(self._numbers)] = begin, time.perf_counter()
        if isinstance(cell, list):
            return [self.compute_structure(*one) for one in zip(cell, pos, strict=True)]
        return self.compute_structure(cell, pos)
