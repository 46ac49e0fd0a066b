"""Files of NumPy's arrays as labels: read, and checked to be finite real numbers."""

from __future__ import annotations

import zlib
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from ....reading import refusing
from ...data import DataError


def arrays_of_file(path: Path, what: str, alone: str) -> dict[str, np.ndarray]:
    """All arrays of a ``.npz``, or the one of a ``.npy`` under the name ``alone``.

    Raises
    ------
    DataError
        If it cannot be read; ``what`` says what should be in it.
    """
    with refusing(DataError, text := f"cannot read the {what} '{path}'"):
        try:
            content = np.load(path, allow_pickle=False)
            return {alone: content} if isinstance(content, np.ndarray) else dict(content)
        except (BadZipFile, zlib.error) as error:
            raise DataError(f"{text}: {error}") from error


def reals_of(array: np.ndarray, name: str, path: Path, axes: int) -> np.ndarray:
    """An array as real numbers.

    Raises
    ------
    DataError
        If it has other axes, or holds something else.
    """
    if array.dtype.kind not in "fiu" or array.ndim != axes or not np.isfinite(array).all():
        raise DataError(
            f"'{path}': {name} has {array.ndim} axes of {array.dtype}; {axes} of finite real numbers are needed"
        )
    return array.astype(float)
