"""The systems of an i-PI input, those that i-PI makes of a ``<system_template>`` among them."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator

from .force_components import words


def systems_of(root: ElementTree.Element) -> Iterator[ElementTree.Element]:
    """Systems of an i-PI input: its own, then one for each ``<instance>`` of its templates, filled in as i-PI does.

    Parameters
    ----------
    root : Element
        ``<simulation>``.
    """
    yield from root.iterfind("system")
    for template in root.iterfind("system_template"):
        body = template.find("template/system")
        if body is None:
            continue
        labels = words(template.findtext("labels"))
        for instance in template.iterfind("instance"):
            yield _fill_template(body, labels, words(instance.text))


def _fill_template(body: ElementTree.Element, labels: list[str], values: list[str]) -> ElementTree.Element:
    text = ElementTree.tostring(body, encoding="unicode")
    for label, value in sorted(zip(labels, values, strict=False), reverse=True):  # "string1" before "string"
        text = text.replace(label, value)
    return ElementTree.fromstring(text)
