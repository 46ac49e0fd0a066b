"""The driver in i-PI's own process, and in that of i-PI's Python driver, with the real ones."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from beadwise.driver.doors.in_process import InProcessDriver
from beadwise.driver.launch.shipped_inputs import SHIM
from beadwise.driver.launch.supervision import ipi_command
from beadwise.model import Batch, Response, load
from beadwise.runs.units import BOHR_PER_ANGSTROM, HARTREE_PER_ELECTRONVOLT
from fake_ipi import direct, structures
from ipi.pes import load_pes, scan_pes_file
from ipi.utils.io.inputs import read_args_kwargs
from ipi.utils.io.inputs.io_xml import read_dict
from ipi_pair import PATIENCE, STRUCTURE, Server, Side, final_state, largest_differences, run_together
from places import MODULES
from springs import Springs
from toy import Toy, water

DRIVER = [sys.executable, str(Path(sysconfig.get_path("scripts")) / "i-pi-driver-py")]
PARAMETERS = f"model: springs:springs, structure: {STRUCTURE}, want: dipole+polarizability"
EXTRAS = "<trajectory filename='extras' stride='1' extra_type='dipole,polarizability'> extras </trajectory>"
REFUSAL = "Error: atoms 3 and 7 are 0.100 Å apart; must be at least 0.3 Å\n"
STEPS = 20


class Defective(Springs):
    """Fails as a program does that is wrong."""

    def evaluate(self, batch: Batch, want: Sequence[str]) -> Response:
        raise RuntimeError("out of memory on the card")


def simulation(force_fields: str, names: Sequence[str] = ("one",), output: str = EXTRAS, steps: int = STEPS) -> str:
    forces = "".join(f"<force forcefield='{name}'/>" for name in names)
    return f"""
<simulation verbosity='low' floatformat='%.17e'>
  <output prefix='out'>
    <properties filename='properties' stride='1'> [step, potential, conserved, virial_cv] </properties>
    {output}
  </output>
  <total_steps>{steps}</total_steps>
  <prng><seed>7</seed></prng>
  {force_fields}
  <system>
    <initialize nbeads='4'>
      <file mode='ase'>{STRUCTURE}</file><velocities mode='thermal' units='kelvin'>300</velocities>
    </initialize>
    <forces>{forces}</forces>
    <motion mode='dynamics'><dynamics mode='nve'><timestep units='femtosecond'>0.2</timestep></dynamics></motion>
    <ensemble><temperature units='kelvin'>300</temperature></ensemble>
  </system>
</simulation>
"""


def ffdirect(parameters: str = PARAMETERS, batch: int = 1, threaded: bool = True, name: str = "one") -> str:
    return f"""<ffdirect name='{name}' threaded='{threaded}'>
    <pes>custom</pes><pes_path>{SHIM}</pes_path><parameters>{{{parameters}}}</parameters>
    <batch_size>{batch}</batch_size>
  </ffdirect>"""


def ffsocket(index: int = 0, mode: str = "unix", batch: int = 1, name: str = "one") -> str:
    return f"""<ffsocket name='{name}' mode='{mode}' pbc='false'>
    <address>@{index}</address><latency>1e-3</latency><batch_size>{batch}</batch_size>
  </ffsocket>"""


def served(model: str = "springs:springs") -> Server:
    command = [sys.executable, "-m", "beadwise.driver", "serve", model, "--structure", STRUCTURE]
    return lambda address: [*command, "--want", "dipole,polarizability", "--unix", address]


def by_ipis_driver(parameters: str = PARAMETERS, *options: str) -> Server:
    """i-PI's own driver; its parameters have ``=`` where those of an input have ``:``."""
    fixed = ["-m", "custom", "-P", str(SHIM), "-o", parameters.replace(": ", "="), *options]
    return lambda address: [*DRIVER, "-u", "-a", address, *fixed]


@pytest.fixture(scope="module", autouse=True)
def evaluators_can_be_found():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", MODULES)
        patch.setenv("OMP_NUM_THREADS", "1")
        yield


