"""Isotopes from scaled beads: hydrogen in harmonic traps, exact for any number of beads, and from files of a run."""

import json

import numpy as np
import pytest
from beadwise.driver.commands.crystals.isotopes import isotopes
from beadwise.driver.commands.group import OneLineErrors
from beadwise.sampling import SamplingError
from beadwise.sampling.isotopes import isotope_ratio, scaled_beads
from click.testing import CliRunner
from ipi.utils.units import Elements
from rings import THERMAL_ENERGY, drawn_rings, modes_of_ring, reduced_square, write_run

STIFFNESS = 2.2  # eV/Å²: 770 cm⁻¹
RATIO = Elements.mass("D") / Elements.mass("H")
main = OneLineErrors(commands={"isotopes": isotopes})


def exact(beads):
    """⟨exp(−h)⟩ of one atom of three coordinates in a trap: of ring polymers the modes but the centroid."""
    modes, square = modes_of_ring(beads)[1:], reduced_square(STIFFNESS)
    return float(np.prod((modes + square) / (modes + square / RATIO)) ** 1.5)


def exponents(positions):
    """h of every sample and atom by loops."""
    found = np.empty((positions.shape[0], positions.shape[2]))
    for sample, beads in enumerate(positions):
        for atom in range(beads.shape[1]):
            scaled = scaled_beads(beads, atom, RATIO)
            change = 0.5 * STIFFNESS * ((scaled**2).sum() - (beads**2).sum()) / len(beads)
            found[sample, atom] = change / THERMAL_ENERGY
    return found


def test_the_numbers_of_the_reference():
    assert exact(8) == pytest.approx(2.024449, rel=2e-4)
    assert exact(32) == pytest.approx(2.083317, rel=2e-4)
    assert exact(4096) == pytest.approx(2.087425, rel=2e-4)
    u = np.sqrt(reduced_square(STIFFNESS))
    quantum = ((np.sinh(u / 2) / u) / (np.sinh(u / 2 / np.sqrt(RATIO)) / (u / np.sqrt(RATIO)))) ** 3
    assert exact(4096) == pytest.approx(quantum, rel=1e-5)


@pytest.mark.parametrize("beads", [8, 64])
def test_drawn_rings_give_the_ratio(beads):
    random = np.random.default_rng(1)
    found = isotope_ratio(exponents(drawn_rings(800, beads, 8, STIFFNESS, random)))
    assert found.ratio == pytest.approx(exact(beads), rel=0.01)
    assert abs(found.logarithm - np.log(exact(beads))) < 4 * found.standard_error < 0.04
    assert not found.warnings and (found.samples, found.atoms) == (800, 8)


def test_scaled_beads_keep_their_centroids_and_all_others():
    positions = np.random.default_rng(2).normal(size=(6, 4, 3))
    scaled = scaled_beads(positions, 2, 4.0)
    np.testing.assert_allclose(scaled.mean(axis=0), positions.mean(axis=0), atol=1e-14)
    np.testing.assert_allclose(scaled[:, 2] - scaled[:, 2].mean(0), (positions[:, 2] - positions[:, 2].mean(0)) / 2)
    assert np.array_equal(np.delete(scaled, 2, axis=1), np.delete(positions, 2, axis=1))


def test_what_tells_nothing_is_refused_or_warned_of():
    for wrong in (np.zeros(9), np.zeros((7, 2)), np.zeros((9, 0)), np.full((9, 1), np.nan)):
        with pytest.raises(SamplingError):
            isotope_ratio(wrong)
    rare = isotope_ratio(np.random.default_rng(1).normal(scale=4, size=(40, 1)))
    assert "rests on rare ones" in rare.warnings[0] and "more are needed" in rare.warnings[1]


def test_files_of_two_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(4)
    for name, beads in (("one", 8), ("two", 4)):
        write_run(tmp_path / name, drawn_rings(300, beads, 6, STIFFNESS, random), STIFFNESS)

    def run(*arguments):
        return CliRunner().invoke(main, ["isotopes", *map(str, arguments)])

    common = ("--model", f"harmonic:k={STIFFNESS}", "--from", "H", "--to", "D", "--skip", 0)
    done = run("one", "two", *common, "--samples", 300, "--json", "found.json")
    assert done.exit_code == 0, done.output
    numbers = json.loads((tmp_path / "found.json").read_text())
    assert numbers["mass_ratio"] == pytest.approx(1.99831, abs=1e-4)
    for found, beads in zip(numbers["runs"], (8, 4), strict=True):
        assert abs(found["logarithm"] - np.log(exact(beads))) < 4 * found["standard_error"] < 0.1
        free_energy = -THERMAL_ENERGY * (found["logarithm"] + 1.5 * np.log(RATIO))
        assert found["free_energy"] == pytest.approx(free_energy)
    assert numbers["runs"][1]["fractionation"][0] == pytest.approx(
        numbers["runs"][1]["logarithm"] - numbers["runs"][0]["logarithm"]
    )
    assert "two/input.xml over one/input.xml: D is enriched by 1000 ln α" in done.output
    few = run("one", *common, "--samples", 8, "--atoms", 2)
    assert "8 samples of 2 atoms" in few.output

    def message(*arguments):
        result = run(*arguments)
        assert result.exit_code == 2 and result.stderr.count("\n") == 1, result.output
        return result.stderr

    assert "no two isotopes of one element" in message("one", *common[:4], "--to", "O18")
    assert "has no O18; it has H" in message("one", *common[:2], "--from", "O18", "--to", "O")
    assert "the potential of the run is needed" in message("one", "--model", "harmonic:k=9", *common[2:])
    write_run(tmp_path / "classical", drawn_rings(20, 1, 6, STIFFNESS, random), STIFFNESS)
    assert "has one bead" in message("classical", *common)
