"""``beadwise reweight`` on files as i-PI writes them, of harmonic members whose averages are known exactly."""

import re

import numpy as np
import pytest
from ase import units
from ase.cell import Cell
from beadwise.analysis.reweighting.distances import Distances, pair_counts, read_distances
from beadwise.runs.input.elements import InputError
from beadwise.runs.input.run_input import RunInput
from beadwise.runs.output.positions import find_bead_trajectory
from beadwise.runs.units import BOHR_PER_ANGSTROM
from committee_runs import (
    CHANGES,
    CONSTANTS,
    EXTRAS,
    MEMBERS,
    POSITIONS,
    SIGMA,
    THERMAL_ENERGY,
    Folder,
    harmonic_members,
    in_hartree,
    numbers_of,
    particle,
    refusal_of,
    run_command,
    square_of_members,
    table_of,
)
from ipi.utils.units import unit_to_internal
from scipy.stats import maxwell


@pytest.mark.parametrize("method", ["cea", "direct"])
def test_harmonic_members(tmp_path, method):
    """<r²>_i is 3 k_B T/k_i and <V_i>_i is 3/2 k_B T; in the expansion 1 − r_i and 1 − r_i² stand for 1/(1 + r_i)."""
    folder, places, steps = particle(tmp_path / "run", 10_000)
    folder.write_properties({"square{angstrom2}": np.square(places[:, 0]).sum(axis=-1)}, steps)
    options = ("--observable", "square", "--observable", "committee_pot", "--method", method, "--skip", "0")
    found = numbers_of(folder.path, *options)
    line, energy = found["observables"]
    exact = 3 * SIGMA**2 * square_of_members(method)
    assert line["unit"] == "angstrom2" and line["samples"] == 10_000
    assert abs(line["mean"] - 3 * SIGMA**2) < 4 * line["sampling_error"]
    assert np.all(np.abs(np.array(line["members"]) - exact) < 4 * (line["sampling_error"] + line["noise_floor"]))
    assert line["model_error"] == pytest.approx(exact.std(ddof=1), rel=0.1)
    assert line["noise_floor"] < 0.2 * line["model_error"]
    assert line["spread_of_h"] == pytest.approx(0.16 * np.sqrt(1.5), rel=0.05)
    exact = CONSTANTS + 1.5 * THERMAL_ENERGY * (1 if method == "direct" else 1 - CHANGES**2)
    assert (energy["observable"], energy["unit"]) == ("committee_pot", "eV")
    assert np.all(np.abs(np.array(energy["members"]) - exact) < 5 * energy["sampling_error"])
    assert energy["model_error"] == pytest.approx(CONSTANTS.std(ddof=1), rel=1e-3)
    assert found["warnings"] == []


def test_estimators_made_of_forces_have_no_model_error(tmp_path):
    """That of the mean is not that of a member: <k x²/2>_i is not 3/2 k_B T, which <k_i x²/2>_i is."""
    folder, _, steps = particle(tmp_path / "run")
    kinetic = np.arange(len(steps)) % 7 + 1.0
    folder.write_properties({"kinetic_cv{electronvolt}": kinetic, "kinetic_td{electronvolt}": kinetic}, steps)
    found = numbers_of(folder.path, "--observable", "kinetic_cv", "--observable", "kinetic_td")
    of_forces, of_positions = found["observables"]
    assert of_forces["model_error"] is None and of_forces["members"] == [None] * 4
    assert (of_forces["mean"], of_forces["sampling_error"]) == (of_positions["mean"], of_positions["sampling_error"])
    assert of_positions["model_error"] > 0
    assert found["warnings"][0].startswith("kinetic_cv: no model error is given, as it is made of energies or forces")
    assert "–" in run_command(folder.path, "--observable", "kinetic_cv").output


