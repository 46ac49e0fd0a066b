"""What to run, and what is raised if it does not reach its end."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ...analysis.profile.samples import ProfileOptions
from ...runs.input.force_fields import ForceSocket
from ...runs.input.run_input import RunInput


class RunError(Exception):
    """A run that did not reach its end, for a reason other than bad input."""


class OutOfTime(Exception):  # noqa: N818 - an end that was asked for, not an error
    """A run that was stopped before its last step because its time was over."""


@dataclass(frozen=True)
class Plan:
    """What to run.

    Parameters
    ----------
    input : RunInput
        Its folder is where i-PI runs and writes.
    models : mapping of str to str
        MODEL for each force field by name; the entry under the empty name serves those that are not named.
    workers : int
        Servers for each ffsocket.
    threads : int
        Threads of each server.
    want : tuple of str or None
        Properties to serve; None to serve those that the input asks for.
    spectra : tuple of str
        Kinds of spectra that are kept current.
    window : float or None
        Length of their window in fs; None for one that suits the length of the run.
    optical_permittivity : float or None
        ε∞ of spectra and permittivity; None for that of the polarizabilities.
    averages : tuple of str
        Quantities whose averages are kept current.
    profile : ProfileOptions or None
        Free-energy profile that is kept current; None for none.
    electric_field : tuple of float or None
        Static field in V/Å that is served; None for no field.
    field_order : int
        1, or 2 for the response of the electrons, too.
    precision : str
        ``double`` or ``single``, of all servers.
    server_options : tuple of str
        What the user asked of servers, as options of the command line.
    options : tuple of str
        All options of the command line; who continues needs them again.
    report : bool
        Whether a report is written at the end.
    pictures : bool
        Whether energies are drawn, and a report is written at all; not with ``BEADWISE_PICTURES=none``.
    live : bool
        Whether the page of the run is served while it goes on.
    walltime : float or None
        Seconds after which the run must have ended; None for no limit.
    """

    input: RunInput
    models: Mapping[str, str]
    workers: int = 1
    threads: int = 1
    want: tuple[str, ...] | None = None
    spectra: tuple[str, ...] = ()
    window: float | None = None
    optical_permittivity: float | None = None
    averages: tuple[str, ...] = ()
    profile: ProfileOptions | None = None
    electric_field: tuple[float, float, float] | None = None
    field_order: int = 1
    precision: str = "double"
    server_options: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    report: bool = True
    pictures: bool = field(default_factory=lambda: os.environ.get("BEADWISE_PICTURES") != "none")
    live: bool = False
    walltime: float | None = None

    @property
    def folder(self) -> Path:
        """Where i-PI runs and writes."""
        return self.input.folder

    @property
    def source(self) -> Path:
        """i-PI input or RESTART, as it is found from there."""
        path = self.input.path
        return path.relative_to(self.folder) if path.is_relative_to(self.folder) else path.absolute()

    def model_of(self, address: ForceSocket) -> str:
        """MODEL that serves one ffsocket."""
        return self.models.get(address.name, self.models[""])
