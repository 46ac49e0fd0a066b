"""Files of frames: patterns, parts of files, and one frame after the other."""

from __future__ import annotations

import bz2
import glob
import gzip
import lzma
import os
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from ase import Atoms
from ase.io import iread

from ...extended_xyz import FormatError, frames_of_text
from .arrays import atoms_of_arrays
from .frame import Frame, frame_from_ase
from .label import DataError
from .reading import Reading

OPENERS: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
ARRAYS = ".npz"
EXTENDED_XYZ = (".xyz", ".extxyz")
PART = re.compile(r"(.+)@(-?\d*):(-?\d*)(?::(\d*))?")
UNREADABLE = (OSError, EOFError, UnicodeDecodeError, zlib.error, lzma.LZMAError)


def read_frames(paths: str | Path | Iterable[str | Path], reading: Reading | None = None) -> list[Frame]:
    """Read all frames of one file or several; see `iterate_frames`."""
    return list(iterate_frames(paths, reading))


def iterate_frames(paths: str | Path | Iterable[str | Path], reading: Reading | None = None) -> Iterator[Frame]:
    """Read files frame by frame: no more than one frame is held at a time.

    Parameters
    ----------
    paths : str, Path, or iterable of them
        Extended xyz, also compressed, arrays of NumPy (``.npz``, see `beadwise.learning.data.arrays`), or any other
        format that ASE reads.  ``FILE@START:STOP:STEP`` is a part of a
        file, as of a list in Python.  Labels are looked for among ASE's results, then in ``atoms.info`` and
        ``atoms.arrays``, under the names of `labels` and under usual other ones.
    reading : Reading, optional
        What is said of names, units and orders.

    Yields
    ------
    Frame

    Raises
    ------
    DataError
        If a file is missing, cannot be read or holds no frame, or a label has a wrong shape or is not finite.
    """
    files = [paths] if isinstance(paths, (str, Path)) else list(paths)
    require_files(files)  # a misspelt last name should not cost the time to read the first
    for name in files:
        path, part = part_of_file(name)
        is_empty = True
        for index, atoms in _chosen(enumerate(_iterate_atoms(path, reading)), part):
            is_empty = False
            yield frame_from_ase(atoms, str(path), index, reading)
        if is_empty:
            raise DataError(f"data file '{name}' holds no frame; at least one is needed")


def part_of_file(name: str | Path) -> tuple[Path, slice]:
    """The file and the part of it that a name means; a file whose own name looks like a part is that file."""
    found = None if os.path.isfile(name) else PART.fullmatch(str(name))
    if found is None:
        return Path(name), slice(None)
    start, stop, step = (int(text) if text else None for text in found.groups()[1:])
    if step == 0:
        raise DataError(f"data file '{name}' has a step of 0; at least 1 is needed")
    return Path(found[1]), slice(start, stop, step)


def _chosen(numbered: Iterator[tuple[int, Atoms]], part: slice) -> Iterator[tuple[int, Atoms]]:
    if (part.start or 0) < 0 or (part.stop or 0) < 0:
        yield from list(numbered)[part]  # counted from the end, which has to be found
    else:
        yield from islice(numbered, part.start, part.stop, part.step)


def require_files(paths: Iterable[str | Path]) -> None:
    """Raise DataError if one of the files does not exist, or is a folder."""
    for path in paths:
        file = part_of_file(path)[0]
        if os.path.isdir(file):
            raise DataError(f"data file '{path}' is a folder; a file is needed, or a pattern as '{path}/*.xyz'")
        if not os.path.isfile(file):
            raise DataError(f"data file '{path}' does not exist")


def expanded(names: Iterable[str], folder: Path) -> list[str]:
    """Names of files that patterns such as ``run*/train.xyz`` stand for, if new, in the order of their numbers.

    Parameters
    ----------
    names : iterable of str
        Relative to the folder; a part of a file may follow a pattern, too.
    folder : Path

    Raises
    ------
    DataError
        If a pattern stands for no file.
    """
    found: list[str] = []
    for name in names:
        match = None if os.path.isfile(folder / name) else PART.fullmatch(name)
        pattern, part = (match[1], name[len(match[1]) :]) if match else (name, "")
        if os.path.isfile(folder / pattern) or not glob.has_magic(pattern):
            found.append(name)
            continue
        files = [own for own in glob.glob(pattern, root_dir=folder, recursive=True) if os.path.isfile(folder / own)]
        if not files:
            raise DataError(f"no data file is called like '{pattern}' in '{folder}'")
        found += [own + part for own in sorted(files, key=_numbers_in) if own + part not in found]
    return found


def _numbers_in(name: str) -> list[tuple[int, str]]:
    return [(int(text), "") if text.isdecimal() else (-1, text) for text in re.split(r"(\d+)", name)]


def _iterate_atoms(path: Path, reading: Reading | None) -> Iterator[Atoms]:
    """Structures of a file with what stands beside them."""
    last = path.suffix.lower()
    if last == ARRAYS:
        yield from atoms_of_arrays(path, reading)
        return
    if (Path(path.stem).suffix.lower() if last in OPENERS else last) in EXTENDED_XYZ:
        try:
            with OPENERS.get(last, open)(path, "rt", encoding="utf-8-sig") as file:
                yield from frames_of_text(file, str(path))
        except FormatError as error:
            raise DataError(f"data cannot be read: {error}") from error
        except UNREADABLE as error:
            raise DataError(f"data file '{path}' cannot be read: {error}") from error
        return
    try:
        yield from iread(path, do_not_split_by_at_sign=True)
    except Exception as error:  # ASE's readers raise whatever their parsing stumbles over
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise DataError(f"data file '{path}' cannot be read: {reason}") from error
