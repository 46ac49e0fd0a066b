"""Which file tells what a run was: the input or RESTART that a user means by a path."""

from __future__ import annotations

from pathlib import Path

from .input.atoms import is_xml
from .input.elements import InputError, parse
from .input.force_fields import read_ipi_input

RESTART = "RESTART"


def source_of(path: Path, also: str = "") -> Path:
    """The i-PI input of a run: a file, or in a folder its RESTART, or else its only input.

    Parameters
    ----------
    path : Path
    also : str
        What the command takes beside runs, for its messages.

    Raises
    ------
    InputError
        If there is none, or there are several.
    """
    allowed = f"allowed are folders of runs, i-PI inputs and RESTARTs{also and f', and {also}'}"
    if not path.is_dir():
        if not path.exists():
            raise InputError(f"'{path}' does not exist; {allowed}")
        if not is_xml(path):
            raise InputError(f"'{path}' is no run; {allowed}")
        return path
    if (path / RESTART).is_file():
        return path / RESTART
    inputs = [file for file in sorted(path.glob("*.xml")) if _is_ipi_input(file)]
    if len(inputs) != 1:
        names = ", ".join(file.name for file in inputs) or "none"
        raise InputError(f"'{path}' has no {RESTART} and not one i-PI input but {names}; name the file that was run")
    return inputs[0]


def _is_ipi_input(path: Path) -> bool:
    try:
        parse(path)
    except InputError:
        return False
    return True


def find_input(path: Path) -> Path | None:
    """Find the i-PI input of an output: an input, or RESTART, in its folder whose prefix the output has."""
    candidates = [*sorted(path.parent.glob("*.xml")), path.parent / "RESTART"]
    for candidate in candidates:
        try:
            if path.name.startswith(read_ipi_input(candidate).prefix + "."):
                return candidate
        except InputError:
            continue
    return None
