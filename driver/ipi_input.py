"""What beadwise needs to know of an i-PI input or RESTART: where i-PI listens, the atoms, the steps and the outputs."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase.data import atomic_numbers

from ..model import BeadwiseError
from .checks import ALWAYS_SENT
from .species import HYDROGEN_LABELS
from .species import read_species as read_structure_species
from .transport import UNIX_PREFIX

PROPERTY_OF_EXTRA = {"dipole": "dipole", "polarizability": "polarizability", "BEC": "born_charges"}


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
    """

    sockets: tuple[ForceSocket, ...]
    step: int
    total_steps: int
    prefix: str
    want: tuple[str, ...]
    property_files: tuple[str, ...]


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
    root = _parse(path)
    output = root.find("output")
    prefix = "i-pi" if output is None else output.get("prefix", "i-pi")
    return IpiInput(
        sockets=tuple(_read_sockets(root)),
        step=_integer(root, "step", 0),
        total_steps=_integer(root, "total_steps", 1000),
        prefix=prefix,
        want=_wanted_properties(root),
        property_files=tuple(_property_files(root, prefix)),
    )


def read_species(path: Path, folder: Path | None = None) -> np.ndarray:
    """Atomic numbers in i-PI's order, from an i-PI input, a RESTART, or a structure file.

    Parameters
    ----------
    path : Path
        An input, a RESTART, or any structure file that :func:`beadwise.driver.species.read_species` reads.
    folder : Path, optional
        Where i-PI runs, which is what the file names in its input are relative to; by default the current folder.

    Returns
    -------
    ndarray of int32, shape (atoms,)

    Raises
    ------
    InputError
        If an input names no atoms or an unknown element, or holds systems of different atoms.
    StructureError
        If a structure file cannot be read.
    """
    if not _is_xml(path):
        return read_structure_species(path)
    found = [_species_of_system(system, path, folder or Path()) for system in _systems(_parse(path))]
    if not found:
        raise InputError(f"'{path}' holds no <system>; an i-PI input needs one")
    if any(not np.array_equal(species, found[0]) for species in found):
        raise InputError(
            f"the systems in '{path}' have different atoms; i-PI never tells a driver which system it asks for, "
            "so all systems must have the same atoms in the same order"
        )
    return found[0]


def _parse(path: Path) -> ElementTree.Element:
    try:
        root = ElementTree.parse(path).getroot()
    except OSError as error:
        raise InputError(f"cannot read the i-PI input '{path}': {error.strerror}") from error
    except (ElementTree.ParseError, UnicodeDecodeError) as error:
        raise InputError(f"'{path}' is not well-formed XML ({error}); an i-PI input or RESTART is needed") from error
    if root.tag != "simulation":
        raise InputError(f"'{path}' starts with <{root.tag}>; an i-PI input starts with <simulation>")
    return root


def _is_xml(path: Path) -> bool:
    """Whether the file looks like XML: a RESTART has no suffix to tell."""
    try:
        with open(path, "rb") as file:
            return file.read(256).lstrip().startswith(b"<")
    except OSError as error:
        raise InputError(f"cannot read '{path}': {error.strerror}") from error


def _text(root: ElementTree.Element, *names: str, default: str = "") -> str:
    return (root.findtext("/".join(names)) or default).strip()


def _integer(element: ElementTree.Element, name: str, default: int) -> int:
    text = _text(element, name, default=str(default))
    try:
        return int(text)
    except ValueError:
        raise InputError(f"<{name}> of <{element.tag}> is '{text}'; an integer is needed") from None


def _words(text: str | None) -> list[str]:
    """Entries of one of i-PI's lists, ``[ O, H, H ]``."""
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
            extras.update(_words(trajectory.get("extra_type")))
    for element in root.iter("interpolate_extras"):
        extras.update(_words(element.text))
    if any(element.get("mode") == "driver" for element in root.iter("bec")):
        extras.update(["dipole", "BEC"])  # driven dynamics reports the dipole's energy in the field
    return (*ALWAYS_SENT, *(name for extra, name in PROPERTY_OF_EXTRA.items() if extra in extras))


def _property_files(root: ElementTree.Element, prefix: str) -> Iterator[str]:
    system = root.find("system")
    system_prefix = "" if system is None else system.get("prefix", "")
    for element in root.iterfind("output/properties"):
        name = element.get("filename", "out")
        name = f"{prefix}.{name}" if prefix else name
        yield f"{system_prefix}_{name}" if system_prefix else name


def _systems(root: ElementTree.Element) -> Iterator[ElementTree.Element]:
    yield from root.iterfind("system")
    for template in root.iterfind("system_template"):
        body = template.find("template/system")
        if body is None:
            continue
        labels = _words(template.findtext("labels"))
        for instance in template.iterfind("instance"):
            yield _fill_template(body, labels, _words(instance.text))


def _fill_template(body: ElementTree.Element, labels: list[str], values: list[str]) -> ElementTree.Element:
    text = ElementTree.tostring(body, encoding="unicode")
    for label, value in sorted(zip(labels, values, strict=False), reverse=True):  # "string1" before "string"
        text = text.replace(label, value)
    return ElementTree.fromstring(text)


def _species_of_system(system: ElementTree.Element, path: Path, folder: Path) -> np.ndarray:
    """Atomic numbers of one system; as in i-PI, what ``<initialize>`` reads last wins."""
    species = _atomic_numbers(_words(system.findtext("beads/names")), path)
    for element in system.iterfind("initialize/*"):
        if element.tag == "labels" and element.get("mode") == "manual":
            species = _atomic_numbers(_words(element.text), path)
        elif element.tag in ("file", "labels"):
            species = _species_of_file(folder / (element.text or "").strip(), element.get("mode", "chk"))
    if not len(species):
        raise InputError(
            f"a <system> in '{path}' names no atoms; i-PI never sends them to a driver, so they are read from "
            "<initialize><file mode='xyz'> (or pdb, ase, chk), from <labels>, or from <beads> of a RESTART"
        )
    return species


def _species_of_file(path: Path, mode: str) -> np.ndarray:
    if mode != "chk":
        return read_structure_species(path)
    return _atomic_numbers(_words(_parse(path).findtext("system/beads/names")), path)


def _atomic_numbers(labels: list[str], path: Path) -> np.ndarray:
    """Atomic numbers of i-PI's labels, which may be isotopes (``D``, ``O18``)."""
    numbers = []
    for index, label in enumerate(labels):
        symbol = "H" if label in HYDROGEN_LABELS else re.sub(r"\d+$", "", label)
        if not atomic_numbers.get(symbol):
            raise InputError(f"atom {index} in '{path}' is labelled '{label}'; allowed are chemical symbols")
        numbers.append(atomic_numbers[symbol])
    return np.array(numbers, dtype=np.int32)
