"""Series in extended xyz and in arrays: whole, unfinished, damaged; and their recording."""

import re

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from beadwise.analysis.spectrum.recording import Given, check_alike, record
from beadwise.runs.output.series_files import FRAMES_AT_ONCE, Arrays, Frames, find_sources
from beadwise.runs.units import BOHR_PER_ANGSTROM
from beadwise.spectra import SeriesError, Window
from beadwise.spectra.recording import spectrum_of
from beadwise.spectra.units import SPEED_OF_LIGHT

GIVEN = Given(0.5, 300.0, 1000.0, "classical")
WINDOW = Window("hann", 200.0)


def write_frames(path, frames):
    written = []
    for number in range(frames):
        frame = Atoms("OH2", np.diag([1.0, 2.0, number]), cell=np.eye(3) * 10, pbc=True)
        frame.calc = SinglePointCalculator(frame, dipole=[number, 1.0, 2.0])
        written.append(frame)
    ase.io.write(path, written)


@pytest.mark.parametrize("removed", [0, 1, 10, 100, 200])
def test_last_frame_that_is_not_whole_is_left_out(tmp_path, removed):
    write_frames(tmp_path / "a.xyz", 6)
    text = (tmp_path / "a.xyz").read_text()
    (tmp_path / "a.xyz").write_text(text[: len(text) - removed])
    (samples,) = Frames(tmp_path / "a.xyz").samples()
    assert samples["dipole"][:, 0].tolist() == list(range(6 if removed == 0 else 5))


def test_frames_come_in_pieces(tmp_path):
    write_frames(tmp_path / "a.xyz", FRAMES_AT_ONCE + 3)
    assert [len(samples["dipole"]) for samples in Frames(tmp_path / "a.xyz").samples()] == [FRAMES_AT_ONCE, 3]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("3\nLattice", "three\nLattice", "frame 0 of '.*' begins with 'three'; a number of atoms is needed"),
        ("O        1.0", "O        x.0", "frame 0 of '.*', line 1: pos of atom 0 in line 3 is 'x.0"),
        ('dipole="0.0 1.0 2.0"', 'dipole="0.0 1.0"', "dipole in a frame of '.*' is .*; 3 numbers are needed"),
        ('dipole="0.0 1.0 2.0"', "", "holds neither dipole nor polarizability"),
    ],
)
def test_damaged_frames(tmp_path, old, new, message):
    write_frames(tmp_path / "a.xyz", 3)
    text = (tmp_path / "a.xyz").read_text()
    assert old in text
    (tmp_path / "a.xyz").write_text(text.replace(old, new, 1))
    with pytest.raises(SeriesError, match=message):
        list(Frames(tmp_path / "a.xyz").samples())


def test_each_file_of_a_component_is_a_trajectory(tmp_path):
    """Its name may end in a number, but that is none of a bead."""
    for name in ("run.moments_7", "run.others"):
        mark = " #EXTRAS_COMPONENT_RAW(dipole)# Step:  {:10d}  Bead:      0  \n"
        (tmp_path / name).write_text("".join(mark.format(step) + f"{step} 0 0\n {step + 2} 0 0\n" for step in range(9)))
    sources = find_sources([tmp_path / "run.moments_7", tmp_path / "run.others"])
    assert [source.path.name for source in sources] == ["run.moments_7", "run.others"]
    _, conditions = record("ir", sources[0], WINDOW, given=GIVEN)
    assert conditions.beads == 2
    (samples,) = sources[1].samples()
    np.testing.assert_allclose(samples["dipole"][:, 0] * BOHR_PER_ANGSTROM, np.arange(1.0, 10.0), rtol=1e-12)


