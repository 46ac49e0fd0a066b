"""Pages of HTML that need nothing else: templates of Jinja, styles, scripts and data in one file.

What a page says is escaped by Jinja; what its scripts read is JSON that cannot end a ``<script>``.  A policy in its
head forbids it to load anything.  ``plotly-basic.min.js`` is the smallest bundle of plotly.js (MIT, its licence beside
it), version 4.1.1 of plotly.js-basic-dist-min from npm, as it is there.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..json_text import compact_json

HERE = Path(__file__).parent
ALONE = "'none'"  # what a page may connect to


def render(folder: Path, template: str, **content: Any) -> str:
    """Fill a template.

    Parameters
    ----------
    folder : Path
        Where it is; ``layout.html`` and what it includes are found beside this module.
    template : str
    **content
        What it speaks of.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # only what makes pages needs it

    environment = Environment(
        loader=FileSystemLoader([folder, HERE]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {"style": _markup((HERE / "page.css").read_text(encoding="utf-8"))}
    return environment.get_template(template).render(**content)


def script(*paths: Path) -> Any:
    """Scripts to be put into a ``<script>`` of a template as they are."""
    text = "\n;\n".join(path.read_text(encoding="utf-8") for path in paths)
    return _markup(text.replace("</script", "<\\/script"))


def data(content: Any) -> Any:
    """JSON to be put into a ``<script type="application/json">`` of a template: no text in it can end that."""
    text = compact_json(content)
    for letter in "<>&\u2028\u2029":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return _markup(text)


def _markup(text: str) -> Any:
    from markupsafe import Markup

    return Markup(text)
