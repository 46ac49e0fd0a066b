"""One answer of a server, asked for as i-PI does it, for a structure that the run begins with."""

from __future__ import annotations

import secrets
import socket
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace

import numpy as np
from ase.calculators.socketio import IPIProtocol, SocketClosed

from ....model import BeadwiseError
from ....runs.input.elements import InputError
from ....runs.input.first_positions import first_positions
from ....runs.input.force_fields import UNIX_PREFIX, ForceSocket
from .. import processes
from ..plan import OutOfTime, Plan, RunError
from ..servers import Server, raise_failure, start_server

PAUSE = 0.1  # s, between looks at a server that has not connected
GRACE = 5.0  # s, that a server which hung up has to say why


@dataclass(frozen=True)
class FirstAnswer:
    """What a server answered.

    Parameters
    ----------
    energy : float
        In eV.
    largest_force : float
        Norm of the largest force on an atom, in eV/Å.
    atoms : int
    seconds : float
        That the evaluation took, the first of the server.
    warnings : tuple of str
        What the server warned of.
    """

    energy: float
    largest_force: float
    atoms: int
    seconds: float
    warnings: tuple[str, ...]


def first_answer(plan: Plan, address: ForceSocket, stop_requests: Sequence[int]) -> FirstAnswer | None:
    """Start a server of a force field, and ask it for one bead of the first system that it answers for.

    Parameters
    ----------
    plan : Plan
    address : ForceSocket
        Of the run; the server connects to another one, so that a run which goes on there is left alone.
    stop_requests : sequence of int
        Signals received so far; waiting ends with the first.

    Returns
    -------
    FirstAnswer or None
        None where the input does not tell where its atoms are.

    Raises
    ------
    BeadwiseError
        If the server refuses the model, the atoms, the properties or the structure.
    RunError
        If it fails otherwise, or there was a signal.
    OutOfTime
        If the time is over.
    """
    structure = _structure(plan, address)
    if structure is None:
        return None
    own = replace(address, mode="unix", prefix=UNIX_PREFIX, address=f"beadwise-check-{secrets.token_hex(8)}")
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        listener.bind(str(own.path))
        stack.callback(own.path.unlink, missing_ok=True)
        listener.listen(1)
        listener.settimeout(PAUSE)
        server = start_server(plan, own, stack)
        stack.callback(processes.end, [server.process])
        connected = stack.enter_context(_accept(listener, server, stop_requests))
        return _ask(connected, server, *structure)


def _structure(plan: Plan, address: ForceSocket) -> tuple[np.ndarray, np.ndarray] | None:
    """Positions and cell in Å of those atoms that the server is sent."""
    systems = [one for one in plan.input.systems if address.owner in one.force_fields] or plan.input.systems
    positions = first_positions(systems[0])
    if positions is None:
        return None
    sent = list(address.active) or slice(len(positions) - address.photons)
    return positions[sent], systems[0].cell


def _accept(listener: socket.socket, server: Server, stop_requests: Sequence[int]) -> socket.socket:
    """Wait for the server, which loads its model first."""
    while not stop_requests:
        with suppress(TimeoutError):
            connected, _ = listener.accept()
            connected.settimeout(None)
            return connected
        if server.process.poll() is not None:
            raise_failure(server)
            raise RunError(f"a server ended before it connected: {server.message}")
    if processes.TIME_IS_UP in stop_requests:
        raise OutOfTime("the time was over before the check was done")
    raise RunError("interrupted before the check was done")


def _ask(connected: socket.socket, server: Server, positions: np.ndarray, cell: np.ndarray) -> FirstAnswer:
    protocol = IPIProtocol(connected)
    began = time.monotonic()
    try:
        answer = protocol.calculate(positions, cell)
        seconds = time.monotonic() - began
        protocol.status()  # a server that is told EXIT at once waits for i-PI to come back
        protocol.end()
        connected.close()
    except (SocketClosed, OSError) as error:
        if not processes.wait(server.process, GRACE) or server.process.returncode != 2:
            raise RunError(f"a server failed with the first structure: {server.message}") from error
        raise BeadwiseError(f"{server.message}, in the first structure") from error
    forces = np.linalg.norm(answer["forces"], axis=1)
    if not (np.isfinite(answer["energy"]) and np.isfinite(forces).all()):
        raise InputError(f"a server answers with the energy {answer['energy']} eV, or forces that are not finite")
    processes.wait(server.process, GRACE)  # what it warns of is whole then
    warnings = tuple(map(str.rstrip, server.warnings))
    return FirstAnswer(float(answer["energy"]), float(forces.max()), len(forces), seconds, warnings)
