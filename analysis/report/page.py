"""The page of a run, made of its content: static, or following a run that goes on."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ...colours import COLOURS
from ...page import HERE, data, render, script

FOLDER = Path(__file__).parent
MARK = '<meta name="generator" content="beadwise">'  # by which our pages are known
PARTS = ("head", "verdicts", "messages")  # what changes while a run goes on, as HTML
SIGNS = {"good": "✓", "fair": "!", "bad": "✗", "unknown": "?"}
WORDS = {"good": "good", "fair": "to be looked at", "bad": "not good", "unknown": "not known"}


def run_page(content: Mapping[str, Any], follow: str = "", seconds: float = 5.0) -> str:
    """The whole page.

    Parameters
    ----------
    content : mapping
        As `beadwise.analysis.report` says.
    follow : str
        Address, relative to that of the page, from which it gets `update_of` again and again; empty for a page that
        stays as it is.
    seconds : float
        Between two times.
    """
    scripts = [HERE / "plotly-basic.min.js", FOLDER / "structure.js", FOLDER / "report.js"]
    viewer = None if content["structure"] is None else chemiscope()
    return render(
        FOLDER,
        "run.html",
        **_words(content),
        scripts=script(*([viewer] if viewer else []), *scripts),
        data=data({"content": content, "colours": COLOURS, "follow": follow, "seconds": seconds}),
        connect="'self'" if follow else "'none'",
        has_chemiscope=viewer is not None,
    )


def update_of(content: Mapping[str, Any]) -> dict[str, Any]:
    """What the page needs to show newer content: the content, and HTML of its parts by the id of their elements."""
    parts = {f"part-{name}": render(FOLDER, f"{name}.html", **_words(content)) for name in PARTS}
    return {"content": content, "parts": parts}


def chemiscope() -> Path | None:
    """The script of chemiscope's viewer, of the extra ``report``; None where it is not installed."""
    found = find_spec("chemiscope")
    places = [] if found is None else found.submodule_search_locations or []
    files = [Path(place) / "sphinx" / "static" / "chemiscope.min.js" for place in places]
    return next((path for path in files if path.is_file()), None)


def _words(content: Mapping[str, Any]) -> dict[str, Any]:
    return {"content": content, "run": content["run"], "signs": SIGNS, "words": WORDS}
