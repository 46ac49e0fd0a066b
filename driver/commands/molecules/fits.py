"""``beadwise fit`` of what is fitted alone: Hamiltonians and electron densities of molecules."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

import click

from ..findings import Findings
from ..options import output_path


def fit_hamiltonian(configuration: Path, findings: Findings, trackers: Sequence[str]) -> None:
    """Fit a Hamiltonian, write its file, and tell the errors on frames that were set aside."""
    from ....learning.fitting.orbitals.errors import hamiltonian_errors
    from ....learning.fitting.orbitals.fit import fit_hamiltonian as fitted
    from ....learning.fitting.orbitals.matrices import read_molecules
    from ....learning.fitting.orbitals.members import calibrated
    from ....learning.fitting.orbitals.sections import LEVELS, read_hamiltonian_configuration
    from ....model.orbitals.file import save_hamiltonian

    settings = read_hamiltonian_configuration(configuration)
    path = _path_of(settings)
    steps = Steps(read_molecules, fitted, save_hamiltonian, hamiltonian_errors, calibrated)
    if settings.hamiltonian.target == LEVELS:
        steps = _steps_of_levels(save_hamiltonian)
    _fit(configuration, settings, path, steps, findings, trackers)
    findings.say([f"Hamiltonian in {path}; ask it as hamiltonian:{settings.output.model}"])


def _steps_of_levels(save: Callable[[Any, Path], None]) -> Steps:
    from ....learning.fitting.configuration import ConfigurationError
    from ....learning.fitting.orbitals.levels import level_errors, read_spectra

    try:
        from ....learning.fitting.orbitals.level_fit import fit_to_levels
    except ImportError as error:
        raise ConfigurationError(
            f"a fit to levels needs {error.name}, which is not installed: pip install 'beadwise[fit]'"
        ) from error
    return Steps(read_spectra, fit_to_levels, save, level_errors)


def fit_electron_density(configuration: Path, findings: Findings, trackers: Sequence[str]) -> None:
    """Fit an electron density, write its file, and tell the errors on frames that were set aside."""
    from ....learning.fitting.electron_density.errors import density_errors
    from ....learning.fitting.electron_density.fit import fit_electron_density as fitted
    from ....learning.fitting.electron_density.labels import read_densities
    from ....learning.fitting.electron_density.sections import read_electron_density_configuration
    from ....model.electron_density.file import save_density

    settings = read_electron_density_configuration(configuration)
    path = _path_of(settings)
    steps = Steps(read_densities, fitted, save_density, density_errors)
    _fit(configuration, settings, path, steps, findings, trackers)
    findings.say([f"electron density in {path}; ask it as density:{settings.output.model}"])


class Steps(NamedTuple):
    """What reads the labels, fits, writes the file, tells the errors, and calibrates members where there are some."""

    read: Callable[[Any], Any]
    fit: Callable[..., Any]
    save: Callable[[Any, Path], None]
    errors: Callable[[Any, Any], Any]
    calibrated: Callable[[Any, Any], tuple[Any, Any]] = lambda model, _: (model, None)


def _path_of(settings: Any) -> Path:
    """Where the model goes, refused before the work where it cannot."""
    path: Path = settings.folder / settings.output.model
    if path.suffix != ".safetensors":
        raise click.ClickException(
            f"model = '{settings.output.model}' in [output]; a name ending in .safetensors is needed"
        )
    output_path(click.get_current_context(), click.Argument(["model"]), path)
    return path


def _fit(
    configuration: Path, settings: Any, path: Path, steps: Steps, findings: Findings, trackers: Sequence[str]
) -> None:
    from ....learning.fitting.orbitals.matrices import set_aside
    from ....learning.logs.journal import LOG, JsonLines, journal
    from ....learning.logs.trackers import tracker_of
    from ...launch.stages import Stages

    training, aside = set_aside(steps.read(settings), settings.data.validation)
    frames = [sum(own.batch.beads for own in part) for part in (training, aside)]
    findings.say([f"{frames[0]} frames to fit, {frames[1]} set aside"])
    log = JsonLines(settings.folder / settings.output.report / LOG)
    with Stages() as stages, journal(log, *map(tracker_of, trackers)) as told:
        told.tell("begin", configuration=configuration.name, frames={"training": frames[0], "validation": frames[1]})
        model = steps.fit(settings, training, stages)
        steps.save(model, path)  # before the errors are evaluated: a fit should not be lost to what follows
        model, spread = steps.calibrated(model, aside)
        errors = steps.errors(model, aside) if frames[1] else None
        if errors is not None:
            told.tell("errors", set="validation", **asdict(errors))
        told.tell("end", model=path.name)
    said: dict[str, Any] = {"errors": asdict(errors)} if errors is not None else {}
    if spread is not None:
        said["calibration"] = {"factor": model.calibration, **spread.as_dict()}
    if errors is not None:
        steps.save(replace(model, metadata={**model.metadata, **said}), path)
        findings.say(errors.lines())
    if spread is not None:
        findings.say(spread.lines(model.calibration))
    elif getattr(model, "members", 0):
        findings.say(["members are not calibrated, for want of frames that were set aside: validation in [data]"])
    findings.numbers({"model": path, "errors": {}, **said})
