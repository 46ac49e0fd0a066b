"""``python -m fuzz messages|files``, or ``again CASE``, from the root of the repository."""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
from pathlib import Path

from .formats import FORMATS, case, neighbours
from .judge import Case, Report, in_folder, judge, verdict_of
from .messages import conversation, converse, messages_in

GOOD = ("answered", "refused")


def main() -> int:
    """Run what the command line asks for; status 1 if a case failed."""
    parser = argparse.ArgumentParser(prog="python -m fuzz", description="Damaged messages and files by the thousand.")
    parser.add_argument("what", choices=("messages", "files", "again"))
    parser.add_argument("case", nargs="?", type=Path, help="with again: a case that was kept")
    parser.add_argument("--format", action="append", choices=tuple(FORMATS), help="of files; may be repeated")
    parser.add_argument("--count", type=int, default=1000, help="conversations, or files of each format")
    parser.add_argument("--seconds", type=float, default=math.inf, help="for each format, at most")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, default=Path("fuzz-cases"), help="folder for cases that fail")
    given = parser.parse_args()
    given.keep = given.keep.absolute()
    if given.what == "again":
        if given.case is None:
            parser.error("again needs the file of a case")
        return again(given.case)
    names = ["messages"] if given.what == "messages" else given.format or list(FORMATS)
    return int(any([run(name, given) for name in names]))


def run(name: str, given: argparse.Namespace) -> bool:
    """Run the cases of one kind, and say what came of them; whether one failed."""

    def keep(number: int, verdict: str, said: str) -> None:
        given.keep.mkdir(parents=True, exist_ok=True)
        file = given.keep / f"{name}.{verdict}.{given.seed}.{number}"
        file.write_bytes(made(name, given.seed, number).content)
        file.with_name(f"{file.name}.txt").write_text(said + "\n")
        print(f"{file}: {said.strip().splitlines()[-1][:200] if said.strip() else verdict}", flush=True)

    with tempfile.TemporaryDirectory() as folder, in_folder(Path(folder)) as here:
        neighbours(here)
        report = judge(lambda number: made(name, given.seed, number), given.count, given.seconds, keep)
    print(f"{name}: {summary(name, given.seed, report)}", flush=True)
    return any(verdict not in GOOD for verdict in report.verdicts)


def summary(name: str, seed: int, report: Report) -> str:
    """One line for the cases of one kind."""
    total = sum(report.verdicts.values())
    found = ", ".join(f"{count} {verdict}" for verdict, count in sorted(report.verdicts.items()))
    text = f"{total} cases of seed {seed} in {report.seconds:.0f} s: {found}"
    if name == "messages":
        sample = range(min(total, 1000))
        each = sum(messages_in(conversation(f"{seed}:{number}")) for number in sample) / max(1, len(sample))
        text += f"; about {each * total:.3g} messages"
    return text


def made(name: str, seed: int, number: int) -> Case:
    """The case of a kind, a seed and a number."""
    if name == "messages":
        return Case(conversation(f"{seed}:{number}"), converse)
    return Case(case(FORMATS[name], f"{name}:{seed}:{number}"), FORMATS[name].run)


def again(path: Path) -> int:
    """Read one kept case once more, with whatever it says."""
    name = path.name.partition(".")[0]
    content = path.read_bytes()
    read = converse if name == "messages" else FORMATS[name].run
    with tempfile.TemporaryDirectory() as folder, in_folder(Path(folder)) as here:
        neighbours(here)
        verdict, said = verdict_of(Case(content, read))
    print(verdict, said)
    return int(verdict not in GOOD)


if __name__ == "__main__":
    sys.exit(main())
