"""What a run needs to know of its i-PI input or RESTART: its force fields, the steps and the outputs."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from ..model import BeadwiseError
from .checks import ALWAYS_SENT
from .committee_input import extras_of_member
from .extras import KEYS
from .force_components import ExtrasReading, Use, reading_of, use_of
from .system_templates import systems_of
from .transport import UNIX_PREFIX

PROPERTY_OF_EXTRA = {extra: name for name, extra in KEYS.items()}

# what i-PI evaluates itself
IN_PROCESS = frozenset({"ffdirect", "fflj", "ffdebye", "ffdmd", "ffplumed", "ffyaff", "ffsgdml"})
MATRICES = ("BEC", "polarizability_derivatives")  # what has a row for each atom coordinate


class InputError(BeadwiseError, ValueError):
    """An i-PI input, or a file that it names, that cannot be used."""


@dataclass(frozen=True)
class ForceSocket:
    """Where one ``<ffsocket>`` of i-PI listens.

    Parameters
    ----------
    name : str
        Name of the force field.
    mode : str
        ``unix``, ``inet`` or ``shm``.
    address : str
        Name of the unix socket, or host.
    port : int
        Port of ``inet``.
    prefix : str
        What i-PI puts before the name of a unix socket to make its path.
    want : tuple of str
        Properties that i-PI reads of this force field.
    properties_only : bool
        Whether it reads neither energy nor forces nor virial, as of a force of weight 0.
    """

    name: str
    mode: str
    address: str
    port: int
    prefix: str = UNIX_PREFIX
    want: tuple[str, ...] = ALWAYS_SENT
    properties_only: bool = False

    @property
    def is_file(self) -> bool:
        """Whether i-PI listens on a file, the unix socket."""
        return self.mode != "inet"

    @property
    def path(self) -> Path:
        """The unix socket's file."""
        return Path(self.prefix + self.address)

    def __str__(self) -> str:
        return str(self.path) if self.is_file else f"{self.address}:{self.port}"


@dataclass(frozen=True)
class OtherForceField:
    """A force field of i-PI whose forces come through another door than an ``<ffsocket>``.

    Parameters
    ----------
    tag : str
        One of `IN_PROCESS`, or ``ffmpi``.
    name : str
        Name of the force field.
    python_file : str or None
        The ``<pes_path>`` of a ``<pes>custom</pes>``, which is empty if it is missing; None for what i-PI has itself.
    """

    tag: str
    name: str
    python_file: str | None = None


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


@dataclass(frozen=True)
class IpiInput:
    """What a run needs to know of its input.

    Parameters
    ----------
    sockets : tuple of ForceSocket
        Where i-PI listens.
    step, total_steps : int
        Step the run starts from, and the one where it ends.
    prefix : str
        What i-PI puts before the names of its output files.
    property_files : tuple of str
        Names of i-PI's property outputs.
    extras_outputs : tuple of ExtrasOutput
        Its outputs of extras.
    others : tuple of OtherForceField
        Force fields that are evaluated in i-PI's process or over MPI.
    """

    sockets: tuple[ForceSocket, ...]
    step: int
    total_steps: int
    prefix: str
    property_files: tuple[str, ...]
    extras_outputs: tuple[ExtrasOutput, ...] = ()
    others: tuple[OtherForceField, ...] = ()

    @property
    def want(self) -> tuple[str, ...]:
        """Properties that are served to any force field: energy, forces, virial, and what outputs or dynamics read."""
        asked = {name for socket in self.sockets for name in socket.want}
        return (*ALWAYS_SENT, *(name for name in PROPERTY_OF_EXTRA.values() if name in asked))


def read_ipi_input(path: Path) -> IpiInput:
    """Read an i-PI input or RESTART.

    Parameters
    ----------
    path : Path
        The XML file.

    Raises
    ------
    InputError
        If it is not an i-PI input, or holds a number that is none.
    """
    root = parse(path)
    output = root.find("output")
    prefix = "i-pi" if output is None else output.get("prefix", "i-pi")
    return IpiInput(
        sockets=tuple(_read_sockets(root)),
        step=_integer(root, "step", 0),
        total_steps=_integer(root, "total_steps", 1000),
        prefix=prefix,
        property_files=tuple(_property_files(root)),
        extras_outputs=tuple(_extras_outputs(root)),
        others=tuple(_read_others(root)),
    )


def parse(path: Path) -> ElementTree.Element:
    """Parse an i-PI input or RESTART.

    Parameters
    ----------
    path : Path
        The XML file.

    Raises
    ------
    InputError
        If it cannot be read, or is no i-PI input.
    """
    try:
        root = ElementTree.parse(path).getroot()
    except OSError as error:
        raise InputError(f"cannot read the i-PI input '{path}': {error.strerror}") from error
    except (ElementTree.ParseError, UnicodeDecodeError) as error:
        raise InputError(f"'{path}' is not well-formed XML ({error}); an i-PI input or RESTART is needed") from error
    if root.tag != "simulation":
        raise InputError(f"'{path}' starts with <{root.tag}>; an i-PI input starts with <simulation>")
    return root


def _text(root: ElementTree.Element, *names: str, default: str = "") -> str:
    return (root.findtext("/".join(names)) or default).strip()


def _integer(element: ElementTree.Element, name: str, default: int) -> int:
    text = _text(element, name, default=str(default))
    try:
        return int(text)
    except ValueError:
        raise InputError(f"<{name}> of <{element.tag}> is '{text}'; an integer is needed") from None


