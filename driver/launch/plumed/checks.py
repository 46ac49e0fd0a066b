"""Before a run with PLUMED: is it there, does it take its input, and does i-PI use it so that something comes of it."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Sequence

from ....model import BeadwiseError
from ....runs.input.elements import InputError, beads_of, integer_attribute, text_in
from ....runs.input.force_components import force_field_of, interpolated, weight_of
from ....runs.input.outputs import reading_of
from ....runs.input.run_input import RunInput, System
from ....runs.input.structures import MODES, last_frame
from ....runs.plumed.force_fields import PlumedForceField, plumed_force_fields
from ....runs.plumed.input import DEPOSITING, Action, PlumedInput
from .ask import Trial, check_with_plumed

READING = frozenset({"LOAD", "EXTERNAL", "READ"})  # actions whose FILE is not written


def check_plumed(run: RunInput) -> list[str]:
    """Refuse what would end i-PI in a traceback, or make a run worthless without a word.

    Parameters
    ----------
    run : RunInput

    Returns
    -------
    list of str
        Lines to show: what is allowed but hardly meant.

    Raises
    ------
    BeadwiseError
        If PLUMED is missing or refuses its input, or i-PI uses it so that no hill is deposited, variables are not
        handed on, or files are mixed up.
    """
    root = run.root
    force_fields = plumed_force_fields(run)
    if not force_fields:
        return []
    inputs = {force_field.name: force_field.read() for force_field in force_fields}
    systems = [system.element for system in run.systems]
    for force_field in force_fields:
        _check_deposition(force_field, inputs[force_field.name], systems)
    _check_files(force_fields, inputs)
    for system in systems:
        _check_variables(root, system, force_fields)
    trials = [_trial_of(force_field, run) for force_field in force_fields]
    _check_atoms(trials, run)
    check_with_plumed([trial for trial in trials if _may_be_tried(inputs[trial.force_field])], run.folder)
    return [line for force_field in force_fields for line in _remarks(force_field, inputs[force_field.name])]


def written_files(action: Action) -> list[str]:
    """Files that an action writes along the run, and appends to after a restart; not those that walkers share."""
    if "WALKERS_N" in action.keywords:
        return []
    if action.name in DEPOSITING:
        return [action.keywords.get("FILE", DEPOSITING[action.name])]
    if action.name == "PBMETAD":
        return action.values("FILE") or [f"HILLS.{argument}" for argument in action.arguments]
    return [action.keywords["FILE"]] if action.name == "PRINT" and "FILE" in action.keywords else []


def _check_deposition(
    force_field: PlumedForceField, plumed_input: PlumedInput, systems: Sequence[ElementTree.Element]
) -> None:
    """Refuse hills that are never deposited, or where nobody would look for them."""
    depositing = plumed_input.named(*DEPOSITING)
    if not depositing:
        return
    what = f"{depositing[0].name} of <ffplumed> '{force_field.name}'"
    components = [force for system in systems for force in system.iterfind("forces/force")]
    if any(force_field_of(force) == force_field.name for force in components):
        raise InputError(f"{what} stands in <forces>; its <force> belongs into <bias> of <ensemble>")
    if not force_field.is_updated:
        raise InputError(
            f"{what} would never deposit a hill; add <smotion mode='metad'> <metad> <metaff> [ {force_field.name} ] "
            "</metaff> </metad> </smotion>"
        )
    if not force_field.uses:
        raise InputError(
            f"{what} acts on nothing; a <force forcefield='{force_field.name}' nbeads='1'/> in <bias> does"
        )
    for use in force_field.uses:
        if use.beads != 1 and beads_of(systems[use.system]) > 1:
            raise InputError(
                f"{what} acts on {use.beads or beads_of(systems[use.system])} beads, but i-PI deposits at the "
                f"centroid; allowed is <force forcefield='{force_field.name}' nbeads='1'>"
            )


def _check_files(force_fields: Sequence[PlumedForceField], inputs: dict[str, PlumedInput]) -> None:
    """Refuse two PLUMEDs that write one file: the second takes it for that of an older run."""
    writers: dict[str, str] = {}
    for force_field in force_fields:
        for file in {file for action in inputs[force_field.name].actions for file in written_files(action)}:
            other = writers.setdefault(file, force_field.name)
            if other != force_field.name:
                raise InputError(
                    f"<ffplumed> '{other}' and '{force_field.name}' both write '{file}'; each needs its own"
                )


def _check_variables(
    root: ElementTree.Element, system: ElementTree.Element, force_fields: Sequence[PlumedForceField]
) -> None:
    """Refuse variables that i-PI would drop, mix up, or not find when it comes to write them."""
    named = {force_field.name: force_field for force_field in force_fields}
    components = [force for force in system.iterfind("ensemble/bias/force") if weight_of(force) != 0]
    used = [(named[force_field_of(force)], force) for force in components if force_field_of(force) in named]
    providers: dict[str, tuple[PlumedForceField, ElementTree.Element]] = {}
    for force_field, force in used:
        for name in force_field.extras:
            if name in providers and providers[name][0] is not force_field:
                raise InputError(
                    f"<plumed_extras> of <ffplumed> '{providers[name][0].name}' and '{force_field.name}' both name "
                    f"'{name}', which i-PI would add up or overwrite; give it another label in one PLUMED input"
                )
            providers[name] = force_field, force
        if lacking := sorted(interpolated(force) - set(force_field.extras)):
            raise InputError(
                f"<interpolate_extras> names '{lacking[0]}', which <plumed_extras> of <ffplumed> '{force_field.name}' "
                f"lacks; {_names(force_field)}"
            )
    beads = beads_of(system)
    for name in _written_variables(root):
        if name in providers:
            force_field, force = providers[name]
            contracted = 0 < integer_attribute(force, "nbeads", 0, least=0) != beads
            if contracted and name not in interpolated(force):
                raise InputError(
                    f"a <trajectory> writes '{name}', which i-PI drops as it is that of fewer beads; add "
                    f"<interpolate_extras> [ {name} ] </interpolate_extras> to <force forcefield='{force_field.name}'>"
                )
        elif used and len(used) == len(components):  # other force fields may have names of their own
            has = "; ".join(_names(force_field) for force_field, _ in used)
            raise InputError(f"a <trajectory> writes '{name}', which is in no <plumed_extras> of the <bias>; {has}")


def _names(force_field: PlumedForceField) -> str:
    return f"'{force_field.name}' has {', '.join(force_field.extras) or 'none'}"


def _written_variables(root: ElementTree.Element) -> Iterator[str]:
    for trajectory in root.iter("trajectory"):
        reading = reading_of(trajectory)
        if reading is not None and reading.keyword == "extras_bias":
            yield from reading.names


def _remarks(force_field: PlumedForceField, plumed_input: PlumedInput) -> Iterator[str]:
    printing = [action.keywords["FILE"] for action in plumed_input.named("PRINT") if "FILE" in action.keywords]
    if printing and not force_field.is_updated:
        yield (
            f"'{printing[0]}' of <ffplumed> '{force_field.name}' will stay empty, as it is in no <metaff> of an "
            "<smotion mode='metad'>; its bias acts"
        )
    if plumed_input.named(*DEPOSITING) and not plumed_input.named("FLUSH"):
        yield (
            "PLUMED keeps its latest hills in memory, where they are lost if i-PI is killed; FLUSH STRIDE=1 at the "
            f"end of '{force_field.path.name}' has them written at once"
        )


def _trial_of(force_field: PlumedForceField, run: RunInput) -> Trial:
    """How i-PI will start PLUMED.

    Raises
    ------
    StructureError
        If the structure that tells the number of atoms cannot be read.
    """
    elements = run.root.iter("ffplumed")
    element = next(element for element in elements if element.get("name", "").strip() == force_field.name)
    file = element.find("file")
    mode = "xyz" if file is None else file.get("mode", "chk").strip()
    if mode not in MODES:
        raise InputError(f"<file> of <ffplumed> '{force_field.name}' has mode='{mode}'; allowed are {', '.join(MODES)}")
    structure = last_frame(run.folder / text_in(element, "file"), mode)
    path = str(force_field.path.absolute())
    return Trial(force_field.name, path, len(structure["atoms"].names), force_field.extras)


def _check_atoms(trials: Sequence[Trial], run: RunInput) -> None:
    """Refuse a structure that is not that of the run; i-PI would do so at the first step, with a traceback."""
    for trial in trials:
        for system in run.systems:
            atoms = _atoms_of(system)
            if atoms is not None and trial.force_field in system.force_fields and trial.atoms != atoms:
                raise InputError(
                    f"<file> of <ffplumed> '{trial.force_field}' has {trial.atoms} atoms; the system has {atoms}"
                )


def _atoms_of(system: System) -> int | None:
    """Number of atoms of a system; None if it cannot be told, which is no matter of PLUMED."""
    try:
        return len(system.labels)
    except BeadwiseError:
        return None


def _may_be_tried(plumed_input: PlumedInput) -> bool:
    """Whether the input works in a folder of links: what it reads is found, what it writes stays there."""
    for action in plumed_input.actions:
        if any(".." in value for value in action.keywords.values()):
            return False
        written = [value for keyword, value in action.keywords.items() if keyword.endswith("FILE")]
        if action.name not in READING and any("/" in value for value in written):
            return False
    return ".." not in plumed_input.path.read_text(encoding="utf-8", errors="replace").replace("...", "")