def test_table_and_csv(tmp_path):
    folder, places, steps = particle(tmp_path / "run")
    volume = np.full(len(steps), 8000.0) + places[:, 0, 0]
    folder.write_properties({"square{angstrom2}": np.square(places[:, 0]).sum(-1), "volume{angstrom3}": volume}, steps)
    options = ("--observable", "square", "--observable", "volume", "--output", tmp_path / "named.csv")
    result = run_command(folder.path, *options)
    assert result.exit_code == 0, result.output
    assert "1 run, 3600 samples, 4 members, 1 bead, 300 K, method cea" in result.output
    for word in ("sampling", "model", "noise", "floor", "effective", "spread", "of h", "Å³", "8000."):
        assert word in result.output
    assert max(map(len, result.output.partition("members as")[0].splitlines())) <= 100
    assert "warning: volume: 1 of 1 model errors are hardly larger" in result.output
    assert f"written to {tmp_path / 'named.csv'}" in result.output
    with_unit, without = (
        numbers_of(folder.path, "--observable", name)["observables"] for name in ("volume{angstrom3}", "volume")
    )
    assert with_unit == without
    text = (tmp_path / "named.csv").read_text()
    assert "# warning: volume" in text and text.count("\nvolume,Å³,") == 1
    assert run_command(folder.path, *options[:2]).output.count("written to") == 0


def test_two_committees(tmp_path):
    """Members a_j = q_j x of a dipole: <|a_j|²>_i = 3 q_j² k_B T/k_i; of the same file, and by i-PI's name."""
    charges = np.array([0.9, 1.0, 1.3])
    places = np.random.default_rng(2).normal(0, SIGMA, (10_000, 1, 3))
    folder = Folder(tmp_path / "run", outputs=MEMBERS + EXTRAS.format("d", "dipole,member_dipoles"))
    steps = 10 * np.arange(len(places))
    folder.write_extras("members", "committee_pot", in_hartree(harmonic_members(places)), steps)
    dipoles = places[:, :, None, :] * charges[:, None] * BOHR_PER_ANGSTROM
    rows = np.concatenate([dipoles.mean(axis=2), dipoles.reshape(len(places), 1, -1)], axis=-1)
    folder.write_extras("d", "dipole,member_dipoles", rows, steps)
    found = numbers_of(folder.path, "--observable", "dipole", "--method", "direct")
    line = found["observables"][3]
    assert (line["observable"], line["unit"]) == ("dipole squared", "(e·Å)²")
    exact = 3 * SIGMA**2 * charges**2 / (1 + CHANGES[:, None])
    pairs = exact.std(ddof=1)
    assert line["model_error"] == pytest.approx(pairs, rel=0.05)
    assert line["error_of_properties"] == pytest.approx(exact.mean(axis=0).std(ddof=1), rel=0.05)
    np.testing.assert_allclose(
        line["members"], exact.mean(axis=1), atol=4 * (line["sampling_error"] + line["noise_floor"])
    )
    named = numbers_of(folder.path, "--observable", "member_dipoles", "--method", "direct")
    assert named["observables"] == found["observables"]
    # half the distance from the mean, before the square
    halved = numbers_of(folder.path, "--observable", "dipole", "--property-calibration", "0.5", "--method", "direct")
    near = 3 * SIGMA**2 * ((charges + charges.mean()) / 2) ** 2 / (1 + CHANGES[:, None])
    assert halved["observables"][3]["model_error"] == pytest.approx(near.std(ddof=1), rel=0.05)


