"""Runs of a committee of harmonic members, as i-PI writes their files; what is known of their averages."""

import json
import math

import numpy as np
from ase import units
from beadwise.driver.commands.group import main
from beadwise.runs.units import BOHR_PER_ANGSTROM, HARTREE_PER_ELECTRONVOLT
from click.testing import CliRunner

TEMPERATURE = 300.0
THERMAL_ENERGY = units.kB * TEMPERATURE
CHANGES = np.array([-0.16, -0.02, 0.06, 0.12])  # of the stiffness of each member, relative to the mean
CONSTANTS = np.array([-3.0, 0.0, 1.0, 50.0])  # eV, of each member
SIGMA = 0.4  # Å, of each component, for the mean of the members
STIFFNESS = THERMAL_ENERGY / SIGMA**2
INPUT = """<simulation>
  <output prefix='run'>
    <properties filename='out' stride='10'> [ step, potential ] </properties>
    {outputs}
  </output>
  {force_fields}
  {systems}
</simulation>
"""
SYSTEM = """<system>
    <initialize nbeads='{beads}'> <labels mode='manual'> [ {labels} ] </labels> </initialize>
    <forces> <force forcefield='driver'/> </forces>
    <ensemble> <temperature units='kelvin'> 300 </temperature> {bias} </ensemble>
    <motion mode='dynamics'> <dynamics mode='nvt'> <timestep units='femtosecond'> 0.5 </timestep> </dynamics> </motion>
  </system>"""
EXTRAS = "<trajectory filename='{}' stride='10' extra_type='{}'> extras </trajectory>"
MEMBERS = EXTRAS.format("members", "committee_pot")
POSITIONS = "<trajectory filename='pos' stride='10' format='xyz'> positions{angstrom} </trajectory>"


class Folder:
    """A run of one system, whose files are written by hand."""

    def __init__(self, path, beads=1, outputs=MEMBERS, force_fields="", bias="", labels="OH"):
        path.mkdir()
        self.path, self.beads = path, beads
        systems = SYSTEM.format(beads=beads, bias=bias, labels=", ".join(labels))
        text = INPUT.format(outputs=outputs, force_fields=force_fields, systems=systems)
        (path / "input.xml").write_text(text)

    def bead_files(self, name, suffix=""):
        digits = 1 + int(math.log10(self.beads))
        return [self.path / f"run.{name}_{bead:0{digits}d}{suffix}" for bead in range(self.beads)]

    def write_extras(self, name, extras, values, steps, kind="EXTRAS"):
        """Rows (samples, beads, numbers)."""
        for bead, path in enumerate(self.bead_files(name)):
            path.write_text(
                "".join(
                    f" #{kind}({extras})# Step:  {step:10d} \n" + " ".join(f"{number:.16e}" for number in row) + "\n"
                    for step, row in zip(steps, values[:, bead], strict=True)
                )
            )

    def write_properties(self, columns, steps):
        """Columns by i-PI's name{unit}, each of the shape (samples,) or (samples, numbers)."""
        text, place = "# column   1     --> step : The current step\n", 2
        arrays = [np.asarray(steps, dtype=float)[:, None]]
        for name, values in columns.items():
            arrays.append(np.asarray(values).reshape(len(steps), -1))
            last = place + arrays[-1].shape[1] - 1
            kind = f"column {place:3d}    " if last == place else f"cols.  {place:3d}-{last:<3d}"
            text += f"# {kind} --> {name} : in words: {{not a unit}}\n"
            place = last + 1
        rows = np.concatenate(arrays, axis=1)
        (self.path / "run.out").write_text(
            text + "".join("  " + " ".join(f"{x:.12e}" for x in row) + "\n" for row in rows)
        )

    def write_positions(self, positions, labels, steps, cell=20.0):
        """Positions (samples, beads, atoms, 3) in Å."""
        side = cell * BOHR_PER_ANGSTROM
        for bead, path in enumerate(self.bead_files("pos", ".xyz")):
            with open(path, "w") as file:
                for step, frame in zip(steps, positions[:, bead], strict=True):
                    file.write(f"{len(labels)}\n# CELL(abcABC): {side:.5f} {side:.5f} {side:.5f} 90 90 90 ")
                    file.write(f"Step: {step} Bead: {bead} positions{{angstrom}} cell{{atomic_unit}}\n")
                    file.writelines(
                        f"{label} {x:.8e} {y:.8e} {z:.8e}\n" for label, (x, y, z) in zip(labels, frame, strict=True)
                    )


def harmonic_members(places):
    """Energies in eV of members, places (…, 3) in Å, with a constant of each."""
    return STIFFNESS * np.square(places).sum(-1)[..., None] * (1 + CHANGES) / 2 + CONSTANTS


def square_of_members(method):
    """Mean square in the ensemble of each member over that of the mean."""
    return 1 / (1 + CHANGES) if method == "direct" else 1 - CHANGES


def in_hartree(energies):
    return energies * HARTREE_PER_ELECTRONVOLT


def run_command(*arguments):
    return CliRunner().invoke(main, ["reweight", *map(str, arguments)])


def numbers_of(*arguments):
    result = run_command(*arguments, "--json", "-")
    assert result.exit_code == 0, result.output
    return json.loads(result.output)


def refusal_of(*arguments):
    result = run_command(*arguments)
    assert result.exit_code == 2, result.output
    assert result.output.count("\n") == 1, result.output
    return result.output


def table_of(path):
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    return lines[0].split(","), np.array([line.split(",") for line in lines[1:]], float)


def particle(path, samples=4000, seed=1, **options):
    """An atom H in a harmonic well around O."""
    places = np.random.default_rng(seed).normal(0, SIGMA, (samples, 1, 3))
    folder = Folder(path, **options)
    steps = 10 * np.arange(samples)
    folder.write_extras("members", "committee_pot", in_hartree(harmonic_members(places)), steps)
    return folder, places, steps
