"""Folders of labels, baselines and energies that an earlier release has filled are used, not computed again."""

import numpy as np
import pytest
from ase import Atoms
from beadwise.analysis.promotion.kept_energies import KeptEnergies
from beadwise.learning.fitting.baseline_labels import CachedBaseline
from beadwise.learning.labels.labeller import labeller
from beadwise.model import Batch

# names and contents as the release before `beadwise.model.kept_answers.KeptAnswers` wrote them, with numbers of our own
NAME, ROW = "8d07b8611d859d3c4e5f316fc96f7079", "cdd0627b946be90df14b546dc8bd486f"
FORCES = np.arange(9.0).reshape(3, 3)
LABEL = """3
Lattice="8.0 0.0 0.0 0.0 8.0 0.0 0.0 0.0 8.0" Properties=species:S:1:pos:R:3:forces:R:3 pbc="T T T" seconds=4.5 \
energy=-7.25 stress="-0.0 -0.0 -0.0 -0.0 -0.0 -0.0 -0.0 -0.0 -0.0"
O 0.0 0.0 0.0 0.0 1.0 2.0
H 0.96 0.0 0.0 3.0 4.0 5.0
H -0.24 0.93 0.0 6.0 7.0 8.0
"""


@pytest.fixture
def atoms():
    return Atoms("OHH", [[0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]], cell=[8, 8, 8], pbc=True)


def test_energies(tmp_path, atoms):
    table = tmp_path / "energies_harmonic_k=2_e15c8815.csv"
    text = f"# energies of harmonic:k=2\nstructure,energy/eV\n{ROW},-7.25\n"
    table.write_text(text)
    kept = KeptEnergies("harmonic:k=2", tmp_path)
    assert kept.file == table
    assert next(kept.energies([("water", Batch.from_ase(atoms))], 1)) == [-7.25]
    assert table.read_text() == text


def test_baselines(tmp_path, atoms):
    (tmp_path / "harmonic_k=2").mkdir()
    file = tmp_path / "harmonic_k=2" / f"{NAME}.npz"
    np.savez(file, energy=np.float64(-7.25), forces=FORCES, virial=np.eye(3))
    before = file.read_bytes()
    baseline = CachedBaseline("harmonic:k=2", tmp_path)
    response = baseline.evaluate(Batch.from_ase(atoms), ["energy", "forces", "virial"])
    assert response.energy == [-7.25] and np.array_equal(response.forces, [FORCES])
    assert file.read_bytes() == before and len(list(file.parent.iterdir())) == 1


def test_labels(tmp_path, atoms):
    file = tmp_path / f"{NAME}.xyz"
    file.write_text(LABEL)
    (label,) = labeller({"reference": "harmonic:k=2", "workers": 0}, tmp_path).label([atoms])
    assert label.was_kept and label.seconds == 4.5
    assert label.frame.labels["energy"] == -7.25 and np.array_equal(label.frame.labels["forces"], FORCES)
    assert file.read_text() == LABEL and len(list(tmp_path.iterdir())) == 1
