"""What answers: a model file, a potential that is built in, a shipped model, or an evaluator of the user's own."""

from __future__ import annotations

import importlib
import logging
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeGuard

import numpy as np

from ..errors import BeadwiseError
from . import ase_potential, tight_binding
from .baselines import Harmonic, LennardJones
from .committee import Committee
from .correction import BaselineError, Corrected
from .errors import EvaluatorError
from .files import load_model
from .members import single_member
from .model import Model
from .qtip4pf import QTip4pF
from .response import Evaluator
from .weighted_baseline import WeightedBaseline

logger = logging.getLogger(__name__)

COMMITTEE = "committee"
CORRECTION = "correction"
WEIGHTED_BASELINE = "weighted-baseline"
MEMBER = "member"


@dataclass(frozen=True)
class BuiltIn:
    """A potential that is built in.

    Parameters
    ----------
    make : callable
        Takes the number of threads and the parameters by name.
    needed, optional : tuple of str
        Names of the parameters that follow its name.
    """

    make: Callable[[int, dict[str, float]], Evaluator]
    needed: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()

    def usage(self, name: str) -> str:
        """How it is written, ``lennard-jones:epsilon=EPSILON,sigma=SIGMA[,cutoff=CUTOFF]``."""
        needed = ",".join(f"{parameter}={parameter.upper()}" for parameter in self.needed)
        optional = "".join(f"[,{parameter}={parameter.upper()}]" for parameter in self.optional)
        return f"{name}:{needed}{optional}" if needed or optional else name


BUILT_IN = {
    "qtip4pf": BuiltIn(lambda threads, parameters: QTip4pF(threads=threads)),
    "harmonic": BuiltIn(lambda threads, parameters: Harmonic(**parameters), needed=("k",)),
    "lennard-jones": BuiltIn(
        lambda threads, parameters: LennardJones(**parameters), needed=("epsilon", "sigma"), optional=("cutoff",)
    ),
}


def load(name: str | Path, threads: int = 1) -> Model | Corrected:
    """Read a model file, or a shipped model by its name, together with the baseline that it corrects, if it does.

    Parameters
    ----------
    name : str or Path
        A path, or a name out of `shipped_models`.
    threads : int
        Threads for an evaluation.

    Raises
    ------
    ModelFileError
        If there is no such file or model, or it is damaged or of an unknown version.
    BaselineError
        If the model corrects a baseline that cannot be had.
    """
    model = load_model(name, threads)
    if not model.baseline:
        return model
    return Corrected(_baseline_of(model, name, threads), model)


def _baseline_of(model: Model, name: str | Path, threads: int) -> Evaluator:
    """Load the baseline that a model corrects, and say so if it is another version than that of the fit."""
    try:
        baseline = load_evaluator(model.baseline, threads)
    except BeadwiseError as error:
        raise BaselineError(
            f"model '{name}' corrects the baseline {model.baseline} and does not run without it: {error}"
        ) from error
    fitted = provider_of_fit(model.metadata)
    present = getattr(baseline, "provider", "")
    if fitted != present:
        logger.warning(
            "model '%s' was fitted on the baseline %s of %s; here it is that of %s",
            name, model.baseline, fitted or "no version", present or "no version",
        )  # fmt: skip
    return baseline


def provider_of_fit(metadata: object) -> str:
    """What gave the baseline when the model was fitted, with its version; metadata may be anything."""
    described = metadata.get("baseline") if isinstance(metadata, dict) else None
    return str(described.get("provider", "")) if isinstance(described, dict) else ""


