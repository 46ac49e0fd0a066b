"""``beadwise spectrum`` with files of other programs: read rightly, or refused in one line."""

import bz2
import gzip
import lzma
import re
import shutil

import numpy as np
import pytest
from ase import units
from series_of_others import GIVEN, SAMPLES, frames, invoke, smooth, table, tensors, values

DIPOLE, TENSORS = smooth(), tensors()
STEPS = np.arange(SAMPLES)
SIX = TENSORS[:, [0, 1, 2, 0, 1, 2], [0, 1, 2, 1, 2, 0]]


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch):
    """They take longer than the spectra."""
    monkeypatch.setattr("beadwise.spectra.plot.plot_spectra", lambda spectra, path, *others, **more: path.touch())


@pytest.fixture
def reference(tmp_path):
    """What arrays give."""
    np.savez(tmp_path / "reference.npz", dipole=DIPOLE, polarizability=TENSORS)
    found = {}

    def of(kind):
        if kind not in found:
            found[kind] = values(kind, tmp_path, tmp_path / "reference.npz", *GIVEN)
        return found[kind]

    return of


def lammps(path):
    head = "# Time-averaged data for fix 3\n# TimeStep c_dip[1] c_dip[2] c_dip[3] c_dip[4]"
    table(path, 2 * STEPS, DIPOLE, np.linalg.norm(DIPOLE, axis=1), header=head)


def cp2k_block(path):
    with open(path, "w") as file:
        for x, y, z in DIPOLE / units.Debye:
            file.write("  Dipole vectors are based on the periodic (Berry phase) operator.\n  Dipole moment [Debye]\n")
            file.write(
                f"    X= {x:13.8f} Y= {y:13.8f} Z= {z:13.8f}     Total= {np.sqrt(x * x + y * y + z * z):13.8f}\n"
            )


def cp2k_table(path):
    head = "# Step Time[fs] X[debye] Y[debye] Z[debye]"
    table(path, STEPS, STEPS / 2, DIPOLE / units.Debye, header=head)


def gromacs(path):
    head = '# gmx dipoles\n@ xaxis label "Time (ps)"\n@ yaxis label "(Debye)"'
    dipole = DIPOLE / units.Debye
    table(path, STEPS / 2000, dipole, np.linalg.norm(dipole, axis=1), header=head)


def commas(path):
    np.savetxt(
        path, np.column_stack([STEPS, DIPOLE]), fmt="%.10e", delimiter=",", header="step,mux,muy,muz", comments=""
    )


def growing(path):
    table(path, DIPOLE)
    path.write_text(path.read_text() + "1.0 2.")


WRITERS = {
    "GPUMD's dipole.out": ("ir", lambda path: table(path, STEPS, DIPOLE)),
    "GPUMD's polarizability.out": ("raman", lambda path: table(path, STEPS, SIX)),
    "LAMMPS fix ave/time": ("ir", lammps),
    "LAMMPS fix print": ("ir", lambda path: table(path, STEPS, DIPOLE, header="# Fix print output for fix d")),
    "CP2K, a table in debye": ("ir", cp2k_table),
    "CP2K's moments": ("ir", cp2k_block),
    "GROMACS": ("ir", gromacs),
    "three columns": ("ir", lambda path: table(path, DIPOLE)),
    "nine columns": ("raman", lambda path: table(path, TENSORS.reshape(-1, 9))),
    "upper triangle": ("raman", lambda path: table(path, STEPS, TENSORS[(slice(None), *np.triu_indices(3))])),
    "names of a tensor": (
        "raman",
        lambda path: table(path, STEPS, SIX[:, ::-1], header="# step a_zx a_yz a_xy a_zz a_yy a_xx"),
    ),
    "commas": ("ir", commas),
    "a line that is being written": ("ir", growing),
    "numpy.save": ("ir", lambda path: np.save(open(path, "wb"), DIPOLE)),
    "numpy.save of tensors": ("raman", lambda path: np.save(open(path, "wb"), TENSORS)),
    "extended xyz": ("ir", lambda path: frames(path, DIPOLE)),
    "the dielectric constant of a table": ("dielectric", lambda path: table(path, STEPS, DIPOLE)),
}


