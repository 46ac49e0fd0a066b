"""Watch over i-PI while it runs: show progress, draw the energies, and stop it so that nothing is lost."""

from __future__ import annotations

import gc
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console

from ...analysis.averages.live import LiveAverages
from ...analysis.profile.live import LiveProfile
from ...analysis.spectrum.live import LiveSpectra
from ...analysis.spectrum.live_dielectric import LiveDielectric
from ...model import BeadwiseError
from ...runs.input.elements import InputError
from ...runs.output.words_of_ipi import TRACEBACK, is_unintended, reason_of_failure
from ..doors import ipi_process
from . import processes
from .claims import Claim, remove_shared_memory
from .continuation import Continuation
from .endings import Ending, ending_of, lack_of_space, named, was_asked_to_end
from .errors_in_words import in_words
from .events import Events
from .plan import OutOfTime, Plan, RunError
from .progress import ProgressDisplay, StepReader
from .servers import Server, find_failed, raise_failure, user_environment
from .stages import duration, say

POLL_INTERVAL = 0.1
PLOT_INTERVAL = 30.0
DRAWING_ALLOWANCE, DRAWING_SHARE = 4.0, 0.003  # seconds at the beginning, and of the time that has passed
SERVER_PATIENCE, IPI_PATIENCE, ABANDONED_PATIENCE = 3.0, 30.0, 30.0  # seconds
IPI_REPORTS_PROBLEM = "I-PI reports a problem"
Live = LiveSpectra | LiveDielectric | LiveProfile | LiveAverages
FAILED_IN_PROCESS = 2  # status of an i-PI that in_process.py ends, after it has printed one of these
REFUSAL = re.compile(r"^Error: (.+)$", re.MULTILINE)


