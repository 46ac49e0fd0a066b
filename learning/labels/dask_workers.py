"""Labels on Dask: processes of this machine, or jobs of a batch system.  Needs the extra ``learn``."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

from ase import Atoms
from distributed import Worker, WorkerPlugin, get_worker

from ...model.evaluators import writes_files
from .dask_clusters import DaskCluster
from .files import Outcome, label_and_keep
from .references import Reference, make_reference
from .settings import LabelSettings

PLUGIN = "beadwise-label"


class KeptReference(WorkerPlugin):
    """The reference of one worker, made once, and ended with it.

    Parameters
    ----------
    settings : LabelSettings
    """

    name = PLUGIN

    def __init__(self, settings: LabelSettings):
        self._settings = settings
        self._reference: Reference | None = None

    def setup(self, worker: Worker) -> None:
        """Begin: the reference is made with the first label."""
        self._one_at_a_time = threading.Lock()
        self._folder = worker.local_directory

    def teardown(self, worker: Worker) -> None:
        """End what the reference has started."""
        if self._reference is not None:
            self._reference.close()

    def label(self, folder: Path, key: str, atoms: Atoms) -> Outcome:
        """Compute one label."""
        with self._one_at_a_time:
            if self._reference is None:
                self._reference = make_reference(self._settings)
                if writes_files(self._settings.reference):
                    self._reference.check()  # imported from the folder that the user is in
                    os.chdir(self._folder)  # files with fixed names: not those of another worker
            return label_and_keep(self._reference, folder, key, atoms)

    def __getstate__(self) -> dict[str, Any]:
        return {"_settings": self._settings, "_reference": None}


class DaskWorkers:
    """Workers of a Dask cluster, each with a reference of its own.

    Parameters
    ----------
    settings : LabelSettings
    workers : int
        Processes on this machine; a batch system has ``jobs`` instead.

    Raises
    ------
    LabelError
        If the cluster cannot be had.
    """

    def __init__(self, settings: LabelSettings, workers: int):
        self._cluster = DaskCluster(settings, workers, KeptReference(settings))

    def compute(self, folder: Path, tasks: Mapping[str, Atoms]) -> Iterator[Outcome]:
        """Label structures as workers become free, and yield what comes of it.

        Parameters
        ----------
        folder : Path
            Where labels are kept; batch systems need one that all machines see.
        tasks : mapping of str to ase.Atoms
            By their `beadwise.learning.labels.files.label_key`.
        """
        keys = list(tasks)
        function = partial(label_in_worker, folder.resolve())
        with closing(self._cluster.compute(function, keys, list(tasks.values()))) as computed:
            for number, found in computed:
                if isinstance(found, BaseException):
                    reason = f"its worker was ended from outside, as for want of memory ({type(found).__name__})"
                    yield Outcome(keys[number], None, reason, 0.0)
                else:
                    yield found

    def close(self) -> None:
        """End all workers, and what they have started."""
        self._cluster.close()


def label_in_worker(folder: Path, key: str, atoms: Atoms) -> Outcome:
    """Compute one label in a worker's process."""
    kept = get_worker().plugins[PLUGIN]
    if not isinstance(kept, KeptReference):
        raise TypeError(f"the worker's plugin {PLUGIN} is {kept!r}")
    return kept.label(folder, key, atoms)
