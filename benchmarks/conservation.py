"""How well the shipped inputs conserve: the drift of the conserved quantity of each, per atom and ps, as a table.

python benchmarks/conservation.py [NAME ...] [--ps LENGTH] [--threads N] [--folder FOLDER] [--timestep FS]
    [--model SOCKET=MODEL ...] [--analyse-only]

Each input is copied and run as it is shipped, LENGTH ps long, only without its trajectories and spectra.  Finished runs
in --folder are not run again.  Runs that something does work on (a bias, a field that changes) are left out unless they
are named: nothing is conserved there.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import time
from pathlib import Path

from beadwise.analysis.report.drift import drift_of_run, has_work_from_outside
from beadwise.analysis.report.verdicts import uncertain
from beadwise.driver.launch.examples.changes import Changes
from beadwise.driver.launch.shipped_inputs import copy_into, example_of, shipped_inputs
from beadwise.runs.input.run_input import RunInput
from beadwise.runs.input.tolerance import allowed_drift

FINISHED = "finished.txt"  # holds the seconds of the run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="shipped inputs; by default all that conserve")
    parser.add_argument("--ps", type=float, default=2.0, help="length of each run")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--folder", type=Path, default=Path("conservation"))
    parser.add_argument("--timestep", type=float, help="in fs, in place of the input's own")
    parser.add_argument(
        "--model", type=socket_and_model, action="append", default=[], metavar="SOCKET=MODEL",
        help="a cheaper model in place of one that takes too long",
    )  # fmt: skip
    parser.add_argument("--analyse-only", action="store_true")
    options = parser.parse_args()
    rows = []
    for name in options.names or conserving():
        folder = options.folder / (name if options.timestep is None else f"{name}-{options.timestep:g}")
        if not (folder / FINISHED).exists() and not options.analyse_only:
            run(name, folder, options.ps, options.threads, options.timestep, dict(options.model))
        if (folder / FINISHED).exists():
            rows.append(row_of(name, folder))
            print(rows[-1], file=sys.stderr, flush=True)
    print("| input | step / fs | beads | length / ps | drift / meV/(atom ps) | allowed | seconds per ps |")
    print("|---|---|---|---|---|---|---|", *rows, sep="\n")


def socket_and_model(text: str) -> tuple[str, str]:
    """``SOCKET=MODEL`` as two words."""
    socket, _, model = text.partition("=")
    if not socket or not model:
        raise argparse.ArgumentTypeError(f"'{text}' is not SOCKET=MODEL, as reference=water_accurate")
    return socket, model


def conserving() -> list[str]:
    """Shipped inputs that nothing does work on."""
    folder = Path(__file__).resolve().parents[1] / "inputs"
    runs = {name: RunInput.read(folder / f"{name}.xml", folder) for name in shipped_inputs()}
    return [name for name, run in runs.items() if not has_work_from_outside(run.systems[0])]


def run(name: str, folder: Path, length: float, threads: int, timestep: float | None, replaced: dict[str, str]) -> None:
    """Run a copy of a shipped input."""
    folder.mkdir(parents=True, exist_ok=True)
    copy = copy_into(name, folder, threads)
    text = re.sub(r"\n *<(trajectory|checkpoint)\b.*", "", copy.read_text())
    if timestep is not None:
        text = re.sub(r"(<timestep units='femtosecond'>)[^<]*", rf"\g<1> {timestep:g} ", text)
    copy.write_text(text)
    system = RunInput.read(copy).systems[0]
    steps = round(1000 * length / system.timestep_for("a length in ps is asked for"))
    Changes(steps=steps).apply(copy)
    example = example_of(name)
    models = [example.model, *(f"{key}={model}" for key, model in {**example.models, **replaced}.items())]
    command = [sys.executable, "-m", "beadwise", "run", copy.name, "--threads", str(threads), "--no-report"]
    for model in models if RunInput.read(copy).sockets else ():
        command += ["--model", model]
    if example.electric_field is not None:
        command += ["--field", ",".join(map(str, example.electric_field))]
    began = time.monotonic()
    with open(folder / "output.txt", "w") as log:
        subprocess.run(command, cwd=folder, check=True, stdout=log, stderr=log)
    (folder / FINISHED).write_text(f"{time.monotonic() - began}\n")


def row_of(name: str, folder: Path) -> str:
    """A line of the table."""
    run = RunInput.read(folder / f"{name}.xml")
    drift, allowed = drift_of_run(run), allowed_drift(run)
    system = run.systems[0]
    timestep = system.timestep_for("drifts are per ps")
    length = run.total_steps * timestep / 1000
    said = "not known" if drift is None else uncertain(drift["value"], drift["error"])
    seconds = float((folder / FINISHED).read_text()) / length
    stated = "" if allowed is None else f"{allowed:g}"
    return f"| `{name}` | {timestep:g} | {system.beads} | {length:g} | {said} | {stated} | {seconds:.0f} |"


if __name__ == "__main__":
    main()
