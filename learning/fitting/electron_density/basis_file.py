"""Files of Gaussian functions in the format of NWChem, as the Basis Set Exchange and PySCF write them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from ase.data import atomic_numbers, chemical_symbols

from ....model.electron_density.basis import HIGHEST_SHELL, Shell
from ....model.orbitals.basis import SHELL_LETTERS, OrbitalError
from ....reading import refusing, shown
from ...data import DataError

LETTERS = SHELL_LETTERS[: HIGHEST_SHELL + 1].upper()
TOGETHER = ("SP", "L")  # an s and a p shell of the same exponents
OTHER_WORDS = ("BASIS", "END")
Block = tuple[int, str, list[list[float]]]  # atomic number, letters of the shell, its lines of numbers


def shells_of_file(path: Path) -> dict[int, tuple[Shell, ...]]:
    """Shells of every element of a file, by atomic number.

    Those of an element stand by angular momentum, and of one angular momentum in the order of the file: so do the
    functions of PySCF.

    Parameters
    ----------
    path : Path

    Raises
    ------
    DataError
        If it cannot be read, or a line of it is not understood.
    """
    with refusing(DataError, f"cannot read the functions '{path}'"):
        text = path.read_text(encoding="utf-8")
    found: dict[int, list[Shell]] = {}
    for number, letters, rows in _blocks(text, path):
        where = f"'{path}', {letters} of {chemical_symbols[number]}"
        columns = _columns(rows, where)
        try:
            if letters in TOGETHER:
                if len(columns) != 3:
                    raise DataError(f"{where} has {len(columns) - 1} columns of coefficients; two are needed")
                own = [Shell(l, columns[0], columns[l + 1]) for l in (0, 1)]  # noqa: E741
            else:
                own = [_without_zeros(LETTERS.index(letters), columns[0], one) for one in columns[1:]]
        except OrbitalError as error:
            raise DataError(f"{where}: {error}") from error
        found.setdefault(number, []).extend(own)
    if not found:
        raise DataError(
            f"'{path}' has no functions; lines as 'O S' and below them exponents and coefficients are needed"
        )
    return {number: tuple(sorted(own, key=lambda shell: shell.momentum)) for number, own in found.items()}


def _without_zeros(momentum: int, exponents: tuple[float, ...], contraction: tuple[float, ...]) -> Shell:
    """A shell of a general contraction, whose columns have zeros where another one has all."""
    kept = [place for place, own in enumerate(contraction) if own] or [0]
    return Shell(momentum, tuple(exponents[place] for place in kept), tuple(contraction[place] for place in kept))


def _blocks(text: str, path: Path) -> Iterator[Block]:
    current: Block | None = None
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        if words[0].upper() in OTHER_WORDS:
            if "CARTESIAN" in line.upper():
                raise DataError(f"'{path}', line {number}: Cartesian functions; spherical ones are needed")
            continue
        if words[0].capitalize() in atomic_numbers and len(words) == 2:
            if current is not None:
                yield current
            letters = words[1].upper()
            if letters not in (*LETTERS, *TOGETHER):
                raise DataError(
                    f"'{path}', line {number}: a shell '{words[1]}'; allowed are {', '.join(LETTERS)} and SP"
                )
            current = atomic_numbers[words[0].capitalize()], letters, []
            continue
        numbers = _numbers(words)
        if current is None or numbers is None:
            raise DataError(
                f"'{path}', line {number}: {shown(line.strip())}; a basis in the format of NWChem is needed: an "
                "element with the letter of a shell, or an exponent with its coefficients"
            )
        current[2].append(numbers)
    if current is not None:
        yield current


def _numbers(words: list[str]) -> list[float] | None:
    """Numbers as Fortran writes them, too; None if they are none."""
    try:
        found = [float(word.upper().replace("D", "E")) for word in words]
    except ValueError:
        return None
    return found if np.isfinite(found).all() else None


def _columns(rows: list[list[float]], where: str) -> list[tuple[float, ...]]:
    lengths = {len(row) for row in rows}
    if len(lengths) != 1 or min(lengths) < 2:
        raise DataError(
            f"{where} has rows of {sorted(lengths)} numbers; an exponent and coefficients in each are needed"
        )
    return [tuple(column) for column in zip(*rows, strict=True)]
