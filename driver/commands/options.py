"""Options of the command line that `serve` and `run` share."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from ...analysis.spectrum.kinds import FROM_SERIES
from ...model.evaluators import from_any_folder
from ...model.evaluators.trust import trust
from ...properties.quantities import properties
from ...whole_files import write_text


def parse_want(context: click.Context, parameter: click.Parameter, value: str | None) -> tuple[str, ...] | None:
    """Split ``energy,forces`` and refuse unknown names."""
    if value is None:
        return None
    names = tuple(name.strip() for name in value.split(",") if name.strip())
    unknown = [name for name in names if name not in properties()]
    if unknown or not names:
        raise click.BadParameter(f"'{''.join(unknown[:1])}' is no property; allowed are {','.join(properties())}")
    return names


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
    trust(value)
    return value


trust_option = click.option(
    "--trust",
    multiple=True,
    callback=parse_trust,
    expose_value=False,
    metavar="NAME",
    help="A baseline that a model file may name though it runs code, as ase:MODULE.CLASS; may be repeated.",
)
want_option = click.option(
    "--want", callback=parse_want, metavar="NAMES", help=f"Properties, comma separated, of {', '.join(properties())}."
)
threads_option = click.option(
    "--threads",
    type=click.IntRange(min=1),
    help="Threads of each server; by default 1 for serve, and all cores for run.",
)
field_option = click.option(
    "--field",
    "electric_field",
    callback=parse_field,
    metavar="EX,EY,EZ",
    help="Static electric field in V/Å that energy, forces and virial are served in.",
)


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


def parse_models(values: Sequence[str], default: str, by_name: Mapping[str, str] | None = None) -> dict[str, str]:
    """Split ``FORCEFIELD=MODEL``; a MODEL alone, or the default, goes under the empty name.

    `by_name` are the models of single force fields unless they are given otherwise; a MODEL alone stands for all.
    """
    given: dict[str, str] = {}
    for value in values:
        name, equals, model = value.partition("=")
        if not equals or set(":,") & set(name):  # harmonic:k=1.0, GFN1-xTB,charge=1: the "=" belongs to the model
            name, model = "", value
        given[name] = from_any_folder(model)
    return given if "" in given else {"": default, **(by_name or {}), **given}


def output_path(context: click.Context, parameter: click.Parameter, value: Path | None) -> Path | None:
    """Refuse a file whose folder does not exist, before the work is done rather than after."""
    if value is not None and (value.is_dir() or not value.parent.is_dir()):
        raise click.BadParameter(f"cannot write '{value}'; allowed is a file in a folder that exists")
    return value


def image_path(context: click.Context, parameter: click.Parameter, value: Path | None) -> Path | None:
    """Refuse what is no PNG file, and a folder that does not exist."""
    if value is not None and value.suffix.lower() != ".png":
        raise click.BadParameter(f"'{value}' is no PNG file; allowed is a name that ends in .png")
    return output_path(context, parameter, value)


json_option = click.option(
    "--json",
    "json_file",
    type=click.Path(path_type=Path),
    callback=output_path,
    metavar="FILE",
    help="Write the numbers as JSON.",
)


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write JSON for people and programs.

    Raises
    ------
    click.BadParameter
        If the file cannot be written.
    """
    try:
        write_text(path, json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
    except OSError as error:
        raise click.BadParameter(f"cannot write '{path}': {error.strerror}") from error


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
