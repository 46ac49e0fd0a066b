"""Every input that i-PI ships, two steps each: which run with a potential of ours in place of their own, and which not.

python docs/make_ipi_inputs.py FOLDER_OF_IPI [--table FILE.md] [--seconds S] [--jobs N] [--only TEXT] [--work FOLDER]

FOLDER_OF_IPI is a checkout of i-PI's repository.  It is copied first, and nothing is written there.  In the copy each
input gets two steps, and sockets of its own; then ``beadwise run`` runs it, at most S seconds long.  Atoms of water
get `qtip4pf`, noble gases `lennard-jones`, everything else `harmonic`, H and O `water` where others do not do, and what
is asked for several members a committee of two traps.
With --work the copy and the results stay there, and what ran is not run again.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import re
import shutil
import tempfile
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path

import numpy as np
from ase.data import atomic_numbers
from beadwise.driver.commands.group import main as command
from beadwise.model import BeadwiseError
from beadwise.model.evaluators import load_evaluator
from beadwise.runs.input.force_fields import ForceSocket
from beadwise.runs.input.labels import element_of_label
from beadwise.runs.input.run_input import RunInput

FOLDERS = ("examples", "ipi_tests", "dev_tests", "demos")
STEPS = 2
SECONDS, PATIENCE = 90.0, 20.0
FIRST_PORT = 21000
SHORTENED = "two_steps_{}"
MOLECULES, LEARNED = "qtip4pf", "water"
NOBLE = "lennard-jones:epsilon=0.001,sigma=2.5,cutoff=6"
ANYTHING = "harmonic:k=0.5"
COMMITTEE = "committee:harmonic:k=0.5,harmonic:k=0.6"
NOBLE_GASES = {atomic_numbers[symbol] for symbol in ("He", "Ne", "Ar", "Kr", "Xe")}
LONGEST_REASON = 400
ENDS_OF_REASON = re.compile(r"^i-PI refused '[^']*': |; its log is \S+$")
RUNS, REFUSED, BY_IPI, STOPPED, FAILED, TRACEBACK = (
    "runs",
    "refused",
    "refused by i-PI",
    "not over in time",
    "fails",
    "TRACEBACK",
)
# imports take longer than two steps
SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(
    [
        "beadwise.driver.commands.run",
        "beadwise.driver.launch.run",
        "beadwise.driver.launch.energy_plot",
        "matplotlib.pyplot",
    ]
)

HEADER = """# The inputs that i-PI ships

Each input of i-PI's repository ({version}), shortened to {steps} steps, with `beadwise run` and a potential of ours in
place of its own: whether it runs, and the one line that is said if not. Made by

```
python docs/make_ipi_inputs.py FOLDER_OF_IPI --table docs/reference/ipi_inputs.md
```

