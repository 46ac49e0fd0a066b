"""Make of the public files of `beadwise fetch water` the frames that the recipes of water name.

    python prepare.py convert water_public water_data    dft_train.xyz, and the bulk frames without energies; seconds
    python prepare.py label water_data                   bulk_train.xyz, bulk_valid.xyz: energies and forces by CP2K
    python prepare.py hot water_data                     hot_train.xyz, slab_train.xyz: dynamics with the same potential

Bulk frames carry dipoles and dielectric tensors where they are published; what is missing comes from the committee
potential C-NNP in CP2K (see `label.py`).  The frames of `hot` are drawn anew: of the same kind as those that the
shipped models were fitted to, not the same numbers.  Everything is in eV, Å and e; the polarizability of a cell is
(ε − 1) V/4π, made symmetric.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from ase import Atoms, units
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import iread, read, write
from beadwise.reading import toml_of

HERE = Path(__file__).resolve().parent
BOHR, HARTREE = units.Bohr, units.Hartree
FORCE = HARTREE / BOHR
# Langevin dynamics of 64 molecules: name, temperatures in K, frames of each, length of the cell along z over that in x
DYNAMICS = {"hot_train": ((400, 600, 900), 24, 1), "slab_train": ((300, 400), 55, 3)}
TIMESTEP, FRICTION, EQUILIBRATION, STRIDE = 0.5, 0.02, 800, 80  # fs, 1/fs, steps, steps


def split(name: str) -> list[int]:
    """Numbers of the frames of a set, from split.toml."""
    words = toml_of(HERE / "split.toml")[name].split()
    ends = [[int(end) for end in word.split("-")] for word in words]
    return [number for own in ends for number in range(own[0], own[-1] + 1)]


def dielectric_frames(path: Path) -> list[Atoms]:
    """Frames of water_bulk.xyz, their dipole in e·Å and their polarizability in Å³."""
    frames = []
    for number, atoms in enumerate(iread(path, ":", format="extxyz")):
        epsilon = np.array(atoms.info["epsilon"], float).reshape(3, 3)
        alpha = (epsilon - np.eye(3)) * atoms.get_volume() / (4 * np.pi)
        # ASE takes keys that begin with REF_ as they are
        known = {"frame": number, "polarizability": ((alpha + alpha.T) / 2).ravel()}
        own = Atoms(atoms.symbols, atoms.positions, cell=atoms.cell, pbc=True, info=known)
        own.calc = SinglePointCalculator(own, dipole=np.array(atoms.info["REF_dipole"], float) * BOHR)
        frames.append(own)
    return frames


def n2p2_frames(path: Path) -> Iterator[Atoms]:
    """Frames of a file of n2p2, which is in atomic units, with energy and forces."""
    for number, block in enumerate(path.read_text().split("begin\n")[1:]):
        rows: dict[str, list[list[str]]] = {}
        for line in block.splitlines():
            key, *words = line.split()
            rows.setdefault(key, []).append(words)
        if "end" not in rows:
            raise ValueError(f"{path}: frame {number} has no end")
        numbers = np.array([own[:3] + own[6:9] for own in rows["atom"]], float)
        atoms = Atoms(
            [own[3] for own in rows["atom"]],
            numbers[:, :3] * BOHR,
            cell=np.array(rows["lattice"], float) * BOHR,
            pbc=True,
            info={"frame": number},
        )
        energy = float(rows["energy"][0][0]) * HARTREE
        atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=numbers[:, 3:] * FORCE)
        yield atoms


def convert(public: Path, folder: Path) -> None:
    """What needs no other program."""
    folder.mkdir(parents=True, exist_ok=True)
    dft = list(n2p2_frames(public / "water_dft.data"))
    write(folder / "dft_train.xyz", [dft[k] for k in split("dft_train") if k < len(dft)], format="extxyz")
    bulk = dielectric_frames(public / "water_bulk.xyz")
    for name in ("bulk_train", "bulk_valid"):
        chosen = [bulk[k] for k in split(name) if k < len(bulk)]
        if chosen:
            write(folder / f"{name}_without_energies.xyz", chosen, format="extxyz")


def label(folder: Path) -> None:
    """Energies, forces and stresses of the bulk frames."""
    from label import SHIFT, Committee

    for name in ("bulk_train", "bulk_valid"):
        source = folder / f"{name}_without_energies.xyz"
        if not source.exists():
            continue
        frames = read(source, ":")
        committee = Committee(frames[0])
        for number, atoms in enumerate(frames, 1):
            energy, forces, stress = committee.labels(atoms)
            known = atoms.calc.results | {"energy": energy + SHIFT * len(atoms), "forces": forces}
            known["stress"] = voigt(stress)
            atoms.calc = SinglePointCalculator(atoms, **known)
            if number % 50 == 0 or number == len(frames):
                print(name, number, "of", len(frames), flush=True)
        committee.close()
        write(folder / f"{name}.xyz", frames, format="extxyz")


def voigt(stress: np.ndarray) -> np.ndarray:
    """Six numbers of a stress, in ASE's order."""
    symmetric = (stress + stress.T) / 2
    return symmetric[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]


class CommitteeCalculator(Calculator):
    """The committee potential for ASE's dynamics."""

    implemented_properties = ["energy", "forces", "stress"]  # noqa: RUF012

    def __init__(self, atoms: Atoms):
        from label import Committee

        super().__init__()
        self.committee = Committee(atoms)

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes) -> None:
        super().calculate(atoms, properties, system_changes)
        energy, forces, stress = self.committee.labels(atoms)
        self.results = {"energy": energy, "forces": forces, "stress": voigt(stress)}


def hot(folder: Path, frames_of_each: int | None = None, equilibration: int = EQUILIBRATION) -> None:
    """Classical Langevin dynamics with the committee potential: hot water, and a slab with vacuum on both sides."""
    from ase.md.langevin import Langevin
    from label import SHIFT

    box = read(HERE.parents[1] / "inputs" / "water_64.xyz")
    length = 12.42
    for name, (temperatures, count, long) in DYNAMICS.items():
        frames = []
        for temperature in temperatures:
            random = np.random.default_rng(temperature)
            atoms = Atoms(box.symbols, box.positions, cell=[length, length, length * long], pbc=True)
            atoms.calc = CommitteeCalculator(atoms)
            thermal = np.sqrt(atoms.get_masses() * units.kB * temperature)
            atoms.set_momenta(random.normal(size=atoms.positions.shape) * thermal[:, None])
            options = {"temperature_K": temperature, "friction": FRICTION / units.fs, "fixcm": False, "rng": random}
            dynamics = Langevin(atoms, TIMESTEP * units.fs, **options)
            dynamics.run(equilibration)
            kind = f"slab-{temperature}K" if long > 1 else f"d1.0-{temperature}K"
            for _ in range(frames_of_each or count):
                dynamics.run(STRIDE)
                own = Atoms(atoms.symbols, atoms.positions, cell=atoms.cell, pbc=True, info={"kind": kind})
                results = dict(atoms.calc.results)
                results["energy"] += SHIFT * len(atoms)
                own.calc = SinglePointCalculator(own, **results)
                frames.append(own)
            atoms.calc.committee.close()
            print(name, kind, len(frames), "frames", flush=True)
        write(folder / f"{name}.xyz", frames, format="extxyz")


if __name__ == "__main__":
    task, *folders = sys.argv[1:]
    {"convert": convert, "label": label, "hot": hot}[task](*map(Path, folders))
