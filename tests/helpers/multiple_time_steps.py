"""Inputs with force components on two levels, and what contraction makes of values on beads."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from ipi_pair import STRUCTURE, Server, Side
from places import REPOSITORY

BENCHMARKS = REPOSITORY / "benchmarks"
WATER = REPOSITORY / "inputs" / "water_32.xyz"
INTERPOLATE = "<interpolate_extras> [ dipole ] </interpolate_extras>"
EXTRAS = "<trajectory filename='dipole' extra_type='dipole'> extras </trajectory>"
STATES = "<checkpoint filename='state' stride='1' overwrite='false'/>"  # i-PI's xyz files have five digits
INPUT = """<simulation verbosity='quiet' floatformat='%24.16e'>
  <output prefix='out'>
    <properties filename='properties'> [ step, conserved, potential, kinetic_md ] </properties>
    {outputs}
  </output>
  <total_steps> {steps} </total_steps>
  <prng> <seed> 7 </seed> </prng>
  {sockets}
  <system>
    <initialize nbeads='{beads}'>
      <file mode='xyz'> {structure} </file> <velocities mode='thermal' units='kelvin'> 300 </velocities>
    </initialize>
    <forces> {forces} </forces>
    <ensemble> <temperature units='kelvin'> 300 </temperature> </ensemble>
    <motion mode='dynamics'>
      <dynamics mode='nve'>
        <timestep units='femtosecond'> {timestep} </timestep> {levels}
      </dynamics>
    </motion>
  </system>
</simulation>
"""


def force(name: str, weights: str = "", beads: int = 0, body: str = "") -> str:
    """A ``<force>`` with weights ``1, 0`` of its levels."""
    levels = f"<mts_weights> [ {weights} ] </mts_weights>" if weights else ""
    return f"<force forcefield='{name}' nbeads='{beads}'> {levels} {body} </force>"


def nested(extras: str = "") -> str:
    """The outer potential outside, the inner one inside; extras are those of the outer one."""
    return force("outer", "1, 0", body=extras) + force("inner", "-1, 1")


def contracted(few: int, extras: str = "") -> str:
    """The difference of both outside and on few beads, the inner one inside and on all."""
    outside = force("outer", "1, 0", few, extras) + force("inner", "-1, 0", few, extras)
    return outside + force("inner", "0, 1", body=extras)


def side(
    models: Mapping[str, str],
    forces: str,
    steps: int,
    timestep: float,
    multiple: int = 0,
    beads: int = 1,
    outputs: str = "",
    wants: Mapping[str, str] | None = None,
) -> Side:
    """A run of 32 water molecules without thermostat, each model served by a server that counts.

    Parameters
    ----------
    models : mapping of str to str
        Of the force fields ``outer`` and ``inner``.
    forces : str
    steps : int
    timestep : float
        The outer one in fs.
    multiple : int
        Inner steps in it; 0 for one level alone.
    beads : int
    outputs : str
    wants : mapping of str to str
        What the servers answer besides energies, for example ``dipole``.
    """
    wants = wants or {}
    sockets = "".join(
        f"<ffsocket mode='unix' name='{name}'> <address> @{index} </address> <latency> 1e-4 </latency> </ffsocket>"
        for index, name in enumerate(models)
    )
    text = INPUT.format(
        outputs=outputs,
        steps=steps,
        sockets=sockets,
        beads=beads,
        structure=STRUCTURE,
        forces=forces,
        timestep=timestep,
        levels=f"<nmts> [ 1, {multiple} ] </nmts>" if multiple else "",
    )
    return Side(text, [_counting_server(name, model, wants.get(name, "")) for name, model in models.items()])


def _counting_server(name: str, model: str, want: str) -> Server:
    environment = ["env", f"PYTHONPATH={BENCHMARKS}", f"COUNTED_{name.upper()}={model}"]
    options = ["--structure", STRUCTURE, "--want", ",".join(filter(None, ["energy,forces,virial", want]))]
    serve = [*environment, sys.executable, "-m", "beadwise.driver", "serve", f"counted_model:{name}", *options]
    return lambda address: [*serve, "--unix", address]


def on_beads(values: np.ndarray, beads: int) -> np.ndarray:
    """Values on another number of beads: the slow Fourier components of a function on the ring, both numbers odd or
    one a multiple of the other.

    As in Markland, Manolopoulos, J. Chem. Phys. 129, 024105 (2008), for an odd number of few beads.

    Parameters
    ----------
    values : ndarray of float64, shape (all or few beads, …)
    beads : int
        Few or all beads; the smaller of both numbers is odd.
    """
    few = min(len(values), beads)
    waves = np.fft.rfft(values, axis=0)[: few // 2 + 1] / len(values)
    full = np.zeros((beads // 2 + 1, *values.shape[1:]), complex)
    full[: few // 2 + 1] = waves
    return np.fft.irfft(full, beads, axis=0) * beads


def positions_of(folder: Path, beads: int) -> np.ndarray:
    """Positions after each step, and before the first, shape (steps, beads, atoms, 3), in bohr."""
    files = sorted(folder.glob("out.state_*"), key=lambda path: int(path.name.split("_")[1]))
    numbers = [re.search(r"<q shape='[^']*'>\s*\[([^\]]*)\]", path.read_text()).group(1) for path in files]
    return np.array([text.split(",") for text in numbers], float).reshape(len(files), beads, -1, 3)


def dipoles_of(folder: Path, beads: int) -> np.ndarray:
    """Dipoles that i-PI wrote, shape (records, beads, 3), in atomic units."""
    return np.stack([np.loadtxt(folder / f"out.dipole_{bead}", ndmin=2) for bead in range(beads)], axis=1)
