"""Committees that a real i-PI asks: one server for all members, one for each, and none."""

from __future__ import annotations

import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
from beadwise.driver.doors.sockets import serve
from beadwise.driver.doors.transport import unix_socket
from beadwise.model import Batch, Committee
from beadwise.runs.input.force_components import extras_of_member
from beadwise.runs.input.run_input import RunInput
from beadwise.runs.units import BOHR_PER_ANGSTROM, to_atomic
from fake_ipi import PATIENCE, SPECIES, in_background
from members import FOUR, Member, baseline, four
from springs import Springs
from test_committee import ENERGIES, beads
from test_real_servers import last_structures
from test_run import Folder, one_line

MEMBERS = ",".join(f"members:{name}" for name in FOUR)


READ = {"committee_pot", "committee_uncertainty", "committee_dipole", "committee_member_dipoles", "dipole"}


PARSED = {"committee_pot", "committee_force", "committee_virial"}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("", [set(), set(), {"dipole", "member_dipoles"}]),
        ("<parse_json> True </parse_json>", [PARSED, PARSED, PARSED | {"dipole", "member_dipoles"}]),
        ("<parse_json>false</parse_json>", [set(), set(), {"dipole", "member_dipoles"}]),
        (
            "<parse_json>true</parse_json><baseline_name> c </baseline_name>",
            [PARSED, PARSED | {"dipole", "member_dipoles"}, set()],
        ),
    ],
)
def test_what_force_fields_inside_a_committee_send(options, expected):
    inside = "<ffsocket name='a'/><ffsocket name='b'/><ffsocket name='c'/>"
    committee = ElementTree.fromstring(f"<ffcommittee name='all'>{inside}{options}</ffcommittee>")
    assert [extras_of_member(committee, one, READ) for one in committee.findall("ffsocket")] == expected


INPUT = """
<simulation verbosity='low' floatformat='%.17e'>
  <output prefix='out'>
    <properties filename='energy' stride='1'> [step, potential, conserved, kinetic_cv] </properties>
    <properties filename='forces' stride='1'> [ {forces} ] </properties>
    {outputs}
  </output>
  <total_steps>4</total_steps>
  <prng><seed>11</seed></prng>
  {force_fields}
  <system>
    <initialize nbeads='{beads}'>
      <file mode='ase'>water.extxyz</file><velocities mode='thermal' units='kelvin'>300</velocities>
    </initialize>
    <forces><force forcefield='all'/></forces>
    <motion mode='dynamics'>
      <dynamics mode='nvt'>
        <timestep units='femtosecond'>0.5</timestep>
        <thermostat mode='pile_l'><tau units='femtosecond'>50</tau></thermostat>
      </dynamics>
    </motion>
    <ensemble><temperature units='kelvin'>300</temperature></ensemble>
  </system>
</simulation>
"""


class CommitteeFolder(Folder):
    """A folder in which i-PI runs with force fields called ``all``."""

    def write(self, force_fields: str, *extras: str, beads: int = 4) -> None:
        outputs = [
            f"<trajectory filename='{names.replace(',', '-')}' extra_type='{names}'> extras </trajectory>"
            for names in extras
        ]
        forces = ", ".join(f"atom_f({atom};{bead})" for bead in range(beads) for atom in range(6))
        text = INPUT.format(force_fields=force_fields, outputs="".join(outputs), beads=beads, forces=forces)
        (self.path / "input.xml").write_text(text.strip())

    def socket_of(self, name: str, options: str = "") -> str:
        address = f"<address>{self.address}-{name}</address><latency>1e-3</latency>"
        return f"<ffsocket mode='unix' name='{name}'>{address}{options}</ffsocket>"

    def committee(self, options: str, *names: str, of_socket: str = "") -> str:
        sockets = "".join(self.socket_of(name, of_socket) for name in names)
        return f"<ffcommittee name='all'>{options}{sockets}</ffcommittee>"

    def assert_run(self, *arguments: str, model: str) -> None:
        status, _, errors = self.run("input.xml", *arguments, model=model)
        assert status == 0, errors

    def last(self, name: str, rows: int = 1) -> np.ndarray:
        """Last record of extras of each bead, shape (beads, rows, columns)."""
        files = sorted(self.path.glob(f"out.{name}_*"))
        return np.array([np.atleast_2d(np.loadtxt(file, ndmin=2))[-rows:] for file in files])

    def forces(self) -> np.ndarray:
        """Forces on each bead at the last step, shape (beads, 18), in hartree/bohr."""
        return np.loadtxt(self.path / "out.forces")[-1].reshape(-1, 18)

    def energies(self) -> np.ndarray:
        return np.loadtxt(self.path / "out.energy")

    def expected(self, evaluator=None) -> dict[str, np.ndarray]:
        """Everything at the last step, in atomic units."""
        cells, positions = last_structures(self.path)
        batch = Batch(SPECIES, positions / BOHR_PER_ANGSTROM, cells / BOHR_PER_ANGSTROM, np.ones(3, bool))
        evaluator = evaluator or Committee(four())
        response = evaluator.evaluate(batch, evaluator.properties)
        return {name: to_atomic(name, response[name]) for name in response.names}


