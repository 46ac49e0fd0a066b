"""One exploration: an i-PI run in a folder of its own, with a model that is watched."""

from __future__ import annotations

import os
import secrets
import shutil
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms
from rich.console import Console

from ...learning.loop.configuration import LearnConfiguration
from ...learning.loop.selection import Candidate
from ...learning.loop.state import ExplorationRecord
from ...model import BeadwiseError
from ...runs.input.atoms import atoms_of_system
from ...runs.input.cell import cell_of_system
from ...runs.input.elements import InputError, beads_of, parse, systems_of
from ...runs.input.run_input import RunInput
from ...runs.ipi_utilities import unit_to_internal
from ...runs.output.extended_xyz import complete_frames
from . import processes
from .addresses import make_free, remove_leftover
from .claims import claimed
from .continuation import RESTART
from .plan import OutOfTime, Plan, RunError
from .servers import start_servers
from .stages import say
from .supervision import Supervision
from .watched_model import CANDIDATES, FORCES, MODEL_NAME, WatchSettings, read_seen

SOURCE = "input.xml"
STRUCTURE = "start.extxyz"
SEED_SPAN = 100_000_000  # i-PI's random numbers take seeds below 2^32


class Interrupted(Exception):  # noqa: N818 - what a user wanted, not an error
    """A signal ended the run."""


def check_input(path: Path) -> np.ndarray:
    """See whether an i-PI input can be explored, before anything is fitted.

    Returns
    -------
    ndarray of int32, shape (atoms,)
        Its atomic numbers.

    Raises
    ------
    InputError
        If it cannot.
    """
    simulation = RunInput.read(path).checked()
    if len(simulation.sockets) != 1 or simulation.others:
        raise InputError(
            f"'{path}' has {len(simulation.sockets)} <ffsocket> and {len(simulation.others)} other force fields; an "
            "input to explore needs one <ffsocket> and nothing else"
        )
    if simulation.sockets[0].mode not in ("unix", "shm"):
        raise InputError(f"<ffsocket> of '{path}' has the mode '{simulation.sockets[0].mode}'; allowed are unix, shm")
    if len(simulation.systems) != 1:
        raise InputError(f"'{path}' holds {len(simulation.systems)} systems; an input to explore needs one")
    return simulation.numbers


def prepare(source: Path, folder: Path, seed: int, start: Atoms | None = None) -> int:
    """Copy an i-PI input and the files that it names into a new folder, with an address and random numbers of its own.

    Parameters
    ----------
    source : Path
        The input; file names in it are relative to its folder.
    folder : Path
        Of the run; what is left of an earlier attempt is removed.
    seed : int
        Of i-PI's random numbers.
    start : ase.Atoms, optional
        Structure to start from in place of the input's own.

    Returns
    -------
    int
        Beads of the run.

    Raises
    ------
    InputError
        If the input names no structure file that could be replaced.
    """
    root = parse(source)
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    for element in root.iter():
        name = (element.text or "").strip()
        if name and len(element) == 0 and _is_file(source.parent / name):
            shutil.copy(source.parent / name, folder / Path(name).name)
            element.text = Path(name).name
    if start is not None:
        _start_from(root, source, folder, start)
    for address in root.iter("address"):
        # others on this machine must not be there before i-PI is
        address.text = f"{f'beadwise-learn-{os.getpid()}-{folder.name}'[-60:]}-{secrets.token_hex(4)}"
    random_numbers = root.find("prng")
    if random_numbers is None:
        random_numbers = ElementTree.SubElement(root, "prng")
    for element in list(random_numbers):
        random_numbers.remove(element)
    ElementTree.SubElement(random_numbers, "seed").text = str(seed % SEED_SPAN)
    ElementTree.ElementTree(root).write(folder / SOURCE, encoding="unicode")
    return beads_of(next(systems_of(root)))


def _is_file(path: Path) -> bool:
    """Whether there is such a file; a list of properties is no name, and too long for one."""
    try:
        return path.is_file()
    except OSError:
        return False


def _start_from(root: ElementTree.Element, source: Path, folder: Path, start: Atoms) -> None:
    """Let an input start from a structure; one without a cell gets that of the input."""
    initialize = next(systems_of(root)).find("initialize")
    files = [] if initialize is None else initialize.findall("file")
    if initialize is None or len(files) != 1 or files[0].get("mode") == "chk":
        raise InputError(
            f"start = 'known' with '{source}', whose <initialize> names {len(files)} structures; one <file> is needed"
        )
    cell = start.cell.array if start.cell.rank == 3 else cell_of_system(next(systems_of(root)), folder / SOURCE, folder)
    for element in initialize.findall("cell"):
        initialize.remove(element)
    files[0].attrib.clear()
    files[0].attrib.update({"mode": "ase", "units": "angstrom"})
    files[0].text = STRUCTURE
    bare = Atoms(start.numbers, start.positions, cell=cell, pbc=True)
    own = atoms_of_system(next(systems_of(root)), folder / SOURCE, folder)
    if len(own.masses) == len(bare):  # with mode='ase' they would be ASE's, and no isotope would be left
        bare.set_masses(own.masses / float(unit_to_internal("mass", "dalton", 1.0)))
    ase.io.write(folder / STRUCTURE, bare, format="extxyz")