"Refused by i-PI" is what i-PI itself says of the input, in the last line of its traceback: it is made for another
version, lacks a file or a package, or needs extras that no potential here sends. "Not over in time" are runs that were
stopped after {seconds:g} s; what they last told stands there.
"""


@dataclass(frozen=True)
class Row:
    """What came of one input."""

    path: Path
    models: tuple[str, ...]
    result: str
    reason: str


def inputs_of(checkout: Path, only: str) -> Iterator[Path]:
    """Inputs of i-PI, relative to its repository."""
    for folder in FOLDERS:
        for path in sorted((checkout / folder).rglob("*.xml")):
            if b"<simulation" in path.read_bytes() and only in str(path):
                yield path.relative_to(checkout)


def shorten(path: Path, number: int) -> Path:
    """Write an input of two steps with addresses of its own beside an input, and return it."""
    shortened = path.with_name(SHORTENED.format(path.name))
    try:
        root = ElementTree.parse(path).getroot()
    except ElementTree.ParseError:
        shutil.copy(path, shortened)  # the command has to say so
        return shortened
    steps = root.find("total_steps")
    if steps is None:
        steps = ElementTree.SubElement(root, "total_steps")
    first = (root.findtext("step") or "0").strip()
    steps.text = str((int(first) if first.isdecimal() else 0) + STEPS)
    for place, socket in enumerate(one for one in root.iter() if one.tag in ("ffsocket", "ffcavphsocket")):
        is_file = socket.get("mode", "inet").strip() != "inet"
        for name, text in (
            ("address", f"table-{number}-{place}" if is_file else "localhost"),
            ("port", str(FIRST_PORT + 20 * number + place)),
        ):
            element = socket.find(name)
            if element is None:
                element = ElementTree.SubElement(socket, name)
            element.text = text
    ElementTree.ElementTree(root).write(shortened)
    return shortened


def models_for(run: RunInput, socket: ForceSocket) -> list[str]:
    """Potentials that accept the atoms of a socket, those first that have what i-PI reads of it."""
    numbers = [element_of_label(label) or 0 for label in run.labels_sent_to(socket.name)]
    is_water = len(numbers) % 3 == 0 and np.array_equal(numbers, len(numbers) // 3 * [8, 1, 1])
    found = [MOLECULES] if is_water else []
    found += [NOBLE if set(numbers) <= NOBLE_GASES else ANYTHING]
    found += [LEARNED] if set(numbers) <= {1, 8} else []
    found += [COMMITTEE] if any(name.startswith("committee_") for name in socket.want) else []
    return sorted(found, key=lambda name: not set(socket.want) <= set(properties_of(name)))


@cache
def properties_of(name: str) -> tuple[str, ...]:
    """Properties of a potential."""
    return tuple(load_evaluator(name).properties)


def try_input(folder: Path, path: Path, number: int, seconds: float) -> Row:
    """Run one input; where a potential refuses it, with the next."""
    source = shorten(folder / path, number)
    try:
        run = RunInput.read(source)
        choices = {socket.name: models_for(run, socket) for socket in run.sockets}
    except BeadwiseError:
        choices = {}  # the command is going to say why
    for choice in range(max(map(len, choices.values()), default=1)):
        models = {name: names[min(choice, len(names) - 1)] for name, names in choices.items()}
        result, reason = run_once(source, models, seconds)
        if result != REFUSED:
            break
    reason = " ".join(reason.replace(source.name, path.name).replace(f"{folder}/", "").split())
    return Row(path, tuple(dict.fromkeys(models.values())), result, reason[:LONGEST_REASON])


def run_once(source: Path, models: dict[str, str], seconds: float) -> tuple[str, str]:
    """Run an input with these potentials, and tell what came of it."""
    options = [
        word
        for name, model in models.items()
        for word in ("--model", f"{name}={model}" if name and len(models) > 1 else model)
    ]
    arguments = ["run", source.name, "--threads", "1", *options]
    with tempfile.TemporaryDirectory() as scratch:
        output, errors = Path(scratch, "output"), Path(scratch, "errors")
        process = SERVER.Process(target=run_command, args=(source.parent, arguments, output, errors))
        process.start()
        process.join(seconds)
        is_over = not process.is_alive()
        if not is_over:
            process.terminate()
            process.join(PATIENCE)
            process.kill()
            process.join()
        said = [path.read_text(errors="replace") if path.exists() else "" for path in (output, errors)]
    return judge(process.exitcode or 0, is_over, *said)


def run_command(folder: Path, arguments: list[str], output: Path, errors: Path) -> None:
    """``beadwise`` in this process, a new one that has imported everything already."""
    for descriptor, path in ((1, output), (2, errors)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), descriptor)
    os.chdir(folder)
    command(arguments, prog_name="beadwise")


def judge(status: int, is_over: bool, output: str, errors: str) -> tuple[str, str]:
    """What the output of the command tells."""
    lines = [line for line in errors.strip().splitlines() if line.strip()]
    last = lines[-1].removeprefix("Error: ") if lines else ""
    if "Traceback (most recent call last)" in errors:
        return TRACEBACK, last
    if not is_over:
        return STOPPED, (output.strip().splitlines() or ["no step"])[-1]
    if status == 0:
        return RUNS, ""
    if status == 2:
        return (BY_IPI if last.startswith("i-PI refused") else REFUSED), last
    return FAILED, last


def table_of(rows: list[Row], version: str, seconds: float) -> str:
    """Counts, and a line for each input, those first that do not run."""
    counts = Counter(row.result for row in rows)
    text = HEADER.format(version=version, steps=STEPS, seconds=seconds)
    text += f"\n{len(rows)} inputs: {', '.join(f'{count} {result}' for result, count in counts.most_common())}.\n"
    text += "\n## Those that do not run\n\n| input | result | what is said |\n|---|---|---|\n"
    for row in rows:
        if row.result != RUNS:
            said = ENDS_OF_REASON.sub("", row.reason).replace("|", "\\|").replace("<", "&lt;")
            text += f"| {row.path} | {row.result} | {said} |\n"
    text += "\n## Those that run\n\n| input | potential |\n|---|---|\n"
    for row in rows:
        if row.result == RUNS:
            text += f"| {row.path} | {', '.join(f'`{model}`' for model in row.models)} |\n"
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkout", type=Path, metavar="FOLDER_OF_IPI")
    parser.add_argument("--table", type=Path, default=Path("ipi_inputs.md"))
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", default="")
    parser.add_argument("--version", default="3.3.0")
    parser.add_argument("--work", type=Path)
    given = parser.parse_args()
    paths = list(inputs_of(given.checkout, given.only))
    with tempfile.TemporaryDirectory() as scratch:
        folder = (given.work or Path(scratch)).absolute()
        for name in FOLDERS:
            if not (folder / name).exists():
                shutil.copytree(given.checkout / name, folder / name, symlinks=True)
        results = folder / "results.json"
        known = json.loads(results.read_text()) if results.exists() else {}

        def rows_of(group: list[tuple[int, Path]]) -> list[Row]:
            return [row_of(number, path) for number, path in group]

        def row_of(number: int, path: Path) -> Row:
            if known.get(str(path), ("", ""))[1] != RUNS:
                found = try_input(folder, path, number, given.seconds)
                known[str(path)] = (found.models, found.result, found.reason)
                print(f"{number + 1}/{len(paths)} {path}: {found.result} {found.reason}", flush=True)
                results.write_text(json.dumps(dict(known), indent=1))
            models, result, reason = known[str(path)]
            return Row(path, tuple(models), result, reason)

        with ThreadPoolExecutor(given.jobs) as pool:
            # one after the other in a folder, as they write files of one name
            groups = [list(group) for _, group in groupby(enumerate(paths), key=lambda pair: pair[1].parent)]
            rows = [row for found in pool.map(rows_of, groups) for row in found]
    given.table.write_text(table_of(rows, given.version, given.seconds), encoding="utf-8")
    print(f"written to {given.table}")


if __name__ == "__main__":
    main()
