"""Trajectories of water for spectra: classical, TRPMD and Te PIGS, each from its own equilibration.

    python trajectories.py KIND FIRST LAST [--threads N]
    python trajectories.py correction [--threads N]

Trajectories FIRST to LAST of one KIND, each in a folder `KIND_NUMBER`, at 300 K:

- `classical`, `trpmd`: 32 molecules of liquid water at 0.997 g/cm³ with the shipped model, for infrared and Raman;
- `te_pigs`: the same by classical dynamics with `water_pigs.toml` of this folder, which
  `correction` makes: 250 frames of a path integral with 16 beads at 600 K;
- `slab`, `slab_te_pigs`: 128 molecules with two free surfaces, the shipped input `slab`, for sum-frequency spectra;
- `fixed_charges_classical`, `fixed_charges_trpmd`: the liquid with q-TIP4P/F, for the sum rule of the infrared.

A trajectory begins with classical dynamics with a thermostat on every atom, with velocities of its own.  TRPMD then
spreads its beads for 1 ps with a thermostat on every mode, and runs with the centroid left alone (Rossi, Ceriotti,
Manolopoulos, J. Chem. Phys. 140, 234116 (2014)).  Ring polymers move by the Cayley propagator, which allows 0.5 fs
(Korol, Bou-Rabee, Miller, J. Chem. Phys. 151, 124103 (2019)).  Stages that are done are left alone, so that a stopped
script goes on.
"""

import argparse
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

INPUTS = Path(__file__).resolve().parents[3] / "inputs"
LIQUID = Path(__file__).resolve().parent / "water_32.xyz"

LANGEVIN = "<thermostat mode='langevin'> <tau units='femtosecond'> {tau} </tau> </thermostat>"
EVERY_MODE = (
    "<thermostat mode='pile_l'> <tau units='femtosecond'> {tau} </tau> <pile_lambda> 0.5 </pile_lambda> </thermostat>"
)
CENTROID_ALONE = EVERY_MODE.format(tau=100_000)


@dataclass(frozen=True)
class Kind:
    """What is run: the system, the stages and what is written every femtosecond."""

    picoseconds: float
    extras: str = "dipole,polarizability"
    thermostat: str = ""  # none: constant energy
    beads: int = 1
    timestep: float = 0.5  # fs
    equilibration: float = 5.0  # ps
    structure: Path = LIQUID
    model: str = "water"


CORRECTED = Path("water_pigs.toml")
SLAB = Kind(
    5,
    equilibration=1,
    extras="molecular_dipole,molecular_polarizability,molecular_position",
    structure=INPUTS / "water_slab_128.xyz",
)
KINDS = {
    "classical": Kind(5, equilibration=2),
    "trpmd": Kind(5, beads=32, thermostat=CENTROID_ALONE),
    "te_pigs": Kind(5, equilibration=2, model=str(CORRECTED.resolve())),
    "slab": SLAB,
    "slab_te_pigs": replace(SLAB, model=str(CORRECTED.resolve())),
    # the sum rule holds for any dynamics that keeps the canonical distribution; a slow thermostat of every atom shares
    # the energy among the modes, which takes longer than these trajectories without it
    "fixed_charges_classical": Kind(
        6, extras="dipole", thermostat=LANGEVIN.format(tau=500), timestep=0.25, equilibration=2, model="qtip4pf"
    ),
    "fixed_charges_trpmd": Kind(
        3, extras="dipole", thermostat=EVERY_MODE.format(tau=500), beads=8, equilibration=2, model="qtip4pf"
    ),
}

