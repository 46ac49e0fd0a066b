"""The documentation site: `make docs` builds it in docs/_build/html.

The tutorials are notebooks.  They run when BEADWISE_TUTORIALS=run is set (`make site`, and in CI), where a cell that
fails is a failure of the build.  What they gave is kept in docs/_build/cache, and only those that changed run again.
Without it (`make docs`) their pages show the code alone.
"""

from __future__ import annotations

import os
import sys
from importlib.metadata import version as version_of
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "extensions"))
from style_of_cells import write_style  # noqa: E402

project = "beadwise"
author = "The beadwise developers"
copyright = "the beadwise developers, MIT licence"  # a name that Sphinx reads
release = version = version_of("beadwise")

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "sphinx_design",
    "gallery",
    "mathml",
]
exclude_patterns = ["_build", "**/.ipynb_checkpoints", "jupyter_execute"]
highlight_language = "text"  # of blocks without a language: commands, and what they print

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath", "substitution"]
myst_heading_anchors = 4
suppress_warnings = [
    "ref.python",  # short names in docstrings may mean more than one thing; the first is taken
    "myst-nb.lexer",  # cells of notebooks that were not run
]

os.environ.pop("MPLBACKEND", None)  # pictures of cells are those of the notebook
os.environ["MATPLOTLIBRC"] = str(write_style(HERE / "_build" / "matplotlibrc"))
nb_execution_mode = "cache" if os.environ.get("BEADWISE_TUTORIALS") == "run" else "off"
nb_execution_cache_path = str(HERE / "_build" / "cache")
nb_execution_raise_on_error = True
nb_execution_timeout = 900  # s, a cell; a tenth of that on a machine that is free
nb_execution_in_temp = True
nb_ipywidgets_js = {}  # what a page needs is beside it: no addresses elsewhere
nb_merge_streams = True

napoleon_google_docstring = False
napoleon_use_ivar = True
napoleon_use_param = napoleon_use_rtype = False  # types are prose: "ndarray of float64, shape (beads, 3)"
autodoc_typehints = "none"  # types stand in the docstrings, with shapes and units
toc_object_entries_show_parents = "hide"
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True}
default_role = "py:obj"

html_theme = "pydata_sphinx_theme"
html_title = "beadwise"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_sidebars = {page: [] for page in ("index", "gallery", "glossary", "install", "cite")}
html_math_renderer = "mathml"
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "show_toc_level": 2,
    "header_links_before_dropdown": 7,
    "navigation_with_keys": False,
    "navbar_align": "left",
    "footer_start": ["copyright"],
    "footer_end": [],
    "secondary_sidebar_items": ["page-toc"],
}
copybutton_prompt_text = r"\$ |>>> "
copybutton_prompt_is_regexp = True