def load_evaluator(name: str, threads: int = 1) -> Evaluator:
    """Load what a user calls MODEL.

    Parameters
    ----------
    name : str
        A model file, a potential out of `BUILT_IN`, the name of a shipped model, or ``package.module:attribute``, in
        this order: a file called ``qtip4pf`` is a model file, and ``harmonic:k`` no attribute of a module.  Parameters
        of a potential follow its name, in eV and Å: ``harmonic:k=1.0`` (eV/Å²), or
        ``lennard-jones:epsilon=0.0104,sigma=3.4,cutoff=8.5`` (eV, Å, Å; without a cutoff the atoms are isolated).
        ``tblite:GFN1-xTB,accuracy=0.1,charge=1``, or without ``tblite:``, is a
        `beadwise.model.tight_binding.TightBinding`, and ``ase:module.Class:key=value,key=value`` an ASE calculator
        (`beadwise.model.ase_potential.AsePotential`).
        The attribute is an evaluator or a function without arguments that makes one; modules are looked for in the
        current folder, too.  Several of them, ``committee:MODEL,MODEL``, are the members of a
        `beadwise.model.Committee`; a comma parts members, so none may have one in its name.  Of a model that corrects
        a baseline, ``correction:MODEL`` is the correction alone, for those who serve the baseline apart, and
        ``weighted-baseline:uncertainty=S,MODEL,MODEL`` a `beadwise.model.weighted_baseline.WeightedBaseline` with the
        baseline's uncertainty in eV.  ``member:K,MODEL`` is member K, from 0, of a model that has members, alone.
    threads : int
        Threads for an evaluation; an evaluator of the user's own sees to its threads itself.

    Raises
    ------
    EvaluatorError
        If the module or its attribute does not exist, or is no evaluator, or parameters of a potential are missing,
        unknown, or no numbers.
    PotentialError
        If a parameter of a potential is outside what is allowed, or the package that it needs is not installed.
    ModelFileError
        If the model file is missing or damaged.
    BaselineError
        If a model corrects a baseline that cannot be had.
    CommitteeError
        If the members of a committee have no species in common.
    """
    members = committee_members(name)
    if members:
        return _committee([load_evaluator(member, threads) for member in members])
    potential, colon, rest = name.partition(":")
    is_file = Path(name).is_file()
    if potential == tight_binding.PREFIX and colon and not is_file:
        return tight_binding.tight_binding(rest, threads)
    if full_name(name) != name and not is_file:
        return load_evaluator(full_name(name), threads)
    if potential == ase_potential.PREFIX and colon and not is_file:
        return ase_potential.ase_potential(rest)
    if potential == WEIGHTED_BASELINE and colon and not is_file:
        return _weighted_baseline(rest, threads)
    if potential == CORRECTION and colon and not is_file:
        return _correction(rest, threads)
    if potential == MEMBER and "," in rest and not is_file:
        return _member(rest, threads)
    if potential in BUILT_IN and not is_file:
        return BUILT_IN[potential].make(threads, _parameters(potential, rest))
    if colon and not Path(name).exists():
        return _python_evaluator(potential, rest)
    return load(name, threads)


def full_name(name: str) -> str:
    """The name of a potential that is the same for all its short forms, ``tblite:GFN1-xTB`` for ``GFN1-xTB``."""
    is_short = name.split(",")[0].strip() in tight_binding.METHODS
    return f"{tight_binding.PREFIX}:{name}" if is_short else name


def _committee(members: Sequence[Evaluator]) -> Evaluator:
    """Make a committee; a baseline that all members correct is evaluated once, and not once for each."""
    corrected = [member for member in members if isinstance(member, Corrected)]
    models = [member.correction for member in corrected if isinstance(member.correction, Model)]
    if len(models) == len(members) and len({model.baseline for model in models}) == 1:
        return Corrected(corrected[0].baseline, Committee(models))
    return Committee(members)


def _weighted_baseline(text: str, threads: int) -> WeightedBaseline:
    """Make a weighted baseline from ``uncertainty=S,MODEL,MODEL``."""
    setting, *names = (item.strip() for item in text.split(","))
    parameter, _, number = (part.strip() for part in setting.partition("="))
    try:
        uncertainty = float(number)
    except ValueError:
        uncertainty = np.nan
    if parameter != "uncertainty" or np.isnan(uncertainty) or not all(names):
        raise EvaluatorError(
            f"'{WEIGHTED_BASELINE}:{text}' is no weighted baseline; it is written "
            f"{WEIGHTED_BASELINE}:uncertainty=UNCERTAINTY,MODEL,MODEL, with the uncertainty of the baseline in eV"
        )
    members = [_correction(name, threads) for name in names]
    return WeightedBaseline(_baseline_of(members[0], names[0], threads), members, uncertainty)


def _correction(name: str, threads: int) -> Model:
    """Load a correction without its baseline."""
    model = load_model(name, threads)
    if not model.baseline:
        raise EvaluatorError(f"model '{name}' corrects no baseline; it is served as '{name}'")
    return model


def _member(text: str, threads: int) -> Evaluator:
    """Make the member of ``K,MODEL``."""
    number, _, name = (part.strip() for part in text.partition(","))
    if not number.isdecimal():
        raise EvaluatorError(f"'{MEMBER}:{text}' is no member; it is written {MEMBER}:K,MODEL, K counting from 0")
    whole = load(name, threads)
    if isinstance(whole, Model):
        return single_member(whole, int(number))
    assert isinstance(whole.correction, Model)
    return Corrected(whole.baseline, single_member(whole.correction, int(number)))


