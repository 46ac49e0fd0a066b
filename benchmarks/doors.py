"""What each way from i-PI to beadwise costs beside the evaluation itself; see the README.

python benchmarks/doors.py [--beads 1 32] [--atoms 192 648] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np
from measuring import machine
from rich.console import Console
from rich.progress import track
from rich.table import Table
from waiting import MOST_EVALUATIONS
from waters import write_box

HERE = Path(__file__).parent
BIN = Path(sys.executable).parent
WAITING = str(HERE / "waiting.py")
DRIVER = [str(BIN / "i-pi-driver-py"), "-m", "custom", "-P", WAITING]
WANT = "dipole,polarizability"
WARM_UP = 3  # steps that are not counted
SHARE, FLOOR = 0.05, 0.2  # what driver and transport may cost: of the evaluation, or ms per step
INPUT = """
<simulation verbosity='quiet'>
  <output prefix='out'> <properties filename='energy' stride='1000'> [ step ] </properties> </output>
  <total_steps> {steps} </total_steps>
  <prng> <seed> 7 </seed> </prng>
  {forcefield}
  <system>
    <initialize nbeads='{beads}'>
      <file mode='xyz'> box.xyz </file> <velocities mode='thermal' units='kelvin'> 300 </velocities>
    </initialize>
    <forces> <force forcefield='door'/> </forces>
    <motion mode='dynamics'>
      <dynamics mode='nve'> <timestep units='femtosecond'> 0.25 </timestep> </dynamics>
    </motion>
    <ensemble> <temperature units='kelvin'> 300 </temperature> </ensemble>
  </system>
</simulation>
"""
SOCKET = """<ffsocket mode='{mode}' name='door'>
    <address> {address} </address> <batch_size> {batch} </batch_size>
  </ffsocket>"""
MPI = "<ffmpi mode='mpi' name='door'> <batch_size> {batch} </batch_size> <latency> {latency} </latency> </ffmpi>"
DIRECT = """<ffdirect name='door' threaded='false'>
    <pes> {pes} </pes> {path} <parameters> {parameters} </parameters> <batch_size> {batch} </batch_size>
  </ffdirect>"""


@dataclass(frozen=True)
class Door:
    """A way from i-PI to what evaluates."""

    name: str
    kind: str  # unix, shm, mpi or direct
    is_batched: bool = True


DOORS = [
    Door("unix", "unix", is_batched=False),
    Door("unix, batched", "unix"),
    Door("shared memory, batched", "shm"),
    Door("MPI, batched", "mpi"),
    Door("in process, batched", "direct"),
]


@dataclass(frozen=True)
class Times:
    """The least of the steps of a run, in ms: what else the machine does only adds to it."""

    step: float
    evaluation: float
    rest: float  # of the step, when its own evaluations are taken off


def run(
    door: Door,
    beads: int,
    atoms: int,
    steps: int,
    wait: float | None,
    ranks: int = 1,
    group_size: int = 1,
    latency: float = 1e-4,
) -> Times:
    """One run of the real i-PI, with beadwise, or with i-PI's own driver, which waits so many ms for each structure.

    Over MPI there may be several ranks, and i-PI looks for answers every `latency` seconds.
    """
    batch = -(-beads * group_size // ranks) if door.is_batched else 1
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_box(folder / "box.xyz", atoms)
        address = f"doors-{uuid.uuid4().hex[:8]}"
        forcefield = _forcefield(door, batch, address, wait, latency)
        (folder / "input.xml").write_text(INPUT.format(steps=steps, forcefield=forcefield, beads=beads))
        with _programs(_commands(door, address, wait, ranks, group_size), folder):
            pass
        steps_of_run = np.loadtxt(folder / "steps")[WARM_UP:]
        notes = [np.fromfile(file).reshape(-1, 2) for file in folder.glob("evaluations-*")]
        evaluations = np.concatenate([np.zeros((0, 2)), *notes])
    seconds = steps_of_run[:, 1] - steps_of_run[:, 0]
    inside = [_overlap(evaluations, begin, end) for begin, end in steps_of_run]
    least = 1e3 * np.min([seconds, inside, seconds - inside], axis=1)
    return Times(*least.tolist())


def least_of(runs: Sequence[Times]) -> Times:
    """The least over several runs."""
    return Times(*np.min([astuple(times) for times in runs], axis=0).tolist())


def _overlap(evaluations: np.ndarray, begin: float, end: float) -> float:
    """Seconds of evaluations within a step; all processes read the same clock."""
    within = (evaluations[:, 0] >= begin) & (evaluations[:, 1] <= end)
    return float((evaluations[within, 1] - evaluations[within, 0]).sum())


def _forcefield(door: Door, batch: int, address: str, wait: float | None, latency: float) -> str:
    if door.kind == "mpi":
        return MPI.format(batch=batch, latency=latency)
    if door.kind == "direct":
        shim = subprocess.run([BIN / "beadwise", "shim"], capture_output=True, text=True, check=True).stdout.strip()
        if wait is not None:
            path = f"<pes_path> {WAITING} </pes_path>"
            return DIRECT.format(pes="custom", path=path, parameters=f"{{ milliseconds: {wait} }}", batch=batch)
        parameters = f"{{ model: doors:timed, want: {WANT.replace(',', '+')}, structure: box.xyz }}"
        return DIRECT.format(pes="custom", path=f"<pes_path> {shim} </pes_path>", parameters=parameters, batch=batch)
    return SOCKET.format(mode=door.kind, address=address, batch=batch)


def _commands(door: Door, address: str, wait: float | None, ranks: int, group_size: int) -> list[list[str]]:
    """Programs of a run, i-PI first."""
    ipi = [sys.executable, str(HERE / "doors.py"), "--ipi", "input.xml"]
    serve = [str(BIN / "beadwise"), "serve", "doors:timed", "--structure", "box.xyz", "--want", WANT]
    driver = serve if wait is None else [*DRIVER, "-o", f"milliseconds={wait}"]
    if door.kind == "direct":
        return [ipi]
    if door.kind == "mpi":
        ours = ["--group-size", str(group_size)] if wait is None else []
        ranked = ["-n", str(ranks), *driver, "--mpi", *ours]
        return [["mpiexec", "-disable-auto-cleanup", "-n", "1", *ipi, ":", *ranked]]
    where = ["--unix", address] if wait is None else ["-u", "-a", address]
    return [ipi, [*driver, *where, *(["--shm"] if door.kind == "shm" else [])]]


@contextmanager
def _programs(commands: Sequence[Sequence[str]], folder: Path) -> Iterator[None]:
    """Start programs, and wait for all of them."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(HERE),
        "OMP_NUM_THREADS": "1",
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
    }
    running = []
    with open(folder / "log", "w") as log:
        for command in commands:
            running.append(subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log))
            if len(commands) > 1:
                _wait_for_address(folder, running[0])
        yield
        for process in running:
            if process.wait(600):
                raise SystemExit(f"{' '.join(process.args)} failed:\n{(folder / 'log').read_text()[-2000:]}")