def test_polarizability_of_beads(tmp_path):
    random = np.random.default_rng(3)
    values = random.normal(10, 1, (400, 4, 3, 3))
    values = values + np.swapaxes(values, 2, 3)
    folder = Folder(tmp_path / "run", 4, EXTRAS.format("members", "committee_pot,polarizability"))
    energies = 0.3 * THERMAL_ENERGY * random.normal(size=(400, 4, 3))
    rows = np.concatenate([in_hartree(energies), values.reshape(400, 4, 9) * BOHR_PER_ANGSTROM**3], axis=-1)
    folder.write_extras("members", "committee_pot,polarizability", rows, 10 * np.arange(400))
    found = numbers_of(folder.path, "--observable", "polarizability", "--skip", "0")
    names = [line["observable"] for line in found["observables"]]
    assert names == [f"polarizability {axes}" for axes in ("xx", "yy", "zz", "xy", "xz", "yz", "mean")]
    mean = values.mean(axis=(0, 1))
    np.testing.assert_allclose(found["observables"][3]["mean"], mean[0, 1], rtol=1e-10)
    np.testing.assert_allclose(found["observables"][6]["mean"], np.trace(mean) / 3, rtol=1e-10)
    # the slow twin of a member
    h = (energies - energies.mean(axis=-1, keepdims=True)).mean(axis=1)[:, 2] / THERMAL_ENERGY
    xx = values[:, :, 0, 0].mean(axis=1)
    np.testing.assert_allclose(
        found["observables"][0]["members"][2], xx.mean() - np.cov(xx, h, ddof=0)[0, 1], rtol=1e-8
    )


@pytest.mark.parametrize("method", ["cea", "direct"])
def test_distances_are_those_of_maxwell(tmp_path, method):
    folder, places, steps = particle(tmp_path / "run", 1600, outputs=MEMBERS + POSITIONS)
    atoms = np.concatenate([np.full_like(places[:, :, None], 19.9), 19.9 + places[:, :, None]], axis=2)
    folder.write_positions(atoms, "OH", steps)
    options = ("--distance", "O,H", "--range", "0,1.6", "--bins", "8", "--method", method, "--skip", "0")
    result = run_command(folder.path, *options, "--count")
    assert result.exit_code == 0, result.output
    stem = f"reweighted.{method}.count.O-H"
    assert f"written to {folder.path / stem}.csv and {folder.path / stem}.png" in result.output
    header, table = table_of(folder.path / f"{stem}.csv")
    assert header[:5] == ["r / Å", "neighbours O–H / Å⁻¹", "sampling error", "model error", "noise floor"]
    edges = np.linspace(0, 1.6, 9)
    exact = np.diff(maxwell.cdf(edges, scale=SIGMA)) / 0.2
    assert np.sqrt(np.mean(np.square((table[:, 1] - exact) / table[:, 2]))) < 2
    if method == "direct":
        members = np.array([np.diff(maxwell.cdf(edges, scale=SIGMA / np.sqrt(1 + change))) / 0.2 for change in CHANGES])
        assert np.all(np.abs(table[:, 5:].T - members) < 4 * (table[:, 2] + table[:, 4]))
        np.testing.assert_allclose(table[:, 3], members.std(axis=0, ddof=1), atol=4 * table[:, 4].max())
    assert (folder.path / f"{stem}.png").stat().st_size > 10_000
    if method == "direct":
        return
    # the same over that of one atom evenly spread over the cell
    run_command(folder.path, *options)
    g = table_of(folder.path / f"reweighted.{method}.g.O-H.csv")[1][:, 1]
    np.testing.assert_allclose(g, table[:, 1] * 0.2 * 20.0**3 / (4 / 3 * np.pi * np.diff(edges**3)), rtol=1e-5)


