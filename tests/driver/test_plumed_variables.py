"""Variables of PLUMED that a model answers, through the real PLUMED: values, derivatives, and a run of i-PI."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import molecule
from ase.io import read
from beadwise.driver.doors import plumed_variables
from beadwise.driver.doors.plumed_variables import CommitteeSpread, DipoleAlong, ModelVariable
from beadwise.driver.launch.supervision import ipi_command
from beadwise.model import Batch, Response, load
from beadwise.model.correction import Corrected
from beadwise.model.evaluators import load_evaluator
from places import HELPERS, INPUTS
from plumed_here import PROBLEM
from springs import Springs

STRUCTURE = "start.xyz"
CELL = 9.86  # Å, of the water that i-PI starts from
PATIENCE = 60
AXIS = (1.0, -2.0, 0.5)
MEMBERS = ("water", "water_short", "water_accurate")
COMMITTEE = f"committee:{','.join(MEMBERS)}"
KILOJOULE_PER_MOLE = units.kJ / units.mol
PLUMED_IN_ANGSTROM = {"nm": 10.0, "A": 1.0}
AT, KAPPA = 0.3, 0.7


@pytest.fixture(scope="module")
def plumed():
    """PLUMED's Python, or a skip that says what is missing."""
    if PROBLEM is not None:
        pytest.skip(PROBLEM)
    import plumed

    try:
        plumed.get_pycv_path()
    except (AttributeError, RuntimeError) as error:
        pytest.skip(f"PLUMED has no plugin for Python: {error}")
    return plumed


@pytest.fixture
def crystal(tmp_path, monkeypatch) -> Atoms:
    """Eight molecules, each turned by chance, in a cell without right angles; its file lies in the current folder."""
    random = np.random.default_rng(5)
    cell = np.array([[6.3, 0, 0], [1.1, 6.1, 0], [-0.9, 0.7, 6.4]])
    atoms = Atoms(cell=cell, pbc=True)
    for place in np.ndindex(2, 2, 2):
        one = molecule("H2O")
        one.rotate(random.uniform(0, 360), random.normal(size=3))
        one.translate(np.array(place) / 2 @ cell + random.normal(scale=0.05, size=3))
        atoms += one
    atoms.positions += random.normal(scale=0.03, size=atoms.positions.shape)
    monkeypatch.chdir(tmp_path)
    atoms.write(STRUCTURE)
    return atoms


