"""Free energies as sums: contributions, errors and differences; from constant volume to constant pressure."""

import json

import ase.io
import numpy as np
import pytest
from ase.units import Pascal, kB, kJ, mol
from beadwise.analysis.crystals.cycle_settings import CycleSettings
from beadwise.driver.commands.crystals.free_energy import free_energy
from beadwise.driver.commands.crystals.gibbs import gibbs
from beadwise.driver.commands.crystals.harmonic import harmonic
from beadwise.driver.commands.group import OneLineErrors
from beadwise.inputs.quartic_crystal import structure
from beadwise.model.crystals.reference import HarmonicReference
from beadwise.sampling import SamplingError, harmonic_free_energy, pressure_step
from click.testing import CliRunner
from scipy.special import logsumexp

MODEL = "beadwise.inputs.quartic_crystal:crystal"
TEMPERATURE = 300.0
THERMAL = kB * TEMPERATURE
main = OneLineErrors(commands={"harmonic": harmonic, "free-energy": free_energy, "gibbs": gibbs})
NPT = """<simulation>
  <output prefix='npt'> <properties filename='out' stride='10'> [ step, volume{angstrom3} ] </properties> </output>
  <ffsocket mode='unix' name='driver'> <address> any </address> </ffsocket>
  <system>
    <initialize nbeads='1'> <file mode='ase'> a.minimum.xyz </file> </initialize>
    <forces> <force forcefield='driver'/> </forces>
    <ensemble>
      <temperature units='kelvin'> 300 </temperature> <pressure units='megapascal'> 100 </pressure>
    </ensemble>
    <motion mode='dynamics'>
      <dynamics mode='npt'>
        <timestep units='femtosecond'> 1.0 </timestep>
        <barostat mode='isotropic'> <tau units='femtosecond'> 100 </tau> </barostat>
      </dynamics>
    </motion>
  </system>
</simulation>
"""


