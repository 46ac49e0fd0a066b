"""Spectra with two errors from the command line, live, and of a real run."""

import re
from pathlib import Path

import numpy as np
from beadwise.analysis.spectrum.conditions import read_run_conditions
from beadwise.analysis.spectrum.live import LiveSpectra
from beadwise.driver.commands.group import main
from beadwise.runs.input.run_input import RunInput
from beadwise.runs.units import to_atomic
from beadwise.spectra.recording import make_recorder, spectrum_of
from click.testing import CliRunner
from member_series import CONDITIONS, FACTORS, SERIES, WINDOW, smooth
from test_run import Folder
from test_spectrum_command import columns

KINDS = "dipole,member_dipoles,committee_pot"


def records(dipoles, members, energies, first=0, stride=2):
    """Extras of one bead as i-PI writes them."""
    rows = np.hstack(
        [
            to_atomic("dipole", dipoles),
            to_atomic("dipole", members).reshape(len(members), -1),
            to_atomic("energy", energies),
        ]
    )
    return "".join(
        f" #EXTRAS({KINDS})# Step:  {(first + number) * stride:10d} \n"
        + " ".join(f"{value: 22.15e}" for value in row)
        + "\n"
        for number, row in enumerate(rows)
    )


def beads_of_a_run(samples=900, beads=4):
    """Series of each bead; the means over beads are what counts."""
    dipoles = smooth(samples, beads, 3)
    members = dipoles[:, :, None] * FACTORS[:, None]
    return dipoles, members, 0.01 * smooth(samples, beads, len(FACTORS), seed=7)


GIVEN = ["--timestep", "1", "--temperature", "300", "--volume", "1000", "--window", "60"]


def invoke(*arguments):
    result = CliRunner().invoke(main, ["spectrum", *map(str, arguments)])
    return result.exit_code, result.output


def test_command_with_members_among_the_extras(tmp_path):
    dipoles, members, energies = beads_of_a_run()
    for bead in range(4):
        text = records(dipoles[:, bead], members[:, bead], energies[:, bead])
        (tmp_path / f"run.members_{bead}").write_text(text + text[:50])  # and half of one
    paths = sorted(tmp_path.glob("run.members_*"))
    status, output = invoke("ir", *paths, *GIVEN, "--members", "--skip", "0", "--output", tmp_path / "a")
    assert status == 0, output
    assert "5 members of the property on the same trajectory and 5 members of the potential" in output
    assert "both errors in quadrature" in output and "a.members.csv" in output
    recorder = make_recorder("ir", 1.0, WINDOW)
    means = {"dipole": dipoles, "committee_dipole": members, "committee_energy": energies}
    recorder.add({name: values.mean(axis=1) for name, values in means.items()})
    model = spectrum_of([recorder], CONDITIONS, WINDOW)["n_alpha"].model
    table, each = columns(tmp_path / "a.csv"), columns(tmp_path / "a.members.csv")
    np.testing.assert_allclose(table["n_alpha model error"][1:], model.total[: len(table["wavenumber"])][1:], rtol=1e-5)
    for kind, expected in (("property", model.properties.spectra), ("potential", model.potentials.spectra)):
        for number, values in enumerate(expected):
            own = next(array for name, array in each.items() if name.endswith(f"n_alpha (cm^-1) {kind} {number}"))
            np.testing.assert_allclose(own, values[: len(own)], rtol=1e-5, atol=1e-5 * values.max())
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_command_without_members(tmp_path):
    np.savez(tmp_path / "a.npz", dipole=smooth(900, 3))
    status, output = invoke("ir", tmp_path / "a.npz", *GIVEN, "--members")
    assert status == 2 and "holds no members of a committee" in output and output.count("\n") == 1
    assert not list(tmp_path.glob("*.csv"))
    status, output = invoke("sfg", tmp_path / "a.npz", *GIVEN, "--members")
    assert status == 2 and "--members is for ir and raman, not for sfg" in output


