"""The whole cycle of a crystal that is solved exactly, with real runs of i-PI, and what is exact beside it.

python benchmarks/quartic_crystal.py FOLDER [PICOSECONDS] [BEADS]
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from ase.io import write
from ase.units import J, _hbar, kB, s
from beadwise.inputs.quartic_crystal import QUARTIC, STIFFNESS, structure

MODEL = "beadwise.inputs.quartic_crystal:crystal"
TEMPERATURE = 300.0
TIMESTEP = 0.5  # fs
MASS = 1.008  # u, of ASE
INPUT = """<simulation verbosity='low' safe_stride='1000'>
  <output prefix='quartic'>
    <properties filename='out' stride='5'> [ step, potential{{electronvolt}}, kinetic_cv{{electronvolt}} ] </properties>
  </output>
  <total_steps> {steps} </total_steps>
  <prng> <seed> {seed} </seed> </prng>
  <ffdirect name='crystal' threaded='true' pbc='false'>
    <pes> custom </pes> <pes_path> {shim} </pes_path>
    <parameters> {{structure: quartic.minimum.xyz, model: {model}}} </parameters>
    <batch_size> {beads} </batch_size>
  </ffdirect>
  <system>
    <initialize nbeads='{beads}'>
      <file mode='ase'> quartic.minimum.xyz </file>
      <velocities mode='thermal' units='kelvin'> 300 </velocities>
    </initialize>
    <forces> <force forcefield='crystal'/> </forces>
    <ensemble> <temperature units='kelvin'> 300 </temperature> </ensemble>
    <motion mode='dynamics'>
      <fixcom> False </fixcom>
      <dynamics mode='nvt' splitting='baoab'>
        <timestep units='femtosecond'> {timestep} </timestep>
        <thermostat mode='{thermostat}'> <tau units='femtosecond'> 10 </tau> </thermostat>
      </dynamics>
    </motion>
  </system>