def test_radial_distribution_of_an_ideal_gas_and_slow_twin(tmp_path):
    random = np.random.default_rng(4)
    labels = "O" * 15 + "H" * 25
    folder = Folder(tmp_path / "run", beads=2, outputs=MEMBERS + POSITIONS, labels=labels)
    positions = random.uniform(-30, 30, (60, 2, 40, 3))
    folder.write_positions(positions, labels, range(60), cell=6.0)
    trajectory = find_bead_trajectory(RunInput.read(folder.path / "input.xml"))
    edges = np.linspace(0, 3, 13)
    for pair in (("O", "H"), ("H", "H")):
        values = read_distances(trajectory, trajectory.steps, Distances(*pair, edges))
        assert values.shape == (60, 12)
        np.testing.assert_allclose(values.mean(axis=0)[3:], 1.0, atol=0.1)
        (counts,) = read_distances(trajectory, [7], Distances(*pair, edges, counts=True))
        twin = np.zeros(12)
        first, second = ([place for place, one in enumerate(labels) if one == label] for label in pair)
        for bead in range(2):
            for i in first:
                for j in second:
                    apart = positions[7, bead, j] - positions[7, bead, i]
                    if i != j:
                        twin += np.histogram(np.linalg.norm(apart - 6.0 * np.round(apart / 6.0)), edges)[0]
        np.testing.assert_allclose(counts, twin / (2 * len(first) * 0.25), rtol=1e-10)
    with pytest.raises(InputError, match="holds no pair O,C; its atoms are H, O"):
        read_distances(trajectory, [7], Distances("O", "C", edges))
    with pytest.raises(InputError, match=r"up to 3\.2 Å are asked for; in the cell they are unique up to 3 Å"):
        read_distances(trajectory, [7], Distances("O", "H", np.linspace(0, 3.2, 5)))


def test_skewed_cell():
    """In a cell whose rounded image is not always the nearest one, distances below half of its height are right."""
    random = np.random.default_rng(5)
    places = random.uniform(0, 8, (200, 2, 3))
    cell = Cell.fromcellpar([6, 7, 8, 60, 70, 50]).array
    height = min(1 / np.linalg.norm(np.linalg.inv(cell), axis=0))
    edges = np.linspace(0, height / 2 - 1e-9, 6)
    shifts = np.array(list(np.ndindex(9, 9, 9))) - 4
    total = 0
    for first, second in places:
        counts = pair_counts(np.array([[first, second]]), cell, np.array([0]), np.array([1]), edges)
        nearest = np.linalg.norm(second - first + shifts @ cell, axis=1).min()
        np.testing.assert_array_equal(counts, np.histogram(nearest, edges)[0])
        total += counts.sum()
    assert total > 20


