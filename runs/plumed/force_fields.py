"""The ``<ffplumed>`` of an i-PI input: their PLUMED inputs, where they act, and whether PLUMED is told of the steps."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

from ...suggestions import did_you_mean
from ..input.elements import InputError, integer_attribute, integer_in, text_in, words
from ..input.force_components import force_field_of
from ..input.run_input import RunInput
from .input import PlumedInput, read_plumed_input


@dataclass(frozen=True)
class PlumedUse:
    """One ``<force>`` of a ``<bias>`` that an ``<ffplumed>`` answers.

    Parameters
    ----------
    system : int
        Which system it is in, in the order of `systems_of`.
    beads : int
        Beads that it is evaluated on; 1 is the centroid, 0 all.
    """

    system: int
    beads: int


@dataclass(frozen=True)
class PlumedForceField:
    """One ``<ffplumed>``.

    Parameters
    ----------
    name : str
    folder : Path
        Where i-PI and PLUMED run.
    path : Path
        The PLUMED input, ``<plumed_dat>``.
    step : int
        Steps that PLUMED has been told of, ``<plumed_step>``: 0 unless it is a RESTART.
    extras : tuple of str
        What it hands to i-PI, ``<plumed_extras>``.
    is_updated : bool
        Whether an ``<smotion>`` tells PLUMED of every step: without, nothing is deposited and no file written.
    uses : tuple of PlumedUse
        Where it acts.
    """

    name: str
    folder: Path
    path: Path
    step: int
    extras: tuple[str, ...]
    is_updated: bool
    uses: tuple[PlumedUse, ...]

    def read(self) -> PlumedInput:
        """Read its PLUMED input.

        Raises
        ------
        InputError
            If it cannot be read.
        """
        return read_plumed_input(self.path, self.folder)


def plumed_force_fields(run: RunInput) -> list[PlumedForceField]:
    """All ``<ffplumed>`` of an i-PI input or RESTART.

    Parameters
    ----------
    run : RunInput

    Raises
    ------
    InputError
        If a number in it is none.
    """
    updated = {name for element in run.root.iter("metaff") for name in words(element.text)}
    found = []
    for element in run.root.iter("ffplumed"):
        name = element.get("name", "").strip()
        _check_tags(element, name)
        found.append(
            PlumedForceField(
                name=name,
                folder=run.folder,
                path=run.folder / text_in(element, "plumed_dat", "plumed.dat"),
                step=integer_in(element, "plumed_step", 0),
                extras=tuple(words(element.findtext("plumed_extras"))),
                is_updated=name in updated,
                uses=tuple(_uses(run, name)),
            )
        )
    return found


def _check_tags(element: ElementTree.Element, name: str) -> None:
    """Refuse tags that i-PI does not read there, as <plumeddat> of older versions: what they name would be missed."""
    from ipi.inputs.forcefields import InputFFPlumed  # takes long to import

    for tag in (child.tag for child in element):
        if tag not in InputFFPlumed.fields:
            allowed = ", ".join(InputFFPlumed.fields)
            hint = did_you_mean(str(tag), InputFFPlumed.fields)
            raise InputError(f"<{tag}> is no tag of <ffplumed> '{name}'; allowed are {allowed}{hint}")


def _uses(run: RunInput, name: str) -> list[PlumedUse]:
    return [
        PlumedUse(system.number, integer_attribute(force, "nbeads", 0, least=0))
        for system in run.systems
        for force in system.element.iterfind("ensemble/bias/force")
        if force_field_of(force) == name
    ]
