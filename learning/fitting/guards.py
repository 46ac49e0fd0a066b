"""How many frames a model was not made for: inside its short-range guard, or outside what its training has seen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from ase.data import chemical_symbols

from ...model import Committee, Corrected, Evaluator, Model
from ..data import Frame
from ..data.distances import shortest_by_species

ENVELOPE = "envelope_distance"
NAMED = 3  # frames
TOO_SURE = 10.0  # standard deviations
RARE = 1e-3  # of the values: with eight members, one in fifty thousand is so far off by chance
SMALLEST = 1e-3  # of the root mean square uncertainty: below it a value is fixed by symmetry


@dataclass
class GuardReport:
    """Frames on which a model's guard acts, and those outside the envelope of its training.

    Parameters
    ----------
    onsets : dict of tuple to float
        Distance in Å below which the guard acts, by atomic numbers, the lower first; empty if there is no guard.
    has_envelope : bool
        Whether the model knows what its training has seen.
    frames : int
        How many were looked at.
    inside : dict of str to tuple
        Of the frames inside the guard by their names: the pair that is deepest inside, its distance and onset in Å.
    outside : dict of str to float
        Distance from the envelope in units of its range, of the frames outside, by their names.
    """

    onsets: dict[tuple[int, int], float] = field(default_factory=dict)
    has_envelope: bool = False
    frames: int = 0
    inside: dict[str, tuple[tuple[int, int], float, float]] = field(default_factory=dict)
    outside: dict[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, evaluator: Evaluator) -> GuardReport:
        """An empty report on what answers."""
        onsets: dict[tuple[int, int], float] = {}
        for model in fitted_models(evaluator):
            strengths = np.broadcast_to(model.repulsion.strength, model.repulsion.onset.shape)
            for first, a in enumerate(model.numbers):
                for second, b in enumerate(model.numbers[first:], first):
                    onset = float(model.repulsion.onset[first, second]) if strengths[first, second] else 0.0
                    onsets[a, b] = max(onset, onsets.get((a, b), 0.0))
        return cls({pair: onset for pair, onset in onsets.items() if onset > 0}, ENVELOPE in evaluator.properties)

    def add(self, frame: Frame, envelope_distance: float) -> None:
        """Look at one more frame, whose distance from the envelope is known; 0 inside it, or if there is none."""
        self.frames += 1
        if self.onsets:
            near = shortest_by_species(frame.atoms)
            ratios = {pair: own / self.onsets[pair] for pair, own in near.items() if pair in self.onsets}
            deepest = min(ratios, key=lambda pair: ratios[pair], default=None)
            if deepest is not None and ratios[deepest] < 1:
                self.inside[frame.name] = deepest, near[deepest], self.onsets[deepest]
        if envelope_distance > 0:
            self.outside[frame.name] = envelope_distance

    def lines(self) -> Iterator[str]:
        """Sentences for people; those that call for a look begin with ``warning``."""
        if self.onsets:
            yield from self._of_guard()
        if self.has_envelope:
            worst = sorted(self.outside.items(), key=lambda item: -item[1])[:NAMED]
            named = ", ".join(f"{name} by {distance:.2g} of its range" for name, distance in worst)
            farthest = f"; the farthest: {named}" if named else ""
            yield f"{len(self.outside)} of {self.frames} frames are outside the envelope of the training{farthest}"

    def _of_guard(self) -> Iterator[str]:
        if not self.inside:
            yield f"none of {self.frames} frames is inside the short-range guard"
            return
        worst = sorted(self.inside.items(), key=lambda item: item[1][1] / item[1][2])[:NAMED]
        named = ", ".join(
            f"{name} ({'–'.join(chemical_symbols[number] for number in pair)} {distance:.3f} Å, the guard begins at "
            f"{onset:.3f} Å)"
            for name, (pair, distance, onset) in worst
        )
        yield (
            f"warning: {len(self.inside)} of {self.frames} frames are inside the short-range guard, which replaces the "
            f"model there: {named}"
        )

    def as_dict(self) -> dict[str, Any]:
        """Numbers for JSON."""
        return {
            "inside_short_range_guard": len(self.inside) if self.onsets else None,
            "outside_envelope": len(self.outside) if self.has_envelope else None,
            "largest_envelope_distance": max(self.outside.values(), default=0.0) if self.has_envelope else None,
        }


def fitted_models(evaluator: Evaluator) -> list[Model]:
    """The fitted models that an evaluator is made of, as far as that is known."""
    if isinstance(evaluator, Model):
        return [evaluator]
    if isinstance(own := getattr(evaluator, "model", None), Model):  # with charges, or a field inside
        return [own]
    if isinstance(evaluator, Corrected):
        return fitted_models(evaluator.correction)
    if isinstance(evaluator, Committee):
        return [model for member in evaluator.members for model in fitted_models(member)]
    return []


def far_too_sure(
    errors: Mapping[str, tuple[np.ndarray, np.ndarray, np.ndarray]], names: list[str], guards: GuardReport
) -> Iterator[str]:
    """Sentences about properties whose errors are far larger than the uncertainty that was predicted.

    Parameters
    ----------
    errors : mapping of str to tuple
        By property: uncertainties, errors, and the place of the frame of each value.
    names : list of str
        Of the frames, by their place.
    guards : GuardReport
        Of the same frames.
    """
    for name, (uncertainties, found, places) in errors.items():
        scale = np.maximum(uncertainties, SMALLEST * np.sqrt(np.mean(uncertainties**2)))
        ratios = np.abs(found) / np.where(scale > 0, scale, np.inf)
        far = ratios > TOO_SURE
        if far.mean() <= RARE:
            continue
        frames = {names[place] for place in places[far]}
        beyond = len(frames & {*guards.inside, *guards.outside})
        yield (
            f"warning: {int(far.sum())} of {len(far)} errors of {name} are more than {TOO_SURE:g} times the "
            f"uncertainty that is predicted, the largest {ratios.max():.3g} times in {names[places[ratios.argmax()]]}; "
            f"{beyond} of these {len(frames)} frames are inside the guard or outside the envelope, where the "
            "uncertainty means little"
        )
