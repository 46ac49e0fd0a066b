"""Errors and times of fitted models of several programs, on the same frames and in one run, in points.json beside this.

`python compare.py --valid VALID.xyz LABEL=PROGRAM:MODEL …`, a program being beadwise, nep, snap or pod.
A file record.json beside a model, which its fit wrote, goes into the table.  `--timed-only LABEL` has no error.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from functools import partial
from pathlib import Path
from time import process_time

import numpy as np
from ase import Atoms
from labelled import frames

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from contenders import PeerError  # noqa: E402
from measuring import interleaved, limit_threads, machine, moving_beads, water_box  # noqa: E402
from programs import PROGRAMS  # noqa: E402

BEADS = 32


def errors(make, valid: list[Atoms]) -> dict[str, float]:
    """Root mean square errors; that of the energy is about its mean, as codes differ by constants of an atom."""
    energy, force, virial = [], [], []
    for atoms in valid:
        answer = make(atoms).answer(atoms.positions)
        energy.append((answer.energy - atoms.get_potential_energy()) / len(atoms))
        force.append(answer.forces - atoms.get_forces())
        label = -atoms.get_volume() * atoms.get_stress(voigt=False)
        virial.append((answer.virial - label) / len(atoms))
    return {
        "energy, meV/atom": float(1e3 * np.std(energy)),
        "forces, meV/Å": float(1e3 * np.sqrt(np.mean(np.concatenate(force) ** 2))),
        "virial, meV/atom": float(1e3 * np.sqrt(np.mean(np.square(virial)))),
    }


def measure(models: dict[str, str], timed_only: list[str], valid: Path, repetitions: int) -> dict:
    """A row for each model, and the machine."""
    structure, held_out = water_box(), frames(valid)
    rows, found = {}, {}
    for label, text in models.items():
        program, path = text.split(":", 1)
        make = partial(PROGRAMS[program], path)
        try:
            found[label] = make(structure)
        except PeerError as reason:
            print(f"skipped: {label}: {reason}", file=sys.stderr)
            continue
        rows[label] = {"program": found[label].program}
        if label not in timed_only:
            rows[label]["errors"] = errors(make, held_out)
        record = Path(path).with_name("record.json") if Path(path).is_file() else Path(path) / "record.json"
        if record.is_file():
            rows[label]["record"] = json.loads(record.read_text(encoding="utf-8"))
        print(label, rows[label].get("errors"), file=sys.stderr, flush=True)
    seconds = interleaved(list(found.values()), moving_beads(structure, BEADS), repetitions, process_time)
    for label, peer in found.items():
        own = 1e6 * seconds[peer] / (min(BEADS, peer.beads) * len(structure))
        rows[label] |= {
            "beads": peer.beads,
            "microseconds_per_atom": [round(float(value), 3) for value in own],
            "least_microseconds_per_atom": round(float(own.min()), 3),
        }
    return {
        "machine": machine() | {"clock": "processor time"},
        "valid": valid.name,
        "frames": len(held_out),
        "models": rows,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="+", metavar="LABEL=PROGRAM:MODEL")
    parser.add_argument("--valid", type=Path, required=True)
    parser.add_argument("--timed-only", nargs="*", default=[], metavar="LABEL")
    parser.add_argument("--repetitions", type=int, default=12)
    parser.add_argument("--json", type=Path, default=HERE / "points.json")
    options = parser.parse_args()
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # one core, whatever a library thinks it may start
    limit_threads(1)
    models = dict(entry.split("=", 1) for entry in options.models)
    report = measure(models, options.timed_only, options.valid, options.repetitions)
    options.json.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
