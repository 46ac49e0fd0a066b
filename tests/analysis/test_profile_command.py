"""``beadwise profile`` on files as i-PI and PLUMED write them, with known samples in them."""

import math
import re

import numpy as np
import pytest
from ase import units
from beadwise.analysis.profile.live import has_profile
from beadwise.driver.commands.group import main
from beadwise.runs.input.elements import InputError
from beadwise.runs.input.run_input import RunInput
from beadwise.runs.source import find_run
from click.testing import CliRunner

TEMPERATURE = 300.0
THERMAL_ENERGY = units.kB * TEMPERATURE
KILOJOULE_PER_MOLE = units.kJ / units.mol
STIFFNESS, CENTRES = 40.0, (-1.2, -0.6, 0.0, 0.6, 1.2)  # of restraints, in kJ/mol and units of the variable
INPUT = """<simulation>
  <output prefix='run'>
    <trajectory filename='variables' stride='10' extra_type='{extras}'> extras_bias </trajectory>
  </output>
  <total_steps> 100000 </total_steps>
  <ffsocket mode='unix' name='driver'> <address> any </address> </ffsocket>
  {force_fields}
  <ffplumed name='beads'> <plumed_dat> beads.dat </plumed_dat> <plumed_extras> [ bead_s ] </plumed_extras> </ffplumed>
  {systems}
</simulation>
"""
SYSTEM = """<system prefix='{prefix}'>
    <initialize nbeads='{beads}'/>
    <forces> <force forcefield='driver'/> </forces>
    <ensemble>
      <temperature units='kelvin'> 300 </temperature>
      <bias> <force forcefield='plumed{prefix}' nbeads='{on}'/> <force forcefield='beads'/> </bias>
    </ensemble>
    <motion mode='dynamics'> <dynamics mode='nvt'> <timestep units='femtosecond'> 0.5 </timestep> </dynamics> </motion>
  </system>"""


def write_run(folder, plumed, columns, beads=1, extras=None, prefixes=("",), on=1):
    """A run whose variables are `columns`, for each prefix a dict of arrays (samples, beads)."""
    folder.mkdir()
    extras = extras or list(columns[0])
    (folder / "beads.dat").write_text("bead_s: POSITION ATOM=1\n")
    force_fields = ""
    for prefix, text in zip(prefixes, plumed, strict=True):
        (folder / f"plumed{prefix}.dat").write_text(text)
        force_fields += (
            f"<ffplumed name='plumed{prefix}'> <plumed_dat> plumed{prefix}.dat </plumed_dat> "
            f"<plumed_extras> [ {', '.join(extras)} ] </plumed_extras> </ffplumed>"
        )
    systems = "".join(SYSTEM.format(prefix=prefix, beads=beads, on=on) for prefix in prefixes)
    text = INPUT.format(extras=",".join(extras), force_fields=force_fields, systems=systems)
    (folder / "input.xml").write_text(text)
    digits = 1 + int(math.log10(beads))
    for prefix, own in zip(prefixes, columns, strict=True):
        name = f"{prefix}_run.variables" if prefix else "run.variables"
        for bead in range(beads):
            rows = np.stack([own[extra][:, bead if own[extra].shape[1] > 1 else 0] for extra in extras], axis=1)
            (folder / f"{name}_{bead:0{digits}d}").write_text(
                "".join(
                    f" #EXTRAS_BIAS({','.join(extras)})# Step:  {10 * step}  Bead:   {bead} \n"
                    + " ".join(f"{number:16.8e}" for number in row)
                    + "\n"
                    for step, row in enumerate(rows)
                )
            )
    return folder


def run_command(*arguments):
    return CliRunner().invoke(main, ["profile", *map(str, arguments)])


def table_of(path):
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    return lines[0].split(","), np.array([line.split(",") for line in lines[1:]], float)


def gaussian(random, samples, mean, variance):
    return random.normal(mean, np.sqrt(variance), (samples, 1))


def restrained(random, centre, samples=2000, beads=1):
    """Samples of kT s²/2 under a restraint, and of beads around them with the variance 0.3."""
    reduced = STIFFNESS * KILOJOULE_PER_MOLE / THERMAL_ENERGY
    centroid = gaussian(random, samples, reduced * centre / (1 + reduced), 1 / (1 + reduced))
    columns = {"s": centroid, "restraint.bias": STIFFNESS / 2 * np.square(centroid - centre)}
    if beads > 1:
        spread = random.normal(0, np.sqrt(0.3), (samples, beads))
        spread -= spread.mean(axis=1, keepdims=True)
        columns["bead_s"] = centroid + spread
    return columns


