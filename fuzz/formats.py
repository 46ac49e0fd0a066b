"""Formats of files that users bring: valid samples, how they are damaged, and the readers that commands call."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from random import Random
from typing import NamedTuple

import numpy as np

from . import neps, reports
from .judge import WrongAnswer
from .mutations import damaged_bytes, damaged_model, damaged_text

HERE = Path(__file__).parent
SAMPLES, INPUTS = HERE / "samples", HERE.parent / "inputs"
REGISTRY = HERE.parent / "learning" / "data" / "public_sets.toml"
HELPERS = HERE.parent / "tests" / "helpers"
EXTRAS = """ #EXTRAS(dipole, polarizability)# Step:           0 Bead:       0
 1.0 2.0 3.0 4.0 0.1 0.2 0.1 5.0 0.3 0.2 0.3 6.0
 #EXTRAS(dipole, polarizability)# Step:           2 Bead:       0
 1.5 2.5 3.5 4.5 0.1 0.2 0.1 5.5 0.3 0.2 0.3 6.5
 #EXTRAS(dipole, polarizability)# Step:           4 Bead:       0
 1.1 2.1 3.1 4.1 0.1 0.2 0.1 5.1 0.3 0.2 0.3 6.1
"""
OF_ASE = """3
Lattice="9 0 0 0 9 0 0 0 9" Properties=species:S:1:pos:R:3 ipi_comment="Step: 0  Bead: 0 positions{ase} cell{ase}"
O        0.38964899       0.50600099       0.31594000
H        0.66079899      -0.43789399       0.36964799
H       -0.57873499       0.56069999       0.49738899
3
Lattice="9 0 0 0 9 0 0 0 9" Properties=species:S:1:pos:R:3 ipi_comment="Step: 2  Bead: 0 positions{ase} cell{ase}"
O        0.38564899       0.50600099       0.31594000
H        0.66079899      -0.43889399       0.36964799
H       -0.57873499       0.56069999       0.49838899
"""
COLVAR = """#! FIELDS time torsion metad.bias
#! SET min_torsion -pi
#! SET max_torsion pi
 0.000000 1.0 0.0
 1.000000 1.1 0.1
 2.000000 1.2 0.2
"""
HILLS = """#! FIELDS time torsion sigma_torsion height biasf
#! SET multivariate false
#! SET kerneltype stretched-gaussian
#! SET min_torsion -pi
#! SET max_torsion pi
 200 1.0 0.2 0.5 6
 400 1.1 0.2 0.4 6
