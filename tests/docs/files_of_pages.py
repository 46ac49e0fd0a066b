"""Small files in place of those that the pages speak of: inputs of some steps, structures, data, models."""

from __future__ import annotations

import re
import runpy
import shutil
import uuid
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from beadwise.learning.data import Frame
from beadwise.learning.fitting.configuration import read_configuration
from beadwise.learning.fitting.fit import fit
from beadwise.learning.loop.frames import write_frames
from beadwise.model import Batch, save
from beadwise.model.evaluators import load_evaluator
from learning_folder import Folder, box
from places import INPUTS, REPOSITORY

DOCS = REPOSITORY / "docs"
STEPS, BEADS = 24, 2
OUTPUTS = """
    <trajectory filename='members' stride='1' extra_type='committee_pot,dipole,member_dipoles'> extras </trajectory>
    <trajectory filename='moments' stride='1' extra_type='dipole,polarizability,committee_pot'> extras </trajectory>
"""
CALCULATOR = """
from ase.calculators.emt import EMT


class MyCalculator(EMT):
    def __init__(self, cutoff, dispersion):
        assert (cutoff, dispersion) == (5.0, True)
        super().__init__()
"""
LABELS = """
import ase.io
from beadwise import Calculator

frames = ase.io.read("samples.xyz", ":")
for atoms in frames:
    atoms.calc = Calculator("water_short")
    atoms.get_potential_energy()
ase.io.write("labelled.xyz", frames)
"""
VOLUMES = """
import numpy as np

volume = abs(np.linalg.det(np.load("iceIh.harmonic.npz")["cell"]))
head = "# column 1 --> step : Step\\n# column 2 --> volume{angstrom3} : Volume\\n"
head += "# column 3 --> potential{electronvolt} : V\\n# column 4 --> kinetic_cv{electronvolt} : T\\n"
for name, seed in (("npt", 1), ("warm", 2)):
    numbers = np.random.default_rng(seed).normal((volume, seed, seed), 2.0, size=(400, 3))
    rows = "".join(f"{n} {own} {energy} {kinetic}\\n" for n, (own, energy, kinetic) in enumerate(numbers))
    open(f"{name}.out", "w").write(head + rows)
"""
FIT = """
[data]
train = ["train.xyz"]
validation = ["valid.xyz"]
[density]
cutoff = 3.5
radial = 3
l_max = 2
[energy]
baseline = "qtip4pf"
[committee]
members = 5
seed = {seed}
[output]
model = "{name}.safetensors"
"""


def an_input(folder: Path, name: str = "INPUT.xml", outputs: str = OUTPUTS) -> None:
    """The input of the page about uncertainty, with few beads and steps, and with outputs for all that pages do."""
    text = (DOCS / "pictures" / "uncertainty" / "water.xml").read_text(encoding="utf-8")
    text = re.sub(r"\s*<trajectory filename='(members|moments)'.*</trajectory>", "", text)
    text = text.replace("</properties>", f"</properties>{outputs}").replace("stride='10'", "stride='1'")
    text = text.replace("potential{electronvolt},", "potential{electronvolt}, volume{angstrom3},")
    text = re.sub(r"<total_steps>.*</total_steps>", f"<total_steps> {STEPS} </total_steps>", text)
    text = re.sub(r"nbeads='\d+'", f"nbeads='{BEADS}'", text)
    text = re.sub(r"<batch_size>.*</batch_size>", f"<batch_size> {BEADS} </batch_size>", text)
    text = re.sub(r"<address>.*</address>", f"<address> beadwise-docs-{uuid.uuid4().hex[:12]} </address>", text)
    (folder / name).write_text(text.replace("timestep units='femtosecond'> 0.5", "timestep units='femtosecond'> 0.25"))
    shutil.copy(INPUTS / "water_32.xyz", folder)


