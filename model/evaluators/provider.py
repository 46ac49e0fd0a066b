"""What a name of an evaluator begins with, and all that must be known of names that begin so."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from ..response import Evaluator

Rename = Callable[[str], str]
SETTING = re.compile(r"\w+\s*=")


def after_a_colon(rest: str | None) -> bool:
    """Whether there is a rest at all; without one a name may be a shipped model, or the file of one."""
    return rest is not None


def with_a_comma(rest: str | None) -> bool:
    """Whether the rest has several parts: the attribute of a module never has a comma."""
    return rest is not None and "," in rest


def with_or_without(rest: str | None) -> bool:
    """Any name that begins so, with a colon or without."""
    return True


def no_models(rest: str, rename: Rename) -> str:
    """The rest of a name in which there are no names of models."""
    return rest


def models_from(first: int) -> Callable[[str, Rename], str]:
    """Rename the models of a rest whose parts, between commas, are models from this one on.

    A part ``key=value`` is a setting of the model before it, ``a.safetensors,mace:b.model,dtype=float32``.
    """

    def within(rest: str, rename: Rename) -> str:
        parts = [part.strip() for part in rest.split(",")]
        models: list[str] = []
        for part in parts[first:]:
            if models and SETTING.match(part) and not os.path.isfile(part):
                models[-1] += f",{part}"
            else:
                models.append(part)
        return ",".join([*parts[:first], *map(rename, models)])

    return within


def named_files(rest: str) -> list[Path]:
    """Words of a rest, between commas, colons and equal signs, that are files."""
    return [Path(word) for word in re.split("[,:=]", rest) if os.path.isfile(word)]


@dataclass(frozen=True)
class Provider:
    """What makes the evaluators whose names are ``PREFIX:REST``.

    Each one of ours is registered by a file of `beadwise.model.evaluators`; that of another package is what its entry
    point in the group ``beadwise.evaluators`` names, under the prefix.

    Parameters
    ----------
    prefix : str
        What stands before the colon.
    make : callable
        Takes the rest of the name and the number of threads of an evaluation, and returns an `Evaluator`.
    usage : str
        How such names are written, ``harmonic:k=K``; messages show it.
    accepts : callable
        Tells whether a rest, None where there is no colon, is meant for it.  What it does not accept may be a shipped
        model, or the attribute of a module; so the default refuses a prefix alone.
    models : callable
        Takes the rest and a function, and returns the rest with the function applied to each name of a model in it:
        so files get absolute paths, and what is made of models is known.  By default, there are none.
    paths : callable
        The same for words that may be files and are no models, as a parameter of a calculator.
    files : callable
        Paths of the other files that answers depend on, from the rest: what is kept of answers is not used once they
        change.  By default, all words that are files.
    short : tuple of str
        First words of a rest that are understood without the prefix.  Of our own only.
    suffix : str
        End of the names of files that are meant for it though they have no prefix; the whole name is then the rest.
        Of our own only.
    runs_code : bool
        Whether the rest of a name says what is imported and called: then a file that names it needs the user's word
        (`beadwise.model.evaluators.trust`).  Of our own only; those of other packages always do.
    code_is_in_file : bool
        Whether that code is only what a file of weights brings along: a model of several parts may name such a file as
        the user named that model; a model file that corrects a baseline may not.
    writes_files : bool
        Whether evaluations may write files with fixed names into the current folder, so that two at the same time
        need a folder each.
    """

    prefix: str
    make: Callable[[str, int], Evaluator]
    usage: str
    accepts: Callable[[str | None], bool] = after_a_colon
    models: Callable[[str, Rename], str] = no_models
    paths: Callable[[str, Rename], str] = no_models
    files: Callable[[str], Iterable[Path]] = named_files
    short: tuple[str, ...] = ()
    suffix: str = ""
    runs_code: bool = False
    code_is_in_file: bool = False
    writes_files: bool = False

    def parts(self, rest: str) -> list[str]:
        """Names of the models in the rest of a name."""
        found: list[str] = []

        def note(name: str) -> str:
            found.append(name)
            return name

        self.models(rest, note)
        return found
