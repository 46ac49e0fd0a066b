"""Make the data of the ethene example: geometries from normal modes, then energies, forces and Kohn–Sham matrices.

    pip install pyscf
    python docs/ethene/labels.py 100

The minimum and its Hessian are those of B3LYP/STO-3G itself.  Each frame has normal coordinates out of a Gaussian with
the variance of a harmonic oscillator: ħ/2ω coth(ħω/2kT) at 300, 600 or 900 K, and where it is classical (one frame in
eight) kT/ω² at 300 K.  Both files are written after every frame, so that it may be stopped at any time.
"""

import sys
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import molecule
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write
from ase.units import Bohr, Hartree, kB
from pyscf import dft, gto
from scipy.optimize import minimize

HERE = Path(__file__).parent
HBAR = 0.0646541511  # eV^½ amu^½ Å
STEP = 0.005  # Å, of the Hessian
TEMPERATURES = (300.0, 300.0, 600.0, 900.0)
WIDTHS = (1.0, 1.2, 1.0, 1.0)  # times the standard deviation
GRID = 2  # of PySCF; with 3, which the first 50 frames have, matrices are within 2e-7 hartree


def solved(symbols: list[str], positions: np.ndarray) -> tuple:
    """A converged calculation, energy in eV and gradient in eV/Å."""
    atoms = gto.M(atom=list(zip(symbols, positions, strict=True)), basis="sto-3g", verbose=0)
    field = dft.RKS(atoms, xc="b3lyp")
    field.conv_tol, field.grids.level = 1e-10, GRID
    field.kernel()
    gradient = field.nuc_grad_method()
    gradient.grid_response = True
    return field, field.e_tot * Hartree, gradient.kernel() * Hartree / Bohr


def minimum(symbols: list[str], start: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Positions at the minimum and the Hessian there, eV/Å²."""

    def energy_and_gradient(flat: np.ndarray) -> tuple[float, np.ndarray]:
        _, energy, gradient = solved(symbols, flat.reshape(-1, 3))
        return energy, gradient.ravel()

    found = minimize(energy_and_gradient, start.ravel(), jac=True, method="BFGS", options={"gtol": 1e-4}).x
    rows = [
        (energy_and_gradient(found + step)[1] - energy_and_gradient(found - step)[1]) / (2 * STEP)
        for step in STEP * np.eye(len(found))
    ]
    return found.reshape(-1, 3), (np.array(rows) + np.transpose(rows)) / 2


def geometries(count: int, masses: np.ndarray, centre: np.ndarray, hessian: np.ndarray) -> list[np.ndarray]:
    """Displaced along normal modes; translations and rotations are left out."""
    weights = np.sqrt(np.repeat(masses, 3))
    squares, modes = np.linalg.eigh(hessian / np.outer(weights, weights))
    frequencies, generator, found = np.sqrt(np.maximum(squares[6:], 1e-6)), np.random.default_rng(28), []
    for number in range(count):
        thermal = kB * TEMPERATURES[number % 4]
        classical = thermal / frequencies**2
        quantum = HBAR / (2 * frequencies) / np.tanh(HBAR * frequencies / (2 * thermal))
        variance = np.concatenate([np.zeros(6), classical if number % 8 == 1 else quantum])
        along = generator.normal(size=len(weights)) * np.sqrt(variance) * WIDTHS[number % 4]
        found.append(centre + ((modes @ along) / weights).reshape(-1, 3))
    return found


def main() -> None:
    """Label as many frames as the argument says."""
    ethene = molecule("C2H4")
    symbols = ethene.get_chemical_symbols()
    centre, hessian = minimum(symbols, ethene.positions)
    frames, fock, overlap = [], [], []
    for positions in geometries(int(sys.argv[1]), ethene.get_masses(), centre, hessian):
        field, energy, gradient = solved(symbols, positions)
        atoms = Atoms(symbols, positions=positions)
        atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=-gradient)
        frames.append(atoms)
        fock.append(field.get_fock())
        overlap.append(field.get_ovlp())
        rows, columns = np.triu_indices(len(fock[0]))
        upper = {
            "fock_upper": np.round(np.array(fock)[:, rows, columns], 9),
            "overlap_upper": np.round(np.array(overlap)[:, rows, columns], 10),
        }
        np.savez_compressed(HERE / "matrices.npz", **upper, rows=rows.astype(np.int16), cols=columns.astype(np.int16))
        write(HERE / "train.xyz", frames)


if __name__ == "__main__":
    main()
