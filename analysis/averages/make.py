"""From runs to averages with two errors: what ``beadwise average`` does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from ...runs.input.atoms import SAME_MASS
from ...runs.input.elements import InputError
from ...runs.source import find_run
from ...sampling.block_averages import FEWEST_BLOCKS
from ..results import Shown, Writer, write_files
from .groups import DIFFERENCE, SHIFT, Group, groups_of
from .outcome import Distribution, Outcome
from .request import AverageRequest
from .rows import Means, rows_of
from .series import KeptSeries, RunSeries

MOST_KEPT = 2_000_000  # numbers of single beads, for distributions
SAME_SAMPLE = 1e-3  # of the standard deviation of samples: rounding differs between runs of one input


def make(request: AverageRequest, shown: Shown = iter) -> tuple[Outcome, list[Path]]:
    """Average a quantity, and write what comes out.

    Raises
    ------
    InputError
        If a run does not write it, runs do not go together, or nothing is left.
    SamplingError
        If there are too few samples.
    SeriesError
        If a file cannot be read.
    """
    read = [_read(path, request) for path in shown((*request.runs, *request.minus))]
    runs, others = read[: len(request.runs)], read[len(request.runs) :]
    outcome = outcome_of(runs, request, others)
    return outcome, write(outcome, request.stem)


def _read(path: Path, request: AverageRequest) -> RunSeries:
    series = RunSeries(find_run(path), request.of, request.frame)
    series.read()
    return series


def outcome_of(runs: Sequence[RunSeries], request: AverageRequest, others: Sequence[RunSeries] = ()) -> Outcome:
    """What comes out of runs that have been read, and of the difference from others."""
    check_alike(runs, others)
    first = runs[0]
    labels = first.run.labels
    if request.masks and first.property.per != "atom":
        raise InputError(f"a group of atoms, and {request.of} is of no atoms; allowed are quantities of atoms")
    groups = groups_of(labels, first.structure, request.masks) if first.property.per == "atom" else []
    if strange := set(request.references) - set(labels):
        there = ", ".join(dict.fromkeys(labels))
        raise InputError(f"a reference of {strange.pop()}, which the run does not have; it has {there}")
    kept = [one.kept(request.skip) for one in runs]
    told = first.property, labels, groups, request.frame != "none", request.references
    kept_others = [one.kept(request.skip) for one in others]
    check_different([*runs, *others], [*kept, *kept_others])
    means = rows_of(kept, *told)
    rows = list(means.rows)
    warnings, notes = _words(runs, means)
    if others:
        subtracted = rows_of(kept_others, *told)
        theirs = {(row.name, row.atoms): row for row in subtracted.rows}
        common = [row for row in rows if (row.name, row.atoms) in theirs and not row.name.startswith(SHIFT)]
        rows += [replace(row.minus(theirs[row.name, row.atoms]), name=f"{DIFFERENCE} {row.name}") for row in common]
        warnings += _words(others, subtracted)[0]
        notes.append(f"{DIFFERENCE} … is that of {_beads(first)} minus {_beads(others[0])}")
    distributions = distributions_of(first, kept, groups, request.bins)
    return Outcome(
        _title(runs, kept), request.of, str(first.property.unit), tuple(rows), distributions, tuple(notes),
        tuple(dict.fromkeys(warnings)),
    )  # fmt: skip


def check_alike(runs: Sequence[RunSeries], others: Sequence[RunSeries]) -> None:
    """Refuse runs of other atoms, or that are averaged together and have another temperature or other beads.

    Raises
    ------
    InputError
        Naming the run.
    """
    first = runs[0]
    for one in (*runs, *others):
        if one.run.numbers.tolist() != first.run.numbers.tolist():
            raise InputError(f"'{one.run.path}' has other atoms than '{first.run.path}'; they must be the same")
        if not np.isclose(one.system.temperature, first.system.temperature):
            raise InputError(
                f"'{one.run.path}' is at {one.system.temperature:g} K, '{first.run.path}' at "
                f"{first.system.temperature:g} K; they must be the same"
            )
    for group in (runs, others):
        for one in group:
            if one.beads != group[0].beads:
                raise InputError(
                    f"'{one.run.path}' has {one.beads} beads, '{group[0].run.path}' {group[0].beads}; runs that are "
                    "averaged together need as many"
                )
            if one.beads > 1 and not np.allclose(one.masses, group[0].masses, rtol=SAME_MASS, atol=0):
                raise InputError(
                    f"'{one.run.path}' has other masses than '{group[0].run.path}'; path integrals that are averaged "
                    "together need the same isotopes (those of others can be taken away by --minus)"
                )


def check_different(runs: Sequence[RunSeries], kept: Sequence[KeptSeries]) -> None:
    """Refuse a run that is given twice, which would count as two, and samples of different sizes.

    Raises
    ------
    InputError
        Naming the runs.
    """
    for place, own in enumerate(kept):
        if own.means.shape[1:] != kept[0].means.shape[1:]:
            raise InputError(
                f"a sample of '{runs[place].run.path}' has the shape {own.means.shape[1:]}, one of "
                f"'{runs[0].run.path}' {kept[0].means.shape[1:]}; they must be the same"
            )
        for earlier, other in zip(runs, kept[:place], strict=False):
            if _are_same(own, other):
                raise InputError(
                    f"'{runs[place].run.path}' and '{earlier.run.path}' hold the same samples; runs that are "
                    "independent of each other are needed"
                )


def _are_same(own: KeptSeries, other: KeptSeries) -> bool:
    """Whether samples are the same at all steps of both: as of one input run twice, whose noise is the same, too."""
    if np.array_equal(own.steps, other.steps) and np.array_equal(own.means, other.means, equal_nan=True):
        return True
    steps, ours, theirs = np.intersect1d(own.steps, other.steps, return_indices=True)
    first, second = own.means[ours], other.means[theirs]
    if len(steps) < 2 or not np.array_equal(np.isnan(first), np.isnan(second)):
        return False
    # beside fluctuations: values may be large and vary little, as energies, or be near zero, as components of vectors
    apart, spread = first - second, first - first.mean(axis=0)
    return bool(np.nansum(apart**2) < SAME_SAMPLE**2 * np.nansum(spread**2))


def distributions_of(
    first: RunSeries, kept: Sequence[KeptSeries], groups: Sequence[Group], bins: int
) -> dict[str, Distribution]:
    """Distributions of the values of single beads, of each group, or of the cell."""
    if not kept[0].scalars.shape[-1]:
        return {}
    numbers = sum(own.scalars.size for own in kept)
    stride = max(1, -(-numbers // MOST_KEPT))  # one for all runs, which count by their samples
    whole = groups or [Group(first.of, tuple(range(kept[0].scalars.shape[-1])))]
    found = {}
    for group in whole:
        values = np.concatenate([own.scalars[::stride, :, list(group.atoms)].ravel() for own in kept]).astype(
            np.float64
        )
        values = values[np.isfinite(values)]
        if len(values) > 1 and np.ptp(values) > 0:
            density, edges = np.histogram(values, bins=bins, density=True)
            found[group.name] = Distribution(edges, density)
    return found


def write(outcome: Outcome, stem: Path) -> list[Path]:
    """Write the rows, the distributions and the picture."""
    writers: dict[str, Writer] = {".csv": outcome.write}
    if outcome.distributions:
        writers[".distributions.csv"] = outcome.write_distributions
        writers[".png"] = partial(_draw, outcome)
    return write_files(stem, writers)


def _draw(outcome: Outcome, image: Path) -> None:
    from .picture import draw  # takes long to import

    draw(outcome, image)


def _beads(one: RunSeries) -> str:
    return f"{one.beads} bead{'s' * (one.beads > 1)}"


def _words(runs: Sequence[RunSeries], means: Means) -> tuple[list[str], list[str]]:
    """Warnings and notes."""
    warnings, notes = [own.warning for own in runs if own.warning], []
    if means.blocks < FEWEST_BLOCKS:
        warnings.append(
            f"'{runs[0].files}' is {means.blocks or 'less than two'} times as long as five autocorrelation times of "
            f"the slowest mean; errors of fewer than {FEWEST_BLOCKS} such blocks are too small"
        )
    if means.disagreeing:
        warnings.append(
            f"runs beside '{runs[0].files}' differ from it by more than their errors in {_some(means.disagreeing)}: "
            "they have not sampled the same, and the sampling error, now that between runs, may be too small"
        )
    if means.unknown:
        notes.append(f"the model knows nothing of {_some(means.unknown)}: their species had no labels")
    if runs[0].holds_means:
        notes.append("no distributions, as the file holds means over beads")
    if without := [own.run.path for own in runs if own.members is None]:
        where = f" by '{without[0]}'" if len(without) < len(runs) else ""
        notes.append(f"no model error, as no members are written{where}")
    return warnings, notes


def _some(names: Sequence[str]) -> str:
    return "; ".join(names[:4]) + (" …" if len(names) > 4 else "")


def _title(runs: Sequence[RunSeries], kept: Sequence[KeptSeries]) -> str:
    count = f"{len(runs)} run{'s' * (len(runs) > 1)}"
    samples = sum(len(own.steps) for own in kept)
    return f"{runs[0].of}: {count}, {samples} samples, {_beads(runs[0])}, {runs[0].system.temperature:g} K"
