"""Runs whose processes are killed at random, and continued as they advise: is the result that of an undisturbed run.

``python -m fuzz.kills --kills 60 --seed 1`` makes small runs through every door, sends signals to their server, i-PI,
`run`, a rank or all of them, does what the last line says until the last step, and compares trajectory and spectrum
with those of a run to which nothing happened.  Nothing may be left: no process, no socket, no shared memory, no
temporary file.  What was not as it must be is printed, and the status is 1.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

CHECKPOINTS = 15  # in a run
PATIENCE = 150.0  # s, after which a run counts as hung
LEFT_BEHIND = 15.0  # s that processes have to end when their parent was killed
TOLERANCE = 1e-6
SIGNALS = (signal.SIGTERM, signal.SIGKILL, signal.SIGINT, signal.SIGSTOP)
ADVICE = re.compile(r"with `(?:cd \S+ && )?beadwise (run [^`]+)`(?: and the options of this run: ([^;\n]*))?")
BEADWISE = [sys.executable, "-m", "beadwise.driver"]
INPUT = """<simulation verbosity='low'>
  <output prefix='out'>
    <properties filename='md' stride='1'> [ step, time{{femtosecond}}, conserved, potential ] </properties>
    <trajectory filename='pos' stride='10' format='xyz'> positions </trajectory>
    <trajectory filename='dip' stride='1' extra_type='dipole'> extras </trajectory>
    <checkpoint filename='chk' stride='{stride}'/>
  </output>
  <total_steps> {steps} </total_steps>
  <prng> <seed> 5 </seed> </prng>
  {force_field}
  <system>
    <initialize nbeads='2'>
      <file mode='ase' units='angstrom'> water.extxyz </file>
      <velocities mode='thermal' units='kelvin'> 300 </velocities>
    </initialize>
    <forces> <force forcefield='one'/> </forces>
    <ensemble> <temperature units='kelvin'> 300 </temperature> </ensemble>
    <motion mode='dynamics'>
      <dynamics mode='nvt'>
        <timestep units='femtosecond'> 0.5 </timestep>
        <thermostat mode='pile_g'> <tau units='femtosecond'> 100 </tau> </thermostat>
      </dynamics>
    </motion>
  </system>
