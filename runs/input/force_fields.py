"""The force fields of an i-PI input or RESTART: where i-PI listens for answers, and what it reads of them."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from ...properties.quantities import ALWAYS_SENT, properties
from .elements import integer_in, text_in
from .force_components import Use, extras_of_member, use_of
from .outputs import check_extra_types

UNIX_PREFIX = "/tmp/ipi_"

# what i-PI evaluates itself
IN_PROCESS = frozenset({"ffdirect", "fflj", "ffdebye", "ffdmd", "ffplumed", "ffyaff", "ffsgdml"})


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


def sockets_of(root: ElementTree.Element) -> Iterator[ForceSocket]:
    """Where i-PI listens.

    Parameters
    ----------
    root : Element
        ``<simulation>``.

    Raises
    ------
    InputError
        If a port is no number, or extras cannot be written as they are asked for.
    """
    check_extra_types(root)
    prefix = root.get("sockets_prefix", UNIX_PREFIX)
    for force_field in root:
        use = use_of(root, force_field.get("name", "").strip())
        for element in force_field.iter("ffsocket"):
            socket = ForceSocket(
                name=element.get("name", "").strip(),
                mode=element.get("mode", "inet").strip(),
                address=text_in(element, "address", "localhost"),
                port=integer_in(element, "port", 65535),
                prefix=prefix,
            )
            own = use
            if force_field.tag == "ffcommittee":
                own = replace(use, extras=extras_of_member(force_field, element, use.extras))
            # what stands inside another one, as in a committee, is combined there with energies of its like
            yield _with_wants(socket, own, may_lack_energies=element is force_field)


def other_force_fields(root: ElementTree.Element) -> Iterator[OtherForceField]:
    """Force fields that are evaluated in i-PI's process or over MPI; `root` is ``<simulation>``."""
    for force_field in root:
        for element in force_field.iter():
            if element.tag == "ffmpi" or element.tag in IN_PROCESS:
                is_custom = element.tag == "ffdirect" and text_in(element, "pes") == "custom"
                name = element.get("name", "").strip()
                yield OtherForceField(element.tag, name, text_in(element, "pes_path") if is_custom else None)


def _with_wants(socket: ForceSocket, use: Use, may_lack_energies: bool) -> ForceSocket:
    """Properties to evaluate: energy, forces and virial unless i-PI never reads them, others only if it does."""
    # of one property there may be several names, as a committee gives its extras others
    asked = tuple(dict.fromkeys(name for name, one in properties().items() if one.key in use.extras))
    if asked and may_lack_energies and not use.energies:
        return replace(socket, want=asked, properties_only=True)
    return replace(socket, want=(*ALWAYS_SENT, *asked))