@pytest.mark.parametrize("name", WRITERS)
def test_formats_give_what_arrays_give(tmp_path, reference, name):
    kind, write = WRITERS[name]
    write(tmp_path / "series")
    found = values(kind, tmp_path, tmp_path / "series", *GIVEN)
    np.testing.assert_allclose(found, reference(kind), rtol=1e-4, atol=1e-5 * reference(kind).max())


@pytest.mark.parametrize(("opener", "suffix"), [(gzip.open, ".gz"), (bz2.open, ".bz2"), (lzma.open, ".xz")])
def test_packed_files(tmp_path, reference, opener, suffix):
    frames(tmp_path / "plain.XYZ", DIPOLE)
    with open(tmp_path / "plain.XYZ", "rb") as plain, opener(tmp_path / f"packed.xyz{suffix}", "wb") as packed:
        shutil.copyfileobj(plain, packed)
    found = values("ir", tmp_path, tmp_path / f"packed.xyz{suffix}", *GIVEN)
    np.testing.assert_allclose(found, reference("ir"), rtol=1e-4, atol=1e-5 * reference("ir").max())
    content = (tmp_path / f"packed.xyz{suffix}").read_bytes()
    (tmp_path / f"half.xyz{suffix}").write_bytes(content[: len(content) // 2])
    status, output = invoke("ir", tmp_path / f"half.xyz{suffix}", *GIVEN)
    assert status == 2 and "cannot be unpacked" in output


def test_columns_that_are_named_or_numbered(tmp_path, reference):
    table(tmp_path / "a.dat", STEPS, np.ones(SAMPLES), DIPOLE[:, ::-1], header="# step temp fz fy fx")
    status, output = invoke("ir", tmp_path / "a.dat", *GIVEN)
    assert status == 2 and "do not tell a dipole or a polarizability; say which they are with --columns" in output
    for columns in ("5,4,3", "fx,fy,fz"):
        found = values("ir", tmp_path, tmp_path / "a.dat", *GIVEN, "--columns", columns)
        np.testing.assert_allclose(found, reference("ir"), rtol=1e-4, atol=1e-5 * reference("ir").max())
    for columns, message in (("5,4,9", "has no column '9'"), ("5,4", "columns are 5,4; allowed are three")):
        status, output = invoke("ir", tmp_path / "a.dat", *GIVEN, "--columns", columns)
        assert status == 2 and message in output


def test_names_of_others_in_frames(tmp_path, reference):
    frames(tmp_path / "a.xyz", DIPOLE)
    text = (tmp_path / "a.xyz").read_text()
    for name in ("REF_dipole", "mu", "MACE_dipole"):
        (tmp_path / "a.xyz").write_text(text.replace(" dipole=", f" other=1.0 {name}="))
        status, output = invoke("ir", tmp_path / "a.xyz", *GIVEN, "--output", tmp_path / "out")
        assert status == 0 and f"dipole from {name}" in output, output
    (tmp_path / "a.xyz").write_text(text.replace(" dipole=", ' mu="0 0 0" REF_dipole='))
    status, output = invoke("ir", tmp_path / "a.xyz", *GIVEN)
    assert status == 2 and "holds mu and REF_dipole; one of them must be called dipole" in output


def test_header_that_a_restart_wrote_again(tmp_path, reference):
    head = "\ufeffstep mux muy muz\n"
    rows = [f"{step} {x:.10e} {y:.10e} {z:.10e}\n" for step, (x, y, z) in enumerate(DIPOLE)]
    (tmp_path / "a.dat").write_text("".join([head, *rows[:700], head[1:], *rows[650:]]), encoding="utf-8")
    found = values("ir", tmp_path, tmp_path / "a.dat", *GIVEN)
    np.testing.assert_allclose(found, reference("ir"), rtol=1e-4, atol=1e-5 * reference("ir").max())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 2 3\n4 5\n", "line 2 of .* has 2 columns, those before 3"),
        ("1 2 3\n4 5 ***\n", "line 2 of .* is no row of numbers: '4 5 .*'"),
        ("a text\nof words\n", "holds no series; allowed are i-PI's extras, extended xyz"),
        ("", "is empty; allowed are"),
        ("# step vx vy vz\n0 1 2 3\n1 2 3 4\n", "has the columns step, vx, vy, vz, which do not tell a dipole"),
        ("0 1 2 3 4 5 6\n1 1 2 3 4 5 6\n", "has 7 columns, which do not tell"),
        ("1 2 3\n4 nan 6\n7 8 9\n1 2 4\n", "sample 1 of the series is not finite: dipole of"),
    ],
)
def test_tables_that_are_refused(tmp_path, text, message):
    (tmp_path / "a.dat").write_text(text)
    status, output = invoke("ir", tmp_path / "a.dat", *GIVEN)
    assert status == 2 and re.search(message, output), output


