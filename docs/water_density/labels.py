"""Electron densities of water by PySCF, as labels of a fit: water.xyz and water.npz in a folder.

python docs/water_density/labels.py FOLDER --frames 100

PBE/def2-SVP.  The density matrix P is projected on the functions of def2-universal-jfit (F. Weigend, Phys. Chem. Chem.
Phys. 8, 1057 (2006)): w_p = Σ P_ab (ab|p), in the Coulomb metric or in that of the overlap.  With ``--check FILE`` the
density of a model is compared with that of PySCF itself on PySCF's grid, on geometries that are none of the labels:
what the functions cannot say, what the model adds, and both together.  Needs ``pip install pyscf``, and is no part of
the package.
"""

import argparse
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms
from pyscf import df, dft, gto

BASIS, AUXILIARY, FUNCTIONAL = "def2-svp", "def2-universal-jfit", "pbe"


def random_water(generator: np.random.Generator) -> Atoms:
    """Water with bonds and angle far from those of its minimum, turned at random."""
    first, second = generator.normal(0.97, 0.07, 2)
    angle = np.radians(generator.normal(104.5, 10.0))
    positions = np.array([[0, 0, 0], [first, 0, 0], [second * np.cos(angle), second * np.sin(angle), 0]])
    turn, _ = np.linalg.qr(generator.normal(size=(3, 3)))
    return Atoms("OHH", positions @ turn)


def density_matrix(atoms: Atoms) -> tuple[gto.Mole, np.ndarray, dft.rks.RKS]:
    """A converged calculation."""
    molecule = gto.M(atom=list(zip(atoms.symbols, atoms.positions, strict=True)), basis=BASIS, verbose=0)
    field = dft.RKS(molecule, xc=FUNCTIONAL)
    field.grids.level, field.conv_tol = 4, 1e-10
    field.run()
    return molecule, field.make_rdm1(), field


def auxiliary(molecule: gto.Mole) -> gto.Mole:
    """The functions that densities are written in, on the atoms of a molecule."""
    return df.addons.make_auxmol(molecule, AUXILIARY)


def projections(molecule: gto.Mole, matrix: np.ndarray) -> dict[str, np.ndarray]:
    """Projections w in both metrics, each of shape (functions,)."""
    both, found = molecule + auxiliary(molecule), {}
    shells = (0, molecule.nbas, 0, molecule.nbas, molecule.nbas, both.nbas)
    for name, integral in (("coulomb", "int3c2e"), ("overlap", "int3c1e")):
        found[f"{name}_projections"] = np.einsum("ab,abp->p", matrix, both.intor(integral, shls_slice=shells))
    return found


def check(path: Path, frames: list[Atoms]) -> None:
    """Print ∫|δρ|/N of the functions, of the model against them, and of both, frame by frame."""
    from beadwise.model import Batch
    from beadwise.model.evaluators import load_evaluator

    model, rows = load_evaluator(f"density:{path}"), []
    for atoms in frames:
        molecule, matrix, field = density_matrix(atoms)
        functions = auxiliary(molecule)
        values, weights = field._numint.eval_ao(functions, field.grids.coords), field.grids.weights
        exact = field._numint.eval_rho(molecule, field._numint.eval_ao(molecule, field.grids.coords), matrix)
        metric, charges = functions.intor("int2c2e"), values.T @ weights
        fitted = np.linalg.solve(metric, projections(molecule, matrix)["coulomb_projections"])
        direction = np.linalg.solve(metric, charges)
        fitted -= direction * (charges @ fitted - molecule.nelectron) / (charges @ direction)
        ours = model.coefficients(Batch.from_ase(atoms))[0]
        errors = [values @ fitted - exact, values @ (ours - fitted), values @ ours - exact]
        rows.append([100 * np.abs(own) @ weights / molecule.nelectron for own in errors])
        print("functions {:.3f} %, model against them {:.3f} %, together {:.3f} %".format(*rows[-1]), flush=True)
    print("mean:     {:.3f} %, {:.3f} %, {:.3f} %".format(*np.mean(rows, axis=0)))


def main() -> None:
    """Make labels, or compare a model with PySCF."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--frames", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--check", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    generator = np.random.default_rng([arguments.seed, 1] if arguments.check else arguments.seed)
    frames = [random_water(generator) for _ in range(arguments.frames)]
    if arguments.check:
        check(arguments.check, frames)
        return
    found: dict[str, list[np.ndarray]] = {}
    for number, atoms in enumerate(frames):
        molecule, matrix, field = density_matrix(atoms)
        for name, own in (
            projections(molecule, matrix) | {"dipole_au": field.dip_moment(unit="AU", verbose=0)}
        ).items():
            found.setdefault(name, []).append(own)
        print(f"{number + 1} of {len(frames)}", end="\r", flush=True)
    arguments.folder.mkdir(exist_ok=True)
    ase.io.write(arguments.folder / "water.xyz", frames, format="extxyz")
    np.savez(arguments.folder / "water.npz", **{name: np.array(own) for name, own in found.items()})


if __name__ == "__main__":
    main()
