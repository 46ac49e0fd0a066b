"""The i-PI input whose run samples centroids, the mean force on them and the classical force there.

An elevated temperature keeps the centroids of stretches where the curvature problem of centroid dynamics does not reach
them: F. Musil, I. Zaporozhets, F. Noé, C. Clementi, V. Kapil, J. Chem. Phys. 157, 181102 (2022).
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

from ...runs.input.elements import InputError
from ...runs.input.force_components import weight_of
from ...runs.input.force_fields import SOCKETS
from ...runs.input.run_input import RunInput, System
from ..prepared_inputs import renamed_copy, write_input

SUFFIX = "_pigs"
COLDEST, HOTTEST = 400.0, 800.0  # K; beyond them there is a warning
TIMESTEP = 0.25  # fs: hydrogen, and the springs of 16 beads at 500 K
EQUILIBRATION = 0.25  # ps before the first frame that counts
FORCE, LENGTH = "ev/ang", "angstrom"
CENTROID, MEAN_FORCE, CLASSICAL_FORCE = "x_centroid", "f_centroid", "forces_component_raw"


@dataclass(frozen=True)
class Sampling:
    """How the centroids are sampled.

    Parameters
    ----------
    temperature : float
        In K.
    beads : int
    frames : int
        How many are written.
    interval : float
        Time between frames, in fs.
    """

    temperature: float = 500.0
    beads: int = 16
    frames: int = 200
    interval: float = 25.0

    @property
    def stride(self) -> int:
        """Steps between frames."""
        return max(round(self.interval / TIMESTEP), 1)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What speaks against the temperature."""
        if self.temperature < COLDEST:
            return (
                f"centroids at {self.temperature:g} K: below {COLDEST:g} K the ring polymers of stretches spread along "
                "curved paths, and the fitted force shifts their bands to the red (the curvature problem); 500 K is "
                "usual",
            )
        if self.temperature > HOTTEST:
            return (
                f"centroids at {self.temperature:g} K: above {HOTTEST:g} K little of the quantum nuclei is left in the "
                "force, and the model may not know what it is asked; 500 K is usual",
            )
        return ()


def prepare_input(run: RunInput, sampling: Sampling) -> Path:
    """Write the input beside another one, whose structure, model and cell it keeps.

    Path integrals at constant volume with a PILE-L thermostat, from the structure of the input.  A second force of
    weight 0 on one bead is the classical force at the centroid; i-PI evaluates it for the frames only.

    Parameters
    ----------
    run : RunInput
        Any input of dynamics with one system and one force.
    sampling : Sampling

    Returns
    -------
    Path
        ``INPUT_pigs.xml``.

    Raises
    ------
    InputError
        If the input cannot be used, or the file exists already or cannot be written.
    """
    system = run.only_system()
    force_field = _checked(run, system)
    path, root = renamed_copy(run, SUFFIX, 0)
    _outputs(root, sampling)
    _batches(root, sampling.beads)
    own = _only(root, "system", run)
    _start(_only(own, "initialize", run), sampling)
    for name in ("normal_modes", "ensemble", "motion"):  # made anew
        for element in own.findall(name):
            own.remove(element)
    forces = _only(own, "forces", run)
    for force in forces.findall("force"):
        force.attrib.pop("nbeads", None)  # of as many beads as are sampled
    ElementTree.SubElement(forces, "force", {"forcefield": force_field, "nbeads": "1", "weight": "0"})
    ensemble = ElementTree.SubElement(own, "ensemble")
    _text(ensemble, "temperature", f"{sampling.temperature:g}", units="kelvin")
    _motion(own)
    ElementTree.indent(root)
    return write_input(path, root)