def check_gaussian(header, table, name, variance):
    s, free_energy = table[:, 0], table[:, header.index(f"{name} free energy (eV)")]
    error = table[:, header.index(f"{name} standard error (eV)")]
    exact = THERMAL_ENERGY * np.square(s) / (2 * variance)
    known = np.isfinite(error) & (exact < 4 * THERMAL_ENERGY)
    deviations = (free_energy - exact)[known]
    deviations -= np.average(deviations, weights=1 / error[known] ** 2)
    assert known.sum() > 10
    assert np.sqrt(np.mean(np.square(deviations / error[known]))) < 1.8


RESTRAINT = "RESTRAINT LABEL=restraint ARG=s AT={} KAPPA=" + str(STIFFNESS)


def test_umbrella_windows_of_classical_and_quantum_runs_side_by_side(tmp_path):
    random = np.random.default_rng(5)
    prefixes = [f"window{number}" for number in range(len(CENTRES))]
    plumed = [RESTRAINT.format(centre) for centre in CENTRES]
    for name, beads in (("classical", 1), ("quantum", 4)):
        columns = [restrained(random, centre, beads=beads) for centre in CENTRES]
        write_run(tmp_path / name, plumed, columns, beads, prefixes=prefixes)
    result = run_command(
        tmp_path / "classical", tmp_path / "quantum", "--centroid", "--bins", "30", "--range=-2,2", "--output",
        tmp_path / "both",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "weights: MBAR" in result.output
    assert f"written to {tmp_path / 'both.csv'} and {tmp_path / 'both.png'}" in result.output
    header, table = table_of(tmp_path / "both.csv")
    assert header[0] == "s"
    check_gaussian(header, table, "classical", 1.0)
    check_gaussian(header, table, "quantum (4 beads)", 1 + 0.3 * 3 / 4)
    check_gaussian(header, table, "centroid (4 beads)", 1.0)
    assert (tmp_path / "both.png").stat().st_size > 10_000


def test_one_restrained_run_is_reweighted(tmp_path):
    columns = restrained(np.random.default_rng(6), 0.1, samples=20_000)
    folder = write_run(tmp_path / "run", [RESTRAINT.format(0.1)], [columns])
    assert run_command(folder, "--range=-0.6,0.6", "--bins", "24").exit_code == 0
    header, table = table_of(folder / "profile.s.csv")
    check_gaussian(header, table, "classical", 1.0)


def test_columns_of_a_colvar_are_weights(tmp_path):
    columns = restrained(np.random.default_rng(7), 0.0, samples=20_000)
    rows = np.stack([np.arange(20_000), columns["s"][:, 0], columns["restraint.bias"][:, 0]], axis=1)
    with open(tmp_path / "COLVAR", "w") as file:
        file.write("#! FIELDS time s restraint.bias\n")
        np.savetxt(file, rows, fmt="%.6f")
    arguments = (tmp_path / "COLVAR", "--range=-0.6,0.6", "--bins", "24")
    assert "temperature of" in run_command(*arguments).output
    assert run_command(*arguments, "--temperature", "300").exit_code == 0
    check_gaussian(*table_of(tmp_path / "COLVAR.profile.s.csv"), str(tmp_path / "COLVAR"), 1.0)
    # the unit of energy counts: as of kcal/mol the bias would be 4.184 times too large
    assert run_command(*arguments, "--temperature", "300", "--energy-unit", "kcal/mol").exit_code == 0
    with pytest.raises(AssertionError):
        check_gaussian(*table_of(tmp_path / "COLVAR.profile.s.csv"), str(tmp_path / "COLVAR"), 1.0)


def test_without_the_beads_it_is_the_centroid_and_says_so(tmp_path):
    columns = restrained(np.random.default_rng(8), 0.0, beads=4)
    folder = write_run(tmp_path / "run", [RESTRAINT.format(0)], [columns], 4, ["s", "restraint.bias"])
    result = run_command(folder)
    assert "centroid (4 beads): lowest at" in result.output
    assert "no bead_s of all beads is written: this is the profile of the centroid" in result.output


def test_time_is_left_out(tmp_path):
    columns = restrained(np.random.default_rng(9), 0.0, samples=1000)
    folder = write_run(tmp_path / "run", [RESTRAINT.format(0)], [columns])
    assert "900 samples" in run_command(folder).output
    assert "600 samples" in run_command(folder, "--skip", "2").output  # a sample every 5 fs


def test_a_range_across_the_seam_of_a_torsion(tmp_path):
    random = np.random.default_rng(10)
    angles = (np.pi + random.normal(0, 0.3, (4000, 1)) + np.pi) % (2 * np.pi) - np.pi
    columns = {"s": angles, "restraint.bias": np.zeros((4000, 1))}
    plumed = "s: TORSION ATOMS=1,2,3,4\nRESTRAINT LABEL=restraint ARG=s AT=0 KAPPA=0"
    folder = write_run(tmp_path / "run", [plumed], [columns])
    assert "outside the range: 0 of" in run_command(folder, "--range", f"0,{2 * np.pi:.7f}").output
    table = table_of(folder / "profile.s.csv")[1]
    assert abs(table[np.nanargmin(table[:, 1]), 0] - np.pi) < 0.3
    assert "0 to 7 is longer than the variable's period, 6.28319" in run_command(folder, "--range", "0,7").output


def test_each_temperature_has_its_own_curve(tmp_path):
    columns = restrained(np.random.default_rng(11), 0.0)
    folders = [write_run(tmp_path / name, [RESTRAINT.format(0)], [columns]) for name in ("cold", "hot")]
    path = folders[1] / "input.xml"
    path.write_text(path.read_text().replace("> 300 <", "> 600 <"))
    output = run_command(*folders).output
    assert "classical, 300 K: lowest" in output and "classical, 600 K: lowest" in output


def test_a_variable_of_the_beads_is_taken_as_such(tmp_path):
    columns = restrained(np.random.default_rng(12), 0.0, beads=4)
    folder = write_run(tmp_path / "run", [RESTRAINT.format(0)], [columns], 4)
    own = run_command(folder, "--output", tmp_path / "own").output
    named = run_command(folder, "--variable", "bead_s", "--output", tmp_path / "named").output
    assert own.splitlines()[:-1] == named.splitlines()[:-1]


def test_what_does_not_go_together(tmp_path):
    columns = [restrained(np.random.default_rng(13), centre) for centre in CENTRES[:2]]
    first = write_run(tmp_path / "first", [RESTRAINT.format(CENTRES[0])], [columns[0]])
    angstrom = write_run(tmp_path / "A", ["UNITS LENGTH=A\n" + RESTRAINT.format(CENTRES[1])], [columns[1]])
    assert "is of s nm and" in run_command(first, angstrom).output
    walls = [{**own, "wall.bias": np.zeros_like(own["s"])} for own in columns]
    text = RESTRAINT + "\nUPPER_WALLS LABEL=wall ARG=s AT={} KAPPA=10"
    plumed = [text.format(centre, 3 + centre) for centre in CENTRES[:2]]
    folder = write_run(tmp_path / "walls", plumed, walls, prefixes=["a", "b"])
    assert "umbrella windows must have the same walls" in run_command(folder).output
    other = folder / "input.xml"
    other.write_text(other.read_text().replace("<bias>", "<bias> <force forcefield='driver'/>"))
    assert "has a <force> of 'driver', which is no <ffplumed>" in run_command(folder).output


def test_metadynamics_without_the_constant_is_told(tmp_path):
    columns = {"s": np.random.default_rng(14).normal(size=(400, 1)), "metad.bias": np.zeros((400, 1))}
    folder = write_run(tmp_path / "run", [METAD], [columns])
    assert "note: metad.bias holds c(t), which grows" in run_command(folder).output


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("#! FIELDS time s sigma_s height logweight\n 1 0 1 1 1\n", "holds kernels, of which no profile is made"),
        ("#! FIELDS time\n 1\n", "has the columns time; time and a variable are needed"),
        ("#! FIELDS time s\n 1 nan\n", "holds numbers that are not finite"),
        ("#! FIELDS time s\n", "holds no sample yet"),
        ("#! FIELDS time s\n 1 0.5\n 2 0.6\n", "holds 2 samples; --skip 9 leaves out all"),
        ("#! FIELDS time s sigma_s height biasf\n 1 0 1 1 6\n", "holds hills along s, and not along 't'"),
        ("", "' is empty; allowed are folders of runs, i-PI inputs and RESTARTs, and tables of PLUMED"),
        ("some text\n", "i-PI inputs and RESTARTs, and tables of PLUMED, COLVAR and HILLS"),
    ],
)
def test_tables_that_no_profile_is_made_of(tmp_path, text, message):
    (tmp_path / "table").write_text(text)
    options = ["--variable", "t"] if "biasf" in text else ["--skip", "9"]
    result = run_command(tmp_path / "table", "--temperature", "300", *options)
    assert result.exit_code == 2 and message in result.output and result.output.count("\n") == 1


