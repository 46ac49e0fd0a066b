"""What a door is, and which doors there are, ours and those of other packages."""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import TracebackType

from ...errors import BeadwiseError
from ...model import Evaluator
from ...plugins import load_plugin, plugins
from ...suggestions import did_you_mean
from .mpi_group import form_groups, one_server_of, world
from .responder import Responder

ENTRY_POINTS = "beadwise.doors"
DOORS = {"unix": ("sockets", "unix_door"), "tcp": ("sockets", "tcp_door"), "mpi": ("mpi", "MpiDoor")}


class DoorError(BeadwiseError, ValueError):
    """A door that does not exist, or cannot be opened in the way that was asked for."""


@dataclass(frozen=True)
class DoorSettings:
    """How a door is opened, whatever its address.

    Parameters
    ----------
    wait : float
        Seconds to wait for i-PI to come up, and to come back.
    shared_memory : bool
        Whether i-PI exchanges arrays through shared memory.
    group_size : int or None
        MPI ranks that share the evaluation of every structure; None without MPI.
    force_field : str
        Name of the force field of i-PI that is served, where one door leads to several.
    """

    wait: float = 60.0
    shared_memory: bool = False
    group_size: int | None = None
    force_field: str = ""

    def refuse_shared_memory(self) -> None:
        """Raise DoorError if shared memory is asked for: this door has none."""
        if self.shared_memory:
            raise DoorError("--shm needs --unix NAME: shared memory is shared on one machine only")

    def refuse_force_field(self) -> None:
        """Raise DoorError if a force field is named: this door leads to one only."""
        if self.force_field:
            raise DoorError("--mpi-name names an <ffmpi>; it needs --mpi")


class Door(ABC):
    """A way to i-PI: entered before anything is loaded, so that it can tell others what fails, and run until i-PI ends.

    ``with door: … with door.sharing(evaluator) as shared: … door.run(Responder(shared, …))`` is what `beadwise serve`
    does.  A door of another package is such a class, whose objects are made of an address and settings, under an entry
    point in the group ``beadwise.doors``.

    Parameters
    ----------
    settings : DoorSettings, optional
        How it is opened.
    """

    def __init__(self, settings: DoorSettings | None = None):
        self.settings = settings or DoorSettings()

    @property
    @abstractmethod
    def where(self) -> str:
        """How users are told where i-PI is served, ``at localhost:31415``; empty if another rank tells them."""

    @abstractmethod
    def run(self, responder: Responder) -> None:
        """Answer i-PI until it has ended.

        Raises
        ------
        BeadwiseError
            If i-PI cannot be reached, or what it sends cannot be answered.
        """

    def sharing(self, evaluator: Evaluator) -> AbstractContextManager[Evaluator | None]:
        """Share the work of an evaluator with other ranks; what is to be served, None where that was another's work."""
        size = self.settings.group_size
        return one_server_of(evaluator, None if size is None else form_groups(world(), size))

    def __enter__(self) -> Door:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the door; here nothing is held, and nobody has to be told of an error."""
        return


def make_door(name: str, address: str, settings: DoorSettings | None = None) -> Door:
    """Make a door by its name.

    Parameters
    ----------
    name : str
        Out of `DOORS`, or of another package's entry points.
    address : str
        Where i-PI is, as this door reads it.
    settings : DoorSettings, optional
        How it is opened.

    Raises
    ------
    DoorError
        If there is no such door, or it cannot be opened in this way.
    PluginError
        If it is that of another package, which cannot be imported.
    BeadwiseError
        If it is no address.
    """
    settings = settings or DoorSettings()
    door = _maker(name)(address, settings)
    if not isinstance(door, Door):
        raise DoorError(f"the door '{name}' is {type(door).__name__}; it must be a beadwise.driver.doors.door.Door")
    return door


def _maker(name: str) -> Callable[[str, DoorSettings], Door]:
    """What makes a door of its address and settings."""
    if name in DOORS:
        module, maker = DOORS[name]
        return getattr(importlib.import_module(f"{__package__}.{module}"), maker)
    others = plugins(ENTRY_POINTS, DOORS)
    names = [*DOORS, *others]
    if name not in others:
        raise DoorError(f"no door '{name}'; allowed are {', '.join(names)}{did_you_mean(name, names)}")
    return load_plugin(others[name], type, "door")
