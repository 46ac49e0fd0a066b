"""Every command reads the same of a run: from its input and its RESTART, and of each kind of dynamics."""

import re

import numpy as np
import pytest
from beadwise.analysis.mass.make import KINETIC_ENERGY
from beadwise.analysis.reweighting.runs import read_committee_runs
from beadwise.analysis.spectrum.conditions import read_run_conditions
from beadwise.runs.input.run_input import RunInput
from beadwise.runs.output.positions import find_bead_trajectory
from beadwise.runs.plumed.biased_runs import read_biased_runs
from committee_runs import MEMBERS, POSITIONS, Folder, particle
from every_command import COMMANDS, mass_integration, promotion, refusal_of, rings, run_command
from ipi.utils.units import unit_to_internal
from rings import write_run as write_rings
from test_profile_command import RESTRAINT, restrained
from test_profile_command import write_run as write_biased
from test_reweight_biased import BIAS, PLUMED, VARIABLES
from test_velocity_spectra import write as write_velocities
from test_velocity_spectra import write_input as write_velocity_input

KELVIN = float(unit_to_internal("temperature", "kelvin", 1.0))
FEMTOSECOND = float(unit_to_internal("time", "femtosecond", 1.0))
TEMPERATURES = (330.0, 298.15, 77.36, 300.12345, 315.775024804, 1e3 / 3, 1234567.8)
TIMESTEPS = (0.5, 0.25, 0.1, 1 / 3, 1.2345678, 0.02418884, 3.0)


def as_restart(path, name="RESTART"):
    """Write what i-PI would: the same numbers in its own units, with nine digits."""
    text = path.read_text()
    for tag, units in (("temperature", {"kelvin": KELVIN}), ("timestep", {"femtosecond": FEMTOSECOND})):

        def in_atomic_units(found, units=units, tag=tag):
            return f"<{tag}> {float(found[2]) * units[found[1]]:16.8e} </{tag}>"

        text, changed = re.subn(rf"<{tag} units='(\w+)'>([^<]*)</{tag}>", in_atomic_units, text)
        assert changed
    restart = path.with_name(name)
    restart.write_text(text)
    return restart


def at(path, temperature, timestep):
    """Change temperature and time step of an input."""
    text = re.sub(r"(<temperature units='kelvin'>)[^<]*", rf"\g<1> {temperature!r} ", path.read_text())
    path.write_text(re.sub(r"(<timestep units='femtosecond'>)[^<]*", rf"\g<1> {timestep!r} ", text))
    return path


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory):
    """An input of which every command can be asked: a committee, a bias, positions, a cell."""
    folder = Folder(
        tmp_path_factory.mktemp("whole") / "run", 2, MEMBERS + POSITIONS + VARIABLES, force_fields=PLUMED, bias=BIAS
    )
    (folder.path / "plumed.dat").write_text("RESTRAINT LABEL=wall ARG=x AT=0 KAPPA=1\n")
    path = folder.path / "input.xml"
    cell = "<cell mode='abc' units='angstrom'> [ 9, 9, 9 ] </cell> </initialize>"
    path.write_text(path.read_text().replace("</initialize>", cell))
    return path


READERS = {
    "spectrum": lambda run: (read_run_conditions(run).temperature, read_run_conditions(run).timestep),
    "profile": lambda run: (read_biased_runs(run)[0].temperature, read_biased_runs(run)[0].timestep),
    "reweight": lambda run: (read_committee_runs(run)[0].temperature, read_committee_runs(run)[0].timestep),
    "promote": lambda run: (find_bead_trajectory(run).temperature, find_bead_trajectory(run).timestep),
    "mass-integration": lambda run: (run.only_system().ensemble.temperature, run.only_system().timestep),
}


@pytest.mark.parametrize("timestep", TIMESTEPS)
@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_all_read_one_temperature_and_one_time_step_from_input_and_restart(whole_run, temperature, timestep):
    path = at(whole_run, temperature, timestep)
    restart = as_restart(path)
    found = {(name, one.name): read(RunInput.read(one)) for name, read in READERS.items() for one in (path, restart)}
    assert len(set(found.values())) == 1, found
    own = next(iter(found.values()))
    assert own == (pytest.approx(temperature, rel=5e-8), pytest.approx(timestep, rel=5e-8))
    assert f"{own[0]:.7g}, {own[1]:.7g}" == f"{temperature:.7g}, {timestep:.7g}"


@pytest.mark.parametrize("pressure", [0.1, 101.325, 1e3 / 3])
def test_pressure_of_input_and_restart(whole_run, pressure):
    text = whole_run.read_text().replace("mode='nvt'", "mode='npt'")
    tag = f"<pressure units='megapascal'> {pressure!r} </pressure> </ensemble>"
    path = whole_run.with_name("npt.xml")
    path.write_text(text.replace("</ensemble>", tag))
    before = RunInput.read(path).only_system().ensemble
    in_atomic_units = pressure * float(unit_to_internal("pressure", "megapascal", 1.0))
    path.write_text(text.replace("</ensemble>", f"<pressure> {in_atomic_units:16.8e} </pressure> </ensemble>"))
    assert RunInput.read(path).only_system().ensemble.name == before.name
    assert before.name.endswith(f" and {pressure:.6g} MPa")


def two_folders(tmp_path, write):
    """A run, and another of the same conditions of which only the RESTART is left, with nine digits."""
    first, second = (write(tmp_path / name) for name in ("first", "second"))
    for source in (first, second):
        at(source, 330.0, 1 / 3)
    as_restart(second)
    second.unlink()
    return first.parent, second.parent


