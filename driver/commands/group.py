"""The ``beadwise`` command, whose subcommands are imported when they are called."""

from __future__ import annotations

import importlib
import sys
from importlib.metadata import EntryPoint
from typing import Any, NamedTuple

import click

from ...errors import BeadwiseError
from ...plugins import load_plugin, plugins
from ...suggestions import did_you_mean
from .messages import fail, warnings_in_one_line

ENTRY_POINTS = "beadwise.commands"  # by which a package of the user's own adds commands


class Place(NamedTuple):
    """Where a command is, and the line about it in the list of all; the list imports none of them."""

    module: str
    function: str
    summary: str


COMMANDS = {
    "average": Place(
        "average",
        "average",
        "Average a quantity over beads, time and equivalent nuclei, with the errors of sampling and of the model.",
    ),
    "check-data": Place("check_data", "check_data", "Say what files of labelled structures hold."),
    "density": Place("molecules.density", "density", "Write the electron density of a molecule as a cube file."),
    "evaluate": Place("evaluate", "evaluate", "Compare a model with labelled structures."),
    "examples": Place(
        "examples", "examples", "List inputs, models, recipes and job scripts that ship, or copy one of them."
    ),
    "export": Place("export", "export", "Write the structures of a run for other programs."),
    "fetch": Place("fetch", "fetch", "Bring a public set of data onto this machine."),
    "fit": Place("fit", "fit", "Fit a model to labelled structures."),
    "free-energy": Place(
        "crystals.free_energy",
        "free_energy",
        "Add up what commands found for crystals, and compare them with the first.",
    ),
    "gibbs": Place(
        "crystals.gibbs", "gibbs", "Make the step from the Helmholtz to the Gibbs free energy of the volumes of RUNS."
    ),
    "harmonic": Place("crystals.harmonic", "harmonic", "Make the harmonic reference of the crystal in STRUCTURE."),
    "inspect": Place("inspect", "inspect", "Say what a model file says of itself."),
    "ipi": Place("ipi", "ipi", "Run i-PI alone, for servers that are started elsewhere."),
    "isotopes": Place(
        "crystals.isotopes",
        "isotopes",
        "Tell what a heavier isotope changes, from beads that are scaled about their centroids.",
    ),
    "lambda-integration": Place(
        "crystals.lambda_integration",
        "lambda_integration",
        "Switch a potential on over its harmonic crystal, for the anharmonic free energy.",
    ),
    "learn": Place("learn", "learn", "Let a model choose what it learns from."),
    "mass-integration": Place(
        "mass_integration",
        "mass_integration",
        "Integrate over the mass, for the free energy of quantum nuclei over that of classical ones.",
    ),
    "nuclei": Place(
        "nuclei.nuclei", "nuclei", "Write an i-PI input that treats the nuclei in another way, beside INPUT."
    ),
    "pigs": Place(
        "nuclei.pigs", "pigs", "Correct a model by the mean force on centroids, for spectra from classical dynamics."
    ),
    "profile": Place("profile", "profile", "Make the free-energy profile of biased runs, and write it as CSV and PNG."),
    "promote": Place(
        "promote", "promote", "Make the free energy of a reference of samples of a model, by free-energy perturbation."
    ),
    "report": Place("report", "report", "Write one page about RUN: its checks, spectra, energies and structure."),
    "reweight": Place(
        "reweight",
        "reweight",
        "Average what a run with a committee of models wrote, with the error of the model beside that of the sampling.",
    ),
    "run": Place("run", "run", "Run i-PI and its servers together."),
    "schema": Place("schema", "schema", "Print the JSON Schema of a configuration."),
    "serve": Place("serve", "serve", "Answer an i-PI that was started by hand."),
    "shim": Place("ipi", "shim", "Print the path of the file through which i-PI calls beadwise in its own process."),
    "spectrum": Place("spectrum", "spectrum", "Make a spectrum of RUNS, and write it as CSV and PNG."),
    "vibrations": Place(
        "nuclei.vibrations", "vibrations", "Find the harmonic vibrations of a structure, and write them as CSV and PNG."
    ),
    "watch": Place("watch", "watch", "Watch a run while it goes on, in a browser or in a terminal."),
}


class OneLineErrors(click.Group):
    """A group whose errors are one line on standard error, and whose exit status tells their kind.

    Status 2 is bad usage or bad input, status 1 anything else that went wrong.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        # of the group, so that a command in another group has it too: click keeps the help option that it makes first
        super().__init__(*args, **{"context_settings": {"help_option_names": ["-h", "--help"]}, **options})

    def main(self, *args: Any, **options: Any) -> Any:
        """Run the command and exit."""
        try:
            with warnings_in_one_line():
                result = super().main(*args, **{**options, "standalone_mode": False})
        except click.exceptions.NoArgsIsHelpError as error:
            error.show()
            sys.exit(2)
        except click.NoSuchOption as error:
            names = [name for own in error.ctx.command.params for name in own.opts] if error.ctx else []
            of = f" of '{error.ctx.command_path}'" if error.ctx else ""
            fail(f"No such option '{error.option_name}'{of}{did_you_mean(error.option_name, names)}", 2)
        except click.ClickException as error:
            fail(error.format_message(), 2)
        except click.exceptions.Exit as error:
            sys.exit(error.exit_code)
        except BeadwiseError as error:
            fail(str(error), 2)
        except OSError as error:  # of a file that nobody could have foreseen: a name that is too long, a full disk
            if error.filename is None:
                raise
            fail(f"'{error.filename}': {error.strerror or error}", 2)
        except MemoryError as error:
            fail(f"there is not enough memory: {error or 'nothing more is said'}", 1)
        except (click.Abort, KeyboardInterrupt):
            fail("interrupted", 1)
        sys.exit(result if isinstance(result, int) else 0)


class LazyGroup(OneLineErrors):
    """Commands by name, of `COMMANDS` and of the entry points ``beadwise.commands``."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of all commands."""
        return sorted({*COMMANDS, *others()})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command; None if there is none of this name.

        Raises
        ------
        PluginError
            If a package that adds it cannot be imported.
        """
        if cmd_name in COMMANDS:
            place = COMMANDS[cmd_name]
            return getattr(importlib.import_module(f"{__package__}.{place.module}"), place.function)
        added = others()
        return load_plugin(added[cmd_name], click.Command, "command") if cmd_name in added else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; of an unknown one, say which are nearest.

        Raises
        ------
        click.UsageError
            If there is none of this name.
        """
        names = self.list_commands(ctx)
        if args[0] not in names and not ctx.resilient_parsing:
            ctx.fail(f"No such command '{args[0]}'; allowed are {', '.join(names)}{did_you_mean(args[0], names)}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands by their lines here: nothing is imported for it."""
        lines = {name: place.summary for name, place in COMMANDS.items()}
        lines |= {name: f"(of {point.value.partition(':')[0]})" for name, point in others().items()}
        with formatter.section("Commands"):
            formatter.write_dl(sorted(lines.items()))


def others() -> dict[str, EntryPoint]:
    """Commands of other packages by name; none can take the place of one of ours."""
    return plugins(ENTRY_POINTS, COMMANDS)


@click.group(cls=LazyGroup)
@click.version_option(package_name="beadwise", message="%(version)s")
def main() -> None:
    """Energies, forces, dipoles and polarizabilities for every bead, served to i-PI."""
