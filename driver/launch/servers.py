"""The servers of a run: ``beadwise serve`` in processes of their own."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ...model import BeadwiseError
from ...properties.quantities import ALWAYS_SENT
from ...runs.input.force_fields import ForceSocket
from . import processes
from .endings import named
from .plan import OutOfTime, Plan, RunError

POLL_INTERVAL = 0.1
SERVER_WAIT = 60.0
WARNING = "warning: "
MOST_BYTES_OF_WARNINGS = 65536
SERVE_COMMAND = (sys.executable, "-m", "beadwise.driver", "serve")


@dataclass(frozen=True)
class Server:
    """A running ``beadwise serve``."""

    process: subprocess.Popen[bytes]
    errors: IO[bytes]

    @property
    def warnings(self) -> list[str]:
        """What it has warned of so far."""
        # the server writes at the place where this file stands, which must not be moved
        text = os.pread(self.errors.fileno(), MOST_BYTES_OF_WARNINGS, 0).decode(errors="replace")
        return [line for line in text.splitlines(keepends=True) if line.startswith(WARNING) and line.endswith("\n")]

    @property
    def is_ready(self) -> bool:
        """Whether it has said that it waits for i-PI."""
        assert self.process.stdout is not None
        return bool(self.process.stdout.readline())

    @property
    def message(self) -> str:
        """The last line that it wrote to standard error."""
        self.errors.seek(0)
        lines = self.errors.read().decode(errors="replace").strip().splitlines()
        return lines[-1].removeprefix("Error: ") if lines else f"it ended with status {named(self.process.returncode)}"


def user_environment(folder: Path) -> dict[str, str]:
    """What i-PI and servers find: modules of the user's own, plugins of PLUMED; and idle threads that sleep.

    Whoever evaluates needs its cores only between the moments in which i-PI moves the beads.

    Parameters
    ----------
    folder : Path
        Where i-PI runs; modules are found there, and in the current folder.
    """
    modules = dict.fromkeys([os.getcwd(), str(folder.resolve())])
    return {
        "OMP_WAIT_POLICY": "passive",
        "PYTHONPATH": _joined([*modules, os.environ.get("PYTHONPATH", "")]),
        "LD_LIBRARY_PATH": _joined([*plumed_libraries(), os.environ.get("LD_LIBRARY_PATH", "")]),
    }


def plumed_libraries() -> list[str]:
    """Folders of the PLUMED that is installed as a Python package, where its plugins are that ``LOAD`` names."""
    package = importlib.util.find_spec("plumed")
    places = [] if package is None else package.submodule_search_locations or []
    return [str(folder) for place in places if (folder := Path(place) / "_lib" / "lib").is_dir()]


def _joined(folders: Sequence[str]) -> str:
    return os.pathsep.join(filter(None, folders))


def start_servers(plan: Plan, stack: ExitStack, stop_requests: Sequence[int]) -> list[Server]:
    """Start all servers and wait until they are ready, so that i-PI is not started in vain.

    Parameters
    ----------
    plan : Plan
        Where they connect to, how many there are, and what answers.
    stack : contextlib.ExitStack
        Ends them.
    stop_requests : sequence of int
        Signals received so far; waiting ends with the first.

    Raises
    ------
    BeadwiseError
        If a server refuses the model, the atoms or the properties.
    RunError
        If a server fails otherwise, or there was a signal.
    OutOfTime
        If the time is over.
    """
    servers: list[Server] = []
    stack.callback(lambda: processes.end([server.process for server in servers]))
    for address in plan.input.sockets:
        for _ in range(_servers_needed(plan, address)):
            servers.append(start_server(plan, address, stack))
    waiting = list(servers)
    stopped = processes.StoppedWatch()
    while waiting and not stop_requests:
        time.sleep(POLL_INTERVAL)
        waiting = [server for server in waiting if not server.is_ready]
        raise_failure(find_failed(servers))
        if found := stopped.find([server.process for server in servers]):
            raise RunError(f"a signal has stopped a server, process {found.pid}, before i-PI was started")
    if processes.TIME_IS_UP in stop_requests:
        raise OutOfTime("the time was over before i-PI was started")
    if stop_requests:
        raise RunError("interrupted before i-PI was started")
    return servers


def start_server(plan: Plan, address: ForceSocket, stack: ExitStack) -> Server:
    """Start one server; whoever holds `stack` ends it.

    Parameters
    ----------
    plan : Plan
    address : ForceSocket
        Where it connects to, and what it answers with.
    stack : contextlib.ExitStack
        Closes what is read of it.
    """
    errors = stack.enter_context(tempfile.TemporaryFile())
    process = processes.start(
        _serve_command(plan, address),
        plan.folder,
        {**user_environment(plan.folder), "OMP_NUM_THREADS": str(plan.threads)},
        output=subprocess.PIPE,
        errors=errors,
    )
    assert process.stdout is not None
    os.set_blocking(process.stdout.fileno(), False)
    stack.callback(process.stdout.close)
    return Server(process, errors)


def _servers_needed(plan: Plan, address: ForceSocket) -> int:
    """How many servers to start: with ``matching='lock'`` i-PI never gives another bead to a server."""
    return max(plan.workers, plan.input.beads_asking(address)) if address.is_locked else plan.workers


def _serve_command(plan: Plan, address: ForceSocket) -> list[str]:
    path = str(address.path)
    # `serve` takes a name without a folder for an <address>
    named = path if os.sep in path else f".{os.sep}{path}"
    where = ["--unix", named] if address.is_file else ["--tcp", f"{address.address}:{address.port}"]
    if address.mode == "shm":
        where.append("--shm")
    options = [
        "--structure",
        str(plan.source),
        "--force-field",
        address.name,
        "--want",
        ",".join(plan.want or address.want),
    ]
    if address.properties_only and not set(plan.want or ()) & set(ALWAYS_SENT):
        options.append("--properties-only")
    limits = ["--threads", str(plan.threads), "--wait", str(SERVER_WAIT)]
    if plan.electric_field is not None and _feels_field(plan, address):
        options += ["--field", ",".join(map(repr, plan.electric_field))]
        options += ["--field-order", str(plan.field_order)] if plan.field_order > 1 else []
    options += ["--precision", plan.precision] if plan.precision != "double" else []
    return [*SERVE_COMMAND, plan.model_of(address), *where, *options, *limits]


def _feels_field(plan: Plan, address: ForceSocket) -> bool:
    """Whether anything that is asked of a socket differs in the field: of properties alone those of second order."""
    if not address.properties_only:
        return True
    return plan.field_order > 1 and bool({"dipole", "born_charges"} & set(plan.want or address.want))


def find_failed(servers: Sequence[Server]) -> Server | None:
    """Find a server that has ended other than by i-PI's word."""
    return next((server for server in servers if server.process.poll() not in (None, 0)), None)


def raise_failure(server: Server | None, consequence: str = "") -> None:
    """Raise what made a server end: bad input if it ended with status 2."""
    if server is None:
        return
    if server.process.returncode == 2:
        raise BeadwiseError(f"{server.message}{consequence}")
    raise RunError(f"a server failed: {server.message}{consequence or '; i-PI was not started'}")
