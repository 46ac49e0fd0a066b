"""What labelling is told: the section ``[label]`` of a configuration, checked key by key."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from ase.data import atomic_numbers

from ...model import BeadwiseError
from ...suggestions import did_you_mean
from ..data import whole_labels

RESTARTS = ("species", "cell", "always")
CLUSTERS = ("local", "slurm", "pbs", "lsf", "sge", "moab", "oar", "htcondor")


class LabelError(BeadwiseError, ValueError):
    """Settings that are not allowed, a reference that cannot be had, or a label that failed.

    Parameters
    ----------
    message : str
        One line.
    details : str
        More of it, as the end of a program's log; kept in a file, not shown.
    """

    def __init__(self, message: str, details: str = ""):
        super().__init__(message)
        self.details = details


@dataclass(frozen=True)
class LabelSettings:
    """Where labels come from, and where they are computed.

    Parameters
    ----------
    reference : str
        A potential, as `beadwise.model.evaluators.load_evaluator` takes it.  Either this or ``client``.
    client : str
        Command of a program that speaks i-PI's protocol as a client; see `beadwise.learning.labels.socket_reference`.
    files : list of str
        Files that the client needs, copied to where it runs, relative to the configuration.
    restart : str
        When the client is started anew: ``species``, for other atoms only; ``cell``, for another cell, too, as most
        programs keep the grids of the cell they began with; ``always``, for every frame.
    timeout : float
        Seconds in which a client must have answered, its start included.
    name : str
        What the reference is called in the names of kept labels; by default all that tells it from others.
    properties : list of str
        Labels to keep, out of `beadwise.learning.data.whole_labels`.
    shift_per_atom : float
        eV, added to the energy for each atom.
    species_shifts : dict of str to float
        eV, added to the energy for each atom of these elements.
    workers : int
        Processes that label at the same time; 0 labels in this process, without Dask.  By default as many as cores
        may be used for a reference, and one for a client.
    cluster : dict
        ``kind``, one of `CLUSTERS`; ``jobs``, how many; ``security = true`` to encrypt what Dask sends; anything else
        goes to the matching class of dask_jobqueue.
    folder : Path
        That of the configuration.
    """

    reference: str = ""
    client: str = ""
    files: list[str] = field(default_factory=list)
    restart: str = "cell"
    timeout: float = 3600.0
    name: str = ""
    properties: list[str] = field(default_factory=lambda: list(whole_labels()))
    shift_per_atom: float = 0.0
    species_shifts: dict[str, float] = field(default_factory=dict)
    workers: int | None = None
    cluster: dict[str, Any] = field(default_factory=dict)
    folder: Path = field(default_factory=Path.cwd)

    @property
    def paths(self) -> list[Path]:
        """The client's files."""
        return [self.folder / name for name in self.files]

    @property
    def cluster_kind(self) -> str:
        """One of `CLUSTERS`."""
        return str(self.cluster.get("kind", "local"))


def label_settings(values: Mapping[str, Any], folder: str | Path = ".") -> LabelSettings:
    """Check a section ``[label]``.

    Parameters
    ----------
    values : mapping
        As TOML gives it.
    folder : str or Path
        Of the configuration, which paths are relative to.

    Raises
    ------
    LabelError
        Naming the key, the value received and what is allowed.
    """
    allowed = [entry.name for entry in fields(LabelSettings) if entry.name != "folder"]
    for key, value in values.items():
        if key not in allowed:
            raise LabelError(f"unknown key '{key}' in [label]; allowed are {allowed}{did_you_mean(key, allowed)}")
        _check_value(key, value)
    if bool(values.get("reference")) == bool(values.get("client")):
        given = "both are" if values.get("reference") else "neither is"
        raise LabelError(f"[label] needs reference = MODEL or client = COMMAND; {given} given")
    for key in ("files", "restart", "timeout"):
        if key in values and not values.get("client"):
            raise LabelError(f"{key} = {values[key]!r} in [label] is about a client; it needs client = COMMAND")
    settings = LabelSettings(**values, folder=Path(folder).resolve())
    _check_cluster(settings)
    return settings


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _check_value(key: str, value: Any) -> None:
    """Check one value by itself."""
    texts = isinstance(value, (list, tuple)) and all(isinstance(entry, str) for entry in value)
    fits, needed = {
        "restart": (value in RESTARTS, f"one of {list(RESTARTS)}"),
        "files": (texts, "a list of file names"),
        "timeout": (_is_number(value) and value > 0, "a number of seconds above 0"),
        "properties": (
            texts and {"energy", "forces"} <= set(value) <= set(whole_labels()),
            f"energy, forces and others out of {list(whole_labels())}",
        ),
        "shift_per_atom": (_is_number(value), "a finite number in eV"),
        "species_shifts": (
            isinstance(value, Mapping)
            and all(name in atomic_numbers and _is_number(shift) for name, shift in value.items()),
            "a table of finite numbers in eV with chemical symbols, { O = -2041.8, H = -13.6 }",
        ),
        "workers": (value is None or _is_count(value), "a whole number of at least 0"),
        "cluster": (isinstance(value, Mapping), "a section [label.cluster]"),
    }.get(key, (isinstance(value, str), "text"))
    if not fits:
        raise LabelError(f"{key} = {value!r} in [label]; allowed is {needed}")


def _check_cluster(settings: LabelSettings) -> None:
    """Refuse clusters of unknown kind, and workers that would compute several labels in one process."""
    cluster, kind = settings.cluster, settings.cluster_kind
    if kind not in CLUSTERS:
        hint = did_you_mean(kind, CLUSTERS)
        raise LabelError(f"kind = '{kind}' in [label.cluster]; allowed are {list(CLUSTERS)}{hint}")
    if kind == "local":
        others = sorted(set(cluster) - {"kind", "security"})
        if others:
            raise LabelError(f"{others} in [label.cluster] need kind, a batch system out of {list(CLUSTERS[1:])}")
        return
    if settings.workers is not None:
        raise LabelError(f"workers = {settings.workers} in [label] is for this machine; of a {kind} cluster give jobs")
    if not _is_count(cluster.get("jobs", 1)) or cluster.get("jobs", 1) < 1:
        raise LabelError(f"jobs = {cluster['jobs']!r} in [label.cluster]; allowed is a whole number of at least 1")
    cores, processes = cluster.get("cores", 1), cluster.get("processes", 1)
    if cores != processes:
        raise LabelError(
            f"cores = {cores!r} and processes = {processes!r} in [label.cluster]; a worker labels one frame at a time, "
            "so both are the number of workers in a job; ask for the cores of a client by job_cpu (Slurm), "
            "resource_spec (PBS), ncpus (LSF), or job_extra_directives"
        )
