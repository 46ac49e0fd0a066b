"""Which prefixes of names there are, ours and those of other packages, and what names tell without being loaded."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import TypeGuard

from ...errors import BeadwiseError, PluginError
from ...plugins import load_plugin, plugins
from ..files import find, shipped_models
from ..response import Evaluator
from .provider import Provider

ENTRY_POINTS = "beadwise.evaluators"
BUILT_IN: dict[str, Provider] = {}  # by prefix; `__init__` fills it, as some are made of what others make


def others() -> dict[str, EntryPoint]:
    """Those of other packages by prefix; none takes the place of one of ours, or of a shipped model."""
    return plugins(ENTRY_POINTS, {*BUILT_IN, *shipped_models()})


@cache
def _loaded(point: EntryPoint) -> Provider:
    """The provider of another package, whose evaluators are checked, as nobody here has seen them."""
    provider = load_plugin(point, Provider, "evaluator")

    def make(rest: str, threads: int) -> Evaluator:
        try:
            evaluator = provider.make(rest, threads)
        except BeadwiseError:
            raise
        except Exception as error:  # whatever the other package raises
            raise PluginError(
                f"the evaluator '{point.name}:{rest}' of {point.value} cannot be made "
                f"({type(error).__name__}: {error}); it is written {provider.usage}"
            ) from error
        if not is_evaluator(evaluator):
            raise PluginError(
                f"the evaluator '{point.name}:{rest}' of {point.value} is {type(evaluator).__name__}; it needs the "
                "attributes species, properties and evaluate (see beadwise.model.Evaluator)"
            )
        return evaluator

    return replace(provider, prefix=point.name, make=make)


def provider_of(name: str) -> tuple[Provider, str] | None:
    """What makes the evaluator of a name, and the rest of the name.

    Parameters
    ----------
    name : str
        As `load_evaluator` takes it.

    Returns
    -------
    tuple of (Provider, str), or None
        None for model files, which come first, shipped models, and attributes of modules.

    Raises
    ------
    PluginError
        If it belongs to another package that cannot be imported.
    """
    if os.path.isfile(name):  # unlike pathlib it takes no offence at names that are too long for a file
        by_suffix = next((own for own in BUILT_IN.values() if own.suffix and name.endswith(own.suffix)), None)
        return (by_suffix, name) if by_suffix is not None else None
    prefix, colon, rest = full_name(name).partition(":")
    provider = BUILT_IN.get(prefix)
    if provider is None and prefix in (added := others()):
        provider = _loaded(added[prefix])
    is_meant = provider is not None and provider.accepts(rest if colon else None)
    return (provider, rest) if provider is not None and is_meant else None


def full_name(name: str) -> str:
    """The name of a potential that is the same for all its short forms, ``tblite:GFN1-xTB`` for ``GFN1-xTB``."""
    first = name.split(",")[0].strip()
    return next((f"{own.prefix}:{name}" for own in BUILT_IN.values() if first in own.short), name)


def short_name(name: str) -> str:
    """The shortest form of a name, ``GFN1-xTB`` for ``tblite:GFN1-xTB``."""
    _, _, rest = name.partition(":")
    return rest if rest and full_name(rest) == name else name


def from_any_folder(name: str, folders: Sequence[Path] = (Path(),)) -> str:
    """What a user calls MODEL, with absolute paths, so that it means the same wherever a server runs.

    Parameters
    ----------
    name : str
    folders : sequence of Path
        Where files are looked for, in this order; by default in the current one.

    Raises
    ------
    EvaluatorError
        If a member of a committee has no name, or is a committee.
    PluginError
        If it belongs to another package that cannot be imported.
    """
    absolute = _absolute(name, folders)
    if absolute != name:
        return absolute
    found = provider_of(name)
    if found is None:
        return name
    provider, rest = found
    renamed = provider.models(rest, lambda part: from_any_folder(part, folders))
    renamed = provider.paths(renamed, lambda word: _absolute(word, folders))
    return name if renamed == rest else f"{provider.prefix}:{renamed}"


def _absolute(word: str, folders: Sequence[Path]) -> str:
    """The path of a file in one of some folders; the word itself where none has it.

    A link stays one: the Python of a virtual environment is a link, and knows its packages by where the link is.
    """
    found = (folder / word for folder in folders if word and os.path.isfile(folder / word))
    return next((str(path.parent.resolve() / path.name) for path in found), word)


def parts_of(name: str) -> list[str]:
    """Names of the models that a name is put together from, as the members of a committee; empty for most."""
    found = provider_of(name)
    return [] if found is None else found[0].parts(found[1])


def models_of(name: str) -> list[str]:
    """Names of all models that a name is put together from at last; of most the name itself."""
    return [model for part in parts_of(name) for model in models_of(part)] or [name]


def files_of(name: str) -> list[Path]:
    """Files that the answers of a name depend on: models, files that parameters name, a module of the user's own.

    A module counts once it is imported, as by `load_evaluator`.
    """
    found = provider_of(name)
    if found is not None:
        provider, rest = found
        return [*provider.files(rest), *(file for part in provider.parts(rest) for file in files_of(part))]
    if os.path.isfile(name) or name in shipped_models():
        return [find(name)]
    file = getattr(sys.modules.get(name.partition(":")[0]), "__file__", None)
    return [Path(file)] if file else []


def writes_files(name: str) -> bool:
    """Whether evaluations may write files with fixed names into the current folder."""
    found = [provider_of(model) for model in models_of(name)]
    return any(one is not None and one[0].writes_files for one in found)


def known_names() -> list[str]:
    """Names, and beginnings of names, that there are."""
    short = [name for own in BUILT_IN.values() for name in own.short]
    return [*shipped_models(), *BUILT_IN, *short, *others()]


def usages() -> str:
    """How names with a prefix are written, for messages; those of other packages are not imported for it."""
    ours = [provider.usage for provider in BUILT_IN.values()]
    return ", ".join([*ours, *(f"{name}:… of {point.value.partition(':')[0]}" for name, point in others().items())])


def is_evaluator(candidate: object) -> TypeGuard[Evaluator]:
    """Whether something can answer: an object, not a class, with what `beadwise.model.Evaluator` has."""
    is_instance = not isinstance(candidate, type)
    return is_instance and all(hasattr(candidate, name) for name in ("species", "properties", "evaluate"))
