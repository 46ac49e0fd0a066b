"""``beadwise run`` where forces do not come through a socket: in i-PI's own process, and over MPI."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import numpy as np
import pytest
from beadwise.driver.doors import shim
from test_run import EXTRAS, Folder, one_line

SPRINGS = "model: springs:springs, structure: water.extxyz, want: dipole+polarizability"
DIRECT = """<ffdirect name='{name}' threaded='{threaded}'>
    <pes> custom </pes> <pes_path> {path} </pes_path> <parameters> {{{parameters}}} </parameters>
    <batch_size> {batch} </batch_size>
  </ffdirect>"""
LENNARD_JONES = """<fflj name='springs' pbc='false'>
    <parameters> {{eps: 1e-9, sigma: 1.0}} </parameters>
  </fflj>"""
HALVES = "<force forcefield='springs' weight='0.5'/> <force forcefield='direct' weight='0.5'/>"
REFUSAL = "Error: atoms 3 and 7 are 0.100 Å apart; must be at least 0.3 Å"


@pytest.fixture
def folder(tmp_path):
    folder = Folder(tmp_path)
    yield folder
    folder.kill_all()


def direct(parameters: str = SPRINGS, path: str = shim.__file__, name="springs", batch=4, threaded=True) -> str:
    return DIRECT.format(parameters=parameters, path=path, name=name, batch=batch, threaded=threaded)


def write_input(
    folder: Folder, force_field: str | None = None, forces: str | None = None, steps: int = 6, outputs: str = EXTRAS
) -> None:
    """As for a socket, but with another force field in its place, or with other forces; the same run each time."""
    folder.write_input(steps=steps, outputs=outputs)
    path = folder.path / "input.xml"
    text = path.read_text().replace("<system>", "<prng> <seed> 11 </seed> </prng> <system>")
    if force_field is not None:
        text = re.sub(r"<ffsocket.*?</ffsocket>", lambda found: force_field, text, flags=re.DOTALL)
    if forces is not None:
        text = text.replace("<force forcefield='springs'/>", forces)
    path.write_text(text)


def write_halves(folder: Folder, steps: int = 6) -> None:
    """Half of the forces through a socket, half in i-PI's process."""
    write_input(folder, forces=HALVES, steps=steps)
    path = folder.path / "input.xml"
    path.write_text(path.read_text().replace("<system>", direct(name="direct") + "<system>"))


def set_total_steps(folder: Folder, steps: int) -> None:
    path = folder.path / "RESTART"
    path.write_text(re.sub(r"<total_steps>.*?</total_steps>", f"<total_steps>{steps}</total_steps>", path.read_text()))


def test_in_process_to_the_end_and_on_from_restart(folder, tmp_path_factory, monkeypatch):
    """The same run as with a server, step by step."""
    write_input(folder)
    assert folder.run("input.xml")[0] == 0
    expected = np.loadtxt(folder.path / "test.out")
    moments = np.loadtxt(folder.path / "test.moments_0")

    other = Folder(tmp_path_factory.mktemp("direct"))
    write_input(other, direct(), steps=4)
    with monkeypatch.context() as patch:
        patch.delenv("BEADWISE_PICTURES")
        status, output, errors = other.run("input.xml", model=None)
    assert (status, errors) == (0, "")
    assert "finished at step 4" in output and "energies in" in output
    assert (other.path / "test.energies.png").exists()
    assert "<pes_path>" in (other.path / "RESTART").read_text()
    set_total_steps(other, 6)
    status, _, errors = other.run("RESTART", model=None)
    assert (status, errors) == (0, "")
    np.testing.assert_allclose(np.unique(np.loadtxt(other.path / "test.out"), axis=0), expected, rtol=1e-7)
    assert len(np.loadtxt(other.path / "test.moments_0")) >= len(moments)
    other.assert_clean()


def test_spectra_of_a_run_in_process(folder):
    write_input(folder, direct(), steps=300)
    status, output, errors = folder.run("input.xml", "--spectrum", "ir", "--window", "20", model=None)
    assert (status, errors) == (0, "")
    assert "spectra in test.ir.png" in output
    assert (folder.path / "test.ir.csv").exists()


def test_potentials_of_ipi_itself(folder):
    write_input(folder, LENNARD_JONES.format(), outputs="")
    status, output, errors = folder.run("input.xml", model=None)
    assert (status, errors) == (0, "") and "finished at step 6" in output
    write_input(folder, "<ffdirect name='springs'><pes>harmonic</pes><parameters>{k1: 1e-3}</parameters></ffdirect>")
    status, _, errors = folder.run("input.xml", model=None)
    assert status == 2 and "'dipole' is not among the extras that were sent; the force field" in one_line(errors)


def test_beside_a_socket(folder):
    """--model is that of the server."""
    write_halves(folder)
    status, _, errors = folder.run("input.xml")
    assert (status, errors) == (0, "")
    halves = np.loadtxt(folder.path / "test.out")
    folder.assert_clean()
    write_input(folder)
    assert folder.run("input.xml")[0] == 0
    np.testing.assert_allclose(halves, np.loadtxt(folder.path / "test.out"), rtol=1e-7)


def test_server_refuses_beside_a_force_field_in_process(folder):
    write_halves(folder, steps=100000)
    status, _, errors = folder.run("input.xml", model="springs:failing_late")
    assert status == 2 and one_line(errors).startswith(f"{REFUSAL}; i-PI was stopped at step")
    folder.assert_clean()


