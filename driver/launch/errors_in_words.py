"""Errors of i-PI in words: the last line of its traceback is for those who wrote i-PI."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator

from ...runs.ipi_utilities import UnitMap, UnitPrefix
from ...suggestions import did_you_mean

NEVER_PREFIXED = ("automatic", "atomic_unit", "ase")
KINDS_OF_ERROR = re.compile(r"^(?:[\w.]+(?:Error|Exception)): *")


def in_words(error: str, document: ElementTree.Element) -> str:
    """Put an error of i-PI into words that a user of i-PI understands.

    Parameters
    ----------
    error : str
        The last line of a traceback.
    document : Element
        The input, ``<simulation>``.
    """
    for pattern, words in KNOWN:
        if found := re.search(pattern, error):
            return words(document, *found.groups())
    message = KINDS_OF_ERROR.sub("", error)
    if error.startswith("KeyError") and message[:1] in "'\"" and message[-1:] == message[:1]:
        message = message[1:-1]  # Python writes these as they stand in a program
    return message or error


def _tag(document: ElementTree.Element, name: str, parent: str) -> str:
    allowed = sorted(_inside(parent, "fields"))
    return f"<{name}> is no tag of <{parent}>{_allowed(allowed)}{did_you_mean(name, allowed)}"


def _attribute(document: ElementTree.Element, name: str, tag: str) -> str:
    allowed = sorted(_inside(tag, "attribs"))
    return f"{name}='…' is no attribute of <{tag}>{_allowed(allowed)}{did_you_mean(name, allowed)}"


def _option(document: ElementTree.Element, value: str, options: str) -> str:
    allowed = [option for option in re.findall(r"'([^']*)'", options) if option]
    return f"{_where(document, value)} is not allowed{_allowed(allowed)}{did_you_mean(value, allowed)}"


def _number(document: ElementTree.Element, value: str) -> str:
    return f"{_where(document, value)} is no number"


def _whole_number(document: ElementTree.Element, value: str) -> str:
    return f"{_where(document, value)} is no whole number"


def _unit(document: ElementTree.Element, unit: str, family: str) -> str:
    allowed = [name for name in UnitMap.get(family, {}) if name]
    # i-PI takes a prefix off before it complains: of 'femtoseconds' it names 'seconds'
    prefix = next((found[1] for word in _words_of(document) if (found := _prefixed(word, unit))), "")
    nearest = did_you_mean(
        prefix + unit, [prefix + name for name in allowed if not prefix or name not in NEVER_PREFIXED]
    )
    return f"'{prefix}{unit}' is no unit of {family}{_allowed(allowed)}{nearest}"


def _words_of(document: ElementTree.Element) -> Iterator[str]:
    """Whatever stands in an input where a unit may be."""
    for element in document.iter():
        yield from element.attrib.values()
        yield from re.findall(r"\{([^}]*)\}", element.text or "")


def _prefixed(word: str, unit: str) -> re.Match[str] | None:
    """A unit with the prefix of its size, such as femto, which is the first group."""
    return re.fullmatch(rf"\s*({'|'.join(filter(None, UnitPrefix))}){re.escape(unit)}\s*", word)


def _file(document: ElementTree.Element, file: str) -> str:
    return f"the file '{file}', which {_tag_with(document, file) or 'the input'} names, does not exist"


def _property(document: ElementTree.Element, name: str) -> str:
    from ipi.engine.properties import Properties

    return f"'{name}' in <properties> is nothing that i-PI writes there{did_you_mean(name, Properties().property_dict)}"


def _trajectory(document: ElementTree.Element, name: str) -> str:
    from ipi.engine.properties import Trajectories

    known = Trajectories().traj_dict
    return f"'{name}' in <trajectory> is nothing that i-PI writes there{did_you_mean(name, known)}"


def _cell(document: ElementTree.Element) -> str:
    files = [element for element in document.iterfind(".//initialize/file") if element.get("mode") == "xyz"]
    named = f" in '{(files[0].text or '').strip()}'" if files else ""
    return (
        f"i-PI found no cell{named}: with mode='xyz' the second line of the file must hold one, as '# CELL(abcABC): "
        "10 10 10 90 90 90 cell{angstrom} positions{angstrom}'; extended xyz, with Lattice=\"…\", needs mode='ase'"
    )


def _extra(document: ElementTree.Element, name: str) -> str:
    from ...properties.quantities import properties

    keys = {one.key: own for own, one in properties().items() if one.key}
    own = properties().get(name)
    if own is not None and own.key and own.key != name:
        return f"nothing is sent as '{name}': {name} goes out as '{own.key}', which extra_type must name"
    if name in keys:
        return f"'{name}' is not among the extras that were sent; the force field has none, or --want lacks it"
    return f"'{name}' is not among the extras that were sent; servers know {', '.join(keys)}{did_you_mean(name, keys)}"


def _key(document: ElementTree.Element, name: str) -> str:
    return f"it found no '{name}'; if that is one of the extras, servers have to send it"


Words = Callable[..., str]
KNOWN: tuple[tuple[str, Words], ...] = (
    (r"Tag name '(.*)' is not a recognized property of '(.*)' objects", _tag),
    (r"Attribute name '(.*)' is not a recognized property of '(.*)' objects", _attribute),
    (r"^ValueError: (.*) is not a valid option \((\[.*\])\)", _option),
    (r"could not convert string to float: '(.*)'", _number),
    (r"invalid literal for int\(\) with base 10: '(.*)'", _whole_number),
    (r"^TypeError: (.*) is an undefined unit for kind ([\w-]+)\.", _unit),
    (r"^FileNotFoundError: .*: '(.*)'", _file),
    (r"KeyError: ['\"](.*) is not a recognized property['\"]", _property),
    (r"KeyError: ['\"](.*) is not a recognized output trajectory['\"]", _trajectory),
    (r"Initializer could not initialize the cell", _cell),
    (r"Extra type '(.*)' is not among the quantities returned by the forcefield", _extra),
    (r"interpolate_extras required (.*) to promote, but was not found among extras", _extra),
    (r"^KeyError: '(\w+)'$", _key),
)


def _allowed(names: list[str]) -> str:
    return f"; allowed are {', '.join(names)}" if names else ""


def _where(document: ElementTree.Element, value: str) -> str:
    """A value with the tag or attribute that it stands in; of a list of numbers, the tag that holds it."""
    for element in document.iter():
        for name, own in element.attrib.items():
            if own.strip() == value.strip():
                return f"{name}='{value.strip()}' of <{element.tag}>"
    tag = _tag_with(document, value)
    return f"'{value.strip()}'{f' in {tag}' if tag else ''}"


def _tag_with(document: ElementTree.Element, value: str) -> str:
    """The innermost tag whose text holds a word; empty if none does."""
    for element in document.iter():
        if isinstance(element.tag, str) and value.strip() in re.split(r"[\s,\[\]]+", element.text or ""):
            return f"<{element.tag}>"
    return ""


def _inside(name: str, kind: str) -> set[str]:
    """What i-PI reads in a tag: its tags, ``fields``, or its attributes, ``attribs``; empty if that is not known."""
    from ipi.inputs.simulation import InputSimulation

    found: set[str] = set()
    for own in _classes(name, "simulation", InputSimulation, set()):
        found |= set(getattr(own, kind, {}))
        found |= set(getattr(own, "dynamic", {})) if kind == "fields" else set()
    return found


def _classes(name: str, label: str, own: type, seen: set[type]) -> Iterator[type]:
    """Classes of i-PI that read a tag of this name."""
    if label == name:
        yield own
    if own in seen:
        return
    seen.add(own)
    for inner, entry in {**getattr(own, "fields", {}), **getattr(own, "dynamic", {})}.items():
        yield from _classes(name, inner, entry[0], seen)