def inputs(folder: Path) -> None:
    """One input under the names that pages give it, and another that samples a cheaper model."""
    an_input(folder, "INPUT.xml")
    an_input(folder, "water.xml")
    an_input(folder, "short.xml", outputs="")  # its model has no dipole
    text = (folder / "short.xml").read_text(encoding="utf-8")
    (folder / "short.xml").write_text(text.replace("prefix='water'", "prefix='short'"), encoding="utf-8")
    (folder / "label.py").write_text(LABELS, encoding="utf-8")


CYCLE = '''harmonic = "iceIh.harmonic.npz"
temperature = 300
anharmonic = "cycle_lambda.json"'''
CYCLE_RUNS = """structure = "iceIh.xyz"
model = "qtip4pf"
[run.anharmonic]
input = "ice.xml"
nodes = 1
path = "plain"
stride = 1
"""


def a_crystal(folder: Path) -> None:
    """Ice of eight molecules, and an input of it without the outputs of water."""
    ice = runpy.run_path(str(REPOSITORY / "benchmarks" / "ice.py"))["ice"]
    ase.io.write(folder / "iceIh.xyz", ice("Ic", (1, 1, 1)), format="extxyz")
    an_input(folder, "ice.xml", outputs="")
    text = (folder / "ice.xml").read_text(encoding="utf-8").replace("prefix='water'", "prefix='ice'")
    text = re.sub(r"<file mode='xyz'>.*</file>", "<file mode='ase'> iceIh.minimum.xyz </file>", text)
    (folder / "ice.xml").write_text(text, encoding="utf-8")
    at_constant_pressure = "<pressure units='megapascal'> 0.1 </pressure> </ensemble>"
    text = text.replace("</ensemble>", at_constant_pressure).replace("mode='nvt' splitting='baoab'", "mode='npt'")
    text = text.replace("</thermostat>", "</thermostat> <barostat mode='isotropic'/>").replace("'ice'", "'npt'")
    (folder / "npt.xml").write_text(text, encoding="utf-8")
    warm = text.replace("prefix='npt'", "prefix='warm'").replace("> 300 </temperature>", "> 320 </temperature>")
    (folder / "warm.xml").write_text(warm, encoding="utf-8")
    page = (DOCS / "how_to" / "crystals.md").read_text(encoding="utf-8")
    crystal = (
        page.partition("```toml\n")[2].partition("```")[0].replace("250", "300").replace("quantum =", "# quantum =")
    )
    for name in ("Ih", "Ic"):
        own = crystal.replace("reference =", "# reference =").replace("ice Ih", f"ice {name}")
        (folder / f"{name}.toml").write_text(own, encoding="utf-8")
    (folder / "results.py").write_text(VOLUMES, encoding="utf-8")
    text = f"{CYCLE}\n[run]\n{CYCLE_RUNS}"
    (folder / "cycle.toml").write_text(text, encoding="utf-8")


def to_correlate(folder: Path) -> None:
    """An input, and a trajectory of another program."""
    an_input(folder)
    rng = np.random.default_rng(0)
    frames = []
    for _ in range(400):
        atoms = Atoms("OHH", [[0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]], cell=[9.9] * 3, pbc=True)
        atoms.calc = SinglePointCalculator(atoms, energy=0.0, forces=np.zeros((3, 3)), dipole=rng.normal(size=3))
        frames.append(atoms)
    ase.io.write(folder / "run.extxyz", frames, format="extxyz")


def to_serve(folder: Path) -> None:
    """A structure of eight molecules, three models, and a calculator of a package."""
    ase.io.write(folder / "init.xyz", box(np.random.default_rng(0)), format="extxyz")
    (folder / "mypackage.py").write_text(CALCULATOR, encoding="utf-8")
    three_models(folder)


