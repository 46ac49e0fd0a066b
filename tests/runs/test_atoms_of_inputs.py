"""Labels and masses of the atoms of an i-PI input: those that i-PI itself makes of it."""

import subprocess
import sys

import numpy as np
import pytest
from ase import Atoms
from ase.io import write
from beadwise.model import BeadwiseError
from beadwise.runs.input.elements import InputError, words
from beadwise.runs.input.run_input import RunInput, species_of_run

CELL = "# CELL(abcABC): 20 20 20 90 90 90 cell{angstrom}"
PDB = "ATOM  {:5d} {:>4s} {:>3s}     1    {:8.3f}{:8.3f}{:8.3f}{:6.2f}{:6.2f}\n"
HEAVY = np.array([15.999, 2.0141, 2.0141])
STARTS = {
    "xyz under another suffix": "<file mode='xyz'> start.dat </file>",
    "the last frame": "<file mode='xyz'> frames.xyz </file>",
    "a column of masses": "<file mode='ase'> heavy.extxyz </file>",
    "labels of a pdb": "<file mode='pdb'> start.ent </file>",
    "a checkpoint": "<file mode='chk'> old </file>",
    "labels with quotes": "<file mode='xyz'> start.dat </file> <labels mode='manual'> ['O18','D', 'T'] </labels>",
    "one mass": "<file mode='xyz'> start.dat </file> <masses mode='manual' index='1' units='dalton'> [7] </masses>",
    "one label": "<file mode='xyz'> start.dat </file> <labels mode='manual' index='2'> [ D ] </labels>",
    "masses of a file": "<file mode='xyz'> start.dat </file> <masses mode='ase'> heavy.extxyz </masses>",
    "labels of no element": "<file mode='xyz'> odd.xyz </file> <masses mode='manual'> [ 3, 4, 5 ] </masses>",
}
BY_IPI = """
import sys
from ipi.utils.io.inputs.io_xml import xml_parse_file
from ipi.inputs.simulation import InputSimulation
for name in sys.argv[1:]:
    parsed = InputSimulation()
    with open(name) as file:
        parsed.parse(xml_parse_file(file).fields[0][1])
    system = parsed.fetch().syslist[0]
    system.init.init_stage1(system)
    print("RESULT", ",".join(system.beads.names), *(repr(float(mass)) for mass in system.beads.m))
"""


def write_start(path, system):
    text = (
        "<simulation verbosity='quiet'><ffsocket name='f'><address> a </address></ffsocket><system>"
        f"<initialize nbeads='2'>{system}</initialize><forces><force forcefield='f'/></forces>"
        "<ensemble><temperature> 0.001 </temperature></ensemble><motion mode='dynamics'><dynamics mode='nve'>"
        "<timestep> 1 </timestep></dynamics></motion></system></simulation>"
    )
    path.write_text(text)
    return path


def write_xyz(path, *frames):
    rows = ("".join(f"{label} {place} 0 0\n" for place, label in enumerate(labels)) for labels in frames)
    path.write_text("".join(f"3\n{CELL}\n{one}" for one in rows))


@pytest.fixture
def folder(tmp_path):
    write_xyz(tmp_path / "start.dat", "OHD")
    write_xyz(tmp_path / "frames.xyz", "OHH", "OHT")
    write_xyz(tmp_path / "odd.xyz", ("O", "L", "Qx"))
    water = Atoms("OH2", np.eye(3), cell=[20, 20, 20], pbc=True)
    water.set_array("masses", HEAVY)
    write(tmp_path / "heavy.extxyz", water)
    rows = "".join(PDB.format(place, label, "1", place, 0, 0, 0, 0) for place, label in enumerate(("O18", "H2", "D")))
    (tmp_path / "start.ent").write_text(
        f"CRYST1{20:9.3f}{20:9.3f}{20:9.3f}{90:7.2f}{90:7.2f}{90:7.2f} P 1\n{rows}END\n"
    )
    beads = (
        "<beads natoms='3' nbeads='1'><q shape='(1, 9)'> [ 0,0,0,1,0,0,2,0,0 ] </q><p shape='(1, 9)'> "
        "[ 0,0,0,0,0,0,0,0,0 ] </p><m shape='(3)'> [ 100, 2, 3 ] </m><names shape='(3)'> [ O, H, Z ] </names></beads>"
    )
    write_start(tmp_path / "old", "")
    text = (tmp_path / "old").read_text().replace("<initialize nbeads='2'></initialize>", beads)
    (tmp_path / "old").write_text(text.replace("<forces>", "<cell> [ 9,0,0,0,9,0,0,0,9 ] </cell><forces>"))
    return tmp_path


def test_labels_and_masses_are_those_of_ipi(folder):
    names = [write_start(folder / f"{k}.xml", start).name for k, start in enumerate(STARTS.values())]
    (folder / "by_ipi.py").write_text(BY_IPI)
    done = subprocess.run(
        [sys.executable, "by_ipi.py", *names], cwd=folder, capture_output=True, text=True, timeout=120
    )
    rows = [line.split()[1:] for line in done.stdout.splitlines() if line.startswith("RESULT")]
    assert len(rows) == len(STARTS), done.stderr
    for name, case, (labels, *masses) in zip(names, STARTS, rows, strict=True):
        atoms = RunInput.read(folder / name).only_system().atoms
        assert ",".join(atoms.labels) == labels, case
        np.testing.assert_allclose(atoms.masses, np.array(masses, dtype=float), rtol=1e-12, err_msg=case)