@pytest.mark.parametrize(
    ("kind", "unit", "factor"),
    [("ir", "debye", units.Debye), ("dielectric", "au", units.Bohr), ("raman", "bohr^3", units.Bohr**3)],
)
def test_unit_that_is_given(tmp_path, reference, kind, unit, factor):
    np.savez(tmp_path / "a.npz", dipole=DIPOLE / factor, polarizability=TENSORS / factor)
    found = values(kind, tmp_path, tmp_path / "a.npz", *GIVEN, "--unit", unit)
    if kind == "dielectric":  # its optical part has no unit
        assert found == pytest.approx(reference(kind), rel=1e-3)
    np.testing.assert_allclose(found, reference(kind), rtol=1e-4, atol=1e-5 * reference(kind).max())


def test_units_that_are_refused(tmp_path):
    np.savez(tmp_path / "a.npz", dipole=DIPOLE)
    status, output = invoke("ir", tmp_path / "a.npz", *GIVEN, "--unit", "bohr^3")
    assert status == 2 and "the unit 'bohr^3' measures Å³; needed is a unit of e·Å" in output
    cp2k_block(tmp_path / "moments")
    status, output = invoke("ir", tmp_path / "moments", *GIVEN, "--unit", "au")
    assert status == 2 and "says that its unit is debye" in output
    assert invoke("ir", tmp_path / "moments", *GIVEN, "--unit", "D", "--output", tmp_path / "out")[0] == 0
    status, output = invoke("dos", tmp_path / "a.npz", "--unit", "au")
    assert status == 2 and "--unit is for ir, raman, dielectric, not for dos" in output


@pytest.mark.parametrize("kind", ["ir", "raman", "dielectric"])
def test_a_sample_that_is_not_finite(tmp_path, kind):
    dipole, tensor = DIPOLE.copy(), TENSORS.copy()
    dipole[700, 1], tensor[700, 1, 1] = np.nan, np.inf
    np.savez(tmp_path / "a.npz", dipole=dipole, polarizability=tensor)
    status, output = invoke(kind, tmp_path / "a.npz", *GIVEN)
    assert status == 2 and "sample 700 of the series is not finite" in output


def test_samples_that_a_restart_wrote_again(tmp_path, reference):
    """The later ones count, as in i-PI's extras, whatever the file calls its steps."""
    order = np.concatenate([np.arange(900), np.arange(800, SAMPLES)])
    with_garbage = DIPOLE[order].copy()
    with_garbage[800:900] += 0.01
    for key in ("step={}", "Time={}", 'time_fs="{}"'):
        frames(tmp_path / "a.xyz", with_garbage, lambda number, key=key: key.format(order[number] * 0.5))
        status, output = invoke("ir", tmp_path / "a.xyz", *GIVEN, "--output", tmp_path / "out")
        assert status == 0 and "100 of 1300 samples are written again later" in output, output
        found = values("ir", tmp_path, tmp_path / "a.xyz", *GIVEN)
        np.testing.assert_allclose(found, reference("ir"), rtol=1e-4, atol=1e-5 * reference("ir").max())
    table(tmp_path / "a.dat", order, with_garbage)
    np.savez(tmp_path / "a.npz", step=order, dipole=with_garbage)
    for name in ("a.dat", "a.npz"):
        found = values("ir", tmp_path, tmp_path / name, *GIVEN)
        np.testing.assert_allclose(found, reference("ir"), rtol=1e-4, atol=1e-5 * reference("ir").max())
    np.savez(tmp_path / "b.npz", dipole=DIPOLE[order])  # nothing tells the steps
    status, output = invoke("ir", tmp_path / "b.npz", *GIVEN)
    assert status == 2 and "from 900 on are those from 800 on again" in output