</simulation>
"""


def kernel_free_energy(stiffness: float, quartic: float, beads: int, mass: float = MASS) -> float:
    """Free energy in eV of one coordinate of P beads, from powers of the Trotter kernel on a grid."""
    x = np.linspace(-1.2, 1.2, 801)
    step, beta = x[1] - x[0], 1 / (kB * TEMPERATURE)
    potential = stiffness / 2 * x**2 + quartic * x**4
    spring = mass * beads / (2 * beta * (_hbar * J * s) ** 2)
    kernel = np.sqrt(spring / np.pi) * np.exp(
        -spring * (x[:, None] - x) ** 2 - beta / beads * (potential[:, None] + potential) / 2
    )
    values = np.linalg.eigvalsh(kernel * step)
    return float(-np.log((values[values > 0] ** beads).sum()) / beta)


def run(*arguments: object, folder: Path = Path()) -> str:
    """Call a command of beadwise; what it printed."""
    command = [sys.executable, "-m", "beadwise", *map(str, arguments)]
    environment = {**os.environ, "BEADWISE_PROGRESS": "none", "BEADWISE_TRUST": MODEL, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, check=True, env=environment, cwd=folder, stdout=subprocess.PIPE, text=True).stdout


def run_apart(source: Path) -> Path:
    """Run an input in a folder of its own, unless that was done; the input there."""
    folder = source.with_suffix("")
    moved = folder / source.name
    if not (folder / "RESTART").exists():
        folder.mkdir(exist_ok=True)
        for file in ("quartic.minimum.xyz", "quartic.harmonic.npz"):
            shutil.copy(file, folder)
        shutil.copy(source, moved)
        run("run", moved.name, "--no-report", folder=folder)
    return moved


def main(folder: Path, picoseconds: float, beads: int) -> None:
    """Run all, and print a table in meV per coordinate."""
    folder.mkdir(exist_ok=True)
    os.chdir(folder)
    start = structure()
    start.rattle(0.02, seed=1)
    write("quartic.xyz", start, format="extxyz")
    harmonic = ("quartic.xyz", "--model", MODEL, "--held", "--displacement", 1e-3, "--beads", beads)
    run("harmonic", *harmonic, "--json", "harmonic.json")
    shim = run("shim").strip()
    for name, own, thermostat, seed in (("classical", 1, "langevin", 900), ("quantum", beads, "pile_l", 700)):
        text = INPUT.format(
            steps=round(1000 * picoseconds / TIMESTEP), beads=own, timestep=TIMESTEP, thermostat=thermostat, seed=seed,
            shim=shim, model=MODEL,
        )  # fmt: skip
        Path(f"{name}.xml").write_text(text)
        if not list(Path().glob(f"{name}_l*.xml")):
            nodes = ("--nodes", 4, "--path", "plain", "--stride", 4)
            run("lambda-integration", "--prepare", f"{name}.xml", "--harmonic", "quartic.harmonic.npz", *nodes)
    if not list(Path().glob("quantum_y*.xml")):
        run("mass-integration", "--prepare", "quantum.xml", "--ratios", 4)
    kinds = {"classical_l": "lambda-integration", "quantum_l": "lambda-integration", "quantum_y": "mass-integration"}
    inputs = {kind: sorted(Path().glob(f"{kind}*.xml")) for kind in kinds}
    every = [source for own in inputs.values() for source in own]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        done = dict(zip(every, pool.map(run_apart, every), strict=True))
    results = {}
    for kind, command in kinds.items():
        run(command, *(done[source] for source in inputs[kind]), "--output", kind, "--json", f"{kind}.json")
        results[kind] = json.loads(Path(f"{kind}.json").read_text())
    report(results, json.loads(Path("harmonic.json").read_text()), beads)


def report(results: dict, harmonic: dict, beads: int) -> None:
    """Print what came out beside what is exact."""
    per = 1000 / 192
    of_harmonic = harmonic["free_energies"][0]
    exact = {one: 1000 * kernel_free_energy(STIFFNESS, QUARTIC, one) for one in (1, beads)}
    of_springs = {one: 1000 * kernel_free_energy(STIFFNESS, 0.0, one) for one in (1, beads)}
    print("meV per coordinate; exact from powers of the Trotter kernel")
    print(f"{'':40}{'found':>10}{'error':>8}{'exact':>10}")

    def row(name: str, value: float, error: float, exactly: float) -> None:
        print(f"{name:40}{value:>10.4f}{error:>8.4f}{exactly:>10.4f}{(value - exactly) / max(error, 1e-9):>8.1f} σ")

    parts = {}
    for kind, own in (("classical_l", 1), ("quantum_l", beads)):
        for one in results[kind]["runs"]:
            print(
                f"  {kind}: λ = {one['lambda']:.5f} "
                f"<V - V_har> {per * one['mean']:9.4f} ± {per * one['standard_error']:.4f}"
            )
        for method in ("integration", "multistate"):
            found = results[kind][method]
            parts[kind, method] = per * found["difference"], per * found["standard_error"]
            row(f"{own} beads, A - A_har, {method}", *parts[kind, method], exact[own] - of_springs[own])
    mass = results["quantum_y"]
    quantum, its_error = per * mass["difference"], per * mass["standard_error"]
    row("A_q - A_cl", quantum, its_error, exact[beads] - exact[1])
    for method in ("integration", "multistate"):
        value, error = parts["classical_l", method]
        total = per * of_harmonic["classical"] + value + quantum
        row(f"classical → λ ({method}) → masses", total, float(np.hypot(error, its_error)), exact[beads])
        value, error = parts["quantum_l", method]
        row(f"{beads} beads → λ ({method})", per * of_harmonic[f"{beads}_beads"] + value, error, exact[beads])


if __name__ == "__main__":
    main(
        Path(sys.argv[1]),
        float(sys.argv[2]) if len(sys.argv) > 2 else 4.0,
        int(sys.argv[3]) if len(sys.argv) > 3 else 16,
    )