def _checked(run: RunInput, system: System) -> str:
    """Name of the one force field; what cannot be sampled is refused."""
    forces = system.element.findall("forces/force")
    if len(forces) != 1:
        raise InputError(
            f"'{run.path}' has {len(forces)} forces; one is needed, as the classical force on the centroid is that of "
            "a second one"
        )
    force = forces[0]
    # i-PI weighs the mean force, but writes the component as it is: their difference would hold classical force
    if weight_of(force) != 1 or force.find("mts_weights") is not None:
        what = "<mts_weights>" if weight_of(force) == 1 else f"the weight {weight_of(force):g}"
        raise InputError(f"the force of '{run.path}' has {what}; one of weight 1 on a single time step is needed")
    beads = force.get("nbeads", "0").strip()
    if beads not in ("0", str(system.beads)):
        raise InputError(
            f"the force of '{run.path}' is evaluated on {beads} of {system.beads} beads; the mean over all of them is "
            "needed"
        )
    if system.element.find("initialize") is None:
        raise InputError(f"'{run.path}' has no <initialize>; the input of a new run is needed")
    if system.biases or run.root.find("smotion") is not None:
        raise InputError(f"'{run.path}' has a bias; the force on centroids without one is needed")
    return force.get("forcefield", "").strip()


def _only(parent: ElementTree.Element, name: str, run: RunInput) -> ElementTree.Element:
    found = parent.find(name)
    if found is None:
        raise InputError(f"'{run.path}' has no <{name}> of its own; an input that writes it out is needed")
    return found


def _text(parent: ElementTree.Element, tag: str, text: str, **attributes: str) -> None:
    ElementTree.SubElement(parent, tag, attributes).text = f" {text} "


def _outputs(root: ElementTree.Element, sampling: Sampling) -> None:
    """Only what is needed is written."""
    output = root.find("output")
    if output is None:
        output = ElementTree.Element("output", {"prefix": f"i-pi{SUFFIX}"})
        root.insert(0, output)
    for element in list(output):
        output.remove(element)
    properties = "[ step, time{picosecond}, conserved{electronvolt}, temperature{kelvin}, potential{electronvolt} ]"
    _text(output, "properties", properties, filename="out", stride="20")
    frames = {"format": "xyz", "cell_units": LENGTH, "stride": str(sampling.stride)}
    _text(output, "trajectory", f"{CENTROID}{{{LENGTH}}}", filename="centroid", **frames)
    _text(output, "trajectory", f"{MEAN_FORCE}{{{FORCE}}}", filename="force", **frames)
    _text(output, "trajectory", f"{CLASSICAL_FORCE}(1){{{FORCE}}}", filename="classical", **frames)
    _text(output, "checkpoint", "", filename="chk", stride="1000", overwrite="true")
    steps = root.find("total_steps")
    if steps is None:
        steps = ElementTree.SubElement(root, "total_steps")
    steps.text = f" {sampling.frames * sampling.stride + round(1000 * EQUILIBRATION / TIMESTEP)} "


def _batches(root: ElementTree.Element, beads: int) -> None:
    """Batches of all beads.

    What i-PI evaluates itself waits for whole batches, and of the centroid there is one structure.
    """
    for force_field in root:
        batch = force_field.find("batch_size")
        if batch is not None:
            batch.text = f" {beads if force_field.tag in SOCKETS else 1} "


def _start(initialize: ElementTree.Element, sampling: Sampling) -> None:
    initialize.set("nbeads", str(sampling.beads))
    for element in initialize.findall("velocities"):
        initialize.remove(element)
    _text(initialize, "velocities", f"{sampling.temperature:g}", mode="thermal", units="kelvin")


def _motion(system: ElementTree.Element) -> None:
    """Every normal mode has its own Langevin thermostat."""
    motion = ElementTree.SubElement(system, "motion", {"mode": "dynamics"})
    dynamics = ElementTree.SubElement(motion, "dynamics", {"mode": "nvt", "splitting": "baoab"})
    _text(dynamics, "timestep", f"{TIMESTEP:g}", units="femtosecond")
    thermostat = ElementTree.SubElement(dynamics, "thermostat", {"mode": "pile_l"})
    _text(thermostat, "tau", "100", units="femtosecond")
    _text(thermostat, "pile_lambda", "1.0")
