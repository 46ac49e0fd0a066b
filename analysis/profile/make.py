"""From folders and files to free-energy profiles: what ``beadwise profile`` does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...runs.input.dynamics import exchanges_replicas
from ...runs.input.elements import InputError
from ...runs.input.run_input import RunInput
from ...runs.plumed.bias_series import BiasSeries, read_bias_series
from ...runs.plumed.biased_runs import BiasedRun, read_biased_runs
from ...runs.plumed.input import ENERGY_UNITS
from ...runs.plumed.tables import PlumedTable, is_plumed_table, read_plumed_table
from ...runs.source import find_run
from ...sampling import FreeEnergyProfile, Hills
from ...sampling.profile import write_profiles
from ...with_errors import with_error
from ..results import Report, Shown, beside, stem_of, write_files, written_to
from .hills import hills_of
from .samples import ProfileOptions, Samples, profiles_of, samples_of_runs, samples_of_table
from .tempering import check_apart, tempered_samples

OTHERS = "tables of PLUMED, COLVAR and HILLS"  # what profiles are made of beside runs


@dataclass(frozen=True)
class ProfileRequest:
    """What a user asks of ``beadwise profile``.

    Parameters
    ----------
    runs : tuple of Path
        Folders of runs, i-PI inputs or RESTARTs, and tables of PLUMED.
    options : ProfileOptions
    temperature : float or None
        In K, for tables of PLUMED.
    energy_unit : str
        Of the biases in tables of PLUMED.
    output : Path or None
        Name of the files to write, without the ending; None for one beside the first run.
    """

    runs: tuple[Path, ...]
    options: ProfileOptions
    temperature: float | None = None
    energy_unit: str = "kj/mol"
    output: Path | None = None

    def stem_for(self, variable: str) -> Path:
        """Path of the files to write, without the ending; a profile along another variable has another name."""
        return stem_of(self.output, beside(self.runs[0], "profile", variable))


def make(request: ProfileRequest, shown: Shown = iter) -> Report:
    """Make the profiles that are asked for, and say what came out.

    Parameters
    ----------
    request : ProfileRequest
    shown : callable
        Passes runs on, one after the other, and shows how far this has come.

    Raises
    ------
    InputError
        If a run or file cannot be used.
    SamplingError
        If there are too few samples, or windows do not overlap.
    """
    samples: list[Samples] = []
    hills: dict[str, Hills] = {}
    runs: list[tuple[BiasedRun, BiasSeries]] = []
    variables: dict[str, Path] = {}
    for path in shown(request.runs):
        if not is_plumed_table(path):
            source = find_run(path, OTHERS)
            if exchanges_replicas(source.root):
                tempered = tempered_samples(source, request.options)
                variables.setdefault(tempered[0].variable, path)
                samples += tempered
            else:
                runs += read_runs(source)
            continue
        table, temperature, unit = read_table(path, request)
        variables.setdefault(request.options.variable or table.names[1], path)
        if table.holds_hills:
            hills[f"hills of {path}"] = hills_of(table, temperature, unit)
        else:
            samples.append(samples_of_table(table, temperature, unit, request.options))
    if runs:
        variables.setdefault(runs[0][0].variable(request.options.variable), runs[0][0].source)
        samples = samples_of_runs(runs, request.options) + samples
    if len(variables) > 1:
        given = ", ".join(f"'{path}' is of {name}" for name, path in variables.items())
        raise InputError(f"{given}; make a profile of each, or name one as --variable")
    check_apart(samples)
    profiles = profiles_of(samples, request.options, hills)
    variable = next(iter(variables))
    files = write_and_draw(profiles, request.stem_for(variable), variable)
    lines: list[str] = []
    for label, profile in profiles.items():
        lines += [f"{label}: {_summary(profile)}", *(f"  {name}: {note}" for name, note in profile.notes.items())]
    return Report((*lines, written_to(files)), {"variable": variable, "profiles": profiles, "files": files})


def read_runs(source: RunInput) -> list[tuple[BiasedRun, BiasSeries]]:
    """Biased systems of a run, with what they wrote.

    Raises
    ------
    InputError
        If they cannot be used.
    """
    return [(run, read_bias_series(run)) for run in read_biased_runs(source)]


def write_and_draw(profiles: Mapping[str, FreeEnergyProfile], stem: Path, variable: str) -> list[Path]:
    """Write profiles as CSV and PNG.

    Parameters
    ----------
    profiles : mapping of str to FreeEnergyProfile
        By the name of their curve.
    stem : Path
        Of the files, without the ending.
    variable : str
        Its name.

    Returns
    -------
    list of Path
        The table and the picture.

    Raises
    ------
    BeadwiseError
        If they cannot be written.
    """

    def draw(image: Path) -> None:
        from ...sampling.plot import plot_profiles  # takes long to import

        plot_profiles(profiles, image, variable)

    return write_files(stem, {".csv": lambda table: write_profiles(profiles, table, variable), ".png": draw})


def read_table(path: Path, request: ProfileRequest) -> tuple[PlumedTable, float, float]:
    """A table of PLUMED, the temperature in K, and its unit of energy in eV.

    Raises
    ------
    InputError
        If it cannot be used.
    """
    if request.temperature is None:
        raise InputError(f"the temperature of '{path}' is not known; give --temperature")
    table = read_plumed_table(path)
    if not len(table.rows):
        raise InputError(f"'{path}' holds no sample yet")
    if table.holds_kernels:
        raise InputError(
            f"'{path}' holds kernels, of which no profile is made; allowed are COLVAR, HILLS whose widths are those of "
            "the variables, and the folder of a run"
        )
    wanted = request.options.variable
    if table.holds_hills and wanted is not None and wanted not in table.hill_variables:
        raise InputError(f"'{path}' holds hills along {', '.join(table.hill_variables)}, and not along '{wanted}'")
    return table, request.temperature, ENERGY_UNITS[request.energy_unit]


def _summary(profile: FreeEnergyProfile) -> str:
    """The lowest point of a curve, and the highest whose error is known."""
    known = np.where(np.isnan(profile.standard_error), -np.inf, np.nan_to_num(profile.free_energy, nan=-np.inf))
    lowest, highest = int(np.nanargmin(profile.free_energy)), int(np.argmax(known))
    return (
        f"lowest at {profile.coordinate[lowest]:.4g}, highest at {profile.coordinate[highest]:.4g} with "
        f"{with_error(f'{profile.free_energy[highest]:.4g}', profile.standard_error[highest], 'eV')}"
    )