def test_tables_of_different_variables(tmp_path):
    for name in ("s", "t"):
        (tmp_path / name).write_text(f"#! FIELDS time {name}\n" + "".join(f" {step} 0.5\n" for step in range(40)))
    result = run_command(tmp_path / "s", tmp_path / "t", "--temperature", "300")
    assert result.exit_code == 2 and "is of t; make a profile of each, or name one as --variable" in result.output


def test_reweighted_metadynamics_in_a_colvar(tmp_path):
    """A column rbias counts without one of bias."""
    columns = restrained(np.random.default_rng(15), 0.0, samples=20_000)
    rows = np.stack([np.arange(20_000), columns["s"][:, 0], columns["restraint.bias"][:, 0]], axis=1)
    with open(tmp_path / "COLVAR", "w") as file:
        file.write("#! FIELDS time s metad.rbias\n")
        np.savetxt(file, rows, fmt="%.6f")
    run_command(tmp_path / "COLVAR", "--range=-0.6,0.6", "--bins", "24", "--temperature", "300")
    check_gaussian(*table_of(tmp_path / "COLVAR.profile.s.csv"), str(tmp_path / "COLVAR"), 1.0)


METAD = "METAD LABEL=metad ARG=s SIGMA=0.1 HEIGHT=1 PACE=10"


