"""What models, responses, batches and their parts show of themselves, as in a notebook."""

from __future__ import annotations

from dataclasses import is_dataclass

import numpy as np
import pytest
from ase import Atoms
from beadwise.model import Batch, Response, evaluate, save
from beadwise.model.evaluators import load_evaluator
from models import random_model
from toy import water

NAMES = {
    "water": [
        "Model 'water' for H, O\n",
        "cutoff 6 Å",
        "l ≤ 3",
        "5684 in 4 heads",
        "32, 32 of a network",
        "members: 8",
    ],
    "member:2,water": ["Model 'member:2,water' for H, O\n"],
    "correction:water_gfn1": ["Model 'correction:water_gfn1' for", "tblite:GFN1-xTB, which is not in this energy"],
    "committee:water_short,qtip4pf": [
        "Committee of 2\n",
        "Model 'water_short' for H, O",
        "member 1: QTip4pF(",
        "energy_u",
    ],
    "qtip4pf": ["QTip4pF(cutoff=9.0, accuracy=1e-07, threads=1, "],
    "harmonic:k=1.5": ["Harmonic(k=1.5)"],
    "lennard-jones:epsilon=1,sigma=2": ["LennardJones(epsilon=1.0, sigma=2.0, cutoff=None)"],
    "ase:ase.calculators.emt.EMT": ["AsePotential(EMT of ase ", "energy, forces, virial)"],
}
WITH_TIGHT_BINDING = {
    "GFN1-xTB": ["TightBinding(method='GFN1-xTB', charge=0, ", "isolated=False, threads=1)"],
    "water_gfn1": ["Corrected baseline\n  baseline: TightBinding(", "  correction: Model 'water_gfn1' for H, O\n"],
    "weighted-baseline:uncertainty=0.1,water_gfn1,water_gfn1": [
        "WeightedBaseline of uncertainty 0.1 eV\n",
        "correction 1",
    ],
}


@pytest.mark.parametrize("name", [*NAMES, *WITH_TIGHT_BINDING])
def test_evaluators(name):
    if name in WITH_TIGHT_BINDING:
        pytest.importorskip("tblite")
    text = repr(load_evaluator(name))
    for part in (NAMES | WITH_TIGHT_BINDING)[name]:
        assert part in text
    assert text.count("\n") < 20 and all(len(line) <= 120 for line in text.splitlines())


def parts_of(own: object) -> list[object]:
    """An object and all dataclasses in its fields."""
    if isinstance(own, (dict, list, tuple)):
        return [part for one in (own.values() if isinstance(own, dict) else own) for part in parts_of(one)]
    if not is_dataclass(own):
        return []
    return [own, *(part for value in vars(own).values() for part in parts_of(value))]


def test_parts_of_a_model():
    model = load_evaluator("water")
    assert model.envelope is not None
    parts = parts_of(vars(model))
    names = {type(part).__name__ for part in parts}
    assert {"TensorHead", "Members", "InvariantNetwork", "RadialBasis", "Repulsion", "Envelope"} <= names
    for part in parts:
        assert "\n" not in repr(part) and len(repr(part)) < 300
    assert "weights=array(4 × 2 × 16 × 16)" in repr(model.heads["energy"])


def test_where_a_model_comes_from(tmp_path):
    model = random_model()
    assert model.source == "" and repr(model).startswith("Model for H, O\n")
    save(model, tmp_path / "mine.safetensors")
    assert load_evaluator(tmp_path / "mine.safetensors").source == str(tmp_path / "mine.safetensors")
    assert load_evaluator("water_short").source == "water_short"


def test_a_response():
    response = evaluate(load_evaluator("qtip4pf"), [water(), water()], ["energy", "forces", "born_charges"])
    assert repr(response) == "Response\n  energy: (2,) eV\n  forces: (2, 6, 3) eV/Å\n  born_charges: (2, 6, 3, 3) e"
    shown = [name for name in dir(response) if not name.startswith("_")]
    assert shown == ["born_charges", "energy", "forces", "names"]
    with pytest.raises(AttributeError, match="this one holds energy, forces, born_charges; did you mean 'forces'"):
        _ = response.force
    assert repr(Response()) == "Response"


def test_a_batch():
    beads = [water(), water()]
    lengths = " × ".join(f"{length:.5g}" for length in beads[0].cell.cellpar()[:3])
    assert repr(Batch.from_ase(beads)).startswith(
        f"Batch of 2 beads\n  atoms: 6, {beads[0].get_chemical_formula()}\n  cell: {lengths} Å, "
    )
    assert repr(Batch.from_ase(beads)).endswith("  periodic: a, b, c")
    assert repr(Batch.from_ase(Atoms("OHH", np.eye(3)))) == "Batch of 1 bead\n  atoms: 3, H2O\n  cell: none"
    beads[1].cell[0, 0] += 1
    assert "  cell: of its own for each bead\n" in repr(Batch.from_ase(beads))
