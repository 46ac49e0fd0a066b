"""The command ``beadwise spectrum``: spectra of trajectories in files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

KINDS = ("ir", "raman", "sfg", "dos", "dielectric")


@click.command()
@click.argument("kind", type=click.Choice(KINDS))
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILES...")
@click.option("--input", "source", type=click.Path(path_type=Path), help="i-PI input or RESTART; found beside FILES.")
@click.option("--timestep", type=click.FloatRange(min=0, min_open=True), help="Between samples, in fs.")
@click.option("--temperature", type=click.FloatRange(min=0, min_open=True), help="In K.")
@click.option("--volume", type=click.FloatRange(min=0, min_open=True), help="Of the cell, in Å³.")
@click.option("--dynamics", help="What to call the dynamics: classical, RPMD, TRPMD.")
@click.option("--window", type=click.FloatRange(min=0, min_open=True), default=1000.0, show_default=True, help="In fs.")
@click.option("--window-shape", default="hann", show_default=True, help="hann, blackman, blackman-harris or none.")
@click.option("--highest", type=click.FloatRange(min=10), default=4500.0, show_default=True, help="Wavenumber in cm⁻¹.")
@click.option("--optical-permittivity", type=click.FloatRange(min=1), default=1.77, show_default=True)
@click.option("--skip", type=click.FloatRange(min=0), default=0.0, show_default=True, help="Time to leave out, in ps.")
@click.option("--output", type=click.Path(path_type=Path), help="Name of the .csv and .png, without the ending.")
def spectrum(kind: str, files: tuple[Path, ...], **options: Any) -> None:
    """Make a spectrum from the series in FILES, and write it as CSV and PNG.

    FILES are i-PI's extras of every bead (dipole, polarizability, or those of molecules for `sfg`), of one run or of
    several, finished or running; extended xyz with dipole and polarizability; or arrays of numpy.savez.  For `dos` they
    are velocities that i-PI wrote as xyz.  Timestep, temperature, cell and kind of dynamics are read from an i-PI input
    or RESTART beside the files, and otherwise given.
    """
    from ..model import BeadwiseError
    from ..spectra import NotComputedError, SeriesError
    from .make_spectra import Request, make

    try:
        for line in make(Request(kind, files, **options)):
            click.echo(line)
    except (SeriesError, NotComputedError) as error:
        raise BeadwiseError(str(error)) from error
