"""The ``beadwise`` command."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from ..learning.worker_processes import usable_cores
from ..model import BeadwiseError
from .learn_commands import learn
from .learning_commands import evaluate, fit, inspect
from .mass_commands import mass_integration
from .profile_commands import profile
from .promote_commands import promote
from .reweight_commands import reweight
from .server_options import field_option, threads_option, want_option
from .serving_commands import ipi, serve, shim
from .spectra_commands import spectrum
from .spectrum_kinds import FROM_SERIES

SHIPPED_INPUT = "water"


class OneLineErrors(click.Group):
    """A group whose errors are one line on standard error, and whose exit status tells their kind.

    Status 2 is bad usage or bad input, status 1 anything else that went wrong.
    """

    def main(self, *args: Any, **options: Any) -> Any:
        """Run the command and exit."""
        try:
            result = super().main(*args, **{**options, "standalone_mode": False})
        except click.exceptions.NoArgsIsHelpError as error:
            error.show()
            sys.exit(2)
        except click.ClickException as error:
            fail(error.format_message(), 2)
        except click.exceptions.Exit as error:
            sys.exit(error.exit_code)
        except BeadwiseError as error:
            fail(str(error), 2)
        except (click.Abort, KeyboardInterrupt):
            fail("interrupted", 1)
        sys.exit(result if isinstance(result, int) else 0)


def fail(message: str, status: int) -> None:
    """Print an error in one line and exit."""
    click.echo(f"Error: {' '.join(message.split())}", err=True)
    sys.exit(status)


@click.group(cls=OneLineErrors, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="beadwise", message="%(version)s")
def main() -> None:
    """Energies, forces, dipoles and polarizabilities for every bead, served to i-PI."""


main.add_command(serve)
main.add_command(ipi)
main.add_command(shim)
main.add_command(fit)
main.add_command(learn)
main.add_command(evaluate)
main.add_command(inspect)
main.add_command(spectrum)
main.add_command(profile)
main.add_command(reweight)
main.add_command(promote)
main.add_command(mass_integration)


def parse_spectra(context: click.Context, parameter: click.Parameter, value: str | None) -> tuple[str, ...] | None:
    """Split ``ir,raman`` and refuse unknown names; ``none`` is none."""
    if value is None:
        return None
    names = tuple(name.strip() for name in value.split(",") if name.strip())
    if names == ("none",):
        return ()
    unknown = [name for name in names if name not in FROM_SERIES]
    if unknown or not names:
        raise click.BadParameter(f"'{''.join(unknown[:1])}' is no spectrum; allowed are {','.join(FROM_SERIES)}, none")
    return names


@main.command()
@click.argument("source", metavar="[INPUT]", type=click.Path(path_type=Path), required=False)
@click.option(
    "--model",
    "models",
    multiple=True,
    metavar="MODEL",
    help="Model file, qtip4pf, name of a shipped model, or MODULE:ATTRIBUTE  [default: that of a shipped input, else "
    "water].  FORCEFIELD=MODEL serves one <ffsocket> of several; may be repeated.",
)
@click.option("--workers", type=click.IntRange(min=1), default=1, show_default=True, help="Servers per <ffsocket>.")
@threads_option
@field_option
@want_option
@click.option(
    "--spectrum",
    "spectra",
    callback=parse_spectra,
    metavar="KINDS",
    help=f"Spectra that are kept current as CSV and PNG: {', '.join(FROM_SERIES)}, comma separated, or none  [default: "
    "those of a shipped input].",
)
@click.option(
    "--window",
    type=click.FloatRange(min=0, min_open=True),
    help="Length of the spectra's window in fs  [default: a fifth of the run, at most 1000].",
)
@click.option(
    "--profile",
    "variable",
    metavar="VARIABLE",
    help="Collective variable whose free-energy profile is kept current as CSV and PNG, or none  [default: that which "
    "PLUMED biases, if the input writes it].",
)
def run(
    source: Path | None,
    models: tuple[str, ...],
    workers: int,
    threads: int | None,
    electric_field: tuple[float, float, float] | None,
    want: tuple[str, ...] | None,
    spectra: tuple[str, ...] | None,
    window: float | None,
    variable: str | None,
) -> None:
    """Run i-PI and its servers together.

    INPUT is an i-PI input, a RESTART, or the name of a shipped input, which is copied into a new folder first:
    by default `water`, path-integral liquid water.  i-PI runs in the folder of a copy, otherwise in the current
    one.  Servers are started for each <ffsocket>; <ffdirect> and the like are evaluated in i-PI's own process.
    """
    from rich.console import Console

    from .examples import copy_shipped_input, example_for, is_shipped_input
    from .launch import run as launch
    from .live_profiles import has_profile
    from .live_spectra import possible_kinds
    from .plan import Plan, RunError
    from .progress import say
    from .run_profiles import ProfileOptions

    console = Console()
    folder = Path()
    source = source or Path(SHIPPED_INPUT)
    if is_shipped_input(source):
        source = copy_shipped_input(source.name, folder, threads or usable_cores())
        say(console, f"copied the shipped input to {source}")
        folder, source = source.parent, Path(source.name)
    example = example_for(folder / source)
    shows_profile = has_profile(folder / source, folder) if variable is None else variable != "none"
    plan = Plan(
        source=source,
        folder=folder,
        models=parse_models(models, example.model, example.models),
        workers=workers,
        threads=threads or max(1, usable_cores() // workers),
        want=want,
        spectra=possible_kinds(example.spectra, folder / source) if spectra is None else spectra,
        window=window,
        profile=ProfileOptions(variable=variable) if shows_profile else None,
        electric_field=electric_field or example.electric_field,
        server_options=tuple(
            name for name, value in (("--model", models), ("--want", want), ("--field", electric_field)) if value
        ),
    )
    if plan.electric_field is not None:
        say(console, f"in the electric field {list(plan.electric_field)} V/Å")
    try:
        launch(plan, console)
    except RunError as failure:
        fail(str(failure), 1)


def parse_models(values: Sequence[str], default: str, by_name: Mapping[str, str] | None = None) -> dict[str, str]:
    """Split ``FORCEFIELD=MODEL``; a MODEL alone, or the default, goes under the empty name.

    `by_name` are the models of single force fields unless they are given otherwise; a MODEL alone stands for all.
    """
    from ..model.evaluators import from_any_folder

    given: dict[str, str] = {}
    for value in values:
        name, equals, model = value.partition("=")
        if not equals or set(":,") & set(name):  # harmonic:k=1.0, GFN1-xTB,charge=1: the "=" belongs to the model
            name, model = "", value
        given[name] = from_any_folder(model)
    return given if "" in given else {"": default, **(by_name or {}), **given}