class Supervision:
    """i-PI from its start to its end.

    Parameters
    ----------
    plan : Plan
        What to run, and where.
    console : rich.console.Console
        Where progress is shown.
    servers : list of Server
        They are ready and wait for i-PI; none if i-PI evaluates everything itself.
    stop_requests : list of int
        Signals received so far; the first stops i-PI softly, a second one skips the patience.
    claim : Claim
        To the folder and the addresses; i-PI holds it as well.
    results : sequence of LiveSpectra, LiveDielectric and LiveProfile
        What is kept current.
    events : Events, optional
        Where to write down what is said and how it ended, for a report, which is then made at the end.
    """

    def __init__(
        self,
        plan: Plan,
        console: Console,
        servers: list[Server],
        stop_requests: list[int],
        claim: Claim,
        results: Sequence[Live] = (),
        events: Events | None = None,
    ):
        self._simulation = simulation = plan.input
        self._plan = plan
        self._console = console
        self._servers = servers
        self._stop_requests = stop_requests
        self._claim = claim
        self._results = list(results)
        self._events = events
        self._continues = simulation.step > 0
        self._log = plan.folder / f"{simulation.prefix or 'i-pi'}.log"
        self._properties = [plan.folder / name for name in simulation.property_files]
        self._image = plan.folder / f"{simulation.prefix or 'i-pi'}.energies.png"
        self._log_start = self._log.stat().st_size if self._continues and self._log.exists() else 0
        self._reader = StepReader(self._log, self._log_start, self._properties)
        self._continuation = Continuation(plan)
        self._stopped = processes.StoppedWatch()
        self._started = time.monotonic()
        self._plot_due = self._started + PLOT_INTERVAL
        self._drawing_seconds = 0.0
        self._abandoned_since: float | None = None
        self._told: set[str] = set()

    def run(self, stack: ExitStack) -> None:
        """Run i-PI to its end, and write the report of it, however it ended.

        `stack` ends i-PI if anything goes wrong here.

        Raises
        ------
        BeadwiseError
            If i-PI refuses its input, or a structure cannot be evaluated, by a server or in i-PI's process.
        RunError
            If i-PI or a server fails otherwise, or there was a signal.
        OutOfTime
            If the time was over before the last step.
        """
        try:
            self._run(stack)
        except (BeadwiseError, RunError, OutOfTime) as reason:
            if self._reader.step is not None and (said := self._report(str(reason))):
                say(self._console, said.removeprefix("; ").removeprefix(", "))
            raise

    def _run(self, stack: ExitStack) -> None:
        try:
            log = stack.enter_context(open(self._log, "ab" if self._continues else "wb"))
        except OSError as error:
            raise InputError(f"cannot write '{self._log}': {error.strerror}; i-PI needs to write there") from error
        ipi = processes.start(
            [*_safe_ipi_command(), self._plan.source],
            self._plan.folder,
            {**user_environment(self._plan.folder), "PYTHONUNBUFFERED": "1"},
            log,
            subprocess.STDOUT,
            self._claim.descriptors,
        )
        self._claim.note_ipi(ipi.pid)
        stack.callback(remove_unfinished, self._plan.folder, ipi.pid)
        stack.callback(processes.end, [ipi])
        with ProgressDisplay(self._console, self._simulation.step, self._simulation.total_steps) as display:
            while ipi.poll() is None:
                time.sleep(POLL_INTERVAL)
                self._claim.beat()
                self._read_progress(display)
                self._read_results()
                self._refresh_plot()
                if reason := self._reason_to_stop(ipi):
                    self._stop_softly(ipi)
                    self._read_progress(display)
                    self._read_results()
                    self._plot()
                    self._raise_unless_complete(reason, display.step)
            self._read_progress(display)
            self._read_results(has_begun=True)
        self._check_outcome(ipi.returncode, display.step)
        self._report_end(display.step, time.monotonic() - self._started)

    def _read_progress(self, display: ProgressDisplay) -> None:
        """Take in what i-PI has printed: how far it is, and what it warns of."""
        display.update(self._reader.read())
        for line in self._reader.take_warnings():
            say(self._console, line)
        for line in (line.rstrip() for server in self._servers for line in server.warnings):
            if line not in self._told:  # servers of one model warn of the same
                say(self._console, line)
                self._told.add(line)
                if self._events is not None:
                    self._events.message(line)

    def _reason_to_stop(self, ipi: subprocess.Popen[bytes]) -> Callable[[int], None] | None:
        """Find what to raise once i-PI has stopped, given the step it reached; None to go on."""
        if self._stop_requests:
            return self._raise_interrupted
        if failed := find_failed(self._servers):
            return lambda step: raise_failure(failed, f"; {self._left_after(failed, step)}")
        if self._reader.thread_failed:
            return self._raise_broken
        if self._is_abandoned():
            return self._raise_abandoned
        if process := self._stopped.find([ipi, *(server.process for server in self._servers)]):
            what = "i-PI" if process is ipi else "a server"
            return lambda step: self._raise_stopped(f"{what}, process {process.pid}", step)
        return None

    def _raise_unless_complete(self, reason: Callable[[int], None], step: int) -> None:
        """Raise why i-PI was stopped, unless it had just done its last step.

        A batch system ends all processes of a job: what becomes of servers then is no reason of its own.
        """
        if not self._continuation.is_complete:
            (self._raise_interrupted if self._stop_requests else reason)(step)

    def _is_abandoned(self) -> bool:
        """Whether all servers have been sent away, while i-PI has not ended for a while."""
        if not self._servers or any(server.process.poll() is None for server in self._servers):
            return False
        self._abandoned_since = self._abandoned_since or time.monotonic()
        return time.monotonic() - self._abandoned_since > ABANDONED_PATIENCE

    def _raise_interrupted(self, step: int) -> None:
        if self._stop_requests[0] == processes.TIME_IS_UP:
            raise OutOfTime(f"the time is over; {self._whats_left(step)}")
        raise RunError(f"interrupted; {self._whats_left(step)}")

    def _raise_broken(self, step: int) -> None:
        raise RunError(f"i-PI failed: {self._reason()}; {self._whats_left(step)}; its log is {self._log}")

    def _raise_abandoned(self, step: int) -> None:
        raise RunError(f"i-PI sent its servers away without ending; {self._whats_left(step)}")

    def _raise_stopped(self, what: str, step: int) -> None:
        raise RunError(f"a signal had stopped {what}, so the run did not go on; {self._whats_left(step)}")

    def _left_after(self, failed: Server, step: int) -> str:
        """The same after the end of a server, which has refused a structure if its status is that of bad input."""
        refused = failed.process.returncode == 2
        return self._continuation.advice_after_refusal(step) if refused else self._whats_left(step)

    def _whats_left(self, step: int) -> str:
        """Say where a stopped run can be taken up again."""
        return self._continuation.advice(step)

    def _stop_softly(self, ipi: subprocess.Popen[bytes]) -> None:
        """Let i-PI write RESTART.

        i-PI answers SIGTERM within a second unless it waits for forces that a server is still computing; ending the
        servers frees it, and loses nothing: RESTART holds the step before.  It cannot while a signal has stopped it.
        """
        ipi.terminate()
        ipi.send_signal(signal.SIGCONT)
        patience = time.monotonic() + SERVER_PATIENCE
        while not processes.wait(ipi, POLL_INTERVAL):
            if time.monotonic() > patience or len(self._stop_requests) > 1:
                break
        processes.end([server.process for server in self._servers])
        if not processes.wait(ipi, IPI_PATIENCE):
            ipi.kill()
            ipi.wait()

    def _check_outcome(self, status: int, step: int) -> None:
        """Raise unless i-PI ended well."""
        text = self._log_text()
        if self._continuation.is_complete and status <= 0:
            return
        if status == 0 and IPI_REPORTS_PROBLEM not in text and not is_unintended(text):
            self._check_ending(ending_of(text), step)
            return
        if self._stop_requests:
            self._raise_interrupted(step)
        if was_asked_to_end(status):
            raise RunError(f"interrupted by a signal to i-PI; {self._whats_left(step)}")
        if status == FAILED_IN_PROCESS:
            self._raise_failure_in_process(text, step)
        if obstacle := lack_of_space(self._plan.folder):
            raise RunError(f"cannot write in '{self._plan.folder.absolute()}': {obstacle}; {self._whats_left(step)}")
        has_begun = self._reader.step is not None and self._reader.step > self._simulation.step
        if status > 0 and not has_begun:
            raise InputError(f"i-PI refused '{self._plan.source}': {self._reason()}; its log is {self._log}")
        words = f"{self._reason()}; {self._whats_left(step)}; its log is {self._log}"
        raise RunError(f"i-PI failed with status {named(status)}: {words}")

    def _check_ending(self, ending: Ending, step: int) -> None:
        """Raise if an i-PI that ended in order did so because of a signal, or of its time."""
        limit = self._simulation.time_limit
        is_late = limit is not None and time.monotonic() - self._started > limit
        if ending is Ending.SIGNAL:
            raise RunError(f"interrupted by a signal to i-PI; {self._whats_left(step)}")
        if ending is Ending.TIME or (ending is Ending.BY_ITSELF and is_late):
            raise OutOfTime(f"the <total_time> of i-PI is over; {self._whats_left(step)}")

    def _raise_failure_in_process(self, text: str, step: int) -> None:
        """Raise what ended an i-PI that evaluates itself; nothing if it was something else."""
        if refusal := REFUSAL.search(text):
            # without a RESTART it is the input that was refused, and nothing is left to tell of
            has_restart = self._continuation.step_of_restart is not None
            left = f"; {self._continuation.advice_after_refusal(step)}" if has_restart else ""
            raise BeadwiseError(f"{refusal[1]}{left}")
        if IPI_REPORTS_PROBLEM in text and TRACEBACK.search(text):
            raise RunError(
                f"an evaluation in i-PI's process failed: {self._reason()}; {self._whats_left(step)}; "
                f"its log is {self._log}"
            )

    def _log_text(self) -> str:
        """Read what this i-PI has printed; a restart adds to the log of the run before."""
        with open(self._log, "rb") as log:
            log.seek(self._log_start)
            return log.read().decode(errors="replace")

    def _reason(self) -> str:
        return in_words(reason_of_failure(self._log_text()), self._simulation.root)

    def _read_results(self, has_begun: bool = False) -> None:
        """Take in what i-PI has written; a series that cannot be used is no reason to end a run.

        Not before i-PI has told a step: until then files of an older run may lie there.
        """
        if not (has_begun or self._reader.step is not None):
            return
        for result in list(self._results):
            try:
                result.read()
            except BeadwiseError as error:
                say(self._console, f"no {result.name} any more: {error}")
                self._results.remove(result)

    def _refresh_plot(self) -> None:
        """Draw every half minute, as long as all drawing together stays a small share of the run."""
        now = time.monotonic()
        if now < self._plot_due:
            return
        self._plot()
        self._drawing_seconds += time.monotonic() - now
        affordable = self._started + max(self._drawing_seconds - DRAWING_ALLOWANCE, 0.0) / DRAWING_SHARE
        self._plot_due = max(time.monotonic() + PLOT_INTERVAL, affordable)

    def _plot(self) -> str:
        """Draw energies and results and say where; a picture that fails is no reason to end a run."""
        said = (self._plot_energies() if self._plan.pictures else "") + "".join(map(self._plot_result, self._results))
        gc.collect()  # the parts of a figure hold one another: the memory of a run would grow by some figures
        return said

    def _plot_energies(self) -> str:
        from .energy_plot import plot_energies  # takes a second to import, while i-PI is running already

        try:
            drawn = any(plot_energies(source, self._image) for source in self._properties[:1])
        except (OSError, ValueError) as error:
            return f"; no picture of the energies, as {self._properties[0].name} cannot be drawn: {error}"
        return f", energies in {self._image}" if drawn else ""

    def _plot_result(self, result: Live) -> str:
        try:
            images = result.draw()
        except (OSError, BeadwiseError) as error:
            return f"; no picture of the {result.name}: {error}"
        if not images:
            return f"; no {result.name} yet, as there are too few samples"
        return f", {result.name} in {' and '.join(map(str, images))}"

    def _report_end(self, step: int, seconds: float) -> None:
        reached, last = self._continuation.step_of_restart or step, self._simulation.total_steps
        early = "" if reached >= last else f" of {last}, as i-PI was told by a file EXIT, <total_time> or its motion"
        drawn = self._plot()
        if said := self._drift():
            say(self._console, said)
        end = f"finished at step {reached}{early} after {duration(seconds)}"
        say(self._console, f"{end}; log in {self._log}{drawn}{self._report(early.removeprefix(f' of {last}, as '))}")

    def _drift(self) -> str:
        """What the conserved quantity has done; files that do not tell it are no reason to end otherwise."""
        from ...analysis.report.drift import drift_in_words  # the numerical libraries take a while to import

        try:
            return drift_in_words(self._simulation)
        except (BeadwiseError, OSError, ValueError, IndexError):
            return ""

    def _report(self, reason: str) -> str:
        """Write down how the run ended, and the report; where it is. One that fails is no reason to end otherwise."""
        if self._events is None:
            return ""
        self._events.end(reason)
        if not (self._plan.report and self._plan.pictures):
            return ""
        from ...analysis.report.make import report_of_end  # takes a while to import

        try:
            return f", report in {report_of_end(self._simulation, self._results)}"
        except Exception as error:  # whatever the files hold, the run has ended as it has
            return f"; no report: {error}"


def remove_unfinished(folder: Path, ipi: int) -> None:
    """Remove what an i-PI that was killed has left: files that were not whole yet, and shared memory."""
    for unfinished in folder.glob(f".*.{ipi}"):
        unfinished.unlink(missing_ok=True)
    remove_shared_memory(ipi)


def _safe_ipi_command() -> list[str]:
    """How to start i-PI so that it loses nothing, where that is the one of this Python; see `ipi_process`."""
    command = ipi_command()
    return command if len(command) == 1 else [command[0], "-m", ipi_process.__name__, command[1]]


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
