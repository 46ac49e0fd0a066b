"""Potentials whose names carry numbers, ``harmonic:k=1.0``."""

from __future__ import annotations

from collections.abc import Callable

from ..errors import EvaluatorError
from ..response import Evaluator
from .provider import Provider, with_or_without


def with_numbers(
    prefix: str,
    make: Callable[[int, dict[str, float]], Evaluator],
    needed: tuple[str, ...] = (),
    optional: tuple[str, ...] = (),
) -> Provider:
    """Provider of a potential with numbers as parameters.

    Parameters
    ----------
    prefix : str
        Name of the potential, which may stand alone.
    make : callable
        Takes the number of threads and the parameters by name.
    needed, optional : tuple of str
        Names of the parameters.
    """
    items = ",".join(f"{parameter}={parameter.upper()}" for parameter in needed)
    items += "".join(f"[,{parameter}={parameter.upper()}]" for parameter in optional)
    usage = f"{prefix}:{items}" if items else prefix

    def from_rest(rest: str, threads: int) -> Evaluator:
        return make(threads, _numbers(rest, prefix, needed, optional, f"it is written {usage}"))

    return Provider(prefix, from_rest, usage, accepts=with_or_without)


def _numbers(
    rest: str, prefix: str, needed: tuple[str, ...], optional: tuple[str, ...], allowed: str
) -> dict[str, float]:
    """Read ``epsilon=0.0104,sigma=3.4``."""
    numbers: dict[str, float] = {}
    for item in rest.split(",") if rest else []:
        parameter, _, number = (part.strip() for part in item.partition("="))
        if parameter not in needed + optional:
            raise EvaluatorError(f"'{parameter}' is no parameter of the potential {prefix}; {allowed}")
        if parameter in numbers:
            raise EvaluatorError(f"parameter {parameter} of the potential {prefix} is given twice; {allowed}")
        try:
            numbers[parameter] = float(number)
        except ValueError:
            raise EvaluatorError(
                f"parameter {parameter} of the potential {prefix} is '{number}', which is no number; {allowed}"
            ) from None
    missing = [parameter for parameter in needed if parameter not in numbers]
    if missing:
        raise EvaluatorError(f"parameter {missing[0]} of the potential {prefix} is missing; {allowed}")
    return numbers