@pytest.mark.parametrize(
    ("model", "threaded"), [("failing_late", True), ("failing_late", False), ("failing_at_once", True)]
)
def test_refused_structure(folder, model, threaded):
    refusing = direct(SPRINGS.replace("springs:springs", f"springs:{model}"), threaded=threaded)
    write_input(folder, refusing, steps=100000)
    status, _, errors = folder.run("input.xml", model=None)
    step = folder.step_of_restart()
    assert status == 2
    left = f"i-PI was stopped at step {step}, continue with `beadwise run RESTART`"
    if model == "failing_at_once":  # going on would meet the structure again
        left = "i-PI was stopped at step 0, where it began: change the structure, its units or the model, then start "
        left += "again with `beadwise run input.xml`"
    assert one_line(errors) == f"{REFUSAL}; {left}\n"
    assert step == 0 if model == "failing_at_once" else step > 3
    folder.assert_clean()
    restart = folder.path / "RESTART"
    restart.write_text(restart.read_text().replace(f"springs:{model}", "springs:springs"))
    set_total_steps(folder, step + 2)
    assert folder.run("RESTART", model=None)[0] == 0
    assert folder.last_step() == step + 2


def test_defect_in_process(folder):
    write_input(folder, direct(SPRINGS.replace("springs:springs", "test_in_process:Defective")), steps=100000)
    status, _, errors = folder.run("input.xml", model=None)
    reason = "out of memory on the card; i-PI was stopped at step 0, continue with `beadwise run RESTART`"
    assert status == 1 and f"an evaluation in i-PI's process failed: {reason}; its log is" in one_line(errors)
    folder.assert_clean()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ("modl: water", "Error: unknown parameter 'modl'; allowed are model, "),
        (f"{SPRINGS}, threads: none", "Error: threads is 'none'"),
        (SPRINGS.replace("springs:springs", "springs:nothing"), "Error: cannot import the evaluator 'springs:nothing'"),
        (SPRINGS.replace("water.extxyz", "none.extxyz"), "none.extxyz"),
    ],
)
def test_parameters_that_cannot_be_used(folder, parameters, message):
    write_input(folder, direct(parameters))
    (folder.path / "RESTART").write_text("of an older run")
    status, _, errors = folder.run("input.xml", model=None)
    assert status == 2 and message in one_line(errors)
    assert "i-PI was stopped" not in errors


@pytest.mark.parametrize(("number", "threaded"), [(signal.SIGINT, True), (signal.SIGTERM, False)])
def test_interrupted_in_process(folder, number, threaded):
    write_input(folder, direct(SPRINGS.replace("springs:springs", "springs:slow"), threaded=threaded), steps=100000)
    process = folder.start("input.xml", model=None)
    folder.wait_for_steps(3)
    process.send_signal(number)
    _, errors = process.communicate(timeout=30)
    step = folder.step_of_restart()
    assert process.returncode == 1
    assert f"interrupted; i-PI was stopped at step {step}, continue with `beadwise run RESTART`" in one_line(errors)
    assert step >= 3
    folder.assert_clean()


def test_killed_run_takes_ipi_with_it(folder):
    write_input(folder, direct(), steps=100000)
    process = folder.start("input.xml", model=None)
    folder.wait_for_steps(3)
    (ipi,) = (pid for pid in folder.processes() if b"i-pi\0" in Path(f"/proc/{pid}/cmdline").read_bytes())
    os.kill(ipi, signal.SIGKILL)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 1 and "i-PI failed with status -9" in one_line(errors)
    folder.assert_clean()


@pytest.mark.parametrize(
    ("force_field", "options", "message"),
    [
        ("", (), "'input.xml' holds no force field for a run; allowed are <ffsocket> and <ffdebye>, <ffdirect>, "),
        (
            direct(path="none.py"),
            (),
            "<pes_path> of <ffdirect> 'springs' is 'none.py', which is no file; `beadwise shim`",
        ),
        (direct(path=""), (), "<pes_path> of <ffdirect> 'springs' is '', which is no file; `beadwise shim` prints"),
        (direct(), ("--model", "water"), "--model is for servers, and 'input.xml' has no <ffsocket>; what <ffdirect>"),
        (direct(), ("--want", "dipole"), "--want is for servers"),
        (direct(), ("--field", "0,0,0.1"), "--field is for servers"),
        (direct(), ("--precision", "single"), "--precision is for servers"),
        (
            "<ffmpi mode='mpi' name='springs'/>",
            (),
            "`mpiexec -n 1 beadwise ipi input.xml : -n N beadwise serve MODEL --mpi --structure input.xml`",
        ),
    ],
)
def test_refused_before_the_start(folder, force_field, options, message):
    write_input(folder, force_field)
    status, _, errors = folder.run("input.xml", *options, model=None)
    assert status == 2 and message in one_line(errors)
    assert not (folder.path / "test.log").exists()


def test_example_in_process_takes_the_threads_of_the_command_line(folder):
    """Stopped before it has begun in earnest."""
    process = folder.start("in_process", "--threads", "3", "--spectrum", "none", model=None)
    copy = folder.path / "beadwise-in-process"
    assert "copied the shipped input" in process.stdout.readline()
    text = (copy / "in_process.xml").read_text()
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert "threads: 3}" in text and f"<pes_path>{shim.__file__}</pes_path>" in text
