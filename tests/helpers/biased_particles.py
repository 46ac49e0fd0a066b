"""i-PI inputs and PLUMED inputs for the particles of `known_particles`: metadynamics, OPES and umbrella windows."""

from __future__ import annotations

from pathlib import Path

from beadwise.driver.launch.shipped_inputs import SHIM
from known_particles import TEMPERATURE

STRUCTURE = "start.xyz"
TIMESTEP = 4.0  # fs: a tenth of a radian of the fastest motion, which the propagator does not take exactly
STRIDE = 10
INPUT = """<simulation verbosity='low' threading='false' floatformat='%16.8e'>
  <output prefix='out'>
    <properties filename='properties' stride='1000'> [ step, temperature{{kelvin}}, conserved ] </properties>
    <trajectory filename='variables' stride='{stride}' extra_type='{extras}'> extras_bias </trajectory>
  </output>
  <total_steps> {steps} </total_steps>
  <prng> <seed> {seed} </seed> </prng>
  <ffdirect name='particles'>
    <pes> custom </pes> <pes_path> {shim} </pes_path>
    <parameters> {{model: known_particles:particles, structure: {structure}}} </parameters>
    <batch_size> {batch} </batch_size>
  </ffdirect>
  {force_fields}
  {systems}
  <smotion mode='metad'> <metad> <metaff> [ {updated} ] </metaff> </metad> </smotion>
</simulation>
"""
FORCE_FIELD = """<ffplumed name='{name}'>
    <file mode='xyz' units='angstrom'> {structure} </file>
    <plumed_dat> {name}.dat </plumed_dat> <plumed_extras> [ {extras} ] </plumed_extras>
  </ffplumed>"""
SYSTEM = """<system prefix='{prefix}'>
    <initialize nbeads='{beads}'>
      <file mode='xyz' units='angstrom'> {structure} </file>
      <velocities mode='thermal' units='kelvin'> {temperature} </velocities>
    </initialize>
    <normal_modes propagator='cayley'/>
    <forces> <force forcefield='particles'/> </forces>
    <ensemble>
      <temperature units='kelvin'> {temperature} </temperature>
      <bias>
        <force forcefield='{bias}' nbeads='1'> <interpolate_extras> [ {extras} ] </interpolate_extras> </force>
        <force forcefield='beads'/>
      </bias>
    </ensemble>
    <motion mode='dynamics'>
      <fixcom> False </fixcom>
      <dynamics mode='nvt' splitting='baoab'>
        <timestep units='femtosecond'> {timestep} </timestep>
        <thermostat mode='pile_l'> <tau units='femtosecond'> 60 </tau> </thermostat>
      </dynamics>
    </motion>
  </system>"""


def positions_of(atoms: int) -> str:
    return "".join(f"x{atom}: POSITION ATOM={atom} NOPBC\n" for atom in range(1, atoms + 1))


def write_structure(folder: Path, places) -> None:
    lines = [f"H {x:.4f} 0.0 0.0" for x in places]
    (folder / STRUCTURE).write_text(f"{len(lines)}\n# CELL(abcABC): 99 99 99 90 90 90\n" + "\n".join(lines) + "\n")


def write_deposited(folder: Path, beads: int, steps: int, seed: int = 1) -> None:
    """Atoms 1 and 2 under well-tempered metadynamics, 3 and 4 under OPES; odd ones are in a double well."""
    folder.mkdir()
    (folder / "plumed.dat").write_text(
        "UNITS LENGTH=A\n"
        + positions_of(4)
        + "".join(
            f"METAD LABEL=metad{atom} ARG=x{atom}.x SIGMA=0.1 HEIGHT=0.3 PACE=25 BIASFACTOR={factor} "
            f"TEMP={TEMPERATURE} CALC_RCT GRID_MIN=-3 GRID_MAX=3 GRID_BIN=300 FILE=HILLS{atom} FMT=%24.16e\n"
            for atom, factor in ((1, 5), (2, 6))
        )
        + "".join(
            f"OPES_METAD LABEL=opes{atom} ARG=x{atom}.x SIGMA=0.1 PACE=25 BARRIER={barrier} "
            f"TEMP={TEMPERATURE} FILE=KERNELS{atom}\n"
            for atom, barrier in ((3, 15), (4, 20))
        )
        + f"PRINT ARG=x1.x,x2.x,x3.x,x4.x,metad1.bias,metad1.rbias,opes3.bias STRIDE={STRIDE} FILE=COLVAR\n"
    )
    variables = [f"x{atom}.x" for atom in range(1, 5)]
    biases = ["metad1.rbias", "metad2.rbias", "opes3.bias", "opes4.bias"]
    _write(folder, [("plumed", "")], [variables + biases], beads, steps, seed, [0.6, 0.1, -0.6, 0.1])


