"""The command ``beadwise spectrum``: spectra of trajectories in files."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import click

from ...analysis.spectrum.kinds import KINDS, OPTIONS_OF_ONE_KIND
from ...analysis.spectrum.make import make
from ...analysis.spectrum.request import Request
from ...model import BeadwiseError
from ...spectra import NotComputedError, SeriesError
from .progress_bars import progress_bar

POSITIVE = click.FloatRange(min=0, min_open=True)
NOT_NEGATIVE = click.FloatRange(min=0)
KINDS_WITH_MEMBERS = ("ir", "raman")


@click.command()
@click.argument("kind", type=click.Choice(KINDS))
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILES...")
@click.option("--input", "source", type=click.Path(path_type=Path), help="i-PI input or RESTART; found beside FILES.")
@click.option("--timestep", type=POSITIVE, help="Between samples, in fs.")
@click.option("--temperature", type=POSITIVE, help="In K.")
@click.option("--volume", type=POSITIVE, help="Of the cell, in Å³.")
@click.option("--dynamics", help="What to call the dynamics: classical, RPMD, TRPMD.")
@click.option("--window", type=POSITIVE, help="Length of the window in fs  [default: 1000].")
@click.option("--resolution", type=POSITIVE, metavar="CM", help="Full width at half maximum in cm⁻¹, for --window.")
@click.option("--window-shape", default="hann", show_default=True, help="hann, blackman, blackman-harris or none.")
@click.option("--highest", type=click.FloatRange(min=10), default=4500.0, show_default=True, help="Wavenumber in cm⁻¹.")
@click.option("--optical-permittivity", type=click.FloatRange(min=1), default=1.77, show_default=True)
@click.option("--laser", type=POSITIVE, help="Wavenumber in cm⁻¹, for raman  [default: that of 532 nm].")
@click.option("--inner", type=NOT_NEGATIVE, help="Height in Å where a face begins, for sfg  [default: 1].")
@click.option("--outer", type=NOT_NEGATIVE, help="Height in Å from where all counts, for sfg  [default: 4].")
@click.option("--near", type=POSITIVE, help="Distance in Å of near neighbours, for sfg  [default: 4].")
@click.option("--skip", type=NOT_NEGATIVE, default=0.0, show_default=True, help="Time to leave out, in ps.")
@click.option("--members", is_flag=True, help="Write the spectra of all members, too, for ir and raman.")
@click.option("--output", type=click.Path(path_type=Path), help="Name of the .csv and .png, without the ending.")
def spectrum(kind: str, files: tuple[Path, ...], **options: Any) -> None:
    """Make a spectrum from the series in FILES, and write it as CSV and PNG.

    FILES are i-PI's extras of every bead (dipole, polarizability, or those of molecules for `sfg`), of one run or of
    several, finished or running; extended xyz with dipole and polarizability; or arrays of numpy.savez, for `ir` also
    born_charges and velocities.  For `dos` they are velocities of centroids that i-PI wrote as xyz.  Timestep,
    temperature, cell and kind of dynamics are read from an i-PI input or RESTART beside the files, and otherwise given.
    With members of committees among the series (member_dipoles, member_polarizabilities, committee_pot), `ir` and
    `raman` have a model error beside their sampling error.
    """
    _check_options(kind, options)
    try:
        with progress_bar() as progress:
            for line in make(Request(kind, files, **options), partial(progress.track, description="reading")):
                click.echo(line)
    except (SeriesError, NotComputedError) as error:
        raise BeadwiseError(str(error)) from error


def _check_options(kind: str, options: Mapping[str, Any]) -> None:
    """Raise UsageError if options exclude each other, or are for another kind of spectrum."""
    if options["window"] is not None and options["resolution"] is not None:
        raise click.UsageError(
            f"--window {options['window']:g} and --resolution {options['resolution']:g} exclude each other; give one"
        )
    if options["members"] and kind not in KINDS_WITH_MEMBERS:
        raise click.UsageError(f"--members is for {' and '.join(KINDS_WITH_MEMBERS)}, not for {kind}")
    for name, own in OPTIONS_OF_ONE_KIND.items():
        if options[name] is not None and kind != own:
            raise click.UsageError(f"--{name} {options[name]:g} is for {own}, not for {kind}")
