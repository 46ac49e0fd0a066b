"""Integration over λ and MBAR: exact averages, drawn samples, files as i-PI writes them, inputs, a real run."""

import json
import re

import ase.io
import numpy as np
import pytest
from ase.units import kB
from beadwise.analysis.crystals.switch_plot import path_coordinate
from beadwise.driver.commands.crystals.harmonic import harmonic
from beadwise.driver.commands.crystals.lambda_integration import PATHS, lambda_integration
from beadwise.driver.commands.group import OneLineErrors
from beadwise.driver.commands.run import run as run_command
from beadwise.inputs.quartic_crystal import QUARTIC, STIFFNESS, structure
from beadwise.runs.input.named_model import named_model
from beadwise.runs.input.run_input import RunInput
from beadwise.runs.units import HARTREE_PER_ELECTRONVOLT
from beadwise.sampling import SamplingError, switching
from beadwise.sampling.switching import integrate_over_switch, multistate_over_switch, switch_nodes
from click.testing import CliRunner
from scipy.special import logsumexp

MODEL = "beadwise.inputs.quartic_crystal:crystal"
TEMPERATURE = 300.0
THERMAL = kB * TEMPERATURE
INPUT = """<simulation verbosity='low'>
  <output prefix='crystal'>
    <properties filename='out' stride='10'> [ step, potential{electronvolt} ] </properties>
  </output>
  <total_steps> 500 </total_steps>
  <prng> <seed> 7 </seed> </prng>
  <ffsocket mode='unix' name='crystal' pbc='false'> <address> crystal </address> </ffsocket>
  <system>
    <initialize nbeads='1'>
      <file mode='ase'> crystal.minimum.xyz </file>
      <velocities mode='thermal' units='kelvin'> 300 </velocities>
    </initialize>
    <forces> <force forcefield='crystal'/> </forces>
    <ensemble> <temperature units='kelvin'> 300 </temperature> </ensemble>
    <motion mode='dynamics'>
      <fixcom> False </fixcom>
      <dynamics mode='nvt' splitting='baoab'>
        <timestep units='femtosecond'> 1.5 </timestep>
        <thermostat mode='langevin'> <tau units='femtosecond'> 15 </tau> </thermostat>
      </dynamics>
    </motion>
  </system>
</simulation>
"""
GRID = np.linspace(-1.5, 1.5, 4001)
commands = {"harmonic": harmonic, "lambda-integration": lambda_integration, "run": run_command}
main = OneLineErrors(commands=commands)


def run(*arguments):
    return CliRunner().invoke(main, list(map(str, arguments)))


def density(x, harmonic_part, quartic, coupling, thermal):
    energy = harmonic_part * x**2 + coupling * quartic * x**4
    weights = np.exp(-(energy - energy.min()) / thermal)
    return weights / weights.sum()


def exact_mean(coupling):
    """⟨c x⁴⟩ of one coordinate of the quartic crystal in eV."""
    return float(density(GRID, STIFFNESS / 2, QUARTIC, coupling, THERMAL) @ (QUARTIC * GRID**4))


def exact_difference():
    """A − A_har of one coordinate in eV."""
    parts = [logsumexp(-(STIFFNESS / 2 * GRID**2 + own * GRID**4) / THERMAL) for own in (0, QUARTIC)]
    return THERMAL * (parts[0] - parts[1])


def drawn(coupling, coordinates, samples, random):
    """V − V_har in eV of independent samples of the crystal."""
    cumulative = np.cumsum(density(GRID, STIFFNESS / 2, QUARTIC, coupling, THERMAL))
    x = np.interp(random.random((samples, coordinates)), cumulative, GRID)
    return (QUARTIC * x**4).sum(axis=1)


