"""What labelling is told: the section ``[label]`` of a configuration, checked key by key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from ase.data import atomic_numbers

from ...model import BeadwiseError
from ...schema import NO_KEY, FileName, about, check_table, table_schema
from ..data import whole_labels

REQUIRED = {"energy", "forces"}
BATCH_SYSTEMS = ["slurm", "pbs", "lsf", "sge", "moab", "oar", "htcondor"]


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
class ClusterOptions:
    """Where labels are computed, if not on this machine; all other keys go to the class of dask_jobqueue.

    These are the keys that are ours; `LabelSettings.cluster` holds all of them.
    """

    kind: Annotated[
        Literal["local", "slurm", "pbs", "lsf", "sge", "moab", "oar", "htcondor"],
        about("Batch system whose jobs compute the labels; `local` is this machine."),
    ] = "local"
    jobs: Annotated[int, about("Number of jobs.", ge=1)] = 1
    security: Annotated[
        bool, about("If true, the connections of Dask are encrypted; if false, whoever reaches them can run code.")
    ] = True


@dataclass(frozen=True)
class LabelSettings:
    """The reference that gives the labels, and where they are computed.

    ``folder`` is that of the configuration, and no key of it.
    """

    reference: Annotated[
        str,
        about(
            "Potential that gives the labels, by any name that commands take: `GFN2-xTB`, "
            "`ase:package.module.Class:key=value`, a model. Either this or `client` is needed.",
        ),
    ] = ""
    client: Annotated[
        str,
        about(
            "Command of a program that speaks the protocol of i-PI. In it, and in its files, `{address}`, `{host}`, "
            "`{port}`, `{structure}`, `{charge}`, `{cell}` and `{cell_a}`, `{cell_b}`, `{cell_c}` are filled in.",
        ),
    ] = ""
    files: Annotated[list[FileName], about("Files that the client needs; they are copied to where it runs.")] = field(
        default_factory=list
    )
    restart: Annotated[
        Literal["species", "cell", "always"],
        about(
            "When the client is started anew: `species` for other atoms, `cell` also for another cell, `always` for "
            "each structure.",
        ),
    ] = "cell"
    timeout: Annotated[
        float, about("Time in which the client must have given a label, its start included.", unit="s", gt=0)
    ] = 3600.0
    name: Annotated[
        str,
        about(
            "Name of the reference, by which labels that are kept are found again. Without it, the command, the files "
            "and the version of the reference tell it from others.",
        ),
    ] = ""
    properties: Annotated[
        list[str],
        about("Labels that are kept, where the reference has them; energy and forces always.", names=whole_labels),
    ] = field(default_factory=lambda: list(whole_labels()))
    shift_per_atom: Annotated[float, about("Energy that is added to each label for each atom.", unit="eV")] = 0.0
    species_shifts: Annotated[
        dict[str, Annotated[float, about("", unit="eV")]],
        about(
            "Energies by chemical symbol, added to each label for each atom of that element.",
            unit="eV",
            more={"propertyNames": {"pattern": "^[A-Z][a-z]?$"}},
        ),
    ] = field(default_factory=dict)
    workers: Annotated[
        Annotated[int, about("", ge=0)] | None,
        about(
            "Number of processes that compute labels at the same time on this machine; 0 uses this process alone, "
            "without Dask. If it is not given: all cores for a reference, one for a client.",
        ),
    ] = None
    cluster: Annotated[
        dict[str, Any],
        about(
            "Batch system whose jobs compute the labels. Keys that are not listed go to the class of dask_jobqueue, as "
            "`queue`, `memory` or `walltime`.",
            inner=ClusterOptions,
        ),
    ] = field(default_factory=dict)
    folder: Path = field(default_factory=Path.cwd, metadata=NO_KEY)

    @property
    def paths(self) -> list[Path]:
        """The client's files."""
        return [self.folder / name for name in self.files]

    @property
    def cluster_section(self) -> str:
        """Section of the batch system, for messages."""
        return "label.cluster"

    @property
    def cluster_kind(self) -> str:
        """``local``, or a batch system."""
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
    check_table(LabelSettings, values, "label", LabelError)
    _check_names(values)
    if bool(values.get("reference")) == bool(values.get("client")):
        given = "both are" if values.get("reference") else "neither is"
        raise LabelError(f"[label] needs reference = MODEL or client = COMMAND; {given} given")
    for key in ("files", "restart", "timeout"):
        if key in values and not values.get("client"):
            raise LabelError(f"{key} = {values[key]!r} in [label] is about a client; it needs client = COMMAND")
    settings = LabelSettings(**values, folder=Path(folder).resolve())
    _check_cluster(settings)
    return settings


def label_schema() -> dict[str, Any]:
    """JSON Schema of a section ``[label]``."""
    either = {"oneOf": [{"required": ["reference"]}, {"required": ["client"]}]}
    return table_schema(LabelSettings) | either


def _check_names(values: Mapping[str, Any]) -> None:
    """Refuse elements and labels that there are not."""
    for symbol, energy in values.get("species_shifts", {}).items():
        if not atomic_numbers.get(symbol):
            raise LabelError(f"species_shifts has {symbol} = {energy!r} in [label]; chemical symbols are needed")
    wanted = values.get("properties", REQUIRED)
    if not REQUIRED <= set(wanted) <= set(whole_labels()):
        raise LabelError(
            f"properties = {wanted!r} in [label]; allowed are energy, forces and others out of {list(whole_labels())}"
        )


def _check_cluster(settings: LabelSettings) -> None:
    """Refuse options without a batch system, and workers that would compute several labels in one process."""
    cluster, kind = settings.cluster, settings.cluster_kind
    if kind == "local":
        others = sorted(set(cluster) - {"kind", "security"})
        if others:
            raise LabelError(f"{others} in [label.cluster] need kind, a batch system out of {BATCH_SYSTEMS}")
        return
    if settings.workers is not None:
        raise LabelError(f"workers = {settings.workers} in [label] is for this machine; of a {kind} cluster give jobs")
    cores, processes = cluster.get("cores", 1), cluster.get("processes", 1)
    if cores != processes:
        raise LabelError(
            f"cores = {cores!r} and processes = {processes!r} in [label.cluster]; a worker labels one frame at a time, "
            "so both are the number of workers in a job; ask for the cores of a client by job_cpu (Slurm), "
            "resource_spec (PBS), ncpus (LSF), or job_extra_directives"
        )
