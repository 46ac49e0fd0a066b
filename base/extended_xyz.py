"""Structures in extended xyz, frame by frame, with everything that stands beside them: one reader for all rooms.

The format is ASE's (``ase.io.extxyz``).  Read here, and not by ASE, is what ASE takes for the end of a file (an empty
line), refuses (a stress of six numbers, columns called ``mtt::…``, isotopes) or takes for something else (a lattice of
zeros for a periodic cell).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms
from ase.data import atomic_masses, atomic_numbers

from .errors import BeadwiseError
from .reading import shown

ISOTOPES = {"D": 2.01410177811, "T": 3.01604928199}  # masses in u
COLUMN = re.compile(r"((?:[^:]|::)+):([RISL]):(\d+)(?::(?!:)|$)")
# keys whose values ASE wants to be 3 x 3 numbers, or which other programs write in lower case
OWN_KEYS = re.compile(r"(?<![\w:])(stress|virial|lattice|properties|pbc)(?=\s*=)", re.IGNORECASE)
OWN = "own::"
NESTED = re.compile(r"=\s*\"?\s*\[\s*(\[[^\[\]\"]*\](?:[\s,]*\[[^\[\]\"]*\])*)\s*\]\s*\"?")
SYMBOLS, NUMBERS = ("species", "symbols", "element"), ("Z", "numbers", "atomic_numbers")
POSITIONS = ("pos", "positions")
RENAMED = {"mass": "masses"}
MOST_DIGITS = 18  # of a number of atoms
KINDS: dict[str, Any] = {"R": np.float64, "I": np.int64}
TRUTHS = {"T": True, "True": True, "true": True, "1": True, "F": False, "False": False, "false": False, "0": False}
LATTICE = re.compile(r"(^|\s)lattice\s*=", re.IGNORECASE)
ENCLOSED = re.compile(r"""\"[^\"]*\"|'[^']*'|\[[^\]]*\]|\{[^}]*\}""")
KEY = re.compile(r"([^\s=]+)\s*=")
OF_IPI = re.compile(r"CELL[\[({]")


class FormatError(BeadwiseError, ValueError):
    """Text that is no extended xyz."""


def frames_of_text(lines: Iterable[str], name: str, is_growing: bool = False) -> Iterator[Atoms]:
    """Read frames from the lines of an extended xyz file.

    Parameters
    ----------
    lines : iterable of str
        With their ends.
    name : str
        Of the file, for messages.
    is_growing : bool
        Whether it may still be written: a last frame that is not whole is left out then, and refused otherwise.

    Yields
    ------
    ase.Atoms
        Its ``info`` and ``arrays`` hold all other entries of the comment line and columns, under their names.

    Raises
    ------
    FormatError
        Naming frame and line.
    """
    for block in frame_blocks(lines, name, is_growing):
        yield atoms_of_block(block)


class Block(NamedTuple):
    """Lines of one frame: its comment and those of its atoms, the number of the comment's line, and its name."""

    lines: list[str]
    first: int
    where: str


def frame_blocks(lines: Iterable[str], name: str, is_growing: bool = False) -> Iterator[Block]:
    """Lines of every frame; see `frames_of_text`."""
    numbered = enumerate(lines, 1)
    index = 0
    for number, first in numbered:
        if not first.strip():
            continue  # between joined files
        if is_growing and not first.endswith("\n"):
            return
        frame = f"frame {index} of '{name}'"
        where, count = f"{frame}, line {number}", first.strip()
        if not count.isdecimal() or len(count) > MOST_DIGITS:
            raise FormatError(f"{frame} begins with '{count[:60]}'; a number of atoms is needed, in line {number}")
        block = [line for _, line in islice(numbered, int(count) + 1)]
        is_whole = len(block) == int(count) + 1
        if is_growing and not (is_whole and block[-1].endswith("\n")):
            return  # a line without its end may be a number without its last digits
        if not is_whole:
            raise FormatError(f"{where}: {count} atoms are announced, and {max(len(block) - 1, 0)} lines follow")
        yield Block(block, number + 1, where)
        index += 1