def test_nodes_and_errors_of_the_rules_are_those_of_the_reference():
    couplings, _ = switch_nodes(4, "plain")
    means = [1000 * exact_mean(own) for own in couplings]
    assert couplings == pytest.approx([0.06943, 0.33001, 0.66999, 0.93057], abs=5e-6)
    assert means == pytest.approx([2.3256, 1.9137, 1.5895, 1.4189], abs=6e-5)
    assert 1000 * exact_difference() == pytest.approx(1.79358, abs=6e-6)
    x = np.linspace(-12, 12, 20001)

    def error(quartic, path, runs):
        couplings, weights = switch_nodes(runs, path)
        means = [density(x, 0.5, quartic, own, 1.0) @ (quartic * x**4) for own in couplings]
        exact = logsumexp(-(x**2) / 2) - logsumexp(-(x**2) / 2 - quartic * x**4)
        return weights @ means - exact

    for quartic, path, runs, expected in (
        (5, "plain", 4, -0.10), (5, "plain", 10, -0.014), (5, "smooth", 8, 2.1e-3), (50, "smooth", 6, -1.4e-2),
        (50, "plain", 6, -0.29), (5, "smooth", 10, 3e-4),
    ):  # fmt: skip
        assert error(quartic, path, runs) == pytest.approx(expected, rel=0.15)
    for runs in (3, 4, 8):
        couplings, weights = switch_nodes(runs)
        assert ((couplings > 0) & (couplings < 1)).all() and (np.diff(couplings) > 0).all()
        assert path_coordinate(couplings) == pytest.approx((np.polynomial.legendre.leggauss(runs)[0] + 1) / 2)
    # polynomials of y of degree 15 are exact with 8 nodes: of 1 and λ, whose integrands have 4 and 9
    couplings, weights = switch_nodes(8)
    assert [weights.sum(), weights @ couplings] == pytest.approx([1, 0.5], rel=1e-12)
    assert PATHS == switching.PATHS


def test_the_rule_is_told_by_the_nodes():
    for path in PATHS:
        couplings, weights = switch_nodes(6, path)
        rounded = np.array([float(f"{own:.8e}") for own in couplings])
        found = integrate_over_switch(rounded[::-1], np.arange(6.0), np.full(6, 0.1))
        assert found.difference == pytest.approx(weights @ np.arange(6.0)[::-1])
        assert found.standard_error == pytest.approx(0.1 * np.linalg.norm(weights))
        assert "Gauss-Legendre" in found.rule and ("y" in found.rule) == (path == "smooth")
    assert [step > 0 for *_, step in found.rises] == []
    trapezoidal = integrate_over_switch([0, 0.2, 1], [3.0, 2.0, 1.0], [0.1, 0.1, 0.1])
    assert trapezoidal.difference == pytest.approx(np.trapezoid([3, 2, 1], [0, 0.2, 1]))
    rising = integrate_over_switch([0, 0.2, 1], [1.0, 2.0, 1.0], [0.1, 0.1, 0.1])
    assert rising.rises == [(0.0, 0.2, pytest.approx(1 / np.hypot(0.1, 0.1)))]
    assert integrate_over_switch([0.1, 0.5], [1.0, 2.0], [0.1, 0.1]) is None
    for arguments in (
        ([], [], []), ([0.1, 0.1], [1, 1], [1, 1]), ([0.1, 1.2], [1, 1], [1, 1]), ([0.5], [np.nan], [1]),
        ([0.5], [1, 2], [1]),
    ):  # fmt: skip
        with pytest.raises(SamplingError):
            integrate_over_switch(*arguments)
    for runs in (1, 2):
        with pytest.raises(SamplingError, match="too few for the path smooth"):
            switch_nodes(runs)
        found = integrate_over_switch(switch_nodes(runs, "plain")[0], np.ones(runs), np.full(runs, 0.1))
        assert found.rule == "Gauss-Legendre over λ" and found.difference == pytest.approx(1)
    assert switch_nodes(3)[1].sum() == pytest.approx(1)
    with pytest.raises(SamplingError, match="one of smooth, plain"):
        switch_nodes(3, "other")


