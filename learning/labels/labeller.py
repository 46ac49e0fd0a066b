"""Labels for structures: computed by a reference in parallel, each kept on disk as soon as it is there."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from ase import Atoms

from ...model.worker_processes import usable_cores
from ...progress import Progress
from ..data import Frame
from .files import Outcome, bare_copy, keep_failure, kept_label, label_and_keep, label_key, label_path
from .references import make_reference
from .settings import LabelError, LabelSettings, label_settings

if TYPE_CHECKING:
    from .dask_workers import DaskWorkers


@dataclass(frozen=True)
class Label:
    """What became of one structure.

    Parameters
    ----------
    frame : Frame or None
        The structure with its labels, from the file that keeps them; None if it failed.
    reason : str
        Why it failed, in one line.
    seconds : float
        That it took to compute, also when that was in an earlier run.
    was_kept : bool
        Whether it was there already.
    """

    frame: Frame | None
    reason: str = ""
    seconds: float = 0.0
    was_kept: bool = False


class Labeller:
    """Structures to labels, by the section ``[label]`` of a configuration.

    Each label is a file of its own in the folder, written by who computes it, and named after the structure and the
    reference: whatever ends the program, at most the labels under way are lost.  Files hold what the reference said;
    shifts of the energy are added to what is returned.  A label that failed leaves a text file with the reason, and
    is tried again the next time.

    As a context manager it keeps workers and references, or the jobs of a batch system, from one call of `label` to
    the next; otherwise each call starts and ends them.  With processes on this machine, the program that uses it does
    so below ``if __name__ == "__main__"``, as for every use of `multiprocessing`.

    Parameters
    ----------
    settings : LabelSettings
    folder : str or Path
        Where labels are kept.
    """

    def __init__(self, settings: LabelSettings, folder: str | Path):
        self.settings = settings
        self.folder = Path(folder)
        self._reference = make_reference(settings)
        self._workers: DaskWorkers | None = None
        self._stays = False

    @property
    def name(self) -> str:
        """What messages call the reference."""
        return self._reference.name

    def check(self) -> None:
        """See that reference, folder, and whatever runs the workers can be had, before anything needs them.

        Raises
        ------
        LabelError
            In one line, what cannot be had.
        """
        self._reference.check()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise LabelError(f"labels cannot be kept in '{self.folder}': {error.strerror or error}") from error
        if self._uses_dask:
            _with_dask()
        if self.settings.cluster_kind != "local":
            from .dask_clusters import check_batch_system  # needs Dask, as above

            check_batch_system(self.settings)

    def label(self, frames: Sequence[Atoms], progress: Progress | None = None) -> list[Label]:
        """Label structures, those first that are not kept yet.

        Parameters
        ----------
        frames : sequence of ase.Atoms
            In Å; labels among them are not looked at.
        progress : callable, optional
            Called with a description, labels done, and labels in all.

        Returns
        -------
        list of Label
            In the order of the frames.

        Raises
        ------
        LabelError
            If all structures fail, or the reference or the workers cannot be had.
        """
        structures = [bare_copy(atoms) for atoms in frames]
        identity = self._reference.identity
        keys = [label_key(identity, atoms) for atoms in structures]
        by_key = dict(zip(keys, structures, strict=True))
        found = {key: kept_label(self.folder, key, atoms) for key, atoms in by_key.items()}
        outcomes = {key: Outcome(key, kept[0], "", kept[1]) for key, kept in found.items() if kept is not None}
        missing = _alike_together({key: atoms for key, atoms in by_key.items() if key not in outcomes})
        try:
            self._compute(missing, outcomes, progress)
        finally:
            if not self._stays:
                self.close()
        if by_key and all(outcome.labels is None for outcome in outcomes.values()):
            raise LabelError(
                f"none of {len(by_key)} structures could be labelled by {self.name}; the first: "
                f"{outcomes[keys[0]].reason}; see '{self.folder}'"
            )
        return [
            self._label(outcomes[key], atoms, found[key] is not None)
            for key, atoms in zip(keys, structures, strict=True)
        ]

    def close(self) -> None:
        """End workers and references."""
        self._stays = False
        self._reference.close()
        workers, self._workers = self._workers, None
        if workers is not None:
            workers.close()

    def __enter__(self) -> Labeller:
        self._stays = True
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def _uses_dask(self) -> bool:
        return self.settings.workers != 0 or self.settings.cluster_kind != "local"

    def _compute(self, missing: Mapping[str, Atoms], outcomes: dict[str, Outcome], progress: Progress | None) -> None:
        """Add what is missing to the outcomes, and say how far it is."""
        total = len(outcomes) + len(missing)
        if progress:
            progress(f"labels by {self.name}", len(outcomes), total)
        with closing(self._computed(missing)) as computed:
            for outcome in computed:
                outcomes[outcome.key] = outcome
                if progress:
                    progress(f"labels by {self.name}", len(outcomes), total)

    def _computed(self, missing: Mapping[str, Atoms]) -> Generator[Outcome, None, None]:
        """Compute labels here or on workers."""
        if not self._uses_dask:
            for key, atoms in missing.items():
                yield label_and_keep(self._reference, self.folder, key, atoms)
            return
        if not missing:
            return
        if self._workers is None:
            wanted = self.settings.workers or (1 if self.settings.client else usable_cores())
            workers = wanted if self._stays else min(wanted, len(missing))
            self._workers = _with_dask()(self.settings, workers)
        for outcome in self._workers.compute(self.folder, missing):
            if outcome.labels is None and outcome.seconds == 0.0:  # nobody else could write why
                keep_failure(self.folder, outcome.key, missing[outcome.key], outcome.reason)
            yield outcome

    def _label(self, outcome: Outcome, atoms: Atoms, was_kept: bool) -> Label:
        """Add shifts, and leave out what is not wanted."""
        if outcome.labels is None:
            return Label(None, outcome.reason, outcome.seconds)
        labels = {name: label for name, label in outcome.labels.items() if name in self.settings.properties}
        labels["energy"] = labels["energy"] + _shift(self.settings, atoms)
        path = label_path(self.folder, outcome.key)
        return Label(Frame(atoms, labels, str(path)), "", outcome.seconds, was_kept)


def labeller(values: Mapping[str, Any], folder: str | Path, configuration_folder: str | Path = ".") -> Labeller:
    """Make a labeller from plain values, as those of a section ``[label]``.

    Parameters
    ----------
    values : mapping
        See `LabelSettings`.
    folder : str or Path
        Where labels are kept.
    configuration_folder : str or Path
        What paths in the values are relative to.

    Raises
    ------
    LabelError
        If a key or value is not allowed.
    """
    return Labeller(label_settings(values, configuration_folder), folder)


def labelled_frames(labels: Iterable[Label]) -> list[Frame]:
    """Frames of the labels that did not fail."""
    return [label.frame for label in labels if label.frame is not None]


def _shift(settings: LabelSettings, atoms: Atoms) -> float:
    """What is added to the energy, in eV."""
    by_species = sum(settings.species_shifts.get(symbol, 0.0) for symbol in atoms.symbols)
    return settings.shift_per_atom * len(atoms) + by_species


def _alike_together(structures: Mapping[str, Atoms]) -> dict[str, Atoms]:
    """Sort by atoms, then by cell: a client answers for those that are alike without starting anew."""

    def likeness(item: tuple[str, Atoms]) -> tuple[bytes, bytes]:
        return item[1].numbers.tobytes(), np.ascontiguousarray(item[1].cell.array).tobytes()

    return dict(sorted(structures.items(), key=likeness))


def _with_dask() -> type[DaskWorkers]:
    """Load what runs on Dask, which is not needed to label in this process.

    Raises
    ------
    LabelError
        If Dask is not installed.
    """
    try:
        from .dask_workers import DaskWorkers
    except ImportError as error:
        raise LabelError(
            f"labels on several processes need Dask ({error}): pip install 'beadwise[learn]', or workers = 0 in [label]"
        ) from error
    return DaskWorkers
