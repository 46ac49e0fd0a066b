"""``beadwise check-data``: what files of labelled structures hold, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from ...learning.data.summary import DataSummary

from .findings import Findings
from .option_groups.reading_options import reading_of, reading_options
from .options import json_option


@click.command("check-data")
@click.argument("files", nargs=-1, required=True, metavar="FILES...")
@reading_options
@click.option(
    "--every", type=click.IntRange(min=1), default=1, metavar="N", help="Look at each N-th frame only, of large files."
)
@json_option
def check_data(files: tuple[str, ...], every: int, json_file: Path | None, **said: Any) -> None:
    """Say what files of labelled structures hold.

    FILES are those that fit and evaluate take, patterns and parts of files (data.xyz@:100) included, or the
    CONFIG.toml of a fit, which names them and says how they are read.  What is printed: frames of each label and where
    it stood, species, shortest distances, frames that repeat others, energies that do not go with the others, numbers
    that are not used, the memory that a fit needs, and whether dipoles, Born charges and polarizabilities obey their
    sum rules, which tells a wrong unit, sign or order of indices.  Nothing is changed; the exit status is 2 if a file
    cannot be read.
    """
    from ...learning.data import DataError, expanded, iterate_frames
    from ...learning.data.files import part_of_file
    from ...learning.data.summary import DataSummary
    from ...learning.fitting.configuration import DensitySettings, read_configuration
    from ...learning.fitting.fit_data import file_labels
    from ...learning.fitting.memory import matrices_of, memory_lines, sections_of
    from ...learning.fitting.target_fit import with_labelled
    from ...properties.quantities import quantities
    from ..launch.stages import Stages

    configuration = read_configuration(files[0]) if len(files) == 1 and files[0].endswith(".toml") else None
    if configuration is not None:
        reading = configuration.data.reading
        names = {str(configuration.folder / name): label for name, label in file_labels(configuration).items()}
    else:
        reading = reading_of(**said)
        names = {name: name for name in expanded(files, Path())}
    summary, unreadable = DataSummary(), []
    labelled: dict[str, set[int]] = {}
    with Stages() as stages:
        for name, label in names.items():
            frames = stages.counted(iterate_frames(name, reading), f"reading {label}")
            chosen = (frame for place, frame in enumerate(frames) if place % every == 0)
            try:
                summary.add(label, with_labelled(chosen, labelled), reading, str(part_of_file(name)[0]))
            except DataError as error:
                unreadable.append(str(error))
    findings = Findings(json_file)
    show_summary(findings, summary)
    if configuration is not None:
        density, sections, matrices = configuration.density, sections_of(configuration), matrices_of(configuration)
    else:
        fitted = {name: own for name, own in quantities().items() if own.label in summary.labels}
        sections = {name: None if name == "energy" else own.settings() for name, own in fitted.items()}
        density, matrices = DensitySettings(), 2
    kinds = {name: len(own) for name, own in labelled.items()}
    findings.say(memory_lines(density, sections, len(summary.species), summary.most_atoms, matrices, kinds))
    findings.numbers({"files": summary.as_dict(), "unreadable": unreadable})
    if unreadable:
        raise DataError("; ".join(unreadable))


def show_summary(findings: Findings, summary: DataSummary) -> None:
    """Print what files of frames hold."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, header_style="bold", show_edge=False, padding=(0, 1, 0, 0))
    for heading in ("file", "frames", "atoms", "frames with labels"):
        table.add_column(heading, overflow="fold")
    for own in summary.files.values():
        table.add_row(*own.row())
    findings.show(table)
    findings.say(summary.lines())
