"""``beadwise density``: the electron density of a molecule as a cube file."""

from __future__ import annotations

from pathlib import Path

import click

from ..findings import Findings
from ..options import NOT_NEGATIVE, PATH, json_option, number, output_path


@click.command()
@click.argument("model", metavar="MODEL")
@click.argument("structure", type=PATH, metavar="STRUCTURE")
@click.option(
    "--output",
    type=PATH,
    callback=output_path,
    metavar="FILE",
    help="Cube file to write  [default: beside STRUCTURE, with the ending .cube].",
)
@number("--spacing", unit="ANGSTROM", default=0.1, text="Distance between points of the grid, in Å.")
@number(
    "--margin", unit="ANGSTROM", kind=NOT_NEGATIVE, default=3.0, text="How far the grid goes beyond the atoms, in Å."
)
@json_option
def density(
    model: str, structure: Path, output: Path | None, spacing: float, margin: float, json_file: Path | None
) -> None:
    """Write the electron density of a molecule as a cube file.

    MODEL is the file of an electron density, or density:charge=Q,FILE of an ion.  STRUCTURE is a file of molecules, of
    which the last frame counts.  Values are in e/bohr³, as other programs expect them.  What the grid holds of the
    electrons is told beside charge, dipole and Hartree energy, which are exact integrals of the functions.
    """
    from ase.units import Bohr

    from ....learning.data.files import read_frames
    from ....model import Batch
    from ....model.electron_density.cube import Grid, density_on_grid, write_density_cube
    from ....model.electron_density.model import DensityModel
    from ....model.electron_density.provider import PREFIX
    from ....model.evaluators import files_of, load_evaluator

    name = model if model.startswith(f"{PREFIX}:") else f"{PREFIX}:{model}"
    evaluator = load_evaluator(name)
    assert isinstance(evaluator, DensityModel)
    atoms = read_frames(structure)[-1].atoms
    path = output or structure.with_suffix(".cube")
    for what, files in (("structure", [structure]), ("model", files_of(name))):
        if path.resolve() in {file.resolve() for file in files}:
            raise click.ClickException(f"the cube file would replace the {what} '{path}'; give --output another name")
    grid = Grid.about(atoms.positions, spacing, margin)
    values = density_on_grid(evaluator, atoms, grid)
    own = evaluator.constrained(Batch.from_ase(atoms))
    write_density_cube(path, atoms, grid, values)
    numbers = {
        "cube": path,
        "points": list(grid.points),
        "electrons": evaluator.electrons(own.batch),
        "electrons_on_grid": float(values.sum() * (spacing / Bohr) ** 3),
        "charge": float(own.charges[0]),
        "shift": float(own.shifts[0]),
        "dipole": own.dipoles[0].tolist(),
        "hartree_energy": float(own.hartree_energies[0]),
    }
    findings = Findings(json_file)
    findings.say(
        [
            f"density of {atoms.get_chemical_formula()} in {path}: {' × '.join(map(str, grid.points))} points",
            f"electrons       {numbers['electrons']:g}; {numbers['electrons_on_grid']:.4f} on the grid; "
            f"{own.shifts[0]:+.1e} were taken away to make them exact",
            f"charge          {own.charges[0]:.6g} e",
            "dipole          " + ", ".join(f"{value:.5f}" for value in own.dipoles[0]) + " e·Å, about the origin",
            f"Hartree energy  {numbers['hartree_energy']:.4f} eV, ½cᵀJc",
        ]
    )
    findings.numbers(numbers)
