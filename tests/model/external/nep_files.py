"""Text files of NEPs with random numbers, in the layout of GPUMD's nep.txt."""

from __future__ import annotations

from pathlib import Path

import numpy as np

NEURONS = 6


def nep_lines(kind: str = "nep4", elements: str = "O H", seed: int = 0, zbl: str = "") -> list[str]:
    """Lines of a file; `kind` is its first word."""
    generator, types = np.random.default_rng(seed), len(elements.split())
    header = [
        f"{kind} {types} {elements}",
        *([zbl] if zbl else []),
        "cutoff 4.5 3.5 100 50",
        "n_max 4 3",
        "basis_size 5 4",
        "l_max 4 2 1",
        f"ANN {NEURONS} 0",
    ]
    components = 5 + 4 * (4 + 1 + 1)
    networks = types * ((components + 2) * NEURONS + kind.startswith("nep5")) + 1
    networks *= 2 if kind.endswith("polarizability") else 1
    numbers = [
        generator.normal(scale=0.5, size=networks),
        generator.normal(scale=0.5, size=types**2 * (5 * 6 + 4 * 5)),
        generator.uniform(0.1, 0.5, size=components),
    ]
    if zbl.split()[1:] == ["0", "0"]:
        numbers.append(np.tile([1.0, 2.0, 0.2, 1.0, 0.3, 2.0, 0.2, 1.0, 0.2, 0.5], types * (types + 1) // 2))
    return [*header, *(f"  {number:.15e}" for number in np.concatenate(numbers))]


def nep_file(path: Path, kind: str = "nep4", **options) -> Path:
    """Write a file."""
    path.write_text("\n".join(nep_lines(kind, **options)) + "\n")
    return path