def test_foreign_arrays_do_not_matter(tmp_path):
    dipole = np.random.default_rng(0).normal(size=(600, 3))
    np.savez(tmp_path / "a.npz", timestep=0.5, names=np.array(["a"]), objects=np.array([{}]), dipole=dipole)
    np.savez(tmp_path / "b.npz", dipole=dipole)
    tables = []
    for name in ("a", "b"):
        recorder, conditions = record("ir", Arrays(tmp_path / f"{name}.npz"), WINDOW, given=GIVEN)
        tables.append(spectrum_of([recorder], conditions, WINDOW)["n_alpha"].values)
    np.testing.assert_array_equal(*tables)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"dipole": np.float64(3.0)}, "dipole in '.*' has the shape .. and the type float64"),
        ({"dipole": np.array(["a", "b"])}, "dipole in '.*' has the shape .2,. and the type <U1"),
        ({"dipole": np.array([{}])}, "cannot read '.*' as arrays of numpy.savez"),
        ({"energy": np.zeros(9)}, "holds the arrays energy; allowed are dipole, polarizability"),
        ({}, r"holds the arrays \(none\); allowed"),
        ({"polarizability": np.zeros((9, 3, 3))}, "holds no dipole; it holds polarizability"),
        ({"dipole": np.zeros((9, 2))}, "expected .samples, 3."),
        ({"born_charges": np.zeros((9, 4, 3, 3))}, "holds no velocities; it holds born_charges"),
        ({"born_charges": np.zeros((9, 4, 3, 3)), "velocities": np.zeros((8, 4, 3))}, "9 of born_charges, 8 of vel"),
        ({"born_charges": np.zeros((9, 4, 3, 3)), "velocities": np.zeros((9, 3, 3))}, "have the shapes"),
    ],
)
def test_unusable_arrays(tmp_path, arrays, message):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(SeriesError, match=message):
        record("ir", Arrays(tmp_path / "a.npz"), WINDOW, given=GIVEN)


@pytest.mark.parametrize(
    ("polarizability", "why"),
    [
        (np.ones((600, 6)), r"it has the shape \(600, 6\); expected \(600, 3, 3\)"),
        (np.ones((600, 9)), "expected"),
        (np.ones(600), "expected"),
        (np.ones((600, 4, 3, 3)), "expected"),
        (np.ones((599, 3, 3)), "expected"),
        (np.where(np.arange(600)[:, None, None] == 500, np.nan, np.ones((600, 3, 3))), "sample 500 .* is not finite"),
        (np.where(np.arange(600)[:, None, None] < 300, 0.0, 50.0) * np.ones((600, 3, 3)), "polarizability"),
    ],
)
def test_a_polarizability_of_no_use_is_left_out_with_a_word(tmp_path, polarizability, why):
    """The spectrum is that of the dipole all the same, and no permittivity follows."""
    dipole = np.random.default_rng(0).normal(size=(600, 3))
    polarizability = polarizability + 1e-3 * np.random.default_rng(1).normal(size=polarizability.shape)
    np.savez(tmp_path / "a.npz", dipole=dipole, polarizability=polarizability)
    np.savez(tmp_path / "b.npz", dipole=dipole)
    spectra, remarks = [], []
    for name in "ab":
        recorder, conditions = record("ir", Arrays(tmp_path / f"{name}.npz"), WINDOW, given=GIVEN, remarks=remarks)
        spectra.append(spectrum_of([recorder], conditions, WINDOW))
    np.testing.assert_array_equal(spectra[0]["n_alpha"].values, spectra[1]["n_alpha"].values)
    assert list(spectra[0].columns) == ["n_alpha"]
    assert len(remarks) == 1 and re.search(f"the polarizability is left out: .*{why}", remarks[0])
    remarks.clear()
    record("ir", Arrays(tmp_path / "a.npz"), WINDOW, given=GIVEN, remarks=remarks, with_optional=False)
    assert not remarks


@pytest.mark.parametrize("kept", [0, 4, 300, -30])
def test_truncated_archives(tmp_path, kept):
    np.savez_compressed(tmp_path / "a.npz", dipole=np.random.default_rng(0).normal(size=(600, 3)))
    whole = (tmp_path / "a.npz").read_bytes()
    (tmp_path / "a.npz").write_bytes(whole[:kept])
    with pytest.raises(SeriesError, match=r"cannot read '.*' as arrays of numpy.savez"):
        list(Arrays(tmp_path / "a.npz").samples())