def write_windows(folder: Path, beads: int, steps: int, centres, seed: int = 1) -> None:
    """One window for each centre; atom 1 is in a double well, atom 2 in a harmonic one."""
    folder.mkdir()
    names = [f"window{number}" for number in range(len(centres))]
    for name, centre in zip(names, centres, strict=True):
        (folder / f"{name}.dat").write_text(
            "UNITS LENGTH=A\n"
            + positions_of(2)
            + "".join(f"RESTRAINT LABEL=restraint{a} ARG=x{a}.x AT={centre} KAPPA=80\n" for a in (1, 2))
        )
    extras = ["x1.x", "x2.x", "restraint1.bias", "restraint2.bias"]
    _write(folder, [(name, name) for name in names], [extras] * len(names), beads, steps, seed, [0.3, 0.3])


def write_tempered(folder: Path, temperatures, steps: int, seed: int = 1, stride: int = 3) -> None:
    """Atom 1 in a double well, atom 2 in a harmonic one, classical, of systems that exchange temperatures."""
    folder.mkdir()
    for number in range(len(temperatures)):
        (folder / f"bias{number}.dat").write_text(
            "UNITS LENGTH=A\n" + positions_of(2) + "RESTRAINT LABEL=pull ARG=x2.x AT=0.2 KAPPA=40\n"
        )
    extras = ["x1.x", "x2.x", "pull.bias"]
    names = [f"bias{number}" for number in range(len(temperatures))]
    _write(folder, [(name, name) for name in names], [extras] * len(names), 1, steps, seed, [0.6, 0.2])
    text = (folder / "input.xml").read_text()
    text = text.replace("[ step, temperature{kelvin}, conserved ]", "[ step, potential, ensemble_temperature{kelvin} ]")
    text = text.replace(f"stride='{STRIDE}'", f"stride='{stride}'").replace("stride='1000'", f"stride='{stride}'")
    for name, temperature in zip(names, temperatures, strict=True):
        before, system, after = text.partition(f"<system prefix='{name}'>")
        text = before + system + after.replace(f"> {TEMPERATURE} <", f"> {temperature} <", 2)
    place = text.index("<smotion")
    exchange = "<smotion mode='remd'> <remd> <stride> 5 </stride> </remd> </smotion>\n</simulation>\n"
    (folder / "input.xml").write_text(text[:place] + exchange)


def _write(folder, biases, extras, beads, steps, seed, places) -> None:
    atoms = len(places)
    of_beads = [f"bead_x{atom}.x" for atom in range(1, atoms + 1)]
    (folder / "beads.dat").write_text("UNITS LENGTH=A\n" + positions_of(atoms).replace("x", "bead_x"))
    write_structure(folder, places)
    force_fields = [(name, own) for (name, _), own in zip(biases, extras, strict=True)] + [("beads", of_beads)]
    common = {"structure": STRUCTURE, "temperature": TEMPERATURE, "timestep": TIMESTEP, "beads": beads}
    text = INPUT.format(
        stride=STRIDE,
        extras=",".join(extras[0] + of_beads),
        steps=steps,
        seed=seed,
        shim=SHIM,
        structure=STRUCTURE,
        batch=beads,
        force_fields="\n  ".join(
            FORCE_FIELD.format(name=name, structure=STRUCTURE, extras=", ".join(own)) for name, own in force_fields
        ),
        systems="\n  ".join(
            SYSTEM.format(prefix=prefix, bias=name, extras=", ".join(own), **common)
            for (name, prefix), own in zip(biases, extras, strict=True)
        ),
        updated=", ".join(name for name, _ in biases),
    )
    (folder / "input.xml").write_text(text)
