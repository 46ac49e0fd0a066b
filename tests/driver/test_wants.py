"""What each force field is asked for, and how often i-PI asks: unit tests, and a real i-PI with a force of weight 0."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
from beadwise.driver.doors.guards import wanted_properties
from beadwise.driver.launch.plan import Plan
from beadwise.driver.launch.servers import _serve_command
from beadwise.model import PropertyError
from beadwise.runs.input.elements import InputError
from beadwise.runs.input.force_fields import ForceSocket
from beadwise.runs.input.run_input import RunInput
from springs import Springs
from test_run import Folder

ENERGIES = ("energy", "forces", "virial")
DIPOLE = "<trajectory extra_type='dipole'> extras </trajectory>"


def raw(component: int | str, names: str = "dipole,polarizability", attributes: str = "") -> str:
    return f"<trajectory extra_type='{names}' {attributes}> extras_component_raw({component}) </trajectory>"


def system(*forces: str, bias: str = "", motion: str = "") -> str:
    return f"<system><forces>{''.join(forces)}</forces><ensemble>{bias}</ensemble>{motion}</system>"


def force(name: str, attributes: str = "", body: str = "") -> str:
    return f"<force forcefield='{name}' {attributes}>{body}</force>"


def level(weights: str) -> str:
    return f"<mts_weights> {weights} </mts_weights>"


TWO = (force("a"), force("b", "weight='0'"))
DRIVEN = "<motion><driven_dynamics><bec mode='driver'/></driven_dynamics></motion>"
INTERPOLATED = "<interpolate_extras> [ dipole ] </interpolate_extras>"
NOTHING, BOTH = (), ("dipole", "polarizability")


def wants_of(folder: Path, output: str, *systems: str, sockets: str = "") -> dict[str, ForceSocket]:
    sockets = sockets or "<ffsocket name='a'/><ffsocket name='b'/>"
    path = folder / "in.xml"
    path.write_text(f"<simulation><output>{output}</output>{sockets}{''.join(systems)}</simulation>")
    return {socket.name: socket for socket in RunInput.read(path).sockets}


@pytest.mark.parametrize(
    ("output", "systems", "a", "b"),
    [
        pytest.param(DIPOLE, [system(*TWO)], ("dipole",), NOTHING, id="extras read no component of weight 0"),
        pytest.param(raw(1), [system(*TWO)], NOTHING, BOTH, id="one component"),
        pytest.param(raw(-1), [system(*TWO)], NOTHING, BOTH, id="the last component"),
        pytest.param(raw(" idx = 1 "), [system(*TWO)], NOTHING, BOTH, id="named argument"),
        pytest.param(raw(0), [system(*TWO)], BOTH, NOTHING, id="another component"),
        pytest.param(raw(7), [system(*TWO)], NOTHING, NOTHING, id="no such component"),
        pytest.param(raw(1) + DIPOLE, [system(*TWO)], ("dipole",), BOTH, id="both outputs"),
        pytest.param(DIPOLE, [system(force("a"), force("b"))], ("dipole",), ("dipole",), id="two of weight 1"),
        pytest.param(DIPOLE, [system(force("a"), force("b", "weight='-0.5'"))], ("dipole",), ("dipole",), id="weight"),
        pytest.param(
            DIPOLE,
            [system(force("a", body=level("[1, 0]")), force("b", body=level("[0, 0]")))],
            ("dipole",),
            ("dipole",),
            id="extras do not ask for multiple time steps",
        ),
        pytest.param("", [system(force("a", body=INTERPOLATED), TWO[1])], ("dipole",), NOTHING, id="interpolated"),
        pytest.param(
            DIPOLE, [system(force("a"), force("b", "weight='0'", INTERPOLATED))], ("dipole",), NOTHING, id="not read"
        ),
        pytest.param(
            raw(1, "polarizability"),
            [system(force("a"), force("b", "weight='0' nbeads='2'", INTERPOLATED))],
            NOTHING,
            BOTH,
            id="interpolated ones are looked for",
        ),
        pytest.param("", [system(*TWO, motion=DRIVEN)], ("dipole", "born_charges"), NOTHING, id="driven dynamics"),
        pytest.param(
            raw(1), [system(*TWO), system(force("b"), force("a"))], BOTH, BOTH, id="two systems with other components"
        ),
        pytest.param(
            "<trajectory extra_type='dipole,metad.bias'> extras_bias </trajectory>",
            [system(force("a"), bias=f"<bias>{force('b')}</bias>")],
            NOTHING,
            ("dipole",),
            id="bias",
        ),
        pytest.param(
            raw("INDEX"),
            [f"<system_template><template>{system(*TWO)}</template></system_template>"],
            BOTH,
            BOTH,
            id="template: anything may be filled in",
        ),
        pytest.param("<trajectory> positions </trajectory>", [system(*TWO)], NOTHING, NOTHING, id="no extras"),
    ],
)
def test_wants_of_each_force_field(tmp_path, output, systems, a, b):
    sockets = wants_of(tmp_path, output, *systems)
    extras = {name: tuple(want for want in socket.want if want not in ENERGIES) for name, socket in sockets.items()}
    assert extras == {"a": a, "b": b}


@pytest.mark.parametrize(
    ("output", "systems", "properties_only"),
    [
        (raw(1), [system(*TWO)], True),
        (raw(1), [system(*TWO), system(force("b"))], False),
        (raw(1), [system(*TWO, bias=f"<bias>{force('b')}</bias>")], False),
        (raw(1) + "<properties> [ step, pot_component_raw(1) ] </properties>", [system(*TWO)], False),
        (raw(1) + "<properties> [ vir_component_raw(bead=0; index=-1) ] </properties>", [system(*TWO)], False),
        (raw(1) + "<trajectory> forces_component_raw(1; bead=0) </trajectory>", [system(*TWO)], False),
        (raw(1) + "<properties> [ pot_component_raw(0), pot_component(1) ] </properties>", [system(*TWO)], True),
        (raw(1), [system(force("a"), force("b", "weight='0.0'"))], True),
        (raw(1), [system(force("a"), force("b", "weight='1e-3'"))], False),
        (raw(1), [f"<system_template><template>{system(*TWO)}</template></system_template>"], False),
        ("", [system(*TWO)], False),  # it is never asked
    ],
)
def test_force_field_without_energies(tmp_path, output, systems, properties_only):
    b = wants_of(tmp_path, output, *systems)["b"]
    assert b.properties_only == properties_only
    assert (b.want[:3] == ENERGIES) != properties_only
    given = RunInput.read(tmp_path / "in.xml")
    plan = Plan(given, {"": "water"})
    assert ("--properties-only" in _serve_command(plan, b)) == properties_only
    asked_for_energies = Plan(given, {"": "water"}, want=(*ENERGIES, "dipole"))
    assert "--properties-only" not in _serve_command(asked_for_energies, b)


def test_members_of_a_committee_have_energies(tmp_path):
    sockets = "<ffcommittee name='b'><ffsocket name='one'/><ffsocket name='two'/></ffcommittee><ffsocket name='a'/>"
    members = wants_of(tmp_path, raw(1, "committee_dipole"), system(*TWO), sockets=sockets)
    assert [name for name, socket in members.items() if socket.properties_only] == []
    assert members["one"].want == members["a"].want == ENERGIES
    assert members["two"].want == (*ENERGIES, "dipole")


def test_born_charges_beside_another_kind(tmp_path):
    with pytest.raises(InputError, match="extra_type='dipole, BEC' in one <trajectory>"):
        wants_of(tmp_path, raw(1, "dipole,BEC"), system(*TWO))


def test_matrices_of_several_beads(tmp_path):
    """i-PI would die of them when it writes."""
    beads = "<initialize nbeads='{}'/>"
    for name in ("BEC", "polarizability_derivatives"):
        with pytest.raises(InputError, match=f"extra_type='{name}' of extras_component_raw with 4 beads"):
            wants_of(tmp_path, raw(1, name), system(*TWO, motion=beads.format(4)))
        assert wants_of(tmp_path, raw(1, name), system(*TWO, motion=beads.format(1)))["b"].properties_only
        of_centroid = system(TWO[0], force("b", "weight='0' nbeads='1'"), motion=beads.format(4))
        assert wants_of(tmp_path, raw(1, name), of_centroid)["b"].properties_only


def test_properties_alone():
    assert wanted_properties(Springs(), ["polarizability", "dipole", "energy"], properties_only=True) == BOTH
    assert wanted_properties(Springs(), ["dipole"]) == (*ENERGIES, "dipole")
    with pytest.raises(PropertyError, match=r"energy is wanted and zeros are to be sent .* of dipole, polarizability,"):
        wanted_properties(Springs(), ["energy"], properties_only=True)


def test_shared_memory_is_asked_of_the_server(tmp_path):
    socket = ForceSocket("a", "shm", "name", 0)
    assert socket.is_file
    (tmp_path / "in.xml").write_text("<simulation/>")
    command = _serve_command(Plan(RunInput.read(tmp_path / "in.xml"), {"": "water"}), socket)
    assert command[command.index("--unix") :][:3] == ["--unix", "/tmp/ipi_name", "--shm"]
    assert "--precision" not in command


def test_precision_is_asked_of_the_server(tmp_path):
    (tmp_path / "in.xml").write_text("<simulation/>")
    plan = Plan(RunInput.read(tmp_path / "in.xml"), {"": "water"}, precision="single")
    command = _serve_command(plan, ForceSocket("a", "unix", "name", 0))
    assert command[command.index("--precision") + 1] == "single"


@pytest.mark.parametrize(
    ("contraction", "beads", "holds_all"), [("", 4, True), ("nbeads='2'", 4, False), ("nbeads='9'", 4, True)]
)
def test_output_of_a_component(tmp_path, contraction, beads, holds_all):
    path = tmp_path / "in.xml"
    output = "<output prefix='run'>" + raw(1, attributes="filename='moments' stride='5'") + raw(5) + "</output>"
    beads_of_system = f"<initialize nbeads='{beads}'/>"
    path.write_text(
        f"<simulation>{output}{system(force('a'), force('b', contraction), motion=beads_of_system)}</simulation>"
    )
    (written,) = RunInput.read(path).extras_outputs
    assert (written.extras, written.stride, written.files(beads)) == (BOTH, 5, ["run.moments"])
    assert written.holds_all(beads) == holds_all


class Counting(Springs):
    """Writes down what it is asked for."""

    def __init__(self, path: Path):
        self.path = path

    def evaluate(self, batch, want):
        with open(self.path, "a") as file:
            file.write(json.dumps([batch.beads, list(want)]) + "\n")
        return super().evaluate(batch, want)


class Broken(Counting):
    """Energies, forces and virials that must never reach the dynamics."""

    def evaluate(self, batch, want):
        response = super().evaluate(batch, want)
        for name in set(ENERGIES) & set(want):
            response[name][...] = 1e300
        return response


def counting() -> Counting:
    return Counting(Path(os.environ["BEADWISE_COUNTS"] + ".energies"))


def broken() -> Broken:
    return Broken(Path(os.environ["BEADWISE_COUNTS"] + ".properties"))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    folder = Folder(tmp_path)
    monkeypatch.setenv("BEADWISE_COUNTS", str(tmp_path / "counts"))
    yield folder
    folder.kill_all()
    Path(f"/tmp/ipi_{folder.address}-2").unlink(missing_ok=True)


def write_input(folder: Folder, steps: int, outputs: str, weight_0: bool, mts: bool = False) -> None:
    """With the properties of a force field of their own, or without."""
    folder.write_input(steps=steps, outputs=outputs)
    path = folder.path / "input.xml"
    text = path.read_text().replace("</total_steps>", "</total_steps> <prng> <seed> 7 </seed> </prng>")
    text = text.replace("<simulation ", "<simulation floatformat='%24.16e' ")
    if weight_0:
        other = f"<ffsocket mode='unix' name='properties'> <address> {folder.address}-2 </address> </ffsocket>"
        text = text.replace("<system>", other + "<system>")
        levels = "<mts_weights> [1, 0] </mts_weights>" if mts else ""
        zero = f"<force forcefield='properties' weight='0'>{levels}</force>"
        inner = "<force forcefield='springs'><mts_weights> [0, 1] </mts_weights></force>" if mts else ""
        outer = f"<force forcefield='springs' weight='0.5'>{levels}</force>" if mts else "<force forcefield='springs'/>"
        text = text.replace("<force forcefield='springs'/>", outer + inner + zero if mts else outer + zero)
        if mts:
            text = text.replace("</timestep>", "</timestep> <nmts> [1, 2] </nmts>")
    path.write_text(text)


def counts(folder: Folder, kind: str) -> list[tuple[int, list[str]]]:
    return [json.loads(line) for line in (folder.path / f"counts.{kind}").read_text().splitlines()]


MODELS = ("--model", "properties=test_wants:broken")


@pytest.mark.parametrize("mts", [False, True])
def test_weight_0_is_evaluated_at_the_stride_only(folder, mts):
    component = 2 if mts else 1
    write_input(folder, 12, raw(component, attributes="filename='moments' stride='4'"), weight_0=True, mts=mts)
    status, _, errors = folder.run("input.xml", *MODELS, model="test_wants:counting")
    assert (status, errors) == (0, ""), errors
    evaluated = counts(folder, "properties")
    assert sum(beads for beads, _ in evaluated) == 4 * 4  # beads, records at 0, 4, 8, 12
    assert {tuple(want) for _, want in evaluated} == {BOTH}  # and no energy, forces or virial
    energies = sum(beads for beads, want in counts(folder, "energies") if want == list(ENERGIES))
    assert energies == 4 * 13 if not mts else energies > 4 * 13
    table = np.loadtxt(folder.path / "test.out")
    assert np.abs(table[:, 2:]).max() < 1e3  # energies of weight 0 did not get into it
    assert len((folder.path / "test.moments").read_text().splitlines()) == 4 * (1 + 4)


SPECTRA = ("--spectrum", "ir,raman", "--window", "40")


def run_for_spectra(folder: Folder, weight_0: bool, interrupted: bool = False) -> dict[str, np.ndarray]:
    """Infrared and Raman spectra of 120 steps."""
    outputs = raw(1) if weight_0 else "<trajectory extra_type='dipole,polarizability'> extras </trajectory>"
    outputs = outputs.replace("<trajectory", "<trajectory filename='moments' stride='2'")
    write_input(folder, 60 if interrupted else 120, outputs, weight_0)
    models = MODELS if weight_0 else ()
    source = folder.path / "input.xml"
    if interrupted:
        assert folder.run("input.xml", *models)[0] == 0
        source = folder.path / "RESTART"
        source.write_text(re.sub(r"(<total_steps>).*?(</)", r"\g<1>120\g<2>", source.read_text()))
        with open(folder.path / "test.moments", "a") as file:
            file.write(" #EXTRAS_COMPONENT_RAW(dipole,polarizability)# Step:          62  Bead:      0  \n 1.0 2.0 3")
    status, output, errors = folder.run(source.name, *SPECTRA, *models)
    assert (status, errors) == (0, ""), errors
    assert "no spectra" not in output
    return {kind: table_of(folder.path / f"test.{kind}.csv") for kind in ("ir", "raman")}


def test_spectra_are_those_of_extras_of_every_bead(tmp_path, monkeypatch):
    """Through files of each bead, and through one file of a force of weight 0, also of a run that was killed."""
    tables = []
    for name, options in {"beads": (False,), "component": (True,), "interrupted": (True, True)}.items():
        (tmp_path / name).mkdir()
        own = Folder(tmp_path / name)
        monkeypatch.setenv("BEADWISE_COUNTS", str(own.path / "counts"))
        try:
            tables.append(run_for_spectra(own, *options))
        finally:
            own.kill_all()
    for table in tables[1:]:
        for kind, expected in tables[0].items():
            assert len(expected) > 1000
            np.testing.assert_allclose(table[kind], expected, rtol=1e-10, atol=1e-10)


def table_of(path: Path) -> np.ndarray:
    return np.loadtxt([line for line in path.read_text().splitlines() if line[0].isdigit()], delimiter=",")


@pytest.mark.parametrize(
    ("order", "want", "is_in_field"),
    [
        (1, ("dipole",), False),  # to first order it is what it is without
        (2, ("dipole",), True),
        (2, ("born_charges",), True),
        (2, ("polarizability",), False),
    ],
)
def test_properties_alone_are_those_in_a_field_of_second_order(tmp_path, order, want, is_in_field):
    b = wants_of(tmp_path, raw(1), system(*TWO))["b"]
    assert b.properties_only
    plan = Plan(
        RunInput.read(tmp_path / "in.xml"), {"": "water"}, want=want, electric_field=(0.0, 0.0, 0.1), field_order=order
    )
    assert ("--field" in _serve_command(plan, b)) == is_in_field
