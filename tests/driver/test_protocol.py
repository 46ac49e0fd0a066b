"""Bytes against their meaning, without any socket."""

from __future__ import annotations

import io
import json
import struct

import numpy as np
import pytest
from ase import units as ase_units
from beadwise.driver.doors import protocol
from beadwise.driver.doors.extras import encode_extras
from beadwise.driver.doors.protocol import ProtocolError
from beadwise.driver.doors.responder import Responder, count_distinct
from beadwise.model import Response, StructureError
from beadwise.pyx.json_numbers import json_array
from beadwise.runs import units
from beadwise.runs.input.labels import read_species, species_from_parameters
from fake_ipi import SPECIES, structures
from ipi.utils.units import UnitMap
from toy import Toy


def reader(content: bytes):
    return io.BytesIO(content).read


@pytest.mark.parametrize("name", protocol.REQUESTS)
def test_headers_are_twelve_bytes(name):
    header = protocol.encode_header(name)
    assert len(header) == 12
    assert protocol.read_header(reader(header)) == name


@pytest.mark.parametrize("header", [b"status      ", b"\xff" * 12, b"FORCEREADY  "])
def test_unknown_header(header):
    with pytest.raises(ProtocolError, match="STATUS, INIT, POSDATA, GETFORCE, EXIT"):
        protocol.read_header(reader(header))


@pytest.mark.parametrize(
    ("text", "parameters", "batch_size"),
    [
        ("", {}, 1),
        ("\0", {}, 1),
        (" batch_size:16", {}, 16),
        (" model : foo , unc : 1 , , batch_size:4", {"model": "foo", "unc": "1"}, 4),
        ("structure : C:/water.xyz", {"structure": "C:/water.xyz"}, 1),
    ],
)
def test_initialization(text, parameters, batch_size):
    decoded = protocol.read_initialization(reader(struct.pack("<ii", 7, len(text)) + text.encode()))
    assert decoded == protocol.Initialization(7, parameters, batch_size)


@pytest.mark.parametrize("text", ["batch_size:0", "batch_size:-2", "batch_size:many"])
def test_bad_batch_size(text):
    with pytest.raises(ProtocolError, match="batch_size"):
        protocol.read_initialization(reader(struct.pack("<ii", 0, len(text)) + text.encode()))


@pytest.mark.parametrize("beads", [1, 3])
def test_structures(beads):
    random = np.random.default_rng(0)
    cells, positions = random.normal(size=(beads, 3, 3)), random.normal(size=(beads, 5, 3))
    cell_bytes = b"".join(cell.T.tobytes() + np.linalg.inv(cell.T).tobytes() for cell in cells)
    count = struct.pack("<i", 5)
    message = (cell_bytes + count if beads == 1 else count + cell_bytes) + positions.tobytes()
    stream = io.BytesIO(message + b"GETFORCE    ")
    decoded_cells, decoded_positions = protocol.read_structures(stream.read, beads)
    np.testing.assert_array_equal(decoded_cells, cells)
    np.testing.assert_array_equal(decoded_positions, positions)
    assert stream.read() == b"GETFORCE    "


def test_no_atoms():
    with pytest.raises(ProtocolError, match="announces -1 atoms"):
        protocol.read_structures(reader(bytes(144) + struct.pack("<i", -1)), 1)


def test_reply_layout():
    energies, forces, virials = np.arange(2.0), np.arange(12.0).reshape(2, 2, 3), np.arange(18.0).reshape(2, 3, 3)
    reply = protocol.encode_forces(energies, forces, virials, [b"{}", b'{"a":1}'])
    assert reply == (
        b"FORCEREADY  " + energies.tobytes() + struct.pack("<i", 2) + forces.tobytes() + virials.tobytes()
    ) + (struct.pack("<i", 2) + b"{}" + struct.pack("<i", 7) + b'{"a":1}')


@pytest.mark.parametrize(("repeated", "distinct"), [(0, 4), (1, 3), (3, 1)])
def test_padding_is_counted(repeated, distinct):
    random = np.random.default_rng(1)
    cells, positions = random.normal(size=(4, 3, 3)), random.normal(size=(4, 2, 3))
    for array in (cells, positions):
        array[3 - repeated :] = array[-1]
    assert count_distinct(cells, positions) == distinct


def test_equal_positions_in_other_cells_are_not_padding():
    positions = np.ones((2, 2, 3))
    assert count_distinct(np.stack([np.eye(3), 2 * np.eye(3)]), positions) == 2