@pytest.mark.parametrize("write", ["xyz", "dat", "npz"])
def test_a_gap_and_a_change_of_stride(tmp_path, write):
    path = tmp_path / f"a.{write}"
    for steps in (np.where(STEPS < 700, STEPS, STEPS + 5), np.concatenate([STEPS[:700], 700 + 2 * STEPS[:500]])):
        if write == "xyz":
            frames(path, DIPOLE, lambda number, steps=steps: f"step={steps[number]}")
        elif write == "dat":
            table(path, steps, DIPOLE)
        else:
            np.savez(path, step=steps, dipole=DIPOLE)
        status, output = invoke("ir", path, *GIVEN)
        assert status == 2 and re.search(r"goes from step \d+ to \d+, its other samples are 1 apart", output), output


def test_time_and_cell_of_the_frames(tmp_path, reference):
    path = tmp_path / "a.xyz"
    frames(path, DIPOLE, lambda number: f"time={number / 2}", cell=10)
    found = values("ir", tmp_path, path, "--temperature", 300, "--window", 60)
    np.testing.assert_allclose(found, reference("ir"), rtol=1e-4, atol=1e-5 * reference("ir").max())
    for arguments, message in (
        (["--timestep", 1.0], "samples of '.*' are 0.5 apart in time, and --timestep is 1 fs"),
        (["--volume", 1100], "the cell in '.*' has 1000 Å³, and --volume is 1100 Å³"),
    ):
        status, output = invoke("ir", path, "--temperature", 300, *arguments)
        assert status == 2 and re.search(message, output)
    frames(path, DIPOLE, lambda number: f"time={number / 2000}", cell=10)  # in ps
    status, output = invoke("ir", path, "--temperature", 300)
    assert status == 2 and "timestep of" in output and "(its samples are 0.0005 apart" in output
    assert invoke("ir", path, *GIVEN, "--output", tmp_path / "out")[0] == 0


def test_frames_of_two_runs_in_one_file(tmp_path):
    path = tmp_path / "a.xyz"
    for second, message in (
        ({"cell": 12}, "frame 600 of '.*' has a cell of 1728 Å³, the one before 1000 Å³"),
        ({"cell": 10, "atoms": "O 0 0 0\nH 0 0 1\n"}, "frame 600 of '.*' has 2 atoms, the one before 1"),
        ({"cell": 10, "atoms": "H 0 0 0\n"}, "a frame of '.*' is of H, others are not"),
    ):
        frames(path, DIPOLE[:600], cell=10)
        first = path.read_text()
        frames(path, DIPOLE[600:], **second)
        path.write_text(first + path.read_text())
        status, output = invoke("ir", path, "--timestep", 0.5, "--temperature", 300)
        assert status == 2 and re.search(message, output), output


def test_a_trajectory_counts_once(tmp_path):
    np.savez(tmp_path / "a.npz", dipole=DIPOLE)
    shutil.copy(tmp_path / "a.npz", tmp_path / "copy.npz")
    (tmp_path / "link.npz").symlink_to(tmp_path / "a.npz")
    np.savez(tmp_path / "part.npz", dipole=DIPOLE[900:])
    for name, message in (
        ("a.npz", "is given twice"),
        ("link.npz", "is the same file as"),
        ("copy.npz", "hold the same samples"),
        ("part.npz", "hold the same samples"),
    ):
        for kind in ("ir", "dielectric"):
            status, output = invoke(kind, tmp_path / "a.npz", tmp_path / name, *GIVEN)
            assert status == 2 and message in output, output
    np.savez(tmp_path / "b.npz", dipole=smooth(seed=1))
    assert invoke("ir", tmp_path / "a.npz", tmp_path / "b.npz", *GIVEN, "--output", tmp_path / "out")[0] == 0


