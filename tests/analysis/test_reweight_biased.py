"""``beadwise reweight`` on runs with a bias of PLUMED: averages, profiles, differences, umbrella windows."""

import numpy as np
import pytest
from ase import units
from committee_runs import (
    CHANGES,
    MEMBERS,
    SIGMA,
    STIFFNESS,
    THERMAL_ENERGY,
    Folder,
    harmonic_members,
    in_hartree,
    numbers_of,
    refusal_of,
    run_command,
    square_of_members,
    table_of,
)
from scipy.stats import norm

PLUMED = """<ffplumed name='plumed'>
    <plumed_dat> plumed.dat </plumed_dat> <plumed_extras> [ x, wall.bias ] </plumed_extras>
  </ffplumed>"""
BIAS = "<bias> <force forcefield='plumed' nbeads='1'/> </bias>"
VARIABLES = "<trajectory filename='variables' stride='20' extra_type='x,wall.bias'> extras_bias </trajectory>"


def biased_particle(path, samples=12_000, plumed="RESTRAINT LABEL=wall ARG=x AT=0 KAPPA={}", strength=0.3):
    """Under a restraint that makes the well stiffer along x, in PLUMED's kJ/mol and nm."""
    folder = Folder(path, outputs=MEMBERS + VARIABLES, force_fields=PLUMED, bias=BIAS)
    kilojoule_per_mole = units.kJ / units.mol
    kappa = strength * STIFFNESS * 100 / kilojoule_per_mole
    (path / "plumed.dat").write_text(plumed.format(kappa) + "\n")
    places = np.random.default_rng(7).normal(0, SIGMA, (samples, 1, 3))
    places[..., 0] /= np.sqrt(1 + strength)
    steps = 10 * np.arange(samples)
    folder.write_extras("members", "committee_pot", in_hartree(harmonic_members(places)), steps)
    x = places[::2, :, 0] / 10
    rows = np.stack([x, kappa / 2 * x**2], axis=-1)
    folder.write_extras("variables", "x,wall.bias", rows, steps[::2], "EXTRAS_BIAS")
    folder.write_properties({"square{angstrom2}": np.square(places[:, 0]).sum(axis=-1)}, steps)
    return folder


@pytest.mark.parametrize("method", ["cea", "direct"])
def test_averages_of_a_biased_run(tmp_path, method):
    folder = biased_particle(tmp_path / "run")
    found = numbers_of(folder.path, "--observable", "square", "--method", method, "--skip", "0")
    (line,) = found["observables"]
    exact = 3 * SIGMA**2 * square_of_members(method)
    assert line["samples"] == 6000
    assert abs(line["mean"] - 3 * SIGMA**2) < 4 * line["sampling_error"]
    assert np.all(np.abs(np.array(line["members"]) - exact) < 4 * (line["sampling_error"] + line["noise_floor"]))
    assert "the bias of PLUMED is taken away by weights exp(βV)" in found["notes"]
    two = biased_particle(tmp_path / "other", 400)
    message = refusal_of(folder.path, two.path, "--observable", "square")
    assert "2 runs with restraints are umbrella windows, of which --profile is made" in message


@pytest.mark.parametrize("method", ["cea", "direct"])
def test_profile_and_difference(tmp_path, method):
    """Gaussians of the variance k_B T/k_i, from a run whose bias made it narrower; x is in nm."""
    folder = biased_particle(tmp_path / "run")
    options = ("--profile", "--range=-0.08,0.08", "--bins", "8", "--method", method, "--skip", "0")
    result = run_command(folder.path, *options, "--from=-0.02,0.02", "--to=0.02,0.06", "--output", tmp_path / "p")
    assert result.exit_code == 0, result.output
    assert "F(0.02 to 0.06) − F(-0.02 to 0.02)" in result.output
    header, table = table_of(tmp_path / "p.csv")
    assert header[:2] == ["x", "free energy / eV"]
    edges = np.linspace(-0.08, 0.08, 9)
    members = np.array([np.diff(norm.cdf(edges, scale=0.1 * SIGMA / np.sqrt(1 + change))) for change in CHANGES])
    members = -THERMAL_ENERGY * np.log(members / members.sum(axis=1, keepdims=True) / 0.02)
    tolerance = 5 * table[:, 2] + (0.005 * THERMAL_ENERGY if method == "cea" else 0)
    assert np.all(np.abs(table[:, 5:].T - members) < tolerance)
    np.testing.assert_allclose(table[:, 3], members.std(axis=0, ddof=1), atol=4 * table[:, 4].max())
    assert (tmp_path / "p.png").stat().st_size > 10_000
    found = numbers_of(folder.path, *options, "--from=-0.02,0.02", "--to=0.02,0.06")
    line = found["observables"][-1]
    parts = [
        np.diff(norm.cdf(ends, scale=0.1 * SIGMA / np.sqrt(1 + CHANGES[:, None])))[:, 0]
        for ends in ([0.02, 0.06], [-0.02, 0.02])
    ]
    exact = -THERMAL_ENERGY * np.log(parts[0] / parts[1])
    allowance = 0.005 * THERMAL_ENERGY if method == "cea" else 0
    assert np.all(
        np.abs(np.array(line["members"]) - exact) < 4 * (line["sampling_error"] + line["noise_floor"]) + allowance
    )
    assert line["model_error"] == pytest.approx(exact.std(ddof=1), abs=4 * line["noise_floor"])


def test_windows_of_one_run(tmp_path):
    """Each is a folder; MBAR joins them, and the members' profiles are Gaussians."""
    pytest.importorskip("pymbar")
    random = np.random.default_rng(8)
    kappa = 2 * STIFFNESS * 100 / (units.kJ / units.mol)
    paths = []
    for number, centre in enumerate((-0.06, -0.02, 0.02, 0.06)):
        path = tmp_path / f"window{number}"
        folder = Folder(path, outputs=MEMBERS + VARIABLES, force_fields=PLUMED, bias=BIAS)
        (path / "plumed.dat").write_text(f"RESTRAINT LABEL=wall ARG=x AT={centre} KAPPA={kappa}\n")
        places = random.normal(0, SIGMA, (3000, 1, 3))
        places[..., 0] = places[..., 0] / np.sqrt(3) + 10 * centre * 2 / 3
        steps = 20 * np.arange(3000)
        folder.write_extras("members", "committee_pot", in_hartree(harmonic_members(places)), steps)
        x = places[..., 0] / 10
        folder.write_extras(
            "variables", "x,wall.bias", np.stack([x, kappa / 2 * (x - centre) ** 2], -1), steps, "EXTRAS_BIAS"
        )
        paths.append(path)
    options = ("--profile", "--range=-0.08,0.08", "--bins", "8", "--skip", "0", "--output", tmp_path / "p")
    for method in ("cea", "direct"):
        result = run_command(*paths, *options, "--method", method)
        assert result.exit_code == 0, result.output
        table = table_of(tmp_path / "p.csv")[1]
        edges = np.linspace(-0.08, 0.08, 9)
        members = np.array([np.diff(norm.cdf(edges, scale=0.1 * SIGMA / np.sqrt(1 + change))) for change in CHANGES])
        members = -THERMAL_ENERGY * np.log(members / members.sum(axis=1, keepdims=True) / 0.02)
        np.testing.assert_allclose(table[:, 3], members.std(axis=0, ddof=1), atol=4 * table[:, 4].max())
        assert np.all(np.abs(table[:, 5:].T - members) < 5 * table[:, 2] + 0.005 * THERMAL_ENERGY)
