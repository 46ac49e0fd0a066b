"""Clusters of Dask: processes of this machine, or jobs of a batch system.  Needs the extra ``learn``."""

from __future__ import annotations

import importlib.util
import logging
import os
import shutil
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any, Protocol

import dask
from distributed import Client, LocalCluster, WorkerPlugin, as_completed

from ...model.clients.scratch import remove, scratch_folder, sweep
from ...model.worker_processes import later_interrupts
from .settings import LabelError

CLASSES = {
    "slurm": "SLURMCluster",
    "pbs": "PBSCluster",
    "lsf": "LSFCluster",
    "sge": "SGECluster",
    "moab": "MoabCluster",
    "oar": "OARCluster",
    "htcondor": "HTCondorCluster",
}
QUIET: dict[str, Any] = {
    "distributed.scheduler.http.routes": [],
    # a label whose process was ended is tried once more: it may have been another label's doing
    "distributed.scheduler.allowed-failures": 1,
    "distributed.scheduler.worker-saturation": 1.0,
    # a worker is silent while a label that takes all cores is computed; that is no reason to give it up
    "distributed.scheduler.worker-ttl": None,
    "distributed.admin.tick.limit": "1h",
    # what a client needs is not seen by Dask, and a limit for the worker alone says nothing
    "distributed.worker.memory.terminate": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.target": False,
}
LOOPBACK = "127.0.0.1:0"
NO_DASHBOARD = {"dashboard": False, "dashboard_address": LOOPBACK}  # the server of its pages runs without any
SOON = 60.0  # s, after which it is said that no job has begun
PAUSE = 0.2  # s, between looks at whether one has

logger = logging.getLogger(__name__)


class ClusterSettings(Protocol):
    """What a cluster is made of, as `beadwise.learning.labels.settings.LabelSettings` has it."""

    @property
    def cluster(self) -> Mapping[str, Any]:
        """Keys of ours, and those for the class of dask_jobqueue."""

    @property
    def cluster_kind(self) -> str:
        """``local``, or a batch system."""

    @property
    def cluster_section(self) -> str:
        """Section of the configuration, for messages."""

    @property
    def folder(self) -> Path:
        """Of the configuration, where all machines see it."""


class DaskCluster:
    """Workers of a Dask cluster, each of which does one thing at a time.

    Parameters
    ----------
    settings : ClusterSettings
    workers : int
        Processes on this machine; a batch system has ``jobs`` instead.
    plugin : distributed.WorkerPlugin, optional
        What each worker keeps.

    Raises
    ------
    LabelError
        If the cluster cannot be had.
    """

    def __init__(self, settings: ClusterSettings, workers: int, plugin: WorkerPlugin | None = None):
        self._ends = ExitStack()
        self._settings = settings
        try:
            self._ends.enter_context(_nothing_is_left())
            # a Ctrl-C is for this process alone, which ends the others; they inherit that it is put off
            resource_tracker.ensure_running()
            with later_interrupts():
                cluster = _cluster(settings, workers)
                self._ends.callback(cluster.close)
                self._client = self._ends.enter_context(Client(cluster, set_as_default=False))
                if plugin is not None:
                    self._client.register_plugin(plugin)
        except BaseException:
            self._ends.close()
            raise

    def compute(
        self, function: Callable[..., Any], *arguments: Sequence[Any]
    ) -> Generator[tuple[int, Any], None, None]:
        """Call a function as workers become free.

        Parameters
        ----------
        function : callable
        *arguments : sequence
            First arguments, second ones, and so on, as for `map`.

        Yields
        ------
        tuple of int and object
            Which call it was, and what it gave, or the exception of a worker that ended.
        """
        self._wait_for_a_worker()
        futures = self._client.map(function, *map(list, arguments), pure=False)
        numbers = {future.key: number for number, future in enumerate(futures)}
        try:
            for future in as_completed(futures, loop=self._client.loop):
                found = future.exception()
                if found is None:
                    try:
                        found = future.result()
                    except Exception as lost:  # its worker ended before it was fetched, and so did the next one
                        found = lost
                yield numbers[future.key], found
                future.release()
        finally:
            self._client.cancel(futures)

    def _wait_for_a_worker(self) -> None:
        """Wait for the first worker, and say so if a queue is long, or jobs end before they have begun."""
        began, said = time.monotonic(), False
        while not self._client.scheduler_info()["workers"]:
            if not said and time.monotonic() - began > SOON:
                said = True
                logger.warning(
                    "no job of the %s cluster has started its worker after %g s; they may be in the queue, or end at "
                    "once: their output tells (log_directory in [%s])", self._settings.cluster_kind, SOON,
                    self._settings.cluster_section,
                )  # fmt: skip
            time.sleep(PAUSE)

    def close(self) -> None:
        """End all workers, and what they have started."""
        with later_interrupts():
            self._ends.close()


