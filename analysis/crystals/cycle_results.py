"""What commands wrote of one crystal as JSON, and whether it belongs to the crystal."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...model.crystals.reference import CrystalError, HarmonicReference
from ...reading import json_of, refusing, shown
from ...runs.input.elements import InputError
from ..results import GIBBS, LAMBDA_INTEGRATION, MASS_INTEGRATION, PROMOTE
from .switch_inputs import check_masses

SAME_TEMPERATURE = 1e-4  # K
SAME_VOLUME = 1e-6  # relative; files hold all digits
FOLDERS = re.compile(r"[^\s,;:=+*()]*/")


@dataclass(frozen=True)
class Result:
    """One result, of all atoms.

    Parameters
    ----------
    what : str
        For messages: the file, and what it is of which crystal.
    content : mapping of str
        All of the JSON.
    difference, standard_error : float
        In eV, finite.
    """

    what: str
    content: Mapping[str, Any]
    difference: float
    standard_error: float

    @property
    def beads(self) -> int:
        """Beads of its runs."""
        return int(self.number("beads"))

    def number(self, key: str) -> float:
        """A finite number of the content.

        Raises
        ------
        CrystalError
            If there is none.
        """
        with refusing(CrystalError, f"{self.what} cannot be used"):
            return _finite(self.content, key)


class Results:
    """Results of commands that belong to one crystal at one temperature.

    Parameters
    ----------
    source : Path
        The file that names them, relative to itself.
    harmonic : str
        Name of the file of the harmonic crystal.
    reference : HarmonicReference
    temperature : float
        In K.
    """

    def __init__(self, source: Path, harmonic: str, reference: HarmonicReference, temperature: float):
        self._source, self._harmonic, self._reference = source, harmonic, reference
        self._temperature = temperature
        self.warnings: list[str] = []

    def anharmonic(self, name: str) -> Result | None:
        """That of runs over λ between this harmonic crystal and its potential.

        Raises
        ------
        CrystalError
            As of all results here: if it cannot be read, is of another command, other atoms or another temperature, or
            does not belong to the crystal otherwise.  None where no file is named.
        """
        found = self._read(name, "anharmonic", LAMBDA_INTEGRATION)
        if found is None:
            return None
        needed = (Path(self._harmonic).name, FOLDERS.sub("", self._reference.model))
        with refusing(CrystalError, f"{found.what} cannot be used"):
            blends = [str(run.get("model") or "") for run in found.content.get("runs") or []]
        self._check_isotopes(found, name, found.beads > 1)
        for blend in filter(None, blends):
            file, _, model = FOLDERS.sub("", blend).partition(",")[2].partition(",")
            if (file.strip(), model.strip()) != needed:
                raise CrystalError(
                    f"'{self._source}': the runs over λ switched on '{shown(blend)}', and the harmonic crystal is "
                    f"{needed[0]} of {needed[1]}"
                )
        return found

    def quantum(self, name: str) -> Result | None:
        """That of integration over the mass at constant volume."""
        found = self._read(name, "quantum", MASS_INTEGRATION)
        self._check_isotopes(found, name, True)
        return self._at_constant_volume(found, "is needed")

    def promotion(self, name: str, at_constant_pressure: bool) -> Result | None:
        """That from the model to the reference; of runs at constant pressure only if the sum is of G."""
        found = self._read(name, "reference", PROMOTE)
        self._check_isotopes(found, name, found is not None and found.beads > 1)
        return (
            found if at_constant_pressure else self._at_constant_volume(found, "is needed where there is no pressure")
        )

    def pressure(self, name: str) -> Result | None:
        """That from the volume of this harmonic crystal to constant pressure."""
        found = self._read(name, "pressure", GIBBS)
        if found is not None:
            found.number("pressure")
            self._check_isotopes(found, name, found.beads > 1)
            volume, needed = found.number("volume"), float(abs(np.linalg.det(self._reference.cell)))
            if not abs(volume - needed) <= SAME_VOLUME * needed:
                raise CrystalError(
                    f"{found.what} is from a volume of {volume:.6g} Å³; the harmonic crystal has {needed:.6g} Å³"
                )
        return found

    def _read(self, name: str, key: str, made_by: str) -> Result | None:
        if not name:
            return None
        path = self._source.parent / name
        what = f"'{path}', the {key} of '{self._source}',"
        with refusing(CrystalError, f"{what} cannot be read"):
            content = json_of(path.read_bytes())
            command = content.get("made_by") if isinstance(content, Mapping) else None
            if command != made_by:
                raise CrystalError(
                    f"{what} is a result of {shown(command or 'no command that it names')}; one of {made_by} --json is "
                    "needed"
                )
            own = content["promotion"] if made_by == PROMOTE else content
            temperature, atoms = _finite(own, "temperature"), _finite(content, "atoms")
            self.warnings += [f"{path.name}: {shown(text)}" for text in content.get("warnings") or []]
        if abs(temperature - self._temperature) > SAME_TEMPERATURE or atoms != len(self._reference.numbers):
            raise CrystalError(
                f"{what} is of {atoms:g} atoms at {temperature:g} K; {len(self._reference.numbers)} atoms at "
                f"{self._temperature:g} K are needed, as in the harmonic crystal"
            )
        with refusing(CrystalError, f"{what} has no difference with its error"):
            numbers = content.get("acceptance_ratio") or own
            return Result(what, content, _finite(numbers, "difference"), _finite(numbers, "standard_error"))

    def _check_isotopes(self, found: Result | None, name: str, is_quantum: bool) -> None:
        """Refuse quantum nuclei of other masses; results of earlier releases say none."""
        if found is None or not is_quantum or not found.content.get("masses"):
            return
        with refusing(CrystalError, f"{found.what} cannot be used"):
            masses = np.ravel(np.array(found.content["masses"], dtype=np.float64))
        try:
            check_masses(masses, self._source.parent / name, self._reference, Path(self._harmonic))
        except InputError as error:
            raise CrystalError(str(error)) from error

    def _at_constant_volume(self, found: Result | None, needed: str) -> Result | None:
        if found is not None and found.content.get("free_energy") != "A":
            raise CrystalError(
                f"{found.what} is a difference of {shown(found.content.get('free_energy'))}; one of A, at the constant "
                f"volume of the harmonic crystal, {needed}"
            )
        return found


def check_beads(result: Result | None, beads: int, is_quantum: bool) -> None:
    """Refuse a result of other nuclei than the sum has.

    Parameters
    ----------
    result : Result or None
    beads : int
        Of the runs over λ.
    is_quantum : bool
        Whether integration over the mass made nuclei quantum after classical runs; then any number above 1 will do.

    Raises
    ------
    CrystalError
        If the number of beads is another one.
    """
    if result is None:
        return
    own = result.beads
    if not (own > 1 if is_quantum else own == beads):
        needed = "those of a path integral" if is_quantum else f"{beads}, as over λ," if beads > 1 else "1, classical,"
        raise CrystalError(f"{result.what} has runs of {own} beads; {needed} are needed in this sum")


def _finite(content: Mapping[str, Any], key: str) -> float:
    value = float(content[key])
    if not math.isfinite(value):
        raise ValueError(f"{key} is {value}")
    return value
