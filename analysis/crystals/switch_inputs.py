"""Ready i-PI inputs of the λ that an integration from a harmonic crystal needs."""

from __future__ import annotations

import os
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ...model.crystals.reference import HarmonicReference
from ...model.crystals.sites import Sites
from ...properties.quantities import SWITCH_COUPLING, SWITCH_DIFFERENCE
from ...runs.input.atoms import SAME_MASS
from ...runs.input.elements import InputError, boolean_in, words
from ...runs.input.force_components import weight_of
from ...runs.input.named_model import name_model
from ...runs.input.run_input import RunInput, System
from ..mass.masses import DALTON, without_template
from ..prepared_inputs import renamed_copy, write_input

NAMED_HERE = ("model", "want")  # parameters of an <ffdirect>
RARELY = 10  # samples of V − V_har for each of λ, which does not change


def prepare_inputs(
    run: RunInput,
    file: Path,
    couplings: Sequence[float],
    beads: int | None = None,
    model: str | None = None,
    stride: int = 10,
    called: str = "",
) -> list[Path]:
    """Write an input for each λ beside an i-PI input, whose server blends potential and harmonic crystal.

    Parameters
    ----------
    run : RunInput
        Of the crystal in the cell of the reference, at constant volume.
    file : Path
        Of the harmonic crystal.
    couplings : sequence of float
        λ of each input.
    beads : int, optional
        Of each run; by default those of the input.
    model : str, optional
        The potential; by default what the reference was made with, by the same name.
    stride : int
        Steps between samples.
    called : str
        What inputs call the file of the harmonic crystal, as seen from where they run; by default as it is given.

    Returns
    -------
    list of Path
        The inputs, ``INPUT_l0.33001.xml``, which name their model.

    Raises
    ------
    BeadwiseError
        If the input or the harmonic crystal cannot be used, or they do not belong together.
    """
    if not os.path.isfile(file):
        raise InputError(f"no file '{file}', of the harmonic crystal; `beadwise harmonic` writes one")
    reference = HarmonicReference.load(file)
    system = without_template(run)
    _check(run, system, reference, file)
    if (beads or system.beads) > 1:  # what is classical has one distribution of positions whatever the masses
        check_masses(system.atoms.masses / DALTON, run.path, reference, file)
    written = []
    for number, coupling in enumerate(couplings):
        path, root = renamed_copy(run, f"_l{coupling:.5f}", number)
        initialize = root.findall("system/initialize")[0]
        if beads is not None:
            initialize.set("nbeads", str(beads))
        blend = f"switch:lambda={coupling:.12g},{called or file},{model or reference.model}"
        name_model(root, blend)
        _set_in_process(root, blend)
        _add_outputs(root, stride)
        written.append(write_input(path, root))
    return written


def _check(run: RunInput, system: System, reference: HarmonicReference, file: Path) -> None:
    """Refuse an input that is not of this crystal, or cannot be blended."""
    source = run.path
    if system.element.find("initialize") is None:
        raise InputError(f"'{source}' has no <initialize>, where beads are set; the input of a new run is needed")
    if system.dynamics is None or not system.has_constant_volume or system.ensemble.field:
        raise InputError(
            f"'{source}' is no dynamics at constant volume without a field; a harmonic crystal belongs to one cell"
        )
    refuse_fixed_atoms(system)
    check_force(run, system)
    sites = Sites(reference)
    sites.check_atoms(run.numbers)
    sites.check_cells(system.cell[None])
    motion = system.element.find("motion")
    if not reference.floats and motion is not None and boolean_in(motion, "fixcom", True):
        raise InputError(
            f"'{source}' holds the centre of mass, but the atoms of '{file}' are held from outside, where it moves; "
            "put <fixcom> False </fixcom> into its <motion>"
        )