def integer_attribute(element: ElementTree.Element, name: str, default: int, least: int | None = None) -> int:
    """Read an attribute that is an integer.

    Parameters
    ----------
    element : Element
    name : str
        Of the attribute.
    default : int
        If it is absent.
    least : int, optional
        Smallest number that is allowed.

    Raises
    ------
    InputError
        If it is no integer, or too small.
    """
    text = element.get(name, str(default)).strip()
    try:
        value = int(text)
    except ValueError:
        raise InputError(f"{name} of <{element.tag}> is '{text}'; an integer is needed") from None
    if least is not None and value < least:
        raise InputError(f"{name} of <{element.tag}> is {value}; it must be at least {least}")
    return value


def _read_sockets(root: ElementTree.Element) -> Iterator[ForceSocket]:
    _check_extra_types(root)
    prefix = root.get("sockets_prefix", UNIX_PREFIX)
    for force_field in root:
        use = use_of(root, force_field.get("name", "").strip())
        for element in force_field.iter("ffsocket"):
            socket = ForceSocket(
                name=element.get("name", "").strip(),
                mode=element.get("mode", "inet").strip(),
                address=_text(element, "address", default="localhost"),
                port=_integer(element, "port", 65535),
                prefix=prefix,
            )
            own = use
            if force_field.tag == "ffcommittee":
                own = replace(use, extras=extras_of_member(force_field, element, use.extras))
            # what stands inside another one, as in a committee, is combined there with energies of its like
            yield _with_wants(socket, own, may_lack_energies=element is force_field)


def _read_others(root: ElementTree.Element) -> Iterator[OtherForceField]:
    for force_field in root:
        for element in force_field.iter():
            if element.tag == "ffmpi" or element.tag in IN_PROCESS:
                is_custom = element.tag == "ffdirect" and _text(element, "pes") == "custom"
                name = element.get("name", "").strip()
                yield OtherForceField(element.tag, name, _text(element, "pes_path") if is_custom else None)


def _with_wants(socket: ForceSocket, use: Use, may_lack_energies: bool) -> ForceSocket:
    """Properties to evaluate: energy, forces and virial unless i-PI never reads them, others only if it does."""
    # of one property there may be several names, as a committee gives its extras others
    asked = tuple(dict.fromkeys(name for extra, name in PROPERTY_OF_EXTRA.items() if extra in use.extras))
    if asked and may_lack_energies and not use.energies:
        return replace(socket, want=asked, properties_only=True)
    return replace(socket, want=(*ALWAYS_SENT, *asked))


def beads_of(system: ElementTree.Element) -> int:
    """Number of beads of a ``<system>``: that of ``<beads>``, which i-PI keeps, or that of ``<initialize>``."""
    for name in ("beads", "initialize"):
        element = system.find(name)
        beads = 0 if element is None else integer_attribute(element, "nbeads", 0)
        if beads:
            return beads
    return 1


def _check_extra_types(root: ElementTree.Element) -> None:
    for trajectory in root.iter("trajectory"):
        reading = reading_of(trajectory)
        if reading is None:
            continue
        if "BEC" in reading.names and len(reading.names) > 1:
            raise InputError(
                f"extra_type='{', '.join(reading.names)}' in one <trajectory>, but i-PI writes rows of one kind into a "
                "file; give BEC a <trajectory> of its own"
            )
        matrices = [name for name in reading.names if name in MATRICES]
        rows = max((_rows_of(system, reading) for system in root.iter("system")), default=0)
        if matrices and rows > 1:
            raise InputError(
                f"extra_type='{matrices[0]}' of extras_component_raw with {rows} beads, but i-PI cannot write matrices "
                "of several beads into one file; allowed are a <force> with nbeads='1', which is that of the centroid, "
                "and the keyword extras"
            )


def _rows_of(system: ElementTree.Element, reading: ExtrasReading) -> int:
    """Beads that ``extras_component_raw`` writes of a system; 0 for other outputs, or without such a component."""
    components = system.findall("forces/force")
    if reading.keyword != "extras_component_raw" or reading.component is None:
        return 0
    if not -len(components) <= reading.component < len(components):
        return 0
    beads = beads_of(system)
    return min(integer_attribute(components[reading.component], "nbeads", 0, least=0) or beads, beads)


def output_name(root: ElementTree.Element, name: str, system: ElementTree.Element | None = None) -> str:
    """Name of an output file as i-PI writes it, with the prefixes of the run and of its system, or of the first one."""
    output, system = root.find("output"), next(systems_of(root), None) if system is None else system
    prefix = "i-pi" if output is None else output.get("prefix", "i-pi")
    system_prefix = "" if system is None else system.get("prefix", "")
    name = f"{prefix}.{name}" if prefix else name
    return f"{system_prefix}_{name}" if system_prefix else name


def _property_files(root: ElementTree.Element) -> Iterator[str]:
    for element in root.iterfind("output/properties"):
        yield output_name(root, element.get("filename", "out"))


def _extras_outputs(root: ElementTree.Element) -> Iterator[ExtrasOutput]:
    system = next(systems_of(root), None)  # the files of another have its prefix in place of this one's
    for element in root.iterfind("output/trajectory"):
        reading = reading_of(element)
        if reading is None or reading.keyword == "extras_bias":
            continue
        rows = 0 if system is None else _rows_of(system, reading)
        if rows or reading.keyword == "extras":
            yield ExtrasOutput(
                name=output_name(root, element.get("filename", "traj")),
                extras=reading.names,
                stride=integer_attribute(element, "stride", 1, least=1),
                bead=integer_attribute(element, "bead", -1),
                rows=rows,
            )
