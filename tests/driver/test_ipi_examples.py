"""i-PI's example inputs: what beadwise serves gives the trajectory of i-PI's own driver, and liquid water runs.

The inputs are written here and carry the settings of the examples that they name, which lie in i-PI's repository under
``examples``.  Fewer steps, other atoms, and a table with all digits are what differs.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, replace

import numpy as np
import pytest
from ase.io import write
from beadwise.model import Batch
from beadwise.model.evaluators import load_evaluator
from beadwise.runs.units import BOHR_PER_ANGSTROM, HARTREE_PER_ELECTRONVOLT
from ipi_pair import STRUCTURE, Side, beadwise, final_state, largest_differences, properties, reference, run_together
from toy import water

STIFFNESS = (4.0, 1.5)  # eV/Å², of the springs that stand for the first and the second force field
SAME = 1e-9  # relative; what is left are the last digits of the unit conversions


@dataclass(frozen=True)
class Example:
    """The settings of one of i-PI's examples."""

    beads: int
    temperature: float
    motion: str
    forces: str
    pressure: str = ""
    seed: int = 31415
    steps: int = 8
    sockets: int = 1
    observed: str = "conserved, temperature, kinetic_cv, potential, pressure_cv, volume, cell_h"
    options: str = ""

    def text(self) -> str:
        """The i-PI input."""
        sockets = "".join(
            f"<ffsocket name='field{index}' mode='unix'><address>@{index}</address>{self.options}</ffsocket>"
            for index in range(self.sockets)
        )
        velocities = f"<velocities mode='thermal' units='kelvin'>{self.temperature}</velocities>"
        return f"""
        <simulation verbosity='low' floatformat='%.17e'>
          <output prefix='out'>
            <properties filename='properties' stride='1'> [step, {self.observed}] </properties>
          </output>
          <total_steps>{self.steps}</total_steps>
          <prng><seed>{self.seed}</seed></prng>
          {sockets}
          <system>
            <initialize nbeads='{self.beads}'>
              <file mode='ase' units='angstrom'>{STRUCTURE}</file>{velocities if self.temperature else ""}
            </initialize>
            <forces>{self.forces}</forces>
            <ensemble><temperature units='kelvin'>{self.temperature or 300}</temperature>{self.pressure}</ensemble>
            {self.motion}
          </system>
        </simulation>
        """.strip()


def dynamics(timestep: float, thermostat: str, mode: str = "nvt", more: str = "") -> str:
    return f"""
    <motion mode='dynamics'><dynamics mode='{mode}'>
      <timestep units='femtosecond'>{timestep}</timestep>{thermostat}{more}
    </dynamics></motion>
    """


def thermostat(mode: str, tau: float = 100, more: str = "") -> str:
    return f"<thermostat mode='{mode}'><tau units='femtosecond'>{tau}</tau>{more}</thermostat>"


def minimization(mode: str, tolerance: str, more: str = "") -> str:
    limits = "".join(f"<{of}>{tolerance}</{of}>" for of in ("energy", "force", "position"))
    return f"""
    <motion mode='minimize'><optimizer mode='{mode}'>{more}<tolerances>{limits}</tolerances></optimizer></motion>
    """


BAROSTAT = f"<barostat mode='isotropic'><tau units='femtosecond'>200</tau>{thermostat('langevin')}%s</barostat>"
PATH_INTEGRAL = "features/path_integral_molecular_dynamics"
ONE_FORCE = "<force forcefield='field0'/>"

EXAMPLES = {
    "clients/communication/unix/harmonic": Example(
        beads=4,
        temperature=3683.412077,
        motion=dynamics(0.003, thermostat("langevin", 25)),
        forces=ONE_FORCE,
        seed=3348,
    ),
    "clients/communication/unix/harmonic-batched": Example(
        beads=4,
        temperature=3683.412077,
        motion=dynamics(0.003, thermostat("langevin", 25)),
        forces=ONE_FORCE,
        seed=3348,
        options="<batch_size>4</batch_size>",
    ),
    f"{PATH_INTEGRAL}/standard_pimd_liquid_water": Example(
        beads=4, temperature=300, motion=dynamics(0.25, thermostat("pile_g")), forces=ONE_FORCE, seed=32415
    ),
    "features/path_integral_quantum_dynamics/TRPMD_liquid_water": Example(
        beads=16,
        temperature=300,
        motion=dynamics(0.25, thermostat("pile_g", more="<pile_lambda>0.5</pile_lambda>")),
        forces=ONE_FORCE,
        seed=32415,
        steps=4,
    ),
    f"{PATH_INTEGRAL}/pimd+mts_liquid_water": Example(
        beads=4,
        temperature=300,
        motion=dynamics(2.0, thermostat("langevin"), more="<nmts>[1,4]</nmts>"),
        forces="<force forcefield='field0'><mts_weights>[0,1]</mts_weights></force>"
        "<force forcefield='field1'><mts_weights>[1,0]</mts_weights></force>",
        sockets=2,
        steps=4,
    ),
    f"{PATH_INTEGRAL}/rpc/lammps_h2o_bulk_liquid": Example(
        beads=32,
        temperature=300,
        motion=dynamics(0.25, thermostat("langevin")),
        forces="<force forcefield='field0' nbeads='32'/><force forcefield='field1' nbeads='5'/>",
        seed=32346,
        sockets=2,
        steps=3,
    ),
    "features/Path_integral_molecular_dynamics/standard_constant_pressure/lammps_h2o_bulk_Ih": Example(
        beads=4,
        temperature=200,
        motion=dynamics(
            0.25, thermostat("pile_l", more="<pile_lambda>0.2</pile_lambda>"), "npt", BAROSTAT % "<h0>@cell</h0>"
        ),
        forces=ONE_FORCE,
        pressure="<pressure units='megapascal'>10</pressure>",
    ),
    "features/classical_molecular_dynamics/NPT_ensemble_BZP_ice": Example(
        beads=1,
        temperature=200,
        motion=dynamics(0.25, thermostat("langevin"), "npt", BAROSTAT % ""),
        forces=ONE_FORCE,
        pressure="<pressure units='megapascal'>1</pressure>",
        observed="conserved, cell_abcABC, volume, virial_md",
    ),
    "features/geometry_optimization/BFGS_pswater": Example(
        beads=1,
        temperature=0,
        motion=minimization("bfgs", "5e-6", "<ls_options><tolerance>1e-4</tolerance></ls_options>"),
        forces=ONE_FORCE,
        observed="potential",
    ),
    "features/geometry_optimization/SD_pswater": Example(
        beads=1, temperature=0, motion=minimization("sd", "1e-5"), forces=ONE_FORCE, observed="potential"
    ),
}


