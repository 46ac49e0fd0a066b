"""Arrays as the kernel takes them."""

from __future__ import annotations

import numpy as np

LANES = 8  # the kernel works on so many channels at a time


def whole(array: np.ndarray) -> np.ndarray:
    """The array as float64 in one piece."""
    return np.ascontiguousarray(array, dtype=np.float64)


def padded(array: np.ndarray, *axes: int) -> np.ndarray:
    """The array with zeros along some axes up to a multiple of `LANES`."""
    widths = [(0, -size % LANES if axis in axes else 0) for axis, size in enumerate(array.shape)]
    return whole(np.pad(array, widths))
