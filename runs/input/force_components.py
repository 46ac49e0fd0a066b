"""What i-PI reads of the answers of each force field: its force components, their weights, and the outputs.

As i-PI 3.3 does it.  A ``<force>`` of weight 0 is never queued with the others, and adds nothing to energy, forces,
virial and extras of the system: it is not even multiplied by 0.  Only an output that names the component evaluates it,
at the stride of that output.

Extras that a ``<force>`` names in ``<interpolate_extras>`` are added up over such components, each times its weight and
the sum of its ``<mts_weights>``, and interpolated from contracted beads to all.  Of others the last component's stay,
and a contracted component's are dropped.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from .elements import integer_attribute, words
from .outputs import ExtrasReading, index_in, reading_of

ENERGIES_OF_COMPONENT = re.compile(r"(?:pot|vir|forces)_component_raw\s*(?:\(([^)]*)\))?")
ELECTRIC = ("dipole", "BEC")  # what driven dynamics reads: its energy in the field is that of the dipole


@dataclass
class Use:
    """What i-PI reads of the answers of one force field.

    Parameters
    ----------
    extras : set of str
        Keys in the extras.
    energies : bool
        Whether it reads energy, forces or virial.
    """

    extras: set[str] = field(default_factory=set)
    energies: bool = False


def use_of(root: ElementTree.Element, force_field: str) -> Use:
    """What i-PI reads of the answers of one force field, over all systems.

    Parameters
    ----------
    root : Element
        ``<simulation>``.
    force_field : str
        Name of a force field that stands directly below it.

    Returns
    -------
    Use
        With ``<system_template>`` everything that is read of any force field, as names and weights may be filled in.
    """
    readings = [reading for element in root.iter("trajectory") if (reading := reading_of(element))]
    if root.find("system_template") is not None:
        return _whole_use(root, readings)
    raw_energies = _components_with_energies(root)
    use = Use()
    for system in root.iterfind("system"):
        components = system.findall("forces/force")
        combined = _names(readings, "extras").union(ELECTRIC if is_driven(system) else ())
        added_up = set().union(*(interpolated(element) for element in components if weight_of(element) != 0))
        for place, element in enumerate(components):
            if force_field_of(element) == force_field:
                places = (None, place, place - len(components))
                _add_component(use, element, places, readings, raw_energies, combined - added_up)
        for element in system.iterfind("ensemble/bias/force"):
            if force_field_of(element) == force_field:
                use.energies = True
                use.extras.update(words(element.findtext("interpolate_extras")), _names(readings, "extras_bias"))
    return use


def _add_component(
    use: Use,
    element: ElementTree.Element,
    places: tuple[int | None, ...],
    readings: Iterable[ExtrasReading],
    raw_energies: set[int | None],
    combined: set[str],
) -> None:
    """Add what is read of one component of a system, which goes by any of `places`.

    Of all components together i-PI reads `combined`, and what they interpolate: who sends those without interpolating
    them would put its own in the place of the sum.
    """
    counts = weight_of(element) != 0
    own = [reading for reading in readings if reading.keyword == "extras_component_raw" and reading.component in places]
    use.extras.update(_names(own, "extras_component_raw"))
    if counts or own:  # i-PI looks for these whenever it collects the extras of the component
        use.extras.update(interpolated(element))
    if counts:
        use.extras.update(combined)
    use.energies |= counts or any(place in raw_energies for place in places)


def _whole_use(root: ElementTree.Element, readings: Iterable[ExtrasReading]) -> Use:
    extras = {name for reading in readings for name in reading.names}
    for element in root.iter("interpolate_extras"):
        extras.update(words(element.text))
    return Use(extras | set(ELECTRIC if is_driven(root) else ()), energies=True)


def _names(readings: Iterable[ExtrasReading], keyword: str) -> set[str]:
    return {name for reading in readings if reading.keyword == keyword for name in reading.names}


def is_driven(element: ElementTree.Element) -> bool:
    """Whether i-PI takes Born effective charges from the driver."""
    return any(charges.get("mode", "").strip() == "driver" for charges in element.iter("bec"))


def force_field_of(element: ElementTree.Element) -> str:
    """Name of the force field that a ``<force>`` asks."""
    return element.get("forcefield", "").strip()


def beads_of_component(element: ElementTree.Element, beads: int) -> int:
    """Beads that a ``<force>`` is evaluated on, of a system of so many."""
    return integer_attribute(element, "nbeads", 0, least=0) or beads


def weight_of(element: ElementTree.Element) -> float:
    """Weight of a ``<force>``, without that of its levels of multiple time stepping."""
    try:
        return float(element.get("weight", "1"))
    except ValueError:
        return 1.0  # i-PI refuses it


def interpolated(element: ElementTree.Element) -> set[str]:
    """Extras that a ``<force>`` interpolates and adds up."""
    return set(words(element.findtext("interpolate_extras")))


def _components_with_energies(root: ElementTree.Element) -> set[int | None]:
    """Components whose own energy, forces or virial are written, whatever their weight; None stands for any."""
    texts = [element.text or "" for name in ("properties", "trajectory") for element in root.iter(name)]
    return {index_in(arguments) for text in texts for arguments in ENERGIES_OF_COMPONENT.findall(text)}


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
