"""From the files of a run to what its report holds, read again and again while it goes on."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any

from ...errors import BeadwiseError
from ...json_text import plain
from ...runs.input.nuclei import is_colored
from ...runs.input.run_input import RunInput, System
from ...runs.input.tolerance import allowed_drift
from ...runs.output.alarms import ModelAlarms
from ...runs.output.properties import GrowingProperties
from ..averages.live import LiveAverages
from ..profile.live import LiveProfile, has_profile
from ..profile.samples import ProfileOptions
from ..spectrum.conditions import read_run_conditions
from ..spectrum.kinds import FROM_SERIES
from ..spectrum.live import LiveSpectra, possible_kinds
from ..spectrum.live_dielectric import LiveDielectric
from .citations import citations_of
from .curves import profile_content, spectrum_content
from .drift import has_work_from_outside
from .events import LogMessages, RunEvents, events_file
from .facts import facts_of, input_of, known, last_change, log_of, outputs_of, state_of
from .properties import property_series
from .structure import structure_content
from .uncertainties import uncertainty_series
from .verdicts import verdicts_of
from .versions import versions_here

WITHOUT_THERMOSTAT = ("nve", "eda-nve")
REMARK = "remark"
MOST_SERIES = 24  # of all files together


class RunContent:
    """What a report of a run holds, made of its files; asked again, only what is new in them is read.

    Parameters
    ----------
    run : RunInput
    share : float or None
        Of the time that may go into looking, as a run should not be slowed by it: each part that is costly is made
        again only when that much time has passed.  None to make all of it each time.
    readers : sequence of LiveSpectra, LiveDielectric, LiveProfile and LiveAverages, optional
        What reads the series of the run already; by default all spectra and profiles that it writes series for.
    most_bytes : float
        Of a file that is read as a whole for what the model said of itself, and for frames.
    window : float or None
        Of spectra that are read here, in fs; None for one that suits the length of the run.
    remark : str
        What must be said of how the run was found.
    """

    def __init__(
        self,
        run: RunInput,
        share: float | None = None,
        readers: Sequence[LiveSpectra | LiveDielectric | LiveProfile | LiveAverages] | None = None,
        most_bytes: float = math.inf,
        window: float | None = None,
        remark: str = "",
    ):
        self.run = run
        self._share = share
        self._is_patient = share is None
        self._system: System | None = run.systems[0] if run.systems else None
        self._failures: dict[str, str] = {REMARK: remark} if remark else {}
        self._made: dict[str, tuple[float, float, Any, Any]] = {}  # when, how long it took, of what, and what it was
        timestep = None if self._system is None else known(lambda: self._system.timestep)  # type: ignore[union-attr]
        names = known(lambda: run.property_files) or ()
        self._properties = [GrowingProperties(run.folder / name, timestep) for name in names]
        self._log = LogMessages(log_of(run))
        self._events = RunEvents(events_file(run))
        self._facts = facts_of(run, self._system)
        self._input = input_of(run)
        self._outputs = outputs_of(run, self._system)
        self._most_bytes = most_bytes
        if readers is None:
            self._spectra = self._begin("spectra", lambda: _live_spectra(run, window))
            self._profile = self._begin("profile", lambda: _live_profile(run))
        else:
            self._spectra = next((one for one in readers if isinstance(one, LiveSpectra)), None)
            self._profile = next((one for one in readers if isinstance(one, LiveProfile)), None)
        self._alarms = self._begin("uncertainties", lambda: self._system and ModelAlarms(self._system, most_bytes))

    def read(self, state: tuple[str, str] | None = None, everything: bool = False) -> dict[str, Any]:
        """All that the files hold now; nothing that is in them is an error.

        Parameters
        ----------
        state : tuple of two str, optional
            ``state`` and ``state_text`` of somebody who knows it better than the files.
        everything : bool
            Whether all parts are made, whatever time it takes.

        Returns
        -------
        dict
            As `beadwise.analysis.report` says.
        """
        self._is_patient = everything or self._share is None
        self._log.read()
        self._events.read()
        series, step = self._read_properties()
        changed = last_change(self._outputs)
        temperature, timestep, atoms = (self._facts[name] for name in ("temperature", "timestep", "atoms"))
        content: dict[str, Any] = {
            "title": self.run.prefix or "i-pi",
            "made": time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime()),
            "run": self._facts | self._progress(step, changed, state),
            "verdicts": [],
            "series": series,
            "spectra": self._paced("spectra", self._spectra_samples, self._make_spectra) or [],
            "profiles": self._paced("profile", self._profile_samples, self._make_profiles) or [],
            "uncertainties": self._paced(
                "uncertainties",
                self._alarm_samples,
                lambda: self._alarms and uncertainty_series(self._alarms, timestep, atoms or 1, temperature),
            )
            or [],
            "structure": self._paced("structure", lambda: changed, self._make_structure),
            "has_log": self._log.exists,
            "has_events": self._events.exists,
            "input": self._input,
            "versions": self._events.start.get("versions") or versions_here(),
            "versions_of": "run" if self._events.start.get("versions") else "report",
        }
        content["messages"] = self._messages()
        content["verdicts"] = verdicts_of(content, self._has_work_from_outside(), allowed_drift(self.run))
        content["cite"] = citations_of(self.run, content)
        return plain(content)  # type: ignore[no-any-return]

    def _begin(self, name: str, make: Callable[[], Any]) -> Any:
        """Make a reader; None, and a message, if the input does not allow it."""
        try:
            return make()
        except (BeadwiseError, OSError, ValueError) as error:
            self._failures[name] = str(error)
            return None

    def _paced(self, name: str, state: Callable[[], Any], make: Callable[[], Any]) -> Any:
        """Make a part again, if its files have changed and there is time for it; what cannot be read is a message."""
        now = time.monotonic()
        when, took, of_what, part = self._made.get(name, (-1e9, 0.0, None, None))
        if not self._is_patient and now - when < took / (self._share or 1.0):
            return part
        try:
            current = state()
            if current is None or current != of_what:
                part = make()
            self._failures.pop(name, None)
        except (BeadwiseError, OSError, ValueError) as error:
            self._failures[name], current = str(error), None
        self._made[name] = now, time.monotonic() - now, current, part
        return part

    def _read_properties(self) -> tuple[list[dict[str, Any]], int | None]:
        """Properties of all files, each once, and the last step that they tell."""
        found: dict[str, dict[str, Any]] = {}
        steps = [self._log.step, known(lambda: self.run.step)]
        dynamics = None if self._system is None else self._system.dynamics
        mode = None if dynamics is None else dynamics.get("mode", "")
        # momenta of beads under PIGLET are warmer than the temperature of its averages
        colored = dynamics is not None and is_colored(dynamics.find("thermostat"))
        for reader in self._properties:
            try:
                table = reader.read()
                if table is None:
                    continue
                if table.first("step") is not None:
                    steps.append(int(table.steps[-1]))
                is_free = mode is None or mode.strip() in WITHOUT_THERMOSTAT or colored
                for one in property_series(table, self._facts["atoms"], self._facts["temperature"], is_free):
                    if one["name"] not in found or len(one["x"]) > len(found[one["name"]]["x"]):
                        found[one["name"]] = one
                self._failures.pop(reader.path.name, None)
            except (BeadwiseError, ValueError) as error:
                self._failures[reader.path.name] = str(error)
        reached = [step for step in steps if step is not None]
        return list(found.values())[:MOST_SERIES], max(reached, default=None)

    def _progress(self, step: int | None, changed: float | None, known_state: tuple[str, str] | None) -> dict[str, Any]:
        said = str(self._events.end.get("text", ""))
        state, text = known_state or state_of(step, self._facts["total_steps"], changed, said)
        timestep = self._facts["timestep"]
        return {
            "step": step,
            "time": None if step is None or timestep is None else step * timestep / 1000,
            "state": state,
            "state_text": text,
            "models": self._events.start.get("models") or {},
            "started": self._events.start.get("time"),
            "ended": self._events.end.get("time"),
        }

    def _spectra_samples(self) -> Any:
        if self._spectra is None:
            return ()
        self._spectra.read()
        return dict(self._spectra.samples)

    def _make_spectra(self) -> list[dict[str, Any]]:
        live = self._spectra
        if live is None:
            return []
        return [spectrum_content(one, live.marks(kind), live.samples[kind]) for kind, one in live.spectra().items()]

    def _profile_samples(self) -> Any:
        if self._profile is None:
            return ()
        self._profile.read()
        return self._profile.samples

    def _make_profiles(self) -> list[dict[str, Any]]:
        profiles = {} if self._profile is None else self._profile.profiles()
        return [profile_content(self._profile.variable, profiles)] if profiles else []

    def _alarm_samples(self) -> Any:
        if self._alarms is None:
            return ()
        self._alarms.read()
        return {name: len(steps) for name, steps in self._alarms.steps.items()}

    def _make_structure(self) -> dict[str, Any] | None:
        return None if self._system is None else structure_content(self._system, self._alarms, self._most_bytes)

    def _has_work_from_outside(self) -> bool:
        """Whether something does work on the system, so that nothing is conserved."""
        return self._system is not None and has_work_from_outside(self._system)

    def _messages(self) -> list[dict[str, str]]:
        own = [
            {"level": "note" if name == REMARK else "warning", "source": "report", "text": text}
            for name, text in self._failures.items()
        ]
        if len(self.run.systems) > 1:
            text = f"The run has {len(self.run.systems)} systems; this is about the first."
            own.append({"level": "note", "source": "report", "text": text})
        found = [*self._log.failures, *own, *self._events.messages, *self._log.messages]
        return sorted(found, key=lambda one: ("failure", "warning", "note").index(one["level"]))


def _live_spectra(run: RunInput, window: float | None) -> LiveSpectra | None:
    kinds = possible_kinds(FROM_SERIES, run)
    return LiveSpectra(kinds, run, read_run_conditions(run), window, continues=False) if kinds else None


def _live_profile(run: RunInput) -> LiveProfile | None:
    return LiveProfile(run, ProfileOptions(), continues=False) if has_profile(run) else None
