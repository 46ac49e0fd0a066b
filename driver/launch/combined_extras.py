"""Whether the extras that i-PI makes of several force components are those of the whole potential.

i-PI adds up what every ``<force>`` names in ``<interpolate_extras>``, and otherwise keeps the last component's without
a word.  Under multiple time stepping and contraction this decides whether a dipole is that of the model that was meant.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Collection, Mapping, Sequence

from ...runs.input.elements import InputError, beads_of, integer_attribute, words
from ...runs.input.force_components import ELECTRIC, force_field_of, interpolated, is_driven, weight_of
from ...runs.input.outputs import reading_of
from ...runs.input.run_input import RunInput

ROUNDING = 1e-9
NEEDED = "<interpolate_extras> [ {name} ] </interpolate_extras>"


def check_combined_extras(run: RunInput, sent: Mapping[str, Collection[str]]) -> None:
    """Refuse an input whose extras would silently be those of one component of several, or zeros.

    Parameters
    ----------
    run : RunInput
        Of systems that are made of a ``<system_template>`` nothing is checked.
    sent : mapping of str to collection of str
        Keys in the extras that each force field answers with; those of force fields that are not in it are not known.

    Raises
    ------
    InputError
        If there is such an output.
    """
    readings = [reading for element in run.root.iter("trajectory") if (reading := reading_of(element))]
    written = {name for reading in readings if reading.keyword == "extras" for name in reading.names}
    for system in run.root.iterfind("system"):
        components = [element for element in system.iterfind("forces/force") if weight_of(element) != 0]
        for name in sorted(written.union(ELECTRIC if is_driven(system) else ())):
            senders = [element for element in components if name in sent.get(force_field_of(element), ())]
            _check(name, senders, beads_of(system))


def _check(name: str, senders: Sequence[ElementTree.Element], beads: int) -> None:
    """Check one of the extras, given the components that answer with it."""
    added_up = [element for element in senders if name in interpolated(element)]
    others = [element for element in senders if name not in interpolated(element)]
    kept = [element for element in others if not _is_contracted(element, beads)]
    needed = NEEDED.format(name=name)
    if added_up and kept:
        raise InputError(
            f"a <force> of '{force_field_of(kept[0])}' answers with '{name}' without interpolating it, which takes the "
            f"place of the sum of those that do; allowed is {needed} in each <force> of a force field, or in none"
        )
    if added_up and abs(sum(map(_total_weight, added_up))) < ROUNDING:
        raise InputError(
            f"i-PI would write '{name}' as zeros: the weights of {_names(added_up)}, with their <mts_weights>, add up "
            f"to 0; needed is {needed} in each <force> whose '{name}' counts"
        )
    if not added_up and len(kept) > 1:
        raise InputError(
            f"'{name}' comes from {_names(kept)}, of which i-PI would keep that of the last <force> alone; needed is "
            f"{needed} in each <force> whose '{name}' counts"
        )
    if senders and not added_up and not kept:
        raise InputError(
            f"'{name}' comes from {_names(others)} on less than {beads} beads, and i-PI would drop it; needed is "
            f"{needed} in that <force>"
        )


def _names(components: Sequence[ElementTree.Element]) -> str:
    """Force fields of several components, ``'a' and 'b'``."""
    return " and ".join(f"'{name}'" for name in dict.fromkeys(map(force_field_of, components)))


def _is_contracted(element: ElementTree.Element, beads: int) -> bool:
    return 0 < integer_attribute(element, "nbeads", 0, least=0) < beads


def _total_weight(element: ElementTree.Element) -> float:
    """Weight of a component over all levels, with which i-PI adds up its extras."""
    levels = words(element.findtext("mts_weights")) or ["1"]
    try:
        return weight_of(element) * sum(map(float, levels))
    except ValueError:
        raise InputError(
            f"<mts_weights> of <force> is '{element.findtext('mts_weights')}'; numbers are needed"
        ) from None
