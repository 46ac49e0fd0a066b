"""From biased runs to surfaces of free energy over two variables: what ``beadwise profile --second`` does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ...runs.input.dynamics import exchanges_replicas
from ...runs.input.elements import InputError
from ...runs.plumed.bias_series import BiasSeries
from ...runs.plumed.biased_runs import BiasedRun
from ...runs.plumed.tables import is_plumed_table
from ...runs.source import find_run
from ...sampling import BiasedSeries, Window
from ...sampling.surfaces.surface import FreeEnergySurface, free_energy_surface, write_surfaces
from ...with_errors import with_error
from ..results import Report, Shown, beside, stem_of, write_files, written_to
from .make import OTHERS, ProfileRequest, read_runs, read_table
from .samples import ProfileOptions, Samples, edges_of, period_of_samples, samples_of_runs, samples_of_table, wrapped
from .tempering import check_apart, tempered_samples


@dataclass(frozen=True)
class SecondVariable:
    """The variable on the other axis.

    Parameters
    ----------
    name : str
    limits : tuple of float or None
        Its range; None for all that was sampled, or the period.
    """

    name: str
    limits: tuple[float, float] | None = None


def make_surfaces(request: ProfileRequest, second: SecondVariable, shown: Shown = iter) -> Report:
    """Make the surfaces that are asked for, and say what came out.

    Parameters
    ----------
    request : ProfileRequest
        Of the first variable; bins are those of both.
    second : SecondVariable
    shown : callable
        Passes runs on, one after the other, and shows how far this has come.

    Raises
    ------
    InputError
        If a run or file cannot be used, or does not write both variables.
    SamplingError
        If there are too few samples, or windows do not overlap.
    """
    options = request.options
    others = replace(options, variable=second.name, limits=second.limits)
    runs: list[tuple[BiasedRun, BiasSeries]] = []
    samples: list[tuple[Samples, Samples]] = []
    names: dict[str, Path] = {}
    for path in shown(request.runs):
        if not is_plumed_table(path):
            source = find_run(path, OTHERS)
            if exchanges_replicas(source.root):
                along = [tempered_samples(source, one) for one in (options, others)]
                names.setdefault(along[0][0].variable, path)
                samples += zip(*along, strict=True)
            else:
                runs += read_runs(source)
            continue
        table, temperature, unit = read_table(path, request)
        if table.holds_hills:
            raise InputError(f"'{path}' holds hills, of which no surface is made; the COLVAR of that run is needed")
        names.setdefault(options.variable or table.names[1], path)
        own = [samples_of_table(table, temperature, unit, one) for one in (options, others)]
        samples.append((own[0], own[1]))
    if runs:
        names.setdefault(runs[0][0].variable(options.variable), runs[0][0].source)
        samples = _paired(samples_of_runs(runs, options), samples_of_runs(runs, others), second.name) + samples
    if len(names) > 1 or second.name in names:
        given = ", ".join(f"'{path}' is of {name}" for name, path in names.items())
        raise InputError(f"{given} and {second.name}; name two variables, as --variable and --second")
    variables = (next(iter(names)), second.name)
    check_apart([one for one, _ in samples])
    surfaces = _surfaces_of(samples, options, others)
    stem = stem_of(request.output, beside(request.runs[0], "surface", *variables))

    def draw(image: Path) -> None:
        from ...sampling.surfaces.plot import plot_surfaces  # takes long to import

        plot_surfaces(surfaces, image, variables)

    writers = {".csv": lambda table: write_surfaces(surfaces, table, variables), ".png": draw}
    files = write_files(stem, writers)
    lines: list[str] = []
    for label, surface in surfaces.items():
        lines += [f"{label}: {_summary(surface)}", *(f"  {name}: {note}" for name, note in surface.notes.items())]
    return Report((*lines, written_to(files)), {"variables": variables, "surfaces": surfaces, "files": files})


def _paired(first: Sequence[Samples], second: Sequence[Samples], name: str) -> list[tuple[Samples, Samples]]:
    """The samples of both variables of each run."""
    if len(first) != len(second) or any(one.label != other.label for one, other in zip(first, second, strict=True)):
        raise InputError(
            f"one of the two variables is written of all beads and the other is that of the centroid; write "
            f"bead_{name} and the same of the other one, or neither"
        )
    return list(zip(first, second, strict=True))


def _surfaces_of(
    samples: Sequence[tuple[Samples, Samples]], options: ProfileOptions, others: ProfileOptions
) -> dict[str, FreeEnergySurface]:
    """One surface for each label, all with the same cells."""
    columns = list(zip(*samples, strict=True))
    periods = [period_of_samples(column) for column in columns]
    settings = (options, others)
    edges = [edges_of(column, own, {}, period) for column, own, period in zip(columns, settings, periods, strict=True)]
    made = {}
    for label in dict.fromkeys(one.label for one, _ in samples):
        own = [pair for pair in samples if pair[0].label == label]
        values = [
            [wrapped(one.values, edge[0], period) for one, edge, period in zip(pair, edges, periods, strict=True)]
            for pair in own
        ]
        of_second = [pair[1] for pair in values]
        first, temperature = own[0][0], own[0][0].temperature
        pair_of_edges: tuple[np.ndarray, np.ndarray] = (edges[0], edges[1])
        if first.restraints:
            windows = [
                Window(pair[0], np.stack(one.restraints), one.log_weights, one.kind)
                for (one, _), pair in zip(own, values, strict=True)
            ]
            surface = free_energy_surface(windows, of_second, pair_of_edges, temperature, options.blocks)
        else:
            series = [BiasedSeries(pair[0], one.log_weights) for (one, _), pair in zip(own, values, strict=True)]
            independent = all(one.are_independent for one, _ in own)
            surface = free_energy_surface(series, of_second, pair_of_edges, temperature, options.blocks, independent)
        made[label] = replace(surface, notes={**surface.notes, "note": first.note}) if first.note else surface
    return made


def _summary(surface: FreeEnergySurface) -> str:
    """The lowest cell, and the highest whose error is known."""
    known = np.where(np.isnan(surface.standard_error), -np.inf, np.nan_to_num(surface.free_energy, nan=-np.inf))
    first, second = surface.coordinates
    low, high = (
        np.unravel_index(int(place), known.shape) for place in (np.nanargmin(surface.free_energy), known.argmax())
    )
    at_low, at_high = (f"({first[place[0]]:.4g}, {second[place[1]]:.4g})" for place in (low, high))
    height = with_error(f"{surface.free_energy[high]:.4g}", float(surface.standard_error[high]), "eV")
    return f"lowest at {at_low}, highest at {at_high} with {height}"
