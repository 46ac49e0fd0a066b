"""``switch:lambda=L,FILE.harmonic.npz,MODEL``: a potential that is switched on over its harmonic crystal."""

from __future__ import annotations

import os
from pathlib import Path

from ..crystals.reference import CrystalError, HarmonicReference
from ..crystals.switch import Switched
from ..errors import EvaluatorError
from .identity import identity_of
from .loading import load_evaluator
from .provider import Provider, Rename, with_a_comma

PREFIX = "switch"
USAGE = f"{PREFIX}:lambda=L,FILE.harmonic.npz,MODEL"


def _parts(rest: str) -> tuple[str, str, str]:
    """λ, file and model of a name; the model may have commas in its own."""
    setting, _, others = rest.partition(",")
    file, _, model = others.partition(",")
    parameter, _, number = (part.strip() for part in setting.partition("="))
    if parameter != "lambda" or not number or not file.strip() or not model.strip():
        raise EvaluatorError(f"'{PREFIX}:{rest}' is no switch; it is written {USAGE}, L from 0 to 1")
    return number, file.strip(), model.strip()


def _make(rest: str, threads: int) -> Switched:
    number, file, name = _parts(rest)
    try:
        coupling = float(number)
    except ValueError:
        raise EvaluatorError(f"lambda of '{PREFIX}:{rest}' is '{number}', which is no number from 0 to 1") from None
    if not os.path.isfile(file):
        raise CrystalError(f"no file '{file}', of the harmonic crystal; `beadwise harmonic` writes one")
    reference = HarmonicReference.load(Path(file))
    potential = load_evaluator(name, threads)
    if (found := identity_of(name, potential)) != reference.identity:
        raise CrystalError(
            f"'{file}' is the harmonic crystal of {reference.model} ({reference.identity[:8]}), not of {name} "
            f"({found[:8]}): another potential, other weights, or another version of what provides it; "
            f"`beadwise harmonic --model {name}` makes a new one"
        )
    return Switched(potential, reference, coupling)


def _models(rest: str, rename: Rename) -> str:
    number, file, model = _parts(rest)
    return f"lambda={number},{file},{rename(model)}"


def _paths(rest: str, rename: Rename) -> str:
    number, file, model = _parts(rest)
    return f"lambda={number},{rename(file)},{model}"


PROVIDER = Provider(
    PREFIX,
    _make,
    USAGE,
    accepts=with_a_comma,
    models=_models,
    paths=_paths,
    files=lambda rest: [Path(_parts(rest)[1])],
)
