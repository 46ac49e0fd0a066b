"""Dispersion as an evaluator: it can be a part of a model, be corrected, served and tested like a fitted one."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import numpy as np

from ...potentials.dispersion import (
    DAMPING,
    HEAVIEST,
    VARIANTS,
    Settings,
    damping_of,
    evaluate_dispersion,
    functionals_of,
    package_of,
    parameters_of,
)
from ...suggestions import did_you_mean
from ..checks import is_crystal, refuse_elements_beyond, refuse_other_charge
from ..errors import EvaluatorError, StructureError
from ..qtip4pf import PotentialError
from ..response import Response, refuse_unavailable
from ..structures import Batch

CUTOFF = 31.75  # Å; 60 bohr, as the packages have it
THREE_BODY_CUTOFF = 21.17  # Å; 40 bohr
SMOOTHING = 2.0  # Å
OTHER_SETTINGS = "[,three_body=true|false][,cutoff=R][,three_body_cutoff=R][,smoothing=R][,isolated=true]"  # of both
THREE_BODY = {"d3": False, "d4": True}  # what the methods are without a word about it


class Dispersion:
    """D3 or D4 through the optional packages dftd3 and dftd4, ``pip install 'beadwise[dispersion]'``.

    Parameters
    ----------
    method : str
        ``d3`` or ``d4``.
    functional : str, optional
        Whose parameters are taken, ``revpbe``; the package's own spelling, capitals and hyphens do not matter.
    damping : str
        ``bj``; for D3 also ``zero``, ``bjm``, ``zerom``, ``op``, ``cso``.
    parameters : dict of str to float, optional
        Parameters of the damping in place of a functional: for ``bj`` ``s8``, ``a1``, ``a2`` (bohr) and ``s6``.
    model : str, optional
        ``d4``, or ``d4s`` with smooth weights of the references.
    charge : float
        Of all atoms together, in e; whole, and for D4 only.
    three_body : bool, optional
        Whether triples of atoms count: by default not for D3, but for D4.
    cutoff, three_body_cutoff : float
        In Å, of pairs and of the sides of triples.
    smoothing : float
        Distance in Å over which the energy fades before a cutoff; with 0 it ends at once, as by the packages' default.
    isolated : bool
        Ignore cells and periodic directions: the atoms as they are given, and no images.
    threads : int
        So many beads at the same time; where there are fewer beads, the work on each is shared.

    Raises
    ------
    PotentialError
        If the package is not installed, or a setting is outside what is allowed.
    """

    species = tuple(range(1, HEAVIEST + 1))
    properties = ("energy", "forces", "virial")

    def __init__(
        self,
        method: str,
        functional: str | None = None,
        damping: str = "bj",
        parameters: dict[str, float] | None = None,
        model: str | None = None,
        charge: float = 0.0,
        three_body: bool | None = None,
        cutoff: float = CUTOFF,
        three_body_cutoff: float = THREE_BODY_CUTOFF,
        smoothing: float = SMOOTHING,
        isolated: bool = False,
        threads: int = 1,
    ):
        if method not in DAMPING:
            raise PotentialError(f"method of dispersion is '{method}'; allowed are {', '.join(DAMPING)}")
        if damping not in DAMPING[method]:
            raise PotentialError(f"damping of {method} is '{damping}'; allowed are {', '.join(DAMPING[method])}")
        variant = method if model is None else model
        if variant not in VARIANTS[method]:
            raise PotentialError(f"model of {method} is '{variant}'; allowed are {', '.join(VARIANTS[method])}")
        if not (np.isfinite(charge) and charge == int(charge)) or (charge and method == "d3"):
            rule = "D3 does not know charges" if method == "d3" else "it must be a whole number"
            raise PotentialError(f"charge of {method} is {charge} e; {rule}")
        for name, length in (("cutoff", cutoff), ("three_body_cutoff", three_body_cutoff)):
            if not smoothing < length < np.inf or length <= 0:
                raise PotentialError(
                    f"{name} of {method} is {length} Å; it must be finite, and longer than the smoothing, {smoothing} Å"
                )
        if not 0 <= smoothing:
            raise PotentialError(f"smoothing of {method} is {smoothing} Å; it must be 0 or more")
        if threads < 1:
            raise PotentialError(f"{threads} threads for {method}; at least 1 is needed")
        try:
            package_of(method)
        except ImportError as error:
            raise PotentialError(
                f"{method} needs the package dft{method}, which cannot be loaded ({error}); "
                "install it with `pip install 'beadwise[dispersion]'`"
            ) from error
        self.settings = Settings(
            method=method,
            variant=variant,
            damping=damping,
            functional=functional,
            parameters=_parameters(method, damping, functional, parameters or {}),
            three_body=THREE_BODY[method] if three_body is None else bool(three_body),
            charge=float(charge),
            cutoff=float(cutoff),
            three_body_cutoff=float(three_body_cutoff),
            smoothing=float(smoothing),
        )
        _check_functional(self.settings)
        self.provider = f"dft{method} {version(f'dft{method}')}"
        self.isolated = bool(isolated)
        self.threads = int(threads)

    def __repr__(self) -> str:
        own = self.settings
        shown = own.functional or ", ".join(f"{name} {value:g}" for name, value in own.parameters)
        triples = f"three_body={own.three_body}, isolated={self.isolated}, threads={self.threads}"
        return f"Dispersion({own.variant}, damping={own.damping!r}, {shown!r}, {triples})"

    def evaluate(self, batch: Batch, want: Sequence[str]) -> Response:
        """Answer the wanted properties for every bead.

        Parameters
        ----------
        batch : Batch
            Periodic in all directions or in none; cells are ignored then.  Atoms may be different images.
        want : sequence of str
            Names out of `properties`.

        Raises
        ------
        PropertyError
            If a wanted property is not available.
        StructureError
            If there are no parameters for an element, the charge is more than that of the nuclei or for D4 not that of
            the batch, atoms lie on each other, or the cell is too flat or periodic in some directions only.
        """
        method = self.settings.method
        refuse_unavailable(want, self.properties, method)
        refuse_elements_beyond(batch.numbers, HEAVIEST, method)
        if method != "d3":  # which is the same for every charge
            refuse_other_charge(batch, self.settings.charge, method)
        if self.settings.charge > batch.numbers.sum():
            raise StructureError(
                f"charge of {method} is {self.settings.charge:g} e, and the nuclei have {batch.numbers.sum()} e; it "
                "must not be more"
            )
        rule = f"{method} is here for all three, or none"  # charges of D4 have no sum over some directions only
        cells = None if self.isolated or not is_crystal(batch, method, rule) else batch.cells
        arrays, failure = evaluate_dispersion(batch.numbers, batch.positions, cells, self.settings, self.threads)
        if failure is not None:
            raise StructureError(
                f"{method} cannot be evaluated for bead {failure.bead}: {failure.reason}; it needs atoms that do not "
                "overlap, at finite positions"
            )
        return Response(**{name: arrays[name] for name in want})


def _parameters(
    method: str, damping: str, functional: str | None, given: dict[str, float]
) -> tuple[tuple[str, float], ...]:
    """Parameters of the damping in place of a functional's; none where a functional is given."""
    allowed = parameters_of(method, damping)
    for name, value in given.items():
        if name not in allowed:
            raise PotentialError(f"'{name}' is no parameter of {method} with the damping {damping}; {_rule(allowed)}")
        if not np.isfinite(value):
            raise PotentialError(f"parameter {name} of {method} is {value}; it must be finite")
    if functional is not None:
        if given:
            raise PotentialError(
                f"{method} has the functional '{functional}' and the parameters {sorted(given)}; give either"
            )
        return ()
    missing = [name for name, default in allowed.items() if default is None and name not in given]
    if missing:
        raise PotentialError(
            f"{method} has no functional and no {missing[0]}; give functional=NAME, or {_rule(allowed)}"
        )
    return tuple(given.items())