def test_members_of_arrays(tmp_path):
    samples = SERIES["raman"]() | {"committee_energy": smooth(2000, 2, seed=9)}
    np.savez(tmp_path / "a.npz", **samples)
    status, output = invoke("raman", tmp_path / "a.npz", *GIVEN, "--output", tmp_path / "a")
    assert status == 0 and "2 members of the property" in output, output
    assert "parallel model error of potentials" in columns(tmp_path / "a.csv")


def test_kept_current_while_the_files_grow(tmp_path):
    """Read between half records, and over a run that was killed and continued from the step before."""
    outputs = f"<trajectory filename='members' stride='2' extra_type='{KINDS}'> extras </trajectory>"
    folder = Folder(tmp_path)
    folder.write_input(steps=1800, outputs=outputs + outputs.replace(KINDS, "dipole").replace("members", "moments"))
    simulation = RunInput.read(folder.path / "input.xml")
    conditions = read_run_conditions(RunInput.read(folder.path / "input.xml"))
    dipoles, members, energies = beads_of_a_run()
    texts = [records(dipoles[:, bead], members[:, bead], energies[:, bead]) for bead in range(4)]
    live = LiveSpectra(["ir"], simulation, conditions, window=60.0)
    paths = [folder.path / f"test.members_{bead}" for bead in range(4)]
    for path, text in zip(paths, texts, strict=True):
        path.write_text(text[: len(text) // 2 - 33])
    live.read()
    live.draw()
    assert columns(tmp_path / "test.ir.csv")["n_alpha model error"].any()
    early = re.search("# preliminary: .*", (tmp_path / "test.ir.csv").read_text())[0]
    assert re.search(r"\d\.\d+ of 0.9 ps", early), early
    for path, text in zip(paths, texts, strict=True):
        with open(path, "a") as file:
            file.write(text[len(text) // 2 - 33 :])
    live.read()
    live.draw()
    received = (tmp_path / "test.ir.csv").read_text()
    assert " of 0.9 ps" not in received
    fresh = LiveSpectra(["ir"], simulation, conditions, window=60.0)
    fresh.read()
    fresh.draw()
    assert (tmp_path / "test.ir.csv").read_text() == received
    # what a killed i-PI left behind does not count once the run that continues has written it again
    step = re.compile(r" #EXTRAS\([a-z_,]*\)# Step: +1200 ")
    for path, text in zip(paths, texts, strict=True):
        place = step.search(text).start()
        path.write_text(text[:place] + text[place:].replace(" 1.", " 7.")[:-40] + text[place:])
    again = LiveSpectra(["ir"], simulation, conditions, window=60.0)
    again.read()
    again.draw()
    assert (tmp_path / "test.ir.csv").read_text() == received


def test_run_with_a_committee(tmp_path):
    """A real i-PI: the members' dipoles are 0.9, 1, 1.05 and 1.2 times those of the springs."""
    folder = Folder(tmp_path)
    folder.write_input(
        steps=120,
        outputs="<trajectory filename='m' extra_type='dipole,member_dipoles,committee_pot'> extras </trajectory>",
    )
    model = "committee:" + ",".join(f"members:{name}" for name in ("first", "second", "third", "fourth"))
    status, _, errors = folder.run("input.xml", "--spectrum", "ir", "--window", "20", model=model)
    assert (status, errors) == (0, ""), errors
    table = columns(folder.path / "test.ir.csv")
    charges = np.array([0.9, 1.0, 1.05, 1.2])
    # where so short a run has an absorption below zero, its error is still above
    expected = np.std(np.square(charges / charges.mean()), ddof=1) * np.abs(table["n_alpha"])
    scale = np.abs(table["n_alpha"]).max()
    np.testing.assert_allclose(table["n_alpha model error of properties"], expected, atol=1e-4 * scale)
    assert table["n_alpha model error of potentials"].any()
    text = Path(folder.path / "test.ir.csv").read_text()
    assert "4 members of the property on the same trajectory and 4 members of the potential" in text