@pytest.fixture
def folder(tmp_path):
    return make_folder(tmp_path)


def make_folder(path: Path) -> CommitteeFolder:
    path.mkdir(exist_ok=True)
    folder = CommitteeFolder(path)
    for socket in Path("/tmp").glob(f"ipi_{folder.address}-*"):
        socket.unlink()
    return folder


def assert_close(got: np.ndarray, expected: np.ndarray) -> None:
    np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-13)


OF_IPI = ("committee_pot", "committee_uncertainty", "committee_force", "committee_virial", "committee_dipole")


PARSE = "<parse_json> True </parse_json>"


def assert_committee(folder: CommitteeFolder, expected: dict[str, np.ndarray], beads: int = 4) -> None:
    """Check what i-PI writes of a committee of four."""
    assert_close(folder.last("committee_pot"), expected["committee_energy"][:, None])
    spread = np.std(expected["committee_energy"], axis=1, ddof=1)
    assert_close(folder.last("committee_uncertainty"), spread[:, None, None])
    assert_close(folder.last("committee_force", rows=4), expected["committee_forces"].reshape(beads, 4, 18))
    assert_close(folder.last("committee_virial", rows=4), expected["committee_virial"].reshape(beads, 4, 9))
    assert_close(folder.forces(), expected["forces"].reshape(beads, 18))
    assert folder.energies()[-1, 1] == pytest.approx(expected["energy"].mean(), rel=1e-9)


@pytest.mark.parametrize(
    ("count", "of_socket"), [(4, "<batch_size>3</batch_size>"), (1, ""), (8, "<batch_size>8</batch_size>")]
)
def test_one_server_for_all_members(folder, count, of_socket):
    extras = ("committee_member_dipoles", "committee_member_polarizabilities")
    folder.write(folder.committee(PARSE, "four", of_socket=of_socket), *OF_IPI, *extras, beads=count)
    folder.assert_run(model=f"committee:{MEMBERS}")
    expected = folder.expected()
    assert_committee(folder, expected, count)
    assert_close(folder.last("committee_dipole"), expected["dipole"][:, None])
    assert_close(folder.last("committee_member_dipoles"), expected["committee_dipole"].reshape(count, 1, 12))
    polarizabilities = expected["committee_polarizability"].reshape(count, 1, 36)
    assert_close(folder.last("committee_member_polarizabilities"), polarizabilities)


def test_one_server_for_each_member(tmp_path):
    together, apart = make_folder(tmp_path / "together"), make_folder(tmp_path / "apart")
    together.write(together.committee(PARSE, "four"), *OF_IPI)
    together.assert_run(model=f"committee:{MEMBERS}")
    apart.write(apart.committee("", *FOUR), *OF_IPI)
    models = [f"--model={name}=members:{name}" for name in FOUR]
    apart.assert_run(*models, model="springs:springs")
    assert len(together.energies()) == 5
    assert_close(apart.energies(), together.energies())
    assert_close(last_structures(apart.path)[1], last_structures(together.path)[1])
    assert_committee(apart, together.expected())
    assert_close(apart.last("committee_dipole"), apart.expected(four()[3])["dipole"][:, None])  # of the last one