@pytest.fixture(scope="module")
def structure() -> str:
    lattice = " ".join(map(repr, (atoms := water()).cell.array.ravel().tolist()))
    lines = [f"{atom.symbol} {' '.join(map(repr, atom.position.tolist()))}" for atom in atoms]
    return "\n".join([str(len(atoms)), f'Lattice="{lattice}" Properties=species:S:1:pos:R:3 pbc="T T T"', *lines, ""])


@pytest.fixture(scope="module")
def over_a_socket(tmp_path_factory, structure) -> Path:
    folder = tmp_path_factory.mktemp("socket")
    return run_together(folder, structure, {"socket": Side(simulation(ffsocket()), [served()])})["socket"]


def assert_same(folder: Path, reference: Path) -> None:
    """The same run: properties, extras of every bead at every step, positions and momenta at the end."""
    assert max(largest_differences(folder, reference).values()) < 1e-9
    files = sorted(path.name for path in reference.glob("out.extras_*"))
    assert sorted(path.name for path in folder.glob("out.extras_*")) == files
    for name in files:
        extras = np.loadtxt(folder / name)
        assert extras.shape == (STEPS + 1, 12)
        np.testing.assert_allclose(extras, np.loadtxt(reference / name), rtol=1e-9, atol=1e-12)


# batches of 3 without a thread would hang in i-PI: nothing evaluates the last of 4 beads
@pytest.mark.parametrize(("batch", "threaded"), [(1, True), (2, True), (3, True), (4, True), (1, False), (4, False)])
def test_trajectory_of_the_socket(batch, threaded, tmp_path, structure, over_a_socket):
    text = simulation(ffdirect(batch=batch, threaded=threaded))
    assert_same(run_together(tmp_path, structure, {"direct": Side(text)})["direct"], over_a_socket)


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("mode", ["unix", "shm"])
def test_ipis_own_driver(mode, batch, tmp_path, structure, over_a_socket):
    options = ["--shm"] if mode == "shm" else []
    side = Side(simulation(ffsocket(mode=mode, batch=batch)), [by_ipis_driver(PARAMETERS, *options)])
    assert_same(run_together(tmp_path, structure, {"driver": side})["driver"], over_a_socket)


def test_beside_a_socket(tmp_path, structure):
    """Two force fields of different models in one job, and the same two over sockets."""
    second = f"model: members:second, structure: {STRUCTURE}"
    names = ("one", "two")
    mixed = simulation(ffdirect(second, batch=2) + ffsocket(name="two"), names, output="")
    sockets = simulation(ffsocket(0) + ffsocket(1, name="two"), names, output="")
    both = simulation(ffdirect(second) + ffdirect(name="two"), names, output="")
    sides = {
        "mixed": Side(mixed, [served()]),
        "sockets": Side(sockets, [served("members:second"), served()]),
        "direct": Side(both),
    }
    folders = run_together(tmp_path, structure, sides)
    for name in ("mixed", "direct"):
        assert max(largest_differences(folders[name], folders["sockets"]).values()) < 1e-9


def run_ipi(folder: Path, text: str, structure: str, name: str = "input.xml") -> subprocess.CompletedProcess:
    (folder / STRUCTURE).write_text(structure)
    (folder / name).write_text(text)
    return subprocess.run([*ipi_command(), name], cwd=folder, capture_output=True, text=True, timeout=PATIENCE)


