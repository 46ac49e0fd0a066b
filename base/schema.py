"""What a section of a configuration may hold, said once: for checks, for editors and for the reference.

A section is a dataclass whose fields are annotated with a type and with `about`: a sentence, a unit, limits.  From
that, msgspec checks values and makes JSON Schema (draft 2020-12); messages and the reference are made of the latter.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, Field, fields
from functools import cache
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta

from .errors import BeadwiseError
from .reading import shown
from .suggestions import did_you_mean

Section = TypeVar("Section")
Refuse = Callable[[str], BeadwiseError]  # makes the error that says what is wrong
FileName = Annotated[str, Meta(title="file name")]
NO_KEY = {"is_key": False}  # of a field of a section that no file can set
DRAFT = "https://json-schema.org/draft/2020-12/schema"
UNIT = "x-unit"  # of a number; a keyword of ours, which programs that do not know it pass over


def about(
    text: str,
    *,
    unit: str = "",
    names: Callable[[], Iterable[str]] | None = None,
    inner: type | None = None,
    more: Mapping[str, Any] | None = None,
    **limits: Any,
) -> Meta:
    """What one key of a section is; it stands in ``Annotated`` beside the type.

    A plain ``int`` or ``float`` without it is not negative; with it, the limits are those that are given.

    Parameters
    ----------
    text : str
        One plain sentence; empty for entries of lists and tables.
    unit : str
    names : callable, optional
        Gives the names that a table may have, or the texts that a list may have, where these depend on the registry.
    inner : type, optional
        Section that describes the known keys of a table that may have others, too.
    more : mapping, optional
        Further keywords of JSON Schema.
    **limits
        ``ge``, ``gt``, ``le``, ``lt``, ``min_length``, as msgspec's ``Meta`` has them.
    """
    keywords = {**({UNIT: unit} if unit else {}), **(more or {})}
    extra = {"names": names, "inner": inner}
    return Meta(description=text or None, extra_json_schema=keywords or None, extra=extra, **limits)


def settings_of(kind: type[Section], values: Any, name: str, refuse: Refuse) -> Section:
    """Make the settings of a section of what a file says.

    Parameters
    ----------
    kind : type
        Dataclass of the section.
    values : mapping
        As TOML gives it.
    name : str
        Of the section, for messages.
    refuse : callable
        Makes an error of one line, which is raised.

    Raises
    ------
    BeadwiseError
        Naming the key, the value received and what is allowed.
    """
    check_table(kind, values, name, refuse)
    missing = [key for key, field in keys_of(kind).items() if _is_needed(field) and key not in values]
    if missing:
        raise refuse(f"[{name}] needs {missing}")
    return kind(**values)


def check_table(kind: type, values: Any, name: str, refuse: Refuse, is_open: bool = False) -> None:
    """Check names and values of a table; an open one may have other keys than those of its kind."""
    if not isinstance(values, Mapping):
        raise refuse(f"'{name}' is {shown(repr(values))}; it must be a section [{name}]")
    allowed = types_of(kind)
    for key, value in values.items():
        if key in allowed:
            _check_value(allowed[key], key, value, name, refuse)
        elif not is_open:
            raise refuse(f"unknown key '{key}' in [{name}]; allowed are {list(allowed)}{did_you_mean(key, allowed)}")


def _check_value(kind: Any, key: str, value: Any, name: str, refuse: Refuse) -> None:
    inner = _said(kind, "inner")
    if inner is not None:
        check_table(inner, value, f"{name}.{key}", refuse, is_open=True)
        return
    if isinstance(value, Mapping) and get_origin(_bare(kind)) is dict:
        of_entries = get_args(_bare(kind))[1]
        for entry, own in value.items():
            if not _fits(of_entries, own):
                raise refuse(
                    f"{key} has {entry} = {shown(repr(own))} in [{name}]; it must be {words(_schema(of_entries))}"
                )
        return
    if _fits(kind, value):
        return
    choices = [text for text in get_args(_bare(kind)) if text] if get_origin(_bare(kind)) is Literal else []
    if choices:
        raise refuse(
            f"{key} = {shown(repr(value))} in [{name}]; allowed are {choices}{did_you_mean(str(value), choices)}"
        )
    raise refuse(f"{key} = {shown(repr(value))} in [{name}]; it must be {words(_schema(kind))}")


def _fits(kind: Any, value: Any) -> bool:
    value = float(value) if isinstance(value, float) else value  # also those of NumPy, which msgspec does not know
    try:
        msgspec.convert(value, kind)
    except (msgspec.ValidationError, OverflowError):
        return False
    numbers = [own for own in (value if isinstance(value, list) else [value]) if isinstance(own, int | float)]
    return all((isinstance(own, int) or math.isfinite(own)) and _is_beyond(kind, own) for own in numbers)


def _is_beyond(kind: Any, number: float) -> bool:
    """Whether a number is beyond what it must exceed, in a type or in what it is made of.

    msgspec asks whether it is at least the next one, 5e-324 where that is 0, which is 0 itself in a process where a
    library has told the processor to flush such numbers.
    """
    limits = [own.gt for own in _metas(kind) if own.gt is not None]
    return all(number > limit for limit in limits) and all(_is_beyond(own, number) for own in get_args(_bare(kind)))


def keys_of(kind: type) -> dict[str, Field[Any]]:
    """Fields of a section that a file can set, by their names."""
    return {own.name: own for own in fields(kind) if own.metadata.get("is_key", True)}


@cache
def types_of(kind: type) -> dict[str, Any]:
    """Annotated types of the keys of a section, in their order."""
    hints = get_type_hints(kind, include_extras=True)
    return {
        key: Annotated[hints[key], Meta(ge=0)] if hints[key] in (int, float) else hints[key] for key in keys_of(kind)
    }


def _is_needed(own: Field[Any]) -> bool:
    return own.default is MISSING and own.default_factory is MISSING


def _metas(kind: Any) -> list[Meta]:
    return [own for own in getattr(kind, "__metadata__", ()) if isinstance(own, Meta)]


def _said(kind: Any, what: str) -> Any:
    return next((own.extra[what] for own in _metas(kind) if own.extra and own.extra.get(what) is not None), None)


def _bare(kind: Any) -> Any:
    return kind.__origin__ if hasattr(kind, "__metadata__") else kind


def _schema(kind: Any) -> dict[str, Any]:
    """JSON Schema of one type, without the null that TOML does not have."""
    made = dict(msgspec.json.schema(kind))
    kinds = [own for own in made.get("anyOf", ()) if own.get("type") != "null"]
    if len(kinds) == 1:
        del made["anyOf"]
        made |= kinds[0]
    if "enum" in made:
        made["enum"] = [own for own in made["enum"] if own]
    names = _said(kind, "names")
    if names is not None and made["type"] == "array":
        made["items"] = {"enum": list(names())}
    elif names is not None:
        made["properties"] = dict.fromkeys(names(), made["additionalProperties"])
        made["additionalProperties"] = False
    return made


def table_schema(kind: type, is_open: bool = False) -> dict[str, Any]:
    """JSON Schema of a section.

    Parameters
    ----------
    kind : type
        Its dataclass; the first line of its docstring says what the section is.
    is_open : bool
        Whether it may have other keys, too.
    """
    properties = {}
    for key, own in types_of(kind).items():
        inner, field = _said(own, "inner"), keys_of(kind)[key]
        made = _schema(own) if inner is None else {**table_schema(inner, is_open=True), **_described(own)}
        default = field.default_factory() if field.default_factory is not MISSING else field.default
        is_told = default not in (MISSING, None) and not (default == "" and "enum" in made)
        properties[key] = {**made, "default": default} if is_told else made
    needed = [key for key, field in keys_of(kind).items() if _is_needed(field)]
    return sections_schema((kind.__doc__ or "").strip().splitlines()[0], properties, needed) | {
        "additionalProperties": is_open
    }


def _described(kind: Any) -> dict[str, str]:
    return {"description": next(own.description for own in _metas(kind) if own.description)}


def sections_schema(text: str, properties: Mapping[str, Any], needed: Iterable[str] = ()) -> dict[str, Any]:
    """JSON Schema of a table of given schemas, and of nothing else."""
    return {
        "description": text,
        "type": "object",
        "properties": dict(properties),
        "required": list(needed),
        "additionalProperties": False,
    }


def for_editors(schema: Mapping[str, Any], title: str) -> dict[str, Any]:
    """A whole JSON Schema, with the units in the descriptions, which is all that editors show."""
    return {"$schema": DRAFT, "title": title, **_with_units(schema)}


def _with_units(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_with_units(own) for own in schema]
    if not isinstance(schema, Mapping):
        return schema
    made = {key: _with_units(own) for key, own in schema.items()}
    if isinstance(made.get(UNIT), str) and "description" in made:
        made["description"] += f" Unit: {made[UNIT]}."
    return made


def words(schema: Mapping[str, Any]) -> str:
    """What a JSON Schema allows, in words for people."""
    if "anyOf" in schema:
        return " or ".join(words(own) for own in schema["anyOf"])
    if "enum" in schema:
        return f"one of {', '.join(repr(own) for own in schema['enum'] if own)}"
    kind = schema["type"]
    if kind == "array":
        least = "one or more " if schema.get("minItems") else ""
        return f"a list of {least}{_plural(words(schema['items']))}"
    if kind == "object":
        entries = schema.get("additionalProperties") or next(iter(schema.get("properties", {}).values()), True)
        return f"a table of {_plural(words(entries))}" if isinstance(entries, Mapping) and entries else "a table"
    if "title" in schema:
        return f"a {schema['title']}"
    name = {"string": "text", "boolean": "true or false", "integer": "a whole number", "number": "a finite number"}[
        kind
    ]
    if "exclusiveMinimum" in schema and "exclusiveMaximum" in schema:
        name = name.replace("finite ", "")  # as the range says
    unit = f" in {schema[UNIT]}" if UNIT in schema else ""
    return f"{name}{_range(schema)}{unit}"


def _range(schema: Mapping[str, Any]) -> str:
    above, least = schema.get("exclusiveMinimum"), schema.get("minimum")
    below, most = schema.get("exclusiveMaximum"), schema.get("maximum")
    if above is not None and below is not None:
        return f" between {above:g} and {below:g}"
    if least is not None and most is not None:
        return f" from {least:g} to {most:g}"
    parts = [
        "" if above is None else f"above {above:g}",
        "" if least is None else "that is not negative" if least == 0 else f"of at least {least:g}",
        "" if below is None else f"below {below:g}",
        "" if most is None else f"of at most {most:g}",
    ]
    return "".join(f" {part}" for part in parts if part)


def _plural(text: str) -> str:
    """The plural of what `words` says of one value."""
    for one in ("a whole number", "a finite number", "text", "a file name"):
        if text.startswith(one):
            return f"{one.removeprefix('a ')}s{text[len(one) :].replace('that is not', 'that are not')}"
    return text.replace("one of ", "", 1)
