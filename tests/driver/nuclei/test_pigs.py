"""``beadwise pigs`` with a real i-PI: in traps whose centroid force is known, and from input to spectrum."""

from __future__ import annotations

import json
import os
import subprocess
import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import numpy as np
import pytest
from beadwise.analysis.pigs.inputs import Sampling, prepare_input
from beadwise.analysis.pigs.samples import read_samples
from beadwise.analysis.spectrum.conditions import read_run_conditions
from beadwise.driver.commands.group import main
from beadwise.driver.launch.centroid_models import remarks_about_centroids
from beadwise.driver.launch.plan import Plan
from beadwise.driver.launch.shipped_inputs import SHIM, copy_shipped_input
from beadwise.driver.launch.supervision import ipi_command
from beadwise.model import save
from beadwise.model.files import find, load_model
from beadwise.model.training.centroid_force import temperature_of_centroids
from beadwise.runs.input.elements import InputError
from beadwise.runs.input.run_input import RunInput
from click.testing import CliRunner
from places import HELPERS, MODULES
from test_run import EXTRAS, Folder
from traps import TRAPS, exact_centroid_force, force_of, harmonic

TEMPERATURE, BEADS, ATOMS = 500.0, 8, 64
POWERS = {"harmonic": (1, 3), "quartic": (1, 3, 5), "morse": (0, 1, 2, 3, 4, 5)}
TRAPPED = """<simulation verbosity='low' threading='false'>
  <output prefix='traps'/>
  <prng> <seed> 7 </seed> </prng>
  <ffdirect name='traps'>
    <pes> custom </pes> <pes_path> {shim} </pes_path>
    <parameters> {{model: traps:traps, structure: start.xyz}} </parameters> <batch_size> 2 </batch_size>
  </ffdirect>
  <system>
    <initialize nbeads='1'> <file mode='xyz' units='angstrom'> start.xyz </file> </initialize>
    <forces> <force forcefield='traps'/> </forces>
    <motion mode='dynamics'> <dynamics mode='nve'/> </motion>
  </system>
</simulation>
"""


@pytest.fixture(scope="module")
def trapped(tmp_path_factory):
    """Centroids of 64 atoms in three traps each."""
    folder = tmp_path_factory.mktemp("traps")
    places = "\n".join("H 0.0 0.0 0.1" for _ in range(ATOMS))
    (folder / "start.xyz").write_text(f"{ATOMS}\n# CELL(abcABC): 99 99 99 90 90 90\n{places}\n")
    (folder / "traps.xml").write_text(TRAPPED.format(shim=SHIM))
    run = RunInput.read(folder / "traps.xml")
    path = prepare_input(run, Sampling(TEMPERATURE, BEADS, frames=60, interval=5.0))
    text = path.read_text()  # these are softer than molecules
    assert "> 0.25 <" in text
    text = text.replace("> 0.25 <", "> 1.0 <").replace("> 2200 <", "> 1450 <")
    path.write_text(text.replace('<motion mode="dynamics">', '<motion mode="dynamics"><fixcom> False </fixcom>'))
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": MODULES}
    found = subprocess.run(
        [*ipi_command(), path.name], cwd=folder, env=environment, capture_output=True, text=True, timeout=600
    )
    assert found.returncode == 0, found.stdout + found.stderr
    return read_samples(RunInput.read(path))


@pytest.mark.parametrize("axis", range(3))
def test_fitted_centroid_forces_of_traps_are_the_exact_ones(trapped, axis):
    """That of a harmonic trap is zero, as no quantum nucleus changes it; atoms are independent, so they give errors."""
    trap = TRAPS[axis]
    powers = np.array(POWERS[trap.__name__])
    places, differences = trapped.positions[:, :, axis], trapped.differences[:, :, axis]
    np.testing.assert_allclose(trapped.classical[:, :, axis], force_of(trap, places), atol=2e-4)
    grid = np.quantile(places, np.linspace(0.05, 0.95, 9))

    def fitted(atoms):
        features = places[:, atoms].reshape(-1, 1) ** powers
        weights = np.linalg.lstsq(features, differences[:, atoms].ravel(), rcond=None)[0]
        return grid[:, None] ** powers @ weights

    parts = np.array_split(np.arange(ATOMS), 8)
    without = np.array([fitted(np.setdiff1d(np.arange(ATOMS), part)) for part in parts])
    errors = np.sqrt((len(parts) - 1) * without.var(axis=0))
    exact = exact_centroid_force(trap, grid, TEMPERATURE, BEADS) - force_of(trap, grid)
    deviations = (fitted(np.arange(ATOMS)) - exact) / np.hypot(errors, 1e-4)
    assert np.sqrt(np.square(deviations).mean()) < 2.5, (deviations, errors)
    if trap is harmonic:
        assert np.abs(exact).max() < 1e-6 and errors.max() < 1e-3
    else:
        assert errors.max() < 0.15 * np.abs(exact).max()


