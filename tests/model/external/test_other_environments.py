"""Models whose packages exclude each other, each in an environment of its own, in one run of a real i-PI."""

from __future__ import annotations

import json
import shlex
import sys
from importlib.util import find_spec
from pathlib import Path

import ipi_pair
import numpy as np
import pytest
from ase.io import read
from beadwise.model import Batch
from beadwise.model.evaluators import load_evaluator
from beadwise.runs.units import BOHR_PER_ANGSTROM
from ipi_pair import Side, beadwise, properties, run_together

if find_spec("mace") is None:
    pytest.skip("mace-torch is not installed: pip install 'beadwise[mace]'", allow_module_level=True)

from mace_files import mace_file
from test_mace_in_ipi import INPUT, start

OTHERS = {name: Path(sys.prefix) / name / "bin" / "python" for name in ("sevenn", "chgnet")}
FORCES = """<trajectory filename='forces' stride='1' format='xyz'> forces{ev/ang} </trajectory>
    <trajectory filename='dipole' stride='1' extra_type='dipole'> extras </trajectory>"""
SOCKET = """<ffsocket mode='unix' name='driver' pbc='false'>
    <address>@0</address><batch_size>2</batch_size>
  </ffsocket>"""


@pytest.mark.skipif(
    not all(python.is_file() for python in OTHERS.values()),
    reason="there is no environment: .ci/environments makes them",
)
def test_three_in_one_run(tmp_path, monkeypatch):
    """The energy is the sum of MACE, SevenNet and CHGNet, the dipole that of `water`; two beads, two steps."""
    monkeypatch.setattr(ipi_pair, "PATIENCE", 400)  # three programs import torch at once
    model = mace_file(tmp_path / "e.model")
    pythons = {f"mace:{model}": Path(sys.executable), **OTHERS}
    (tmp_path / "frame.xyz").write_text(start())
    client = Path(__file__).with_name("calculator_client.py")
    names = []
    for place, (kind, python) in enumerate(pythons.items()):
        words = map(str, (python, client, kind, "{address}", "{structure}", tmp_path / "frame.xyz"))
        names.append(f"client:OMP_NUM_THREADS=1 {shlex.join([*words, str(tmp_path / f'answer{place}')])}")
    models = ", ".join(map(json.dumps, names))
    (tmp_path / "mixed.toml").write_text(f'[energy]\nmodels = [{models}]\n\n[dipole]\nmodel = "water"\n')

    def server(address):
        trust = [word for name in names for word in ("--trust", name)]
        return [*beadwise(str(tmp_path / "mixed.toml"))(address), "--want", "dipole", *trust]

    text = INPUT.replace("EXTRAS", FORCES).replace("FORCEFIELD", SOCKET).replace("nbeads='8'", "nbeads='2'")
    side = Side(text.replace("<total_steps>5", "<total_steps>2"), [server])
    folder = run_together(tmp_path, start(), {"mixed": side})["mixed"]
    alone = [json.loads((tmp_path / f"answer{place}").read_text()) for place in range(3)]
    assert alone[0]["e3nn"] < "0.5" <= alone[1]["e3nn"]  # these exclude each other
    table = properties(folder)
    assert len(table) == 3
    # all beads are at the first structure at first; single precision, and constants of another year in ASE
    assert table[0, 1] == pytest.approx(sum(one["energy"] for one in alone), rel=1e-6)
    lines = next(folder.glob("out.forces_0*")).read_text().splitlines()
    forces = np.loadtxt(lines[2 : 2 + int(lines[0])], usecols=(1, 2, 3))
    expected = sum(np.array(one["forces"]) for one in alone)
    np.testing.assert_allclose(forces, expected, rtol=0, atol=1e-4 * np.abs(expected).max())
    dipole = load_evaluator("water").evaluate(Batch.from_ase(read(tmp_path / "frame.xyz")), ["dipole"]).dipole[0]
    found = np.loadtxt(folder / "out.dipole_0")[0]
    np.testing.assert_allclose(found, dipole * BOHR_PER_ANGSTROM, atol=1e-6)