def test_input_and_restart_in_one_promotion(tmp_path):
    folders = two_folders(tmp_path, lambda folder: write_rings(folder, rings(folder), 20.0, temperature=330.0))
    result = run_command("promote", *folders, "--reference", "harmonic:k=24", "--skip", "0", "--workers", "1")
    assert result.exit_code == 0, result.output
    assert "80 samples of 4 atoms, 2 beads, 330 K" in result.output


def test_input_and_restart_in_one_mass_integration(tmp_path):
    sources, arguments = mass_integration(tmp_path / "run")
    for source in sources:
        at(source, 330.0, 1 / 3)
    as_restart(sources[1], sources[1].name)
    result = run_command(*arguments)
    assert result.exit_code == 0, result.output
    assert "330 K" in result.output and not re.search("units='kelvin'> 330.0 </temp", sources[1].read_text())


def test_input_and_restart_in_one_average(tmp_path):
    def write(path):
        folder, places, steps = particle(path, seed=len(path.name))
        folder.write_properties({"square{angstrom2}": np.square(places[:, 0]).sum(axis=-1)}, steps)
        return path / "input.xml"

    result = run_command("reweight", *two_folders(tmp_path, write), "--observable", "square", "--skip", "0")
    assert result.exit_code == 0, result.output
    assert "2 runs, 8000 samples" in result.output and "330 K" in result.output


def test_input_and_restart_in_one_profile(tmp_path):
    def write(path):
        columns = restrained(np.random.default_rng(len(path.name)), 0.0)
        write_biased(path, [RESTRAINT.format(0.0)], [columns])
        return path / "input.xml"

    pytest.importorskip("pymbar")
    result = run_command("profile", *two_folders(tmp_path, write), "--output", tmp_path / "p")
    assert result.exit_code == 0, result.output
    # of one temperature: two curves would be told apart by it
    assert re.search(r"^classical: lowest", result.output, re.MULTILINE) and "330 K:" not in result.output


def test_input_and_restart_in_one_spectrum(tmp_path):
    def write(path):
        write_velocity_input(path)
        write_velocities(path / "run.vc.xyz", frames=600, seed=len(path.name))
        return path / "input.xml"

    folders = two_folders(tmp_path, write)
    files = [folder / "run.vc.xyz" for folder in folders]
    result = run_command("spectrum", "dos", *files, "--window", 100, "--output", tmp_path / "dos")
    assert result.exit_code == 0, result.output


FIELDS = {
    "none": "",
    "constant": "<efield> <amp units='v/ang'> [ 0, 0, 0.05 ] </amp> </efield>",
    "oscillating": "<efield> <amp> [ 0, 0, 1e-3 ] </amp> <freq units='thz'> 50 </freq> </efield>",
    "pulse": "<efield> <amp> [ 0, 0, 1e-3 ] </amp> <sigma units='femtosecond'> 40 </sigma> </efield>",
    "written": "<efield> <amp shape='(3)'> [ 0, 0, 0 ] </amp> <freq> 0.0 </freq> <sigma> inf </sigma> </efield>",
}


def driven(path, field):
    """The same run in i-PI's driven dynamics."""
    text = path.read_text().replace("<motion mode='dynamics'>", "<motion mode='driven_dynamics'>")
    text = re.sub(r"<dynamics mode='(nve|nvt)'", "<driven_dynamics mode='eda-\\1'", text)
    path.write_text(text.replace("</dynamics>", f"{FIELDS[field]} <bec mode='driver'/> </driven_dynamics>"))
    return path


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("command", COMMANDS)
def test_driven_dynamics_are_known_to_every_command(tmp_path, command, field):
    """Refused is what samples no ensemble, and an estimator that leaves the field's force out."""
    sources, arguments = COMMANDS[command](tmp_path / "run")
    for source in sources:
        driven(source, field)
    result = run_command(*arguments)
    if command != "spectrum" and field in ("oscillating", "pulse"):
        assert result.exit_code == 2 and result.output.count("\n") == 1
        assert "is driven by an electric field that changes in time, and samples no ensemble" in result.output
    elif command == "mass-integration" and field == "constant":
        assert result.exit_code == 2 and result.output.count("\n") == 1
        assert f"the field (0, 0, 0.05) V/Å, whose force i-PI leaves out of {KINETIC_ENERGY}" in result.output
    else:
        assert result.exit_code == 0, result.output
    if command in ("promote", "reweight") and field == "constant":
        assert "is in the field (0, 0, 0.05) V/Å, which its energies leave out" in " ".join(result.output.split())


@pytest.mark.parametrize("mode", ["eda-nve", "eda-nvt"])
def test_driven_dynamics_keep_their_energy_or_do_not(whole_run, mode):
    path = whole_run.with_name("driven.xml")
    path.write_text(whole_run.read_text())
    driven(path, "none")
    path.write_text(path.read_text().replace("eda-nvt", mode))
    system = RunInput.read(path).only_system()
    assert system.ensemble.keeps_energy == (mode == "eda-nve")
    assert (system.name_of_dynamics, system.has_constant_volume) == ("RPMD", True)


def test_different_fields_are_different_ensembles(tmp_path):
    paths = [promotion(tmp_path / name)[0][0] for name in ("one", "two")]
    driven(paths[0], "constant")
    message = refusal_of("promote", *(path.parent for path in paths), "--reference", "harmonic:k=24")
    assert "is at 300 K in the field (0, 0, 0.05) V/Å and" in message
