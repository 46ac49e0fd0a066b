"""What the force fields inside an ``<ffcommittee>`` of i-PI must send, as i-PI 3.3 combines them."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Collection

PREFIX = "committee_"
PARSED = frozenset({"committee_pot", "committee_force", "committee_virial"})
MADE_BY_IPI = PARSED | {"committee_uncertainty"}


def extras_of_member(
    committee: ElementTree.Element, force_field: ElementTree.Element, read: Collection[str]
) -> set[str]:
    """Keys in the extras that one force field inside an ``<ffcommittee>`` must send.

    With ``<parse_json>`` each of them holds several members, whose energies, forces and virials i-PI takes from the
    extras, but for the baseline.  Of everything else in the extras i-PI keeps only what the last force field that is
    not the baseline has sent, and puts ``committee_`` before its key.

    Parameters
    ----------
    committee : Element
        ``<ffcommittee>``.
    force_field : Element
        One of those inside.
    read : collection of str
        Keys that i-PI reads in the extras of the committee.
    """
    baseline = (committee.findtext("baseline_name") or "").strip()
    members = [child for child in committee if child.tag.startswith("ff") and not _is_called(child, baseline)]
    if force_field not in members:
        return set()
    extras: set[str] = set()
    if (committee.findtext("parse_json") or "").strip().upper() == "TRUE":
        extras |= PARSED
    if force_field is members[-1]:
        extras |= {key.removeprefix(PREFIX) for key in read if key.startswith(PREFIX) and key not in MADE_BY_IPI}
    return extras


def _is_called(force_field: ElementTree.Element, name: str) -> bool:
    return bool(name) and force_field.get("name", "").strip() == name
