"""The ladder of multiple time steps: an expensive model outside, a cheap one inside, and what it does to the dynamics.

python benchmarks/multiple_time_steps.py --outer MODEL --inner MODEL --structure FILE [--multiples 1 2 4 8] [--starts N]

M = 1 is plain dynamics of the outer model with the inner step; M > 1 evaluates it every M inner steps, with the inner
model in between.  Finished runs in --folder are not run again; --analyse-only reads what is finished.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase import Atoms, units
from ase.io import read
from ase.md.bussi import Bussi
from ase.md.velocitydistribution import thermalize_momenta
from beadwise.model.calculator import Calculator
from beadwise.model.evaluators import from_any_folder, load_evaluator
from counted_model import ROLES, log_of, read_log, variable_of
from measuring import machine
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from time_step_analysis import (
    FINISHED,
    Rung,
    as_json,
    draw,
    largest_that_agrees,
    read_run,
    rung_of,
    table_of,
)

HERE = Path(__file__).resolve().parent
BETWEEN_STARTS = 2.0  # ps
BETWEEN_FRAMES = 4.0  # fs, of r(OH)
THERMOSTAT = 100.0  # fs
SEED = 20250
INPUT = """<simulation verbosity='low' floatformat='%24.16e'>
  <output prefix='rung'>
    <properties filename='out'>
      [ step, time{{picosecond}}, conserved{{electronvolt}}, temperature{{kelvin}}, temperature(H){{kelvin}},
        potential{{electronvolt}} ]
    </properties>
    <trajectory filename='positions' stride='{stride}' format='xyz' cell_units='angstrom'>
      positions{{angstrom}}
    </trajectory>
  </output>
  <total_steps> {steps} </total_steps>
  <prng> <seed> {seed} </seed> </prng>
  {sockets}
  <system>
    <initialize nbeads='1'>
      <file mode='xyz'> start.xyz </file> <velocities mode='thermal' units='kelvin'> {temperature} </velocities>
    </initialize>
    <forces> {forces} </forces>
    <ensemble> <temperature units='kelvin'> {temperature} </temperature> </ensemble>
    <motion mode='dynamics'>
      <dynamics mode='nvt'>
        <timestep units='femtosecond'> {timestep} </timestep> {inner_steps}
        <thermostat mode='svr'> <tau units='femtosecond'> {tau} </tau> </thermostat>
      </dynamics>
    </motion>
  </system>
</simulation>
"""
SOCKET = (
    "<ffsocket mode='unix' name='{role}'> <address> {address}-{role} </address> <latency> 1e-4 </latency> </ffsocket>"
)
PLAIN = "<force forcefield='outer'/>"
NESTED = """
      <force forcefield='outer'> <mts_weights> [1, 0] </mts_weights> </force>
      <force forcefield='inner'> <mts_weights> [-1, 1] </mts_weights> </force>
    """
INNER_STEPS = "<nmts> [1, {multiple}] </nmts>"


@dataclass(frozen=True)
class Task:
    """One run of one rung."""

    folder: Path
    multiple: int
    seed: int

    @property
    def is_finished(self) -> bool:
        """Whether it was run to its end, or to where it became unstable."""
        return (self.folder / FINISHED).exists()

    @property
    def roles(self) -> tuple[str, ...]:
        """Models that it needs."""
        return ROLES[:1] if self.multiple == 1 else ROLES

    @property
    def failure(self) -> str:
        """Why it did not reach its end."""
        return json.loads((self.folder / FINISHED).read_text())["failure"]


def read_structure(path: Path) -> Atoms:
    """A periodic structure, of i-PI's or any other format."""
    structure = read(path)
    header = path.read_text(encoding="utf-8").splitlines()[1]
    found = re.search(r"CELL\(abcABC\):((?:\s+[\d.]+){6})", header)
    if found:
        structure.set_cell([float(number) for number in found.group(1).split()])
    structure.pbc = True
    return structure


def write_structure(path: Path, structure: Atoms) -> None:
    """Write a structure as i-PI reads it."""
    cell = " ".join(f"{number:.8f}" for number in structure.cell.cellpar())
    rows = [
        f"{symbol} {x:.10f} {y:.10f} {z:.10f}"
        for symbol, (x, y, z) in zip(structure.symbols, structure.positions, strict=True)
    ]
    header = f"# CELL(abcABC): {cell} cell{{angstrom}} positions{{angstrom}}"
    path.write_text("\n".join([str(len(rows)), header, *rows]) + "\n")


