"""``beadwise fit``: from labelled structures to a model file."""

from __future__ import annotations

from pathlib import Path

import click

from .findings import Findings
from .molecules.fits import fit_electron_density, fit_hamiltonian
from .options import PATH, json_option, output_path, track_option, trust_option

ALONE = {"hamiltonian": fit_hamiltonian, "electron_density": fit_electron_density}  # sections that tell of all


@click.command()
@click.argument("configuration", type=PATH, metavar="CONFIG.toml")
@json_option
@track_option
@trust_option
def fit(configuration: Path, json_file: Path | None, trackers: tuple[str, ...]) -> None:
    """Fit a model to labelled structures.

    CONFIG.toml names the data, the density, what to fit and where to put the model and its error report; paths in it
    are relative to it.  What happens is told in log.jsonl of the report's folder, one JSON object per line.  With a
    section [hamiltonian] it is the single-particle Hamiltonian of molecules that is fitted, with [electron_density]
    their electron density.
    """
    from ...learning.data.summary import DataSummary
    from ...learning.fitting.calibration import calibration_text, calibration_warnings
    from ...learning.fitting.configuration import read_configuration
    from ...learning.fitting.fit import error_reports, model_path, with_errors, write_report
    from ...learning.fitting.fit import fit as fit_model
    from ...learning.fitting.fit_data import read_fit_data
    from ...learning.fitting.head_fit import labels_not_fitted
    from ...learning.fitting.network_steps import forget_state, gain_text
    from ...learning.fitting.orbitals.own_configuration import has_section
    from ...learning.logs.journal import LOG, JsonLines, journal
    from ...learning.logs.trackers import tracker_of
    from ...model import save
    from ..launch.stages import Stages
    from .check_data import show_summary

    for section, fit_alone in ALONE.items():
        if has_section(configuration, section):
            fit_alone(configuration, Findings(json_file), trackers)
            return
    settings = read_configuration(configuration)
    path = model_path(settings)
    output_path(click.get_current_context(), click.Argument(["model"]), path)
    findings = Findings(json_file)
    data = read_fit_data(settings)
    summary = DataSummary.of(data.sets, settings.data.reading)
    show_summary(findings, summary)
    if idle := labels_not_fitted(settings, summary.labels):
        findings.say([f"not fitted, for want of a section: {', '.join(idle)}"])
    log = JsonLines(settings.folder / settings.output.report / LOG)
    with Stages() as stages, journal(log, *map(tracker_of, trackers)) as told:
        told.tell("begin", configuration=configuration.name, frames={n: len(own) for n, own in data.sets.items()})
        model = fit_model(settings, stages, data, told)
        save(model, path)  # before the errors are evaluated: a fit should not be lost to what follows
        reports = error_reports(model, settings, stages, data)
        for name, report in reports.items():
            told.tell("errors", set=name, properties=report.as_dict()["properties"])
        told.tell("end", model=path.name)
    save(with_errors(model, settings, reports), path)
    forget_state(settings)
    for name, report in reports.items():
        findings.show(report.table(f"{name}, {report.frames} frames"))
        findings.say(report.guards.lines())
    if settings.equivariant:  # members that were added to a network did not change it
        findings.say(gain_text(model))
    if model.members is not None:
        findings.say([calibration_text(model), *calibration_warnings(model)])
    folder = write_report(settings, reports)
    findings.say([f"model in {path}, errors and parity plots in {folder}"])
    findings.numbers({"model": path, "report": folder, "errors": {n: own.as_dict() for n, own in reports.items()}})
