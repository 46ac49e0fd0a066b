"""Memory and speed in a run of very many tiny steps through a real socket.

``python -m fuzz.soak --steps 1000000 --minutes 60`` starts `beadwise run` with one atom in a harmonic trap, and looks
at the processes while it goes on.  Status 0 if the memory of `run`, of the server and of i-PI has grown by no more than
5 % after the first tenth of the steps, and neither server nor i-PI needs more of the processor for a step than at
first; 1 if not.  Seconds of the clock are printed only: other work on the machine changes them.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

ALLOWED = 0.05  # growth of memory
WARM = 0.1  # share of the steps after which memory is first looked at: plots are drawn, all code has been used
DEARER = (
    1.25  # processor time of a step in the last fifth, of that in the first: other work on the machine counts a bit
)
LOOK = 2.0  # s
PAGE = os.sysconf("SC_PAGE_SIZE")
TICKS = os.sysconf("SC_CLK_TCK")
INPUT = """<simulation verbosity='low'>
  <output prefix='soak'>
    <properties filename='out' stride='{stride}'> [ step, time{{picosecond}}, conserved, potential ] </properties>
    <checkpoint filename='chk' stride='{stride}0'/>
  </output>
  <total_steps> {steps} </total_steps>
  <prng> <seed> 1 </seed> </prng>
  <ffsocket mode='unix' name='trap' pbc='false'> <address> {address} </address> <latency> 0 </latency> </ffsocket>
  <system>
    <initialize nbeads='1'>
      <file mode='xyz' units='angstrom'> atom.xyz </file>
      <cell mode='abc' units='angstrom'> [ 20, 20, 20 ] </cell>
      <velocities mode='thermal' units='kelvin'> 300 </velocities>
    </initialize>
    <forces> <force forcefield='trap'/> </forces>
    <ensemble> <temperature units='kelvin'> 300 </temperature> </ensemble>
    <motion mode='dynamics'>
      <dynamics mode='nve'> <timestep units='femtosecond'> 0.1 </timestep> </dynamics>
    </motion>
  </system>
</simulation>
"""


@dataclass(frozen=True)
class Look:
    """What was seen at one time: seconds, step, and by name of process memory in MiB and seconds of the processor."""

    seconds: float
    step: int
    memory: dict[str, float]
    busy: dict[str, float]


def resident(process: int) -> float:
    """Memory of a process in MiB."""
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * PAGE / 2**20


def busy(process: int) -> float:
    """Seconds of the processor that a process has used."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def children(process: int) -> dict[str, int]:
    """The server and the i-PI of a run, by name."""
    found = {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            words = (path / "cmdline").read_bytes().split(b"\0")
        except (OSError, ValueError):
            continue
        if parent == process:
            found["server" if b"serve" in words else "i-PI"] = int(path.name)
    return found


def last_step(folder: Path) -> int:
    """Step of the last whole record."""
    path = folder / "soak.out"
    if not path.exists():
        return 0
    with open(path, "rb") as file:
        file.seek(max(0, path.stat().st_size - 1000))
        lines = [line for line in file.read().split(b"\n")[:-1] if line and not line.startswith(b"#")]
    return int(float(lines[-1].split()[0])) if lines else 0


def watch(folder: Path, run: subprocess.Popen[bytes]) -> list[Look]:
    """Look until the run has ended."""
    began, looks = time.monotonic(), []
    while run.poll() is None:
        time.sleep(LOOK)
        step = last_step(folder)
        try:
            processes = {"run": run.pid, **children(run.pid)}
            memory = {name: resident(number) for name, number in processes.items()}
            used = {name: busy(number) for name, number in processes.items()}
        except (OSError, IndexError):
            continue
        if len(memory) == 3 and (not looks or step > looks[-1].step):
            looks.append(Look(time.monotonic() - began, step, memory, used))
            if len(looks) % 10 == 1:
                print(f"{looks[-1].seconds:8.0f} s  step {step:9d}  " + describe(memory), flush=True)
    return looks


def describe(memory: dict[str, float]) -> str:
    """One line of memory."""
    return "  ".join(f"{name} {value:.1f} MiB" for name, value in memory.items())


def verdict(looks: list[Look]) -> bool:
    """Say what has changed; whether that is allowed."""
    warm = [look for look in looks if look.step >= WARM * looks[-1].step]
    fifth = max(1, len(warm) // 5)
    first, last = speed(warm[: fifth + 1]), speed(warm[-fifth - 1 :])
    growth, dearer = {}, {}
    for name in warm[0].memory:
        values = np.array([look.memory[name] for look in warm])
        growth[name] = np.median(values[-fifth:]) / np.median(values[:fifth]) - 1
        dearer[name] = cost(warm[-fifth - 1 :], name) / cost(warm[: fifth + 1], name)
    print(
        f"{looks[-1].step} steps in {looks[-1].seconds:.0f} s, at first {first:.0f} steps/s, at last {last:.0f} steps/s"
    )
    print("growth of memory: " + ", ".join(f"{name} {100 * value:+.2f} %" for name, value in growth.items()))
    print("processor time of a step, last of first: " + ", ".join(f"{name} {own:.3f}" for name, own in dearer.items()))
    return bool(max(growth.values()) <= ALLOWED and max(dearer["server"], dearer["i-PI"]) <= DEARER)


def speed(looks: list[Look]) -> float:
    """Steps per second."""
    return (looks[-1].step - looks[0].step) / (looks[-1].seconds - looks[0].seconds)


def cost(looks: list[Look], name: str) -> float:
    """Seconds of the processor for a step."""
    return (looks[-1].busy[name] - looks[0].busy[name]) / (looks[-1].step - looks[0].step)


def main() -> int:
    """Run, look, judge."""
    parser = argparse.ArgumentParser(prog="python -m fuzz.soak", description="Very many tiny steps: memory and speed.")
    parser.add_argument("--steps", type=int, default=1_000_000)
    parser.add_argument("--minutes", type=float, default=60.0, help="end after so long")
    own = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        stride = max(1, min(1000, own.steps // 200))
        text = INPUT.format(steps=own.steps, stride=stride, address=f"beadwise-soak-{os.getpid()}")
        (folder / "input.xml").write_text(text)
        (folder / "atom.xyz").write_text("1\n\nH 0.1 0.2 0.3\n")
        command = [sys.executable, "-m", "beadwise.driver", "run", "input.xml", "--model", "harmonic:k=5.0"]
        command += ["--threads", "1", "--walltime", f"{max(10, round(60 * own.minutes))}s"]
        with subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL) as run:
            looks = watch(folder, run)
        if run.returncode not in (0, 3) or len(looks) < 10:
            print(f"the run ended with status {run.returncode} after {len(looks)} looks")
            return 1
        return 0 if verdict(looks) else 1


if __name__ == "__main__":
    sys.exit(main())