def committee_members(name: str) -> list[str]:
    """Names of the members in ``committee:MODEL,MODEL``; empty if `name` is something else.

    A file of that name comes first, and without a comma it is an attribute of a module called ``committee``: that of
    an attribute never has one.

    Raises
    ------
    EvaluatorError
        If a member has no name, or is a committee.
    """
    prefix, _, rest = name.partition(":")
    if prefix != COMMITTEE or "," not in rest or Path(name).exists():
        return []
    members = [member.strip() for member in rest.split(",")]
    for member in members:
        if not member or member.startswith(f"{COMMITTEE}:"):
            raise EvaluatorError(
                f"'{name}' has the member '{member}'; allowed are a model file, a potential, the name of a shipped "
                "model, and MODULE:ATTRIBUTE, with a comma between them"
            )
    return members


def from_any_folder(name: str) -> str:
    """What a user calls MODEL, with absolute paths, so that it means the same wherever a server runs.

    Raises
    ------
    EvaluatorError
        If a member of a committee has no name, or is a committee.
    """
    members = committee_members(name)
    if members:
        return f"{COMMITTEE}:{','.join(map(from_any_folder, members))}"
    if Path(name).exists():
        return str(Path(name).resolve())
    prefix, colon, rest = name.partition(":")
    if prefix in (CORRECTION, WEIGHTED_BASELINE, MEMBER) and colon:
        return f"{prefix}:{','.join(from_any_folder(item.strip()) for item in rest.split(','))}"
    return name


def _parameters(potential: str, text: str) -> dict[str, float]:
    """Read the parameters of a potential, ``epsilon=0.0104,sigma=3.4``."""
    built_in = BUILT_IN[potential]
    allowed = f"it is written {built_in.usage(potential)}"
    parameters: dict[str, float] = {}
    for item in text.split(",") if text else []:
        parameter, _, number = (part.strip() for part in item.partition("="))
        if parameter not in built_in.needed + built_in.optional:
            raise EvaluatorError(f"'{parameter}' is no parameter of the potential {potential}; {allowed}")
        if parameter in parameters:
            raise EvaluatorError(f"parameter {parameter} of the potential {potential} is given twice; {allowed}")
        try:
            parameters[parameter] = float(number)
        except ValueError:
            raise EvaluatorError(
                f"parameter {parameter} of the potential {potential} is '{number}', which is no number; {allowed}"
            ) from None
    missing = [parameter for parameter in built_in.needed if parameter not in parameters]
    if missing:
        raise EvaluatorError(f"parameter {missing[0]} of the potential {potential} is missing; {allowed}")
    return parameters


def in_field(evaluator: Evaluator, electric_field: Sequence[float], name: str) -> Evaluator:
    """Put an evaluator into a static electric field.

    Parameters
    ----------
    evaluator : Evaluator
        Shipped models, fitted ones and potentials that are built in can be; one of the user's own if it has a method
        ``in_field(electric_field)`` that returns an evaluator whose energy, forces and virial are those in the field.
    electric_field : sequence of float, length 3
        In V/Å.
    name : str
        What the user calls it.

    Raises
    ------
    EvaluatorError
        If the evaluator has no such method.
    PropertyError
        If the field is not three finite numbers, or the model has no dipole.
    """
    method = getattr(evaluator, "in_field", None)
    if method is None:
        raise EvaluatorError(
            f"'{name}' cannot be put into the electric field {list(electric_field)} V/Å: it has no method in_field; "
            "allowed are model files with a dipole, shipped models, qtip4pf, and evaluators with that method"
        )
    return method(electric_field)


def _python_evaluator(module_name: str, attribute: str) -> Evaluator:
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        found = getattr(importlib.import_module(module_name), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        potentials = ", ".join(built_in.usage(name) for name, built_in in BUILT_IN.items())
        raise EvaluatorError(
            f"cannot import the evaluator '{module_name}:{attribute}' ({error}); "
            f"allowed are a model file, the potentials {potentials}, {tight_binding.USAGE} and {ase_potential.USAGE}, "
            "the name of a shipped model, MODULE:ATTRIBUTE, "
            f"and {COMMITTEE}:MODEL,MODEL"
        ) from error
    evaluator = found if _is_evaluator(found) else found() if callable(found) else None
    if not _is_evaluator(evaluator):
        raise EvaluatorError(
            f"'{module_name}:{attribute}' gives {type(evaluator or found).__name__}, which is no evaluator; "
            "it needs the attributes species, properties and evaluate (see beadwise.model.Evaluator)"
        )
    return evaluator


def _is_evaluator(candidate: object) -> TypeGuard[Evaluator]:
    is_instance = not isinstance(candidate, type)
    return is_instance and all(hasattr(candidate, name) for name in ("species", "properties", "evaluate"))