@pytest.mark.parametrize(
    ("plumed", "extras", "message"),
    [
        (METAD, ["s"], r"does not write the bias of METAD: add metad\.rbias to <plumed_extras>, .* CALC_RCT"),
        (RESTRAINT.format(0), ["s"], r"does not write the bias of RESTRAINT: add restraint\.bias"),
        (
            METAD.replace("=s", "=t"),
            ["s", "metad.bias"],
            "acts on t, of which none is written; .* --variable: s, metad",
        ),
        ("MOVINGRESTRAINT LABEL=m ARG=s", ["s"], "has the bias MOVINGRESTRAINT, which no profile is made of"),
    ],
)
def test_what_is_missing_is_named(tmp_path, plumed, extras, message):
    columns = {name: np.zeros((40, 1)) for name in extras}
    folder = write_run(tmp_path / "run", [plumed], [columns])
    result = run_command(folder)
    assert result.exit_code == 2
    assert result.output.count("\n") == 1
    assert re.search(message, result.output)
    assert not has_profile(RunInput.read(folder / "input.xml"))


def test_refusals(tmp_path):
    columns = restrained(np.random.default_rng(9), 0.0, beads=4)
    folder = write_run(tmp_path / "run", [RESTRAINT.format(0)], [columns], 4)
    assert (
        "writes no 't' of the bias; it writes s, restraint.bias, bead_s"
        in run_command(folder, "--variable", "t").output
    )
    assert "has no bias 'metad'; it has restraint" in run_command(folder, "--bias", "metad").output
    for text in ("1;2", "0,inf"):
        assert f"'{text}' is no range; allowed is MIN,MAX, two finite" in run_command(folder, "--range", text).output
    assert "'nan' is not finite" in run_command(folder, "--skip", "nan").output
    assert "has 2000 samples; --skip 1000 leaves out all" in run_command(folder, "--skip", "1000").output
    assert "range of the variable is 2 to 1" in run_command(folder, "--range", "2,1").output
    assert "--energy-unit cal is unknown; allowed are kj/mol" in run_command(folder, "--energy-unit", "cal").output
    assert "does not exist" in run_command(tmp_path / "absent").output
    on_beads = write_run(tmp_path / "all", [RESTRAINT.format(0)], [columns], 4, on=0)
    assert "acts on every bead; a profile needs one on the centroid" in run_command(on_beads).output
    assert has_profile(RunInput.read(folder / "input.xml"))
    assert not has_profile(RunInput.read(on_beads / "input.xml"))


def test_restraint_that_was_edited_since(tmp_path):
    columns = [restrained(np.random.default_rng(9), centre) for centre in CENTRES]
    prefixes = list("abcde")
    folder = write_run(tmp_path / "run", [RESTRAINT.format(c + 0.1) for c in CENTRES], columns, prefixes=prefixes)
    assert "was the PLUMED input changed since?" in run_command(folder).output


def test_run_of_a_folder(tmp_path):
    with pytest.raises(InputError, match="has no RESTART and not one i-PI input but none"):
        find_run(tmp_path)
    (tmp_path / "first.xml").write_text("<simulation/>")
    (tmp_path / "other.xml").write_text("<other/>")
    assert find_run(tmp_path).path == tmp_path / "first.xml"
    (tmp_path / "second.xml").write_text("<simulation/>")
    with pytest.raises(InputError, match=r"not one i-PI input but first\.xml, second\.xml"):
        find_run(tmp_path)
    (tmp_path / "RESTART").write_text("<simulation/>")
    assert find_run(tmp_path).path == tmp_path / "RESTART"