@pytest.fixture
def folder(tmp_path):
    folder = Folder(tmp_path)
    folder.write_input(outputs=EXTRAS)
    yield folder
    folder.kill_all()


def patiently(folder, *arguments, model="springs:springs"):
    process = folder.start(*arguments, model=model)
    output, errors = process.communicate(timeout=300)
    return process.returncode, output, errors


def command(*arguments):
    return CliRunner().invoke(main, ["pigs", *map(str, arguments)])


def test_from_an_input_to_a_named_spectrum(folder, monkeypatch):
    monkeypatch.chdir(folder.path)
    monkeypatch.syspath_prepend(str(HELPERS))
    found = command("--prepare", "input.xml", "--frames", 20, "--interval", 1, "--beads", 4, "--temperature", 350)
    assert found.exit_code == 0 and "warning: centroids at 350 K: below 400 K" in found.output
    assert found.output.splitlines()[-1] == "input_pigs.xml"
    text = (folder.path / "input_pigs.xml").read_text()
    root = ElementTree.fromstring(text)
    assert [force.attrib for force in root.iter("force")][1] == {"forcefield": "springs", "nbeads": "1", "weight": "0"}
    path = folder.path / "input_pigs.xml"
    text = text.replace("> 0.25 <", "> 1.0 <").replace("> 1080 <", "> 340 <")  # 0.25 ps do not count
    path.write_text(text.replace(f"{folder.address}_pigs", f"{folder.address}p"))
    status, _, errors = patiently(folder, "input_pigs.xml", "--no-report", "--threads", "1")
    assert (status, errors) == (0, "")
    found = command("input_pigs.xml", "--model", "harmonic:k=1.0")
    assert found.exit_code == 2 and "name the model that the run sampled" in found.output, found.output
    found = command("input_pigs.xml", "--model", "springs:springs", "--output", "p.toml", "--json", "p.json")
    assert found.exit_code == 0, found.output
    numbers = json.loads((folder.path / "p.json").read_text())
    assert numbers["isotopes"] == sorted(numbers["isotopes"]) == ["H", "O"]
    assert numbers["temperature"] == pytest.approx(350) and numbers["frames"] >= 16 and numbers["beads"] == 4
    assert temperature_of_centroids(folder.path / "p.toml") == pytest.approx(350)
    assert "noise of the instantaneous force" in found.output
    refuses_what_is_not_finite(folder.path)
    text = (folder.path / "input.xml").read_text().replace("nbeads='4'", "nbeads='1'").replace("pile_g", "svr")
    (folder.path / "classical.xml").write_text(text)
    trusted = ("--trust", "springs:springs", "--no-report", "--threads", "1")
    status, output, errors = patiently(folder, "classical.xml", *trusted, model="p.toml")
    assert (status, errors) == (0, "") and "count twice" not in output
    name = "Te PIGS, fitted at 350 K (moments of the centroid)"
    assert read_run_conditions(RunInput.read(folder.path / "classical.xml")).dynamics == name
    status, output, errors = patiently(folder, "input.xml", *trusted, model="p.toml")
    assert "warning: 4 beads with the mean force on centroids at 350 K: quantum nuclei count twice" in output
    assert "PIGS" not in read_run_conditions(RunInput.read(folder.path / "input.xml")).dynamics


def refuses_what_is_not_finite(folder):
    (file,) = folder.glob("*.classical*")
    whole = file.read_text()
    lines = whole.splitlines()
    lines[-1] = f"{lines[-1].split()[0]} nan 0.0 0.0"
    file.write_text("\n".join(lines) + "\n")
    with pytest.raises(InputError, match="not finite at step"):
        read_samples(RunInput.read(folder / "input_pigs.xml"))
    file.write_text(whole)


