"""Files of MACE in path-integral runs of the real i-PI: against its own driver, and beside a dipole from elsewhere."""

from __future__ import annotations

import io
import json
from importlib.util import find_spec

import ipi_pair
import numpy as np
import pytest
from ase.io import write
from beadwise.model import Batch
from beadwise.model.evaluators import load_evaluator
from beadwise.runs.units import BOHR_PER_ANGSTROM, HARTREE_PER_ELECTRONVOLT
from ipi_pair import Side, beadwise, final_state, largest_differences, properties, run_together
from mace_files import mace_file

if find_spec("mace") is None:
    pytest.skip("mace-torch is not installed: pip install 'beadwise[mace]'", allow_module_level=True)

from test_mace import waters

BEADS, STEPS = 8, 5


@pytest.fixture(autouse=True)
def patience(monkeypatch):
    """Importing torch and mace in several processes at once takes a while."""
    monkeypatch.setattr(ipi_pair, "PATIENCE", 300)


INPUT = f"""
<simulation verbosity='low' floatformat='%.17e'>
  <output prefix='out'>
    <properties filename='properties' stride='1'>
      [step, potential{{electronvolt}}, conserved{{electronvolt}}, pressure_cv]
    </properties>EXTRAS
    <checkpoint filename='checkpoint' stride='1'/>
  </output>
  <total_steps>{STEPS}</total_steps>
  <prng><seed>3</seed></prng>
  FORCEFIELD
  <system>
    <initialize nbeads='{BEADS}'>
      <file mode='ase'>start.xyz</file><velocities mode='thermal' units='kelvin'>300</velocities>
    </initialize>
    <forces><force forcefield='driver'/></forces>
    <motion mode='dynamics'>
      <dynamics mode='nvt'>
        <timestep units='femtosecond'>0.25</timestep>
        <thermostat mode='pile_l'><tau units='femtosecond'>100</tau></thermostat>
      </dynamics>
    </motion>
    <ensemble><temperature units='kelvin'>300</temperature></ensemble>
  </system>
</simulation>
""".strip()
SOCKET = f"""<ffsocket mode='unix' name='driver' pbc='false'>
    <address>@0</address><batch_size>{BEADS}</batch_size>
  </ffsocket>"""
EXTRAS = "".join(
    f"""
    <trajectory filename='{name}' stride='1' extra_type='{name}'> extras </trajectory>"""
    for name in ("dipole", "polarizability")
)


def start():
    text = io.StringIO()
    write(text, waters(seed=5), format="extxyz")
    return text.getvalue()


def direct(model, settings):
    return f"""<ffdirect name='driver'>
    <pes>mace</pes>
    <parameters>{{template: start.xyz, model: {model}, device: cpu, mace_kwargs: {settings}}}</parameters>
    <batch_size>{BEADS}</batch_size>
  </ffdirect>"""


def test_the_same_steps_as_its_own_driver(tmp_path):
    model, settings = mace_file(tmp_path / "e.model"), tmp_path / "mace.json"
    settings.write_text(json.dumps({"default_dtype": "float64"}))
    text = INPUT.replace("EXTRAS", "")
    sides = {
        "ours": Side(text.replace("FORCEFIELD", SOCKET), [beadwise(f"mace:{model},chunk=3")]),
        "theirs": Side(text.replace("FORCEFIELD", direct(model, settings))),
    }
    folders = run_together(tmp_path, start(), sides)
    assert len(properties(folders["ours"])) == STEPS + 1
    differences = largest_differences(*folders.values())
    assert max(differences.values()) < 1e-9, differences


def test_dipole_and_polarizability_from_elsewhere(tmp_path):
    """What i-PI writes of all beads is what the parts answer alone, for the beads that it left."""
    energies, dielectric = mace_file(tmp_path / "e.model"), mace_file(tmp_path / "d.model", "AtomicDielectricMACE")
    (tmp_path / "mixed.toml").write_text(
        '[energy]\nmodel = "mace:e.model"\n\n[dipole]\nmodel = "water"\n\n'
        '[polarizability]\nmodel = "mace:d.model"\nunit = "e*Å²/V"\n'
    )

    def server(address):
        return [*beadwise(str(tmp_path / "mixed.toml"))(address), "--want", "dipole,polarizability"]

    text = INPUT.replace("EXTRAS", EXTRAS).replace("FORCEFIELD", SOCKET)
    folder = run_together(tmp_path, start(), {"mixed": Side(text, [server])})["mixed"]
    positions = final_state(folder)["q"].reshape(BEADS, -1, 3) / BOHR_PER_ANGSTROM
    atoms = waters(seed=5)
    batch = Batch(atoms.numbers, positions, np.repeat(atoms.cell.array[None], BEADS, axis=0), np.ones(3, bool))
    dipole = load_evaluator("water").evaluate(batch, ["dipole"]).dipole * BOHR_PER_ANGSTROM
    tensor = load_evaluator(f"mace:{dielectric}").evaluate(batch, ["polarizability"]).polarizability
    for bead in range(BEADS):
        found = {name: np.loadtxt(folder / f"out.{name}_{bead}")[-1] for name in ("dipole", "polarizability")}
        np.testing.assert_allclose(found["dipole"], dipole[bead], rtol=0, atol=1e-7)
        np.testing.assert_allclose(found["polarizability"], tensor[bead].ravel() * BOHR_PER_ANGSTROM**3, atol=1e-5)
    energy = load_evaluator(f"mace:{energies}").evaluate(batch, ["energy"]).energy.mean()
    assert properties(folder)[-1, 1] == pytest.approx(energy, rel=1e-9)


def test_two_files_as_a_committee_of_ipi(tmp_path):
    """Energies of members, and their mean, are what each file answers alone for the beads that i-PI left."""
    files = [mace_file(tmp_path / f"{seed}.model", seed=seed) for seed in range(2)]
    sockets = "".join(
        f"<ffsocket mode='unix' name='{name}' pbc='false'><address>@{place}</address></ffsocket>"
        for place, name in enumerate("ab")
    )
    committee = f"<ffcommittee name='driver'>{sockets}</ffcommittee>"
    outputs = "".join(
        f"<trajectory filename='{name}' stride='1' extra_type='{name}'> extras </trajectory>"
        for name in ("committee_pot", "committee_uncertainty")
    )
    text = INPUT.replace("EXTRAS", outputs).replace("FORCEFIELD", committee).replace(f"nbeads='{BEADS}'", "nbeads='2'")
    side = Side(text.replace(f"<total_steps>{STEPS}", "<total_steps>2"), [beadwise(f"mace:{one}") for one in files])
    folder = run_together(tmp_path, start(), {"committee": side})["committee"]
    positions = final_state(folder)["q"].reshape(2, -1, 3) / BOHR_PER_ANGSTROM
    atoms = waters(seed=5)
    batch = Batch(atoms.numbers, positions, np.repeat(atoms.cell.array[None], 2, axis=0), np.ones(3, bool))
    alone = np.array([load_evaluator(f"mace:{one}").evaluate(batch, ["energy"]).energy for one in files])
    found = np.array([np.loadtxt(folder / f"out.committee_pot_{bead}")[-1] for bead in range(2)])
    np.testing.assert_allclose(found, alone.T * HARTREE_PER_ELECTRONVOLT, rtol=1e-9)
    assert np.ptp(alone, axis=0).min() > 1e-3
    assert properties(folder)[-1, 1] == pytest.approx(alone.mean(), rel=1e-9)
