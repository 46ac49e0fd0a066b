"""What a page that follows a run costs the run; see the README.

python benchmarks/watch.py [--pairs 150] [--seconds 3] [--threads 2] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

import numpy as np
from measuring import ROOT, machine

COMMAND = [sys.executable, "-m", "beadwise"]
TICK = os.sysconf("SC_CLK_TCK")
POLL = 2.0  # s, of a page that is open
WARM_UP = 100  # steps
TOLERANCE = 0.01


class Run:
    """The shipped run of water, of which every step is written."""

    def __init__(self, folder: Path, threads: int):
        self.folder = folder
        text = (ROOT / "inputs" / "water.xml").read_text(encoding="utf-8")
        text = re.sub(r"<total_steps>.*?</total_steps>", "<total_steps> 10000000 </total_steps>", text)
        text = text.replace("filename='out' stride='10'", "filename='out' stride='1'")
        (folder / "water.xml").write_text(text.replace("beadwise-water", f"beadwise-watch-{os.getpid()}"))
        shutil.copy(ROOT / "inputs" / "water_64.xyz", folder)
        options = ["--threads", str(threads), "--spectrum", "ir,raman", "--no-report"]
        self.process = subprocess.Popen(
            [*COMMAND, "run", "water.xml", *options],
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._file = folder / "water.out"
        self._position, self._rows = 0, 0

    def next_step(self) -> tuple[int, float, float]:
        """Wait for the next step: how many there were, when, and how much time of processors the run has taken."""
        before = self._count()
        while (now := self._count()) == before:
            if self.process.poll() is not None:
                raise SystemExit("the run has ended")
            time.sleep(0.001)
        return now, time.perf_counter(), sum(map(cpu_seconds, family(self.process.pid)))

    def _count(self) -> int:
        if self._file.exists():
            with open(self._file, "rb") as file:
                file.seek(self._position)
                new = file.read()
            self._position += len(new)
            self._rows += new.count(b"\n")
        return self._rows


class Watch:
    """``beadwise watch`` with a page that is open, which can be stopped and go on."""

    def __init__(self, folder: Path):
        # in a session of its own, as another terminal is, or `run --live` starts it
        command = [*COMMAND, "watch", str(folder)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
        assert self.process.stdout is not None
        found = re.search(r"http://\S+/", self.process.stdout.readline())
        assert found is not None
        self.url, self.answers, self.bytes = found[0], 0, 0
        self._is_open = threading.Event()
        threading.Thread(target=self._ask, daemon=True).start()

    def switch(self, on: bool) -> None:
        """Let it go on, or stop it."""
        self.process.send_signal(signal.SIGCONT if on else signal.SIGSTOP)
        (self._is_open.set if on else self._is_open.clear)()

    def _ask(self) -> None:
        tag = ""
        while True:
            self._is_open.wait()
            request = urllib.request.Request(f"{self.url}update.json", headers={"Accept-Encoding": "gzip"})
            if tag:
                request.add_header("If-None-Match", tag)
            with suppress(OSError), urllib.request.urlopen(request, timeout=120) as answer:
                self.bytes += len(answer.read())
                tag, self.answers = answer.headers["ETag"], self.answers + 1
            time.sleep(POLL)


def family(process: int) -> list[int]:
    """A process and all that it has started."""
    found = [process]
    with suppress(OSError):
        for task in Path(f"/proc/{process}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += family(int(child))
    return found


def cpu_seconds(process: int) -> float:
    """Time of processors that a process has taken."""
    try:
        words = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(words[11]) + int(words[12])) / TICK


def measure(pairs: int, seconds: float, threads: int) -> dict[str, object]:
    """Alternate: off on, on off, off on …, so that a trend of the machine meets both alike."""
    with tempfile.TemporaryDirectory() as folder:
        run = Run(Path(folder), threads)
        watch = None
        try:
            while run.next_step()[0] < WARM_UP:
                pass
            watch = Watch(Path(folder))
            watch.switch(True)
            while watch.answers < 3:  # what it costs to start is told apart
                time.sleep(0.2)
            start = cpu_seconds(watch.process.pid)
            rates: dict[bool, list[float]] = {True: [], False: []}
            costs: dict[bool, list[float]] = {True: [], False: []}
            own = []
            for pair in range(pairs):
                for on in (False, True) if pair % 2 else (True, False):
                    watch.switch(on)
                    steps, begin, cpu = run.next_step()
                    before = cpu_seconds(watch.process.pid)
                    time.sleep(seconds)
                    last, end, cpu_at_end = run.next_step()
                    rates[on].append((last - steps) / (end - begin))
                    costs[on].append((cpu_at_end - cpu) / (last - steps))
                    if on:
                        own.append((cpu_seconds(watch.process.pid) - before) / (end - begin))
                print(f"{rates[False][-1]:8.3f} {rates[True][-1]:8.3f} steps/s, watch {100 * own[-1]:.2f} % of a core")
            return {
                "machine": machine(),
                "threads of the server": threads,
                "pairs": pairs,
                "seconds": seconds,
                "steps per second without": float(np.mean(rates[False])),
                "steps per second with": float(np.mean(rates[True])),
                "ratio of times of a step": ratio(rates[False], rates[True]),
                "ratio of processor times of a step": ratio(costs[True], costs[False]),
                "share of a core of watch": [float(np.mean(own)), float(np.std(own) / np.sqrt(len(own)))],
                "processor time of its start": start,
                "changes that the page got": watch.answers,
                "bytes of each": watch.bytes / max(watch.answers, 1),
            }
        finally:
            for process in [run.process, *([watch.process] if watch else [])]:
                process.send_signal(signal.SIGCONT)
                process.terminate()
                process.wait(60)


def ratio(above: list[float], below: list[float]) -> list[float]:
    """Geometric mean of the ratios of all pairs, which noise does not shift, and its standard error."""
    ratios = np.log(np.array(above) / np.array(below))
    mean = float(np.exp(ratios.mean()))
    return [mean, mean * float(ratios.std(ddof=1) / np.sqrt(len(ratios)))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=150)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    found = measure(arguments.pairs, arguments.seconds, arguments.threads)
    for name, value in found.items():
        print(f"{name}: {value}")
    slower, error = found["ratio of times of a step"]
    print(
        f"a step takes {100 * (slower - 1):+.2f} ± {100 * error:.2f} % longer with a page; allowed is {TOLERANCE:.0%}"
    )
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
