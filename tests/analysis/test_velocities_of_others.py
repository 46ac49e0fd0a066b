"""``beadwise spectrum dos`` with files of other programs: velocities are found, and nothing else is taken for them."""

import re

import numpy as np
import pytest
from series_of_others import invoke, values


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch):
    """They take longer than the spectra."""
    monkeypatch.setattr("beadwise.spectra.plot.plot_spectra", lambda spectra, path, *others, **more: path.touch())


def velocities(path, properties, rows, comment=""):
    with open(path, "w") as file:
        for number, frame in enumerate(rows):
            file.write(f"{len(frame)}\n{properties} {comment.format(number)}\n")
            file.writelines("O " + " ".join(f"{value:.8f}" for value in atom) + "\n" for atom in frame)


@pytest.mark.parametrize("atoms", [2, 16])
def test_density_of_states_of_velocities_and_nothing_else(tmp_path, atoms):
    turns = np.random.default_rng(0).uniform(0, 6, (atoms, 3))
    speeds = np.cos(0.3 * 0.5 * np.arange(400)[:, None, None] + turns)
    drift = 3 * np.sin(0.01 * np.arange(400)[:, None, None] + turns) if atoms > 2 else 0  # of atoms that wander
    places = 5 + 0.01 * speeds + drift
    both = np.concatenate([places, speeds], axis=2)
    own = "Properties=species:S:1:pos:R:3:{}:R:3"
    masses = np.concatenate([places, 16 * speeds, np.full((400, atoms, 1), 16.0)], axis=2)
    heads = [own.format("velo"), own.format("vel"), own.format("momenta"), own.format("velocities")]
    written = {head: both for head in heads}
    written["Properties=species:S:1:pos:R:3:momenta:R:3:masses:R:1"] = masses
    written["i = 0, time = 0.0, E = -17"] = speeds  # of CP2K, which does not tell what it is
    options = ("--timestep", 0.5, "--window", 120, "--highest", 3000)
    for head, rows in written.items():
        velocities(tmp_path / "a.xyz", head, rows)
        found = values("dos", tmp_path, tmp_path / "a.xyz", *options)
        assert 1 + np.argmax(found) == pytest.approx(0.3 / (2 * np.pi * 2.99792458e-5), abs=2)
    for head, rows, message in (
        ("Properties=species:S:1:pos:R:3", places, "holds species, pos of the atoms; velocities"),
        ("Properties=species:S:1:pos:R:3:forces:R:3", both, "holds species, pos, forces of the atoms"),
        ("i = 0, time = 0.0, E = -17", places, "as positions do, and nothing says that they are velocities"),
        ("Atoms. Timestep: 0", places, "is LAMMPS's xyz, which holds positions"),
        ("Properties=species:S:1:pos:R:3:velo:R:2:a:R:1", both, "velo in '.*' has 2 columns, not three"),
    ):
        velocities(tmp_path / "a.xyz", head, rows)
        status, output = invoke("dos", tmp_path / "a.xyz", *options)
        assert status == 2 and re.search(message, output), output
    text = (tmp_path / "a.xyz").read_text().replace(":2:a:R:1", ":3")
    (tmp_path / "a.xyz").write_text("H".join(text.rsplit("O", 1)))
    status, output = invoke("dos", tmp_path / "a.xyz", *options)
    assert status == 2 and "are not the same in all frames" in output


def test_times_of_velocities_of_others(tmp_path):
    """Frames that were written again count once, and their times are those of the comments."""
    order = np.concatenate([np.arange(600), np.arange(500, 900)])
    speeds = np.cos(0.15 * order[:, None, None] + np.random.default_rng(0).uniform(0, 6, (2, 3)))
    velocities(tmp_path / "a.xyz", "", speeds[np.r_[0:500, 600:1000]], "i = 0, time = {}.0, E = -17")
    expected = values("dos", tmp_path, tmp_path / "a.xyz", "--window", 100)
    with open(tmp_path / "b.xyz", "w") as file:
        for number, frame in zip(order, speeds, strict=True):
            file.write(f"{len(frame)}\n i = {number}, time = {number}.000, E = -17\n")
            file.writelines("O " + " ".join(f"{value:.8f}" for value in atom) + "\n" for atom in frame)
    np.testing.assert_allclose(values("dos", tmp_path, tmp_path / "b.xyz", "--window", 100), expected, rtol=1e-6)
    status, output = invoke("dos", tmp_path / "b.xyz", "--window", 100, "--timestep", 2)
    assert status == 2 and "are 1 apart in time, and --timestep is 2 fs" in output
    status, output = invoke("dos", tmp_path / "b.xyz", "--window", 1e9)
    assert status == 2 and "the series end after" in output
    status, output = invoke("dos", tmp_path / "a.xyz", tmp_path / "b.xyz", "--window", 100)
    assert status == 2 and "hold the same samples" in output