def test_steps_in_common(tmp_path):
    """Properties every 15 steps, members every 10; a run that was killed and continued; half a record at the end."""
    folder, places, _ = particle(tmp_path / "run", 900)
    square = np.square(places[:, 0]).sum(axis=-1)
    at = np.arange(0, 9000, 15)
    both = at % 10 == 0
    column = np.where(both, square[at // 10], 1e6)
    folder.write_properties({"square{angstrom2}": column, "temperature{kelvin}": column}, at)
    found = numbers_of(folder.path, "--observable", "square", "--skip", "0")
    (line,) = found["observables"]
    assert line["samples"] == 300
    assert line["mean"] == pytest.approx(square[::3].mean(), rel=1e-10)
    # what was superseded, and what is not yet whole
    out = folder.path / "run.out"
    lines = out.read_text().splitlines(keepends=True)
    dead = [re.sub(r"\S+\n", "7.7e7\n", one) for one in lines[103:153]]
    out.write_text("".join(lines[:103] + dead + ["  1.5e2 "] + ["\n"] + lines[103:]) + "  9.0e3 1.0")
    path = folder.bead_files("members")[0]
    text = path.read_text()
    path.write_text(text + " #EXTRAS(committee_pot)# Step:        9000 \n 1.0e0 2.0")
    again = numbers_of(folder.path, "--observable", "temperature", "--skip", "0")["observables"][0]
    assert again["mean"] == line["mean"] and again["unit"] == "K"
    # half of the time, 4.5 ps
    assert numbers_of(folder.path, "--observable", "square", "--skip", "2.25")["observables"][0]["samples"] == 150
    message = refusal_of(folder.path, "--observable", "square", "--skip", "4.4")
    assert re.search(r"6 steps from 8800 on are in all series, 16 are needed: committee_pot every 10 steps", message)


def test_several_runs_are_averaged(tmp_path):
    folders = []
    for number in range(3):
        folder, places, steps = particle(tmp_path / f"run{number}", 500 * (number + 1), seed=number)
        folder.write_properties({"square{angstrom2}": np.square(places[:, 0]).sum(axis=-1)}, steps)
        folders.append((folder.path, np.square(places[:, 0]).sum(axis=-1)))
    found = numbers_of(*(path for path, _ in folders), "--observable", "square", "--skip", "0")
    assert found["title"].startswith("3 runs, 3000 samples")
    together = np.concatenate([square for _, square in folders]).mean()
    assert found["observables"][0]["mean"] == pytest.approx(together, rel=1e-12)
    text = (folders[1][0] / "input.xml").read_text()
    (folders[1][0] / "input.xml").write_text(text.replace("> 300 <", "> 310 <"))
    assert "1 beads at 300 K and '" in refusal_of(*(path for path, _ in folders), "--observable", "square")


def test_what_is_known_of_the_calibration(tmp_path):
    committee = "<ffcommittee name='driver'> <alpha> {} </alpha> {} </ffcommittee>"
    folder, places, steps = particle(tmp_path / "run", force_fields=committee.format(1.7, ""))
    folder.write_properties({"square{angstrom2}": np.square(places[:, 0]).sum(axis=-1)}, steps)
    plain = numbers_of(folder.path, "--observable", "square")
    assert plain["notes"] == ["members carry the calibration <alpha> 1.7 of the <ffcommittee>"]
    wider = numbers_of(folder.path, "--observable", "square", "--calibration", "2")
    assert "multiplied by --calibration 2 as well" in wider["notes"][1]
    ratio = wider["observables"][0]["model_error"] / plain["observables"][0]["model_error"]
    assert ratio == pytest.approx(2, rel=1e-9)
    text = (folder.path / "input.xml").read_text()
    (folder.path / "input.xml").write_text(text.replace("</alpha>", "</alpha> <baseline_name> b </baseline_name>"))
    assert "has a weighted baseline; members are reweighted" in refusal_of(folder.path, "--observable", "square")


def test_another_potential_is_told(tmp_path):
    folder, places, steps = particle(tmp_path / "run")
    potential = harmonic_members(places[:, 0]).mean(axis=1)
    for column in ({"potential{electronvolt}": potential - 3.0}, {"potential{kelvin}": potential / units.kB}):
        folder.write_properties({**column, "volume{angstrom3}": places[:, 0, 0]}, steps)
        assert "differs from the mean" not in run_command(folder.path, "--observable", "volume").output
    folder.write_properties({"potential": in_hartree(potential + 0.02 * places[:, 0, 0])}, steps)
    (difference, withheld) = numbers_of(folder.path, "--observable", "potential")["warnings"]
    assert "differs from the mean of its members by what varies by 0.008" in difference
    assert "potential: no model error is given" in withheld


def test_runs_of_other_ensembles(tmp_path):
    """A RESTART has the temperature in atomic units, with nine digits, and is of the same ensemble as an input."""
    paths = []
    for number in range(2):
        folder, places, steps = particle(tmp_path / f"run{number}", 600, seed=number)
        folder.write_properties({"square{angstrom2}": np.square(places[:, 0]).sum(axis=-1)}, steps)
        paths.append(folder.path)
    source = paths[1] / "input.xml"
    text = source.read_text()
    kelvin = unit_to_internal("temperature", "kelvin", 300.0)
    source.write_text(text.replace("<temperature units='kelvin'> 300", f"<temperature> {kelvin:.8e}"))
    asked = ("--observable", "square")
    assert numbers_of(*paths, *asked)["title"].startswith("2 runs")
    assert "is given twice" in refusal_of(paths[0], paths[1], paths[0] / "input.xml", *asked)
    assert "has no bias, and so none of the label wall" in refusal_of(paths[0], *asked, "--bias", "wall")
    pressure = "</temperature> <pressure units='megapascal'> {} </pressure>"
    for own, value in zip(paths, (0.1, 200), strict=True):
        new = text.replace("</temperature>", pressure.format(value)).replace("'nvt'", "'npt'")
        (own / "input.xml").write_text(new)
    assert "1 beads at 300 K and 0.1 MPa and '" in refusal_of(*paths, *asked)
    assert numbers_of(paths[0], *asked)["title"]
    for mode, message in (("sc", "Suzuki-Chin path integrals"), ("nvt-cc", "a constrained centroid")):
        source.write_text(text.replace("'nvt'", f"'{mode}'"))
        assert f"has mode='{mode}', {message}" in refusal_of(paths[1], *asked)
    source.write_text(text.replace("'nvt'", "'nve'"))
    assert "keeps its energy: its samples are not" in numbers_of(paths[1], *asked)["warnings"][0]
    source.write_text(text.replace("<system>", "<smotion mode='remd'/> <system>"))
    assert "exchanges replicas" in refusal_of(paths[1], *asked)


def test_refusals(tmp_path):
    folder, places, steps = particle(tmp_path / "run", 600)
    values = np.arange(600.0)
    folder.write_properties(
        {"kinetic_cv(O)": values, "kinetic_cv(H)": values, "stress_cv{gigapascal}": np.zeros((600, 6))}, steps
    )
    path = folder.path
    assert "--observable NAME (kinetic_cv(O), kinetic_cv(H), stress_cv, committee_pot), --dist" in refusal_of(path)
    assert "'kinetic_cv' is one of kinetic_cv(O), kinetic_cv(H); name one" in refusal_of(
        path, "--observable", "kinetic_cv"
    )
    assert numbers_of(path, "--observable", "kinetic_cv(H)")["observables"][0]["unit"] == "atomic units"
    assert len(numbers_of(path, "--observable", "stress_cv")["observables"]) == 6
    assert "writes no 'enthalpy'; it writes kinetic_cv(O)" in refusal_of(path, "--observable", "enthalpy")
    assert "writes no 'dipole'; it writes" in refusal_of(path, "--observable", "dipole")
    assert "does not write the positions of all its beads as xyz or for ASE; add" in refusal_of(
        path, "--distance", "O,H", "--range", "1,2"
    )
    assert "'O' is no pair of atoms" in refusal_of(path, "--distance", "O")
    assert "the range of distances is not given" in refusal_of(path, "--distance", "O,H")
    assert "has no <bias> with an <ffplumed>" in refusal_of(path, "--profile")
    assert "--skip 99 leaves out all" in refusal_of(path, "--observable", "stress_cv", "--skip", "99")
    for options, message in (
        (("--profile", "--distance", "O,H"), "--distance and --profile exclude each other"),
        (("--count",), "--count is for --distance"),
        (("--variable", "x"), "--variable x is for --profile"),
        (("--from", "1,2"), "--from and --to are given together"),
        (("--method", "best"), "'best' is not one of 'cea', 'direct'"),
    ):
        assert message in run_command(path, *options).output
    folder.write_extras("members", "committee_pot", in_hartree(20 * harmonic_members(places)), steps)
    result = refusal_of(path, "--observable", "stress_cv", "--method", "direct")
    assert re.search(
        r"direct weights of member 0 leave \S+ effective samples; at least 50 are needed: use the method 'cea'", result
    )
    assert "; --force gives the numbers all the same" in refusal_of(path, "--observable", "stress_cv")
    assert run_command(path, "--observable", "stress_cv", "--force").exit_code == 0
    assert "h of member 0 varies by" in run_command(path, "--observable", "committee_pot").output
    folder.bead_files("members")[0].unlink()
    assert "does not exist, and" in refusal_of(path, "--observable", "stress_cv")
    other = Folder(tmp_path / "other", 4, MEMBERS.replace("stride", "bead='0' stride"))
    assert "writes committee_pot of some of its 4 beads; all are needed" in refusal_of(other.path, "--observable", "x")
    none = Folder(tmp_path / "none", outputs="")
    assert "writes no committee_pot; add <trajectory filename='members'" in refusal_of(none.path, "--observable", "x")
