"""A small run for every command that reads one, and how to call it."""

import re

import ase.io
import numpy as np
from ase import Atoms
from beadwise.driver.commands.group import main
from click.testing import CliRunner
from committee_runs import particle
from rings import drawn_rings
from rings import write_run as write_rings
from test_mass_command import write_input as write_trap
from test_mass_command import write_rows
from test_profile_command import RESTRAINT, restrained
from test_profile_command import write_run as write_biased
from test_spectrum_command import INPUT as SPECTRUM
from test_spectrum_command import write_beads


def run_command(*arguments):
    return CliRunner().invoke(main, list(map(str, arguments)))


def refusal_of(*arguments):
    result = run_command(*arguments)
    assert result.exit_code == 2, result.output
    assert result.output.count("\n") == 1, result.output
    return result.output


def rings(folder):
    return drawn_rings(40, 2, 4, 20.0, np.random.default_rng(len(folder.name)))


def promotion(folder):
    write_rings(folder, rings(folder), 20.0)
    return [folder / "input.xml"], ["promote", folder, "--reference", "harmonic:k=24", "--workers", "1"]


def mass_integration(folder):
    folder.mkdir()
    prepared = run_command("mass-integration", "--prepare", write_trap(folder), "--ratios", 4)
    sources = [folder / line for line in prepared.output.split()]
    for source in sources:
        source.write_text(source.read_text().replace('"', "'"))
        write_rows(source, float(re.search(r"y([\d.]+)\.xml", source.name)[1]), noise=0.1)
    return sources, ["mass-integration", *sources, "--skip", "0.001", "--output", folder / "mass"]


def average(folder):
    run, places, steps = particle(folder)
    run.write_properties({"square{angstrom2}": np.square(places[:, 0]).sum(axis=-1)}, steps)
    return [folder / "input.xml"], ["reweight", folder, "--observable", "square", "--skip", "0.01"]


def profile(folder):
    write_biased(folder, [RESTRAINT.format(0.0)], [restrained(np.random.default_rng(1), 0.0)])
    return [folder / "input.xml"], ["profile", folder, "--skip", "0.01"]


def spectrum(folder):
    folder.mkdir()
    (folder / "input.xml").write_text(SPECTRUM)
    ase.io.write(folder / "start.extxyz", Atoms("OH2", np.eye(3), cell=np.eye(3) * 10, pbc=True))
    write_beads(folder)
    return [folder / "input.xml"], ["spectrum", "ir", *sorted(folder.glob("run.moments_*")), "--window", "100"]


COMMANDS = {
    "promote": promotion,
    "mass-integration": mass_integration,
    "reweight": average,
    "profile": profile,
    "spectrum": spectrum,
}
