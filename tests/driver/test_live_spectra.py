"""Spectra that are kept current while i-PI runs, also over a kill and a restart."""

import os
import re
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from beadwise.analysis.spectrum.conditions import read_run_conditions
from beadwise.analysis.spectrum.live import LiveSpectra
from beadwise.runs.input.elements import InputError
from beadwise.runs.input.run_input import RunInput
from test_run import Folder

MOMENTS = """
    <trajectory filename='moments' stride='2' extra_type='dipole,polarizability'> extras </trajectory>
    <checkpoint filename='chk' stride='25' overwrite='true'/>
"""
SPECTRA = ("--spectrum", "ir,raman", "--window", "40")


@pytest.fixture
def folder(tmp_path):
    folder = Folder(tmp_path)
    yield folder
    folder.kill_all()


def write_input(folder, steps):
    """With a seed, or each run would have velocities of its own, and with all digits in the checkpoints."""
    folder.write_input(steps=steps, outputs=MOMENTS)
    path = folder.path / "input.xml"
    text = path.read_text().replace("</total_steps>", "</total_steps> <prng> <seed> 7 </seed> </prng>")
    path.write_text(text.replace("<simulation ", "<simulation floatformat='%24.16e' "))


def table_of(path: Path) -> str:
    return path.read_text()


def run_whole(folder, steps):
    write_input(folder, steps)
    status, output, errors = folder.run("input.xml", *SPECTRA)
    assert (status, errors) == (0, "")
    return output


def test_spectra_are_kept_while_ipi_runs(folder):
    output = run_whole(folder, 300)
    assert "spectra in test.ir.png and test.raman.png" in output
    for kind in ("ir", "raman"):
        assert (folder.path / f"test.{kind}.png").read_bytes().startswith(b"\x89PNG")
        table = (folder.path / f"test.{kind}.csv").read_text()
        assert re.search(r"# dynamics: .*, \d+ beads, 300 K", table) and "hann, 40 fs" in table
    folder.assert_clean()


def test_spectra_of_a_model_out_of_several(folder, tmp_path):
    """Energy, dipole and polarizability each of a part, which answer together as the whole does."""
    write_input(folder, 200)
    parts = "\n".join(f'[{name}]\nmodel = "springs:springs"' for name in ("energy", "dipole", "polarizability"))
    (folder.path / "mixed.toml").write_text(parts)
    status, _, errors = folder.run("input.xml", *SPECTRA, "--trust", "springs:springs", model="mixed.toml")
    assert (status, errors) == (0, "")
    (tmp_path / "whole").mkdir()
    whole = Folder(tmp_path / "whole")
    run_whole(whole, 200)
    for kind in ("ir", "raman"):
        assert table_of(folder.path / f"test.{kind}.csv") == table_of(whole.path / f"test.{kind}.csv")


@pytest.mark.parametrize("victim", ["everything", "run"])
def test_killed_and_continued_run_has_the_same_spectrum(folder, tmp_path, victim):
    steps = 300
    write_input(folder, steps)
    process = folder.start("input.xml", *SPECTRA, model="springs:slow")
    folder.wait_for_steps(90)
    if victim == "everything":
        for child in folder.processes():
            os.kill(child, signal.SIGKILL)
    process.kill()
    process.communicate()
    deadline = time.monotonic() + 15
    while folder.processes() and time.monotonic() < deadline:
        time.sleep(0.1)
    folder.socket.unlink(missing_ok=True)
    checkpoint = "test.chk" if victim == "everything" else "RESTART"
    assert 0 < RunInput.read(folder.path / checkpoint).step < steps
    status, output, errors = folder.run(checkpoint, *SPECTRA)
    assert (status, errors) == (0, ""), errors
    assert "no spectra" not in output
    continued = {kind: table_of(folder.path / f"test.{kind}.csv") for kind in ("ir", "raman")}

    (tmp_path / "whole").mkdir()
    whole = Folder(tmp_path / "whole")
    run_whole(whole, steps)
    for kind, table in continued.items():
        assert table == table_of(whole.path / f"test.{kind}.csv")


def test_continued_once_more_without_spectra_in_between(folder, tmp_path):
    """What the spectrum is made of are i-PI's own files."""
    write_input(folder, 100)
    assert folder.run("input.xml")[0] == 0
    restart = folder.path / "RESTART"
    restart.write_text(re.sub(r"<total_steps>.*?</total_steps>", "<total_steps>200</total_steps>", restart.read_text()))
    assert folder.run("RESTART", *SPECTRA)[0] == 0
    (tmp_path / "whole").mkdir()
    whole = Folder(tmp_path / "whole")
    run_whole(whole, 200)
    assert table_of(folder.path / "test.ir.csv") == table_of(whole.path / "test.ir.csv")


def test_input_that_does_not_write_what_is_needed(folder):
    folder.write_input(outputs="<trajectory filename='a' bead='0' extra_type='dipole'> extras </trajectory>")
    status, _, errors = folder.run("input.xml", "--spectrum", "ir")
    assert status == 2 and "made of dipole of every bead" in errors and "<trajectory filename='moments'" in errors
    status, _, errors = folder.run("input.xml", "--spectrum", "uv")
    assert status == 2 and "'uv' is no spectrum; allowed are ir,raman,sfg,dielectric, none" in errors


def test_the_most_frequent_output_is_used(folder):
    folder.write_input(
        outputs="<trajectory filename='rare' stride='8' extra_type='dipole'> extras </trajectory>" + MOMENTS
    )
    simulation = RunInput.read(folder.path / "input.xml")
    conditions = read_run_conditions(RunInput.read(folder.path / "input.xml"))
    assert [output.stride for output in simulation.extras_outputs] == [8, 2]
    live = LiveSpectra(["ir"], simulation, conditions)
    live.read()
    assert live.draw() == []
    with pytest.raises(InputError, match="molecular_dipole and molecular_polarizability and molecular_position"):
        LiveSpectra(["sfg"], simulation, conditions)


def test_conditions_of_inputs_and_restarts(folder):
    folder.write_input(steps=2, outputs=MOMENTS)
    before = read_run_conditions(RunInput.read(folder.path / "input.xml"))
    assert folder.run("input.xml")[0] == 0
    after = read_run_conditions(RunInput.read(folder.path / "RESTART"))
    assert (after.beads, after.dynamics, after.symbols) == (before.beads, before.dynamics, before.symbols)
    np.testing.assert_allclose(after.cell, before.cell, atol=1e-6)
    np.testing.assert_allclose([after.timestep, after.temperature], [before.timestep, before.temperature], rtol=1e-9)
    assert after.symbols == {"H", "O"}