def test_damaged_archive_and_single_array(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", dipole=np.random.default_rng(0).normal(size=(600, 3)))
    damaged = bytearray((tmp_path / "a.npz").read_bytes())
    damaged[200:300] = bytes(100)
    (tmp_path / "a.npz").write_bytes(damaged)
    with pytest.raises(SeriesError, match="cannot read"):
        list(Arrays(tmp_path / "a.npz").samples())
    with open(tmp_path / "a.npz", "wb") as file:
        np.save(file, np.zeros((9, 3)))
    with pytest.raises(SeriesError, match=r"^'.*' is a single array; an archive of numpy.savez is needed"):
        list(Arrays(tmp_path / "a.npz").samples())


def motion(beads, samples=8000, atoms=3, timestep=0.5, seed=0):
    """Born charges, velocities in Å/fs and the dipole, of modes below 4000 cm⁻¹; `beads` is () or has their number."""
    generator = np.random.default_rng(seed)
    charges = generator.normal(size=(*beads, atoms, 3, 3))
    omega = 2 * np.pi * SPEED_OF_LIGHT * generator.uniform(400, 3800, (12, *beads, atoms, 3))
    phase = generator.uniform(0, 2 * np.pi, omega.shape)
    time = np.arange(samples).reshape(-1, *[1] * (len(beads) + 2)) * timestep
    positions = sum(np.sin(w * time + p) / w for w, p in zip(omega, phase, strict=True))
    velocities = sum(np.cos(w * time + p) for w, p in zip(omega, phase, strict=True))
    dipole = np.einsum("...iac,...ia->...c", charges, positions)
    dipole = dipole.mean(axis=1) if beads else dipole
    return np.broadcast_to(charges, (samples, *charges.shape)), velocities, dipole


@pytest.mark.parametrize("beads", [(), (2,)])
def test_born_charges_give_the_spectrum_of_the_dipole(tmp_path, beads):
    charges, velocities, dipole = motion(beads)
    np.savez(tmp_path / "charges.npz", born_charges=charges, velocities=velocities)
    np.savez(tmp_path / "dipole.npz", dipole=dipole)
    found = {}
    for name in ("charges", "dipole"):
        recorder, conditions = record("ir", Arrays(tmp_path / f"{name}.npz"), WINDOW, given=GIVEN)
        found[name] = spectrum_of([recorder], conditions, WINDOW)["n_alpha"].values
        if name == "charges":
            assert conditions.beads == (beads[0] if beads else 1)
    # the transfer function of the difference varies over the width of the window
    np.testing.assert_allclose(found["charges"], found["dipole"], atol=0.01 * found["dipole"].max())


def test_both_dipole_and_born_charges(tmp_path):
    """The dipole counts; trajectories that are recorded in different ways are no common spectrum."""
    charges, velocities, dipole = motion(())
    np.savez(tmp_path / "both.npz", born_charges=charges, velocities=velocities, dipole=dipole)
    np.savez(tmp_path / "charges.npz", born_charges=charges, velocities=velocities)
    recorders = [record("ir", Arrays(tmp_path / f"{name}.npz"), WINDOW, given=GIVEN)[0] for name in ("both", "charges")]
    assert recorders[0].needs == ("dipole",)
    with pytest.raises(SeriesError, match="some trajectories hold dipole and others born_charges and velocities"):
        check_alike(recorders)


def test_skip_is_counted_over_pieces(tmp_path):
    write_frames(tmp_path / "a.xyz", FRAMES_AT_ONCE + 100)
    recorder, _ = record("ir", Frames(tmp_path / "a.xyz"), Window("hann", 5.0), given=GIVEN, skip=0.26)
    assert recorder.samples == FRAMES_AT_ONCE + 100 - 520 - 2
    with pytest.raises(SeriesError, match="holds too few samples"):
        record("ir", Frames(tmp_path / "a.xyz"), Window("hann", 5.0), given=GIVEN, skip=1.0)