def _wait_for_address(folder: Path, ipi: subprocess.Popen[bytes]) -> None:
    """i-PI's own driver does not wait for i-PI."""
    while not (folder / "listening").exists() and ipi.poll() is None:
        time.sleep(0.05)
    time.sleep(0.5)


def timed():
    """The shipped water model, noting when it evaluates."""
    from beadwise.model import load

    model = load("water")
    evaluate = model.evaluate
    # in memory that is a file: i-PI ends its process without closing files, and writing lines would count as transport
    notes = np.memmap(f"evaluations-{os.getpid()}", np.float64, "w+", shape=(MOST_EVALUATIONS, 2))
    numbers = iter(range(MOST_EVALUATIONS))

    def noting(batch, want):
        begin = time.perf_counter()
        response = evaluate(batch, want)
        notes[next(numbers)] = begin, time.perf_counter()
        return response

    model.evaluate = noting
    return model


def run_ipi(source: str) -> None:
    """i-PI itself, noting when each step begins and ends."""
    from ipi.engine.simulation import Simulation
    from ipi.utils.softexit import softexit

    notes = []
    run_step = Simulation.run_step

    def noting(simulation, step):
        begin = time.perf_counter()
        run_step(simulation, step)
        notes.append((begin, time.perf_counter()))

    Simulation.run_step = noting
    with open(source) as file:
        simulation = Simulation.load_from_xml(file, request_banner=False)
    Path("listening").touch()
    softexit.hard_exit = True
    simulation.run()
    np.savetxt("steps", notes, fmt="%.9f")
    softexit.trigger(status=simulation.exit_status, message=simulation.exit_message)


def report(rows: list[dict], console: Console) -> None:
    """Print the table."""
    title = "ms per step of i-PI, least, one thread; cost = beadwise - evaluation - waiting: driver and transport"
    table = Table(title=title)
    for column in ("beads", "atoms", "door", "dummy", "beadwise", "evaluation", "waiting", "cost", "allowed"):
        table.add_column(column, justify="left" if column == "door" else "right")
    for row in rows:
        numbers = [row[name] for name in ("dummy", "step", "evaluation", "waiting", "cost", "allowed")]
        table.add_row(str(row["beads"]), str(row["atoms"]), row["door"], *(f"{number:.2f}" for number in numbers))
    console.print(table)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ipi", metavar="INPUT", help=argparse.SUPPRESS)
    parser.add_argument("--beads", type=int, nargs="+", default=[1, 32])
    parser.add_argument("--atoms", type=int, nargs="+", default=[192, 648])
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--repetitions", type=int, default=3, help="runs of each row, with the dummy in between")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    if arguments.ipi:
        run_ipi(arguments.ipi)
        return
    console = Console()
    description = machine()
    console.print(description)
    cases = [
        (beads, atoms, door)
        for beads in arguments.beads
        for atoms in arguments.atoms
        for door in DOORS
        if beads > 1 or door.name != "unix, batched"
    ]
    rows = []
    for beads, atoms, door in track(cases, console=console):
        steps = arguments.steps * (5 if beads == 1 else 1)
        dummies, own, waiting = [], [], []
        for _ in range(arguments.repetitions):
            dummies.append(run(door, beads, atoms, steps, wait=0.0))
            own.append(run(door, beads, atoms, steps, wait=None))
            waiting.append(run(door, beads, atoms, steps, wait=own[-1].evaluation / beads))
        dummy, ours, waited = least_of(dummies), least_of(own), least_of(waiting)
        rows.append(
            {
                "beads": beads,
                "atoms": atoms,
                "door": door.name.removesuffix(", batched") if beads == 1 else door.name,
                "dummy": dummy.step,
                "step": ours.step,
                "evaluation": ours.evaluation,
                "waiting": waited.rest,
                "cost": ours.rest - waited.rest,
                "allowed": max(SHARE * ours.evaluation, FLOOR),
            }
        )
    report(rows, console)
    if arguments.json:
        arguments.json.write_text(json.dumps({"machine": description, "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
