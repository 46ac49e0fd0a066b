"""Several i-PIs at once, each with its own driver, and what they did compared."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from beadwise.driver.launch.supervision import ipi_command
from beadwise.runs.units import BOHR_PER_ANGSTROM, HARTREE_PER_ELECTRONVOLT

PATIENCE = 90  # seconds for everything that is started together
STRUCTURE = "start.xyz"

Server = Callable[[str], list[str]]  # from the name of a unix socket to a command


@dataclass(frozen=True)
class Side:
    """One i-PI and what answers it.

    ``@0``, ``@1`` … in its input stand for the addresses of its sockets, one for each server.
    """

    text: str
    servers: Sequence[Server] = ()


def dynamics_input(
    steps: int, beads: int = 1, timestep: float = 1.0, temperature: float = 300.0, batch: int | None = None
) -> str:
    """Dynamics at constant energy that one server drives, in fs and K; `properties` has step, potential, conserved.

    ``batch`` beads are sent at once, one by default.
    """
    together = "" if batch is None else f"<batch_size> {batch} </batch_size>"
    return f"""<simulation verbosity='low' floatformat='%.17e'>
  <output prefix='out'>
    <properties filename='properties' stride='1'>
      [step, potential{{electronvolt}}, conserved{{electronvolt}}]
    </properties>
  </output>
  <total_steps> {steps} </total_steps>
  <prng> <seed> 3 </seed> </prng>
  <ffsocket mode='unix' name='driver' pbc='false'> <address>@0</address> {together} </ffsocket>
  <system>
    <initialize nbeads='{beads}'>
      <file mode='ase'> {STRUCTURE} </file> <velocities mode='thermal' units='kelvin'> {temperature:g} </velocities>
    </initialize>
    <forces> <force forcefield='driver'/> </forces>
    <motion mode='dynamics'>
      <dynamics mode='nve'> <timestep units='femtosecond'> {timestep:g} </timestep> </dynamics>
    </motion>
    <ensemble> <temperature units='kelvin'> {temperature:g} </temperature> </ensemble>
  </system>
</simulation>"""


def beadwise(model: str) -> Server:
    """``beadwise serve MODEL``."""
    command = [sys.executable, "-m", "beadwise.driver", "serve", model, "--structure", STRUCTURE]
    return lambda address: [*command, "--unix", address]


def reference(stiffness: float) -> Server:
    """i-PI's own driver with the harmonic potential; the stiffness is in eV/Å²."""
    in_atomic_units = stiffness * HARTREE_PER_ELECTRONVOLT / BOHR_PER_ANGSTROM**2
    script = str(Path(sysconfig.get_path("scripts")) / "i-pi-driver-py")
    return lambda address: [sys.executable, script, *f"-u -a {address} -m harmonic -o {in_atomic_units!r}".split()]


def run_together(folder: Path, structure: str, sides: Mapping[str, Side]) -> dict[str, Path]:
    """Run each side in a folder of its own, all at the same time, to the end; returns the folders."""
    folders = {name: folder / name for name in sides}
    with ExitStack() as stack:
        running = []
        for name, side in sides.items():
            folders[name].mkdir(parents=True)
            (folders[name] / STRUCTURE).write_text(structure)
            running.append(_start(folders[name], side, stack))
        deadline = time.monotonic() + PATIENCE
        for path, processes in zip(folders.values(), running, strict=True):
            while any(states := [process.poll() for process in processes]) or None in states:
                in_time = time.monotonic() < deadline
                assert set(states) <= {None, 0} and in_time, f"exit status {states}; {_log(path)}"
                time.sleep(0.02)
    return folders


def _start(folder: Path, side: Side, stack: ExitStack) -> list[subprocess.Popen]:
    addresses = [f"beadwise-pair-{uuid.uuid4().hex[:12]}" for _ in side.servers]
    text = side.text
    for index, address in enumerate(addresses):
        text = text.replace(f"@{index}", address)
        stack.callback(Path(f"/tmp/ipi_{address}").unlink, missing_ok=True)
    (folder / "input.xml").write_text(text)
    log = stack.enter_context((folder / "log").open("w"))

    def start(command: list[str]) -> subprocess.Popen:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        stack.callback(process.wait)
        stack.callback(process.kill)
        return process

    ipi = start([*ipi_command(), "input.xml"])
    _wait_for_sockets(ipi, addresses, folder)
    return [ipi, *(start(serve(address)) for serve, address in zip(side.servers, addresses, strict=True))]


def _wait_for_sockets(ipi: subprocess.Popen, addresses: Sequence[str], folder: Path) -> None:
    """Wait until i-PI listens, as its own driver does not wait for it."""
    deadline = time.monotonic() + PATIENCE
    while not all(Path(f"/tmp/ipi_{address}").exists() for address in addresses):
        assert ipi.poll() is None and time.monotonic() < deadline, _log(folder)
        time.sleep(0.02)
    time.sleep(0.05 if addresses else 0)  # between the socket's file and its listening


def _log(folder: Path) -> str:
    return f"{folder.name}: {(folder / 'log').read_text()[-2000:]}"


def properties(folder: Path) -> np.ndarray:
    """i-PI's table of properties, shape (records, properties)."""
    return np.loadtxt(folder / "out.properties", ndmin=2)


def final_state(folder: Path) -> dict[str, np.ndarray]:
    """Positions and momenta of all beads, and the cell, that i-PI left in its restart file, in atomic units, flat."""
    text = (folder / "RESTART").read_text()
    arrays = {}
    for tag in ("q", "p", "cell"):
        numbers = re.search(rf"<{tag} shape='[^']*'>\s*\[([^\]]*)\]", text).group(1)
        arrays[tag] = np.array(numbers.split(","), float)
    return arrays


def largest_differences(first: Path, second: Path) -> dict[str, float]:
    """Largest difference of each kind, relative to the largest magnitude that it has.

    The properties are compared column by column, at every record, and positions at the end, relative to at least 1
    bohr, since a minimization in a trap takes them to zero.
    """
    tables = properties(first), properties(second)
    assert tables[0].shape == tables[1].shape
    differences = {"properties": max(map(_relative, tables[0].T, tables[1].T))}
    states = final_state(first), final_state(second)
    least = {"q": 1.0, "p": 0.0, "cell": 0.0}
    return differences | {name: _relative(states[0][name], states[1][name], least[name]) for name in least}


def _relative(first: np.ndarray, second: np.ndarray, least: float = 0.0) -> float:
    scale = max(least, np.abs(first).max())
    return float(np.abs(first - second).max() / scale) if scale else float(np.abs(second).max())
