"""What labels come from: anything that beadwise evaluates, or a program that speaks i-PI's protocol."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
from ase import Atoms

from ...model import Batch, BeadwiseError, Evaluator
from ...model.ase_potential import describe
from ...model.charges.images import DIPOLE, has_dipole
from ...model.evaluators import files_of, from_any_folder, full_name, load_evaluator
from ...reading import digest_of
from ..data import labels as known_labels
from ..data import whole_labels
from .settings import LabelError, LabelSettings
from .socket_reference import SocketReference


class Reference(Protocol):
    """Anything that gives labels; made anew in every process that labels, and kept there from label to label."""

    name: str

    @property
    def identity(self) -> str:
        """Tells it from all other references; part of the name of every kept label."""

    def check(self) -> None:
        """Raise LabelError if it cannot be had."""

    def label(self, atoms: Atoms) -> dict[str, np.ndarray]:
        """Labels of one structure, as `beadwise.learning.data.Frame` has them; LabelError if there are none."""

    def close(self) -> None:
        """End what it has started; it starts again when asked for another label."""


def make_reference(settings: LabelSettings) -> Reference:
    """Make what the settings ask for; nothing is loaded or started before it is needed."""
    return SocketReference(settings) if settings.client else EvaluatorReference(settings)


class EvaluatorReference:
    """A potential with a name: a model, tight binding, any ASE calculator, an evaluator of the user's own.

    Parameters
    ----------
    settings : LabelSettings
        Its ``reference`` is what `beadwise.model.evaluators.load_evaluator` takes; files in it are looked for in the
        folder of the configuration, then in the current one.
    """

    def __init__(self, settings: LabelSettings):
        self._settings = settings
        self.name = settings.name or settings.reference
        # it is loaded by other processes, on other machines, too
        self._resolved = from_any_folder(settings.reference, (settings.folder, Path.cwd()))
        self._evaluator: Evaluator | None = None

    @property
    def identity(self) -> str:
        """Its name in full, what provides it, and the content of the files that it is made of."""
        if self._settings.name:
            return self._settings.name
        provider = str(getattr(self._loaded(), "provider", ""))
        return " ".join([full_name(self._settings.reference), provider, *_contents(self._resolved)])

    def check(self) -> None:
        """Load it.

        Raises
        ------
        LabelError
            If it cannot be had, or has no energy or no forces.
        """
        lacking = {"energy", "forces"} - set(self._loaded().properties)
        if lacking:
            raise LabelError(
                f"the reference '{self.name}' has {list(self._loaded().properties)}; it must have energy and forces"
            )

    def label(self, atoms: Atoms) -> dict[str, np.ndarray]:
        """Evaluate one structure.

        Returns
        -------
        dict of str to ndarray of float64
            See `beadwise.learning.data.Frame`; the stress, −virial/volume, of periodic structures only.

        Raises
        ------
        LabelError
            If it cannot be evaluated.
        """
        evaluator = self._loaded()
        has_stress = bool(atoms.pbc.any()) and atoms.cell.rank == 3
        names = {label: known_labels()[label].of for label in whole_labels() if label != "stress" or has_stress}
        names = {label: name for label, name in names.items() if name in evaluator.properties}
        try:
            batch = Batch.from_ase(atoms)
            if not has_dipole(evaluator, batch):
                quantities = {label: known_labels()[label].quantity for label in names}
                names = {label: names[label] for label, one in quantities.items() if one is None or one.name != DIPOLE}
            response = evaluator.evaluate(batch, list(names.values()))
        except Exception as error:  # an evaluator of the user's own may raise anything, and it is about this structure
            raise LabelError(str(error) if isinstance(error, BeadwiseError) else describe(error)) from error
        labels = {label: np.array(response[name][0], dtype=np.float64) for label, name in names.items()}
        if "stress" in labels:
            labels["stress"] = -labels["stress"] / atoms.get_volume()
        return labels

    def close(self) -> None:
        """Let go of it, and of programs that its calculator runs."""
        calculator = getattr(self._evaluator, "calculator", None)
        self._evaluator = None
        end = getattr(calculator, "close", None)
        if callable(end):
            end()

    def _loaded(self) -> Evaluator:
        if self._evaluator is None:
            try:
                self._evaluator = load_evaluator(self._resolved)
            except BeadwiseError as error:
                raise LabelError(f"the reference '{self.name}' cannot be had: {error}") from error
        return self._evaluator


def _contents(name: str) -> Iterator[str]:
    """Digests of the files that the answers of a name depend on, which may change while their names do not."""
    for file in dict.fromkeys(files_of(name)):
        yield digest_of(file)