def three_models(folder: Path) -> None:
    """The shipped models of water as those of a committee, and an input."""
    an_input(folder, outputs="")
    page = (DOCS / "how_to" / "models_out_of_several.md").read_text(encoding="utf-8")
    (folder / "mixed.toml").write_text(page.partition("```toml\n")[2].partition("```")[0], encoding="utf-8")
    for name, shipped in zip("abc", ("water", "water_short", "water_accurate"), strict=True):
        shutil.copy(INPUTS / f"{shipped}.safetensors", folder / f"{name}.safetensors")
    shutil.copy(INPUTS / "water.safetensors", folder / "model.safetensors")
    page = (DOCS / "how_to" / "dispersion.md").read_text(encoding="utf-8")
    (folder / "with_dispersion.toml").write_text(page.partition("```toml\n")[2].partition("```")[0], encoding="utf-8")


def corrections(folder: Path) -> None:
    """Three corrections to a baseline with members, one more, and data."""
    an_input(folder, outputs="")
    # the liquid with what nearly is the baseline: corrections are small, and a run with them is one with the baseline
    data(folder, "qtip4pf", near=liquid(), noise=1e-3)
    for seed, name in enumerate(("a", "b", "c", "delta")):
        (folder / "own.toml").write_text(FIT.format(seed=seed, name=name), encoding="utf-8")
        save(fit(read_configuration(folder / "own.toml")), folder / f"{name}.safetensors")
    shutil.copy(folder / "valid.xyz", folder / "DATA.xyz")


def liquid() -> Atoms:
    """The smallest shipped structure of liquid water."""
    return ase.io.read(INPUTS / "water_32.xyz")


def data(folder: Path, name_of_model: str = "water", near: Atoms | None = None, noise: float = 0.0) -> None:
    """Eight molecules, or structures near one, with labels of a potential: energy, forces and dipole."""
    rng = np.random.default_rng(1)
    model = load_evaluator(name_of_model)
    for name, count in (("train.xyz", 12), ("valid.xyz", 4), ("DATA.xyz", 4)):
        frames = []
        for _ in range(count):
            atoms = box(rng) if near is None else near.copy()
            atoms.positions += 0.0 if near is None else rng.normal(0, 0.03, atoms.positions.shape)
            response = model.evaluate(Batch.from_ase(atoms), ["energy", "forces", "dipole"])
            labels = {key: np.array(response[key][0]) for key in ("energy", "forces", "dipole")}
            labels["forces"] += rng.normal(0, noise, labels["forces"].shape)
            frames.append(Frame(atoms, labels))
        write_frames(folder / name, frames)


def a_fit(folder: Path) -> None:
    """Data, and the configuration that the page about fits shows."""
    data(folder)
    page = (DOCS / "how_to" / "fit.md").read_text(encoding="utf-8")
    (folder / "fit.toml").write_text(page.partition("```toml\n")[2].partition("```")[0], encoding="utf-8")


def ethene(folder: Path) -> None:
    """The recipe of ethene as it is: seconds."""
    shutil.copytree(DOCS / "ethene", folder / "docs" / "ethene")
    (folder / "inputs").mkdir()


def ethanol(folder: Path) -> None:
    """The recipe of ethanol with a coarse density and few frames."""
    own = folder / "docs" / "ethanol"
    shutil.copytree(DOCS / "ethanol", own)
    (folder / "inputs").mkdir()
    text = (own / "fit.toml").read_text(encoding="utf-8")
    for before, after in (
        ('["train.xyz", "train_bent.xyz"]', '["train.xyz@:8", "train_bent.xyz@:2"]'),
        ('["valid.xyz", "valid_bent.xyz"]', '["valid.xyz@:4", "valid_bent.xyz@:2"]'),
        ("radial = 5", "radial = 2"),
        ("l_max = 4", "l_max = 2"),
        ("l_max = 3", "l_max = 2"),
    ):
        assert before in text
        text = text.replace(before, after)
    (own / "fit.toml").write_text(text, encoding="utf-8")


def a_loop(folder: Path) -> None:
    """A small loop of active learning."""
    Folder(folder).write(rounds=1).rename(folder / "CONFIG.toml")


def a_folder(folder: Path) -> None:
    """Nothing: what is run needs no file."""
