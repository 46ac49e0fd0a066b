"""``beadwise promote`` on files as i-PI writes them, with ring polymers of known free energy in them."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase.calculators.singlepoint import SinglePointCalculator
from beadwise.analysis.promotion.kept_energies import KeptEnergies
from beadwise.analysis.promotion.make import PromotionRequest, make
from beadwise.driver.commands.group import OneLineErrors
from beadwise.driver.commands.promote import promote
from beadwise.model import Batch, BeadwiseError
from beadwise.runs.input.elements import InputError
from beadwise.runs.input.run_input import RunInput
from beadwise.runs.output.positions import find_bead_trajectory, read_bead_trajectory
from beadwise.runs.output.properties import energies_of_run
from click.testing import CliRunner
from rings import (
    BOX,
    STRIDE,
    THERMAL_ENERGY,
    append_frames,
    drawn_rings,
    exact_difference,
    trajectory_files,
    write_run,
)

ATOMS, MODEL, REFERENCE = 4, 20.0, 24.0  # eV/Å²
OFFSET = -2345.6
USERS_OWN = """import os, signal
from pathlib import Path
from beadwise.model import Response

class Trap:
    species, properties = (1,), ("energy",)
    def evaluate(self, batch, want):
        with open("evaluations", "a") as file:
            file.write("x" * batch.beads)
        if Path("DEADLY").exists() and len(Path("evaluations").read_text()) > int(Path("DEADLY").read_text()):
            os.kill(os.getpid(), signal.SIGKILL)
        return Response(energy=0.5 * 24.0 * (batch.positions**2).sum(axis=(1, 2)) + OFFSET)
