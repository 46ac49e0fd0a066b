"""``beadwise vibrations``: harmonic frequencies and intensities of a molecule or a crystal."""

from __future__ import annotations

from pathlib import Path

import click

from ..findings import Findings
from ..options import PATH, json_option, optical_option, output_option, threads_option, trust_option


@click.command()
@click.argument("structure", type=PATH, metavar="STRUCTURE")
@click.option("--model", required=True, metavar="MODEL", help="Model of energies, dipoles and polarizabilities.")
@click.option("--as-it-is", is_flag=True, help="Look for no minimum first.")
@optical_option
@output_option
@threads_option
@json_option
@trust_option
def vibrations(
    structure: Path,
    model: str,
    as_it_is: bool,
    optical_permittivity: float | None,
    output: Path | None,
    threads: int | None,
    json_file: Path | None,
) -> None:
    """Find the harmonic vibrations of a structure, and write them as CSV and PNG.

    STRUCTURE is a file of a molecule or of a crystal, of which the last frame counts.  It is brought to its minimum in
    the fixed cell; central differences of the forces give the Hessian, the model's dipole and polarizability infrared
    and Raman intensities.  Of a crystal the modes at the zone centre are found, transverse and longitudinal.
    """
    from ase import Atoms

    from ....analysis.crystals.structure import is_only_of_ipi, read_crystal
    from ....analysis.results import beside, stem_of
    from ....analysis.vibrations.make import VibrationRequest, make
    from ....learning.data.files import read_frames
    from ....model.evaluators import load_evaluator
    from ...launch.stages import Stages

    if is_only_of_ipi(structure):
        crystal = read_crystal(structure)
        own = crystal.structure
        atoms = Atoms(own.numbers, own.positions[0], cell=own.cells[0], pbc=True, masses=crystal.masses)
    else:
        atoms = read_frames(structure)[-1].atoms
    stem = stem_of(output, beside(structure.with_suffix(""), "vibrations"))
    request = VibrationRequest(model, stem, not as_it_is, optical_permittivity)
    evaluator = load_evaluator(model, threads or 1)
    findings = Findings(json_file)
    with Stages() as stages:
        report = make(evaluator, atoms, request, stages)
    findings.say(report.lines)
    findings.numbers(report.numbers)
