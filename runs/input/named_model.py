"""The model that an input names for its own run, in a comment of ``<simulation>`` that i-PI passes over.

Inputs that are written by commands each need another one; a RESTART has no comments, and needs it on the command line.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree

from .elements import InputError
from .run_input import RunInput

COMMENT = re.compile(r"\s*beadwise model: (\S.*?)\s*")


def name_model(root: ElementTree.Element, name: str) -> None:
    """Put the name of a model at the beginning of an input.

    Parameters
    ----------
    root : Element
        ``<simulation>``, which is changed.
    name : str
        As ``--model`` takes it.

    Raises
    ------
    InputError
        If it cannot stand in a comment.
    """
    if "--" in name or "\n" in name:
        raise InputError(f"the model '{name}' cannot be named in an input, as '--' ends a comment; rename its file")
    comment = ElementTree.Comment(f" beadwise model: {name} ")
    comment.tail = "\n  "
    root.insert(0, comment)


def named_model(run: RunInput) -> str:
    """The model that an input names, as ``--model`` takes it; empty where it names none."""
    for element in run.document:
        if element.tag is ElementTree.Comment and (found := COMMENT.fullmatch(element.text or "")):
            return found[1]
    return ""
