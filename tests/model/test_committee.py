"""Committees: mean and members' values, as extras, and in i-PI's ``<ffcommittee>``."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
from beadwise.driver.doors.extras import encode_extras
from beadwise.driver.doors.sockets import serve
from beadwise.driver.doors.transport import unix_socket
from beadwise.model import ORDINARY_PROPERTIES, PROPERTIES, Batch, Committee, PropertyError, load, save
from beadwise.model.committee import CommitteeError
from beadwise.model.errors import EvaluatorError
from beadwise.model.evaluators import from_any_folder, load_evaluator
from beadwise.properties.quantities import COMMITTEE_PROPERTIES
from beadwise.runs.input.force_components import extras_of_member
from beadwise.runs.input.run_input import RunInput
from beadwise.runs.units import BOHR_PER_ANGSTROM, to_atomic
from fake_ipi import PATIENCE, SPECIES, in_background
from members import FOUR, Member, baseline, four
from springs import Springs, without_polarizability
from test_real_servers import last_structures
from test_run import Folder, one_line
from toy import water

ENERGIES = ("energy", "forces", "virial")
SPREADS = tuple(f"{name}_uncertainty" for name in ("energy", "forces", "dipole", "polarizability"))
MEMBERS = ",".join(f"members:{name}" for name in FOUR)


def beads(count: int = 3) -> Batch:
    return Batch.from_ase([water(seed) for seed in range(count)])


def test_mean_and_members():
    members, batch = four(), beads()
    committee = Committee(members)
    everything = (*ORDINARY_PROPERTIES, *COMMITTEE_PROPERTIES)
    assert committee.properties == (*everything, *SPREADS)
    response = committee.evaluate(batch, everything)
    alone = [member.evaluate(batch, ORDINARY_PROPERTIES) for member in four()]
    for name in ORDINARY_PROPERTIES:
        np.testing.assert_allclose(response[name], np.mean([one[name] for one in alone], axis=0), rtol=1e-13)
    for place, one in enumerate(alone):
        np.testing.assert_array_equal(response.committee_energy[:, place], one.energy)
        np.testing.assert_array_equal(response.committee_forces[:, place], one.forces)
        np.testing.assert_array_equal(response.committee_virial[:, place], one.virial)
        np.testing.assert_array_equal(response.committee_dipole[:, place], one.dipole)
        np.testing.assert_array_equal(response.committee_polarizability[:, place], one.polarizability)
    assert response.committee_forces.shape == (3, 4, 6, 3)
    assert response.committee_polarizability.shape == (3, 4, 3, 3)


@pytest.mark.parametrize("want", [("energy",), ("committee_dipole",), ("committee_energy", "energy", *ENERGIES)])
def test_members_are_evaluated_once(want):
    members = four()
    response = Committee(members).evaluate(beads(), want)
    assert set(response.names) == set(want)
    wanted = tuple(dict.fromkeys(name.removeprefix("committee_") for name in want))
    assert [member.wants for member in members] == [[wanted]] * 4


def test_what_all_members_have():
    committee = Committee([Springs(), without_polarizability()])
    own = (*ENERGIES, "dipole")
    assert committee.properties == (*own, *(f"committee_{name}" for name in own), *SPREADS[:3])
    with pytest.raises(PropertyError, match="'committee_polarizability' is not available; this committee has"):
        committee.evaluate(beads(), ["committee_polarizability"])


def test_common_species():
    def knows(*numbers: int) -> Springs:
        springs = Springs()
        springs.species = numbers
        return springs

    assert Committee([knows(8, 1, 6), knows(1, 8, 7)]).species == (1, 8)
    assert Committee([knows(), knows(6)]).species == (6,)
    assert Committee([knows(), knows()]).species == ()
    with pytest.raises(CommitteeError, match=r"\(1,\), \(6, 8\).*none of them in common"):
        Committee([knows(1), knows(6, 8), knows()])


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_members(count):
    with pytest.raises(CommitteeError, match=f"a committee of {count}; at least 2"):
        Committee(four()[:count])


def test_a_member_may_be_a_committee():
    inner, batch = Committee(four()), beads()
    response = Committee([inner, baseline()]).evaluate(batch, ["committee_energy"])
    np.testing.assert_array_equal(response.committee_energy[:, 0], inner.evaluate(batch, ["energy"]).energy)


@pytest.fixture(scope="module")
def perturbed(tmp_path_factory):
    """Files of models with the weights of the shipped one, each block of them changed by a thousandth."""
    folder, random = tmp_path_factory.mktemp("models"), np.random.default_rng(3)
    for number in range(2):
        model = load("water")
        for name in ("energy", "dipole"):
            for weights in model.heads[name].weights:
                weights *= 1 + 1e-3 * random.normal()
        save(model, folder / f"{number}.safetensors")
    return folder


def test_fitted_models(perturbed, liquid, monkeypatch):
    monkeypatch.chdir(perturbed)
    committee = load_evaluator("committee:0.safetensors,1.safetensors, water", threads=2)
    assert [member.threads for member in committee.members] == [2, 2, 2]
    assert committee.metadata == {"repeating_unit": "OHH"}
    batch = Batch.from_ase([liquid])
    response = committee.evaluate(batch, ["energy", "forces", "committee_forces", "committee_dipole"])
    spread = np.std(response.committee_forces[0], axis=0, ddof=1)
    assert 0 < spread.max() < 1.0
    assert np.ptp(response.committee_dipole[0], axis=0).min() > 0
    field = (0.0, 0.0, 0.05)
    in_field = committee.in_field(field).evaluate(batch, ["energy", "dipole"])
    np.testing.assert_allclose(in_field.energy, response.energy - in_field.dipole @ field, rtol=1e-12)


def test_in_field_needs_it_of_every_member():
    with pytest.raises(CommitteeError, match="member 1 of the committee cannot be put into the electric field"):
        Committee([load("water"), Springs()]).in_field((0, 0, 0.1))


def test_names_on_the_command_line(perturbed, monkeypatch):
    monkeypatch.chdir(perturbed)
    absolute = f"committee:{perturbed / '0.safetensors'},members:first,harmonic:k=1"
    assert from_any_folder("committee:0.safetensors, members:first,harmonic:k=1") == absolute
    assert [type(member).__name__ for member in load_evaluator(absolute).members] == ["Model", "Member", "Harmonic"]
    assert from_any_folder("0.safetensors") == str(perturbed / "0.safetensors")
    assert from_any_folder("water") == "water"


def test_a_file_or_a_module_may_be_called_committee(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    save(load("water"), tmp_path / "committee:a,b")
    assert load_evaluator("committee:a,b").species == (1, 8)
    assert from_any_folder("committee:a,b") == str(tmp_path / "committee:a,b")
    (tmp_path / "committee.py").write_text("from springs import springs\n")
    assert isinstance(load_evaluator("committee:springs"), Springs)


@pytest.mark.parametrize("name", ["committee:water,", "committee:,water", "committee:water,committee:water"])
def test_names_that_are_refused(name):
    with pytest.raises(EvaluatorError, match=f"'{re.escape(name)}' has the member '.*'; allowed are"):
        load_evaluator(name)


def test_extras():
    batch = beads(2)
    response = Committee(four()).evaluate(batch, (*ORDINARY_PROPERTIES, *COMMITTEE_PROPERTIES))
    want = [name for name in PROPERTIES if name.startswith("committee_")]
    for bead, text in enumerate(encode_extras(response, want)):
        extras = json.loads(text)
        assert list(extras) == [
            "committee_pot",
            "committee_force",
            "committee_virial",
            "member_dipoles",
            "member_polarizabilities",
        ]
        shapes = [np.shape(values) for values in extras.values()]
        assert shapes == [(4,), (4, 18), (4, 3, 3), (12,), (36,)]
        for name, values in zip(want, extras.values(), strict=True):
            expected = to_atomic(name.removeprefix("committee_"), response[name][bead])
            np.testing.assert_array_equal(np.reshape(values, expected.shape), expected)


def test_extras_without_energies():
    response = Committee(four()).evaluate(beads(2), ["committee_dipole"])
    assert [list(json.loads(text)) for text in encode_extras(response, ["committee_dipole"])] == [
        ["member_dipoles"]
    ] * 2


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
