"""The rounds of active learning: fit, explore, choose what the model is unsure of, label it, and fit again."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Protocol, TextIO

import numpy as np
from ase import Atoms

from ...model import Batch, Corrected, Evaluator, Model, load, save
from ...progress import Progress
from ...whole_files import write_bytes
from ..data import Frame, frame_from_ase, read_frames
from ..fitting.accuracy import evaluate_errors
from ..fitting.fit import fit
from ..labels.labeller import Label, labelled_frames
from ..logs.journal import Journal
from .configuration import LearnConfiguration, fit_configuration
from .frames import INDEPENDENT, TRAIN, VALIDATION, check_zero, draw_start, split_labels, write_frames
from .selection import Candidate, random_choice, select
from .state import ExplorationRecord, LearnError, RoundRecord, State, changes, load_state

MODEL = "model.safetensors"
SELECTED, LABELLED = "selected.xyz", "labelled.xyz"
FREE_OF_LABELS = ("workers", "cluster", "timeout")  # keys of [label] that change no label
SEEDS_PER_ROUND = 1000


class Explorer(Protocol):
    """What runs i-PI."""

    def explore(self, source: Path, folder: Path, model: Path, seed: int, start: Atoms | None) -> ExplorationRecord:
        """Run one input with a model, in a folder of its own, from its own structure or from another one."""

    def candidates(self, folder: Path, name: str) -> list[Candidate]:
        """Structures that the run in a folder has kept."""


class ActiveLearning:
    """A loop, from where it was left.

    Parameters
    ----------
    settings : LearnConfiguration
    explorer : Explorer
    label : callable
        Takes structures and a progress function, and returns a `beadwise.learning.labels.labeller.Label` for each.
    tell : callable
        Told in one line what goes on.
    after_round : callable
        Called with all rounds whenever a table or report of them has something new.
    progress : callable, optional
        Called with a label, what is done and the total.
    journal : Journal, optional
        Told of each fit, pass by pass, and of each round.

    Raises
    ------
    ConfigurationError, DataError, LearnError
        If what is in the folder, or the start frames, do not allow this loop.
    """

    def __init__(
        self,
        settings: LearnConfiguration,
        explorer: Explorer,
        label: Callable[[Sequence[Atoms], Progress | None], list[Label]],
        tell: Callable[[str], None],
        after_round: Callable[[list[RoundRecord]], None],
        progress: Progress | None = None,
        journal: Journal | None = None,
    ):
        self._settings = settings
        self._explorer = explorer
        self._label = label
        self._tell = tell
        self._after_round = after_round
        self._progress = progress
        self._journal = journal
        self.state = self._restore()

    @property
    def stage(self) -> str:
        """Round and stage that come next, for messages."""
        if not self.state.rounds:
            return "before the first round"
        done = {name.split()[0] for name in self.state.done}
        last = next((name for name in ("label", "select", "explore", "evaluate", "fit") if name in done), "its start")
        return f"in round {self.state.record.number} after {last}"

    def run(self) -> str:
        """Go on to the end, and say why it ended.

        Raises
        ------
        BeadwiseError
            If a fit, a run or the labels fail.
        """
        while True:
            if not self.state.rounds or "label" in self.state.done:
                self.state.begin_round()
            self._stage("fit", self._fit)
            self._stage("evaluate", self._evaluate)
            if outcome := self._goal_reached():
                return self._finish(outcome)
            for index, name in enumerate(self._settings.explore.inputs):
                self._stage(f"explore {Path(name).stem}", partial(self._explore, index))
            self._stage("select", self._select)
            if not self.state.record.selected_uncertainties:
                return self._finish(self._nothing_selected())
            self._stage("label", self._label_selected)
            self._after_round(self.state.rounds)

    def _restore(self) -> State:
        """Read where the loop stands, or draw the start frames."""
        settings = self._settings
        told = json.loads(json.dumps(settings.as_dict()))
        state = load_state(settings.folder)
        if state is None or not state.has("fit"):  # nothing is done that another start would contradict
            settings.folder.mkdir(parents=True, exist_ok=True)
            draw_start(settings)
            state = State(told)
        elif changed := changes(state.configuration, told):
            self._take_changes(state, changed)
            state.configuration = told
        state.save(settings.folder)
        return state

    def _take_changes(self, state: State, changed: dict[str, tuple[object, object]]) -> None:
        """Refuse changes that contradict what was done, and tell the others."""
        for name, (old, new) in changed.items():
            table, _, key = name.partition(".")
            is_reference = table == "label" and key.split(".")[0] not in FREE_OF_LABELS
            if table == "start" or (is_reference and state.has("label")):
                raise LearnError(
                    f"{name} was {old!r} and is {new!r} now, but the loop in '{self._settings.folder}' began with the "
                    "former; change it back, or name another folder in [output]"
                )
        # which structures a run keeps depends on the kind of choice, too
        is_explored_anew = any(name.startswith("explore.") or name == "select.kind" for name in changed)
        if is_explored_anew and state.rounds and "label" not in state.done:
            state.done = [stage for stage in state.done if stage in ("fit", "evaluate")]
            state.record.explorations = []
        text = ", ".join(f"{name} {old!r} → {new!r}" for name, (old, new) in changed.items())
        self._tell(f"changed since the loop began, for what is to come: {text}")

    def _stage(self, name: str, work: Callable[[], None]) -> None:
        """Do a stage unless it is done, and write that down."""
        if name in self.state.done:
            return
        kind, began = name.split()[0], time.monotonic()
        work()
        seconds = self.state.record.seconds
        seconds[kind] = seconds.get(kind, 0.0) + time.monotonic() - began
        self.state.done.append(name)
        self.state.save(self._settings.folder)

    def _round_folder(self, number: int | None = None) -> Path:
        return self._settings.folder / f"round_{number or self.state.record.number:02d}"

    def _fit(self) -> None:
        record, folder = self.state.record, self._round_folder()
        folder.mkdir(exist_ok=True)
        train, validation = (read_frames(self._settings.folder / name) for name in (TRAIN, VALIDATION))
        start = self._settings.start
        for number in range(1, record.number):
            fitted, aside = split_labels(
                read_frames(self._round_folder(number) / LABELLED), start.validation, start.seed + number
            )
            train += fitted
            validation += aside
        write_frames(folder / TRAIN, train)
        write_frames(folder / VALIDATION, validation)
        configuration = fit_configuration(self._settings.fit, folder / "fit.toml", TRAIN, VALIDATION, MODEL)
        model = fit(configuration, self._progress, journal=self._journal)
        save(model, folder / MODEL)
        record.model = str((folder / MODEL).relative_to(self._settings.folder))
        record.training, record.validation = len(train), len(validation)
        if model.members is not None:
            record.calibration = {name: float(factor) for name, factor in model.members.factors.items()}

    def _evaluate(self) -> None:
        record, model = self.state.record, self._model()
        independent = self._settings.folder / INDEPENDENT
        sets = {"validation": read_frames(self._round_folder() / VALIDATION)}
        if independent.exists():
            sets["independent"] = read_frames(independent)
            record.independent = len(sets["independent"])
        for name, frames in sets.items():
            report = evaluate_errors(model, frames)
            record.errors[name] = {own: errors.root_mean_square_error for own, errors in report.properties.items()}

    def _goal_reached(self) -> str:
        """Why the loop ends after the fit of this round; empty if it does not."""
        record, stop = self.state.record, self._settings.stop
        name = "independent" if "independent" in record.errors else "validation"
        targets = {"forces": 1e3 * stop.force_error, "energy": 1e3 * stop.energy_error}
        errors = record.errors[name]
        wanted = [label for label, target in targets.items() if target > 0]
        if wanted and all(errors.get(label, np.inf) <= targets[label] for label in wanted):
            units = {"forces": "meV/Å", "energy": "meV/atom"}
            reached = " and ".join(f"{label} {errors[label]:.4g} {units[label]}" for label in wanted)
            return f"the errors on {name} frames are low enough: {reached}"
        if record.number > stop.rounds:
            return f"{stop.rounds} rounds are done" if stop.rounds > 1 else "1 round is done"
        return ""

    def _explore(self, index: int) -> None:
        settings, record = self._settings, self.state.record
        source = settings.base / settings.explore.inputs[index]
        seed = settings.start.seed + SEEDS_PER_ROUND * record.number + index
        start = self._known_start(source, seed) if settings.explore.start == "known" else None
        folder = self._round_folder() / source.stem
        model = self._round_folder() / MODEL
        found = self._explorer.explore(source, folder, model, seed, start)
        record.explorations.append(found)
        if found.reason:
            self._tell(f"{found.name} {found.outcome} at step {found.steps} of {found.total_steps}: {found.reason}")

    def _known_start(self, source: Path, seed: int) -> Atoms:
        """Draw one of the start frames."""
        frames = [frame.atoms for name in (TRAIN, VALIDATION) for frame in read_frames(self._settings.folder / name)]
        return frames[int(np.random.default_rng(seed).integers(len(frames)))]

    def _select(self) -> None:
        record, settings = self.state.record, self._settings
        candidates = [
            candidate
            for found in record.explorations
            for candidate in self._explorer.candidates(self._round_folder() / found.name, found.name)
        ]
        if settings.select.kind == "random":
            chosen = random_choice(candidates, settings.select.frames, settings.start.seed + record.number)
        else:
            known = [frame.atoms for name in (TRAIN, VALIDATION) for frame in read_frames(self._round_folder() / name)]
            chosen = select(candidates, settings.select.frames, fitted_part(self._model()), known)
        record.candidate_uncertainties = [round(candidate.uncertainty, 6) for candidate in candidates]
        record.selected_uncertainties = [round(candidate.uncertainty, 6) for candidate in chosen]
        if chosen:
            write_frames(self._round_folder() / SELECTED, [_of_candidate(candidate) for candidate in chosen])

    def _nothing_selected(self) -> str:
        """Why the loop ends without anything to label.

        Raises
        ------
        LearnError
            If runs broke, as then it is not known whether the model is sure of itself.
        """
        broken = [found for found in self.state.record.explorations if found.outcome == "broken"]
        if broken:
            raise LearnError(
                f"nothing was flagged in round {self.state.record.number}, although {broken[0].name} broke at step "
                f"{broken[0].steps}: {broken[0].reason}; lower flag or stride in [explore]"
            )
        return "nothing is uncertain any more"

    def _label_selected(self) -> None:
        record, folder = self.state.record, self._round_folder()
        selected = [frame.atoms for frame in read_frames(folder / SELECTED)]
        labels = self._label(selected, self._progress)
        frames = labelled_frames(labels)
        record.new, record.failed = len(frames), len(selected) - len(frames)
        if record.failed:
            first = next(label.reason for label in labels if label.frame is None)
            self._tell(f"{record.failed} of {len(selected)} frames could not be labelled; the first: {first}")
        model = self._model()
        record.predicted_errors, record.true_errors = [], []
        energies = []
        for frame in frames:
            response = model.evaluate(Batch.from_ase(frame.atoms), ["energy", "forces", "forces_uncertainty"])
            record.predicted_errors.append(_root_mean_square(response["forces_uncertainty"][0]))
            record.true_errors.append(_root_mean_square(response["forces"][0] - frame.labels["forces"]))
            energies.append((frame.labels["energy"] - response["energy"][0]) / len(frame.atoms))
        if record.number == 1:  # later models are fitted to the zero of labels, too
            check_zero(np.array(energies), float(self._settings.label.get("shift_per_atom", 0.0)))
        write_frames(folder / LABELLED, frames)

    def _finish(self, outcome: str) -> str:
        """Put the final model where it shall go."""
        target = self._settings.base / self._settings.output.model
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            write_bytes(target, (self._round_folder() / MODEL).read_bytes())
        except OSError as error:
            raise LearnError(f"cannot write the model '{target}': {error.strerror or error}") from error
        self._after_round(self.state.rounds)
        return outcome

    def _model(self) -> Evaluator:
        return load(self._round_folder() / MODEL, self._settings.explore.threads_to_use)


def fitted_part(model: Evaluator) -> Model:
    """The fitted model itself, without the baseline that it corrects."""
    part = model.correction if isinstance(model, Corrected) else model
    assert isinstance(part, Model)
    return part


def _of_candidate(candidate: Candidate) -> Frame:
    """A candidate with what is known of it, without labels."""
    atoms = candidate.atoms.copy()
    atoms.info |= {
        "force_uncertainty": candidate.uncertainty,
        "input": candidate.input,
        "step": candidate.step,
        "bead": candidate.bead,
    }
    return frame_from_ase(atoms)


def _root_mean_square(values: np.ndarray) -> float:
    return float(np.sqrt((np.asarray(values) ** 2).mean()))


def _lock_file(folder: Path) -> TextIO:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return open(folder / ".lock", "w", encoding="utf-8")
    except OSError as error:
        raise LearnError(f"nothing can be kept in the folder '{folder}': {error.strerror or error}") from error


@contextmanager
def locked(folder: Path, patience: float = 5.0) -> Iterator[None]:
    """Keep other loops out of a folder; the lock goes with the process, however that ends.

    Raises
    ------
    LearnError
        If another one is at work there, or the folder cannot be had.
    """
    import fcntl  # not on every system

    deadline = time.monotonic() + patience
    with _lock_file(folder) as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise LearnError(f"another `beadwise learn` is at work in '{folder}'") from None
                time.sleep(0.1)
        yield