def make_starts(options: argparse.Namespace, console: Console) -> list[Path]:
    """The structure itself, and further frames of dynamics of the inner model that begins with it."""
    paths = [options.folder / f"start_{number}.xyz" for number in range(options.starts)]
    if not paths[0].exists():
        write_structure(paths[0], read_structure(options.structure))
    for number, path in enumerate(paths):
        if path.exists():
            continue
        console.print(f"{BETWEEN_STARTS} ps with the inner model for {path.name}")
        structure = read_structure(paths[number - 1])
        rng = np.random.default_rng(SEED + number)
        structure.calc = Calculator(load_evaluator(options.inner, options.threads))
        thermalize_momenta(structure, temperature_K=options.temperature, rng=rng)
        step = options.inner_step * units.fs
        dynamics = Bussi(structure, step, options.temperature, taut=THERMOSTAT * units.fs, rng=rng)
        dynamics.run(round(1000 * BETWEEN_STARTS / options.inner_step))
        write_structure(path, structure)
    return paths


def tasks_of(options: argparse.Namespace) -> list[Task]:
    """All runs, those of one start after those of another."""
    return [
        Task(options.folder / f"start_{number}" / f"multiple_{multiple}", multiple, SEED + number)
        for number in range(options.starts)
        for multiple in options.multiples
    ]


def steps_of(options: argparse.Namespace, multiple: int) -> int:
    """Outer steps of a run."""
    return max(1, round(1000 * options.picoseconds / (options.inner_step * multiple)))


def prepare(task: Task, start: Path, options: argparse.Namespace) -> None:
    """An empty folder with the input."""
    task.folder.mkdir(parents=True, exist_ok=True)
    for file in task.folder.iterdir():
        file.unlink()
    (task.folder / "start.xyz").write_text(start.read_text())
    address = f"ladder-{uuid.uuid4().hex[:10]}"
    text = INPUT.format(
        stride=max(1, round(BETWEEN_FRAMES / (options.inner_step * task.multiple))),
        steps=steps_of(options, task.multiple),
        seed=task.seed,
        sockets=" ".join(SOCKET.format(role=role, address=address) for role in task.roles),
        temperature=options.temperature,
        forces=PLAIN if task.multiple == 1 else NESTED,
        timestep=options.inner_step * task.multiple,
        inner_steps="" if task.multiple == 1 else INNER_STEPS.format(multiple=task.multiple),
        tau=THERMOSTAT,
    )
    (task.folder / "input.xml").write_text(text)


def start(task: Task, options: argparse.Namespace) -> subprocess.Popen[bytes]:
    """``beadwise run`` with one server per model."""
    models = [argument for role in task.roles for argument in ("--model", f"{role}=counted_model:{role}")]
    command = [sys.executable, "-m", "beadwise.driver", "run", "input.xml", *models]
    environment = {
        **os.environ,
        **{variable_of(role): from_any_folder(getattr(options, role)) for role in ROLES},
        "COUNTED_THREADS": str(options.threads),
        "PYTHONPATH": os.pathsep.join(filter(None, [str(HERE), os.environ.get("PYTHONPATH")])),
    }
    with (task.folder / "run.log").open("wb") as log:
        return subprocess.Popen(
            [*command, "--threads", str(options.threads), "--spectrum", "none"],
            cwd=task.folder,
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def finish(task: Task, status: int) -> str:
    """Write down that a run is finished; what it said if it could not be run at all, else empty."""
    last = (task.folder / "run.log").read_text(errors="replace").strip().splitlines()[-1:]
    failure = "" if status == 0 else " ".join(last) or f"status {status}"
    if status not in (0, 2) or (status == 2 and len(read_log(task.folder, "outer")) < 3):
        return f"{task.folder}: {failure}"
    # a structure that cannot be evaluated, after others that could: the time step is too long
    (task.folder / FINISHED).write_text(json.dumps({"multiple": task.multiple, "failure": failure}) + "\n")
    return ""


def run_all(tasks: Sequence[Task], starts: Sequence[Path], options: argparse.Namespace, console: Console) -> list[str]:
    """Run what is not finished; what went wrong."""
    problems: list[str] = []
    running: set[subprocess.Popen[bytes]] = set()
    progress = Progress(TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[step]}"),
                        TimeRemainingColumn(), console=console)  # fmt: skip

    def run_one(task: Task) -> str:
        steps = steps_of(options, task.multiple)
        bar = progress.add_task(f"{task.folder.parent.name} M = {task.multiple}", total=steps, step="")
        prepare(task, starts[task.seed - SEED], options)
        process = start(task, options)
        running.add(process)
        while process.poll() is None:
            # one evaluation per outer step and one at the start, which tells the step without reading the output
            done = (task.folder / log_of("outer")).stat().st_size // 24 - 1 if _has_log(task) else 0
            progress.update(bar, completed=max(done, 0), step=f"{max(done, 0)}/{steps}")
            time.sleep(0.5)
        running.discard(process)
        progress.update(bar, completed=steps, step=f"status {process.returncode}", visible=False)
        return finish(task, process.returncode)

    left = [task for task in tasks if not task.is_finished]
    with progress, ThreadPoolExecutor(options.together) as pool:
        try:
            waiting = [pool.submit(run_one, task) for task in left]
            for done in as_completed(waiting):
                if done.result():
                    problems.append(done.result())
                    console.print(problems[-1], markup=False)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in list(running):
                process.send_signal(signal.SIGTERM)
    return problems


