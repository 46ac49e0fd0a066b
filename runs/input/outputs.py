"""What i-PI is told to write: property files, and files of extras."""

from __future__ import annotations

import glob
import math
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from dataclasses import dataclass

from ...properties.quantities import properties, table_of_registry
from .elements import InputError, beads_of, integer_attribute, words

KEYWORD = re.compile(r"\s*([a-z_]+)\s*(?:\(([^)]*)\))?")


@dataclass(frozen=True)
class ExtrasReading:
    """Extras that one ``<trajectory>`` writes.

    Parameters
    ----------
    keyword : str
        ``extras`` for those of all components together, ``extras_component_raw``, or ``extras_bias``.
    component : int or None
        Which component it is; as in Python, −1 is the last.  None if the keyword does not say.
    names : tuple of str
        Keys in the extras.
    """

    keyword: str
    component: int | None
    names: tuple[str, ...]


def reading_of(trajectory: ElementTree.Element) -> ExtrasReading | None:
    """Extras that a ``<trajectory>`` writes; None if it writes something else."""
    found = KEYWORD.match(trajectory.text or "")
    if found is None or found[1] not in ("extras", "extras_component_raw", "extras_bias"):
        return None
    return ExtrasReading(found[1], index_in(found[2]), tuple(words(trajectory.get("extra_type"))))


def index_in(arguments: str | None) -> int | None:
    """Index of a component among the arguments of a keyword, ``(1; bead=0)``; None if there is none."""
    for argument in (arguments or "").split(";"):
        found = re.fullmatch(r"\s*(?:(?:idx|index)\s*=)?\s*(-?\d{1,9})\s*", argument)
        if found:
            return int(found[1])
    return None


@dataclass(frozen=True)
class ExtrasOutput:
    """Extras that i-PI writes: one file for each bead, or of one force component all beads into one file.

    Parameters
    ----------
    name : str
        Of the files, without the number of the bead.
    extras : tuple of str
        What stands in a record, in this order.
    stride : int
        Steps between records.
    bead : int
        As in i-PI: the one bead that is written, or −n for every n-th, so that −1 is all.
    rows : int
        Beads of the force component whose ``extras_component_raw`` it is, with a row for each of them in every record,
        whatever `bead` is; 0 if it is that of all components together.
    """

    name: str
    extras: tuple[str, ...]
    stride: int
    bead: int = -1
    rows: int = 0

    def written(self, beads: int) -> list[int]:
        """Numbers of those of `beads` beads that are written."""
        if self.rows:
            return list(range(self.rows))
        return list(range(0, beads, -self.bead)) if self.bead < 0 else [self.bead]

    def holds_all(self, beads: int) -> bool:
        """Whether each of `beads` beads is written, as a mean over them needs it."""
        return self.written(beads) == list(range(beads))

    def files(self, beads: int) -> list[str]:
        """Names of the files, in the order of the beads, with as many digits as i-PI gives them."""
        if self.rows:
            return [self.name]
        digits = 1 + int(math.log10(beads))
        return [f"{self.name}_{number:0{digits}d}" for number in self.written(beads)]


@table_of_registry
def matrices_of_atoms() -> tuple[str, ...]:
    """Keys of the extras that have a row for each atom coordinate."""
    return tuple(one.key for one in properties().values() if one.kind == "derivative" and one.key)


def check_extra_types(root: ElementTree.Element) -> None:
    """Refuse extras that i-PI cannot write into one file.

    Raises
    ------
    InputError
        Naming them, and what is allowed.
    """
    for trajectory in root.iter("trajectory"):
        reading = reading_of(trajectory)
        if reading is None:
            continue
        if "BEC" in reading.names and len(reading.names) > 1:
            raise InputError(
                f"extra_type='{', '.join(reading.names)}' in one <trajectory>, but i-PI writes rows of one kind into a "
                "file; give BEC a <trajectory> of its own"
            )
        matrices = [name for name in reading.names if name in matrices_of_atoms()]
        rows = max((rows_of(system, reading) for system in root.iter("system")), default=0)
        if matrices and rows > 1:
            raise InputError(
                f"extra_type='{matrices[0]}' of extras_component_raw with {rows} beads, but i-PI cannot write matrices "
                "of several beads into one file; allowed are a <force> with nbeads='1', which is that of the centroid, "
                "and the keyword extras"
            )


def rows_of(system: ElementTree.Element, reading: ExtrasReading) -> int:
    """Beads that ``extras_component_raw`` writes of a system; 0 for other outputs, or without such a component."""
    components = system.findall("forces/force")
    if reading.keyword != "extras_component_raw" or reading.component is None:
        return 0
    if not -len(components) <= reading.component < len(components):
        return 0
    beads = beads_of(system)
    return min(integer_attribute(components[reading.component], "nbeads", 0, least=0) or beads, beads)