"""

main = OneLineErrors(commands={"promote": promote})


def run(*arguments):
    return CliRunner().invoke(main, ["promote", *map(str, arguments)])


def run_of(source, text, *arguments):
    source.write_text(text)
    return run(source, *arguments)


def energies_in(output, name):
    """Energy and error, in eV and in meV per atom, of a row of what is printed."""
    return [float(word) for word in re.search(rf"^{name} +(.*)$", output, re.MULTILINE)[1].split()]


def harmonic_run(folder, samples=300, beads=1, stiffness=MODEL, seed=1, **keywords):
    positions = drawn_rings(samples, beads, ATOMS, stiffness, np.random.default_rng(seed))
    return write_run(folder, positions, stiffness, **keywords)


@pytest.mark.parametrize("beads", [1, 8])
def test_harmonic_to_harmonic(tmp_path, beads):
    harmonic_run(tmp_path / "run", beads=beads)
    given = ("--reference", f"harmonic:k={REFERENCE}", "--samples", 270, "--json", tmp_path / "numbers.json")
    result = run(tmp_path / "run", "--model", f"harmonic:k={MODEL}", *given)
    assert result.exit_code == 0, result.output
    exact = exact_difference(beads, ATOMS, MODEL, REFERENCE)
    for name in ("perturbation", "second cumulant"):
        energy, error, per_atom, error_per_atom = energies_in(result.output, name)
        assert 0 < error < 0.002
        assert abs(energy - exact) < 3 * error + 1e-3 * (name == "second cumulant")
        assert (per_atom, error_per_atom) == pytest.approx((1000 * energy / ATOMS, 1000 * error / ATOMS), rel=0.05)
    assert f"270 samples of {ATOMS} atoms, {beads} bead" in result.output
    assert "warning" not in result.output
    numbers = json.loads((tmp_path / "numbers.json").read_text())
    assert numbers["promotion"]["difference"] == pytest.approx(energies_in(result.output, "perturbation")[0], abs=1e-6)
    assert (numbers["beads"], numbers["promotion"]["beads"], numbers["acceptance_ratio"]) == (beads, beads, None)
    assert numbers["masses"] == pytest.approx([1.008] * ATOMS, rel=1e-3)
    # the potential that the run wrote in the place of the model; files have six digits
    written = run(tmp_path / "run", *given)
    assert "model as the runs wrote it" in written.output
    assert energies_in(written.output, "perturbation")[0] == pytest.approx(numbers["promotion"]["difference"], abs=2e-5)


def test_path_integrals_of_other_isotopes_are_refused(tmp_path):
    sources = [harmonic_run(tmp_path / f"run{beads}{n}", 40, beads, seed=n) for beads in (4, 1) for n in range(2)]
    heavy = f"</file> <masses mode='manual' units='dalton'> [{','.join(['2.014'] * ATOMS)}] </masses>"
    for source in sources[1::2]:
        source.write_text(source.read_text().replace("</file>", heavy))
    given = ("--model", f"harmonic:k={MODEL}", "--reference", f"harmonic:k={REFERENCE}")
    refused, classical = run(*sources[:2], *given), run(*sources[2:], *given)
    assert refused.exit_code == 2 and "have other masses; the same isotopes are needed" in refused.output
    assert classical.exit_code == 0, classical.output


def test_exactly_what_the_formula_gives(tmp_path):
    """Against a twin that averages the exponentials of h."""
    source = harmonic_run(tmp_path / "run", samples=40, beads=4)
    samples = [positions for _, positions, _ in read_bead_trajectory(find_bead_trajectory(RunInput.read(source)))][4:]
    differences = 0.5 * (REFERENCE - MODEL) * np.square(samples).sum(axis=(2, 3))
    exponents = np.exp(-differences.mean(axis=1) / THERMAL_ENERGY)
    result = run(source, "--model", f"harmonic:k={MODEL}", "--reference", f"harmonic:k={REFERENCE}")
    assert "36 independent" in result.output
    assert energies_in(result.output, "perturbation")[0] == pytest.approx(
        -THERMAL_ENERGY * np.log(exponents.mean()), abs=1e-6
    )
    assert energies_in(result.output, "mean of V_REF - V_ML")[0] == pytest.approx(differences.mean(), abs=1e-6)
    told = []
    request = PromotionRequest((source,), f"harmonic:k={REFERENCE}", f"harmonic:k={MODEL}")
    make(request, lambda *progress: told.append(progress))
    so_far = [-THERMAL_ENERGY * np.log(exponents[: count + 1].mean()) for count in range(36)]
    stages = [f"energies of the {what}" for what in (f"model harmonic:k={MODEL}", f"reference harmonic:k={REFERENCE}")]
    assert told[:37] == [(stages[0], count, 36) for count in range(37)]
    estimates = [(f"A_REF − A_ML = {energy:.4f} eV",) for energy in so_far]
    assert told[37:] == [(stages[1], count, 36, *own) for count, own in enumerate([(), *estimates])]


def test_an_offset_comes_back_per_atom_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    harmonic_run(tmp_path / "run", samples=60)
    plain = run("run", "--model", f"harmonic:k={MODEL}", "--reference", f"harmonic:k={REFERENCE}")
    users_own(tmp_path)
    moved = run("run", "--model", f"harmonic:k={MODEL}", "--reference", "users_own:Trap", "--workers", 1)
    for name in ("perturbation", "second cumulant", "mean of V_REF - V_ML"):
        before, after = energies_in(plain.output, name), energies_in(moved.output, name)
        assert after[0] - OFFSET == pytest.approx(before[0], abs=2e-6)
    energy, _, per_atom, _ = energies_in(moved.output, "perturbation")
    assert per_atom == pytest.approx(1000 * energy / ATOMS, abs=1e-3)
    beyond = [energies_in(result.output, "perturbation - mean")[0] for result in (plain, moved)]
    assert beyond[0] == pytest.approx(beyond[1], abs=2e-6)


def test_the_acceptance_ratio_is_between(tmp_path):
    pytest.importorskip("pymbar", reason="pymbar is not installed: pip install 'beadwise[sampling]'")
    # σ of h is 1.9: perturbation alone has little to say
    stiff = 42.0
    harmonic_run(tmp_path / "run", beads=4)
    harmonic_run(tmp_path / "reference", beads=4, stiffness=stiff, seed=2)
    given = ("--reference", f"harmonic:k={stiff}", "--reference-run", tmp_path / "reference", "--samples", 270)
    result = run(tmp_path / "run", "--model", f"harmonic:k={MODEL}", *given)
    assert result.exit_code == 0, result.output
    energy, error, *_ = energies_in(result.output, "acceptance ratio")
    assert abs(energy - exact_difference(4, ATOMS, MODEL, stiff)) < 3 * error
    assert error < 0.01
    assert "overlap" in result.output
    assert "warning: the spread of h is" in result.output
    refused = run(tmp_path / "run", *given)
    assert refused.exit_code == 2 and "--reference-run needs --model" in refused.stderr
    swapped = run(tmp_path / "reference", "--model", f"harmonic:k={MODEL}", "--reference", f"harmonic:k={stiff}")
    assert swapped.exit_code == 2 and "a run of that potential is needed" in swapped.stderr


def test_few_samples_and_wide_spreads_are_warned_of(tmp_path):
    harmonic_run(tmp_path / "run", samples=40)
    few = run(tmp_path / "run", "--reference", f"harmonic:k={REFERENCE}")
    assert re.search(r"warning: 36 independent samples are worth .* less than 50", few.output)
    wide = run(tmp_path / "run", "--reference", "harmonic:k=100")
    assert "warning: the spread of h is" in wide.output
    assert wide.exit_code == 0


def test_samples_are_spread_over_all_runs(tmp_path):
    for name, seed in (("a", 1), ("b", 2)):
        harmonic_run(tmp_path / name, samples=101, seed=seed)
    structures = tmp_path / "structures.xyz"
    result = run(tmp_path / "a", tmp_path / "b", "--samples", 10, "--structures", structures)
    assert result.output == f"10 structures written to {structures}\n"
    frames = ase.io.read(structures, ":")
    steps = [int(frame.info["sample"].split()[1]) for frame in frames]
    # a tenth of each is left out, and the rest is 182 samples
    assert steps == [100, 300, 500, 700, 900, 200, 400, 600, 800, 1000]
    skipped = run(tmp_path / "a", "--skip", 0.25, "--samples", 10, "--structures", structures)
    assert skipped.exit_code == 0
    assert int(ase.io.read(structures, 0).info["sample"].split()[1]) == 500
    nothing = run(tmp_path / "a", "--skip", 5.0, "--reference", f"harmonic:k={REFERENCE}")
    assert nothing.exit_code == 2 and "no samples after equilibration" in nothing.stderr


def test_a_reference_computed_elsewhere(tmp_path):
    harmonic_run(tmp_path / "run", samples=40, beads=3)
    structures, labelled = tmp_path / "structures.xyz", tmp_path / "labelled.xyz"
    given = (tmp_path / "run", "--model", f"harmonic:k={MODEL}", "--samples", 20)
    assert run(*given, "--structures", structures).output.startswith("60 structures")
    frames = ase.io.read(structures, ":")
    for frame in frames:
        frame.calc = SinglePointCalculator(frame, energy=0.5 * REFERENCE * np.square(frame.positions).sum())
        frame.wrap()  # as programs may
        frame.calc.atoms = frame.copy()
    ase.io.write(labelled, frames)
    elsewhere, here = run(*given, "--reference", labelled), run(*given, "--reference", f"harmonic:k={REFERENCE}")
    assert elsewhere.exit_code == 0, elsewhere.stderr
    for name in ("perturbation", "second cumulant"):
        assert energies_in(elsewhere.output, name) == pytest.approx(energies_in(here.output, name), abs=2e-5)
    other_samples = run(tmp_path / "run", "--samples", 25, "--reference", labelled)
    assert re.search(r"frame \d+ of .* is not step 50 of .*: atom \d is .* Å away", other_samples.stderr)
    fewer = run(tmp_path / "run", "--samples", 20, "--skip", 0.0, "--reference", labelled)
    assert fewer.exit_code == 2 and "frame 0 of" in fewer.stderr
    ase.io.write(labelled, frames[:-1])
    assert "has 59 frames, and none for step 390" in run(*given, "--reference", labelled).stderr
    ase.io.write(labelled, [*frames, frames[0]])
    assert "more than the 60 frames" in run(*given, "--reference", labelled).stderr
    labelled.write_text("four\n")
    unreadable = run(*given, "--reference", labelled)
    assert unreadable.exit_code == 2 and "a number of atoms is needed" in unreadable.stderr
    frames[0].calc = None
    ase.io.write(labelled, frames)
    assert "frame 0 of" in (result := run(*given, "--reference", labelled)).stderr and "energy None" in result.stderr


def users_own(folder):
    """A potential of the user's own in a folder, which writes down how often it is evaluated."""
    (folder / "users_own.py").write_text(USERS_OWN.replace("OFFSET", str(OFFSET)))
    sys.modules.pop("users_own", None)


