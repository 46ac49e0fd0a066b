"""Whether what a cycle finds, harmonic crystal and inputs of i-PI, is of the crystal and the potential of its file."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

from ...errors import BeadwiseError
from ...model.crystals.reference import CrystalError, HarmonicReference
from ...model.crystals.sites import Sites
from ...model.evaluators import from_any_folder, full_name, identity_of, load_evaluator
from ...runs.input.elements import InputError
from ...runs.input.named_model import named_model
from ...runs.input.run_input import RunInput
from ..mass.masses import DALTON
from .cycle_settings import STEPS, CycleFile
from .gibbs import check_barostat
from .structure import read_crystal
from .switch_inputs import check_force, check_masses, models_in_process


def model_of(cycle: CycleFile) -> str:
    """The potential, with absolute paths, as runs go on in folders of their own."""
    assert cycle.run is not None
    return from_any_folder(cycle.run.model, [cycle.run.folder])


def check_apart(cycles: Sequence[CycleFile]) -> None:
    """Refuse two crystals that would take one file for the result of both.

    Raises
    ------
    CrystalError
        If they name one file for a key, and are not one crystal.
    """
    for first, other in combinations(cycles, 2):
        if _crystal(first) == _crystal(other):
            continue
        for key in ("harmonic", *STEPS):
            names = [getattr(one.settings, key) for one in (first, other)]
            if all(names) and first.file(key).resolve() == other.file(key).resolve():
                raise CrystalError(
                    f"'{first.path}' and '{other.path}' are of two crystals, and name one file for the key {key}, "
                    f"'{names[1]}'; each needs its own"
                )


def _crystal(cycle: CycleFile) -> tuple[Path, str, bool, float]:
    """What tells one crystal from another."""
    assert cycle.run is not None
    structure = (cycle.path.parent / cycle.run.structure).resolve()
    return structure, full_name(model_of(cycle)), cycle.run.held, cycle.settings.temperature


def check_harmonic(cycle: CycleFile) -> None:
    """Refuse a harmonic crystal that is there, and is not what the file of the cycle would make.

    Raises
    ------
    BeadwiseError
        If it is of another potential, or weights, or of other atoms, masses or another cell than the structure has.
    """
    assert cycle.run is not None
    path, model = cycle.file("harmonic"), model_of(cycle)
    reference = HarmonicReference.load(path)
    anew = "remove it to have it made anew"
    if reference.model not in (full_name(model), full_name(cycle.run.model)):
        raise CrystalError(
            f"'{path}' is of the potential {reference.model}, and '{cycle.path}' names {cycle.run.model}; {anew}"
        )
    if reference.identity != identity_of(model, load_evaluator(model)):
        raise CrystalError(
            f"'{path}' was made with other weights than {cycle.run.model} has now, or another version of what "
            f"provides it; {anew}"
        )
    if reference.floats == cycle.run.held:
        states = ("is held from outside", "floats")
        raise CrystalError(
            f"the crystal of '{path}' {states[reference.floats]}, and '{cycle.path}' has held = "
            f"{str(cycle.run.held).lower()}; {anew}"
        )
    structure = cycle.path.parent / cycle.run.structure
    crystal = read_crystal(structure)
    try:
        sites = Sites(reference)
        sites.check_atoms(crystal.structure.numbers)
        sites.check_cells(crystal.structure.cells)
        check_masses(crystal.masses, structure, reference, path)
    except BeadwiseError as error:
        raise CrystalError(f"'{path}' is not of '{structure}': {error}; {anew}") from error


def check_input(cycle: CycleFile, key: str, run: RunInput) -> None:
    """Refuse an input that is of another crystal, or of another potential, than the cycle.

    Parameters
    ----------
    cycle : CycleFile
    key : str
        Of the section that names it; inputs of `anharmonic` are looked at where they are blended.
    run : RunInput

    Raises
    ------
    BeadwiseError
        If it is.
    """
    if key == "anharmonic":
        return
    system, file = run.only_system(), cycle.file("harmonic")
    reference = HarmonicReference.load(file)
    sites = Sites(reference)
    sites.check_atoms(run.numbers)
    if system.beads > 1:
        check_masses(system.atoms.masses / DALTON, run.path, reference, file)
    if key == "pressure":
        check_barostat(run, system)
    elif system.has_constant_volume:
        sites.check_cells(system.cell[None])
    elif key == "quantum" or not cycle.settings.pressure:
        raise InputError(
            f"'{run.path}' is at {system.ensemble.name}; constant volume, in the cell of '{file}', is needed"
        )
    check_force(run, system)
    for name in filter(None, (named_model(run), *models_in_process(run.document))):
        if full_name(from_any_folder(name, [run.folder])) != full_name(model_of(cycle)):
            raise InputError(f"'{run.path}' names the potential {name}, and '{cycle.path}' {model_of(cycle)}")
