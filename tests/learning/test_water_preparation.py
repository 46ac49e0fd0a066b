"""docs/water_labels/prepare.py, which makes our frames of the published files, on small files of the same form."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from ase import units
from ase.io import read
from places import REPOSITORY

sys.path.insert(0, str(REPOSITORY / "docs" / "water_labels"))

import prepare

N2P2 = """begin
comment # CELL(abcABC): 12.42 12.42 12.42 90 90 90 Step: 1
lattice 20.0 0.0 0.0
lattice 0.0 20.0 0.0
lattice 0.0 0.0 20.0
atom 1.0 2.0 3.0 O 0.0 0.0 0.01 -0.02 0.03
atom 2.5 2.0 3.0 H 0.0 0.0 -0.01 0.02 -0.03
energy -2.0
charge 0.0
end
"""
BULK = """2
Lattice="10 0 0 0 10 0 0 0 10" Properties="species:S:1:pos:R:3" REF_dipole=" 1.0 2.0 -3.0 " epsilon="1.9 0.1 0 0.3 1.8 0 0 0 2.0"
O 8.431800 8.997170 -4.417560
H 8.138510 9.515100 -3.504540
"""  # noqa: E501


def test_published_files_become_ours(tmp_path):
    (tmp_path / "water_dft.data").write_text(N2P2 * 3)
    (tmp_path / "water_bulk.xyz").write_text(BULK * 3)
    prepare.convert(tmp_path, tmp_path / "made")
    dft = read(tmp_path / "made" / "dft_train.xyz", ":")
    assert [own.info["frame"] for own in dft] == [0, 1, 2]
    assert dft[0].get_potential_energy() == pytest.approx(-2 * units.Hartree, abs=1e-9)
    assert dft[0].positions[0] == pytest.approx(np.array([1, 2, 3]) * units.Bohr, abs=1e-7)
    assert dft[0].get_forces()[0] == pytest.approx(np.array([0.01, -0.02, 0.03]) * units.Hartree / units.Bohr, abs=1e-7)
    train = read(tmp_path / "made" / "bulk_train_without_energies.xyz", ":")
    valid = read(tmp_path / "made" / "bulk_valid_without_energies.xyz", ":")
    assert [own.info["frame"] for own in train] == [0, 2] and [own.info["frame"] for own in valid] == [1]
    assert train[0].calc.results["dipole"] == pytest.approx(np.array([1, 2, -3]) * units.Bohr, abs=1e-9)
    alpha = np.array([[0.9, 0.2, 0], [0.2, 0.8, 0], [0, 0, 1.0]]) * 1000 / (4 * np.pi)  # (ε − 1) V/4π, symmetric
    assert np.reshape(train[0].info["polarizability"], (3, 3)) == pytest.approx(alpha, abs=1e-9)
    assert not {"energy", "forces"} & set(train[0].calc.results)


def test_the_split_has_every_frame_once():
    train, valid = prepare.split("bulk_train"), prepare.split("bulk_valid")
    assert (len(train), len(valid), len(prepare.split("dft_train"))) == (800, 100, 90)
    assert not set(train) & set(valid) and max(train + valid) < 1000


def test_a_file_that_was_cut_is_refused(tmp_path):
    (tmp_path / "cut.data").write_text(N2P2 + N2P2[:120])
    with pytest.raises(ValueError, match="frame 1 has no end"):
        list(prepare.n2p2_frames(tmp_path / "cut.data"))
