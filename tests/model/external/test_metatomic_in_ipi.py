"""Models of metatomic with multiple time steps in a real i-PI, against its own driver."""

from __future__ import annotations

from importlib.util import find_spec

import ipi_pair
import numpy as np
import pytest
from beadwise.model import Batch
from beadwise.model.evaluators import load_evaluator
from beadwise.runs.units import BOHR_PER_ANGSTROM
from ipi_pair import Side, beadwise, final_state, largest_differences, properties, run_together

if find_spec("metatomic") is None or find_spec("mace") is None:
    pytest.skip("metatomic or mace-torch is not installed: pip install 'beadwise[metatomic,mace]'",
                allow_module_level=True)  # fmt: skip

from test_mace import waters
from test_mace_in_ipi import BEADS, INPUT, STEPS, start

FORCES = """<forces>
      <force forcefield='full'><mts_weights> [ 1, 0 ] </mts_weights></force>
      <force forcefield='direct'><mts_weights> [ -1, 1 ] </mts_weights></force>
    </forces>"""


def with_two_levels(force_fields):
    """The input with forces by derivatives outside, and those that the model gives by itself inside."""
    text = INPUT.replace("EXTRAS", "").replace("FORCEFIELD", force_fields).replace(", pressure_cv", "")
    text = text.replace("<forces><force forcefield='driver'/></forces>", FORCES)
    return text.replace("<timestep units='femtosecond'>0.25</timestep>",
                        "<timestep units='femtosecond'>0.5</timestep><nmts> [ 1, 2 ] </nmts>")  # fmt: skip


def sockets():
    return "".join(
        f"""<ffsocket mode='unix' name='{name}' pbc='false'>
    <address>@{place}</address><batch_size>{BEADS}</batch_size>
  </ffsocket>"""
        for place, name in enumerate(("full", "direct"))
    )


def of_ipi(model):
    return "".join(
        f"""<ffdirect name='{name}'>
    <pes>metatomic</pes>
    <parameters>{{template: start.xyz, model: {model}, device: cpu{more}}}</parameters>
    <batch_size>{BEADS}</batch_size>
  </ffdirect>"""
        for name, more in {"full": "", "direct": ", non_conservative: True"}.items()
    )


def test_multiple_time_steps(pet, tmp_path, monkeypatch):
    monkeypatch.setattr(ipi_pair, "PATIENCE", 300)  # torch is imported by several processes at once
    servers = [beadwise(f"metatomic:{pet}{setting}") for setting in ("", ",forces=direct")]
    sides = {
        "ours": Side(with_two_levels(sockets()), servers),
        "theirs": Side(with_two_levels(of_ipi(pet))),
    }
    folders = run_together(tmp_path, start(), sides)
    assert len(properties(folders["ours"])) == STEPS + 1
    differences = largest_differences(*folders.values())
    # its own driver takes eV/Å by a constant of eight digits, which is 1e-7 from eV by Å
    assert max(differences.values()) < 1e-8, differences
    atoms = waters(seed=5)
    positions = final_state(folders["ours"])["q"].reshape(BEADS, -1, 3) / BOHR_PER_ANGSTROM
    batch = Batch(atoms.numbers, positions, np.repeat(atoms.cell.array[None], BEADS, axis=0), np.ones(3, bool))
    energy = load_evaluator(f"metatomic:{pet}").evaluate(batch, ["energy"]).energy.mean()
    assert properties(folders["ours"])[-1, 1] == pytest.approx(energy, rel=1e-9)  # of the outer level alone