@pytest.mark.parametrize("kind", ["ir", "dielectric"])
def test_branches_of_a_berry_phase(tmp_path, reference, kind):
    """A code prints the branch next to zero; the quantum is e times the edge of the cell."""
    folded = DIPOLE + 10 * (STEPS[:, None] > [500, 700, 2000]) - 20 * (STEPS[:, None] > [600, 2000, 900])
    np.savez(tmp_path / "a.npz", dipole=folded)
    output = ["--output", tmp_path / "out", "--optical-permittivity", 2]
    status, said = invoke(kind, tmp_path / "a.npz", *GIVEN, *output)
    assert status == 0 and "jumps 4 times by quanta of polarization, and its branch was followed" in said, said
    found = values(kind, tmp_path, tmp_path / "a.npz", *GIVEN)
    np.testing.assert_allclose(found, reference(kind), rtol=1e-4, atol=1e-5 * reference(kind).max())
    np.savez(tmp_path / "b.npz", dipole=DIPOLE + 7.3 * (STEPS > 500)[:, None])
    status, said = invoke(kind, tmp_path / "b.npz", *GIVEN)
    assert status == 2 and "jumps by 12." in said and "between the samples 500 and 501" in said, said


@pytest.mark.parametrize("kind", ["ir", "raman"])
@pytest.mark.parametrize("window", ["1e9", "1e300"])
def test_window_beyond_all_memory(tmp_path, kind, window):
    np.savez(tmp_path / "a.npz", dipole=DIPOLE, polarizability=TENSORS)
    status, output = invoke(kind, tmp_path / "a.npz", *GIVEN[:-1], window)
    assert status == 2 and ("the series end after" in output or "at most" in output), output
    options = ["--timestep", "1e-9", "--temperature", 300, "--volume", 1000, "--window", "1e-8", "--highest", "1e15"]
    status, output = invoke(kind, tmp_path / "a.npz", *options)
    assert status == 2 and "is too long; at most" in output, output


def test_columns_are_for_tables(tmp_path):
    np.savez(tmp_path / "a.npz", dipole=DIPOLE)
    status, output = invoke("ir", tmp_path / "a.npz", *GIVEN, "--columns", "1,2,3")
    assert status == 2 and "is no table; --columns 1,2,3 is for tables" in output


def test_units_in_a_header(tmp_path, reference):
    """That of the dipole counts, not those of others; two for the dipole are none."""
    columns = (STEPS, DIPOLE[:, 0], DIPOLE / units.Debye)
    table(tmp_path / "a.dat", *columns, header="# step energy[a.u.] x[D] y[D] z[D]")
    found = values("ir", tmp_path, tmp_path / "a.dat", *GIVEN)
    np.testing.assert_allclose(found, reference("ir"), rtol=1e-4, atol=1e-5 * reference("ir").max())
    table(tmp_path / "a.dat", *columns, header="# step energy x[D] y[e*A] z[D]")
    status, output = invoke("ir", tmp_path / "a.dat", *GIVEN)
    assert status == 2 and "tells the units D and e*A for a dipole; one is needed" in output


def test_not_enough_memory(tmp_path, monkeypatch):
    def fail(*arguments):
        raise MemoryError("Unable to allocate 7 EiB")

    np.savez(tmp_path / "a.npz", dipole=DIPOLE)
    monkeypatch.setattr("beadwise.analysis.spectrum.make.spectrum_of", fail)
    status, output = invoke("ir", tmp_path / "a.npz", *GIVEN)
    assert status == 1 and "there is not enough memory: Unable to allocate 7 EiB" in output