@pytest.mark.parametrize(("batch", "threaded"), [(1, True), (4, True), (1, False), (2, False)])
def test_a_refused_structure_ends_ipi(batch, threaded, tmp_path, structure, over_a_socket):
    """i-PI writes its RESTART and ends, and from there the run goes on as if nothing had happened."""
    refusing = ffdirect(PARAMETERS.replace("springs:springs", "springs:failing_late"), batch, threaded)
    ended = run_ipi(tmp_path, simulation(refusing), structure)
    assert (ended.returncode, ended.stderr) == (2, REFUSAL)
    assert "I-PI reports a problem" in ended.stdout
    restart = (tmp_path / "RESTART").read_text()
    assert "springs:failing_late" in restart
    ended = run_ipi(tmp_path, restart.replace("springs:failing_late", "springs:springs"), structure, "RESTART")
    assert (ended.returncode, ended.stderr) == (0, "")
    for name, values in final_state(tmp_path).items():
        np.testing.assert_allclose(values, final_state(over_a_socket)[name], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("threaded", [True, False])
def test_the_first_structure_is_refused(threaded, tmp_path, structure):
    """Forces are then asked for while i-PI writes its outputs, and holds back its soft exit."""
    refusing = ffdirect(PARAMETERS.replace("springs:springs", "springs:failing_at_once"), threaded=threaded)
    ended = run_ipi(tmp_path, simulation(refusing), structure)
    assert (ended.returncode, ended.stderr) == (2, REFUSAL)
    assert (tmp_path / "RESTART").exists()


@pytest.mark.parametrize("threaded", [True, False])
def test_a_defect_ends_ipi(threaded, tmp_path, structure):
    defective = ffdirect(PARAMETERS.replace("springs:springs", "test_in_process:Defective"), threaded=threaded)
    ended = run_ipi(tmp_path, simulation(defective), structure)
    assert ended.returncode == 2
    assert ended.stderr.startswith("Traceback")
    assert ended.stderr.endswith("RuntimeError: out of memory on the card\n")
    assert ended.stderr.count("Traceback") == 1


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_refused_structure_ends_ipis_driver(tmp_path, structure):
    """i-PI itself waits for another driver, as it does for any that is lost."""
    address = f"beadwise-refused-{uuid.uuid4().hex[:12]}"
    (tmp_path / STRUCTURE).write_text(structure)
    (tmp_path / "input.xml").write_text(simulation(ffsocket()).replace("@0", address))
    command = by_ipis_driver(PARAMETERS.replace("springs:springs", "springs:failing_late"))(address)
    with (
        (tmp_path / "log").open("w") as log,
        subprocess.Popen([*ipi_command(), "input.xml"], cwd=tmp_path, stdout=log) as ipi,
    ):
        try:
            wait_for(Path(f"/tmp/ipi_{address}").exists)  # i-PI's driver does not wait for it
            time.sleep(0.05)  # between the socket's file and its listening
            ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE)
            assert (ended.returncode, ended.stderr) == (2, REFUSAL)
            assert ipi.poll() is None
        finally:
            ipi.kill()
            Path(f"/tmp/ipi_{address}").unlink(missing_ok=True)


def test_bad_parameters_in_ipi(tmp_path, structure):
    ended = run_ipi(tmp_path, simulation(ffdirect("modl: water")), structure)
    assert ended.returncode == 2
    allowed = "model, structure, template, species, want, field, field_order, properties_only, threads, precision"
    assert ended.stderr == f"Error: unknown parameter 'modl'; allowed are {allowed}\n"
    assert "Traceback" not in ended.stdout


def test_bad_parameters_in_ipis_driver():
    command = by_ipis_driver("model: watr")("nowhere")
    ended = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert ended.returncode == 2
    assert ended.stderr.startswith("Error: no model 'watr'")
    assert ended.stderr.count("\n") == 1