def written(atoms) -> str:
    """A structure as a file."""
    text = io.StringIO()
    write(text, atoms, format="extxyz")
    return text.getvalue()


def with_cell(text: str, atoms) -> str:
    """Put the reference cell of a barostat in, in bohr, its vectors in columns."""
    return text.replace("@cell", str((atoms.cell.array.T * BOHR_PER_ANGSTROM).ravel().tolist()))


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_same_trajectory_as_with_the_driver_of_ipi(name, tmp_path):
    example = EXAMPLES[name]
    text, stiffness = with_cell(example.text(), water()), STIFFNESS[: example.sockets]
    sides = {
        "reference": Side(text, [reference(k) for k in stiffness]),
        "beadwise": Side(text, [beadwise(f"harmonic:k={k}") for k in stiffness]),
    }
    folders = run_together(tmp_path, written(water()), sides)
    assert len(properties(folders["beadwise"])) > 2
    assert max(largest_differences(folders["reference"], folders["beadwise"]).values()) < SAME


# the example's comment tells how the slow force becomes a correction: it is the model, and the fast one comes off again
MULTIPLE_TIME_STEPS = (
    "<force forcefield='field0'><mts_weights>[-1,1]</mts_weights></force>"
    "<force forcefield='field1'><mts_weights>[1,0]</mts_weights></force>"
)
# a correction on the contracted ring polymer: the model instead of the cheap potential there
CONTRACTION = (
    "<force forcefield='field0' nbeads='32'/><force forcefield='field0' nbeads='5' weight='-1'/>"
    "<force forcefield='field1' nbeads='5'/>"
)
WATER = {
    f"{PATH_INTEGRAL}/standard_pimd_liquid_water": (("water",), None),
    "features/path_integral_quantum_dynamics/TRPMD_liquid_water": (("water",), None),
    f"{PATH_INTEGRAL}/pimd+mts_liquid_water": (("qtip4pf", "water"), MULTIPLE_TIME_STEPS),
    f"{PATH_INTEGRAL}/rpc/lammps_h2o_bulk_liquid": (("qtip4pf", "water"), CONTRACTION),
    "features/Path_integral_molecular_dynamics/standard_constant_pressure/lammps_h2o_bulk_Ih": (("water",), None),
    "features/geometry_optimization/BFGS_pswater": (("qtip4pf",), None),
}


def mean_energy(model, numbers, cell, positions) -> float:
    """Mean over beads in eV, of positions in Å."""
    batch = Batch(numbers, positions, np.tile(cell, (len(positions), 1, 1)), np.ones(3, bool))
    return load_evaluator(model).evaluate(batch, ("energy",)).energy.mean()


def contracted(positions, beads):
    """Ring polymer of fewer beads: the lowest Fourier coefficients of the path, at fewer places."""
    coefficients = np.fft.rfft(positions, axis=0)[: beads // 2 + 1]
    return np.fft.irfft(coefficients, beads, axis=0) * beads / len(positions)


def expected_potential(models, forces, beads, state, numbers) -> float:
    """The potential of the final structure in eV, from the models themselves."""
    positions = state["q"].reshape(beads, -1, 3) / BOHR_PER_ANGSTROM
    cell = state["cell"].reshape(3, 3).T / BOHR_PER_ANGSTROM
    if forces != CONTRACTION:  # the fast force of multiple time steps comes off again
        return mean_energy(models[-1], numbers, cell, positions)
    cheap, accurate = models
    few = contracted(positions, 5)
    correction = mean_energy(accurate, numbers, cell, few) - mean_energy(cheap, numbers, cell, few)
    return mean_energy(cheap, numbers, cell, positions) + correction


@pytest.mark.parametrize("name", WATER)
def test_liquid_water_in_the_example(name, tmp_path, liquid):
    models, forces = WATER[name]
    example = replace(EXAMPLES[name], steps=2, forces=forces or EXAMPLES[name].forces)
    atoms = liquid if example.temperature else liquid[:3]
    text = with_cell(example.text(), atoms)
    folder = run_together(tmp_path, written(atoms), {"served": Side(text, [*map(beadwise, models)])})["served"]
    table = properties(folder)
    assert len(table) == 3 and np.isfinite(table).all()
    potential = table[-1, 1 + example.observed.split(", ").index("potential")]
    expected = expected_potential(models, forces, example.beads, final_state(folder), atoms.numbers)
    np.testing.assert_allclose(potential, expected * HARTREE_PER_ELECTRONVOLT, rtol=1e-9)
    if example.temperature:  # a correction is the difference of two potentials, which a long step follows less well
        assert np.ptp(table[:, 1]) < (5e-2 if forces else 5e-3), "the conserved quantity drifts"
    else:
        assert (np.diff(table[:, 1]) < 0).all()