def atoms_of_block(block: Block) -> Atoms:
    """The structure of one frame; see `frames_of_text`."""
    where = block.where
    info = comment_entries(block.lines[0], where)
    cell, periodic = _cell(info, where)
    columns = _columns(info.pop("Properties", None), where)
    arrays = _arrays(block.lines[1:], columns, where, block.first + 1)
    numbers, masses = _elements(arrays, where)
    positions = next((arrays.pop(name) for name in POSITIONS if name in arrays), None)
    if positions is None or positions.shape != (len(numbers), 3) or positions.dtype.kind != "f":
        raise FormatError(f"{where}: there are no three columns of positions, pos:R:3")
    atoms = Atoms(numbers, positions=positions, cell=cell, pbc=periodic, info=info)
    if masses is not None and not {"masses", "mass"} & set(arrays):
        atoms.set_masses(masses)
    for name, values in arrays.items():
        atoms.arrays[RENAMED.get(name, name)] = values
    return atoms


def comment_entries(line: str, where: str) -> dict[str, Any]:
    """Entries of a comment line: numbers, arrays of them, truths and texts, as ASE's reader finds them.

    Numbers in nested brackets are one row of numbers, and ``Lattice``, ``Properties`` and ``pbc`` stand under these
    names however they are written.

    Raises
    ------
    FormatError
        If it is the comment of a file of i-PI, whose cell would be lost, or ASE cannot read it.
    """
    if OF_IPI.search(line) and not LATTICE.search(line):  # ASE keeps i-PI's words of a file that has both
        raise FormatError(
            f"{where}: the comment '{line.strip()[:60]}' is that of a file of i-PI; extended xyz is needed, whose cell "
            'is Lattice="…"'
        )
    if line.replace('\\"', "").count('"') % 2:
        raise FormatError(f"{where}: a quotation mark has no other in the comment line")
    keys = KEY.findall(ENCLOSED.sub("", line))
    if double := [key for place, key in enumerate(keys) if key in keys[:place]]:
        raise FormatError(f"{where}: '{double[0]}' stands twice in the comment line")
    line = NESTED.sub(lambda found: '="' + re.sub(r"[\[\],\s]+", " ", found[1]).strip() + '" ', line.strip())
    line = OWN_KEYS.sub(lambda found: OWN + found[1], line)
    from ase.io.extxyz import key_val_str_to_dict  # with all formats of ASE, which take long to import

    try:
        entries = key_val_str_to_dict(line) if line else {}
    except Exception as error:  # ASE raises whatever its parsing stumbles over
        raise FormatError(f"{where}: the comment line cannot be read: {error}") from error
    proper = {"lattice": "Lattice", "properties": "Properties"}
    found = {}
    for key, value in entries.items():
        own = key.removeprefix(OWN)
        name = proper.get(own.lower(), own.lower() if own.lower() == "pbc" else own) if own != key else key
        if name in found:
            raise FormatError(f"{where}: '{name}' stands twice in the comment line")
        found[name] = value
    return found


def _cell(info: dict[str, Any], where: str) -> tuple[np.ndarray, list[bool]]:
    """Lattice vectors in rows, and which are periodic; a vector of zeros is not, as in files of single molecules."""
    lattice, said = info.pop("Lattice", None), info.pop("pbc", None)
    cell = np.zeros(9) if lattice is None else np.asarray(lattice)
    if cell.shape != (9,) or cell.dtype.kind not in "fi" or not np.isfinite(cell).all():
        raise FormatError(f"{where}: Lattice is {lattice!r}; nine finite numbers in Å are needed, vector by vector")
    cell = cell.astype(np.float64).reshape(3, 3)
    there = [bool(vector.any()) for vector in cell]
    if said is None:
        return cell, there
    words = [str(one) for one in np.ravel(said).tolist()]
    words = words * 3 if len(words) == 1 else words
    if len(words) != 3 or not set(words) <= TRUTHS.keys():
        raise FormatError(f"{where}: pbc is {said!r}; three of T and F are needed")
    truths = [TRUTHS[word] for word in words]
    if any(wanted and not given for wanted, given in zip(truths, there, strict=True)):
        letters = " ".join("FT"[one] for one in truths)
        raise FormatError(
            f"{where}: cell {cell.tolist()} with pbc {letters}; a periodic direction needs a lattice vector"
        )
    return cell, truths


