"""A model that saw periodic structures only says so once when it gets a liquid without its cell."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
import warnings

import ase.io
import beadwise
import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from beadwise.model import Batch, StructureWarning, save, shipped_models
from beadwise.model.training.periodicity import RECORD, always_had_images, directions_with_images, record
from models import random_model, random_structure

STRESSES = {"errors": {"training": {"a.xyz": {"frames": 2, "properties": {"stress": {"count": 18}}}}}}


def box(periodic=True, vacuum=(0.0, 0.0, 0.0)) -> Atoms:
    """27 molecules of water on a lattice of 3.1 Å."""
    molecule = Atoms("OHH", [[0, 0, 0], [0.76, 0.59, 0], [-0.76, 0.59, 0]], cell=[3.1] * 3, pbc=True)
    atoms = molecule.repeat(3)
    atoms.set_cell(atoms.cell.lengths() + np.array(vacuum), scale_atoms=False)
    atoms.pbc = periodic
    return atoms


def with_record(fewest: int):
    return random_model(metadata={RECORD: {"directions_with_images": {"fewest": fewest, "most": 3}}})


@pytest.mark.parametrize("periodic, vacuum, expected", [
    (True, (0, 0, 0), 3),
    (True, (0, 0, 20), 2),
    ((True, True, False), (0, 0, 0), 2),
    (True, (20, 20, 0), 1),
    ((False, True, False), (0, 0, 0), 1),
    (True, (20, 20, 20), 0),
    (False, (0, 0, 0), 0),
])  # fmt: skip
def test_directions_with_images(periodic, vacuum, expected):
    atoms = box(periodic, vacuum)
    for _ in range(2):
        assert directions_with_images(Batch.from_ase(atoms), 6.0) == expected
        atoms.positions += [7.0, -11.0, 5.0]  # then across faces of the cell
        atoms.wrap()


def test_a_slanted_cell():
    atoms = box()
    atoms.set_cell(atoms.cell.array @ [[1, 0, 0], [0.4, 1, 0], [0.3, 0.2, 1]], scale_atoms=True)
    assert directions_with_images(Batch.from_ase(atoms), 6.0) == 3
    atoms.set_cell(5 * atoms.cell.array)
    assert directions_with_images(Batch.from_ase(atoms), 6.0) == 0


@pytest.mark.parametrize(
    "atoms",
    [box(False), box(True, (20, 20, 20))],
    ids=["not periodic", "in a cell that was made up"],
)
@pytest.mark.parametrize("name", ["water", "committee:water,qtip4pf", "member:0,water"])
def test_shipped_models_warn_on_every_path(name, atoms):
    ways = [
        lambda model: beadwise.evaluate(model, atoms, ["energy"]),
        lambda model: model.evaluate(Batch.from_ase([atoms]), ["energy"]),
        lambda model: beadwise.Calculator(model).get_property("energy", atoms),
    ]
    for way in ways:
        with pytest.warns(StructureWarning, match="this one of 81 atoms has none within the cutoff of 6 Å") as caught:
            way(beadwise.load(name))
        assert [one.category for one in caught].count(StructureWarning) == 1  # what libraries deprecate is no matter


@pytest.mark.parametrize("name", shipped_models())
def test_what_shipped_models_know(name):
    metadata = beadwise.load(f"correction:{name}" if name in ("water_gfn1", "acetylacetone_gfn2") else name).metadata
    assert always_had_images(metadata) is (not name.startswith(("ethanol", "ethene", "acetylacetone")))


SLAB, HEXAMER, WIDE = box(True, (0, 0, 30)), box(False)[:18], box(True, (20, 20, 20))


@pytest.mark.parametrize("atoms", [box(), box((True, True, False)), SLAB, HEXAMER, HEXAMER[:3], WIDE[:3]])
def test_no_false_alarm(atoms):
    with warnings.catch_warnings():
        warnings.simplefilter("error", StructureWarning)
        beadwise.evaluate(beadwise.load("water"), atoms, ["energy"])
        beadwise.evaluate(random_model(), box(False), ["energy"])  # whose training nobody knows
        beadwise.evaluate(with_record(0), box(False), ["energy"])  # or was one of droplets, too


def test_once():
    model = with_record(1)
    beadwise.evaluate(model, box(), ["energy"])
    with pytest.warns(StructureWarning, match="^model was fitted"):
        beadwise.evaluate(model, box(False), ["energy"])
    with warnings.catch_warnings():
        warnings.simplefilter("error", StructureWarning)
        for own in (model, copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
            beadwise.evaluate(own, box(False), ["energy"])


def test_commands_say_it_in_one_line(tmp_path):
    atoms = box(False)
    atoms.calc = SinglePointCalculator(atoms, energy=0.0)
    ase.io.write(tmp_path / "droplet.xyz", [atoms, atoms])
    command = [sys.executable, "-m", "beadwise", "evaluate", "water_short", str(tmp_path / "droplet.xyz")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    said = [line for line in done.stderr.splitlines() if "warning" in line.lower()]
    assert len(said) == 1 and said[0].startswith("warning: model 'water_short' was fitted to structures with periodic")


def test_what_a_fit_records(tmp_path):
    slab = box(True, (0, 0, 20))
    kept = record([Batch.from_ase(box()), Batch.from_ase(slab)], 6.0)
    assert kept == {
        "frames": 2,
        "directions_with_images": {"fewest": 2, "most": 3},
        "atoms": {"fewest": 81, "most": 81},
    }
    assert always_had_images({RECORD: kept}) and not always_had_images({RECORD: record([], 6.0)})
    save(random_model(metadata={RECORD: kept}), tmp_path / "model.safetensors")
    with pytest.warns(StructureWarning, match="model.safetensors' was fitted"):
        beadwise.evaluate(beadwise.load(tmp_path / "model.safetensors"), box(False), ["energy"])
    assert directions_with_images(Batch.from_ase(random_structure()), 3.0) in (0, 1, 2, 3)


@pytest.mark.parametrize(
    "metadata, expected",
    [
        (STRESSES, True),
        ({**STRESSES, RECORD: {"directions_with_images": {"fewest": 0}}}, False),
        ({"errors": {"training": {"a.xyz": {"frames": 3, "properties": {"stress": {"count": 18}}}}}}, False),
        ({"errors": {"training": {}}}, False),
        ({"errors": {"training": "all"}}, False),
        ({RECORD: 3}, False),
        ({RECORD: {"directions_with_images": {"fewest": "2"}}}, False),
        (None, False),
        ("words", False),
    ],
)
def test_metadata_may_be_anything(metadata, expected):
    assert always_had_images(metadata) is expected