def run(*arguments):
    return CliRunner().invoke(main, list(map(str, arguments)))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Two crystals with results of all commands; the second has twice as many formula units."""
    monkeypatch.chdir(tmp_path)
    for name, atoms in (("a", 8), ("b", 27)):
        ase.io.write(f"{name}.xyz", structure(atoms), format="extxyz")
        assert run("harmonic", f"{name}.xyz", "--model", MODEL, "--held").exit_code == 0
        for kind, value, error in (("lambda", 0.1, 0.003), ("mass", 0.7, 0.004), ("gibbs", 0.05, 0.001)):
            write_result(f"{name}_{kind}.json", atoms, value * atoms, error * atoms, kind)
        own = {"difference": -0.02 * atoms, "standard_error": 0.002 * atoms, "temperature": TEMPERATURE}
        content = {
            "made_by": "beadwise promote", "atoms": atoms, "beads": 16, "free_energy": "A", "promotion": own,
            "acceptance_ratio": None, "warnings": ["few samples"],
        }  # fmt: skip
        (tmp_path / f"{name}_promote.json").write_text(json.dumps(content))
        write_crystal(tmp_path, name)
    return tmp_path


def write_result(name, atoms, value, error, kind, **more):
    own = {
        "lambda": {"made_by": "beadwise lambda-integration", "beads": 1},
        "mass": {"made_by": "beadwise mass-integration", "free_energy": "A"},
        "gibbs": {"made_by": "beadwise gibbs", "beads": 16, "pressure": 1.0, "volume": volume_of(atoms)},
    }[kind]
    numbers = {"difference": value, "standard_error": error, "atoms": atoms, "temperature": TEMPERATURE}
    with open(name, "w") as file:
        json.dump(numbers | own | more, file)


def volume_of(atoms):
    return structure(atoms).get_volume()


def write_crystal(folder, name, **changes):
    keys = {
        "harmonic": f"{name}.harmonic.npz", "temperature": TEMPERATURE, "anharmonic": f"{name}_lambda.json",
        "quantum": f"{name}_mass.json", "reference": f"{name}_promote.json", "pressure": f"{name}_gibbs.json",
        "residual_entropy": 0.405465,
    } | changes  # fmt: skip
    lines = [f"{key} = {json.dumps(value)}" for key, value in keys.items() if value is not None]
    (folder / f"{name}.toml").write_text("\n".join(lines))


def test_contributions_and_errors_add_up(folder):
    done = run("free-energy", "a.toml", "b.toml", "--json", "sum.json")
    assert done.exit_code == 0, done.output
    numbers = json.loads((folder / "sum.json").read_text())
    reference = HarmonicReference.load(folder / "a.harmonic.npz")
    expected = {
        "minimum": reference.energy,
        "harmonic": harmonic_free_energy(reference.quanta, TEMPERATURE, 1),
        "anharmonic": 0.8, "quantum nuclei": 5.6, "reference": -0.16, "constant pressure": 0.4,
        "disorder": -8 * THERMAL * 0.405465,
    }  # fmt: skip
    first = numbers["crystals"][0]
    assert {part["name"]: part["value"] for part in first["parts"]} == pytest.approx(expected)
    assert first["total"] == pytest.approx(sum(expected.values()))
    assert first["standard_error"] == pytest.approx(8 * np.sqrt(0.003**2 + 0.004**2 + 0.001**2 + 0.002**2))
    assert (first["free_energy"], first["nuclei"], first["formula_units"]) == ("G", "quantum", 8)
    (difference,) = numbers["differences"]
    assert difference["parts"]["anharmonic"] == pytest.approx([0, 1000 * np.hypot(0.003, 0.003)], abs=1e-9)
    value = 1000 * (numbers["crystals"][1]["total"] / 27 - first["total"] / 8)
    assert difference["total"] == pytest.approx([value, np.sqrt(2) * 1000 * first["standard_error"] / 8])
    assert "a: 8 x H, 300 K, quantum" in done.output and "more stable by" in done.output
    assert "warning: a_promote.json: few samples" in done.output
    row = next(line for line in done.output.splitlines() if "quantum nuclei" in line).split()
    assert row[2:] == ["700.0000", "4", f"{0.7 * mol / kJ:.5f}", "0.39"]
    assert (folder / "a.free_energy.png").read_bytes().startswith(b"\x89PNG")
    assert run("free-energy", "a.toml", "--output", "alone").exit_code == 0
    heavy = {"masses": (1.9985 * reference.masses).tolist()}
    for name, isotopes, status in (("lambda", heavy, 0), ("mass", heavy, 2)):  # of classical nuclei masses say nothing
        (folder / f"a_{name}.json").write_text(
            json.dumps(json.loads((folder / f"a_{name}.json").read_text()) | isotopes)
        )
        done = run("free-energy", "a.toml")
        assert done.exit_code == status and ("the same isotopes are needed" in done.output) == (status == 2)


def test_beads_over_lambda_take_the_place_of_masses(folder):
    write_result(
        "a_lambda.json", 8, 0.1, 0.01, "lambda", beads=16, runs=[{"model": f"switch:lambda=0.5,a.harmonic.npz,{MODEL}"}]
    )
    assert "they count twice" in run("free-energy", "a.toml").stderr
    write_crystal(folder, "a", quantum=None)
    done = run("free-energy", "a.toml", "--json", "sum.json")
    assert "a: 8 x H, 300 K, 16 beads" in done.output
    parts = {one["name"]: one["value"] for one in json.loads((folder / "sum.json").read_text())["crystals"][0]["parts"]}
    quanta = HarmonicReference.load(folder / "a.harmonic.npz").quanta
    assert parts["harmonic"] == pytest.approx(harmonic_free_energy(quanta, TEMPERATURE, 16))
    result = json.loads((folder / "a_lambda.json").read_text())
    masses = HarmonicReference.load(folder / "a.harmonic.npz").masses
    for factor, status in ((1.0, 0), (1.9985, 2)):  # runs over λ of deuterium, beside the harmonic crystal of hydrogen
        (folder / "a_lambda.json").write_text(json.dumps({**result, "masses": (factor * masses).tolist()}))
        done = run("free-energy", "a.toml")
        assert done.exit_code == status and ("the same isotopes are needed" in done.output) == (status == 2)
    (folder / "a_lambda.json").write_text(json.dumps(result))
    for kind in ("promote", "gibbs"):
        file = folder / f"a_{kind}.json"
        whole = file.read_text()
        file.write_text(json.dumps({**json.loads(whole), "masses": (1.9985 * masses).tolist()}))
        assert "the same isotopes are needed" in run("free-energy", "a.toml").output
        file.write_text(whole)
    for wrong, said in ((2.0, "has 1 masses"), ([["heavy"]], "cannot be used")):
        (folder / "a_lambda.json").write_text(json.dumps({**result, "masses": wrong}))
        done = run("free-energy", "a.toml")
        assert done.exit_code == 2 and said in done.output, done.output


def test_what_does_not_belong_together_is_one_line(folder):
    def message(name="a", *others, **changes):
        write_crystal(folder, name, **changes)
        result = run("free-energy", f"{name}.toml", *others)
        assert result.exit_code == 2 and result.stderr.count("\n") == 1, result.output
        return result.stderr

    assert "is of 8 atoms at 300 K; 8 atoms at 310 K are needed" in message(temperature=310.0)
    assert "27 atoms at 300 K; 8 atoms" in message(anharmonic="b_lambda.json")
    assert "there is no such file" in message(harmonic="c.harmonic.npz")
    assert "cannot be read" in message(quantum="absent.json")
    assert "unknown key 'quantm'" in message(quantm="a_mass.json")
    assert "above 0" in message(temperature=-1.0)
    (folder / "text.json").write_text("[1")
    assert "cannot be read" in message(pressure="text.json")
    for blend in ("a.harmonic.npz,qtip4pf", f"b.harmonic.npz,{MODEL}", f"a.harmonic.npz,x{MODEL}"):
        write_result("other.json", 8, 0.1, 0.01, "lambda", runs=[{"model": f"switch:lambda=0.5,{blend}"}])
        assert f"switched on 'switch:lambda=0.5,{blend}'" in message(anharmonic="other.json")
    write_crystal(folder, "b", quantum=None, reference=None, pressure=None)
    assert "they must be the same" in message("a", "b.toml")
    (folder / "bad.toml").write_text("harmonic = ")
    assert "cannot read 'bad.toml'" in run("free-energy", "bad.toml").stderr
    assert "needs ['harmonic', 'temperature']" in run("free-energy", str(empty(folder))).stderr
    assert CycleSettings.__dataclass_fields__["harmonic"]


def test_each_result_is_of_its_command_its_volume_and_its_nuclei(folder):
    def message(*others, **changes):
        write_crystal(folder, "a", **changes)
        result = run("free-energy", "a.toml", *others)
        assert result.exit_code == 2 and result.stderr.count("\n") == 1, result.output
        return result.stderr

    def other(kind, **changes):
        write_result("other.json", 8, 0.1, 0.01, kind, **changes)
        key = {"lambda": "anharmonic", "mass": "quantum", "gibbs": "pressure"}[kind]
        return message(**{key: "other.json"})

    assert "is a result of beadwise lambda-integration; one of beadwise mass-" in message(quantum="a_lambda.json")
    assert "is a result of beadwise mass-integration; one of" in message(anharmonic="a_mass.json")
    assert "one of beadwise promote --json is needed" in message(reference="a_gibbs.json")
    assert "of no command that it names" in other("gibbs", made_by=None)
    assert "cannot be used" in other("lambda", runs=3)
    assert "it has no 'beads'" in message(reference=without(folder / "a_promote.json", "beads"))
    assert "has no difference with its error: difference is nan" in other("mass", difference=np.nan)
    assert "has no difference with its error" in other("lambda", difference=None)
    assert "cannot be read" in other("lambda", temperature=np.nan) and "cannot be read" in other("mass", warnings=3)
    assert "from a volume of 5 Å³; the harmonic crystal has 1728 Å³" in other("gibbs", volume=5.0)
    assert "has runs of 1 beads; those of a path integral are needed" in other("gibbs", beads=1)
    assert "has runs of 16 beads; 1, classical, are needed" in message(quantum=None)
    assert "is a difference of G; one of A" in other("mass", free_energy="G")
    write_result("other.json", 27, 0.1, 0.01, "gibbs", pressure=900.0)
    write_crystal(folder, "b", pressure="other.json")
    assert "'a' has the pressure in MPa 1.0, 'b' 900.0; they must be the same" in message("b.toml")


def without(path, key):
    content = json.loads(path.read_text())
    del content[key]
    path.with_name("without.json").write_text(json.dumps(content))
    return "without.json"


def empty(folder):
    path = folder / "empty.toml"
    path.write_text("")
    return path


PRESSURE = 100e6 * Pascal  # eV/Å³
VOLUMES = np.linspace(1650.0, 1806.0, 4001)
HELMHOLTZ = 1.2e-4 * (VOLUMES - 1728) ** 2 + 4e-7 * (VOLUMES - 1728) ** 3  # eV


def drawn_volumes(samples, seed=1):
    weights = np.exp(-(HELMHOLTZ + PRESSURE * VOLUMES - (HELMHOLTZ + PRESSURE * VOLUMES).min()) / THERMAL)
    cumulative = np.cumsum(weights / weights.sum())
    return np.interp(np.random.default_rng(seed).random(samples), cumulative, VOLUMES)


def exact_gibbs():
    """−kT ln of the integral over volumes in Å³."""
    step = VOLUMES[1] - VOLUMES[0]
    return -THERMAL * (logsumexp(-(HELMHOLTZ + PRESSURE * VOLUMES) / THERMAL) + np.log(step))


def test_three_volumes_give_one_gibbs_free_energy():
    found = drawn_volumes(6000)
    for volume in (found.mean() - 12, found.mean(), found.mean() + 10):
        step = pressure_step(found, volume, PRESSURE, TEMPERATURE)
        helmholtz = np.interp(volume, VOLUMES, HELMHOLTZ)
        assert helmholtz + step.difference == pytest.approx(exact_gibbs(), abs=3 * step.standard_error + 2e-4)
        assert step.standard_error < 0.05 * THERMAL
    deviations = []
    for seed in range(30):
        step = pressure_step(drawn_volumes(800, seed), 1720.0, PRESSURE, TEMPERATURE)
        deviations.append(
            (np.interp(1720.0, VOLUMES, HELMHOLTZ) + step.difference - exact_gibbs()) / step.standard_error
        )
    assert abs(np.mean(deviations)) < 1 and 0.5 < np.std(deviations) < 1.6


@pytest.mark.parametrize(
    ("volumes", "volume"), [(np.ones(100), 1.0), (np.arange(1.0, 5.0), 2.0), (np.full(100, np.nan), 1.0)]
)
def test_volumes_that_tell_nothing_are_refused(volumes, volume):
    with pytest.raises(SamplingError):
        pressure_step(volumes, volume, 0.0, 300.0)


def test_gibbs_from_the_files_of_a_run(folder):
    (folder / "npt.xml").write_text(NPT)
    rows = "".join(f"{10 * n:12d} {volume:16.8e}\n" for n, volume in enumerate(drawn_volumes(2000)))
    header = "# column   1     --> step : The step.\n# column   2     --> volume{angstrom3} : The volume.\n"
    (folder / "npt.out").write_text(header + rows)
    done = run("gibbs", "npt.xml", "--harmonic", "a.harmonic.npz", "--json", "gibbs.json")
    assert done.exit_code == 0, done.output
    numbers = json.loads((folder / "gibbs.json").read_text())
    assert numbers["masses"] == pytest.approx([1.008] * 8, rel=1e-3)
    assert numbers["volume"] == pytest.approx(1728) and numbers["pressure"] == 100
    at_reference = np.interp(1728.0, VOLUMES, HELMHOLTZ)
    assert numbers["difference"] + at_reference == pytest.approx(exact_gibbs(), abs=4 * numbers["standard_error"])
    assert numbers["beads"] == 1
    write_crystal(folder, "a", pressure="gibbs.json", quantum=None, reference=None)
    assert run("free-energy", "a.toml").exit_code == 0

    def message(old, new, harmonic="a.harmonic.npz"):
        (folder / "npt.xml").write_text(NPT.replace(old, new))
        result = run("gibbs", "npt.xml", "--harmonic", harmonic)
        assert result.exit_code == 2 and result.stderr.count("\n") == 1, result.output
        return result.stderr

    assert "has the barostat 'none'" in message("mode='npt'", "mode='nvt'").replace(
        "'isotropic'; a run", "'none'; a run"
    )
    assert "has the barostat 'flexible'" in message("mode='isotropic'", "mode='flexible'")
    assert "does not write volume" in message("volume{angstrom3}", "temperature")
    heavy = f"</file> <masses mode='manual' units='dalton'> [{','.join(['2.014'] * 8)}] </masses>"
    (folder / "npt.xml").write_text(NPT.replace("</file>", heavy))  # of classical nuclei masses change nothing
    assert run("gibbs", "npt.xml", "--harmonic", "a.harmonic.npz").exit_code == 0
    quantum = NPT.replace("</file>", heavy).replace("nbeads='1'", "nbeads='16'")
    assert "the same isotopes are needed where there are beads" in message(NPT, quantum)
    assert "8 atoms; the harmonic crystal has 27" in message("", "", "b.harmonic.npz")
    assert "no file 'c.npz'" in message("", "", "c.npz")
    far = "".join(f"{10 * n:12d} {volume:16.8e}\n" for n, volume in enumerate(drawn_volumes(2000) + 60))
    (folder / "npt.out").write_text(header + far)
    assert "standard deviations from the mean" in message("", "")