"""
FRAMES = """3
Lattice="9 0 0 0 9 0 0 0 9" Properties=species:S:1:pos:R:3:forces:R:3 energy=-1.5 stress="1 0 0 0 1 0 0 0 1" pbc="T T T"
O 0.0 0.0 0.0 0.1 0.2 0.3
H 0.96 0.0 0.0 -0.1 0.0 0.0
H -0.24 0.93 0.0 0.0 -0.2 -0.3
3
Lattice="9 0 0 0 9 0 0 0 9" Properties=species:S:1:pos:R:3:forces:R:3 energy=-1.4 dipole="0 0 1.1" pbc="T T T"
O 0.1 0.0 0.0 0.1 0.2 0.3
H 0.96 0.1 0.0 -0.1 0.0 0.0
H -0.24 0.93 0.1 0.0 -0.2 -0.3
"""
TEMPLATE = """<simulation>
<output prefix='p'><properties stride='2' filename='out'> [ step, potential ] </properties></output>
<total_steps>10</total_steps><ffsocket name='model' mode='unix'><address>here</address></ffsocket>
<system_template><labels> [ NAME, KELVIN ] </labels>
<instance> [ first, 300 ] </instance><instance> [ second, 350 ] </instance>
<template><system prefix='NAME'><initialize nbeads='4'><labels mode='manual'> [ O, H, H ] </labels>
<cell mode='abc' units='angstrom'> [ 9, 9, 9 ] </cell></initialize>
<forces><force forcefield='model'/></forces><ensemble><temperature units='kelvin'> KELVIN </temperature></ensemble>
<motion mode='dynamics'><dynamics mode='nvt'><timestep units='femtosecond'> 0.5 </timestep></dynamics></motion>
</system></template></system_template></simulation>
"""


METADATA = {
    "repeating_unit": "OHH",
    "title": "water",
    "sources": ["one", "another"],
    "frames": {"training": 10, "validation": 2},
    "errors": {
        "training": {"a.xyz": {"frames": 2}},
        "validation": {
            "a.xyz": {"properties": {"energy": {"root_mean_square_error": 0.1, "percent_error": 2.0, "unit": "eV"}}}
        },
    },
    "training_structures": {"directions_with_images": {"fewest": 3, "most": 3}},
    "net_charge": 0.0,
    "envelope": {"two_body_low": [[0.0] * 6] * 2, "two_body_high": [[1.0] * 6] * 2},
    "baseline": {"name": "qtip4pf", "provider": "beadwise 0.1.0", "species_energies": [0.0, 1.0]},
}


class FileFormat(NamedTuple):
    """One format.

    Parameters
    ----------
    name : str
        Of the file that is damaged.
    samples : callable
        Makes valid contents.
    damage : callable
        Damages one.
    read : callable
        Reads the file at a path as commands do.
    """

    name: str
    samples: Callable[[], list[bytes]]
    damage: Callable[[bytes, Random], bytes]
    read: Callable[[Path], object]

    def run(self, content: bytes) -> str:
        """Read a content from a file in the current folder."""
        path = Path(self.name)
        path.write_bytes(content)
        self.read(path)
        return "answered"


def neighbours(folder: Path) -> None:
    """Put beside the damaged files what valid ones name."""
    for pattern in ("*.xyz", "*.dat", "water_accurate_fit.toml"):
        for path in INPUTS.glob(pattern):
            shutil.copy(path, folder)


def case(form: FileFormat, seed: str) -> bytes:
    """The damaged sample of a seed."""
    random = Random(seed)
    return form.damage(random.choice(_samples(form)), random)


@cache
def _samples(form: FileFormat) -> list[bytes]:
    return form.samples()


def _files(folder: Path, *patterns: str) -> Callable[[], list[bytes]]:
    return lambda: [path.read_bytes() for pattern in patterns for path in sorted(folder.glob(pattern))]


def _texts(*texts: str) -> Callable[[], list[bytes]]:
    return lambda: [text.encode() for text in texts]


def _models() -> list[bytes]:
    sys.path.append(str(HELPERS))
    from beadwise.model import save
    from models import random_model

    found = []
    for options in (
        {"heads": ["energy"], "hidden": (4,)},
        {"heads": ["energy", "dipole"], "metadata": METADATA},
        {"groups": (0, 0)},
    ):
        with tempfile.TemporaryDirectory() as folder:
            save(random_model(**options), Path(folder) / "model.safetensors")
            found.append((Path(folder) / "model.safetensors").read_bytes())
    return found


def _states() -> list[bytes]:
    from dataclasses import asdict

    from beadwise.learning.loop.state import FORMAT, ExplorationRecord, RoundRecord

    first = RoundRecord(1, "model", 10, 2, 3, 4, explorations=[ExplorationRecord("run", 10, 20)])
    content = {
        "format": FORMAT,
        "configuration": {"explore": {"flag": 0.1}},
        "rounds": [asdict(first)],
        "done": ["fit"],
    }
    return [json.dumps(content).encode()]


def read_model(path: Path) -> None:
    """Describe a model, load it, and let it answer; what it answers is finite, or it is refused."""
    from beadwise.driver.doors.guards import check_finite
    from beadwise.model import Batch
    from beadwise.model.description import describe_model, listing
    from beadwise.model.evaluators import load_evaluator

    listing(describe_model(path))
    evaluator = load_evaluator(str(path))
    repr(evaluator)
    numbers = np.resize(evaluator.species or (8, 1, 1), 3)
    positions = np.array([[[0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]]])
    batch = Batch(numbers, positions, 9.0 * np.eye(3)[None], np.ones(3, bool))
    answer = evaluator.evaluate(batch, evaluator.properties)
    check_finite(answer)
    again = evaluator.evaluate(batch, ("energy",)).energy
    if abs(again[0] - answer.energy[0]) > 1e-9 * max(1.0, abs(again[0])):
        raise WrongAnswer(f"energies {again[0]} and {answer.energy[0]} of one structure")


def read_input(path: Path) -> None:
    """All that commands ask of an i-PI input or RESTART."""
    from beadwise.errors import BeadwiseError
    from beadwise.runs.input.run_input import RunInput

    run = RunInput.read(path).checked()
    asked = [lambda: run.labels, lambda: run.numbers, lambda: run.want, lambda: run.prefix]
    names = (
        "beads temperature timestep name_of_dynamics has_constant_volume ensemble cell biases properties_outputs "
        "extras_outputs bias_outputs trajectory_outputs"
    ).split()
    asked += [lambda s=system, n=name: getattr(s, n) for system in run.systems for name in names]
    refusals = []
    for ask in asked:  # each by itself, as a command asks for some of them only
        try:
            ask()
        except BeadwiseError as error:
            refusals.append(error)
    if refusals:
        raise refusals[0]


def read_extras(path: Path) -> None:
    """Series of extras, to the end of the file."""
    from beadwise.runs.output.bead_series import BeadSeries
    from beadwise.runs.output.extras_file import ExtrasFile
    from beadwise.runs.output.series_files import find_sources

    series = BeadSeries([path])
    while series.read():
        pass
    find_sources([path])
    extras = ExtrasFile(path, 3)
    for step in extras.steps.tolist():
        extras.record(step)


def read_properties(path: Path) -> None:
    """A table of properties, with its steps."""
    from beadwise.runs.output.properties import read_property_table

    table = read_property_table(path, 0.5)
    if table is not None:
        _ = table.steps, table.by_name


def read_positions(path: Path) -> None:
    """Labels of atoms, and where the frames are."""
    from beadwise.runs.input.labels import read_species

    read_species(path)
    read_all(path, "xyz")


def read_of_ase(path: Path) -> None:
    """Positions that i-PI writes with format='ase'."""
    read_all(path, "ase")


def read_all(path: Path, form: str) -> None:
    """All frames of a trajectory of i-PI."""
    from beadwise.runs.output.trajectory_file import TrajectoryFile

    file = TrajectoryFile(path, form, 3, "length")
    for step in file.steps.tolist():
        file.frame(step)


def read_velocities(path: Path) -> None:
    """Velocities, frame by frame."""
    from beadwise.runs.output.velocities import VelocityFile

    for _ in VelocityFile(path).pieces():
        pass


def read_plumed(path: Path) -> None:
    """Actions of PLUMED, their numbers, units and hills."""
    from beadwise.errors import BeadwiseError
    from beadwise.runs.plumed.input import read_plumed_input

    given = read_plumed_input(path)
    _ = given.biases, given.length_unit
    refusals = []
    for action in given.actions:
        for keyword in action.keywords:
            try:
                action.numbers(keyword)
            except BeadwiseError as error:
                refusals.append(error)
    _ = given.energy_unit
    if refusals:
        raise refusals[0]


def read_plumed_tables(path: Path) -> None:
    """A table of PLUMED: its variables, or its hills and what they say."""
    from beadwise.analysis.profile.hills import hills_of
    from beadwise.analysis.profile.samples import ProfileOptions, samples_of_table
    from beadwise.runs.plumed.tables import read_plumed_table

    table = read_plumed_table(path)
    if table.holds_hills:
        hills_of(table, 300.0, 0.01)
    else:
        samples_of_table(table, 300.0, 0.01, ProfileOptions(variable="torsion"))


def read_frames(path: Path) -> None:
    """Frames with labels, for fits and for series; what is read is finite."""
    from beadwise.learning.data import iterate_frames
    from beadwise.model import Batch
    from beadwise.runs.output.extended_xyz import complete_frames

    for frame in iterate_frames(path):
        Batch.from_ase(frame.atoms)
        if not all(np.isfinite(label).all() for label in frame.labels.values()):
            raise WrongAnswer(f"{frame.name} has labels that are not finite")
    list(complete_frames(path))


def read_fit(path: Path) -> None:
    """Configuration of a fit."""
    from beadwise.learning.fitting.configuration import read_configuration

    read_configuration(path)


def read_learn(path: Path) -> None:
    """Configuration of active learning, and of its labels."""
    from beadwise.learning.labels.settings import label_settings
    from beadwise.learning.loop.configuration import read_learn_configuration

    label_settings(read_learn_configuration(path).label, path.parent)


def read_registry(path: Path) -> None:
    """Names, addresses and checksums of public data."""
    from beadwise.learning.data.public_sets import public_sets

    public_sets(path)


def read_state(path: Path) -> None:
    """What a loop of learning keeps of itself."""
    from beadwise.learning.loop.state import load_state

    load_state(path.parent)


FORMATS = {
    "model": FileFormat("model.safetensors", _models, damaged_model, read_model),
    "nep": FileFormat("nep.txt", neps.samples, damaged_text, neps.read_nep),
    "input": FileFormat("input.xml", _files(INPUTS, "water.xml", "pimd_npt.xml", "mts_pimd.xml", "torsion_opes.xml"),
                        damaged_text, read_input),
    "checkpoint": FileFormat("RESTART", _files(SAMPLES, "RESTART"), damaged_text, read_input),
    "template": FileFormat("template.xml", _texts(TEMPLATE), damaged_text, read_input),
    "extras": FileFormat("run.dipole_0", _texts(EXTRAS), damaged_text, read_extras),
    "properties": FileFormat("run.out", _files(SAMPLES, "run.out"), damaged_text, read_properties),
    "positions": FileFormat("run.pos_0.xyz", _files(SAMPLES, "*pos_0.xyz", "init.xyz"), damaged_text, read_positions),
    "positions-ase": FileFormat("run.pos_0.extxyz", _texts(OF_ASE), damaged_text, read_of_ase),
    "velocities": FileFormat("run.vel.xyz", _files(SAMPLES, "run.vel.xyz"), damaged_text, read_velocities),
    "plumed": FileFormat("plumed.dat", _files(INPUTS, "torsion_*.dat", "proton_*.dat"), damaged_text, read_plumed),
    "plumed-table": FileFormat("COLVAR", _texts(COLVAR, HILLS), damaged_text, read_plumed_tables),
    "frames": FileFormat("frames.xyz", _texts(FRAMES), damaged_text, read_frames),
    "fit": FileFormat("fit.toml", _files(INPUTS, "water_fit.toml", "water_accurate_fit.toml", "water_gfn1_fit.toml",
                                          "batio3_fit.toml"),
                      damaged_text, read_fit),
    "learn": FileFormat("learn.toml", _files(INPUTS, "water_learn.toml"), damaged_text, read_learn),
    "state": FileFormat("state.json", _states, damaged_text, read_state),
    "registry": FileFormat("sets.toml", _files(REGISTRY.parent, REGISTRY.name), damaged_text, read_registry),
    "report": FileFormat("part", lambda: reports.samples(SAMPLES / "run.out"), damaged_text, reports.read_report),
    "structure": FileFormat("structure.pdb", lambda: [_pdb()], damaged_bytes, read_positions),
}  # fmt: skip


def _pdb() -> bytes:
    """Water as a PDB file has it."""
    lines = ["CRYST1    9.000    9.000    9.000  90.00  90.00  90.00 P 1           1"]
    for number, (name, x, y, z) in enumerate([("O", 0, 0, 0), ("H", 0.96, 0, 0), ("H", -0.24, 0.93, 0)], 1):
        lines.append(
            f"ATOM  {number:5d}  {name:<3s} HOH     1    {x:8.3f}{y:8.3f}{z:8.3f}  1.00  0.00          {name:>2s}"
        )
    return "\n".join([*lines, "END", ""]).encode()
