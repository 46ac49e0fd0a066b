"""The directive `gallery`: every picture of the pages, with its alternative text and a link to where it is explained.

A picture in docs/pictures that no page shows, and one without a text, are warnings, so a build with -W finds them.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

PICTURE = re.compile(r"^!\[(?P<text>[^\]]*)\]\((?P<path>[^)\s]+\.(?:png|svg))\)", re.MULTILINE)
KINDS = ("tutorials", "how_to", "explanation", "reference")
LOGGER = logging.getLogger(__name__)


def pictures_of(page: Path) -> list[tuple[Path, str]]:
    """Files and texts of the pictures of a page in Markdown."""
    found = PICTURE.finditer(page.read_text(encoding="utf-8"))
    return [((page.parent / match["path"]).resolve(), match["text"]) for match in found]


class Gallery(SphinxDirective):
    """A grid of all pictures, in the order of the pages."""

    def run(self) -> list[nodes.Node]:
        """Write the grid in Markdown and let it be parsed."""
        source = Path(self.env.srcdir)
        here = Path(self.env.doc2path(self.env.docname)).parent
        pages = [page for kind in KINDS for page in sorted((source / kind).rglob("*.md"))]
        shown: dict[Path, tuple[str, Path]] = {}
        for page in pages:
            self.env.note_dependency(str(page))
            for file, text in pictures_of(page):
                shown.setdefault(file, (text, page))
        for file in sorted({*(source / "pictures").rglob("*.png"), *(source / "pictures").rglob("*.svg")} - set(shown)):
            if file.name != "overview.png":  # on the first page
                LOGGER.warning("no page shows the picture %s", file.relative_to(source))
        lines = ["::::{grid} 1 2 2 3", ":gutter: 3", ""]
        for file, (text, page) in shown.items():
            if not text:
                LOGGER.warning("the picture %s of %s has no text", file.name, page.relative_to(source))
            target = os.path.relpath(page.with_suffix(""), here)
            lines += [f":::{{grid-item-card}} {text}", f":img-top: {os.path.relpath(file, here)}"]
            lines += [f":link: {target}", ":link-type: doc", f":img-alt: {text}", ":::", ""]
        return self.parse_text_to_nodes("\n".join([*lines, "::::"]))


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directive."""
    app.add_directive("gallery", Gallery)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