def check_force(run: RunInput, system: System) -> None:
    """Refuse an input whose potential is not that of one model of beadwise.

    Raises
    ------
    InputError
        If it has several forces, one of another weight than 1, one that beadwise does not serve, or a bias.
    """
    forces = system.element.findall("forces/force")
    asked = {socket.owner for socket in run.sockets} | {one.name for one in run.others if one.python_file}
    if len(forces) != 1 or not system.force_fields & asked or system.biases:
        raise InputError(
            f"'{run.path}' has {len(forces)} forces, {len(asked)} force fields of beadwise and the bias "
            f"{list(system.biases)}; one <force> that asks an <ffsocket>, or an <ffdirect> with beadwise's shim, is "
            "needed, and no bias"
        )
    if (weight := weight_of(forces[0])) != 1:
        raise InputError(f"the <force> of '{run.path}' has the weight {weight:g}; 1 is needed")


def check_masses(masses: np.ndarray, source: Path, reference: HarmonicReference, file: Path) -> None:
    """Refuse other isotopes than the harmonic crystal has.

    Parameters
    ----------
    masses : ndarray of float64, shape (atoms,)
        In u.
    source : Path
        Where they are from, for messages.
    reference : HarmonicReference
    file : Path
        Of the harmonic crystal.

    Raises
    ------
    InputError
        Naming the atom that differs most.
    """
    if len(masses) != len(reference.masses):
        raise InputError(f"'{source}' has {len(masses)} masses; '{file}' has {len(reference.masses)}")
    ratios = masses / reference.masses
    if not np.abs(ratios - 1).max() <= SAME_MASS:
        atom = int(np.abs(ratios - 1).argmax())
        raise InputError(
            f"atom {atom} of '{source}' has {ratios[atom]:g} times the mass that it has in '{file}'; the same "
            "isotopes are needed where there are beads"
        )


def refuse_fixed_atoms(system: System) -> None:
    """Refuse a system that i-PI holds some atoms of, while all vibrate in a harmonic crystal.

    Raises
    ------
    InputError
        Naming the element of its input.
    """
    for name in ("fixatoms", "fixatoms_dof"):
        if any(words(element.text) for element in system.element.iterfind(f"motion//{name}")):
            raise InputError(
                f"'{system.run.path}' holds atoms by <{name}>; all atoms of a harmonic crystal move, and have to "
                "in its runs"
            )


def models_in_process(root: ElementTree.Element) -> list[str]:
    """Models that ``<ffdirect>`` of an input name, as ``--model`` takes them."""
    entries = [
        entry for own in root.iterfind("ffdirect/parameters") for entry in (own.text or "").strip(" {}\n").split(",")
    ]
    parts = (entry.partition(":")[::2] for entry in entries)
    return [value.strip().replace(";", ",") for key, value in parts if key.strip() == "model"]


def _set_in_process(root: ElementTree.Element, blend: str) -> None:
    """Name the model, and what i-PI reads of it, in the ``<parameters>`` of an ``<ffdirect>``."""
    for parameters in root.iterfind("ffdirect/parameters"):
        entries = [entry.strip() for entry in (parameters.text or "").strip().strip("{}").split(",")]
        parts = [[part.strip() for part in entry.partition(":")[::2]] for entry in entries if entry]
        kept = [entry for entry, (key, _) in zip(filter(None, entries), parts, strict=True) if key not in NAMED_HERE]
        wanted = [name for key, value in parts if key == "want" for name in value.strip("'\"").split("+")]
        wanted = list(dict.fromkeys([*filter(None, map(str.strip, wanted)), SWITCH_DIFFERENCE, SWITCH_COUPLING]))
        # i-PI parts parameters at commas, so a semicolon stands in place of one
        named = [f"model: {blend.replace(',', ';')}", f"want: {'+'.join(wanted)}"]
        parameters.text = f" {{{', '.join([*kept, *named])}}} "


def _add_outputs(root: ElementTree.Element, stride: int) -> None:
    """Let i-PI write V − V_har of all beads into one file, and λ into another one.

    In one file i-PI would write numbers that are one for each bead extra by extra, and not bead by bead.
    """
    output = root.find("output")
    if output is None:
        output = ElementTree.SubElement(root, "output", {"prefix": "i-pi"})
    for name, steps in ((SWITCH_DIFFERENCE, stride), (SWITCH_COUPLING, RARELY * stride)):
        trajectory = ElementTree.SubElement(
            output, "trajectory", {"filename": name, "stride": str(steps), "extra_type": name}
        )
        trajectory.text = " extras_component_raw(0) "
        trajectory.tail = "\n  "
