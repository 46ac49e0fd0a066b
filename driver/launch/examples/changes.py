"""What a copy of a shipped input may be changed in: its steps, its beads, its temperature."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path

from ....runs.input.elements import InputError
from ....runs.input.nuclei import covariance_of
from ....runs.input.run_input import RunInput
from ....runs.input.tolerance import DRIFT

STEPS = re.compile(r"(?<=<total_steps>)[^<]*")
BEADS = re.compile(r"(<initialize[^>]*\bnbeads=)'\d+'")
TEMPERATURES = re.compile(r"(<(?:temperature|velocities mode='thermal') units='kelvin'>)[^<]*")
COMMENT = re.compile(r"\n *<!--.*?-->", re.DOTALL)
OF_PLUMED = re.compile(r"(?<=\bTEMP=)[^\s#]+")
WHERE = {  # what to change in a file of one's own
    "steps": "<total_steps>",
    "beads": "nbeads of <initialize>",
    "temperature": "<temperature>, and <velocities> of <initialize>",
}


@dataclass(frozen=True)
class Changes:
    """What shall be another than in the shipped input; None for what stays.

    Parameters
    ----------
    steps : int or None
        Step where the run ends.
    beads : int or None
        Of every system.
    temperature : float or None
        In K: that of the ensemble, of the first velocities, and of PLUMED.
    """

    steps: int | None = None
    beads: int | None = None
    temperature: float | None = None

    @property
    def given(self) -> dict[str, str]:
        """What is changed, as words of the command line by the name of the option."""
        values = {one.name: getattr(self, one.name) for one in fields(self)}
        return {name: f"{value:.10g}" for name, value in values.items() if value is not None}

    def refuse_for(self, source: Path) -> None:
        """Refuse changes of an input that is not shipped: it is run as it stands.

        Raises
        ------
        InputError
            If anything is changed.
        """
        for name in self.given:
            raise InputError(
                f"--{name} is for shipped inputs, of which a copy is changed; '{source}' is run as it stands: change "
                f"{WHERE[name]} in it"
            )

    def apply(self, copy: Path) -> None:
        """Change a copied input, and the files of PLUMED beside it.

        Parameters
        ----------
        copy : Path
            The copy of a shipped input, in a folder of its own.

        Raises
        ------
        InputError
            If the input is not for so many beads.
        """
        if not self.given:
            return
        run = RunInput.read(copy)
        if self.beads is not None:
            _check_beads(run, self.beads)
        self._check_noise(run)
        copy.write_text(self._changed(copy.read_text()))
        if self.temperature is not None:
            for file in copy.parent.glob("*.dat"):
                file.write_text(OF_PLUMED.sub(self.given["temperature"], file.read_text()))

    def _check_noise(self, run: RunInput) -> None:
        """Thermostats of colored noise are for one number of beads at one temperature."""
        changed = [name for name in ("beads", "temperature") if name in self.given]
        thermostats = [one.find("motion/dynamics/thermostat") for one in run.root.iter("system")]
        if changed and any(covariance_of(one) is not None for one in thermostats):
            own = run.systems[0]
            raise InputError(
                f"--{changed[0]} {self.given[changed[0]]} for '{run.prefix}', whose thermostats were made for "
                f"{own.beads} beads at {own.temperature:g} K; `beadwise nuclei INPUT --by piglet` makes others"
            )

    def _changed(self, text: str) -> str:
        for name, pattern, make in _places():
            if name in self.given:
                text = pattern.sub(make(self.given[name]), text)
        if self.beads is not None or self.temperature is not None:  # it was measured with those of the shipped input
            text = COMMENT.sub(lambda found: "" if DRIFT.search(found[0]) else found[0], text)
        options = " ".join(f"{name} {value}" for name, value in self.given.items())
        return f"<!-- Changed: {options}. What is said below is of the shipped input. -->\n{text}"


def _places() -> Iterator[tuple[str, re.Pattern[str], Callable[[str], str]]]:
    """What is replaced for each change."""
    yield "steps", STEPS, lambda value: f" {value} "
    yield "beads", BEADS, lambda value: rf"\g<1>'{value}'"
    yield "temperature", TEMPERATURES, lambda value: rf"\g<1> {value} "


def _check_beads(run: RunInput, beads: int) -> None:
    own = max(system.beads for system in run.systems)
    if own == 1 < beads:
        raise InputError(
            f"--beads {beads} for '{run.prefix}', whose thermostat and time step are for classical nuclei; allowed is "
            "1, or an input with beads, such as water or pimd_nvt"
        )
    contracted = [
        int(force.get("nbeads", "0")) for one in run.systems for force in one.element.iterfind("forces/force")
    ]
    if beads < max(contracted):
        raise InputError(
            f"--beads {beads} for '{run.prefix}', which evaluates a force on {max(contracted)} beads; allowed are "
            f"{max(contracted)} or more"
        )
