"""Ready i-PI inputs of the scaled masses that an integration over the mass needs."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ...runs.input.elements import InputError
from ...runs.input.run_input import RunInput
from ...runs.output.bead_forces import FORCES
from ...runs.output.positions import OF_BEADS, writes_of_beads
from ...runs.output.properties import writes_property
from ..prepared_inputs import renamed_copy, write_input
from .control import Control
from .masses import DALTON, KINETIC_ENERGY, isotopes_of_masses, labels_and_masses, without_template


def prepare_inputs(run: RunInput, ratios: Sequence[float], harmonic: Path | None = None) -> list[Path]:
    """Write an input for each y beside an i-PI input, with all masses m/y².

    ``<masses mode='manual'>`` at the end of ``<initialize>`` sets them: i-PI takes masses from the labels of the
    structure, or from its column ``masses``, and what comes last in ``<initialize>`` wins.  Outputs and unix sockets
    get names of their own, and each run random numbers of its own, so that the runs do not disturb each other.

    Parameters
    ----------
    run : RunInput
        i-PI input of the physical masses.
    ratios : sequence of float
        y of each input, 0 < y ≤ 1.
    harmonic : Path, optional
        Harmonic crystal of the input: then runs write positions and forces of all beads, as its control variate needs.

    Returns
    -------
    list of Path
        The inputs, ``INPUT_y0.5000.xml``.

    Raises
    ------
    BeadwiseError
        If the input cannot be used, is of another crystal, or a file exists already or cannot be written.
    """
    system, source = without_template(run), run.path
    if system.element.find("initialize") is None:
        raise InputError(f"'{source}' has no <initialize>, where masses are set; the input of a new run is needed")
    if system.element.find("initialize/masses") is not None:
        raise InputError(f"'{source}' sets <masses> already; an input with the masses of its labels is needed")
    if system.beads < 2:
        raise InputError(f"'{source}' has one bead; a quantum kinetic energy needs those of a path integral")
    if not writes_property(system, KINETIC_ENERGY):
        raise InputError(
            f"'{source}' writes no {KINETIC_ENERGY}; add to its <output> <properties filename='out' stride='10'> "
            f"[ step, {KINETIC_ENERGY}{{electronvolt}} ] </properties>"
        )
    labels, masses = labels_and_masses(run)
    isotopes = isotopes_of_masses(labels, masses)
    if not isotopes:
        raise InputError(
            f"'{source}' starts with masses that are those of no isotopes; an input with the masses of its labels, or "
            "of isotopes, is needed"
        )
    named = () if isotopes == labels else isotopes
    missing = {} if harmonic is None else missing_outputs(run, Control.read(harmonic))
    return [_write(run, n, ratio, masses / DALTON / ratio**2, named, missing) for n, ratio in enumerate(ratios)]


def _write(
    run: RunInput, number: int, ratio: float, masses: np.ndarray, labels: Sequence[str], missing: Mapping[str, int]
) -> Path:
    """Write the input of one y, with its number; masses in u, and labels if they are not those of the structure."""
    path, root = renamed_copy(run, f"_y{ratio:.4f}", number)
    if labels:  # a RESTART keeps masses and labels, and only by these it tells heavy hydrogen from a scaled mass
        _add(root.findall("system/initialize")[0], "labels", labels, {})
    add_masses(root, masses)
    for keyword, stride in missing.items():
        attributes = {"filename": keyword, "stride": str(stride), "format": "ase"}
        trajectory = ElementTree.SubElement(root.findall("output")[0], "trajectory", attributes)
        trajectory.text, trajectory.tail = f" {keyword}{{ase}} ", "\n  "
    return write_input(path, root)


def missing_outputs(run: RunInput, control: Control) -> dict[str, int]:
    """What a control variate needs and an input does not write, with the stride of its kinetic energy.

    Raises
    ------
    BeadwiseError
        If the input is of another crystal.
    """
    control.check(run)
    system = run.only_system()
    rows = [own for own in system.properties_outputs if {"step", KINETIC_ENERGY} <= set(own.properties)]
    stride = min(own.stride for own in rows)
    return {keyword: stride for keyword in (OF_BEADS, FORCES) if not writes_of_beads(system, keyword)}


def add_masses(root: ElementTree.Element, masses: np.ndarray) -> None:
    """Set the masses of an input, in u, whatever stands before them in ``<initialize>``."""
    _add(root.findall("system/initialize")[0], "masses", [f"{mass:.10g}" for mass in masses], {"units": "dalton"})


def _add(initialize: ElementTree.Element, tag: str, entries: Sequence[str], attributes: dict[str, str]) -> None:
    element = ElementTree.SubElement(initialize, tag, {"mode": "manual", **attributes})
    element.text = f" [ {', '.join(entries)} ] "
    element.tail = "\n    "