def test_labels_of_no_element_are_for_what_takes_any_species(folder):
    source = write_start(folder / "in.xml", STARTS["labels of no element"])
    assert species_of_run(source, folder, any_label=True).tolist() == [8, 0, 0]
    with pytest.raises(InputError, match=r"atom 1 in .* is labelled 'L'; allowed are chemical symbols"):
        species_of_run(source, folder)


@pytest.mark.parametrize(
    ("start", "message"),
    [
        ("<file mode='xyz'> short.xyz </file>", "announces 3 atoms but holds fewer"),
        ("<file mode='xyz'> huge.xyz </file>", "announces 99999999999 atoms but holds fewer"),
        ("<file mode='xyz'> more.xyz </file>", "announces 3 atoms but holds more: after them stands 'H 0 0 9'"),
        ("<file mode='pdb'> start.dat </file>", "cannot be read with mode='pdb'"),
        ("<file mode='cif'> start.dat </file>", "mode='cif' for .*; allowed are xyz, pdb, ase, chk"),
        ("<file mode='ase'> start.dat </file>", "cannot be read with mode='ase'"),
        ("<file mode='xyz'> start.dat </file> <masses mode='manual'> [ a ] </masses>", "'. a .', no list of numbers"),
        ("<positions mode='xyz'> start.dat </positions>", "names no atoms"),
    ],
)
def test_starts_that_cannot_be_read(folder, start, message, capsys):
    (folder / "short.xyz").write_text(f"3\n{CELL}\nO 0 0 0\nH 0 0 1\n")
    (folder / "huge.xyz").write_text("99999999999\n\nO 0 0 0\n")
    (folder / "more.xyz").write_text(f"3\n{CELL}\nO 0 0 0\nH 0 0 1\nH 0 1 0\nH 0 0 9\n")
    with pytest.raises(BeadwiseError, match=message) as caught:
        _ = RunInput.read(write_start(folder / "in.xml", start)).only_system().atoms
    assert "\n" not in str(caught.value) and capsys.readouterr().out == ""


def test_species_of_each_socket(folder):
    """Systems with force fields of their own, an ``<activelist>``, and photons, which i-PI keeps to itself."""
    write_xyz(folder / "water.xyz", "OHH")
    write_xyz(folder / "cavity.xyz", "OHL")
    start = "<system><initialize nbeads='1'><file mode='xyz'> {} </file></initialize><forces>{}</forces></system>"
    force = "<force forcefield='{}'/>".format
    (folder / "in.xml").write_text(
        "<simulation><ffsocket name='w'/><ffsocket name='part'><activelist> [ 1, 2 ] </activelist></ffsocket>"
        "<ffcavphsocket name='c'><apply_photon> True </apply_photon><ph_rep> dense </ph_rep></ffcavphsocket>"
        "<ffcommittee name='all'><ffsocket name='member'/></ffcommittee>"
        f"{start.format('water.xyz', force('w') + force('part') + force('all'))}"
        f"{start.format('cavity.xyz', force('c') + force('all'))}</simulation>"
    )
    run = RunInput.read(folder / "in.xml")
    assert {name: run.labels_sent_to(name) for name in ("w", "part", "c")} == {
        "w": ("O", "H", "H"),
        "part": ("H", "H"),
        "c": ("O", "H"),
    }
    with pytest.raises(InputError, match="that ask 'member' have different atoms"):
        run.labels_sent_to("member")
    with pytest.raises(InputError, match=r"'none' is no <ffsocket> of .*; it has w, part, c, member"):
        run.labels_sent_to("none")
    text = (folder / "in.xml").read_text().replace("[ 1, 2 ]", "[ 1, 3 ]")
    (folder / "in.xml").write_text(text)
    with pytest.raises(InputError, match=r"<activelist> of 'part' in .* names atom 3; its system has 3 atoms"):
        RunInput.read(folder / "in.xml").labels_sent_to("part")


def test_beads_that_ask_a_locked_socket(folder):
    forces = "<force forcefield='f' nbeads='2'/><force forcefield='f'/><force forcefield='other'/>"
    (folder / "in.xml").write_text(
        "<simulation><ffsocket name='f' matching='lock'/><ffsocket name='other'/>"
        f"<system><initialize nbeads='4'/><forces>{forces}</forces></system>"
        f"<system><initialize nbeads='3'/><forces>{forces}</forces></system></simulation>"
    )
    run = RunInput.read(folder / "in.xml")
    assert [(socket.is_locked, run.beads_asking(socket)) for socket in run.sockets] == [(True, 11), (False, 7)]


def test_lists_as_ipi_reads_them():
    assert words(" ['O','H', ' H '] ") == ["O", "H", "H"]
    assert words("[ O,\tH\n,H ]") == ["O", "H", "H"]
    assert words("[]") == words(None) == []
