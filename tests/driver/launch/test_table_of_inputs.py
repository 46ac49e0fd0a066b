"""The script that tries every input of i-PI: how it shortens one, and what it makes of what the command says."""

import importlib.util
import sys

import pytest
from beadwise.runs.input.run_input import RunInput
from places import REPOSITORY

INPUT = """<simulation><step> 4 </step><ffsocket name='a' mode='unix'><address> theirs </address></ffsocket>
<ffcavphsocket name='b'/><system><initialize nbeads='1'><file mode='xyz'> start.xyz </file></initialize>
<forces><force forcefield='a'/></forces></system></simulation>"""


@pytest.fixture(scope="module")
def table():
    place = REPOSITORY / "docs" / "make_ipi_inputs.py"
    spec = importlib.util.spec_from_file_location("table_of_inputs", place)
    module = importlib.util.module_from_spec(spec)
    sys.modules["table_of_inputs"] = module  # where dataclasses look for it
    spec.loader.exec_module(module)
    return module


def test_two_steps_more_and_addresses_of_its_own(table, tmp_path):
    (tmp_path / "input.xml").write_text(INPUT)
    run = RunInput.read(table.shorten(tmp_path / "input.xml", 7))
    assert run.total_steps == 4 + table.STEPS
    assert [str(socket) for socket in run.sockets] == ["/tmp/ipi_table-7-0", f"localhost:{table.FIRST_PORT + 141}"]
    assert (tmp_path / "input.xml").read_text() == INPUT


@pytest.mark.parametrize(("atoms", "models"), [("OHH", ["qtip4pf", "harmonic"]), ("ArAr", ["lennard-jones"])])
def test_potentials_that_accept_the_atoms(table, tmp_path, atoms, models):
    labels = ["Ar", "Ar"] if atoms == "ArAr" else list(atoms)
    rows = "".join(f"{label} 0 0 {place}\n" for place, label in enumerate(labels))
    (tmp_path / "start.xyz").write_text(f"{len(labels)}\n# CELL(abcABC): 20 20 20 90 90 90\n{rows}")
    (tmp_path / "input.xml").write_text(INPUT)
    run = RunInput.read(tmp_path / "input.xml")
    found = [name.partition(":")[0] for name in table.models_for(run, run.sockets[0])]
    assert found[: len(models)] == models


@pytest.mark.parametrize(
    ("status", "is_over", "output", "errors", "result"),
    [
        (0, True, "finished at step 2", "", "runs"),
        (2, True, "", "Error: i-PI refused 'a.xml': it is so; its log is a.log", "refused by i-PI"),
        (2, True, "", "a remark\nError: 'a.xml' holds no force field", "refused"),
        (1, True, "", "Error: i-PI failed", "fails"),
        (-15, False, "step 1/2", "", "not over in time"),
        (1, True, "", "Traceback (most recent call last):\n  File\nKeyError: 'a'", "TRACEBACK"),
    ],
)
def test_results(table, status, is_over, output, errors, result):
    assert table.judge(status, is_over, output, errors)[0] == result
