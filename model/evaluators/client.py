"""``client:COMMAND``: a program in another environment or language that speaks i-PI's protocol."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from ..clients import PREFIX, SEPARATOR, USAGE
from ..response import Evaluator
from .provider import Provider, Rename

FILES = "files="


def _renamed(rest: str, rename: Rename) -> str:
    """Rename the words that are files, as the program runs in a folder of its own."""
    try:
        words = shlex.split(rest)
    except ValueError:  # which is told when it is made
        return rest
    renamed = [_word(word, rename) for word in words]
    return rest if renamed == words else shlex.join(renamed)


def _word(word: str, rename: Rename) -> str:
    if word.startswith(FILES):
        return FILES + SEPARATOR.join(rename(name) for name in word.removeprefix(FILES).split(SEPARATOR) if name)
    return rename(word)


def _files(rest: str) -> list[Path]:
    found: list[Path] = []

    def note(word: str) -> str:
        if os.path.isfile(word):
            found.append(Path(word))
        return word

    _renamed(rest, note)
    return found


def _potential(rest: str, threads: int) -> Evaluator:
    from ..clients.potential import ClientPotential, read_command  # imports readers of files, which take long

    return ClientPotential(read_command(rest))


PROVIDER = Provider(
    PREFIX,
    _potential,
    USAGE,
    paths=_renamed,
    files=_files,
    runs_code=True,
)
