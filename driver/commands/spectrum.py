"""``beadwise spectrum``: spectra of trajectories in files."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import click

from ...analysis.spectrum.kinds import CORRECTIONS, HARMONIC, KINDS, OPTIONS_OF_ONE_KIND, WITH_OPTICAL
from .findings import Findings
from .options import (
    NOT_NEGATIVE,
    PATH,
    NearestChoice,
    json_option,
    number,
    optical_option,
    output_option,
    skip_option,
    temperature_option,
    window_option,
)

KINDS_WITH_MEMBERS = ("ir", "raman")
KINDS_WITH_UNITS = ("ir", "raman", "dielectric")


def parse_columns(context: click.Context, parameter: click.Parameter, value: str) -> tuple[str, ...]:
    """Split ``2,3,4``."""
    return tuple(name.strip() for name in value.split(",") if name.strip())


@click.command()
@click.argument("kind", type=NearestChoice(KINDS))
@click.argument("files", nargs=-1, required=True, type=PATH, metavar="RUNS...")
@click.option(
    "--input",
    "source",
    type=PATH,
    metavar="INPUT.xml",
    help="Input of i-PI, or RESTART, that belongs to files  [default: found beside them].",
)
@number("--timestep", unit="FS", text="Time between samples, in fs, where no i-PI input tells it.")
@temperature_option
@number("--volume", unit="A3", text="Volume of the cell, in Å³, where no i-PI input tells it.")
@click.option(
    "--dynamics",
    metavar="NAME",
    help="Name of the dynamics on the output, as classical, RPMD or TRPMD  [default: that of the input].",
)
@window_option
@number("--resolution", unit="CM", text="Full width at half maximum of the window in cm⁻¹, in place of --window.")
@click.option(
    "--window-shape",
    metavar="NAME",
    default="hann",
    show_default=True,
    help="Shape of the window: hann, blackman, blackman-harris or none.",
)
@number("--highest", unit="CM", kind=click.FloatRange(min=10), default=4500.0, text="Highest wavenumber, in cm⁻¹.")
@optical_option
@number("--laser", unit="CM", text="Wavenumber of the laser in cm⁻¹, for raman  [default: that of 532 nm].")
@number("--inner", unit="A", kind=NOT_NEGATIVE, text="Height in Å where a face begins, for sfg  [default: 1].")
@number("--outer", unit="A", kind=NOT_NEGATIVE, text="Height in Å from where all counts, for sfg  [default: 4].")
@number("--near", unit="A", text="Distance in Å of near neighbours, for sfg  [default: 4].")
@click.option(
    "--quantum-correction",
    type=NearestChoice(CORRECTIONS),
    default=HARMONIC,
    show_default=True,
    help="Factor that makes quantum intensities of classical ones, for ir and raman of one bead: standard, harmonic, "
    "schofield or none.",
)
@skip_option
@click.option(
    "--unit",
    metavar="UNIT",
    help="Unit of the dipole or polarizability in files: debye, au, bohr^3 …  [default: e*angstrom, angstrom^3].",
)
@click.option(
    "--columns",
    metavar="I,J,K",
    default="",
    callback=parse_columns,
    help="Columns of tables that are the dipole or polarizability, by numbers from 1 or names.",
)
@click.option("--members", is_flag=True, help="Write the spectra of all members, too, for ir and raman.")
@output_option
@json_option
def spectrum(kind: str, files: tuple[Path, ...], json_file: Path | None, **options: Any) -> None:
    """Make a spectrum of RUNS, and write it as CSV and PNG.

    RUNS are folders of runs, their inputs or RESTARTs, finished or running, of which the output that the spectrum is
    made of is found; or files: i-PI's extras of every bead (dipole, polarizability, or those of molecules for `sfg`),
    extended xyz with dipole and polarizability, arrays of numpy.savez, for `ir` also born_charges and velocities,
    columns of numbers as of CP2K, LAMMPS and GPUMD, or CP2K's moments.  For `dos` files are velocities of centroids
    that i-PI wrote as xyz, or extended xyz with velocities or momenta.  Timestep, temperature, cell and kind of
    dynamics are read from an i-PI input or RESTART beside the files, and otherwise given.  With members of committees
    among the series (member_dipoles, member_polarizabilities, committee_pot), `ir` and `raman` have a model error
    beside their sampling error.
    """
    _check_options(kind, options)
    from ...analysis.spectrum.make import make
    from ...analysis.spectrum.request import Request
    from ..launch.stages import Stages

    findings = Findings(json_file)
    with Stages() as stages:
        report = make(Request(kind, files, **options), partial(stages.counted, label="reading trajectories"))
    findings.say(report.lines)
    findings.numbers(report.numbers)


def _check_options(kind: str, options: Mapping[str, Any]) -> None:
    """Raise UsageError if options exclude each other, or are for another kind of spectrum."""
    if options["window"] is not None and options["resolution"] is not None:
        raise click.UsageError(
            f"--window {options['window']:g} and --resolution {options['resolution']:g} exclude each other; give one"
        )
    if options["members"] and kind not in KINDS_WITH_MEMBERS:
        raise click.UsageError(f"--members is for {' and '.join(KINDS_WITH_MEMBERS)}, not for {kind}")
    if options["quantum_correction"] != HARMONIC and kind not in KINDS_WITH_MEMBERS:
        raise click.UsageError(f"--quantum-correction is for {' and '.join(KINDS_WITH_MEMBERS)}, not for {kind}")
    if options["optical_permittivity"] is not None and kind not in WITH_OPTICAL:
        raise click.UsageError(f"--optical-permittivity is for {' and '.join(WITH_OPTICAL)}, not for {kind}")
    for name in ("unit", "columns"):
        if options[name] and kind not in KINDS_WITH_UNITS:
            raise click.UsageError(f"--{name} is for {', '.join(KINDS_WITH_UNITS)}, not for {kind}")
    for name, own in OPTIONS_OF_ONE_KIND.items():
        if options[name] is not None and kind != own:
            raise click.UsageError(f"--{name} {options[name]:g} is for {own}, not for {kind}")