INPUT = """<simulation verbosity='low'>
  <output prefix='liquid'>
    <properties filename='out' stride='20'>
      [ step, time{{picosecond}}, conserved{{electronvolt}}, temperature{{kelvin}}, temperature(nm=0){{kelvin}},
        potential{{electronvolt}}, kinetic_cv{{electronvolt}} ]
    </properties>
    {extras}
    <checkpoint filename='chk' stride='1000' overwrite='true'/>
  </output>
  <total_steps> {steps} </total_steps>
  <prng> <seed> {seed} </seed> </prng>
  <ffsocket mode='unix' name='beadwise'>
    <address> {address} </address>
    <batch_size> {beads} </batch_size>
    <latency> {latency} </latency>
  </ffsocket>
  <system>
    <initialize nbeads='{beads}'>
      {start}
    </initialize>
    <normal_modes propagator='cayley'/>
    <forces> <force forcefield='beadwise'/> </forces>
    <ensemble> <temperature units='kelvin'> 300 </temperature> </ensemble>
    <motion mode='dynamics'>
      <dynamics mode='{ensemble}' splitting='baoab'>
        <timestep units='femtosecond'> {timestep} </timestep>
        {thermostat}
      </dynamics>
    </motion>
  </system>
</simulation>
"""
EXTRAS = "<trajectory filename='moments' stride='{stride}' extra_type='{extras}'> extras </trajectory>"
VELOCITIES = "<velocities mode='thermal' units='kelvin'> 300 </velocities>"


@dataclass(frozen=True)
class Stage:
    """One run of i-PI in a folder of its own, unless it has reached its end already."""

    folder: Path
    kind: Kind
    seed: int
    threads: int

    def run(self, picoseconds, start, thermostat, beads=1, extras=""):
        """Run it; its RESTART."""
        steps = round(picoseconds * 1000 / self.kind.timestep)
        restart = self.folder / "RESTART"
        if restart.exists() and f"<step>{steps}</step>" in restart.read_text().replace(" ", ""):
            return restart
        self.folder.mkdir(parents=True, exist_ok=True)
        text = INPUT.format(
            extras=EXTRAS.format(stride=round(1 / self.kind.timestep), extras=extras) if extras else "",
            steps=steps,
            seed=self.seed,
            address=f"{self.folder.parent.name}-{self.folder.name}",
            beads=beads,
            latency=1e-3 if beads > 1 else 1e-4,
            start=start,
            ensemble="nvt" if thermostat else "nve",
            timestep=self.kind.timestep,
            thermostat=thermostat,
        )
        (self.folder / "input.xml").write_text(text)
        command = ["beadwise", "run", "input.xml", "--model", self.kind.model, "--threads", str(self.threads)]
        subprocess.run(command, cwd=self.folder, check=True)
        return restart


def correction(threads):
    """Fit the mean force on centroids at 600 K, unless it is there."""
    if CORRECTED.exists():
        return
    stage = Stage(Path("correction"), KINDS["classical"], 1, threads)
    stage.run(2, f"<file mode='xyz'> {LIQUID} </file> {VELOCITIES}", LANGEVIN.format(tau=50))

    def beadwise(*words):
        subprocess.run(["beadwise", *words], cwd=stage.folder, check=True)

    beadwise("pigs", "--prepare", "input.xml", "--temperature", "600", "--frames", "250", "--interval", "12.5")
    beadwise("run", "input_pigs.xml", "--model", "water", "--threads", str(threads))
    beadwise("pigs", "input_pigs.xml", "--model", "water", "--output", str(CORRECTED.resolve()))


def from_checkpoint(restart, velocities=""):
    return f"<file mode='chk'> {restart.resolve()} </file> {velocities}"


def trajectory(name, number, threads):
    kind, folder = KINDS[name], Path(f"{name}_{number}")
    seed = 1000 * number + (500 if kind.beads > 1 else 0)
    start = f"<file mode='xyz'> {kind.structure} </file> {VELOCITIES}"
    stage = Stage(folder / "equilibration", kind, seed + 1, threads)
    restart = stage.run(kind.equilibration, start, LANGEVIN.format(tau=50))
    if kind.beads > 1:
        stage = Stage(folder / "beads", kind, seed + 2, threads)
        thermostat = EVERY_MODE.format(tau=50)
        restart = stage.run(1, from_checkpoint(restart, VELOCITIES), thermostat, kind.beads)
    stage = Stage(folder / "run", kind, seed + 3, threads)
    stage.run(kind.picoseconds, from_checkpoint(restart), kind.thermostat, kind.beads, kind.extras)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kind", choices=[*KINDS, "correction"])
    parser.add_argument("first", type=int, nargs="?", default=1)
    parser.add_argument("last", type=int, nargs="?", default=1)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    if arguments.kind == "correction":
        correction(arguments.threads)
        return
    for number in range(arguments.first, arguments.last + 1):
        trajectory(arguments.kind, number, arguments.threads)


if __name__ == "__main__":
    main()
