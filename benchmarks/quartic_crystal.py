"""The whole cycle of a crystal that is solved exactly, with real runs of i-PI, and what is exact beside it.

python benchmarks/quartic_crystal.py FOLDER [PICOSECONDS] [BEADS]
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from ase.io import write
from ase.units import J, _hbar, kB, s
from beadwise.inputs.quartic_crystal import QUARTIC, STIFFNESS, structure

MODEL = "beadwise.inputs.quartic_crystal:crystal"
TEMPERATURE = 300.0
MASS = 1.008  # u, of ASE
INPUT = """<simulation verbosity='low' safe_stride='1000'>
  <output prefix='quartic'>
    <properties filename='out' stride='5'> [ step, potential{{electronvolt}}, kinetic_cv{{electronvolt}} ] </properties>
  </output>
  <total_steps> {steps} </total_steps>
  <prng> <seed> 7 </seed> </prng>
  <ffsocket mode='unix' name='crystal' pbc='false'> <address> {address} </address> </ffsocket>
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


def run(*arguments: object) -> None:
    """Call a command of beadwise."""
    command = [sys.executable, "-m", "beadwise", *map(str, arguments)]
    environment = {**os.environ, "BEADWISE_PROGRESS": "none"}
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)


def main(folder: Path, picoseconds: float, beads: int) -> None:
    """Run all, and print a table in meV per coordinate."""
    folder.mkdir(exist_ok=True)
    os.chdir(folder)
    start = structure()
    start.rattle(0.02, seed=1)
    write("quartic.xyz", start, format="extxyz")
    run(
        "harmonic",
        "quartic.xyz",
        "--model",
        MODEL,
        "--held",
        "--displacement",
        1e-3,
        "--beads",
        beads,
        "--json",
        "harmonic.json",
    )
    routes = {"classical": (1, 1.0, "langevin"), "quantum": (beads, 0.5, "pile_l")}
    for name, (own, timestep, thermostat) in routes.items():
        text = INPUT.format(
            steps=round(1000 * picoseconds / timestep), beads=own, timestep=timestep, thermostat=thermostat,
            address=f"{name}_{os.getpid()}",
        )  # fmt: skip
        Path(f"{name}.xml").write_text(text)
        if not list(Path().glob(f"{name}_l*.xml")):
            run("lambda-integration", "--prepare", f"{name}.xml", "--harmonic", "quartic.harmonic.npz", "--nodes", 4,
                "--path", "plain", "--model", MODEL)  # fmt: skip
    if not list(Path().glob("quantum_y*.xml")):
        run("mass-integration", "--prepare", "quantum.xml", "--ratios", 4)
    results = {}
    for kind, command in (
        ("classical_l", "lambda-integration"),
        ("quantum_l", "lambda-integration"),
        ("quantum_y", "mass-integration"),
    ):
        inputs = sorted(Path().glob(f"{kind}*.xml"))
        for own in inputs:
            prefix = own.stem.replace("classical", "quartic").replace("quantum", "quartic")
            text = own.read_text().replace(f'prefix="{prefix}"', f'prefix="{own.stem}"')
            own.write_text(text)
            if not Path(f"{own.stem}.log").exists():
                models = ["--model", MODEL] if kind.endswith("y") else ["--trust", MODEL]
                run("run", own, "--no-report", *models)
        run(command, *inputs, "--json", f"{kind}.json")
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