</simulation>
"""
WATER = """6
Lattice="12 0 0 0 12 0 0 0 12" Properties=species:S:1:pos:R:3 pbc="T T T"
O 1.00 1.00 1.00
H 1.96 1.00 1.00
H 0.76 1.93 1.00
O 3.80 1.30 1.20
H 4.40 2.04 1.10
H 4.36 0.52 1.10
"""
SOCKET = "<ffsocket mode='{mode}' name='one'> <address> {address} </address> <port> {port} </port> </ffsocket>"
DIRECT = """<ffdirect name='one'> <pes> custom </pes> <pes_path> {shim} </pes_path>
    <parameters> {{model: qtip4pf, structure: water.extxyz, want: dipole}} </parameters> </ffdirect>"""
COMPLETE = ["complete"]  # in place of a command
DOORS = ("unix", "tcp", "shm", "direct", "mpi")
VICTIMS = {"direct": ("run", "ipi", "all")}  # all others have servers, too


@dataclass
class Case:
    """One run, with what was done to it.

    Parameters
    ----------
    door : str
        How forces get to i-PI.
    folder : Path
        Where it runs.
    mark : str
        What its processes have in their environment.
    steps : int
        Where it ends.
    kills : list of str
        What was done to it so far.
    """

    door: str
    folder: Path
    mark: str
    steps: int
    kills: list[str] = field(default_factory=list)

    @property
    def address(self) -> str:
        """Of its unix socket."""
        return f"beadwise-kills-{self.mark}"

    def write(self, port: int) -> None:
        """Write input and structure."""
        from beadwise.driver.doors import shim

        force_field = {
            "unix": SOCKET.format(mode="unix", address=self.address, port=port),
            "shm": SOCKET.format(mode="shm", address=self.address, port=port),
            "tcp": SOCKET.format(mode="inet", address="localhost", port=port),
            "direct": DIRECT.format(shim=shim.__file__),
            "mpi": "<ffmpi mode='mpi' name='one'/>",
        }[self.door]
        self.folder.mkdir()
        (self.folder / "tmp").mkdir()
        (self.folder / "water.extxyz").write_text(WATER)
        stride = max(1, self.steps // CHECKPOINTS)
        text = INPUT.format(stride=stride, steps=self.steps, force_field=force_field)
        (self.folder / "input.xml").write_text(text)

    def start(self, words: list[str]) -> subprocess.Popen[str]:
        """Start it, ``run SOURCE …``, as the messages say it."""
        command = [*BEADWISE, *words]
        if self.door == "mpi":
            serve = [*BEADWISE, "serve", "qtip4pf", "--mpi", "--structure", words[1], "--want", "dipole"]
            command = [mpiexec(), "-n", "1", *BEADWISE, "ipi", words[1], ":", "-n", "1", *serve]
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env={**os.environ, "BEADWISE_KILLS": self.mark, "TMPDIR": str(self.folder / "tmp"), "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def first_words(self) -> list[str]:
        """How it is started."""
        options = [] if self.door in ("direct", "mpi") else ["--model", "qtip4pf"]
        return ["run", "input.xml", *options, "--threads", "1", "--spectrum", "none"]

    def processes(self) -> Iterator[tuple[int, str]]:
        """Its processes that are there, and what they are: run, ipi or server."""
        for path in Path("/proc").glob("[0-9]*"):
            try:
                if f"BEADWISE_KILLS={self.mark}".encode() in (path / "environ").read_bytes():
                    yield int(path.name), kind_of((path / "cmdline").read_bytes().split(b"\0"))
            except OSError:
                continue

    def last_step(self) -> int:
        """Step of the last whole record; −1 before the first."""
        path = self.folder / "out.md"
        lines = path.read_text().splitlines() if path.exists() else []
        records = [line for line in lines if line and not line.startswith("#")]
        return int(float(records[-1].split()[0])) if records else -1


def kind_of(words: list[bytes]) -> str:
    """What a process is, of its command line."""
    if b":" in words:  # mpiexec, which names all ranks
        return "run"
    if b"ipi" in words or any(word.endswith(b"/i-pi") for word in words):
        return "ipi"
    return next((name for name in ("server", "run") if name.removesuffix("r").encode() in words), "other")


def mpiexec() -> str:
    """The launcher, beside Python or on the search path."""
    found = shutil.which("mpiexec", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if found is None:
        raise SystemExit("no mpiexec; leave the door mpi out with --doors")
    return found


def disturb(case: Case, run: subprocess.Popen[str], random_numbers: random.Random) -> bool:
    """Send one signal at a random moment; False if the run had ended before."""
    target = random_numbers.randrange(-case.steps // 5, case.steps)  # negative: while things start
    pause = random_numbers.uniform(0.0, 3.0 if target < 0 else 0.02)
    victim = random_numbers.choice(VICTIMS.get(case.door, ("run", "ipi", "server", "all")))
    number = random_numbers.choice(SIGNALS)
    while target >= 0 and run.poll() is None and case.last_step() < target:
        time.sleep(0.005)
    time.sleep(pause)
    there = list(case.processes())
    if victim not in ("all", *(kind for _, kind in there)):  # not started yet
        victim = "run"
    found = [(pid, kind) for pid, kind in there if victim in (kind, "all")]
    if run.poll() is not None or not found:
        return False
    chosen = found if victim == "all" else [random_numbers.choice(found)]
    case.kills.append(f"{number.name} to {victim} at step {case.last_step()}")
    for pid, _ in sorted(chosen, reverse=random_numbers.random() < 0.5):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue
    # whoever suspends `run`, a rank or a whole job lets it go on some time
    if number == signal.SIGSTOP and (victim in ("run", "all") or case.door == "mpi"):
        time.sleep(1.0)
        for pid, _ in chosen:
            try:
                os.kill(pid, signal.SIGCONT)
            except ProcessLookupError:
                continue
    return True


def saved(folder: Path) -> tuple[int, str]:
    """What to go on with where nobody is left to say it, as the documentation tells: the newest that is whole."""
    from beadwise.runs.input.elements import InputError
    from beadwise.runs.input.run_input import RunInput

    found = []
    for name in ("RESTART", "out.chk"):
        try:
            found.append((RunInput.read(folder / name).step, name))
        except InputError:
            continue
    return max(found, default=(0, "input.xml"))


def finish(case: Case, kills: int, random_numbers: random.Random) -> str | None:
    """Run, kill and continue to the last step; what was not as it must be, None if all was."""
    words = case.first_words()
    for _ in range(kills + 20):
        run = case.start(words)
        if len(case.kills) < kills:
            disturb(case, run, random_numbers)
        try:
            said = run.communicate(timeout=PATIENCE)[0]
        except subprocess.TimeoutExpired:
            return f"hung; processes {dict(case.processes())}"
        if fault := wait_for_processes(case):
            return fault
        if "Traceback" in said and case.door != "mpi" and not said.rstrip().endswith("KeyboardInterrupt"):
            return f"traceback: {said.strip().splitlines()[-1]}"
        step = case.last_step()
        if run.returncode == 0 and case.door != "mpi":
            return None if step == case.steps else f"status 0 at step {step}"
        if case.door == "mpi" and step == case.steps and run.returncode == 0:
            return None
        words = advised(case, run.returncode, said, words)
        if words == COMPLETE:  # all were killed after the last step: the next run would take these away
            for path in (case.folder / ".beadwise.lock", Path(f"/tmp/ipi_{case.address}")):
                path.unlink(missing_ok=True)
            return None
        if not words:
            return f"status {run.returncode} without advice: {said.strip()[-300:]}"
    return "did not come to an end"


def advised(case: Case, status: int, said: str, words: list[str]) -> list[str]:
    """Words of the next command: what the last line says; where nobody could say anything, of the newest file."""
    if found := ADVICE.findall(said):
        command, options = found[-1]
        return [*shlex.split(command), *shlex.split(options)]
    if status < 0 or case.door == "mpi":
        step, source = saved(case.folder)
        return COMPLETE if step == case.steps else [words[0], source, *words[2:]]
    # the last is what Python itself says while it starts
    signs = ("Error: interrupted", "before i-PI was started", "i-PI was not started", "KeyboardInterrupt")
    not_begun = said.strip().endswith(signs)
    return words if not_begun else []


def wait_for_processes(case: Case) -> str | None:
    """Wait until all have ended; what is left, None if nothing is."""
    deadline = time.monotonic() + LEFT_BEHIND
    while left := dict(case.processes()):
        if time.monotonic() > deadline:
            return f"left behind {left}"
        time.sleep(0.1)
    return None


def leftovers(case: Case, memory: set[str]) -> str | None:
    """What a run has left where nothing may be."""
    found = [str(path) for path in [Path(f"/tmp/ipi_{case.address}")] if path.exists()]
    found += sorted(set(shared_memory()) - memory)
    found += [path.name for path in (case.folder / "tmp").iterdir()]
    found += [path.name for path in case.folder.glob(".*")]
    found += [name for name in ("EXIT",) if (case.folder / name).exists()]
    return f"left behind {', '.join(found)}" if found else None


def shared_memory() -> list[str]:
    """Segments of i-PIs that are gone; others are those of runs beside this one."""
    segments = [path.name for path in Path("/dev/shm").glob("ipi_shm_*")]
    return [name for name in segments if not Path(f"/proc/{name.split('_')[2]}").exists()]


def table(path: Path) -> np.ndarray:
    """Records of a property file by step, the last of each; shape (steps, columns)."""
    rows = {int(row[0]): row for row in np.loadtxt(path, ndmin=2)}
    return np.array([rows[step] for step in sorted(rows)])


def spectrum(case: Case) -> np.ndarray:
    """Infrared spectrum of a run as the command makes it of its files, shape (frequencies, columns)."""
    command = [*BEADWISE, "spectrum", "ir", "input.xml", "--window", "20", "--output", "spectrum"]
    done = subprocess.run(command, cwd=case.folder, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{case.folder}: {done.stderr}")
    lines = next(case.folder.glob("spectrum*.csv")).read_text().splitlines()
    return np.array([line.split(",") for line in lines if line[:1].isdigit()], float)


def difference(case: Case, reference: Case) -> str | None:
    """What is not as in the reference; None if all is."""
    own, other = table(case.folder / "out.md"), table(reference.folder / "out.md")
    if own.shape != other.shape:
        missing = sorted(set(other[:, 0]) - set(own[:, 0]))
        return f"steps {missing} are missing"
    for name, first, second in (("trajectory", own, other), ("spectrum", spectrum(case), spectrum(reference))):
        if first.shape != second.shape:
            return f"{name} of {len(first)} rows, not {len(second)}"
        if not np.array_equal(np.isnan(first), np.isnan(second)):  # errors that a short run does not have
            return f"{name} has other gaps"
        first, second = np.nan_to_num(first), np.nan_to_num(second)
        worst = (np.abs(first - second).max(axis=0) / np.abs(second).max(axis=0).clip(1e-300)).max()
        if not worst < TOLERANCE:
            return f"{name} differs by {worst:.1e}"
    return None


def main() -> int:
    """Make runs until there were so many kills."""
    parser = argparse.ArgumentParser(prog="python -m fuzz.kills", description="Random kills of runs.")
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=300, help="of each run")
    parser.add_argument("--doors", default=",".join(DOORS), help="of " + ", ".join(DOORS))
    given = parser.parse_args()
    doors = given.doors.split(",")
    random_numbers = random.Random(given.seed)
    counts: Counter[str] = Counter()
    faults = 0
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        door = "direct" if "direct" in doors else "unix"
        reference = Case(door, root / "reference", f"{os.getpid()}-reference", given.steps)
        reference.write(port=0)
        if fault := finish(reference, 0, random_numbers):
            print(f"the undisturbed run: {fault}")
            return 1
        number = 0
        while sum(counts.values()) < given.kills:
            door = doors[number % len(doors)]
            case = Case(door, root / f"case{number}", f"{os.getpid()}-{number}", given.steps)
            case.write(port=random_numbers.randrange(42000, 60000))
            memory = set(shared_memory())
            wanted = min(random_numbers.randint(1, 3), given.kills - sum(counts.values()))
            fault = finish(case, wanted, random_numbers) or leftovers(case, memory) or difference(case, reference)
            counts.update(f"{door} {kill.split(' at ')[0]}" for kill in case.kills)
            faults += fault is not None
            print(
                f"case {number} {door}: {'; '.join(case.kills) or 'no kill'}: {fault or 'as undisturbed'}", flush=True
            )
            if fault is None:
                shutil.rmtree(case.folder)
            else:
                shutil.copytree(case.folder, Path.cwd() / f"kills-{given.seed}-{number}", dirs_exist_ok=True)
            for pid, _ in case.processes():
                os.kill(pid, signal.SIGKILL)
            number += 1
    for kill, count in sorted(counts.items()):
        print(f"{count:4d} {kill}")
    print(f"{sum(counts.values())} kills in {number} runs, {faults} not as they must be")
    return int(faults > 0)


if __name__ == "__main__":
    sys.exit(main())
