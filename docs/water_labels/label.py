"""Label geometries with the committee potential C-NNP (generation 4, revPBE0-D3) in CP2K: energy, forces and stress.

Schran, Brezina, Marsalek, J. Chem. Phys. 153, 104105 (2020); the potential comes with CP2K's data.

    python label.py check BULK_TRAIN            compare with labels that are there, print the energy constant
    python label.py run OUT.xyz RUN_FOLDER ...   pick beads of the trajectories of sample.py, label them, extend OUT
    python label.py run --beads 8 OUT.xyz ...    as many of the 16 beads of a snapshot, where it is not 4

One CP2K process answers for all frames as a client (RUN_TYPE DRIVER) of ASE's socket server, in double precision.
"""

import argparse
import os
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.calculators.socketio import SocketServer
from ase.io import read, write
from ase.units import Bohr, Hartree

HERE = Path(__file__).resolve().parent
BEADS, STRIDE_FS, DISCARD_FS = 16, 40, 400
SHIFT = -688.1128966787707  # eV per atom: constant from CP2K onto the DFT scale of bulk_train.xyz, see `check`


class Committee:
    """CP2K, started once; cells and positions may change, the species may not."""

    def __init__(self, atoms):
        self.folder = Path(tempfile.mkdtemp(prefix="cnnp-"))
        plain = Atoms(atoms.symbols, atoms.positions)
        write(self.folder / "structure.xyz", plain, format="xyz")
        name = f"cnnp-{os.getpid()}"
        members = "".join(
            f"&MODEL\n WEIGHTS NNP/bulkH2O-jcp2020-cnnp/nnp-{k}/weights\n &END MODEL\n" for k in range(1, 9)
        )
        text = (HERE / "water_cnnp.inp").read_text()
        for key, value in {
            "@MODELS@": members,
            "@SOCKET@": name,
            "@STRUCTURE@": "structure.xyz",
            "@BOX@": " ".join(f"{x:.10f}" for x in atoms.cell.lengths()),
        }.items():
            text = text.replace(key, value)
        (self.folder / "cp2k.inp").write_text(text)
        self.server = SocketServer(unixsocket=name)
        self.process = subprocess.Popen(
            ["cp2k.psmp", "-i", "cp2k.inp", "-o", "cp2k.out"],
            cwd=self.folder,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            stdout=(self.folder / "std.log").open("w"),
            stderr=subprocess.STDOUT,
        )

    def labels(self, atoms):
        """Energy (eV, not shifted), forces (eV/Å), stress (eV/Å3, ASE's sign), 3 × 3."""
        got = self.server.calculate(atoms)
        return got["energy"], got["forces"], -got["virial"] / atoms.get_volume()

    def spread(self):
        """Root mean square of the members' standard deviation of a force component, over all frames answered, eV/Å."""
        rows = (line.split() for line in (self.folder / "sigma.xyz").open())
        sigma = np.array([row[1:] for row in rows if len(row) == 4 and row[0] in ("O", "H")], float)
        return np.sqrt((sigma**2).mean()) * Hartree / Bohr

    def close(self):
        """CP2K ends with status 255 when its server leaves."""
        self.server.close()
        self.process.wait()


def picked(folder, count):
    """Beads from a run: every snapshot after equilibration, `count` beads each, equally spaced and moving on by one."""
    beads = [read(folder / f"water.beads_{b:02d}.xyz", ":") for b in range(BEADS)]
    start = read(folder / "start.xyz")
    for snapshot in range(DISCARD_FS // STRIDE_FS + 1, min(map(len, beads))):
        for k in range(count):
            bead = (snapshot + k * BEADS // count) % BEADS
            place = beads[bead][snapshot].positions.round(8)
            kind = f"pimd-{folder.name.removeprefix('run_')}"
            yield Atoms(
                start.numbers,
                place,
                cell=start.cell.array.round(8),
                pbc=True,
                info={"kind": kind, "snapshot": snapshot, "bead": bead},
            )


def check(path):
    frames = read(path, ":")
    frames = [frames[k] for k in (0, 333, 666)]
    committee = Committee(frames[0])
    shifts = []
    for a in frames:
        energy, forces, stress = committee.labels(a)
        shifts.append((a.calc.results["energy"] - energy) / len(a))
        print(
            "energy shift per atom",
            repr(shifts[-1]),
            "forces",
            abs(forces - a.calc.results["forces"]).max(),
            "stress",
            abs(stress - a.get_stress(voigt=False)).max(),
            "of",
            abs(stress).max(),
        )
    energy, forces, stress = committee.labels(frames[0])
    step = 2e-4
    for i, j in ((0, 0), (0, 1)):
        values = []
        for sign in (0.5, -0.5):
            strain = np.eye(3)
            strain[i, j] += sign * step
            strain[j, i] += sign * step
            moved = frames[0].copy()
            moved.set_cell(moved.cell.array @ strain, scale_atoms=True)
            values.append(committee.labels(moved)[0])
        print(
            "stress", i, j, stress[i, j], "from energies", (values[0] - values[1]) / (2 * step) / frames[0].get_volume()
        )
    committee.close()
    print("spread", committee.spread() * 1e3, "meV/Å")
    print("SHIFT", repr(np.mean(shifts)), "spread", np.ptp(shifts) * 1e3, "meV/atom", committee.folder)


def run(out, folders, count):
    done = []
    if out.exists():
        done = read(out, ":")
    known = {(a.info["kind"], a.info["snapshot"], a.info["bead"]) for a in done}
    todo = [
        a
        for f in folders
        for a in picked(Path(f), count)
        if (a.info["kind"], a.info["snapshot"], a.info["bead"]) not in known
    ]
    if not todo:
        return
    committee = Committee(todo[0])
    for number, atoms in enumerate(todo):
        energy, forces, stress = committee.labels(atoms)
        symmetric = (stress + stress.T) / 2
        atoms.calc = SinglePointCalculator(
            atoms,
            energy=energy + SHIFT * len(atoms),
            forces=forces,
            stress=symmetric[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]],
        )
        done.append(atoms)
        if number % 40 == 39 or atoms is todo[-1]:
            write(out.with_suffix(".tmp"), done, format="extxyz")
            out.with_suffix(".tmp").replace(out)
            print(len(done), "frames, spread", round(committee.spread() * 1e3, 2), "meV/Å", flush=True)
    committee.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    tasks = parser.add_subparsers(dest="task", required=True)
    tasks.add_parser("check").add_argument("frames")
    task = tasks.add_parser("run")
    task.add_argument("--beads", type=int, choices=(1, 2, 4, 8, 16), default=4)
    task.add_argument("out", type=Path)
    task.add_argument("folders", nargs="+")
    given = parser.parse_args()
    if given.task == "check":
        check(given.frames)
    else:
        run(given.out, given.folders, given.beads)
