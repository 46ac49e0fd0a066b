"""The ``<ffplumed>`` of an i-PI input: their PLUMED inputs, where they act, and whether PLUMED is told of the steps."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

from ..input.elements import InputError, integer_attribute, systems_of, words
from ..input.force_components import force_field_of
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


def plumed_force_fields(root: ElementTree.Element, folder: Path) -> list[PlumedForceField]:
    """All ``<ffplumed>`` of an i-PI input or RESTART.

    Parameters
    ----------
    root : Element
        ``<simulation>``.
    folder : Path
        Where i-PI runs.

    Raises
    ------
    InputError
        If a number in it is none.
    """
    updated = {name for element in root.iter("metaff") for name in words(element.text)}
    found = []
    for element in root.iter("ffplumed"):
        name = element.get("name", "").strip()
        found.append(
            PlumedForceField(
                name=name,
                folder=folder,
                path=folder / (element.findtext("plumed_dat") or "plumed.dat").strip(),
                step=_step_of(element),
                extras=tuple(words(element.findtext("plumed_extras"))),
                is_updated=name in updated,
                uses=tuple(_uses(root, name)),
            )
        )
    return found


def _step_of(element: ElementTree.Element) -> int:
    text = (element.findtext("plumed_step") or "0").strip()
    try:
        return int(text)
    except ValueError:
        raise InputError(f"<plumed_step> of <ffplumed> is '{text}'; an integer is needed") from None


def _uses(root: ElementTree.Element, name: str) -> list[PlumedUse]:
    return [
        PlumedUse(number, integer_attribute(force, "nbeads", 0, least=0))
        for number, system in enumerate(systems_of(root))
        for force in system.iterfind("ensemble/bias/force")
        if force_field_of(force) == name
    ]