def test_mbar_of_drawn_samples_is_right_within_errors_that_are():
    """Many times over, of few coordinates, with λ that no rule has."""
    random = np.random.default_rng(3)
    couplings = (0.0, 0.3, 0.7)
    deviations = []
    for _ in range(25):
        found = multistate_over_switch(couplings, [drawn(own, 3, 150, random) for own in couplings], TEMPERATURE)
        deviations.append((found.difference - 3 * exact_difference()) / found.standard_error)
    assert found.standard_error < 0.1 * 3 * exact_difference() and 0.8 < found.overlap <= 1
    assert abs(np.mean(deviations)) < 4 / np.sqrt(25) and 0.6 < np.std(deviations) < 1.5
    alone = multistate_over_switch([0.0], [drawn(0.0, 1, 4000, random)], TEMPERATURE)
    assert alone.difference == pytest.approx(exact_difference(), abs=5 * alone.standard_error)
    for arguments in ((couplings, [np.zeros(20)] * 3, -1.0), (couplings, [np.zeros(9)] * 3, 300.0)):
        with pytest.raises(SamplingError):
            multistate_over_switch(*arguments)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A crystal of 8 atoms with its harmonic reference and an input."""
    monkeypatch.chdir(tmp_path)
    return prepared(tmp_path, 8)


def prepared(folder, atoms):
    ase.io.write("crystal.xyz", structure(atoms), format="extxyz")
    done = run("harmonic", "crystal.xyz", "--model", MODEL, "--held", "--displacement", 1e-3)
    assert done.exit_code == 0, done.output
    (folder / "crystal.xml").write_text(INPUT)
    return folder


def write_extras(source, coupling, differences):
    """What i-PI would write, the numbers of all beads in a row; differences of shape (samples, beads) in eV."""
    prefix = re.search("prefix=[\"'](.*?)[\"']", source.read_text())[1]
    rows = {
        "switch_difference": differences * HARTREE_PER_ELECTRONVOLT,
        "switch_lambda": np.full_like(differences[::10], coupling),
    }
    for (name, own), stride in zip(rows.items(), (10, 100), strict=True):
        head = f" #EXTRAS_COMPONENT_RAW({name})# Step: {{:11d}}  Bead:      0  \n{{}}\n"
        records = [head.format(stride * n, "".join(f"{one:16.8e}" for one in row)) for n, row in enumerate(own)]
        source.with_name(f"{prefix}.{name}").write_text("".join(records))


def test_files_with_exact_samples(folder):
    done = run("lambda-integration", "--prepare", "crystal.xml", "--harmonic", "crystal.harmonic.npz", "--beads", 2)
    assert done.exit_code == 0, done.output
    inputs = done.output.split()
    assert len(inputs) == 8 and inputs[0] == "crystal_l0.00008.xml" and inputs[-1] == "crystal_l0.99992.xml"
    random = np.random.default_rng(5)
    couplings, weights = switch_nodes(8)
    for name, coupling in zip(inputs, couplings, strict=True):
        found = drawn(coupling, 24, 500, random)
        noise = random.normal(scale=0.01, size=500)  # of beads, which cancels in their mean
        write_extras(folder / name, coupling, np.stack([found + noise, found - noise], axis=1))
    done = run("lambda-integration", *inputs, "--skip", 0, "--json", "result.json", "--output", "result")
    assert done.exit_code == 0, done.output
    numbers = json.loads((folder / "result.json").read_text())
    for method in ("integration", "multistate"):
        found = numbers[method]
        assert abs(found["difference"] - 24 * exact_difference()) < 4 * found["standard_error"]
    assert numbers["multistate"]["standard_error"] < numbers["integration"]["standard_error"]
    assert numbers["difference"] == pytest.approx(weights @ [one["mean"] for one in numbers["runs"]], rel=1e-6)
    assert numbers["beads"] == 2 and numbers["runs"][0]["model"].startswith("switch:lambda=7.596")
    assert "8 atoms, 8 x H, 2 beads, 300 K" in done.output and "MBAR, overlap" in done.output
    assert "warning" not in done.output
    assert (folder / "result.png").read_bytes().startswith(b"\x89PNG")
    table = np.loadtxt(folder / "result.csv", delimiter=",", skiprows=1)
    assert table[:, 1] @ weights == pytest.approx(numbers["difference"], rel=1e-6)

    write_extras(folder / inputs[1], couplings[1], np.full((500, 2), 5.0) + random.normal(scale=1e-3, size=(500, 2)))
    rising = run("lambda-integration", *inputs, "--output", "rising").output
    assert "it can only fall" in rising
    few = run("lambda-integration", *inputs[2:4], "--output", "few").output
    assert "no rule has the λ" in few and "MBAR, overlap" in few
    write_extras(folder / inputs[0], 0.2, np.ones((500, 2)))
    with open(folder / "crystal_l0.00008.switch_lambda", "a") as file:
        file.write((folder / "crystal_l0.99992.switch_lambda").read_text().replace("Step:     ", "Step: 9999"))
    assert "one is needed" in run("lambda-integration", *inputs).stderr
    assert "does not write switch_difference" in run("lambda-integration", "crystal.xml").stderr
    write_extras(folder / inputs[0], couplings[0], np.ones((16, 2)))
    assert "has 14 samples after equilibration; at least 16" in run("lambda-integration", *inputs).stderr
    text = (folder / inputs[3]).read_text()
    (folder / "other.xml").write_text(text.replace(",crystal.harmonic.npz,", ",other.harmonic.npz,"))
    message = run("lambda-integration", inputs[2], "other.xml").stderr
    assert "harmonic crystal and potential must be the same" in message and "'other.harmonic.npz," in message
    assert "both have λ" in run("lambda-integration", inputs[3], inputs[3]).stderr


def test_what_is_prepared_and_what_a_run_takes_of_it(folder):
    done = run("lambda-integration", "--prepare", "crystal.xml", "--harmonic", "crystal.harmonic.npz", "--nodes", 2,
               "--path", "plain", "--stride", 4)  # fmt: skip
    assert done.output.split() == ["crystal_l0.21132.xml", "crystal_l0.78868.xml"]
    source = RunInput.read(folder / "crystal_l0.21132.xml")
    assert named_model(source) == f"switch:lambda=0.211324865405,crystal.harmonic.npz,{MODEL}"
    assert named_model(RunInput.read(folder / "crystal.xml")) == ""
    outputs = source.only_system().extras_outputs
    assert [one.extras for one in outputs] == [("switch_difference",), ("switch_lambda",)]
    assert [(one.stride, one.rows) for one in outputs] == [(4, 1), (40, 1)]
    seeds = [RunInput.read(folder / name).root.findtext("prng/seed").strip() for name in done.output.split()]
    assert seeds == ["7", "8"]  # errors of runs with the same noise would not be independent
    assert source.sockets[0].address == "crystal_l0.21132" and source.prefix == "crystal_l0.21132"
    assert {"switch_difference", "switch_lambda"} <= set(source.want)
    refused = run("run", "crystal_l0.21132.xml")
    assert refused.exit_code == 2 and "may run code, and only the file names it" in refused.stderr
    # a file that --model would take apart, so that another model than the file would be loaded
    (folder / "f=evil:crystal").write_text("")
    (folder / "evil.py").write_text("open('ran', 'w').close()")
    text = re.sub("beadwise model: .*? -->", "beadwise model: f=evil:crystal -->", source.path.read_text())
    (folder / "evil.xml").write_text(text)
    refused = run("run", "evil.xml", "--check")
    assert refused.exit_code == 2 and "a name without '=' is needed" in refused.stderr
    assert not (folder / "ran").exists()

    parameters = "<parameters> {structure: s.xyz, want: dipole} </parameters>"
    custom = "<pes> custom </pes> <pes_path> shim.py </pes_path>"
    direct = f"<ffdirect name='crystal'> {custom} {parameters} </ffdirect>"
    (folder / "direct.xml").write_text(re.sub("<ffsocket.*?</ffsocket>", direct, INPUT))
    done = run("lambda-integration", "--prepare", "direct.xml", "--harmonic", "crystal.harmonic.npz", "--nodes", 1,
               "--path", "plain")  # fmt: skip
    parameters = RunInput.read(folder / done.output.strip()).root.findtext("ffdirect/parameters").strip()
    model = f"switch:lambda=0.5;crystal.harmonic.npz;{MODEL}"
    assert parameters == f"{{structure: s.xyz, model: {model}, want: dipole+switch_difference+switch_lambda}}"

    def message(old="", new="", **changes):
        (folder / "crystal.xml").write_text(INPUT.replace(old, new) if old else INPUT)
        options = {"--harmonic": "crystal.harmonic.npz", "--nodes": 3, **changes}
        words = [word for pair in options.items() for word in pair]
        result = run("lambda-integration", "--prepare", "crystal.xml", *words)
        assert result.exit_code == 2 and result.stderr.count("\n") == 1, result.output
        return result.stderr

    assert "holds the centre of mass" in message("<fixcom> False </fixcom>", "")
    assert "a harmonic crystal belongs to one cell" in message("mode='nvt'", "mode='npt'")
    held = "<fixcom> False </fixcom> <fixatoms> [ 0 ] </fixatoms>"
    assert "holds atoms by <fixatoms>" in message("<fixcom> False </fixcom>", held)
    assert "one <force> that asks an <ffsocket>, or" in message("<forces>", "<forces> <force forcefield='crystal'/>")
    assert "no file 'other.npz'" in message(**{"--harmonic": "other.npz"})
    heavy = "<masses mode='manual' units='dalton'> [ 2.0141, 1, 1, 1, 1, 1, 1, 1 ] </masses> <velocities"
    assert "times the mass" in message("<velocities", heavy, **{"--beads": 4})
    (folder / "crystal.xml").write_text(INPUT.replace("<velocities", heavy))  # classical positions know no masses
    done = run("lambda-integration", "--prepare", "crystal.xml", "--harmonic", "crystal.harmonic.npz", "--nodes", 5)
    assert done.exit_code == 0, done.output
    ase.io.write("crystal.minimum.xyz", structure(27), format="extxyz")
    assert "27 atoms; the harmonic crystal has 8" in message()
    moved = structure(8)
    moved.set_cell([12.1] * 3)
    ase.io.write("crystal.minimum.xyz", moved, format="extxyz")
    assert "a run at constant volume in that cell" in message()
    assert "go together" in run("lambda-integration", "--prepare", "crystal.xml").stderr
    assert "either RUNS or --prepare" in run("lambda-integration").stderr


def test_a_real_run_of_ipi(tmp_path, monkeypatch):
    """One λ of 64 atoms, classical, from a prepared input; the long one is benchmarks/quartic_crystal.py."""
    monkeypatch.chdir(tmp_path)
    prepared(tmp_path, 64)
    run(
        "lambda-integration",
        "--prepare",
        "crystal.xml",
        "--harmonic",
        "crystal.harmonic.npz",
        "--nodes",
        1,
        "--path",
        "plain",
        "--stride",
        4,
    )
    done = run("run", "crystal_l0.50000.xml", "--no-report", "--trust", MODEL)
    assert done.exit_code == 0, done.output
    result = run("lambda-integration", "crystal_l0.50000.xml", "--json", "result.json", "--skip", 0.05)
    assert result.exit_code == 0, result.output
    (one,) = json.loads((tmp_path / "result.json").read_text())["runs"]
    assert one["lambda"] == 0.5
    assert abs(one["mean"] - 192 * exact_mean(0.5)) < 4 * one["standard_error"] < 0.25 * one["mean"]
    restart, ordinary = (tmp_path / "RESTART").stat().st_size, 64 * 3 * 17 * 4
    assert restart < 2 * ordinary