SPRINGS = "model: springs:springs, species: (OH2)2"


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ("model: nothing", "no model 'nothing'"),
        ("model: water, structure: nowhere.xyz", "nowhere.xyz"),
        ("model: water, template: nowhere.xyz", "nowhere.xyz"),
        ("model: water, species: Q2", "species 'Q2' is not a chemical formula"),
        ("model: water, species: He", "atom 0 is He"),
        ("model: springs:springs", "no structure was given"),
        (f"{SPRINGS}, want: charm", "unknown property 'charm'"),
        (f"{SPRINGS}, want: +", "want is '+'; allowed are energy"),
        (f"{SPRINGS}, properties_only: true", "at least one other property is needed"),
        (f"{SPRINGS}, properties_only: 2", "properties_only is '2'; allowed are true and false"),
        (f"{SPRINGS}, threads: 0", "threads is '0'; allowed is an integer of at least 1"),
        (f"{SPRINGS}, threads: 1.5", "threads is '1.5'"),
        (f"{SPRINGS}, threads: true", "threads is 'True'"),
        (f"{SPRINGS}, precision: single", "has no single precision"),
        (f"{SPRINGS}, field: 0 0 0.1", "has no method in_field"),
        ("model: qtip4pf, species: OH2, field: 1", "field is '1'; allowed are three numbers"),
        ("model: qtip4pf, species: OH2, field: 0 0 inf", "field is '0 0 inf'"),
        ("model: qtip4pf, species: OH2, field: 0 0 up", "field is '0 0 up'"),
        ("model: lennard-jones:epsilon=1, species: He", "parameter sigma of the potential lennard-jones is missing"),
    ],
)
def test_refused_parameters(parameters, message, capsys):
    for given in (read_dict(f"{{{parameters}}}"), read_args_kwargs(parameters.replace(": ", "="))[1]):
        with pytest.raises(SystemExit) as ended:
            InProcessDriver(**given)
        assert ended.value.code == 2
        error = capsys.readouterr().err
        assert error.startswith("Error: ")
        assert message in error
        assert error.count("\n") == 1


def test_parameters_need_names(capsys):
    unnamed, named = read_args_kwargs("qtip4pf, threads=2")
    with pytest.raises(SystemExit):
        InProcessDriver(*unnamed, **named)
    assert capsys.readouterr().err.startswith("Error: the parameter 'qtip4pf' has no name; allowed are model, ")


def atomic(response: Response, bead: int) -> tuple[float, np.ndarray, np.ndarray]:
    energy, length = HARTREE_PER_ELECTRONVOLT, BOHR_PER_ANGSTROM
    return response.energy[bead] * energy, response.forces[bead] * energy / length, response.virial[bead] * energy


@pytest.mark.parametrize("kind", ["single", "list of one", "list"])
def test_results(kind, monkeypatch):
    """Lattice vectors are columns; a list is evaluated at once, and answered by a list whatever its length."""
    toy = Toy()
    monkeypatch.setattr("beadwise.driver.doors.in_process.load_evaluator", lambda model, threads: toy)
    driver = InProcessDriver(species="(OH2)2", want="dipole polarizability", verbosity=False)
    beads = 3 if kind == "list" else 1
    cells, positions = structures(beads)
    columns = [cell.T.copy() for cell in cells]
    results = [driver(columns[0], positions[0])] if kind == "single" else driver(columns, list(positions))
    assert isinstance(results, list)
    assert [batch.beads for batch in toy.batches] == [beads]
    expected = direct(cells, positions)
    for bead, (potential, forces, virial, extras) in enumerate(results):
        assert isinstance(extras, str)
        for received, wanted in zip((potential, forces, virial), atomic(expected, bead), strict=True):
            np.testing.assert_allclose(received, wanted, rtol=1e-12, atol=1e-14)
        assert forces.shape == (6, 3)
        dipole = expected.dipole[bead] * BOHR_PER_ANGSTROM
        np.testing.assert_allclose(json.loads(extras)["dipole"], dipole, rtol=1e-12)
        assert list(json.loads(extras)) == ["dipole", "polarizability"]
    assert len(results) == beads


def test_the_shipped_model_is_the_default(liquid):
    """Its atoms are told from their distances."""
    cell, positions = liquid.cell.array * BOHR_PER_ANGSTROM, liquid.positions * BOHR_PER_ANGSTROM
    potential, forces, _, extras = InProcessDriver()(cell.T, positions)
    expected = load("water").evaluate(Batch.from_ase(liquid), ["energy", "forces", "virial"])
    wanted = atomic(expected, 0)
    assert potential == pytest.approx(wanted[0], rel=1e-12)
    np.testing.assert_allclose(forces, wanted[1], rtol=1e-9, atol=1e-12)
    assert json.loads(extras) == {}