def batch_cluster(settings: ClusterSettings) -> Any:
    """Make the cluster of a batch system, without a job.

    Parameters
    ----------
    settings : ClusterSettings
        Its ``cluster`` names the kind; what is not ours goes to the class of dask_jobqueue.

    Raises
    ------
    LabelError
        If dask_jobqueue is not there, or does not take the options.
    """
    options = {key: value for key, value in settings.cluster.items() if key not in ("kind", "jobs")}
    usual: dict[str, Any] = {"cores": 1, "processes": 1, "silence_logs": logging.CRITICAL}
    usual["shared_temp_directory"] = str(settings.folder)  # of the certificates
    options = {**usual, **options, "security": security_of(settings)}
    options["scheduler_options"] = NO_DASHBOARD | options.get("scheduler_options", {})
    options["worker_extra_args"] = ["--dashboard-address", LOOPBACK, *options.get("worker_extra_args", [])]
    return _made(_batch_class(settings.cluster_kind), options, settings)


def check_batch_system(settings: ClusterSettings) -> None:
    """Raise LabelError where the batch system cannot be reached from here, or does not take the options."""
    kind = settings.cluster_kind
    program = _batch_class(kind).job_cls.submit_command.split()[0]
    if shutil.which(program) is None:
        raise LabelError(f"there is no program {program} here, which submits the jobs of a {kind} cluster")
    with _nothing_is_left():
        batch_cluster(settings).close()


def security_of(settings: ClusterSettings) -> Any:
    """Certificates of this cluster alone, unless the user wants none: who reaches a Dask without any runs code in it.

    Raises
    ------
    LabelError
        If a cluster that others on the network reach cannot have any.
    """
    wanted = settings.cluster.get("security", True)
    if wanted is not True:
        return wanted or None
    if importlib.util.find_spec("cryptography"):
        return True
    lacking = "the connections of Dask need the package cryptography, pip install 'beadwise[learn]'"
    if settings.cluster_kind != "local" or "security" in settings.cluster:
        unsafe = f"security = false in [{settings.cluster_section}], with which whoever reaches them runs code"
        raise LabelError(f"{lacking}, or {unsafe}")
    logger.warning("%s; without it other users of this machine could run code in these processes", lacking)
    return None


def _batch_class(kind: str) -> Any:
    try:
        import dask_jobqueue
    except ImportError as error:
        raise LabelError(f"a {kind} cluster needs dask_jobqueue ({error}): pip install 'beadwise[learn]'") from error
    return getattr(dask_jobqueue, CLASSES[kind])


def _made(make: Any, options: Mapping[str, Any], settings: ClusterSettings) -> Any:
    """Make a cluster, or say in one line why not."""
    try:
        return make(**options)
    except Exception as error:  # these classes check little themselves, and programs are run
        reason = " ".join(str(error).split()) or type(error).__name__
        raise LabelError(
            f"a {settings.cluster_kind} cluster cannot be made of [{settings.cluster_section}] "
            f"{dict(settings.cluster)}: {reason}"
        ) from error


def _cluster(settings: ClusterSettings, workers: int) -> Any:
    """Start a cluster."""
    if settings.cluster_kind != "local":
        cluster = batch_cluster(settings)
        cluster.scale(jobs=settings.cluster.get("jobs", 1))
        return cluster
    options = {
        "n_workers": workers,
        "threads_per_worker": 1,
        "processes": True,
        "dashboard_address": None,
        "scheduler_kwargs": NO_DASHBOARD,
        "memory_limit": None,
        "silence_logs": logging.CRITICAL,
        "host": "127.0.0.1",
        "worker_dashboard_address": LOOPBACK,
        "security": security_of(settings),
    }
    return _made(LocalCluster, options, settings)


@contextmanager
def _nothing_is_left() -> Iterator[None]:
    """Keep Dask out of the terminal, the environment, and the system's folder for temporary files."""
    folder = scratch_folder()
    try:
        with _same_environment(), _quiet_loggers(), dask.config.set(QUIET | {"temporary-directory": str(folder)}):
            yield
    finally:
        remove(folder)
        sweep()  # after workers that were killed


@contextmanager
def _same_environment() -> Iterator[None]:
    """Put back what Dask sets in this process's environment for that of its workers."""
    before = dict(os.environ)
    try:
        yield
    finally:
        for name in set(os.environ) - set(before):
            os.environ.pop(name)
        os.environ.update(before)


@contextmanager
def _quiet_loggers() -> Iterator[None]:
    """Keep Dask's own log out of the terminal: what matters becomes the reason of a label that failed."""
    loggers = [logging.getLogger(name) for name in ("distributed", "dask_jobqueue", "tornado.application")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