def output_name(root: ElementTree.Element, name: str, system: ElementTree.Element | None) -> str:
    """Name of an output file as i-PI writes it, with the prefixes of the run and of its system.

    Parameters
    ----------
    root : Element
        ``<simulation>``.
    name : str
        The attribute ``filename`` of the output.
    system : Element or None
        None if there is none.
    """
    prefix = prefix_of(root)
    system_prefix = "" if system is None else system.get("prefix", "")
    name = f"{prefix}.{name}" if prefix else name
    return f"{system_prefix}_{name}" if system_prefix else name


def prefix_of(root: ElementTree.Element) -> str:
    """What i-PI puts before the names of all output files."""
    output = root.find("output")
    return "i-pi" if output is None else output.get("prefix", "i-pi")


def checkpoint_patterns(root: ElementTree.Element) -> Iterator[str]:
    """Names of the files that each ``<checkpoint>`` writes, as a pattern where every one gets a number of its own."""
    if root.find("output") is None:
        yield "i-pi.checkpoint"  # what i-PI writes unless it is told what to write
    for checkpoint in root.iterfind("output/checkpoint"):
        name = glob.escape(output_name(root, checkpoint.get("filename", "restart"), None))
        overwrites = checkpoint.get("overwrite", "true").strip().lower() == "true"
        yield name if overwrites else f"{name}_*"


@dataclass(frozen=True)
class PropertiesOutput:
    """Properties that i-PI writes into one file.

    Parameters
    ----------
    name : str
        Of the file.
    properties : tuple of str
        Without their units.
    stride : int
        Steps between rows.
    """

    name: str
    properties: tuple[str, ...]
    stride: int


def properties_outputs(root: ElementTree.Element, system: ElementTree.Element | None) -> Iterator[PropertiesOutput]:
    """Outputs of properties of a system.

    Raises
    ------
    InputError
        If a number in one is none.
    """
    for element in root.iterfind("output/properties"):
        yield PropertiesOutput(
            name=output_name(root, element.get("filename", "out"), system),
            properties=tuple(word.partition("{")[0].strip() for word in words(element.text)),
            stride=integer_attribute(element, "stride", 1, least=1),
        )


def extras_outputs(
    root: ElementTree.Element, system: ElementTree.Element | None, of_bias: bool = False
) -> Iterator[ExtrasOutput]:
    """Outputs of extras of a system.

    Parameters
    ----------
    root : Element
        ``<simulation>``.
    system : Element or None
        None if there is none.
    of_bias : bool
        Whether those of its bias, or else of its force components.

    Raises
    ------
    InputError
        If a number in one is none.
    """
    for element in root.iterfind("output/trajectory"):
        reading = reading_of(element)
        if reading is None or (reading.keyword == "extras_bias") != of_bias:
            continue
        rows = 0 if system is None else rows_of(system, reading)
        if rows or reading.keyword != "extras_component_raw":
            yield _written_of_beads(root, element, system, reading.names, rows)


@dataclass(frozen=True)
class TrajectoryOutput:
    """What i-PI writes as a structure file for each bead.

    Parameters
    ----------
    keyword : str
        As ``positions``, without its unit.
    form : str
        ``xyz``, ``pdb`` …
    written : ExtrasOutput
        Names of the files without their suffix, stride and beads.
    """

    keyword: str
    form: str
    written: ExtrasOutput


def trajectory_outputs(root: ElementTree.Element, system: ElementTree.Element | None) -> Iterator[TrajectoryOutput]:
    """Trajectories of a system that are no extras.

    Raises
    ------
    InputError
        If a number in one is none.
    """
    for element in root.iterfind("output/trajectory"):
        found = KEYWORD.match(element.text or "")
        if found is not None and reading_of(element) is None:
            written = _written_of_beads(root, element, system, (), 0)
            yield TrajectoryOutput(found[1], element.get("format", "xyz").strip(), written)


def _written_of_beads(
    root: ElementTree.Element,
    element: ElementTree.Element,
    system: ElementTree.Element | None,
    names: tuple[str, ...],
    rows: int,
) -> ExtrasOutput:
    return ExtrasOutput(
        name=output_name(root, element.get("filename", "traj"), system),
        extras=names,
        stride=integer_attribute(element, "stride", 1, least=1),
        bead=integer_attribute(element, "bead", -1),
        rows=rows,
    )