def _rule(allowed: dict[str, float | None]) -> str:
    needed = [name for name, default in allowed.items() if default is None]
    others = [name for name in allowed if name not in needed]
    return f"parameters are {', '.join(needed)}{' and, if wanted, ' if others else ''}{', '.join(others)}"


def _check_functional(settings: Settings) -> None:
    try:
        damping_of(settings)
    except RuntimeError as error:
        method, name = settings.method, str(settings.functional)
        known = functionals_of(method, settings.damping)
        raise PotentialError(
            f"{method} with the damping {settings.damping} has no parameters for the functional '{name}'; allowed are "
            f"{', '.join(known) or f'those of the package dft{method}'}{did_you_mean(name.lower(), known)}"
        ) from error


def from_text(method: str, usage: str, text: str, threads: int) -> Dispersion:
    """Make it from its settings as a user writes them, ``functional=pbe,damping=zero``.

    Raises
    ------
    EvaluatorError
        If a setting is written wrongly or given twice.
    PotentialError
        If the package is not installed, or a setting is outside what is allowed.
    """
    values: dict[str, Any] = {}
    parameters: dict[str, float] = {}
    for item in text.split(","):
        name, equals, value = (part.strip() for part in item.partition("="))
        if not equals or not name:
            raise EvaluatorError(f"'{item.strip()}' is no setting of {method}; it is written {usage}")
        if name in values or name in parameters:
            raise EvaluatorError(f"{name} of {method} is given twice; it is written {usage}")
        if name in ("functional", "damping", "model"):
            values[name] = value
        elif name in ("three_body", "isolated"):
            if value not in ("true", "false"):
                raise EvaluatorError(f"{name} of {method} is '{value}', neither true nor false; it is written {usage}")
            values[name] = value == "true"
        else:
            try:
                number = float(value)
            except ValueError:
                raise EvaluatorError(
                    f"{name} of {method} is '{value}', which is no number; it is written {usage}"
                ) from None
            (values if name in ("charge", "cutoff", "three_body_cutoff", "smoothing") else parameters)[name] = number
    return Dispersion(method, parameters=parameters, threads=threads, **values)
