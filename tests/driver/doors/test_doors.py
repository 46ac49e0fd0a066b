"""Which doors there are, those of other packages too, and what each refuses."""

from __future__ import annotations

import sys

import pytest
from beadwise.driver.commands.group import main
from beadwise.driver.doors.door import DOORS, Door, DoorError, DoorSettings, make_door
from beadwise.driver.doors.mpi import MpiDoor
from beadwise.driver.doors.responder import Responder
from beadwise.driver.doors.sockets import SocketDoor
from beadwise.driver.doors.transport import TransportError
from beadwise.errors import BeadwiseError, PluginError
from click.testing import CliRunner
from fake_ipi import PATIENCE, SPECIES, Pairs, direct, in_background, structures
from packages import install
from places import INPUTS
from test_run import one_line
from toy import Toy

STRUCTURE = ["--structure", str(INPUTS / "water_64.xyz")]
SOURCE = """
import numpy as np
from beadwise.driver.doors.door import Door


class Once(Door):
    '''Answers for one structure.'''

    def __init__(self, address, settings):
        super().__init__(settings)
        self.address = address

    @property
    def where(self):
        return f"once at {self.address}, waiting {self.settings.wait:g} s"

    def run(self, responder):
        positions = np.random.default_rng(1).normal(0, 9, (1, 192, 3))
        print("energies", responder.answer(np.eye(3)[None] * 30, positions).energies.shape)


class Silent(Once):
    @property
    def where(self):
        return ""


def words(address, settings):
    return "no door"


class Words:
    def __init__(self, address, settings):
        pass
"""


@pytest.fixture
def package(tmp_path, monkeypatch):
    places = {"once": "Once", "silent": "Silent", "words": "words", "other": "Words", "absent": "Absent", "tcp": "Once"}
    points = {name: f"added_doors:{place}" for name, place in places.items()} | {"missing": "no_such_package:Door"}
    install(tmp_path, "added_doors", SOURCE, beadwise_doors=points)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "added_doors", raising=False)


def serve(*arguments: str):
    return CliRunner().invoke(main, ["serve", "springs:springs", *arguments])


@pytest.mark.parametrize(
    ("name", "address", "where"),
    [
        ("unix", "water", "at unix socket /tmp/ipi_water"),
        ("unix", "/tmp/of/mine", "at unix socket /tmp/of/mine"),
        ("tcp", "localhost:31415", "at localhost:31415"),
        ("mpi", "", ""),  # not before its rank is known
    ],
)
def test_ours(name, address, where):
    door = make_door(name, address)
    assert isinstance(door, Door) and door.where == where


def test_every_door_of_ours_is_tested_here():
    assert set(DOORS) == {"unix", "tcp", "mpi"}
    assert isinstance(make_door("mpi", ""), MpiDoor) and isinstance(make_door("unix", "a"), SocketDoor)


@pytest.mark.parametrize(
    ("name", "address", "settings", "message"),
    [
        ("tcp", "localhost:31415", DoorSettings(shared_memory=True), "--shm needs --unix NAME"),
        ("mpi", "", DoorSettings(shared_memory=True), "--shm needs --unix NAME"),
        ("unix", "a", DoorSettings(force_field="one"), "--mpi-name names an <ffmpi>; it needs --mpi"),
        ("tcp", "a:1", DoorSettings(force_field="one"), "--mpi-name names an <ffmpi>; it needs --mpi"),
        ("unicks", "a", None, "no door 'unicks'; allowed are unix, tcp, mpi; did you mean 'unix'"),
    ],
)
def test_what_is_refused(name, address, settings, message):
    with pytest.raises(DoorError, match=message):
        make_door(name, address, settings)


def test_addresses_that_are_refused():
    for address in ("31415", ":31415", "localhost:", "localhost:many"):
        with pytest.raises(TransportError, match=f"'{address}' is no TCP address; allowed is HOST:PORT"):
            make_door("tcp", address)


def test_a_socket_runs_a_responder():
    transport = Pairs()
    door = SocketDoor(transport)
    with door, door.sharing(Toy()) as shared:
        server = in_background(door.run, Responder(shared, SPECIES))
    ipi = transport.servers[0]
    ipi.initialize()
    cells, positions = structures(1)
    ipi.request(cells, positions)
    energies, *_ = ipi.forces(1, len(SPECIES))
    ipi.exit()
    assert server.result(PATIENCE) is None
    assert energies == pytest.approx(direct(cells, positions).energy / 27.211386245988, rel=1e-6)


def test_a_door_of_another_package(package):
    result = serve("--door", "once:some:where", "--wait", "3", *STRUCTURE)
    assert result.exit_code == 0, result.output
    said, answered = result.stdout.splitlines()
    assert said == "springs:springs serves energy, forces, virial to i-PI once at some:where, waiting 3 s"
    assert answered == "energies (1,)"
    assert serve("--door", "silent:", *STRUCTURE).stdout == "energies (1,)\n"


def test_none_takes_the_place_of_ours(package):
    assert isinstance(make_door("tcp", "localhost:31415"), SocketDoor)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--door", "missing:a"], "the door 'missing' of no_such_package:Door cannot be imported: No module named"),
        (["--door", "absent:a"], "the door 'absent' of added_doors:Absent cannot be imported"),
        (["--door", "words:a"], "the door 'words' of added_doors:words is function; it must be type"),
        (["--door", "other:a"], "the door 'other' is Words; it must be a beadwise.driver.doors.door.Door"),
        (["--door", "onse:a"], "no door 'onse'; allowed are unix, tcp, mpi, once,"),
        (["--door", "onse:a"], "did you mean 'once'"),
        (
            ["--door", "once:a", "--unix", "b"],
            "give one of --unix NAME, --tcp HOST:PORT and --mpi, or --door NAME:",
        ),
        (
            ["--door", "unix:a", "--unix", "b"],
            "give one of --unix NAME, --tcp HOST:PORT and --mpi, or --door NAME:",
        ),
        (["--tcp", "localhost:31415", "--shm"], "--shm needs --unix NAME"),
        (["--unix", "a", "--mpi-name", "one"], "--mpi-name names an <ffmpi>; it needs --mpi"),
    ],
)
def test_bad_usage_is_one_line(package, arguments, message):
    result = serve(*arguments, *STRUCTURE)
    assert result.exit_code == 2
    assert message in one_line(result.stderr)


def test_errors_are_ours(package):
    with pytest.raises(PluginError) as caught:
        make_door("missing", "a")
    assert isinstance(caught.value, BeadwiseError)