class Biased:
    """PLUMED with a restraint ½ κ (s − s_0)² on a variable, in PLUMED's units of κ; everything else in eV and Å."""

    def __init__(self, plumed, variable: ModelVariable, atoms: int, monkeypatch, length_unit: str = "nm"):
        module = ModuleType("model_variables")
        module.variable = variable
        monkeypatch.setitem(sys.modules, "model_variables", module)
        units_line = f"UNITS LENGTH={length_unit}\n" if length_unit != "nm" else ""
        Path("plumed.dat").write_text(
            f"LOAD FILE={plumed.get_pycv_path()}\n{units_line}"
            "s: PYCVINTERFACE IMPORT=model_variables INIT=variable CALCULATE=variable\n"
            f"RESTRAINT ARG=s AT={AT} KAPPA={KAPPA}\n"
        )
        self._plumed = plumed.Plumed()
        for name, value in {
            "setMDEngine": "tests",
            "setPlumedDat": "plumed.dat",
            "setLogFile": "log",
            "setNatoms": atoms,
            "setTimestep": 1.0,
            "setMDLengthUnits": 0.1,  # nm in Å
            "setMDEnergyUnits": 1 / KILOJOULE_PER_MOLE,
        }.items():
            self._plumed.cmd(name, value)
        self._plumed.cmd("init")
        self._masses = np.ones(atoms)

    def __call__(self, positions: np.ndarray, cell: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        """Bias, forces and PLUMED's virial."""
        positions, cell = np.ascontiguousarray(positions), np.ascontiguousarray(cell)
        forces, virial, bias = np.zeros_like(positions), np.zeros((3, 3)), np.zeros(1)
        arrays = {"Masses": self._masses, "Box": cell, "Positions": positions, "Forces": forces, "Virial": virial}
        self._plumed.cmd("setStep", 0)
        for name, array in arrays.items():
            self._plumed.cmd(f"set{name}", array)
        self._plumed.cmd("calc")
        self._plumed.cmd("getBias", bias)
        return float(bias[0]), forces, virial

    def close(self) -> None:
        self._plumed.finalize()


def variable_of(kind: str, length_unit: str = "nm") -> ModelVariable:
    if kind == "dipole":
        return DipoleAlong("water", AXIS, STRUCTURE, length_unit)
    return CommitteeSpread(COMMITTEE, STRUCTURE, length_unit)


def slope(function, step: float) -> float:
    """Derivative at 0 from differences of fourth order."""
    near, far = function(step) - function(-step), function(2 * step) - function(-2 * step)
    return (8 * near - far) / (12 * step)


def energy(value: float) -> float:
    """Of the restraint, in eV."""
    return 0.5 * KAPPA * (value - AT) ** 2 * KILOJOULE_PER_MOLE


def expected_value(kind: str, batch: Batch) -> float:
    if kind == "dipole":
        return float(load("water").evaluate(batch, ["dipole"]).dipole[0] @ AXIS / np.linalg.norm(AXIS))
    return float(np.std([load(name).evaluate(batch, ["energy"]).energy[0] for name in MEMBERS], ddof=1))


@pytest.mark.parametrize("length_unit", ["nm", "A"])
@pytest.mark.parametrize("kind", ["dipole", "spread"])
def test_derivatives_through_plumed(kind, length_unit, plumed, crystal, monkeypatch):
    """Forces and virial that PLUMED returns are the negative derivatives of the bias that it returns."""
    biased = Biased(plumed, variable_of(kind, length_unit), len(crystal), monkeypatch, length_unit)
    positions, cell = crystal.positions, crystal.cell.array
    bias, forces, virial = biased(positions, cell)
    assert bias == pytest.approx(energy(expected_value(kind, Batch.from_ase(crystal))), rel=1e-9)
    random = np.random.default_rng(2)
    for _ in range(4):
        direction = random.normal(size=positions.shape)
        direction /= np.linalg.norm(direction)
        found = slope(lambda step, direction=direction: biased(positions + step * direction, cell)[0], 2e-4)
        assert found == pytest.approx(-np.sum(forces * direction), rel=1e-6)

    def strained(row: int, column: int, step: float) -> float:
        deformation = np.eye(3)
        deformation[row, column] += step
        return biased(positions @ deformation.T, cell @ deformation.T)[0]

    # PLUMED's virial is Σ r_a ∂V/∂r_b without a cell, so transposed; its sign is that of the derivative
    numerical = [[slope(lambda step, a=a, b=b: strained(b, a, step), 2e-5) for b in range(3)] for a in range(3)]
    np.testing.assert_allclose(virial, numerical, rtol=1e-6, atol=1e-6 * np.abs(virial).max())
    biased.close()


@pytest.mark.parametrize("kind", ["dipole", "spread"])
def test_images_are_the_same(kind, plumed, crystal, monkeypatch):
    """Whatever is made whole or wrapped."""
    biased = Biased(plumed, variable_of(kind), len(crystal), monkeypatch)
    reference = biased(crystal.positions, crystal.cell.array)
    crystal.wrap()
    crystal.positions[3:9] += crystal.cell.array[1] - 2 * crystal.cell.array[2]
    for found, expected in zip(biased(crystal.positions, crystal.cell.array), reference, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-10)
    biased.close()


def test_gradient_of_the_dipole(crystal):
    """That of the work of a field, beside the Born charges."""
    variable = variable_of("dipole")
    _, gradient, _ = variable(Given(crystal, "nm"))
    born_charges = load("water").evaluate(Batch.from_ase(crystal), ["born_charges"]).born_charges[0]
    expected = born_charges @ AXIS / np.linalg.norm(AXIS) * PLUMED_IN_ANGSTROM["nm"]
    np.testing.assert_allclose(gradient, expected, rtol=1e-9, atol=1e-11)


class Given:
    """What PLUMED hands over."""

    label = "s"

    def __init__(self, atoms: Atoms, unit: str = "nm"):
        self._atoms, self._length = atoms, PLUMED_IN_ANGSTROM[unit]
        self.nat = len(atoms)

    def getPositions(self) -> np.ndarray:  # noqa: N802
        return self._atoms.positions / self._length

    def getPbc(self) -> Given:  # noqa: N802
        return self

    def getBox(self) -> np.ndarray:  # noqa: N802
        return self._atoms.cell.array / self._length


def test_spread_of_equal_members(crystal):
    value, gradient, box = CommitteeSpread("committee:water,water", STRUCTURE)(Given(crystal))
    assert value == 0
    assert not gradient.any()
    assert not box.any()


@pytest.mark.parametrize("kind", ["dipole", "spread"])
def test_a_baseline_is_not_evaluated(kind, crystal, monkeypatch):
    """That of a correction has no dipole, and adds the same to all members."""

    class Baseline(Springs):
        def evaluate(self, batch: Batch, want: Sequence[str]) -> Response:
            pytest.fail("a baseline was evaluated")

    bare = load_evaluator("water" if kind == "dipole" else COMMITTEE)
    expected = variable_of(kind)(Given(crystal))
    monkeypatch.setattr(plumed_variables, "load_evaluator", lambda model, threads: Corrected(Baseline(), bare))
    for found, wanted in zip(variable_of(kind)(Given(crystal)), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_the_spread_of_members_in_one_file(crystal):
    """That of calibrated members, and its derivative."""
    batch, variable = Batch.from_ase(crystal), CommitteeSpread("water", STRUCTURE)
    variable.prepare(load("water"))
    found = variable.derivatives(batch)
    assert found.value == pytest.approx(load("water").evaluate(batch, ["energy_uncertainty"]).energy_uncertainty[0])
    step = 1e-4
    for atom, axis in ((0, 0), (5, 2)):
        values = []
        for sign in (1, -1):
            moved = crystal.copy()
            moved.positions[atom, axis] += sign * step
            values.append(variable.derivatives(Batch.from_ase(moved)).value)
        assert found.gradient[atom, axis] == pytest.approx((values[0] - values[1]) / (2 * step), abs=1e-6)


def test_one_structure_is_evaluated_once(crystal, monkeypatch):
    """i-PI asks again after each step for the work of what was deposited."""
    variable = variable_of("spread")
    variable(Given(crystal))
    batches = []
    monkeypatch.setattr(variable, "derivatives", lambda batch: batches.append(batch) or pytest.fail("evaluated again"))
    variable(Given(crystal))
    assert not batches


@pytest.mark.parametrize(
    ("variable", "message"),
    [
        (DipoleAlong("watr", AXIS, STRUCTURE), "no model 'watr'"),
        (DipoleAlong("water_short", AXIS, STRUCTURE), "model 'water_short' has no dipole; it has energy"),
        (DipoleAlong("water", (0, 0, 0), STRUCTURE), "axis is (0, 0, 0); allowed are three finite numbers"),
        (DipoleAlong("water", "z", STRUCTURE), "axis is z; allowed"),
        (DipoleAlong("water", (0, 1), STRUCTURE), "axis is (0, 1); allowed"),
        (DipoleAlong("water", AXIS, "nowhere.xyz"), "nowhere.xyz"),
        (DipoleAlong("water", AXIS, STRUCTURE, "A"), "with length_unit 'A' atoms are within 0.4 Å of each other"),
        (DipoleAlong("water", AXIS, STRUCTURE, "bohr"), "length_unit is 'bohr'; allowed are nm, A"),
        (DipoleAlong("water", AXIS, STRUCTURE, threads=0), "threads is 0; allowed is an integer of at least 1"),
        (
            DipoleAlong("water", AXIS, INPUTS / "water_32.xyz"),
            "24 atoms; the structure that gives",
        ),
        (
            CommitteeSpread("water_accurate", STRUCTURE),
            "model 'water_accurate' has no members; allowed are one that has, as water, and committee:MODEL,MODEL",
        ),
    ],
)
def test_refused(variable, message, crystal):
    with pytest.raises(ValueError, match=r"^variable 's' of PLUMED: ") as refused:
        variable(Given(crystal))
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_length_unit_that_is_too_large(crystal):
    with pytest.raises(ValueError, match=r"no two atoms are within 7\.0 Å; it must be PLUMED's: nm, or A below UNITS"):
        variable_of("dipole")(Given(crystal, "A"))


def test_plumed_passes_a_refusal_on(plumed, crystal, monkeypatch):
    biased = Biased(plumed, CommitteeSpread("water_accurate", STRUCTURE), len(crystal), monkeypatch)
    with pytest.raises(plumed.PlumedError) as refused:
        biased(crystal.positions, crystal.cell.array)
    assert "variable 's' of PLUMED: model 'water_accurate' has no members" in str(refused.value.__cause__)


RUN = """
<simulation verbosity='low' floatformat='%.15e'>
  <output prefix='out'>
    <properties filename='properties' stride='1'>
      [step, conserved{{electronvolt}}, ensemble_bias{{electronvolt}}]
    </properties>
    <trajectory filename='variable' stride='1' bead='0' extra_type='s'> extras_bias </trajectory>
    <trajectory filename='centroid' stride='1' format='xyz'> x_centroid{{angstrom}} </trajectory>
  </output>
  <total_steps>{steps}</total_steps>
  <prng><seed>7</seed></prng>
  <ffdirect name='model'>
    <pes>custom</pes><pes_path>{shim}</pes_path><parameters>{{model: {model}, structure: start.xyz}}</parameters>
  </ffdirect>
  <ffplumed name='plumed'>
    <file mode='xyz'>start.xyz</file><plumed_dat>plumed.dat</plumed_dat><plumed_extras>[s]</plumed_extras>
  </ffplumed>
  <system>
    <initialize nbeads='2'>
      <file mode='xyz'>start.xyz</file><velocities mode='thermal' units='kelvin'>300</velocities>
    </initialize>
    <forces><force forcefield='model'/></forces>
    <ensemble>
      <temperature units='kelvin'>300</temperature>
      <bias><force forcefield='plumed' nbeads='1'><interpolate_extras>[s]</interpolate_extras></force></bias>
    </ensemble>
    <motion mode='dynamics'><dynamics mode='nve'><timestep units='femtosecond'>0.25</timestep></dynamics></motion>
  </system>
  <smotion mode='metad'><metad><metaff>[plumed]</metaff></metad></smotion>
</simulation>
"""


def run_ipi(
    plumed, folder: Path, variable: str, restraint: str, model: str = "water", steps: int = 10
) -> subprocess.CompletedProcess:
    """A run of 32 molecules with a variable in a module of the user's."""
    (folder / STRUCTURE).write_bytes((INPUTS / "water_32.xyz").read_bytes())
    (folder / "model_variables.py").write_text(
        f"from beadwise.driver.doors.plumed_variables import CommitteeSpread, DipoleAlong\n\nvariable = {variable}\n"
    )
    (folder / "plumed.dat").write_text(
        f"LOAD FILE={plumed.get_pycv_path()}\nUNITS LENGTH=A ENERGY=eV\n"
        "s: PYCVINTERFACE IMPORT=model_variables INIT=variable CALCULATE=variable\n"
        f"RESTRAINT ARG=s {restraint}\nPRINT ARG=s FILE=COLVAR\n"
    )
    (folder / "input.xml").write_text(RUN.format(shim=files("beadwise.driver") / "shim.py", model=model, steps=steps))
    path = os.pathsep.join([str(folder), str(HELPERS)])
    return subprocess.run(
        [*ipi_command(), "input.xml"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )


def test_a_restraint_on_the_dipole_conserves_energy(plumed, tmp_path):
    """In a path integral, biased on the centroid, whose dipole it is."""
    variable = "DipoleAlong('water', (0, 0, 1), 'start.xyz', length_unit='A')"
    ended = run_ipi(plumed, tmp_path, variable, "AT=5 KAPPA=1")
    assert ended.returncode == 0, ended.stderr
    _, conserved, bias = np.loadtxt(tmp_path / "out.properties").T
    assert np.ptp(bias) > 0.1
    assert np.ptp(conserved) < 0.01 * np.ptp(bias)
    values = np.loadtxt(tmp_path / "out.variable_0")
    centroids = read(tmp_path / "out.centroid.xyz", ":", format="xyz")
    for centroid in centroids:
        centroid.set_cell(np.full(3, CELL))
        centroid.pbc = True
    dipoles = load("water").evaluate(Batch.from_ase(centroids), ["dipole"]).dipole
    np.testing.assert_allclose(values, dipoles[:, 2], atol=1e-4)


@pytest.mark.parametrize("member", ["failing_late", "failing_at_once"])
def test_a_refused_centroid_ends_ipi(member, plumed, tmp_path):
    """With one line and status 2; that of a later step after i-PI has written its RESTART."""
    variable = f"CommitteeSpread('committee:springs:springs,springs:{member}', 'start.xyz', length_unit='A')"
    ended = run_ipi(plumed, tmp_path, variable, "AT=0 KAPPA=0.1", "springs:springs", 80)
    assert ended.returncode == 2, ended.stderr
    refusals = [line for line in ended.stderr.splitlines() if line.startswith("Error: ")]
    assert refusals == ["Error: variable 's' of PLUMED: atoms 3 and 7 are 0.100 Å apart; must be at least 0.3 Å"]
    assert "Traceback" not in ended.stderr
    assert (tmp_path / "RESTART").exists() == (member == "failing_late")
