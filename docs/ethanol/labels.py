"""Make the data of the ethanol example: sample geometries of one molecule, then label them from first principles.

    pip install pyscf tblite
    python docs/ethanol/labels.py sample
    python docs/ethanol/labels.py label
    python docs/ethanol/labels.py bend
    python docs/ethanol/labels.py label

`sample` runs i-PI itself on the tight-binding potential GFN2-xTB of tblite.  Classical Langevin dynamics at 300, 600
and 1000 K and path-integral molecular dynamics at 300 K (16 beads, PILE-L thermostat, single beads taken as geometries)
start from the trans and from the gauche conformer.  The potential only chooses geometries; its energies are not used.
Training and validation frames come from trajectories of their own, with seeds of their own.

`bend` turns, bends and stretches the hydroxyl group of labelled frames farther than dynamics goes: a fit that was never
shown such frames has a hole there, into which biased runs fall.

`label` evaluates each geometry with PySCF: energy, analytic forces, dipole, and the polarizability from the
coupled-perturbed Kohn–Sham equations.  Frames are appended one by one; those already in a file are not done again.
"""

import os
from pathlib import Path

import click
import numpy as np
from ase import Atoms
from ase.build import molecule
from ase.io import read, write
from ase.optimize import BFGS
from ase.units import Bohr, Hartree
from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

FUNCTIONAL, AUXILIARY_BASIS = "PBE0", "def2-universal-jkfit"
BASIS = {"H": "def2-SVP", "C": "def2-SVPD", "O": "def2-SVPD"}  # diffuse functions on H add 2 % to the polarizability
GRID = {"H": (30, 110), "C": (40, 302), "O": (40, 302)}  # radial shells, points on each: forces within 2 meV/Å
RESPONSE_GRID = {"H": (20, 86), "C": (25, 110), "O": (25, 110)}

FOLDER = Path(__file__).resolve().parent
WORKPLACE = FOLDER.parents[1] / "build" / "ethanol"
BEADS = 16
TIMESTEP, EQUILIBRATION, STRIDE = 0.5, 400, 30  # fs, steps, steps between the frames that are kept
DIHEDRALS = {"trans": 180.0, "gauche": 60.0}  # C–C–O–H, degrees
# Frames of each set for every kind of trajectory: temperature in K, beads, frames.  Half of them from each conformer.
PLAN = {
    "valid": [(300, BEADS, 60), (300, 1, 10), (600, 1, 14), (1000, 1, 16)],
    "train": [(300, BEADS, 180), (300, 1, 40), (600, 1, 80), (1000, 1, 100)],
}

# Frames with the hydroxyl's torsion (°), angle C–O–H (°) and O–H bond (Å) anywhere between these
BENT = {"train_bent": 72, "valid_bent": 18}
TORSION, ANGLE, BOND = (-180.0, 180.0), (55.0, 115.0), (0.85, 1.3)

DYNAMICS = """
<simulation verbosity='quiet'>
  <output prefix='sample'></output>
  <prng> <seed> {seed} </seed> </prng>
  <ffdirect name='xtb'>
    <pes> xtb </pes>
    <parameters> {{ template: start.xyz, method: GFN2-xTB, periodic: False }} </parameters>
  </ffdirect>
  <system>
    <initialize nbeads='{beads}'>
      <file mode='ase' units='angstrom'> start.xyz </file>
      <velocities mode='thermal' units='kelvin'> {temperature} </velocities>
    </initialize>
    <forces> <force forcefield='xtb'/> </forces>
    <ensemble> <temperature units='kelvin'> {temperature} </temperature> </ensemble>
    <motion mode='dynamics'>
      <dynamics mode='nvt' splitting='baoab'>
        <timestep units='femtosecond'> {timestep} </timestep>
        <thermostat mode='pile_l'> <tau units='femtosecond'> 50 </tau> </thermostat>
      </dynamics>
    </motion>
  </system>
</simulation>
"""


