"""``beadwise run``: i-PI and its servers together."""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from ...analysis.spectrum.kinds import LIVE, WITH_OPTICAL
from .messages import fail
from .option_groups.copy_options import copy_options
from .option_groups.given_options import GIVEN, OptionOfCopy, RememberingCommand
from .option_groups.walltime import time_to_stop, walltime_option
from .options import (
    PATH,
    WITHOUT_FIELD,
    field_option,
    field_order_option,
    optical_option,
    parse_models,
    parse_spectra,
    precision_option,
    threads_option,
    trust_option,
    want_option,
    window_option,
    workers_option,
)

SHIPPED_INPUT = "water"
OUT_OF_TIME = 3  # exit status


@click.command(cls=RememberingCommand)
@click.argument("source", metavar="[INPUT]", type=PATH, required=False)
@click.option(
    "--model",
    "models",
    multiple=True,
    metavar="MODEL",
    help="Model file, qtip4pf, name of a shipped model, or MODULE:ATTRIBUTE  [default: what the input names, that of a "
    "shipped input, else water].  FORCEFIELD=MODEL serves one <ffsocket> of several; may be repeated.",
)
@workers_option
@threads_option
@precision_option
@field_option
@field_order_option
@want_option
@click.option(
    "--spectrum",
    "spectra",
    callback=parse_spectra,
    metavar="KINDS",
    help=f"Spectra that are kept current as CSV and PNG: {', '.join(LIVE)}, separated by commas, or none  "
    "[default: those of a shipped input].",
)
@window_option
@optical_option
@click.option(
    "--profile",
    "variable",
    metavar="LABEL",
    help="Collective variable whose free-energy profile is kept current as CSV and PNG, or none  [default: that which "
    "PLUMED biases, if the input writes it].",
)
@click.option(
    "--average",
    "averages",
    multiple=True,
    metavar="QUANTITY",
    help="Quantity whose means over beads and time are kept current as CSV and PNG, as shielding; may be repeated.",
)
@click.option("--no-report", is_flag=True, help="Write no report of the run, PREFIX.report.html, at its end.")
@click.option("--live", is_flag=True, help="Serve the page of the run to this machine while it goes on, as watch does.")
@walltime_option
@copy_options
@click.option(
    "--check",
    "only_check",
    cls=OptionOfCopy,
    is_flag=True,
    help="Do all that a run does before i-PI starts, let each server answer once, and say what would run.",
)
@trust_option
@click.pass_context
def run(
    context: click.Context,
    source: Path | None,
    models: tuple[str, ...],
    workers: int | None,
    threads: int | None,
    precision: str,
    electric_field: tuple[float, float, float] | None,
    field_order: int,
    want: tuple[str, ...] | None,
    spectra: tuple[str, ...] | None,
    window: float | None,
    optical_permittivity: float | None,
    variable: str | None,
    averages: tuple[str, ...],
    no_report: bool,
    live: bool,
    walltime: float | None,
    steps: int | None,
    beads: int | None,
    temperature: float | None,
    only_check: bool,
) -> None:
    """Run i-PI and its servers together.

    INPUT is an i-PI input, a RESTART, or the name of a shipped input, which is copied into a new folder first:
    by default `water`, path-integral liquid water.  i-PI runs in the folder of a copy, otherwise in the current
    one.  Servers are started for each <ffsocket>; <ffdirect> and the like are evaluated in i-PI's own process.
    --steps, --beads and --temperature change the copy of a shipped input; a file of yours is run as it stands.

    The exit status is 0 at the last step, or where a file EXIT or the motion ended the run; 3 where --walltime or
    <total_time> did; 2 for what cannot be run; and 1 for any other end.  The last line says how to go on.
    """
    began = time.monotonic()
    from ...analysis.profile.live import has_profile
    from ...analysis.profile.samples import ProfileOptions
    from ...analysis.spectrum.live import possible_kinds
    from ...model.evaluators.loading import NO_OPENMP
    from ...model.worker_processes import usable_cores
    from ...pyx.kernel import has_threads
    from ...runs.input.run_input import RunInput
    from ..launch.checking.check import check
    from ..launch.examples.changes import Changes
    from ..launch.named_model import trusted_model_of
    from ..launch.plan import OutOfTime, Plan, RunError
    from ..launch.run import run as launch
    from ..launch.shipped_inputs import example_for, is_shipped_input, refuse_unknown, shipped_copy
    from ..launch.stages import new_console, say

    console = new_console()
    source = source or Path(SHIPPED_INPUT)
    workers = workers or 1
    changes = Changes(steps, beads, temperature)
    refuse_unknown(source)
    if not is_shipped_input(source):
        changes.refuse_for(source)
    if not has_threads():
        say(console, NO_OPENMP)
        threads = 1
    with ExitStack() as stack:
        folder = Path()
        if is_shipped_input(source):
            place = Path(stack.enter_context(TemporaryDirectory())) if only_check else folder
            copied = stack.enter_context(shipped_copy(source.name, place, threads or usable_cores(), changes))
            if not only_check:
                say(console, f"copied the shipped input to {copied}")
            folder, source = copied.parent, Path(copied.name)
        given = RunInput.read(folder / source, folder)
        example = example_for(given)
        if not models and given.sockets and (named := trusted_model_of(given)):
            models, context.meta[GIVEN] = (named,), (*context.meta[GIVEN], "--model", named)
        shows_profile = has_profile(given) if variable is None else variable != "none"
        plan = Plan(
            input=given,
            models=parse_models(models, example.model, example.models),
            workers=workers,
            threads=threads or max(1, usable_cores() // workers),
            want=want,
            spectra=possible_kinds(example.spectra, given) if spectra is None else spectra,
            window=window,
            optical_permittivity=optical_permittivity,
            averages=tuple(dict.fromkeys(averages)),
            profile=ProfileOptions(variable=variable) if shows_profile else None,
            electric_field=electric_field or example.electric_field,
            field_order=field_order,
            precision=precision,
            server_options=tuple(
                name
                for name, value in (
                    ("--model", models),
                    ("--want", want),
                    ("--field", electric_field),
                    ("--precision", precision != "double"),
                )
                if value
            ),
            options=context.meta[GIVEN],
            report=not no_report,
            live=live,
            walltime=None if walltime is None else time_to_stop(walltime) - (time.monotonic() - began),
        )
        if optical_permittivity is not None and not set(plan.spectra) & set(WITH_OPTICAL):
            raise click.UsageError(
                f"--optical-permittivity is for {' and '.join(WITH_OPTICAL)}, and the spectra of this run are "
                f"{', '.join(plan.spectra) or 'none'}; add --spectrum"
            )
        if plan.electric_field is not None:
            order = " to second order" if plan.field_order > 1 else ""
            say(console, f"in the electric field {list(plan.electric_field)} V/Å{order}")
        elif plan.field_order > 1:
            raise click.UsageError(WITHOUT_FIELD)
        try:
            (check if only_check else launch)(plan, console)
        except RunError as failure:
            fail(str(failure), 1)
        except OutOfTime as pause:
            say(console, str(pause))
            sys.exit(OUT_OF_TIME)
