"""``ase:MODULE.CLASS:KEY=VALUE``: any calculator of ASE."""

from __future__ import annotations

import sys
from pathlib import Path

from ..ase_potential import PREFIX, USAGE, AsePotential, ase_potential
from .provider import Provider, Rename, named_files

WRITTEN = ("txt", "log", "logfile", "output")  # parameters by which calculators are told where they write


def _make(rest: str, threads: int) -> AsePotential:
    """A calculator sees to its threads itself."""
    return ase_potential(rest)


def _files(rest: str) -> list[Path]:
    """Those that parameters name, unless it is written to them, and the module, which may be the user's own."""
    path, colon, parameters = rest.partition(":")
    read = [item for item in parameters.split(",") if item.partition("=")[0].strip() not in WRITTEN]
    module = sys.modules.get(rest.partition(":")[0].strip().rpartition(".")[0])
    file = getattr(module, "__file__", None)
    return [*named_files(path + colon + ",".join(read)), *([Path(file)] if file else [])]


def _renamed(rest: str, rename: Rename) -> str:
    """Rename the files that parameters name: the calculator may be made in another folder."""
    path, colon, parameters = rest.partition(":")
    items = [item.partition("=") for item in parameters.split(",")]
    return path + colon + ",".join(f"{key}{equals}{rename(value)}" for key, equals, value in items)


PROVIDER = Provider(PREFIX, _make, USAGE, paths=_renamed, files=_files, runs_code=True, writes_files=True)