def in_a_process(folder, *arguments):
    """Run the command in a process of its own, which may be killed."""
    code = (
        "from beadwise.driver.commands.group import OneLineErrors\n"
        "from beadwise.model import kept_answers\n"
        "from beadwise.driver.commands.promote import promote\n"
        "kept_answers.START = 0.0\n"  # processes at once
        "if __name__ == '__main__':\n    OneLineErrors(commands={'promote': promote})()"
    )
    script = folder / "command.py"
    script.write_text(code)
    command = [sys.executable, str(script), "promote", "run", "--reference", "users_own:Trap", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_killed_command_goes_on(tmp_path, workers, monkeypatch):
    harmonic_run(tmp_path / "run", samples=50, beads=2)
    users_own(tmp_path)
    (tmp_path / "DEADLY").write_text("20")
    first = in_a_process(tmp_path, "--workers", str(workers))
    assert first.returncode == (-9 if workers == 1 else 2), first.stderr
    if workers > 1:
        assert re.search(r"ended from outside, .* energies are kept in .* goes on", first.stderr)
    (table,) = (tmp_path / "run").glob("energies_users_own*.csv")
    kept = table.read_text().count("\n") - 2
    assert 20 - 2 * workers <= kept <= 20
    with open(table, "a") as file:
        file.write("0123456789abcdef")  # half a row
    (tmp_path / "DEADLY").unlink()
    (tmp_path / "evaluations").write_text("")
    monkeypatch.chdir(tmp_path)
    given = ("run", "--reference", "users_own:Trap", "--workers", 1)
    second = run(*given)
    assert second.exit_code == 0, second.stderr
    assert len((tmp_path / "evaluations").read_text()) == 90 - kept  # 45 samples of two beads
    assert table.read_text().count("\n") == 90 + 2
    assert run(*given).output == second.output
    assert len((tmp_path / "evaluations").read_text()) == 90 - kept


def test_energies_of_another_potential_are_not_mixed_up(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    users_own(tmp_path)
    bead = Batch(np.ones(1), np.ones((1, 1, 3)), np.eye(3)[None] * BOX, np.ones(3, bool))
    first = KeptEnergies("users_own:Trap", tmp_path)
    (energy,) = next(first.energies([("a structure", bead)], 1))
    assert (energy, len(Path("evaluations").read_text())) == (36 + OFFSET, 1)
    again = KeptEnergies("users_own:Trap", tmp_path)
    assert next(again.energies([("a structure", bead)], 1)) == energy
    assert len(Path("evaluations").read_text()) == 1
    Path("users_own.py").write_text(Path("users_own.py").read_text().replace("24.0", "25.0"))
    changed = KeptEnergies("users_own:Trap", tmp_path)
    assert changed.file != first.file
    assert KeptEnergies("harmonic:k=1", tmp_path).file != KeptEnergies("harmonic:k=2", tmp_path).file
    moved = Batch(bead.numbers, bead.positions + 1e-9, bead.cells, bead.periodic)
    assert next(again.energies([("a structure", moved)], 1)) != energy
    again.evaluator.evaluate = lambda batch, want: type("Answer", (), {"energy": np.array([np.nan])})
    with pytest.raises(BeadwiseError, match="cannot be evaluated for step 7: its energy is nan"):
        next(again.energies([("step 7", Batch(bead.numbers, bead.positions + 1, bead.cells, bead.periodic))], 1))


def test_runs_that_do_not_belong_together_are_refused(tmp_path):
    harmonic_run(tmp_path / "run", samples=30)
    harmonic_run(tmp_path / "beads", samples=30, beads=2)
    harmonic_run(tmp_path / "hot", samples=30, temperature=310)
    reference = ("--reference", f"harmonic:k={REFERENCE}")
    for other, message in (("beads", "1 beads and .* 2"), ("hot", "300 K and .* 310")):
        result = run(tmp_path / "run", tmp_path / other, *reference)
        assert result.exit_code == 2 and re.search(message, result.stderr), result.stderr
    twice = run(tmp_path / "run", tmp_path / "run" / "input.xml", *reference)
    assert twice.exit_code == 2 and "is given twice" in twice.stderr
    wrong = run(tmp_path / "run", "--model", "harmonic:k=21", *reference)
    assert re.search(r"wrote the potential .* at step \d+, and what it is said to sample gives", wrong.stderr)
    source = tmp_path / "run" / "input.xml"
    text = source.read_text()
    source.write_text(text.replace("</ensemble>", "<bias> <force forcefield='driver'/> </bias> </ensemble>"))
    biased = run(tmp_path / "run", *reference)
    assert biased.exit_code == 2 and "has a <bias>" in biased.stderr
    source.write_text(text.replace("positions{angstrom}", "x_centroid{angstrom}").replace("'1'", "'2'"))
    assert "does not write the positions of all its beads" in run(tmp_path / "run", *reference).stderr
    source.write_text(text.replace("mode='nvt'", "mode='nve'"))
    assert "keeps its energy" in run(tmp_path / "run", *reference).output
    assert "G_REF - G_ML" in run_of(source, text.replace("mode='nvt'", "mode='npt'"), *reference).output
    assert "Suzuki-Chin" in run_of(source, text.replace("mode='nvt'", "mode='sc'"), *reference).stderr
    assert "--reference is missing" in run(tmp_path / "run").stderr
    source.write_text(text.replace(", potential{electronvolt}", ""))
    assert "does not write potential" in run(tmp_path / "run", *reference).stderr


def test_a_killed_and_continued_run(tmp_path):
    """Half a frame, frames that were written twice, and beads that do not have the same frames."""
    positions = drawn_rings(6, 3, ATOMS, MODEL, np.random.default_rng(4))
    source = write_run(tmp_path / "run", positions[:4], MODEL)
    folder = tmp_path / "run"
    files = trajectory_files(folder, 3)
    for path, cut in zip(files, (1, 15, 150), strict=True):  # i-PI is killed while it writes step 30
        path.write_bytes(path.read_bytes()[:-cut])
    assert find_bead_trajectory(RunInput.read(source)).steps == [0, 10, 20]
    append_frames(folder, positions[4:], [20, 30])  # and continues from step 20
    files[2].write_bytes(files[2].read_bytes()[:-100])
    trajectory = find_bead_trajectory(RunInput.read(source))
    assert (trajectory.steps, trajectory.beads, trajectory.temperature) == ([0, 10, 20], 3, 300.0)
    read = list(read_bead_trajectory(find_bead_trajectory(RunInput.read(source))))
    assert [step for step, _, _ in read] == [0, 10, 20]
    for (_, found, cell), expected in zip(read, positions[[0, 1, 4]], strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-5)
        np.testing.assert_allclose(cell, np.eye(3) * BOX, atol=1e-5)
    with pytest.raises(InputError, match="no sample of step 30"):
        list(read_bead_trajectory(trajectory, [30]))
    with pytest.raises(InputError, match=r"cannot read '.*pos_2\.xyz'"):
        files[2].unlink()
        list(read_bead_trajectory(find_bead_trajectory(RunInput.read(source))))


def test_properties_of_a_killed_and_continued_run(tmp_path):
    source = harmonic_run(tmp_path / "run", samples=5)
    table = tmp_path / "run" / "run.out"
    steps, before = energies_of_run(RunInput.read(source).only_system(), "potential")
    np.testing.assert_array_equal(steps, STRIDE * np.arange(5))
    with open(table, "a") as file:
        file.write(" 5.0e+01 0.025 1.2")  # half a row, to which the next run appends
        file.write(" 3.0e+01 0.015 7.0\n 4.0e+01 0.020 8.0\n 5.0e+01 0.025 9.0\n 6.0e+01 0.03 1.")
    steps, after = energies_of_run(RunInput.read(source).only_system(), "potential")
    # the row that the half one spoils is known from before
    np.testing.assert_array_equal(steps, STRIDE * np.arange(6))
    np.testing.assert_allclose(after, [*before[:4], 8.0, 9.0])
    table.write_text(table.read_text().replace("electronvolt", "nonsense"))
    with pytest.raises(InputError, match="column in nonsense"):
        energies_of_run(RunInput.read(source).only_system(), "potential")
