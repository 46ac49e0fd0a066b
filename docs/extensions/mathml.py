"""Formulas as MathML, which browsers draw by themselves: a page needs neither JavaScript nor a network for them."""

from __future__ import annotations

from typing import Any

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx
from sphinx.util.math import get_node_equation_number


def mathml_of(formula: str, display: str = "inline") -> str:
    """MathML of a formula in LaTeX, in which dots and bars stand as accents above their letter."""
    return convert(formula, display=display).replace("<mover>", '<mover accent="true">')


def visit_inline(self: Any, node: nodes.math) -> None:
    """A formula in a line."""
    self.body.append(mathml_of(node.astext()))
    raise nodes.SkipNode


def visit_block(self: Any, node: nodes.math_block) -> None:
    """A formula on a line of its own, with its number where it has one."""
    self.body.append(self.starttag(node, "div", CLASS="math"))
    self.body.append(mathml_of(node.astext(), "block"))
    if node["number"]:
        self.body.append(f'<span class="eqno">({get_node_equation_number(self, node)})</span>')
    self.body.append("</div>")
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the renderer, which `html_math_renderer` of conf.py names."""
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