def _columns(described: object, where: str) -> list[tuple[str, str, int]] | None:
    """Name, kind and width of the columns; None if nothing says what they are."""
    if described is None:
        return None
    text, place, columns = str(described), 0, []
    while place < len(text):
        found = COLUMN.match(text, place)
        if found is None or len(found[3]) > MOST_DIGITS or int(found[3]) < 1:
            raise FormatError(
                f"{where}: Properties={shown(text)} is not understood at '{shown(text[place:])}'; NAME:KIND:WIDTH is "
                "needed, kinds R, I, S and L"
            )
        columns.append((found[1], found[2], int(found[3])))
        place = found.end()
    names = [name for name, _, _ in columns]
    if len(set(names)) < len(names):
        raise FormatError(f"{where}: Properties={shown(text)} names a column twice")
    return columns


def _arrays(
    lines: list[str], columns: list[tuple[str, str, int]] | None, where: str, first: int
) -> dict[str, np.ndarray]:
    """Columns of all atoms by name."""
    rows = [line.split() for line in lines]
    is_said = columns is not None
    columns = columns or [("species", "S", 1), ("pos", "R", 3)]
    width = sum(own for _, _, own in columns)
    for atom, row in enumerate(rows):
        if len(row) < width or (is_said and len(row) != width):
            raise FormatError(f"{where}: atom {atom} in line {first + atom} has {len(row)} columns; {width} are needed")
    table: list[tuple[str, ...]] = list(zip(*rows, strict=False)) if rows else [()] * width
    arrays, start = {}, 0
    for name, kind, own in columns:
        texts = table[start : start + own]
        start += own
        try:
            values = _converted(kind, texts)
        except (ValueError, OverflowError, KeyError):
            atom, text = next((i, t) for column in texts for i, t in enumerate(column) if not _is(kind, t))
            raise FormatError(
                f"{where}: {name} of atom {atom} in line {first + atom} is '{text}'; a number is needed"
            ) from None
        arrays[name] = values[0] if own == 1 else np.ascontiguousarray(values.T)
    return arrays


def _converted(kind: str, texts: list[tuple[str, ...]]) -> np.ndarray:
    if kind == "L":
        return np.array([[TRUTHS[text] for text in column] for column in texts])
    return np.array(texts, dtype=KINDS.get(kind, np.str_))


def _is(kind: str, text: str) -> bool:
    try:
        _converted(kind, [(text,)])
    except (ValueError, OverflowError, KeyError):
        return False
    return True


def _elements(arrays: dict[str, np.ndarray], where: str) -> tuple[np.ndarray, np.ndarray | None]:
    """Atomic numbers, and masses where a symbol is an isotope's."""
    known = [arrays.pop(name) for name in (*NUMBERS, *SYMBOLS) if name in arrays]
    if not known:
        raise FormatError(f"{where}: there is no column of chemical symbols, species:S:1")
    texts = known[0].astype(str).tolist()
    found = {text: atomic_number(text) for text in dict.fromkeys(texts)}
    unknown = [text for text, number in found.items() if number is None]
    if unknown:
        raise FormatError(
            f"{where}: atom {texts.index(unknown[0])} is '{unknown[0]}'; allowed are chemical symbols, D, T and atomic "
            "numbers"
        )
    numbers = np.array([found[text] for text in texts], dtype=int)
    if not ISOTOPES.keys() & found.keys():
        return numbers, None
    return numbers, np.array([ISOTOPES.get(t, atomic_masses[n]) for t, n in zip(texts, numbers, strict=True)])


def atomic_number(label: str) -> int | None:
    """Atomic number of a chemical symbol in any case, of D or T, or of the number itself; None if it is none."""
    if label in ISOTOPES:
        return 1
    if label.isdecimal():
        return int(label) if len(label) < MOST_DIGITS and 0 < int(label) < len(atomic_masses) else None
    return atomic_numbers.get(label.capitalize()) or None  # ASE's X, of number 0, is no element
