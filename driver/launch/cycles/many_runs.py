"""Many i-PI runs, several at a time, on this machine or on Dask."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import closing, contextmanager, suppress
from threading import Event, Thread

from ....analysis.crystals.cycle_runs import PlannedRun
from ....analysis.crystals.cycle_settings import RunSettings
from ....progress import Progress
from .. import processes
from ..plan import RunError
from .one_run import OFTEN, STOPPED, RunState, do_run, environment_of_runs

LABEL = "steps of i-PI"


def do_all(runs: Sequence[PlannedRun], settings: RunSettings, advance: Progress) -> None:
    """Do runs that are not done, each from where it was left.

    Parameters
    ----------
    runs : sequence of PlannedRun
    settings : RunSettings
        How many at a time, and where.
    advance : Progress
        Told how many steps of all runs are done.

    Raises
    ------
    RunError
        If runs ended before their last step, after all others are done, or a signal asked for an end.
    """
    states = [RunState(run) for run in runs]
    missing = [state for state in states if not state.is_done]
    if not missing:
        return
    failures: dict[str, str] = {}
    with processes.stop_requests() as requests, _told(states, missing, advance):
        does = _locally if not settings.cluster else _on_dask
        with closing(does([state.run for state in missing], settings, requests)) as ends:
            for run, reason in ends:
                if reason and reason != STOPPED:
                    failures[str(run.folder)] = reason
        if requests:
            raise RunError(f"interrupted after {sum(state.is_done for state in states)} of {len(states)} runs of i-PI")
    if failures:
        folder, reason = next(iter(failures.items()))
        raise RunError(f"{len(failures)} of {len(runs)} runs did not reach their last step; '{folder}': {reason}")


@contextmanager
def _told(states: Sequence[RunState], missing: Sequence[RunState], advance: Progress) -> Iterator[None]:
    """Tell again and again how far all runs are."""
    is_over, total = Event(), sum(state.total for state in states)
    done_before = sum(state.total for state in states if state not in missing)

    def tell() -> None:
        while True:
            with suppress(OSError):  # a file that cannot be read now is told of by who needs it
                steps = [state.step() for state in missing]
                finished = len(states) - sum(step < state.total for step, state in zip(steps, missing, strict=True))
                advance(LABEL, done_before + sum(steps), total, f"{finished} of {len(states)} runs")
            if is_over.wait(OFTEN):
                return

    teller = Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield
    finally:
        is_over.set()
        teller.join()


def _locally(
    runs: Sequence[PlannedRun], settings: RunSettings, requests: Sequence[int]
) -> Generator[tuple[PlannedRun, str], None, None]:
    """Each run and why it ended, on this machine."""
    stop = Event()
    with ThreadPoolExecutor(settings.workers) as pool:
        futures = {
            pool.submit(do_run, run.folder, run.name, run.model, settings.threads, {}, stop): run for run in runs
        }
        left = set(futures)
        try:
            while left:
                done, left = wait(left, OFTEN, FIRST_COMPLETED)
                for future in done:
                    yield futures[future], future.result()
                if requests:
                    break
        finally:  # those that wait do not begin, and those at work write what they go on from
            stop.set()
            pool.shutdown(cancel_futures=True)


def _on_dask(
    runs: Sequence[PlannedRun], settings: RunSettings, requests: Sequence[int]
) -> Generator[tuple[PlannedRun, str], None, None]:
    """Each run and why it ended, on workers of Dask."""
    from ....learning.labels.dask_clusters import DaskCluster  # an extra

    cluster = DaskCluster(settings, settings.workers)
    is_over = Event()

    def watch() -> None:
        while not is_over.wait(OFTEN):
            if requests:
                cluster.close()  # workers end what they have started, and no call goes on
                return

    watcher = Thread(target=watch, daemon=True)
    watcher.start()
    try:
        count = len(runs)
        columns = (
            [run.folder.resolve() for run in runs],
            [run.name for run in runs],
            [run.model for run in runs],
            [settings.threads] * count,
            [environment_of_runs()] * count,
        )
        for number, found in cluster.compute(do_run, *columns):
            ended = f"its worker was ended from outside ({type(found).__name__})"
            yield runs[number], ended if isinstance(found, BaseException) else found
            if requests:
                return
    finally:
        is_over.set()
        watcher.join()
        cluster.close()