@click.group()
def main() -> None:
    """Sample geometries of ethanol, then label them."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # the matrices are small: threads would cost more than they give


@main.command()
def sample() -> None:
    """Write the geometries of both sets, in random order, so that labelling may be stopped at any frame."""
    WORKPLACE.mkdir(parents=True, exist_ok=True)
    runs = [(name, *entry, conformer) for name in PLAN for entry in PLAN[name] for conformer in DIHEDRALS]
    frames: dict[str, list[Atoms]] = {name: [] for name in PLAN}
    os.chdir(WORKPLACE)  # i-PI writes into the current folder
    with progress_bar() as progress:
        task = progress.add_task("trajectories", total=len(runs))
        for seed, (name, temperature, beads, count, conformer) in enumerate(runs, start=1):
            frames[name] += trajectory(start(conformer), temperature, beads, count // 2, seed)
            progress.advance(task)
    for name in PLAN:
        order = np.random.default_rng(0).permutation(len(frames[name]))
        write(WORKPLACE / f"{name}.xyz", [frames[name][place] for place in order], format="extxyz")


def progress_bar() -> Progress:
    """A bar with how many are done and the time left."""
    return Progress(
        *Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn(elapsed_when_finished=True)
    )


def start(conformer: str) -> Atoms:
    """A conformer, relaxed with GFN2-xTB."""
    from tblite.ase import TBLite

    atoms = molecule("CH3CH2OH")
    atoms.set_dihedral(0, 1, 2, 3, DIHEDRALS[conformer], indices=[3])
    atoms.calc = TBLite(method="GFN2-xTB", verbosity=0)
    BFGS(atoms, logfile=None).run(fmax=0.01, steps=200)
    return atoms


def trajectory(atoms: Atoms, temperature: float, beads: int, count: int, seed: int) -> list[Atoms]:
    """Run i-PI and keep geometries at regular intervals.

    Parameters
    ----------
    atoms : ase.Atoms
        Where every bead starts.
    temperature : float
        In K.
    beads : int
        Of the ring polymer; 1 for classical dynamics.
    count : int
        Frames to keep.  Of a ring polymer, two opposite beads are kept at a time.
    seed : int
        Of initial velocities and thermostat.

    Returns
    -------
    list of ase.Atoms
        Positions rounded as they will be written, so that labels belong to exactly these numbers.
    """
    from ipi.scripting import InteractiveSimulation

    bare = Atoms(atoms.numbers, atoms.positions, cell=np.eye(3) * 100.0)
    write("start.xyz", bare, format="extxyz")
    simulation = InteractiveSimulation(
        DYNAMICS.format(seed=seed, beads=beads, temperature=temperature, timestep=TIMESTEP)
    )
    kept = 1 if beads == 1 else 2
    kind = f"{'classical' if beads == 1 else 'path_integral'}_{temperature}K"
    simulation.run(EQUILIBRATION, write_outputs=False)
    frames: list[Atoms] = []
    for moment in range(-(-count // kept)):
        simulation.run(STRIDE, write_outputs=False)
        positions = np.array(simulation.syslist[0].beads.q).reshape(beads, -1, 3) * Bohr
        chosen = (moment % beads + beads // 2 * np.arange(kept)) % beads
        centred = positions[chosen] - positions[chosen].mean(axis=1, keepdims=True)
        frames += [Atoms(atoms.numbers, place, info={"sampled": kind}) for place in centred.round(5)]
    return frames[:count]


@main.command()
def bend() -> None:
    """Write geometries with the hydroxyl group out of place, made from labelled frames of the same set."""
    WORKPLACE.mkdir(parents=True, exist_ok=True)
    for seed, (name, count) in enumerate(BENT.items()):
        rng = np.random.default_rng(seed)
        known = read(FOLDER / f"{name.removesuffix('_bent')}.xyz", ":")
        frames = []
        for place in rng.choice(len(known), count, replace=False):
            atoms = Atoms(known[place].numbers, known[place].positions, info={"sampled": "bent"})
            atoms.set_dihedral(0, 1, 2, 3, rng.uniform(*TORSION), indices=[3])
            atoms.set_angle(1, 2, 3, rng.uniform(*ANGLE), indices=[3])
            atoms.set_distance(2, 3, rng.uniform(*BOND), fix=0)
            atoms.positions = (atoms.positions - atoms.positions.mean(axis=0)).round(5)
            frames.append(atoms)
        write(WORKPLACE / f"{name}.xyz", frames, format="extxyz")


@main.command()
@click.argument("sets", nargs=-1, type=click.Choice([*PLAN, *BENT]))
def label(sets: tuple[str, ...]) -> None:
    """Label the frames of the SETS, by default of all that were made; go on where it was stopped."""
    for name in sets or [name for name in (*PLAN, *BENT) if (WORKPLACE / f"{name}.xyz").exists()]:
        frames, path = read(WORKPLACE / f"{name}.xyz", ":"), FOLDER / f"{name}.xyz"
        done = complete_frames(path, len(frames[0]) + 2)
        with progress_bar() as progress, path.open("a") as out:
            task = progress.add_task(path.name, total=len(frames), completed=done)
            for atoms in frames[done:]:
                out.write(extended_xyz(atoms, labels(atoms)))
                out.flush()
                progress.advance(task)


def complete_frames(path: Path, lines_each: int) -> int:
    """Count the frames of a file, after removing one that was not written to its end."""
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    count = sum(line.endswith("\n") for line in lines) // lines_each
    if len(lines) > count * lines_each:
        path.write_text("".join(lines[: count * lines_each]))
    return count


def extended_xyz(atoms: Atoms, known: dict[str, np.ndarray]) -> str:
    """One frame as text, with no more digits than the labels have meaning."""
    numbers = {name: " ".join(f"{value:.4f}" for value in known[name].ravel()) for name in ("dipole", "polarizability")}
    comment = (
        f'Properties=species:S:1:pos:R:3:forces:R:3 energy={known["energy"]:.5f} dipole="{numbers["dipole"]}" '
        f'polarizability="{numbers["polarizability"]}" sampled={atoms.info["sampled"]} pbc="F F F"'
    )
    rows = [
        f"{symbol:2s}" + "".join(f"{value:10.5f}" for value in place) + "".join(f"{value:9.4f}" for value in force)
        for symbol, place, force in zip(atoms.symbols, atoms.positions, known["forces"], strict=True)
    ]
    return "\n".join([str(len(atoms)), comment, *rows]) + "\n"


def labels(atoms: Atoms) -> dict[str, np.ndarray]:
    """Energy in eV, forces in eV/Å, dipole in e·Å and polarizability in Å³ of a neutral molecule."""
    solution = self_consistent_field(atoms)
    gradient = solution.nuc_grad_method().kernel()
    forces = -gradient * Hartree / Bohr
    return {
        "energy": np.array(solution.e_tot * Hartree),
        "forces": forces
        - forces.mean(axis=0),  # the integration grid moves with the atoms and leaves a small net force
        "dipole": solution.dip_moment(unit="AU", verbose=0) * Bohr,
        "polarizability": polarizability(solution) * Bohr**3,
    }


def self_consistent_field(atoms: Atoms):
    """Kohn–Sham solution with density fitting.

    Returns
    -------
    pyscf.dft.rks.RKS

    Raises
    ------
    RuntimeError
        If it does not converge.
    """
    from pyscf import dft, gto

    system = gto.M(atom=[*zip(atoms.symbols, atoms.positions, strict=True)], basis=BASIS, unit="Angstrom", verbose=0)
    solution = dft.RKS(system, xc=FUNCTIONAL).density_fit(auxbasis=AUXILIARY_BASIS)
    solution.grids.atom_grid = GRID
    solution.conv_tol, solution.conv_tol_grad = 1e-9, 1e-5
    keep_basis_functions(solution._numint)
    solution.kernel()
    if not solution.converged:
        raise RuntimeError("the self-consistent field did not converge")
    return solution


def keep_basis_functions(integration) -> None:
    """Make PySCF evaluate the basis functions and their first derivatives on the grid once, not once per cycle.

    Parameters
    ----------
    integration : pyscf.dft.numint.NumInt
        Of one molecule and one grid.
    """
    evaluate, kept = integration.block_loop, []  # of so small a grid there is one block, or few

    def block_loop(mol, grids, nao=None, deriv=0, *arguments, **options):
        if deriv != 1:
            yield from evaluate(mol, grids, nao, deriv, *arguments, **options)
            return
        if not kept:
            blocks = evaluate(mol, grids, nao, deriv, *arguments, **options)
            kept.extend((values.copy(order="K"), *others) for values, *others in blocks)
        yield from kept

    integration.block_loop = block_loop


def polarizability(solution) -> np.ndarray:
    """Static polarizability from the coupled-perturbed Kohn–Sham equations.

    In the basis of virtual orbitals a and occupied orbitals i, the first-order change U of the occupied orbitals in a
    field obeys (ε_a − ε_i) U_ai + v_ai[U] = −r_ai, where v is what the changed density does to the Kohn–Sham matrix.

    Parameters
    ----------
    solution : pyscf.dft.rks.RKS
        Converged, of a closed shell, with density fitting.

    Returns
    -------
    ndarray of float64, shape (3, 3)
        In bohr³.
    """
    from pyscf.scf import cphf

    occupied, virtual = solution.mo_coeff[:, solution.mo_occ > 0], solution.mo_coeff[:, solution.mo_occ == 0]
    position = virtual.T @ solution.mol.intor("int1e_r") @ occupied
    respond = induced_potential(solution, occupied, virtual)
    change, _ = cphf.solve(
        lambda guess: respond(guess.reshape(-1, *position.shape[1:])),  # directions that have converged are left out
        solution.mo_energy,
        solution.mo_occ,
        position,
        max_cycle=40,
        tol=1e-6,
    )
    tensor = -4 * np.einsum("xai,yai->xy", position, change.reshape(position.shape))
    return (tensor + tensor.T) / 2


def induced_potential(solution, occupied: np.ndarray, virtual: np.ndarray):
    """What a change of the occupied orbitals does to the Kohn–Sham matrix.

    PySCF's own `gen_response` does the same for any density matrix.  Here the change has as few columns as there are
    occupied orbitals, and working with these is ten times faster for a molecule of this size.

    Returns
    -------
    callable
        From U to v[U], both (directions, virtual orbitals, occupied orbitals).
    """
    from pyscf import lib

    fitted = lib.unpack_tril(np.vstack([block.copy() for block in solution.with_df.loop()]))
    half = fitted @ occupied  # (auxiliary function, basis function, occupied orbital)
    mixed, both_occupied = virtual.T @ half, occupied.T @ half
    both_virtual = virtual.T @ fitted @ virtual
    exchange = solution._numint.hybrid_coeff(solution.xc)
    exchange_correlation = grid_response(solution, occupied)

    def respond(change: np.ndarray) -> np.ndarray:
        coulomb = np.tensordot(np.tensordot(change, 4 * mixed, ((1, 2), (1, 2))), mixed, 1)
        direct = np.tensordot(both_virtual, change, (2, 1))  # (auxiliary, a, direction, j)
        crossed = np.tensordot(mixed, change, (1, 1))  # (auxiliary, i, direction, j)
        exchanged = np.tensordot(direct, both_occupied, ((0, 3), (0, 2))).transpose(1, 0, 2)
        exchanged += np.tensordot(mixed, crossed, ((0, 2), (0, 3))).transpose(2, 0, 1)
        changed_orbitals = virtual @ change
        return coulomb - exchange * exchanged + virtual.T @ exchange_correlation(changed_orbitals)

    return respond


def grid_response(solution, occupied: np.ndarray):
    """The exchange–correlation part of `induced_potential`, on a coarser grid: polarizabilities change by 1e-4.

    Returns
    -------
    callable
        From changed orbitals (directions, basis functions, occupied orbitals) to the potential, of the same shape.
    """
    from pyscf.dft import gen_grid, numint

    grid = gen_grid.Grids(solution.mol)
    grid.atom_grid = RESPONSE_GRID
    grid.build()
    integration = numint.NumInt()
    values = integration.eval_ao(solution.mol, grid.coords, deriv=1)  # and three derivatives: (4, points, functions)
    orbitals = np.array([part @ occupied for part in values])
    density = 4 * np.einsum("gi,cgi->cg", orbitals[0], orbitals)
    density[0] /= 2
    kernel = integration.eval_xc_eff(solution.xc, density, deriv=2, xctype="GGA", spin=0)[2] * grid.weights

    def respond(changed: np.ndarray) -> np.ndarray:
        columns = np.concatenate(changed, axis=1)  # all directions at once: wide products are faster
        moved = [(part @ columns).reshape(len(part), len(changed), -1) for part in values]
        change = [4 * np.einsum("gi,gxi->xg", part, moved[0]) for part in orbitals]
        for c in (1, 2, 3):
            change[c] += 4 * np.einsum("gi,gxi->xg", orbitals[0], moved[c])
        weight = np.einsum("cdg,dxg->cgx", kernel, np.array(change))
        factors = weight[..., None] * orbitals[0][:, None]  # (4, points, directions, occupied)
        for c in (1, 2, 3):
            factors[0] += weight[c, ..., None] * orbitals[c][:, None]
        potential = sum(part.T @ factor.reshape(len(factor), -1) for part, factor in zip(values, factors, strict=True))
        return potential.reshape(len(potential), len(changed), -1).transpose(1, 0, 2)

    return respond


if __name__ == "__main__":
    main()