@pytest.mark.parametrize("field", ["0 0 -0.1", "0;0;-0.1", "0; 0e0; -1e-1"])
def test_field(field, liquid):
    """Enthalpy in a field, through both of i-PI's ways to read parameters."""
    cell, positions = liquid.cell.array.T * BOHR_PER_ANGSTROM, liquid.positions * BOHR_PER_ANGSTROM
    bare, _, _, extras = InProcessDriver(model="qtip4pf", species="(OH2)64", want="dipole")(cell, positions)
    dipole = np.array(json.loads(extras)["dipole"])
    work = -0.1 * HARTREE_PER_ELECTRONVOLT / BOHR_PER_ANGSTROM * dipole[2]
    parameters = f"model: qtip4pf, species: (OH2)64, field: {field}"
    for given in (read_dict(f"{{{parameters}}}"), read_args_kwargs(parameters.replace(": ", "="))[1]):
        assert InProcessDriver(**given)(cell, positions)[0] - bare == pytest.approx(-work, rel=1e-9)


def test_semicolons_for_commas(tmp_path, monkeypatch):
    """In MODEL as well; and the atoms may be those of i-PI's input."""
    monkeypatch.chdir(tmp_path)
    cells, positions = structures(1)
    (tmp_path / STRUCTURE).write_text("6\n\n" + "\n".join(f"{symbol} 0 0 0" for symbol in "OHHOHH"))
    (tmp_path / "input.xml").write_text(simulation("").replace("mode='ase'", "mode='xyz'"))
    committee = "committee:members:first;members:second"
    parameters = {"model": committee, "structure": "input.xml", "want": "dipole;committee_energy"}
    potential, *_, extras = InProcessDriver(**parameters)(cells[0].T, positions[0])
    assert np.mean(json.loads(extras)["committee_pot"]) == pytest.approx(potential, rel=1e-12)
    pair = InProcessDriver(model="lennard-jones:epsilon=0.01;sigma=3", species="He2")
    assert pair(100 * np.eye(3), np.diag([9.0, 0, 0])[:2])[0] < 0


def test_zeros_for_a_force_of_weight_0():
    cells, positions = structures(1)
    driver = InProcessDriver(model="springs:springs", species="(OH2)2", want="dipole", properties_only=True)
    potential, forces, virial, extras = driver(cells[0].T, positions[0])
    assert potential == 0
    assert not forces.any()
    assert not virial.any()
    assert list(json.loads(extras)) == ["dipole"]


SCRIPT = """
import numpy as np
from ipi.scripting import InteractiveSimulation
from beadwise.model import StructureError

with open("input.xml") as file:
    simulation = InteractiveSimulation(file)
simulation.run(1)
print(np.shape(simulation.syslist[0].forces.extras["dipole"]))
try:
    simulation.run(100)
except StructureError as error:
    print(error)
"""


@pytest.mark.parametrize("threaded", [True, False])
def test_interactive_simulation(threaded, tmp_path, structure):
    """Without a thread, a script gets the errors itself; otherwise it ends."""
    (tmp_path / STRUCTURE).write_text(structure)
    refusing = PARAMETERS.replace("springs:springs", "springs:failing_late")
    (tmp_path / "input.xml").write_text(simulation(ffdirect(refusing, batch=4, threaded=threaded)))
    command = [sys.executable, "-c", SCRIPT]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE)
    assert (ended.returncode, ended.stderr) == (0, REFUSAL if threaded else "")
    assert "(4, 3)" in ended.stdout.splitlines()
    if not threaded:
        assert ended.stdout.splitlines()[-1] == REFUSAL.removeprefix("Error: ").strip()


def test_shim(tmp_path):
    """The command prints the path of a file that i-PI accepts, from any folder."""
    command = [sys.executable, "-m", "beadwise.driver", "shim"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE, env=os.environ)
    assert (ended.returncode, ended.stderr) == (0, "")
    path = Path(ended.stdout.removesuffix("\n"))
    assert path.samefile(SHIM)
    for one in (path, SHIM.parents[1] / "shim.py"):  # the other is that of earlier releases
        assert scan_pes_file(one) == ("InProcessDriver", "beadwise")
        assert load_pes("custom", one) is InProcessDriver
