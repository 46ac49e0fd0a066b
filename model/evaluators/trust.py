"""What a file may name: potentials that are built in.  Anything else that is imported or run needs the user's word.

A model file names the baseline that it corrects, and whoever wrote the file chose that name.  ``MODULE:ATTRIBUTE``, an
ASE calculator and an evaluator of another package are code, which the name says how to call; so such a name counts only
if the user has written it too: on the command line (``--trust NAME``), in Python (``trust=[NAME]``), or in the
environment variable `VARIABLE`, which programs hand on to those that they start.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from shlex import quote

from ...reading import shown
from ..errors import EvaluatorError
from ..files import shipped_models
from .registry import BUILT_IN, from_any_folder, full_name, provider_of

VARIABLE = "BEADWISE_TRUST"
BETWEEN = ";"  # names in the variable

_trusted: ContextVar[frozenset[str]] = ContextVar("trusted", default=frozenset())
_named: ContextVar[tuple[str, ...]] = ContextVar("named", default=())  # by the file that is being read, and by its own


@contextmanager
def trusting(names: Sequence[str]) -> Iterator[None]:
    """Let files name these, too, as long as this lasts.

    Raises
    ------
    EvaluatorError
        If a single text stands in place of a list.
    """
    if isinstance(names, str):
        raise EvaluatorError(f"trust is {names!r}; it must be a list of names, as [{names!r}]")
    token = _trusted.set(_trusted.get() | {full_name(str(name)) for name in names})
    try:
        yield
    finally:
        _trusted.reset(token)


def trust(names: Sequence[str]) -> None:
    """Let files name these, too, in this process and in those that it starts.

    Raises
    ------
    EvaluatorError
        If a name cannot be handed on.
    """
    for name in names:
        if BETWEEN in name or not name.strip():
            raise EvaluatorError(f"'{name}' cannot be trusted; a name without '{BETWEEN}' is needed")
    known = [*_of_environment(), *(full_name(name.strip()) for name in names)]
    if known:
        os.environ[VARIABLE] = BETWEEN.join(dict.fromkeys(known))


@contextmanager
def named_by_a_file(name: str, files: bool = False) -> Iterator[None]:
    """What is loaded meanwhile is what a file names.

    Parameters
    ----------
    name : str
    files : bool
        Whether model files may be named, too, as they hold numbers only, and weights of other packages that bring code
        along.

    Raises
    ------
    EvaluatorError
        If the name may run code and the user has not given it, too, or the file leads back to itself.
    """
    is_harmless = is_built_in(name) or (files and not runs_code(name))
    known = {*_trusted.get(), *_of_environment()}
    if not is_harmless and full_name(name) not in {*known, *map(from_any_folder, known)}:
        raise EvaluatorError(
            f"'{shown(name)}' may run code, and only the file names it; if you know it, name it yourself: "
            f"--trust {quote(shown(name))} on the command line, trust=[{shown(name)!r}] in Python"
        )
    if name in _named.get():
        raise EvaluatorError(f"the file leads back to '{shown(name)}'")
    token = _named.set((*_named.get(), name))
    try:
        yield
    finally:
        _named.reset(token)


def is_built_in(name: str) -> bool:
    """Whether a name stands for a potential that is built in, a shipped model, or something made of these alone."""
    prefix = full_name(name).partition(":")[0]
    if os.path.isfile(name):
        return False
    if prefix not in BUILT_IN:  # not even looked at, as that would import another package
        return name in shipped_models()
    found = provider_of(name)
    if found is None:
        return name in shipped_models()
    provider, rest = found
    parts = provider.parts(rest)
    return not provider.runs_code and all(map(is_built_in, parts))


def runs_code(name: str) -> bool:
    """Whether loading a name may run what the name says: a calculator, a module, a program.

    Model files hold numbers, and what a mixture or a correction names is looked at when that is loaded.  Weights of
    other packages may bring code along; they are part of the model that the user named.
    """
    if os.path.isfile(name) or name in shipped_models():
        return False
    prefix = full_name(name).partition(":")[0]
    found = provider_of(name) if prefix in BUILT_IN else None  # others are not even looked at: that would import them
    if found is None:
        return True
    provider, rest = found
    if provider.code_is_in_file:
        return False
    return provider.runs_code or any(map(runs_code, provider.parts(rest)))


def _of_environment() -> list[str]:
    return [full_name(name) for name in os.environ.get(VARIABLE, "").split(BETWEEN) if name]
