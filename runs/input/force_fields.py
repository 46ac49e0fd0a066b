"""The force fields of an i-PI input or RESTART: where i-PI listens for answers, and what it reads of them."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ...properties.quantities import ALWAYS_SENT, properties
from .elements import InputError, boolean_in, integer_in, text_in, words
from .force_components import Use, extras_of_member, use_of
from .outputs import check_extra_types

SOCKETS = ("ffsocket", "ffcavphsocket")
PHOTONS = {"loose": 2, "dense": 1}  # atoms at the end that stand for the photons of a cavity, by <ph_rep>
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
    owner : str
        Name of the force field that a ``<force>`` asks for it: its own, or that of the one it stands in.
    active : tuple of int
        Places of the atoms that i-PI sends; empty for all.
    photons : int
        How many atoms at the end stand for photons of a cavity, which i-PI evaluates itself.
    is_locked : bool
        Whether each bead has a server of its own, with ``matching='lock'``.
    """

    name: str
    mode: str
    address: str
    port: int
    prefix: str = UNIX_PREFIX
    want: tuple[str, ...] = ALWAYS_SENT
    properties_only: bool = False
    owner: str = ""
    active: tuple[int, ...] = ()
    photons: int = 0
    is_locked: bool = False

    def atoms_of(self, labels: Sequence[str], source: Path) -> tuple[str, ...]:
        """Labels of the atoms that i-PI sends, of those of a system in the file `source`.

        Raises
        ------
        InputError
            If ``<activelist>`` names an atom that there is not, or none is left.
        """
        molecular = tuple(labels[: len(labels) - self.photons])
        beyond = [place for place in self.active if not 0 <= place < len(molecular)]
        if beyond or not molecular:
            raise InputError(
                f"<activelist> of '{self.name}' in '{source}' names atom {beyond[0] if beyond else 0}; its system has "
                f"{len(molecular)} atoms, counted from 0"
            )
        return tuple(molecular[place] for place in self.active) if self.active else molecular

    @property
    def is_file(self) -> bool:
        """Whether i-PI listens on a file, the unix socket."""
        return self.mode != "inet"

    @property
    def path(self) -> Path:
        """The unix socket's file, as it is found from the folder where i-PI runs."""
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
        for element in force_field.iter():
            if element.tag not in SOCKETS:
                continue
            socket = ForceSocket(
                name=element.get("name", "").strip(),
                mode=element.get("mode", "inet").strip(),
                address=text_in(element, "address", "localhost"),
                port=integer_in(element, "port", 65535),
                prefix=prefix,
                owner=force_field.get("name", "").strip(),
                active=_active(element),
                photons=_photons(element),
                is_locked=element.get("matching", "auto").strip() == "lock",
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


def _active(element: ElementTree.Element) -> tuple[int, ...]:
    """Places of the atoms that i-PI sends to a force field; none if it sends all, as for -1."""
    listed = words(element.findtext("activelist"))
    try:
        places = tuple(map(int, listed))
    except ValueError:
        raise InputError(f"<activelist> of <{element.tag}> is [{', '.join(listed)}]; integers are needed") from None
    return () if places[:1] == (-1,) else places


def _photons(element: ElementTree.Element) -> int:
    """How many atoms stand for photons."""
    if element.tag != "ffcavphsocket" or not boolean_in(element, "apply_photon", False):
        return 0
    style = text_in(element, "ph_rep", "loose")
    if style not in PHOTONS:
        raise InputError(f"<ph_rep> of <ffcavphsocket> is '{style}'; allowed are {', '.join(PHOTONS)}")
    return PHOTONS[style]