def response(beads: int = 2, atoms: int = 3) -> Response:
    random = np.random.default_rng(2)
    shapes = {
        "energy": (),
        "forces": (atoms, 3),
        "virial": (3, 3),
        "dipole": (3,),
        "polarizability": (3, 3),
        "born_charges": (atoms, 3, 3),
        "molecular_dipole": (atoms // 3, 3),
        "molecular_polarizability": (atoms // 3, 3, 3),
        "molecular_position": (atoms // 3, 3),
    }
    return Response(**{name: random.normal(size=(beads, *shape)) for name, shape in shapes.items()})


def test_extras():
    answer = response(atoms=6)
    for bead, text in enumerate(encode_extras(answer, answer.names)):
        extras = json.loads(text)
        assert list(extras)[:3] == ["dipole", "polarizability", "BEC"]
        assert extras["dipole"] == (answer.dipole[bead] * units.BOHR_PER_ANGSTROM).tolist()
        volumes = answer.polarizability[bead].ravel() * units.BOHR_PER_ANGSTROM**3
        assert extras["polarizability"] == volumes.tolist()
        assert extras["BEC"] == answer.born_charges[bead].reshape(18, 3).tolist()
        # all flat, so that i-PI can write them into one file
        for name, power in [("molecular_dipole", 1), ("molecular_polarizability", 3), ("molecular_position", 1)]:
            assert extras[name] == (answer[name][bead].ravel() * units.BOHR_PER_ANGSTROM**power).tolist()


@pytest.mark.parametrize("shape", [(5,), (2, 3), (0,), (0, 3), (2, 0)])
def test_arrays_are_written_as_json(shape):
    array = np.random.default_rng(0).normal(size=shape)
    assert json.loads(json_array(array)) == array.tolist()


def test_every_number_reads_back_as_the_same_number():
    rng = np.random.default_rng(1)
    numbers = rng.integers(0, 2**64, 100_000, dtype=np.uint64).view(np.float64)
    special = [0.0, -0.0, 1.0, -7.0, 5e-324, np.finfo(float).max, 1e22, 2.0**53, 0.1]
    numbers = np.concatenate([numbers[np.isfinite(numbers)], special])
    read = json.loads(json_array(numbers))
    assert {type(number) for number in read} == {float}
    np.testing.assert_array_equal(np.array(read).view(np.uint64), numbers.view(np.uint64))


@pytest.mark.parametrize("shape", [(), (1, 1, 1)])
def test_arrays_that_are_no_rows_are_not_written(shape):
    with pytest.raises(ValueError, match=f"{len(shape)} axes cannot be written; allowed are 1 and 2"):
        json_array(np.zeros(shape))


def test_only_wanted_extras_are_sent():
    assert encode_extras(response(), ("energy", "forces", "virial")) == [b"{}", b"{}"]
    assert list(json.loads(encode_extras(response(), ("dipole",))[1])) == ["dipole"]


def test_padding_repeats_the_last_answer():
    cells, positions = structures(2)
    answers = [
        Responder(Toy(), SPECIES, ("dipole",)).answer(cells[beads], positions[beads])
        for beads in ([0, 1], [0, 1, 1, 1])
    ]
    for name in ("energies", "forces", "virials", "extras"):
        short, padded = (np.asarray(getattr(answer, name)) for answer in answers)
        np.testing.assert_array_equal(padded, short[[0, 1, 1, 1]])


def test_units_are_consistent():
    energy, length = UnitMap["energy"]["electronvolt"], UnitMap["length"]["angstrom"]
    one = np.ones(1)
    assert units.to_atomic("energy", one) == energy
    assert units.to_atomic("forces", one) == energy / length
    assert units.to_atomic("dipole", one) == UnitMap["electric-dipole"]["eang"]
    assert units.lengths_from_atomic(length * one) == 1.0
    assert units.to_atomic("polarizability", one) == pytest.approx(UnitMap["volume"]["angstrom3"], rel=1e-9)
    assert energy == pytest.approx(1 / ase_units.Hartree, rel=2e-7)
    assert length == pytest.approx(1 / ase_units.Bohr, rel=2e-7)


@pytest.mark.parametrize("formula", ["(OH2)2", "OHHOHH", "O H H O H H"])
def test_species_from_formula(formula):
    assert species_from_parameters({"species": formula}).tolist() == [8, 1, 1, 8, 1, 1]


def test_species_from_files(tmp_path):
    plain = tmp_path / "ipi.xyz"
    plain.write_text("3\n# CELL(abcABC): 9 9 9 90 90 90 positions{angstrom}\nO 0 0 0\nD 1 0 0\nC13 0 1 0\n")
    assert read_species(plain).tolist() == [8, 1, 6]
    extended = tmp_path / "extended.xyz"
    extended.write_text("1\nProperties=pos:R:3:species:S:1\n0 0 0 He\n")
    assert species_from_parameters({"template": str(extended)}).tolist() == [2]
    assert species_from_parameters({"batch_size": "8"}) is None


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"species": "Wat3"}, "'Wat3' is not a chemical formula"),
        ({"structure": "nowhere.xyz"}, "'nowhere.xyz' does not exist"),
    ],
)
def test_bad_species(parameters, message):
    with pytest.raises(StructureError, match=message):
        species_from_parameters(parameters)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("short.xyz", "3\n\nO 0 0 0\n", "announces 3 atoms but holds fewer"),
        ("empty.xyz", "", "cannot be read"),
        ("none.xyz", "0\n\n", "no atom"),
        ("odd.xyz", "1\n\nQq 0 0 0\n", "holds the atom 'Qq'"),
        ("odd.pdb", "not a structure", "no atom|cannot be read"),
    ],
)
def test_bad_structure_files(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(StructureError, match=message):
        read_species(tmp_path / name)
