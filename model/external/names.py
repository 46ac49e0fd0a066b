"""``FILE,key=value,…``: how a file of another package is named, with its settings; and what is copied by its name."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, SupportsIndex

from ...properties.quantities import quantities
from ...properties.unit_names import UnitError, in_own_units
from ...reading import shown
from ...suggestions import did_you_mean
from ..electric_field import NO_FIELD, Field
from ..errors import EvaluatorError

Rename = Callable[[str], str]


class ByName:
    """An evaluator that is made again from its name where it is copied to another process: its file is read there.

    Many models and calculators of other packages cannot be pickled, or no longer once they were used.
    """

    made_from: tuple[Callable[..., Any], tuple[Any, ...]] | None = None  # what makes it, and of what
    electric_field: Field = NO_FIELD

    def __reduce_ex__(self, protocol: SupportsIndex) -> str | tuple[Any, ...]:
        """What makes it again, where it was made from a name."""
        return (_again, (*self.made_from, self.electric_field)) if self.made_from else super().__reduce_ex__(protocol)


def _again(make: Callable[..., Any], arguments: tuple[Any, ...], electric_field: Field) -> Any:
    made = make(*arguments)
    return made.in_field(electric_field) if any(electric_field) else made


def file_of(rest: str) -> str:
    """The file in the rest of a name."""
    return rest.partition(",")[0].strip()


def rename_file(rest: str, rename: Rename) -> str:
    """The rest of a name with its file renamed, as `beadwise.model.evaluators.Provider` wants it."""
    _, comma, settings = rest.partition(",")
    return f"{rename(file_of(rest))}{comma}{settings}"


def file_and_settings(prefix: str, rest: str, allowed: Sequence[str], usage: str) -> tuple[Path, dict[str, str]]:
    """Split the rest of a name.

    Parameters
    ----------
    prefix, rest : str
        The name is ``PREFIX:REST``.
    allowed : sequence of str
        Names of settings.
    usage : str
        How such names are written.

    Returns
    -------
    tuple of (Path, dict of str to str)

    Raises
    ------
    EvaluatorError
        If there is no such file, or a setting is unknown, given twice, or empty.
    """
    path = file_of(rest)
    settings: dict[str, str] = {}
    for item in rest.split(",")[1:]:
        name, equals, value = (part.strip() for part in item.partition("="))
        if name not in allowed:
            raise EvaluatorError(
                f"'{shown(item.strip())}' is no setting of '{prefix}:{shown(path)}'; it is written {usage}"
                f"{did_you_mean(name, allowed)}"
            )
        if name in settings:
            raise EvaluatorError(f"{name} of '{prefix}:{shown(path)}' is given twice; it is written {usage}")
        if not equals or not value:
            raise EvaluatorError(f"{name} of '{prefix}:{shown(path)}' has no value; it is written {usage}")
        settings[name] = value
    if not os.path.isfile(path):
        what = "is a folder" if os.path.isdir(path) else "does not exist"
        raise EvaluatorError(f"the file '{shown(path)}' of '{prefix}:{shown(rest)}' {what}; it is written {usage}")
    return Path(path), settings


def one_of(name: str, settings: Mapping[str, str], allowed: Sequence[str], default: str) -> str:
    """A setting that has a few values.

    Raises
    ------
    EvaluatorError
        If it has another one.
    """
    value = settings.get(name, default)
    if value not in allowed:
        raise EvaluatorError(f"{name} is '{shown(value)}'; allowed are {', '.join(allowed)}")
    return value


def whole(name: str, settings: Mapping[str, str], default: int, least: int | None = None) -> int:
    """A setting that is a whole number.

    Raises
    ------
    EvaluatorError
        If it is none, or is below the least.
    """
    text = settings.get(name, str(default))
    try:
        number = int(text)
    except ValueError:
        number = None
    if number is None or (least is not None and number < least) or abs(number) > 1_000_000:
        needed = "a whole number" + (f", at least {least}," if least is not None else "")
        raise EvaluatorError(f"{name} is '{shown(text)}'; {needed} is needed")
    return number


def unit_factors(units: Mapping[str, str], path: Path) -> dict[str, float]:
    """What a file's numbers are multiplied by to be in eV, Å and e.

    Parameters
    ----------
    units : mapping of str to str
        Names of units by quantity.
    path : Path
        The file, for the message.

    Raises
    ------
    EvaluatorError
        If a unit is unknown, or is none of its quantity.
    """
    factors = {}
    for name, unit in units.items():
        try:
            factors[name] = in_own_units(unit, quantities()[name].unit)
        except UnitError as error:
            raise EvaluatorError(f"{name}_unit of '{path}': {error}") from error
    return factors