@pytest.mark.parametrize(
    ("force", "message"),
    [
        ("<force forcefield='beadwise' weight='0.5'/>", "has the weight 0.5; one of weight 1"),
        ("<force forcefield='beadwise' nbeads='4'/>", "is evaluated on 4 of 8 beads"),
        ("<force forcefield='beadwise'> <mts_weights> [ 1, 0 ] </mts_weights> </force>", "has <mts_weights>"),
    ],
)
def test_a_force_that_is_not_the_mean_over_all_beads_is_refused(force, message, tmp_path):
    copy = copy_shipped_input("water", tmp_path)
    text = copy.read_text()
    assert "<force forcefield='beadwise'/>" in text
    copy.write_text(text.replace("<force forcefield='beadwise'/>", force))
    with pytest.raises(InputError, match=message):
        prepare_input(RunInput.read(copy), Sampling())


def test_a_force_on_all_beads_by_number_is_on_all_that_are_sampled(tmp_path):
    copy = copy_shipped_input("water", tmp_path)
    copy.write_text(
        copy.read_text().replace("<force forcefield='beadwise'/>", "<force forcefield='beadwise' nbeads='8'/>")
    )
    run = RunInput.read(prepare_input(RunInput.read(copy), Sampling(beads=16)))
    assert [force.get("nbeads") for force in run.only_system().element.iter("force")] == [None, "1"]


@pytest.mark.parametrize("heavy", ["label", "mass"])
def test_other_isotopes_than_those_of_the_fit_are_warned_of(heavy, tmp_path):
    own = load_model("water")
    record = {"temperature": 500.0, "isotopes": ["H", "O"]}
    save(replace(own, metadata={**own.metadata, "pigs": record}), tmp_path / "c.safetensors")
    copy = copy_shipped_input("classical_nvt", tmp_path)
    models = {"": str(tmp_path / "c.safetensors")}
    assert not remarks_about_centroids(Plan(RunInput.read(copy), models))
    if heavy == "label":
        structure = copy.parent / "water_64.xyz"
        structure.write_text(structure.read_text().replace("H ", "D "))
    else:
        masses = ", ".join(["15.9994, 2.0141, 2.0141"] * 64)
        masses = f"<masses mode='manual' units='dalton'> [ {masses} ] </masses> </initialize>"
        copy.write_text(copy.read_text().replace("</initialize>", masses))
    remarks = remarks_about_centroids(Plan(RunInput.read(copy), models))
    assert len(remarks) == 1 and "the atoms are D, O, and the mean force on centroids is that of H, O" in remarks[0]


def test_what_cannot_be_sampled_is_refused(tmp_path):
    copy = copy_shipped_input("mts_nvt", tmp_path)
    with pytest.raises(InputError, match="has 2 forces; one is needed"):
        prepare_input(RunInput.read(copy), Sampling())
    copy = copy_shipped_input("water", tmp_path)
    prepare_input(RunInput.read(copy), Sampling())
    with pytest.raises(InputError, match="exists already"):
        prepare_input(RunInput.read(copy), Sampling())
    with pytest.raises(InputError, match="does not write"):
        read_samples(RunInput.read(copy))
    assert "above 800 K little of the quantum nuclei" in Sampling(900.0).warnings[0] and not Sampling().warnings
    for arguments, message in (
        ((), "either RUN or --prepare INPUT is needed"),
        (("--prepare", copy, "--model", "water"), "--model is for RUN, not for --prepare"),
        ((copy, "--beads", 4), "--beads is for --prepare"),
        ((copy,), "--model is missing"),
    ):
        assert message in command(*arguments).output


def test_the_potential_is_not_written_over(tmp_path, monkeypatch):
    """Before anything is read or fitted: there is no run here."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fit.safetensors").write_bytes(find("water").read_bytes())
    for name in ("m", "n"):
        (tmp_path / f"{name}.toml").write_text("[energy]\nmodel = 'fit.safetensors'\n")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    for model, output, message in (
        ("fit.safetensors", "fit.toml", "'fit.safetensors' is a file of --model 'fit.safetensors' itself"),
        ("m.toml", "m.toml", "'m.toml' is a file of --model 'm.toml' itself"),
        ("m.toml", "fit.toml", "'fit.safetensors' is a file of --model 'm.toml' itself"),
        ("committee:m.toml,n.toml", "n.toml", "'n.toml' is a file of --model"),
        ("m.toml", "p.safetensors", "'p.safetensors' is no file of parts; allowed is a name that ends in .toml"),
    ):
        found = command("none.xml", "--model", model, "--output", output)
        assert found.exit_code == 2 and message in " ".join(found.output.split()), found.output
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
