"""What a run needs to know of its i-PI input or RESTART: where i-PI listens, the steps and the outputs."""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..model import BeadwiseError
from .checks import ALWAYS_SENT
from .transport import UNIX_PREFIX

PROPERTY_OF_EXTRA = {
    "dipole": "dipole",
    "polarizability": "polarizability",
    "BEC": "born_charges",
    "polarizability_derivatives": "polarizability_derivatives",
    "molecular_dipole": "molecular_dipole",
    "molecular_polarizability": "molecular_polarizability",
    "molecular_position": "molecular_position",
}


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
    """

    name: str
    mode: str
    address: str
    port: int
    prefix: str = UNIX_PREFIX

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
class ExtrasOutput:
    """Extras that i-PI writes, one file for each bead.

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
    """

    name: str
    extras: tuple[str, ...]
    stride: int
    bead: int = -1

    def written(self, beads: int) -> list[int]:
        """Numbers of those of `beads` beads that are written."""
        return list(range(0, beads, -self.bead)) if self.bead < 0 else [self.bead]

    def holds_all(self, beads: int) -> bool:
        """Whether each of `beads` beads is written, as a mean over them needs it."""
        return self.written(beads) == list(range(beads))

    def files(self, beads: int) -> list[str]:
        """Names of the files, in the order of the beads, with as many digits as i-PI gives them."""
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
    want : tuple of str
        Properties to serve: energy, forces and virial, and those that the outputs or the dynamics ask for.
    property_files : tuple of str
        Names of i-PI's property outputs.
    extras_outputs : tuple of ExtrasOutput
        Its outputs of extras.
    """

    sockets: tuple[ForceSocket, ...]
    step: int
    total_steps: int
    prefix: str
    want: tuple[str, ...]
    property_files: tuple[str, ...]
    extras_outputs: tuple[ExtrasOutput, ...] = ()


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
        want=_wanted_properties(root),
        property_files=tuple(_property_files(root)),
        extras_outputs=tuple(_extras_outputs(root)),
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


def words(text: str | None) -> list[str]:
    """Split one of i-PI's lists, ``[ O, H, H ]``."""
    return [word.strip() for word in (text or "").strip().strip("[]").split(",") if word.strip()]


def _read_sockets(root: ElementTree.Element) -> Iterator[ForceSocket]:
    prefix = root.get("sockets_prefix", UNIX_PREFIX)
    for element in root.iter("ffsocket"):
        yield ForceSocket(
            name=element.get("name", "").strip(),
            mode=element.get("mode", "inet").strip(),
            address=_text(element, "address", default="localhost"),
            port=_integer(element, "port", 65535),
            prefix=prefix,
        )


def _wanted_properties(root: ElementTree.Element) -> tuple[str, ...]:
    """Properties to evaluate: always the first three, others only if i-PI is going to read them from the extras."""
    extras: set[str] = set()
    for trajectory in root.iter("trajectory"):
        if re.match(r"extras(?!_bias)", (trajectory.text or "").strip()):
            own = words(trajectory.get("extra_type"))
            if "BEC" in own and len(own) > 1:
                raise InputError(
                    f"extra_type='{', '.join(own)}' in one <trajectory>, but i-PI writes rows of one kind into a file; "
                    "give BEC a <trajectory> of its own"
                )
            extras.update(own)
    for element in root.iter("interpolate_extras"):
        extras.update(words(element.text))
    if any(element.get("mode") == "driver" for element in root.iter("bec")):
        extras.update(["dipole", "BEC"])  # driven dynamics reports the dipole's energy in the field
    return (*ALWAYS_SENT, *(name for extra, name in PROPERTY_OF_EXTRA.items() if extra in extras))


def output_name(root: ElementTree.Element, name: str) -> str:
    """Name of an output file as i-PI writes it, with the prefixes of the run and of its system."""
    output, system = root.find("output"), root.find("system")
    prefix = "i-pi" if output is None else output.get("prefix", "i-pi")
    system_prefix = "" if system is None else system.get("prefix", "")
    name = f"{prefix}.{name}" if prefix else name
    return f"{system_prefix}_{name}" if system_prefix else name


def _property_files(root: ElementTree.Element) -> Iterator[str]:
    for element in root.iterfind("output/properties"):
        yield output_name(root, element.get("filename", "out"))


def _extras_outputs(root: ElementTree.Element) -> Iterator[ExtrasOutput]:
    for element in root.iterfind("output/trajectory"):
        if (element.text or "").strip() == "extras":
            yield ExtrasOutput(
                name=output_name(root, element.get("filename", "traj")),
                extras=tuple(words(element.get("extra_type"))),
                stride=integer_attribute(element, "stride", 1, least=1),
                bead=integer_attribute(element, "bead", -1),
            )
