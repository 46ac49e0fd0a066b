"""Options of the command line: what several commands take is here, so that it is written and means the same in each.

Nothing that takes long is imported here, nor at the top of any command: ``--help`` is there at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from ...analysis.spectrum.kinds import LIVE
from ...properties.quantities import properties
from ...suggestions import did_you_mean
from .findings import STANDARD_OUTPUT

POSITIVE = click.FloatRange(min=0, min_open=True)
NOT_NEGATIVE = click.FloatRange(min=0)
PATH = click.Path(path_type=Path)
Parameters = tuple[click.Context, click.Parameter, Any]


class NearestChoice(click.Choice):
    """A choice that says of an unknown name which are nearest."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Take one of the choices.

        Raises
        ------
        click.BadParameter
            If it is none of them.
        """
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter as error:
            nearest = did_you_mean(str(value), map(str, self.choices))
            raise click.BadParameter(error.message.rstrip(".") + nearest, ctx, param) from None


def _names(value: str, allowed: Sequence[str], what: str, also: str = "") -> tuple[str, ...]:
    """Split names at commas, and refuse the first that is none of those allowed."""
    names = tuple(name.strip() for name in value.split(",") if name.strip())
    unknown = [name for name in names if name not in allowed]
    if unknown or not names:
        name = "".join(unknown[:1])
        raise click.BadParameter(
            f"'{name}' is no {what}; allowed are {','.join(allowed)}{also}{did_you_mean(name, allowed)}"
        )
    return names


def parse_want(context: click.Context, parameter: click.Parameter, value: str | None) -> tuple[str, ...] | None:
    """Split ``energy,forces`` and refuse unknown names."""
    return None if value is None else _names(value, list(properties()), "property")


def parse_spectra(context: click.Context, parameter: click.Parameter, value: str | None) -> tuple[str, ...] | None:
    """Split ``ir,raman`` and refuse unknown names; ``none`` is none."""
    if value is None or value.strip() == "none":
        return None if value is None else ()
    return _names(value, LIVE, "spectrum", ", none")


def parse_field(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> tuple[float, float, float] | None:
    """Split ``EX,EY,EZ``."""
    if value is None:
        return None
    try:
        x, y, z = (float(component) for component in value.split(","))
    except ValueError:
        raise click.BadParameter(f"'{value}' is no electric field; allowed is EX,EY,EZ in V/Å") from None
    if not all(map(math.isfinite, (x, y, z))):
        raise click.BadParameter(f"'{value}' is not finite; allowed is EX,EY,EZ in V/Å")
    return x, y, z


def parse_trust(context: click.Context, parameter: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    """Let model files name these potentials, here and in all processes that are started."""
    if value:
        from ...model.evaluators.trust import trust

        trust(value)
    return value


def parse_models(values: Sequence[str], default: str, by_name: Mapping[str, str] | None = None) -> dict[str, str]:
    """Split ``FORCEFIELD=MODEL``; a MODEL alone, or the default, goes under the empty name.

    `by_name` are the models of single force fields unless they are given otherwise; a MODEL alone stands for all.
    """
    from ...model.evaluators import from_any_folder
    from ..launch.named_model import force_field_and_model

    given: dict[str, str] = {}
    for value in values:
        name, model = force_field_and_model(value)
        given[name] = from_any_folder(model)
    return given if "" in given else {"": default, **(by_name or {}), **given}


def output_path(context: click.Context, parameter: click.Parameter, value: Path | None) -> Path | None:
    """Refuse a file whose folder does not exist, before the work is done rather than after."""
    if value is not None and value != STANDARD_OUTPUT and (value.is_dir() or not value.parent.is_dir()):
        raise click.BadParameter(f"cannot write '{value}'; allowed is a file in a folder that exists")
    return value


def image_path(context: click.Context, parameter: click.Parameter, value: Path | None) -> Path | None:
    """Refuse what is no PNG file, and a folder that does not exist."""
    if value is not None and value.suffix.lower() != ".png":
        raise click.BadParameter(f"'{value}' is no PNG file; allowed is a name that ends in .png")
    return output_path(context, parameter, value)


def parse_range(context: click.Context, parameter: click.Parameter, value: str | None) -> tuple[float, float] | None:
    """Split ``MIN,MAX``."""
    if value is None:
        return None
    try:
        lowest, highest = (float(item) for item in value.split(","))
        if not (math.isfinite(lowest) and math.isfinite(highest)):
            raise ValueError
    except ValueError:
        raise click.BadParameter(f"'{value}' is no range; allowed is MIN,MAX, two finite numbers") from None
    return lowest, highest


def parse_finite(context: click.Context, parameter: click.Parameter, value: float | None) -> float | None:
    """Refuse numbers that are not finite."""
    if value is not None and not math.isfinite(value):
        raise click.BadParameter(f"'{value}' is not finite")
    return value


def number(
    *names: str, unit: str = "", kind: click.ParamType = POSITIVE, default: float | None = None, text: str
) -> Callable[[Any], Any]:
    """Make an option of one finite number.

    Parameters
    ----------
    *names : str
        As for ``click.option``.
    unit : str
        In capitals, which stands for the number in the help.
    kind : click.ParamType
        Range of the number.
    default : float, optional
    text : str
        Of the help.
    """
    return click.option(
        *names,
        type=kind,
        callback=parse_finite,
        metavar=unit or None,
        default=default,
        show_default=default is not None,
        help=text,
    )


runs_argument = click.argument("runs", nargs=-1, required=True, type=PATH, metavar="RUNS...")
trust_option = click.option(
    "--trust",
    multiple=True,
    callback=parse_trust,
    expose_value=False,
    metavar="NAME",
    help="What a model file or a mixture may name though it runs code, as ase:MODULE.CLASS; may be repeated.",
)
track_option = click.option(
    "--track",
    "trackers",
    multiple=True,
    metavar="NAME:WHERE",
    help="What draws the fit while it goes on: tensorboard:FOLDER, or a tracker of another package; may be repeated.",
)
want_option = click.option(
    "--want",
    callback=parse_want,
    metavar="NAMES",
    help=f"Properties that are served, separated by commas, of {', '.join(properties())}.",
)
threads_option = click.option(
    "--threads",
    type=click.IntRange(min=1),
    metavar="N",
    help="Threads of each server; by default 1 for serve, and all cores for run.",
)
workers_option = click.option(
    "--workers",
    type=click.IntRange(min=1),
    metavar="N",
    help="Processes that evaluate; by default one for each <ffsocket> for run, and one for each core for promote.",
)
precision_option = click.option(
    "--precision",
    type=click.Choice(["double", "single"]),
    default="double",
    show_default=True,
    help="Precision in which a model is evaluated; single takes less time, for models without equivariant network.",
)
field_option = click.option(
    "--field",
    "electric_field",
    callback=parse_field,
    metavar="EX,EY,EZ",
    help="Static electric field in V/Å that energy, forces and virial are served in.",
)
WITHOUT_FIELD = "--field-order 2 without --field; give --field EX,EY,EZ, too"
field_order_option = click.option(
    "--field-order",
    type=click.IntRange(1, 2),
    metavar="N",
    default=1,
    show_default=True,
    help="Order of --field: 2 for -E·α·E/2 in the energy, too, with the dipole and Born charges in the field.",
)
json_option = click.option(
    "--json",
    "json_file",
    type=click.Path(path_type=Path, allow_dash=True),
    callback=output_path,
    metavar="FILE",
    help="Write all numbers as JSON; - prints them to standard output, and nothing else.",
)
output_option = click.option(
    "--output",
    type=PATH,
    callback=output_path,
    metavar="NAME",
    help="Name of the .csv and .png that are written, without the ending  [default: beside the first of the runs, "
    "after what is made].",
)
skip_option = number(
    "--skip",
    unit="PS",
    kind=NOT_NEGATIVE,
    text="Time to leave out at the beginning of each run, in ps  [default: a tenth of the run].",
)
window_option = number(
    "--window",
    unit="FS",
    text="Length of the window of spectra, in fs  [default: a fifth of the shortest run, from 100 to 1000].",
)
optical_option = number(
    "--optical-permittivity",
    unit="EPS",
    kind=click.FloatRange(min=1),
    text="Permittivity ε∞ at optical frequencies; 1 of fixed charges  [default: that of the polarizabilities].",
)
prepare_option = click.option(
    "--prepare",
    type=PATH,
    metavar="INPUT.xml",
    help="Write the inputs of the runs that are needed, and do nothing else.",
)
temperature_option = number("--temperature", unit="K", text="Temperature in K, where no i-PI input tells it.")
variable_option = click.option(
    "--variable",
    metavar="LABEL",
    help="Collective variable of a profile, by its PLUMED label  [default: the one that is biased].",
)
bias_option = click.option(
    "--bias",
    "biases",
    multiple=True,
    metavar="LABEL",
    help="Bias whose weights count, by its PLUMED label; may be repeated  [default: all].",
)
range_option = click.option(
    "--range",
    "limits",
    callback=parse_range,
    metavar="MIN,MAX",
    help="Range of the variable, or of distances in Å  [default: for a variable all that was sampled].",
)
bins_option = click.option(
    "--bins",
    type=click.IntRange(min=2),
    metavar="N",
    default=50,
    show_default=True,
    help="Number of bins that the range is divided into.",
)
blocks_option = click.option(
    "--blocks",
    type=click.IntRange(min=8),
    metavar="N",
    default=16,
    show_default=True,
    help="Number of parts of a run that errors come from.",
)