def explore(
    settings: LearnConfiguration,
    source: Path,
    folder: Path,
    model: Path,
    seed: int,
    start: Atoms | None,
    console: Console,
) -> ExplorationRecord:
    """Run one input with a model to its end, or to where the model does not know its way any more.

    Parameters
    ----------
    settings : LearnConfiguration
    source : Path
        i-PI input.
    folder : Path
        Of the run.
    model : Path
        Model file.
    seed, start
        As for `prepare`.
    console : rich.console.Console
        Where progress is shown.

    Raises
    ------
    BeadwiseError
        If the run cannot begin.
    RunError
        If i-PI or its server fails before the model has answered for one structure.
    Interrupted
        If there was a signal.
    """
    began = time.monotonic()
    beads = prepare(source, folder, seed, start)
    own = settings.explore
    watch = WatchSettings(
        model=os.path.relpath(model, folder),
        beads=beads,
        stride=own.stride,
        flag=own.flag,
        stop=own.stop,
        envelope_flag=own.envelope_flag,
        envelope_stop=own.envelope_stop,
        keep_all=settings.select.kind == "random",
        threads=own.threads_to_use,
    )
    watch.write(folder)
    plan = Plan(RunInput.read(folder / SOURCE).checked(), {"": MODEL_NAME}, threads=watch.threads)
    failure = _run(plan, console)
    record = _record(source.stem, plan.input, watch, failure)
    return replace(record, seconds=time.monotonic() - began)


def _run(plan: Plan, console: Console) -> BeadwiseError | RunError | None:
    """Run i-PI and its server; what made it fail after it had begun, None if nothing did."""
    failure: BeadwiseError | RunError | None = None
    with processes.stop_requests() as stop_requests, ExitStack() as stack:
        claim = stack.enter_context(claimed(plan.input))
        for address in plan.input.sockets:
            make_free(address, lambda line: None)
            stack.callback(remove_leftover, address)
        try:
            servers = start_servers(plan, stack, stop_requests)
            Supervision(plan, console, servers, stop_requests, claim).run(stack)
        except OutOfTime:
            pass  # what the <total_time> of the user's input allows is explored
        except (BeadwiseError, RunError) as error:
            failure = error
            # of a model early in learning it is expected that beads fly apart; of a run that never began it is not
            if len(read_seen(plan.folder).steps) == 0 and not stop_requests:
                raise
    if stop_requests:  # also where i-PI had just ended by itself
        raise Interrupted from failure
    return failure


def _record(name: str, run: RunInput, watch: WatchSettings, failure: Exception | None) -> ExplorationRecord:
    """Say what a run found."""
    seen = read_seen(run.folder)
    restart = run.folder / RESTART
    beyond = watch.beyond(seen.uncertainties, seen.distances)
    record = ExplorationRecord(
        name=name,
        steps=RunInput.read(restart).step if restart.exists() else int(seen.steps.max(initial=0)),
        total_steps=run.total_steps,
        seen=len(seen.steps),
        flagged=int(watch.flagged(seen.uncertainties, seen.distances).sum()),
        highest_uncertainty=_highest(seen.uncertainties),
        highest_envelope_distance=_highest(seen.distances),
    )
    if beyond.any():
        there = seen.steps == seen.steps[beyond][0]
        reason = (
            f"force uncertainty {_highest(seen.uncertainties[there]):.3g} eV/Å, distance from the training data "
            f"{_highest(seen.distances[there]):.3g} at step {seen.steps[there][0]}"
        )
        return replace(record, outcome="stopped", reason=reason)
    if failure is not None:
        reason, _, _ = str(failure).partition("; i-PI was stopped")  # how to continue that run is of no use here
        return replace(record, outcome="broken", reason=" ".join(reason.split()))
    return record


def _highest(values: np.ndarray) -> float:
    """Highest of those that are finite; JSON knows no others."""
    return float(values[np.isfinite(values)].max(initial=0.0))


def read_candidates(folder: Path, name: str) -> list[Candidate]:
    """Candidates that the run in a folder has left; one that is not whole is left out."""
    path = folder / CANDIDATES
    if not path.exists():
        return []
    candidates = []
    for frame in complete_frames(path):
        atoms = Atoms(frame.numbers, frame.positions, cell=frame.cell, pbc=frame.pbc)
        candidates.append(
            Candidate(
                atoms,
                uncertainty=float(frame.info["force_uncertainty"]),
                input=name,
                step=int(frame.info["step"]),
                bead=int(frame.info["bead"]),
                atom_uncertainties=np.array(frame.arrays[FORCES], dtype=np.float64),
            )
        )
    return candidates


class IpiExplorer:
    """What `beadwise.learning.loop.loop.ActiveLearning` explores with.

    Parameters
    ----------
    settings : LearnConfiguration
    console : rich.console.Console
        Where the progress of runs is shown.
    before_run : callable
        Called before each run, which shows its own progress.
    """

    def __init__(self, settings: LearnConfiguration, console: Console, before_run: Callable[[], object]):
        self._settings = settings
        self._console = console
        self._before_run = before_run

    def explore(self, source: Path, folder: Path, model: Path, seed: int, start: Atoms | None) -> ExplorationRecord:
        """Run one input; see `explore`."""
        self._before_run()
        say(self._console, f"exploring {source.stem} in {os.path.relpath(folder)}")
        return explore(self._settings, source, folder, model, seed, start, self._console)

    def candidates(self, folder: Path, name: str) -> list[Candidate]:
        """What a run has kept; see `read_candidates`."""
        return read_candidates(folder, name)
