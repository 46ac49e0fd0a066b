"""From what a user calls MODEL to what answers."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...errors import BeadwiseError
from ...pyx.kernel import has_threads
from ...reading import shown
from ..charges.record import has_charges
from ..correction import BaselineError, Corrected
from ..errors import EvaluatorError
from ..files import load_model, no_such_model, shipped_models
from ..model import Model
from ..response import Evaluator
from .own import own_evaluator
from .registry import known_names, provider_of
from .trust import named_by_a_file, trusting

if TYPE_CHECKING:
    from ..charges.evaluator import WithCharges

logger = logging.getLogger(__name__)

NO_OPENMP = (
    "beadwise was compiled without OpenMP: each process uses one thread; `beadwise run --workers N` starts several"
)


def load(name: str | Path, threads: int = 1, trust: Sequence[str] = ()) -> Model | Corrected | WithCharges:
    """Read a model file, or a shipped model by its name, with its charges and the baseline that it corrects, if any.

    Parameters
    ----------
    name : str or Path
        A path, or a name out of `shipped_models`.
    threads : int
        Threads for an evaluation.
    trust : sequence of str
        Baselines that the file may name though they are no potential that is built in, as they run code.

    Raises
    ------
    ModelFileError
        If there is no such file or model, or it is damaged or of an unknown version.
    BaselineError
        If the model corrects a baseline that cannot be had.
    """
    model = load_model(name, threads)
    whole: Model | WithCharges = model
    if has_charges(model.metadata):
        from ..charges.evaluator import charges_of  # with SciPy, which takes long to import

        whole = charges_of(model)
    if not model.baseline:
        return whole
    with trusting(trust):
        return Corrected(baseline_of(model, name, threads), whole)


def baseline_of(model: Model, name: str | Path, threads: int) -> Evaluator:
    """Load the baseline that a model corrects, and say so if it is another version than that of the fit.

    Raises
    ------
    BaselineError
        If it cannot be had.
    """
    try:
        with named_by_a_file(model.baseline):
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


def load_evaluator(name: str | Path, threads: int = 1, trust: Sequence[str] = ()) -> Evaluator:
    """Load what a user calls MODEL.

    Parameters
    ----------
    name : str or Path
        A model file, a name that begins with a prefix of `BUILT_IN` or of another package, the name of a shipped
        model, or ``package.module:attribute``, in this order: a file called ``qtip4pf`` is a model file, and
        ``harmonic:k`` no attribute of a module.  Parameters of a potential follow its name, in eV and Å:
        ``harmonic:k=1.0`` (eV/Å²), or ``lennard-jones:epsilon=0.0104,sigma=3.4,cutoff=8.5`` (eV, Å, Å; without a
        cutoff the atoms are isolated).  ``tblite:GFN1-xTB,accuracy=0.1,charge=1``, or without ``tblite:``, is a
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
    trust : sequence of str
        Baselines that model files may name though they run code: an ASE calculator, ``MODULE:ATTRIBUTE``, what another
        package adds.  Others are refused, see `beadwise.model.evaluators.trust`.

    Raises
    ------
    EvaluatorError
        If the module or its attribute does not exist, or is no evaluator, parameters of a potential are missing,
        unknown, or no numbers, or the name is no text or the threads are no whole number above 0.
    PotentialError
        If a parameter of a potential is outside what is allowed, or the package that it needs is not installed.
    ModelFileError
        If the model file is missing or damaged.
    BaselineError
        If a model corrects a baseline that cannot be had.
    CommitteeError
        If the members of a committee have no species in common.
    PluginError
        If the name belongs to another package that cannot be imported, or fails.
    """
    if not isinstance(name, (str, Path)) or not str(name).strip():
        raise EvaluatorError(f"a model is called {name!r}; the name of one, or the path of its file, is needed")
    if isinstance(threads, bool) or not isinstance(threads, (int, np.integer)) or threads < 1:
        raise EvaluatorError(f"{threads!r} threads for '{name}'; a whole number, at least 1, is needed")
    name, threads = str(name), int(threads)
    if threads > 1 and not has_threads():
        logger.warning(NO_OPENMP)
    with trusting(trust):
        return _loaded(name, threads)


def _loaded(name: str, threads: int) -> Evaluator:
    found = provider_of(name)
    if found is not None:
        provider, rest = found
        return provider.make(rest, threads)
    is_model = os.path.isfile(name) or name in shipped_models()
    if not is_model and ":" in name:
        return own_evaluator(name)
    if not is_model:
        raise no_such_model(name, known_names())
    return load(name, threads)


def in_field(evaluator: Evaluator, electric_field: Sequence[float], name: str, order: int = 1) -> Evaluator:
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
    order : int
        1, or 2 for a model file with a polarizability, with a field inside or without, whose electrons then follow the
        field.

    Raises
    ------
    EvaluatorError
        If the evaluator has no such method, or it is no model file and the order is 2.
    PropertyError
        If the field is not three finite numbers, or the model has no dipole.
    """
    method = getattr(evaluator, "in_field", None)
    if method is None:
        field = list(electric_field) if isinstance(electric_field, (tuple, np.ndarray)) else electric_field
        raise EvaluatorError(
            f"'{name}' cannot be put into the electric field {shown(field)} V/Å: it has no method in_field; "
            "allowed are model files with a dipole, shipped models, qtip4pf, and evaluators with that method"
        )
    if order == 1:
        return method(electric_field)
    if not hasattr(evaluator, "field_order"):
        raise EvaluatorError(
            f"'{name}' cannot be put into the electric field {list(electric_field)} V/Å to second order; allowed are "
            "model files with dipole and polarizability, and others to first order"
        )
    return method(electric_field, order)


def with_precision(evaluator: Evaluator, precision: str, name: str) -> Evaluator:
    """The same evaluator in double or single precision.

    Parameters
    ----------
    evaluator : Evaluator
    precision : str
        ``double``, as they all are, or ``single``: for a model file of linear heads, with or without a network on
        invariants for its energy.  Evaluations of what its members answer, as uncertainties, stay in double precision.
    name : str
        What the user calls it.

    Raises
    ------
    EvaluatorError
        If it has no single precision, or there is no such precision.
    """
    if precision == "double":
        return evaluator
    if precision != "single":
        raise EvaluatorError(f"'{name}' in precision {shown(precision)}; allowed are double and single")
    reason = _double_alone(evaluator)
    if reason or not isinstance(evaluator, Model):
        raise EvaluatorError(f"'{name}' has no single precision: {reason}; leave out --precision single")
    return replace(evaluator, precision=precision)


def _double_alone(evaluator: Evaluator) -> str:
    """Why there is no single precision; empty where there is."""
    if not isinstance(evaluator, Model):
        return "only model files without baseline, charges of atoms or field inside have one"
    parts = {
        "an equivariant network": evaluator.equivariant,
        "a density of states": evaluator.curves,
        "a long-range energy": evaluator.long_range,
    }
    found = [what for what, part in parts.items() if part is not None]
    if found:
        return f"it has {' and '.join(found)}"
    radial = evaluator.shape.padded_radial
    if radial % 8:
        return f"it has {evaluator.radial.radial} radial functions per species; 5 to 8 or 13 to 16 are needed"
    from ...pyx.kernel import has_single

    return "" if has_single() else "this processor has no AVX2"