def _has_log(task: Task) -> bool:
    return (task.folder / log_of("outer")).exists()


def analyse(tasks: Sequence[Task], options: argparse.Namespace) -> Iterator[Rung]:
    """Averages of each rung over its finished runs."""
    structure = read_structure(options.folder / "start_0.xyz")
    cell = np.asarray(structure.cell)
    for multiple in options.multiples:
        finished = [task for task in tasks if task.multiple == multiple and task.is_finished]
        series = [read_run(task.folder, len(structure), cell) for task in finished]
        if series:
            failure = next((task.failure for task in finished if task.failure), "")
            yield rung_of(multiple, series, options.discard * options.picoseconds, failure)


def report(tasks: Sequence[Task], options: argparse.Namespace, console: Console) -> None:
    """Table, JSON and figure of what is finished."""
    rungs = list(analyse(tasks, options))
    if not rungs:
        console.print("nothing is finished")
        return
    console.print(table_of(rungs, options.inner_step))
    best = largest_that_agrees(rungs, options.within)
    rung = next(rung for rung in rungs if rung.multiple == best)
    speed_up = rungs[0].seconds_per_picosecond / rung.seconds_per_picosecond
    console.print(
        f"largest M all of whose quantities are within {options.within:g} standard errors of those of "
        f"M = {rungs[0].multiple}: {best}, {speed_up:.2f} times as fast"
    )
    for rung in rungs:
        if rung.failure:
            console.print(f"M = {rung.multiple} became unstable: {rung.failure}", markup=False)
    settings = {name: str(value) if isinstance(value, Path) else value for name, value in vars(options).items()}
    (options.folder / "ladder.json").write_text(as_json(rungs, options.within, settings, machine()))
    draw(rungs, options.inner_step, options.folder / "ladder.png")
    console.print(f"{options.folder / 'ladder.json'}, {options.folder / 'ladder.png'}")


def read_options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--outer", default="water_accurate", help="the expensive model")
    parser.add_argument("--inner", default="water", help="the cheap model")
    parser.add_argument("--structure", type=Path, default=HERE.parent / "inputs" / "water_32.xyz")
    parser.add_argument("--inner-step", type=float, default=0.5, help="in fs")
    parser.add_argument("--picoseconds", type=float, default=1.0, help="of every run")
    parser.add_argument("--multiples", type=int, nargs="+", default=[1, 2, 4, 8], help="the first is compared with")
    parser.add_argument("--starts", type=int, default=1, help="independent runs of every rung")
    parser.add_argument("--folder", type=Path, default=Path("ladder"))
    parser.add_argument("--temperature", type=float, default=300.0, help="in K")
    parser.add_argument("--threads", type=int, default=1, help="of each server")
    parser.add_argument(
        "--together", type=int, default=1, help="runs at once; their times are then those of a busy machine"
    )
    parser.add_argument("--discard", type=float, default=0.1, help="part of each run that does not count for averages")
    parser.add_argument("--within", type=float, default=2.0, help="standard errors within which rungs agree")
    parser.add_argument("--analyse-only", action="store_true")
    return parser.parse_args(arguments)


def main() -> int:
    """Run and report; 1 if a run could not be started or was broken off."""
    options = read_options()
    console = Console(width=None if sys.stdout.isatty() else 160)
    options.folder.mkdir(parents=True, exist_ok=True)
    tasks = tasks_of(options)
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(1))
    problems: list[str] = []
    if not options.analyse_only:
        problems = run_all(tasks, make_starts(options, console), options, console)
    report(tasks, options, console)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