def test_without_an_ffcommittee(folder):
    socket = folder.socket_of("all", "<batch_size>4</batch_size>")
    folder.write(socket, "committee_pot,member_dipoles,dipole", "member_polarizabilities", "committee_force")
    folder.assert_run(model=f"committee:{MEMBERS}")
    expected = folder.expected()
    one_row = [expected["committee_energy"], expected["committee_dipole"].reshape(4, 12), expected["dipole"]]
    assert_close(folder.last("committee_pot-member_dipoles-dipole")[:, 0], np.hstack(one_row))
    assert_close(folder.last("member_polarizabilities")[:, 0], expected["committee_polarizability"].reshape(4, 36))
    assert_close(folder.last("committee_force", rows=4), expected["committee_forces"].reshape(4, 4, 18))
    assert_close(folder.forces(), expected["forces"].reshape(4, 18))


@pytest.mark.parametrize("names", [("four", "base"), ("base", "four")])
def test_weighted_baseline(folder, names):
    uncertainty = 0.004
    options = f"<baseline_name>base</baseline_name><baseline_uncertainty>{uncertainty}</baseline_uncertainty>{PARSE}"
    folder.write(folder.committee(options, *names), "committee_pot", "wb_mixing", "committee_member_dipoles")
    folder.assert_run("--model=base=members:baseline", model=f"committee:{MEMBERS}")
    members, base = folder.expected(), folder.expected(baseline())
    energies, forces = members["committee_energy"], members["committee_forces"].reshape(4, 4, 18)
    mean, variance = energies.mean(1), energies.var(1, ddof=1)
    mixing = uncertainty**2 / (uncertainty**2 + variance)
    assert 0.05 < mixing.min() < mixing.max() < 0.95
    assert_close(folder.last("wb_mixing")[:, 0, 0], mixing)
    assert folder.energies()[-1, 1] == pytest.approx((base["energy"] + mixing * mean).mean(), rel=1e-9)
    together = np.einsum("bm,bma->ba", energies - mean[:, None], forces - forces.mean(1, keepdims=True)) / 3
    slope = -2 * mean * mixing**2 / uncertainty**2
    expected = base["forces"].reshape(4, 18) + mixing[:, None] * forces.mean(1) + slope[:, None] * together
    assert_close(folder.forces(), expected)
    assert_close(folder.last("committee_member_dipoles")[:, 0], members["committee_dipole"].reshape(4, 12))


def test_a_committee_beside_a_single_member(folder):
    """I-PI may mix members from extras with others; they have to come in the same shapes."""
    folder.write(folder.committee(PARSE, "three", "fourth"), *OF_IPI[:4])
    want = (*ENERGIES, "committee_energy", "committee_forces", "committee_virial")
    evaluators = {"three": (Committee(four()[:3]), want), "fourth": (four()[3], ENERGIES)}
    ipi = subprocess.Popen(
        [str(Path(sys.executable).with_name("i-pi")), "input.xml"],
        cwd=folder.path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        servers = [
            in_background(serve, evaluator, unix_socket(f"{folder.address}-{name}"), SPECIES, wanted, 30.0)
            for name, (evaluator, wanted) in evaluators.items()
        ]
        output, _ = ipi.communicate(timeout=PATIENCE)
        assert ipi.returncode == 0, output.decode()
        for server in servers:
            assert server.result(PATIENCE) is None
    finally:
        ipi.kill()
        ipi.wait()
    assert_committee(folder, folder.expected())


def test_members_are_needed_where_ipi_looks_for_them(folder):
    folder.write(folder.committee(PARSE, "four"))
    status, _, errors = folder.run("input.xml", model="springs:springs")
    assert status == 2
    assert "this model does not provide committee_energy" in one_line(errors)


def test_wants_of_an_input(folder):
    folder.write(folder.committee(PARSE, "four"), "committee_pot", "committee_dipole")
    (socket,) = RunInput.read(folder.path / "input.xml").sockets
    assert set(socket.want) == {*ENERGIES, "dipole", "committee_energy", "committee_forces", "committee_virial"}
    folder.write(folder.committee("", *FOUR), "committee_pot", "committee_force")
    assert {socket.want for socket in RunInput.read(folder.path / "input.xml").sockets} == {ENERGIES}


def test_a_member_is_what_it_says():
    assert Member(2.0, 1.0, 1.0).evaluate(beads(), ["energy"]).energy == pytest.approx(
        2 * Springs().evaluate(beads(), ["energy"]).energy - 1.0
    )
