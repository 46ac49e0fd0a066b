"""All keys of all configurations, written by the schema that checks them: docs/reference/configuration.md.

python docs/make_configuration.py
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from beadwise.analysis.crystals.cycle_settings import STEPS, CycleSettings, RunSettings
from beadwise.learning.fitting.configuration import fit_schema
from beadwise.learning.fitting.electron_density.sections import electron_density_schema
from beadwise.learning.fitting.orbitals.sections import hamiltonian_schema
from beadwise.learning.loop.configuration import learn_schema
from beadwise.model.evaluators.mixture import mixture_schema
from beadwise.schema import UNIT, table_schema, words

HERE = Path(__file__).parent
PAGE = HERE / "reference" / "configuration.md"
FIT, LEARN = HERE / "ethanol" / "fit.toml", HERE.parent / "inputs" / "water_learn.toml"
MIXED = HERE / "how_to" / "models_out_of_several.md"
OF_HAMILTONIAN = HERE / "how_to" / "hamiltonian.md"
OF_DENSITY = HERE / "how_to" / "electron_density.md"
HEAD = """# Configurations

Written by `python docs/make_configuration.py` from the schema that checks the files; a test compares both.

`beadwise fit`, `beadwise learn`, a model out of several and a crystal are told by files in [TOML](https://toml.io).
Paths in them are relative to the file. A key that is not listed here, or a value that is not allowed, is refused in
one line that says what is allowed.

Editors that know the schema complete keys, explain them, and mark what is wrong: Visual Studio Code with the extension
Even Better TOML, others with [taplo](https://taplo.tamasfe.dev). Write the schema (JSON Schema, draft 2020-12) beside
the file:

```
beadwise schema fit > fit.schema.json
```

and name it in the first line of the file:

```toml
#:schema ./fit.schema.json
```

`beadwise schema hamiltonian`, `beadwise schema density`, `beadwise schema learn`, `beadwise schema model` and
`beadwise schema crystal` do the same for the others.
"""
ABOUT_FIT = """## `beadwise fit`

This file made the shipped model `ethanol` ([its page](../ethanol/README.md)); its `[metadata]` are left out here:

```toml
{example}
```

A quantity is fitted if its section is there, and not otherwise; an empty section takes the defaults. `[energy]` or the
section of another quantity is needed. [A quantity of your own](../how_to/extending.md) brings its section with it.
"""
ABOUT_HAMILTONIAN = """## `beadwise fit` of a Hamiltonian

A file with a section `[hamiltonian]`, [explained here](../how_to/hamiltonian.md):

```toml
{example}
```

`[density]` is as above.
"""
ABOUT_DENSITY = """## `beadwise fit` of an electron density

A file with a section `[electron_density]`, [explained here](../how_to/electron_density.md):

```toml
{example}
```

`[density]` is as above: that of neighbours, of which features are made.
"""
ABOUT_LEARN = """## `beadwise learn`

This is the shipped `inputs/water_learn.toml`:

```toml
{example}
```
"""
ABOUT_MODEL = """## A model out of several

`--model FILE.toml`, [explained here](../how_to/models_out_of_several.md):

```toml
{example}
```

Each section is a quantity. Either `model` or `models` is needed in it.
"""
ABOUT_CRYSTAL = """## `beadwise free-energy`

A file for each crystal, [explained here](../how_to/crystals.md#all-of-it-in-one-command). Sections are for `--run`;
each of them needs the key of its name, which is the file of its result.

### Keys outside of sections
"""
ABOUT_TABLES = """The sections of `beadwise fit` are tables here: `[fit.density]`, `[fit.energy]`, `[fit.dipole]`,
`[fit.committee]` and so on. `[fit.energy]` and `[fit.committee]` are needed. `data` and `output` are not allowed, as
the loop writes them itself, and neither is `model` in `[fit.committee]`. One key may stand in place of all tables:
"""


def page() -> str:
    """The whole page."""
    example = FIT.read_text(encoding="utf-8").partition("[metadata]")[0].strip()
    lines = [HEAD, ABOUT_FIT.format(example=example)]
    for name, section in fit_schema()["properties"].items():
        lines += section_lines(name, section)
    lines.append(ABOUT_HAMILTONIAN.format(example=toml_of_page(OF_HAMILTONIAN)))
    for name, section in hamiltonian_schema()["properties"].items():
        if name in ("data", "hamiltonian", "committee"):
            lines += section_lines(name, section)
    lines.append(ABOUT_DENSITY.format(example=toml_of_page(OF_DENSITY)))
    for name, section in electron_density_schema()["properties"].items():
        if name in ("data", "electron_density"):
            lines += section_lines(name, section)
    lines.append(ABOUT_LEARN.format(example=LEARN.read_text(encoding="utf-8").strip()))
    for name, section in learn_schema()["properties"].items():
        if name == "fit":
            _, other = section["anyOf"]
            lines += [f"### `[{name}]`", "", section["description"], "", ABOUT_TABLES, *table_lines(other)]
        else:
            lines += section_lines(name, section)
    lines.append(ABOUT_MODEL.format(example=toml_of_page(MIXED)))
    for name, section in mixture_schema()["properties"].items():
        lines += section_lines(name, section)
    lines += [ABOUT_CRYSTAL, *table_lines(table_schema(CycleSettings))]
    for name, kind in {"run": RunSettings, **{f"run.{key}": own for key, own in STEPS.items()}}.items():
        lines += section_lines(name, table_schema(kind))
    return "\n".join(lines).rstrip() + "\n"


def toml_of_page(path: Path) -> str:
    """The first configuration that a page shows."""
    return path.read_text(encoding="utf-8").partition("```toml")[2].partition("```")[0].strip()


def section_lines(name: str, section: Mapping[str, Any]) -> Iterator[str]:
    """A section, and the tables in it whose keys are known."""
    yield from (f"### `[{name}]`", "", section["description"], "")
    yield from table_lines(section)
    for key, own in section["properties"].items():
        if own.get("type") == "object" and own["additionalProperties"] is True:
            yield from section_lines(f"{name}.{key}", own)


def table_lines(section: Mapping[str, Any]) -> Iterator[str]:
    """One row for each key of a section."""
    yield from ("| key | value | unit | default | meaning |", "|---|---|---|---|---|")
    for key, own in section["properties"].items():
        cells = (
            f"`{key}`",
            value_of(own),
            own.get(UNIT, ""),
            default_of(own, key in section["required"]),
            meaning_of(own),
        )
        yield f"| {' | '.join(cells)} |".replace("|  |", "| |").replace("|  |", "| |")
    yield ""


def value_of(key: Mapping[str, Any]) -> str:
    """What a key takes, without its unit, which has a column of its own."""
    text = words({name: own for name, own in key.items() if name != UNIT})
    if isinstance(entries := key.get("additionalProperties"), Mapping):
        text = text.replace(f" in {entries.get(UNIT)}", "")
    return text.removeprefix("one of ").replace("'", "`").removeprefix("a ")


def default_of(key: Mapping[str, Any], is_needed: bool) -> str:
    """What holds where a key is not given."""
    if is_needed:
        return "needed"
    default = key.get("default", "")
    return "" if default in ("", [], {}) else f"`{json.dumps(default, ensure_ascii=False)}`"


def meaning_of(key: Mapping[str, Any]) -> str:
    """The sentences about a key, and the names that a table may have."""
    names = ", ".join(f"`{name}`" for name in key.get("properties", ())) if not key.get("additionalProperties") else ""
    text = f"{key['description']} Names: {names}." if names else key["description"]
    return text.replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
