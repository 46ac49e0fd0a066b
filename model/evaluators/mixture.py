"""``FILE.toml``: a model out of several, described by a file with a section for each quantity."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from ...properties.quantities import DENSITY, MATRIX, quantities
from ...properties.unit_names import in_own_units
from ...reading import refusing, shown, toml_of
from ...schema import about, check_table, sections_schema, table_schema
from ...suggestions import did_you_mean
from ..committee import Committee
from ..mixtures.mixture import ENERGY, Mixture, MixtureError, Part
from ..response import Evaluator
from .loading import load_evaluator
from .provider import Provider, Rename
from .registry import from_any_folder, full_name
from .trust import named_by_a_file

PREFIX = "mixture"
SUFFIX = ".toml"
USAGE = f"FILE{SUFFIX}"
COMMITTEE = "committee"
WITHOUT_UNIT = {MATRIX: "eV", DENSITY: "atomic units"}  # files of our own, which say in which they are
Named = tuple[str, ...]


@dataclass(frozen=True)
class PartSettings:
    """The models that answer for one quantity: either `model` or `models`."""

    model: Annotated[
        str, about("Name of the model, as commands take it; files are looked for beside this file first.")
    ] = ""
    models: Annotated[
        list[str],
        about("Names of models whose energies add up; several are for the energy only.", more={"minItems": 1}),
    ] = field(default_factory=list)
    unit: Annotated[str, about("Unit in which the model answers, as `debye`, where it is not made of eV, Å and e.")] = (
        ""
    )


def mixture_schema() -> dict[str, Any]:
    """JSON Schema of a file, with a section for each registered quantity."""
    part = table_schema(PartSettings) | {"oneOf": [{"required": ["model"]}, {"required": ["models"]}]}
    names = {"type": "array", "items": {"type": "string"}, "minItems": 1}
    members = {
        name: {**names, "description": f"Names of models: each gives the {name.replace('_', ' ')} of one member."}
        for name in quantities()
    }
    committee = sections_schema("Models that are the members of a committee, by quantity.", members)
    parts = {
        name: {**part, "description": f"The {name.replace('_', ' ')}: which model gives it."} for name in sections()
    }
    return sections_schema("A model out of several: `--model FILE.toml`.", {**parts, COMMITTEE: committee})


def sections() -> list[str]:
    """What a section may give a model for: every quantity, the Hamiltonian with its levels, the electron density."""
    return [*quantities(), *WITHOUT_UNIT]


def described(path: Path) -> tuple[dict[str, Named], dict[str, Named], dict[str, str]]:
    """Read which models a file names, without loading any.

    Parameters
    ----------
    path : Path

    Returns
    -------
    tuple
        Names of models by quantity, of a committee's members by quantity, and units by quantity.  Files among them
        are looked for in the folder of this one, then in the current one, and are absolute.

    Raises
    ------
    MixtureError
        If it is no such file: every section is a quantity or ``committee``.
    """
    with refusing(MixtureError, f"cannot read '{path}'"):
        content = toml_of(path)
    allowed = [*sections(), COMMITTEE]
    parts: dict[str, Named] = {}
    units: dict[str, str] = {}
    for section, keys in content.items():
        if section not in allowed:
            raise MixtureError(f"'{path}' has [{section}]; allowed are {allowed}{did_you_mean(section, allowed)}")
        if not isinstance(keys, Mapping):
            raise MixtureError(f"'{path}' has {section} = {shown(keys)}; a section [{section}] is needed")
        if section != COMMITTEE:
            parts[section] = tuple(_names(path, section, keys))
            if "unit" in keys and section in WITHOUT_UNIT:
                unit = WITHOUT_UNIT[section]
                raise MixtureError(f"[{section}] of '{path}' has unit = {shown(keys['unit'])}; its file is in {unit}")
            if "unit" in keys:
                units[section] = keys["unit"]
    committees = _committees(path, content.get(COMMITTEE, {}))
    if not parts and not committees:
        raise MixtureError(f"'{path}' names no model; it needs a section of {sections()} with model = NAME")
    return parts, committees, units


def _names(path: Path, section: str, keys: Mapping[str, Any]) -> Iterator[str]:
    """Models of one section."""
    check_table(PartSettings, keys, section, lambda text: MixtureError(f"'{path}': {text}"))
    if ("model" in keys) == ("models" in keys):
        raise MixtureError(f"[{section}] of '{path}' has the keys {list(keys)}; give either model or models")
    given = keys.get("models", [keys.get("model")])
    if section != ENERGY and isinstance(given, list) and len(given) != 1:
        raise MixtureError(f"[{section}] of '{path}' has {len(given)} models; only energies add up, so give one")
    yield from _absolute(path, section, given)


def _committees(path: Path, keys: Mapping[str, Any]) -> dict[str, Named]:
    known = list(quantities())
    for key in keys:
        if key not in known:
            raise MixtureError(f"[{COMMITTEE}] of '{path}' has '{key}'; allowed are {known}{did_you_mean(key, known)}")
    return {key: tuple(_absolute(path, f"{COMMITTEE}.{key}", names)) for key, names in keys.items()}


def _absolute(path: Path, section: str, names: Any) -> Iterator[str]:
    if not isinstance(names, list) or not names or not all(isinstance(one, str) and one.strip() for one in names):
        raise MixtureError(f"[{section}] of '{path}' names {shown(names)}; a list of names of models is needed")
    for name in names:
        found = from_any_folder(name.strip(), (path.parent, Path()))
        if Path(found).is_file() and path.samefile(found):
            raise MixtureError(f"[{section}] of '{path}' leads back to '{name}'; a file cannot be a part of itself")
        yield found


def mixture(name: str, threads: int) -> Mixture:
    """Load all that a file names.

    Raises
    ------
    MixtureError
        If it is no such file, a unit is none of its quantity, or the parts do not fit together.
    BeadwiseError
        If a part cannot be had, or may run code and the user has not named it, too.
    """
    path = Path(name)
    parts, committees, units = described(path)
    loaded: dict[str, Evaluator] = {}

    def load(model: str) -> Evaluator:
        if full_name(model) not in loaded:
            with named_by_a_file(model, files=True):
                loaded[full_name(model)] = load_evaluator(model, threads)
        return loaded[full_name(model)]

    def part(own: str, model: str) -> Part:
        return Part(load(model), _factor(path, own, units[own], load(model)) if own in units else 1.0)

    made = {own: [part(own, model) for model in models] for own, models in parts.items()}
    of_members = {own: Part(_committee([load(model) for model in models])) for own, models in committees.items()}
    providers = dict.fromkeys(str(getattr(one, "provider", "")) for one in loaded.values())
    return Mixture(made, of_members, made_from=str(path), provider=", ".join(filter(None, providers)))


def _factor(path: Path, quantity: str, unit: str, evaluator: Evaluator) -> float:
    """What answers are multiplied by; where a part has converted them from a unit of its own, that is taken back."""
    members = getattr(evaluator, "members", None)
    every = members if isinstance(members, tuple) else (evaluator,)
    assumed = {getattr(one, "units", {}).get(quantity, "") for one in every}
    if len(assumed) > 1:
        raise MixtureError(
            f"[{quantity}] of '{path}' has the unit '{unit}', but members answer in {sorted(filter(None, assumed))}; "
            f"leave the unit away, or give all of them the same {quantity}_unit"
        )
    with refusing(MixtureError, f"'{path}' cannot be read"):
        factor = in_own_units(unit, quantities()[quantity].unit)
        return factor / in_own_units(own, quantities()[quantity].unit) if (own := assumed.pop()) else factor


def _committee(members: list[Evaluator]) -> Evaluator:
    """Several models as a committee; one that has members by itself is one already."""
    return members[0] if len(members) == 1 else Committee(members)


def _models(rest: str, rename: Rename) -> str:
    """Tell the models that a file names; where the file lies is not changed by that."""
    parts, committees, _ = described(Path(rest))
    for name in (*(one for own in parts.values() for one in own), *(one for own in committees.values() for one in own)):
        rename(name)
    return rest


PROVIDER = Provider(PREFIX, mixture, USAGE, models=_models, files=lambda rest: [Path(rest)], suffix=SUFFIX)
