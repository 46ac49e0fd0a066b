"""Copies of an i-PI input that differ in a few places, and do not disturb each other."""

from __future__ import annotations

import copy
import os
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from ..runs.input.elements import InputError, integer_in
from ..runs.input.force_fields import SOCKETS
from ..runs.input.run_input import RunInput

SUFFIX = ".xml"


def renamed_copy(run: RunInput, suffix: str, number: int) -> tuple[Path, ElementTree.Element]:
    """A copy of an input with names of its own for outputs and unix sockets, and random numbers of its own.

    Runs of one seed have the same noise: their errors are not independent, and add up where they should average out.

    Parameters
    ----------
    run : RunInput
    suffix : str
        What is added to the name of the file, the prefix of outputs and the names of sockets.
    number : int
        Of the copy, which is added to the seed where the input gives one; otherwise i-PI chooses it anew for each run.

    Returns
    -------
    path : Path
        Beside the input.
    root : Element
        ``<simulation>``, which may be changed.

    Raises
    ------
    InputError
        If there is a file of this name.
    """
    path = run.path.with_name(f"{run.path.name.removesuffix(SUFFIX)}{suffix}{SUFFIX}")
    if os.path.exists(path):
        raise InputError(f"'{path}' exists already; remove it, or use it")
    root = copy.deepcopy(run.document)
    output = root.find("output")
    if output is not None:
        output.set("prefix", output.get("prefix", "i-pi") + suffix)
    for socket in (one for one in root.iter() if one.tag in SOCKETS):
        address = socket.find("address")
        if socket.get("mode", "inet").strip() != "inet" and address is not None:
            address.text = f" {(address.text or '').strip()}{suffix} "
    seed = root.find("prng/seed")
    if seed is not None and integer_in(root, "prng/seed", -1) >= 0:
        seed.text = f" {integer_in(root, 'prng/seed', -1) + number} "
    return path, root


def write_input(path: Path, root: ElementTree.Element) -> Path:
    """Write an input; tell where.

    Raises
    ------
    InputError
        If it cannot be written.
    """
    try:
        ElementTree.ElementTree(root).write(path, encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot write '{path}': {error.strerror}") from error
    return path
