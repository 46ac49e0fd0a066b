"""A whole run: start the servers and i-PI, watch over them, and stop them so that nothing is lost or left behind."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from rich.console import Console

from ..model import BeadwiseError
from . import processes
from .addresses import make_free, remove_leftover
from .ipi_input import ForceSocket, InputError, IpiInput, read_ipi_input
from .progress import ProgressDisplay, StepReader, duration

RESTART = "RESTART"
POLL_INTERVAL = 0.1
PLOT_INTERVAL = 30.0
SERVER_WAIT = 60.0
SOFT_STOP_PATIENCE = 10.0
ABANDONED_PATIENCE = 30.0
LOG_LINES_SHOWN = 12
IPI_REPORTS_PROBLEM = "I-PI reports a problem"
SERVE_COMMAND = (sys.executable, "-m", "beadwise.driver.command_line", "serve")


class RunError(Exception):
    """A run that did not reach its end, for a reason other than bad input."""


@dataclass(frozen=True)
class Plan:
    """What to run.

    Parameters
    ----------
    source : Path
        i-PI input or RESTART.
    folder : Path
        Where i-PI runs and writes.
    models : mapping of str to str
        MODEL for each force field by name; the entry under the empty name serves those that are not named.
    workers : int
        Servers for each ffsocket.
    threads : int
        Threads of each server.
    want : tuple of str or None
        Properties to serve; None to serve those that the input asks for.
    """

    source: Path
    folder: Path
    models: Mapping[str, str]
    workers: int = 1
    threads: int = 1
    want: tuple[str, ...] | None = None

    def model_of(self, address: ForceSocket) -> str:
        """MODEL that serves one ffsocket."""
        return self.models.get(address.name, self.models[""])


@dataclass(frozen=True)
class Server:
    """A running ``beadwise serve``."""

    process: subprocess.Popen[bytes]
    errors: IO[bytes]

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
        return lines[-1].removeprefix("Error: ") if lines else f"it ended with status {self.process.returncode}"


def run(plan: Plan, console: Console) -> None:
    """Run i-PI to its end with the servers it needs.

    Parameters
    ----------
    plan : Plan
        What to run.
    console : rich.console.Console
        Where progress is shown.

    Raises
    ------
    BeadwiseError
        If the input cannot be run, or a server meets a structure that it cannot answer for.
    RunError
        If i-PI or a server fails otherwise, or the run is interrupted.
    """
    simulation = read_ipi_input(plan.folder / plan.source)
    _check(simulation, plan)
    for address in simulation.sockets:
        make_free(address, lambda line: say(console, line))
    with _stop_requests() as stop_requests, ExitStack() as stack:
        stack.callback(_remove_leftovers, simulation)
        servers = _start_servers(simulation, plan, stack, stop_requests)
        _Supervision(simulation, plan, console, servers, stop_requests).run(stack)


def say(console: Console, line: str) -> None:
    """Print one line as it is."""
    console.print(line, highlight=False, markup=False, soft_wrap=True)


def _check(simulation: IpiInput, plan: Plan) -> None:
    """Refuse what cannot run before anything is started."""
    if not simulation.sockets:
        raise InputError(f"'{plan.source}' holds no <ffsocket>; i-PI would not ask for anything")
    for address in simulation.sockets:
        if address.mode not in ("unix", "inet"):
            raise InputError(f"<ffsocket> has the mode '{address.mode}'; allowed are 'unix' and 'inet'")
    if simulation.step >= simulation.total_steps:
        raise InputError(
            f"'{plan.source}' is at step {simulation.step} of {simulation.total_steps}; raise <total_steps> to go on"
        )
    unknown = set(plan.models) - {""} - {address.name for address in simulation.sockets}
    if unknown:
        names = ", ".join(address.name for address in simulation.sockets)
        raise InputError(f"'{unknown.pop()}' is no <ffsocket> of '{plan.source}'; it has {names}")


@contextmanager
def _stop_requests() -> Iterator[list[int]]:
    """Collect SIGINT and SIGTERM instead of dying of them."""
    received: list[int] = []
    previous = {
        number: signal.signal(number, lambda number, frame: received.append(number))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield received
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _remove_leftovers(simulation: IpiInput) -> None:
    for address in simulation.sockets:
        remove_leftover(address)


def _start_servers(simulation: IpiInput, plan: Plan, stack: ExitStack, stop_requests: list[int]) -> list[Server]:
    """Start all servers and wait until they are ready, so that i-PI is not started in vain."""
    servers: list[Server] = []
    stack.callback(lambda: processes.end([server.process for server in servers]))
    for address in simulation.sockets:
        for _ in range(plan.workers):
            errors = stack.enter_context(tempfile.TemporaryFile())
            process = processes.start(
                _serve_command(simulation, plan, address),
                plan.folder,
                _server_environment(plan.threads),
                output=subprocess.PIPE,
                errors=errors,
            )
            assert process.stdout is not None
            os.set_blocking(process.stdout.fileno(), False)
            stack.callback(process.stdout.close)
            servers.append(Server(process, errors))
    waiting = list(servers)
    while waiting and not stop_requests:
        time.sleep(POLL_INTERVAL)
        waiting = [server for server in waiting if not server.is_ready]
        _raise_failure(_failed(servers))
    if stop_requests:
        raise RunError("interrupted before i-PI was started")
    return servers


def _serve_command(simulation: IpiInput, plan: Plan, address: ForceSocket) -> list[str]:
    where = ["--unix", str(address.path)] if address.is_file else ["--tcp", f"{address.address}:{address.port}"]
    options = ["--structure", str(plan.source), "--want", ",".join(plan.want or simulation.want)]
    limits = ["--threads", str(plan.threads), "--wait", str(SERVER_WAIT)]
    return [*SERVE_COMMAND, plan.model_of(address), *where, *options, *limits]


def _server_environment(threads: int) -> dict[str, str]:
    """Thread count for OpenMP, and the user's folder for evaluators of their own."""
    paths = [os.getcwd(), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {"OMP_NUM_THREADS": str(threads), "PYTHONPATH": os.pathsep.join(paths)}


def _failed(servers: list[Server]) -> Server | None:
    return next((server for server in servers if server.process.poll() not in (None, 0)), None)


def _raise_failure(server: Server | None, consequence: str = "") -> None:
    """Raise what made a server end: bad input if it ended with status 2."""
    if server is None:
        return
    if server.process.returncode == 2:
        raise BeadwiseError(f"{server.message}{consequence}")
    raise RunError(f"a server failed: {server.message}{consequence}")


class _Supervision:
    """i-PI from its start to its end."""

    def __init__(
        self, simulation: IpiInput, plan: Plan, console: Console, servers: list[Server], stop_requests: list[int]
    ):
        self._simulation = simulation
        self._plan = plan
        self._console = console
        self._servers = servers
        self._stop_requests = stop_requests
        self._continues = simulation.step > 0
        self._log_name = f"{simulation.prefix or 'i-pi'}.log"
        self._log = plan.folder / self._log_name
        self._properties = [plan.folder / name for name in simulation.property_files]
        self._image = plan.folder / f"{simulation.prefix or 'i-pi'}.energies.png"
        self._log_start = self._log.stat().st_size if self._continues and self._log.exists() else 0
        self._reader = StepReader(self._log, self._log_start, self._properties)
        restart = plan.folder / RESTART
        self._older_restart = restart.stat().st_mtime_ns if restart.exists() else None
        self._plot_due = time.monotonic() + PLOT_INTERVAL
        self._abandoned_since: float | None = None

    def run(self, stack: ExitStack) -> None:
        started = time.monotonic()
        log = stack.enter_context(open(self._log, "ab" if self._continues else "wb"))
        ipi = processes.start(
            [*ipi_command(), self._plan.source], self._plan.folder, {"PYTHONUNBUFFERED": "1"}, log, subprocess.STDOUT
        )
        stack.callback(processes.end, [ipi])
        with ProgressDisplay(self._console, self._simulation.step, self._simulation.total_steps) as display:
            while ipi.poll() is None:
                time.sleep(POLL_INTERVAL)
                display.update(self._reader.read())
                self._refresh_plot()
                if reason := self._reason_to_stop():
                    self._stop_softly(ipi)
                    display.update(self._reader.read())
                    reason(display.step)
            display.update(self._reader.read())
        self._check_outcome(ipi.returncode)
        self._report_end(display.step, time.monotonic() - started)

    def _reason_to_stop(self) -> Callable[[int], None] | None:
        """Find what to raise once i-PI has stopped, given the step it reached; None to go on."""
        if self._stop_requests:
            return self._raise_interrupted
        if failed := _failed(self._servers):
            return lambda step: _raise_failure(failed, f"; {self._whats_left(step)}")
        if self._reader.thread_failed:
            return self._raise_broken
        if self._is_abandoned():
            return self._raise_abandoned
        return None

    def _is_abandoned(self) -> bool:
        """Whether all servers have been sent away, while i-PI has not ended for a while."""
        if any(server.process.poll() is None for server in self._servers):
            return False
        self._abandoned_since = self._abandoned_since or time.monotonic()
        return time.monotonic() - self._abandoned_since > ABANDONED_PATIENCE

    def _raise_interrupted(self, step: int) -> None:
        raise RunError(f"interrupted; {self._whats_left(step)}")

    def _raise_broken(self, step: int) -> None:
        raise RunError(f"i-PI failed and was stopped; {self._whats_left(step)}\n{self._last_log_lines()}")

    def _raise_abandoned(self, step: int) -> None:
        raise RunError(f"i-PI sent its servers away without ending; {self._whats_left(step)}")

    def _whats_left(self, step: int) -> str:
        """Say where a stopped run can be taken up again; an older RESTART does not count."""
        restart = self._plan.folder / RESTART
        if restart.exists() and restart.stat().st_mtime_ns != self._older_restart:
            return f"i-PI was stopped at step {read_ipi_input(restart).step}, continue with `beadwise run {RESTART}`"
        return f"i-PI was stopped at step {step} before it could write a {RESTART}"

    def _stop_softly(self, ipi: subprocess.Popen[bytes]) -> None:
        """Let i-PI write RESTART.

        i-PI answers SIGTERM within a second unless it waits for forces that a server is still computing; ending the
        servers frees it.  A second Ctrl-C skips the patience.
        """
        ipi.terminate()
        patience = time.monotonic() + SOFT_STOP_PATIENCE
        while not processes.wait(ipi, POLL_INTERVAL):
            if time.monotonic() > patience or len(self._stop_requests) > 1:
                break
        processes.end([server.process for server in self._servers])
        if not processes.wait(ipi, SOFT_STOP_PATIENCE):
            ipi.kill()
            ipi.wait()

    def _check_outcome(self, status: int) -> None:
        """Raise unless i-PI ended well."""
        if status == 0 and IPI_REPORTS_PROBLEM not in self._log_text():
            return
        if self._reader.step is None:
            lines = self._last_log_lines().splitlines()
            raise InputError(f"i-PI refused '{self._plan.source}': {lines[-1] if lines else f'status {status}'}")
        raise RunError(f"i-PI failed with status {status}, see {self._log_name}:\n{self._last_log_lines()}")

    def _log_text(self) -> str:
        """Read what this i-PI has printed; a restart adds to the log of the run before."""
        with open(self._log, "rb") as log:
            log.seek(self._log_start)
            return log.read().decode(errors="replace")

    def _last_log_lines(self) -> str:
        lines = [line for line in self._log_text().splitlines() if line.strip()]
        return "\n".join(lines[-LOG_LINES_SHOWN:])

    def _refresh_plot(self) -> None:
        if time.monotonic() >= self._plot_due:
            started = time.monotonic()
            self._plot()
            # long outputs take long to draw: never spend more than a few percent of the time on it
            self._plot_due = time.monotonic() + max(PLOT_INTERVAL, 30 * (time.monotonic() - started))

    def _plot(self) -> bool:
        from .energy_plot import plot_energies  # takes a second to import, while i-PI is running already

        return any(plot_energies(source, self._image) for source in self._properties[:1])

    def _report_end(self, step: int, seconds: float) -> None:
        plotted = f", energies in {self._image.name}" if self._plot() else ""
        say(self._console, f"finished at step {step} after {duration(seconds)}; log in {self._log_name}{plotted}")


def ipi_command() -> list[str]:
    """How to start the i-PI that is installed beside beadwise, or the first on the search path.

    Raises
    ------
    RunError
        If there is none.
    """
    beside = Path(sysconfig.get_path("scripts")) / "i-pi"
    if beside.exists():
        return [sys.executable, str(beside)]
    found = shutil.which("i-pi")
    if found is None:
        raise RunError(f"no i-PI beside {sys.executable} or on the search path; install it with pip install ipi")
    return [found]
