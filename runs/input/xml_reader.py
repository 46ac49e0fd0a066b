"""XML as an i-PI input has it: elements, attributes, text and comments, and nothing that grows while it is read.

What an XML document may declare besides, entities that stand for further text or for other files, no input of i-PI
needs; whoever can write one could make a program read any file, or fill the memory.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import BinaryIO
from xml.parsers import expat

DEEPEST = 100  # elements within each other; i-PI's have ten
CHUNK = 1 << 16


class XmlError(ValueError):
    """Text that is no XML, or declares what is not read here."""


def read_xml(source: Path | str, with_comments: bool = True) -> ElementTree.Element:
    """Read a document.

    Parameters
    ----------
    source : Path or str
        A file, or the text itself.
    with_comments : bool
        Whether comments become elements, which cut the text of the element that they stand in.

    Returns
    -------
    Element

    Raises
    ------
    OSError
        If the file cannot be read.
    XmlError
        If it is no well-formed XML, declares an entity, or its elements are too deep within each other.
    """
    reader = _Reader(with_comments)
    if isinstance(source, str):
        return reader.read_text(source)
    with open(source, "rb") as file:
        return reader.read_file(file)


class _Reader:
    """Makes elements of what the parser finds."""

    def __init__(self, with_comments: bool) -> None:
        self._builder = ElementTree.TreeBuilder(insert_comments=with_comments)
        self._depth = 0
        self._parser = parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._builder.data
        if with_comments:
            parser.CommentHandler = self._builder.comment
        parser.EntityDeclHandler = _refuse_entity

    def read_text(self, text: str) -> ElementTree.Element:
        return self._parse([text.encode()])

    def read_file(self, file: BinaryIO) -> ElementTree.Element:
        return self._parse(iter(lambda: file.read(CHUNK), b""))

    def _parse(self, pieces: object) -> ElementTree.Element:
        try:
            for piece in pieces:  # type: ignore[attr-defined]
                self._parser.Parse(piece, False)
            self._parser.Parse(b"", True)
            return self._builder.close()
        except XmlError:
            raise
        except (expat.ExpatError, ValueError, AssertionError, LookupError) as error:
            raise XmlError(str(error)) from error

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > DEEPEST:
            raise XmlError(f"elements within each other more than {DEEPEST} deep")
        self._builder.start(tag, attributes)

    def _end(self, tag: str) -> None:
        self._depth -= 1
        self._builder.end(tag)


def _refuse_entity(name: str, *rest: object) -> None:
    raise XmlError(f"it declares the entity '{name[:60]}'; entities are not read")
