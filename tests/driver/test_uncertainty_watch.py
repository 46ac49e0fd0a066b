"""The watch over a served model: which structures it looks at, keeps, and ends a run for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from beadwise.driver.launch.exploration import read_candidates
from beadwise.driver.launch.watched_model import UncertaintyWatch, WatchSettings, read_seen
from beadwise.model import Batch, BeadwiseError, Response, StructureError
from beadwise.model.evaluators import load_evaluator
from learning_folder import box


class Sure:
    """An evaluator that is as unsure as it is told."""

    species = (1, 8)
    properties = ("energy", "forces", "virial", "forces_uncertainty", "envelope_distance")

    def __init__(self, uncertainty: float = 0.0, distance: float = 0.0):
        self.uncertainty, self.distance = uncertainty, distance
        self.wants: list[tuple[str, ...]] = []

    def evaluate(self, batch: Batch, want) -> Response:
        self.wants.append(tuple(want))
        values = {
            "energy": np.zeros(batch.beads),
            "forces": np.zeros((batch.beads, batch.atoms, 3)),
            "virial": np.zeros((batch.beads, 3, 3)),
            "forces_uncertainty": np.tile(np.linspace(0, self.uncertainty, batch.atoms), (batch.beads, 1)),
            "envelope_distance": np.full(batch.beads, self.distance),
        }
        return Response(**{name: values[name] for name in want})


def beads_of_water(count: int, seed: int = 1) -> Batch:
    rng = np.random.default_rng(seed)
    return Batch.from_ase([box(rng) for _ in range(count)])


def watch_settings(**values: object) -> WatchSettings:
    return replace(WatchSettings("model", 4, 3, 0.1, 1.0, 0.5, 5.0), **values)


def test_watch_looks_at_every_third_step(tmp_path):
    evaluator = Sure(uncertainty=0.05)
    watch = UncertaintyWatch(evaluator, watch_settings(), tmp_path)
    for beads in (1, 4, 4, 4, 4, 4, 4):  # the first step is that of one structure
        response = watch.evaluate(beads_of_water(beads), ["energy", "forces"])
        assert response.names == ("energy", "forces")
    looks = ["forces_uncertainty" in want for want in evaluator.wants]
    assert looks == [True, True, False, False, True, False, False]
    seen = read_seen(tmp_path)
    assert seen.steps.tolist() == [0] + [1] * 4 + [4] * 4
    np.testing.assert_allclose(seen.uncertainties, 0.05)
    assert not (tmp_path / "candidates.xyz").exists() and not (tmp_path / "EXIT").exists()


def test_watch_of_beads_that_come_one_by_one(tmp_path):
    evaluator = Sure()
    watch = UncertaintyWatch(evaluator, watch_settings(), tmp_path)
    for _ in range(16):
        watch.evaluate(beads_of_water(1), ["energy"])
    assert ["forces_uncertainty" in want for want in evaluator.wants] == ([True] * 4 + [False] * 8) + [True] * 4
    assert read_seen(tmp_path).steps.tolist() == [0] * 4 + [3] * 4


@pytest.mark.parametrize(
    ("uncertainty", "distance", "keep_all", "kept", "ended"),
    [
        (0.05, 0.1, False, 0, False),
        (0.05, 0.1, True, 4, False),
        (0.2, 0.1, False, 4, False),
        (0.05, 0.6, False, 4, False),
        (1.5, 0.1, False, 4, True),
        (0.05, 6.0, False, 4, True),
        (np.nan, 0.1, True, 0, True),
    ],
)
def test_watch_keeps_and_ends(tmp_path, uncertainty, distance, keep_all, kept, ended):
    watch = UncertaintyWatch(Sure(uncertainty, distance), watch_settings(keep_all=keep_all), tmp_path)
    batch = beads_of_water(4)
    watch.evaluate(batch, ["energy"])
    candidates = read_candidates(tmp_path, "cold")
    assert len(candidates) == kept and (tmp_path / "EXIT").exists() == ended
    for bead, candidate in enumerate(candidates):
        np.testing.assert_allclose(candidate.atoms.positions, batch.positions[bead], atol=1e-7)
        assert (candidate.bead, candidate.step) == (bead, 0)
        assert candidate.uncertainty == pytest.approx(uncertainty)


class Rising(Sure):
    """Twice as unsure at each new structure, and lost at the last one."""

    def __init__(self, last: int):
        super().__init__()
        self.first: list[float] = []
        self.last = last

    def evaluate(self, batch: Batch, want) -> Response:
        if batch.positions[0, 0, 0] not in self.first:
            self.first.append(batch.positions[0, 0, 0])
        step = self.first.index(batch.positions[0, 0, 0])
        if step == self.last:
            raise StructureError("atoms 0 and 1 are 0 Å apart")
        self.uncertainty = 0.02 * 2.0**step
        return super().evaluate(batch, want)


@pytest.mark.parametrize(
    ("last", "keep_all", "steps", "kept", "ended"),
    [
        # 0.02 at step 0; above 0.1 from step 3 on and above 1.0 from step 6 on, while every 10th step is looked at
        (99, False, [0, 1, 2, 3, 4, 5, 6], [3, 4, 5, 6], True),
        (99, True, [0, 1, 2, 3, 4, 5, 6], [0], True),
        (5, False, [0, 1, 2, 3, 4], [3, 4], False),
    ],
)
def test_watch_looks_back_when_beads_flew_apart(tmp_path, last, keep_all, steps, kept, ended):
    watch = UncertaintyWatch(Rising(last), watch_settings(beads=1, stride=10, keep_all=keep_all), tmp_path)
    batches = [beads_of_water(1, seed) for seed in range(14)]
    for batch in batches[: min(last, len(batches))]:
        watch.evaluate(batch, ["energy"])
    if last < len(batches):
        with pytest.raises(StructureError):
            watch.evaluate(batches[last], ["energy"])
    assert read_seen(tmp_path).steps.tolist() == steps
    candidates = read_candidates(tmp_path, "cold")
    assert [candidate.step for candidate in candidates] == kept
    for candidate in candidates:
        np.testing.assert_allclose(candidate.atoms.positions, batches[candidate.step].positions[0], atol=1e-7)
    assert (tmp_path / "EXIT").exists() == ended


def test_watch_needs_members(tmp_path):
    with pytest.raises(BeadwiseError, match="'model' has no forces_uncertainty; a model with members"):
        UncertaintyWatch(load_evaluator("qtip4pf"), watch_settings(), tmp_path)


def test_candidate_that_is_not_whole(tmp_path):
    watch = UncertaintyWatch(Sure(0.2), watch_settings(), tmp_path)
    watch.evaluate(beads_of_water(4), ["energy"])
    path = tmp_path / "candidates.xyz"
    path.write_text(path.read_text()[:-20])
    assert len(read_candidates(tmp_path, "cold")) == 3
