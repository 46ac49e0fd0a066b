"""Runs of i-PI whose atoms all have their masses times the same factor: writing their inputs, telling the factor."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from ipi.utils.io.inputs.io_xml import read_array
from ipi.utils.units import Elements, unit_to_internal

from .input_quantities import unit_of
from .input_species import labels_of_run
from .ipi_input import InputError, beads_of, parse
from .run_properties import writes_property
from .system_templates import systems_of

KINETIC_ENERGY = "kinetic_cv"
ALIKE = 1e-5  # relative; masses in files are rounded
SUFFIX = ".xml"


def prepare_inputs(source: Path, ratios: Sequence[float]) -> list[Path]:
    """Write an input for each y beside an i-PI input, with all masses m/y².

    ``<masses mode='manual'>`` at the end of ``<initialize>`` sets them: i-PI takes masses from the labels of the
    structure, and what comes last in ``<initialize>`` wins.  Outputs and unix sockets get names of their own, so that
    the runs do not disturb each other.

    Parameters
    ----------
    source : Path
        i-PI input of the physical masses.
    ratios : sequence of float
        y of each input, 0 < y ≤ 1.

    Returns
    -------
    list of Path
        The inputs, ``INPUT_y0.5000.xml``.

    Raises
    ------
    InputError
        If the input cannot be used, or a file exists already or cannot be written.
    """
    system = _system_of(parse(source), source)
    if system.find("initialize") is None:
        raise InputError(f"'{source}' has no <initialize>, where masses are set; the input of a new run is needed")
    if system.find("initialize/masses") is not None:
        raise InputError(f"'{source}' sets <masses> already; an input with the masses of its labels is needed")
    if beads_of(system) < 2:
        raise InputError(f"'{source}' has one bead; a quantum kinetic energy needs those of a path integral")
    if not writes_property(source, KINETIC_ENERGY):
        raise InputError(
            f"'{source}' writes no {KINETIC_ENERGY}; add to its <output> <properties filename='out' stride='10'> "
            f"[ step, {KINETIC_ENERGY}{{electronvolt}} ] </properties>"
        )
    masses = standard_masses(labels_of_run(source, source.parent)) / float(unit_to_internal("mass", "dalton", 1.0))
    return [_write(source, ratio, masses / ratio**2) for ratio in ratios]


def root_mass_ratio(source: Path) -> float:
    """Tell y of a run: the square root of the mass that its labels stand for, over that of the run.

    Parameters
    ----------
    source : Path
        i-PI input or RESTART.

    Raises
    ------
    InputError
        If it has no masses that can be read, or they are not scaled alike.
    """
    system = _system_of(parse(source), source)
    labels = labels_of_run(source, source.parent)
    standard = standard_masses(labels)
    element = system.find("beads/m")
    if element is None:
        found = system.findall("initialize/masses")
        if any(one.get("mode", "").strip() != "manual" or one.get("index", "-1").strip() != "-1" for one in found):
            raise InputError(
                f"'{source}' sets <masses> in a way that is not read here; allowed is mode='manual' for all"
            )
        element = found[-1] if found else None
    if element is None:
        return 1.0
    try:
        masses = read_array(float, element.text or "") * unit_of(element, "mass", source)
    except ValueError:
        raise InputError(f"the masses in '{source}' are no list of numbers, [ …, … ]") from None
    if len(masses) != len(labels) or not (np.isfinite(masses) & (masses > 0)).all():
        raise InputError(f"'{source}' has {len(masses)} masses for {len(labels)} atoms; each needs one above 0")
    squares = standard / masses
    if np.ptp(squares) > ALIKE * squares.mean():
        atom = int(np.abs(squares / np.median(squares) - 1).argmax())
        raise InputError(
            f"atom {atom}, {labels[atom]}, of '{source}' has the mass of its label times {1 / squares[atom]:g}, others "
            f"times {1 / np.median(squares):g}; the masses of all atoms must be scaled alike"
        )
    ratio = float(np.sqrt(squares.mean()))
    return 1.0 if abs(ratio - 1) < ALIKE else ratio


def standard_masses(labels: Sequence[str]) -> np.ndarray:
    """Masses that i-PI gives to labels, in its own unit, shape (atoms,)."""
    return np.array([Elements.mass(label) for label in labels], dtype=np.float64)


def _system_of(root: ElementTree.Element, source: Path) -> ElementTree.Element:
    systems = list(systems_of(root))
    if len(systems) != 1 or root.find("system") is None:
        raise InputError(f"'{source}' has {len(systems)} systems; a run of one, without a template, is needed")
    return systems[0]


def _write(source: Path, ratio: float, masses: np.ndarray) -> Path:
    """Write the input of one y; masses in u."""
    suffix = f"_y{ratio:.4f}"
    path = source.with_name(f"{source.name.removesuffix(SUFFIX)}{suffix}{SUFFIX}")
    if path.exists():
        raise InputError(f"'{path}' exists already; remove it, or use it")
    builder = ElementTree.TreeBuilder(insert_comments=True)
    root = ElementTree.parse(source, ElementTree.XMLParser(target=builder)).getroot()
    element = ElementTree.SubElement(root.findall("system/initialize")[0], "masses", mode="manual", units="dalton")
    element.text = f" [ {', '.join(f'{mass:.10g}' for mass in masses)} ] "
    element.tail = "\n    "
    output = root.find("output")
    if output is not None:
        output.set("prefix", output.get("prefix", "i-pi") + suffix)
    for socket in root.iter("ffsocket"):
        address = socket.find("address")
        if socket.get("mode", "inet").strip() != "inet" and address is not None:
            address.text = f" {(address.text or '').strip()}{suffix} "
    try:
        ElementTree.ElementTree(root).write(path, encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot write '{path}': {error.strerror}") from error
    return path
