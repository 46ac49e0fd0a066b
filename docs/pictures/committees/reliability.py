"""Reliability of the shipped water model's members on frames that neither the fit nor the calibration has seen.

    python docs/pictures/committees/reliability.py water_data

Every second frame of bulk_valid.xyz calibrates the members as inputs/water_members_fit.toml does with all of them; the
others are predicted.  Writes reliability.png beside this script and prints the fractions within one and two σ.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from ase.io import read, write

HERE = Path(__file__).resolve().parent
INPUTS = HERE.parents[2] / "inputs"


def main() -> None:
    data = Path(sys.argv[1]).resolve()
    frames = read(data / "bulk_valid.xyz", ":")
    text = (INPUTS / "water_members_fit.toml").read_text()
    text = text.replace("water_data/bulk_valid.xyz", "calibration.xyz")
    text = text.replace("water_data", str(data))
    text = text.replace('"water.safetensors"', f'"{INPUTS / "water.safetensors"}"')
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder / "calibration.xyz", frames[::2])
        write(folder / "held_out.xyz", frames[1::2])
        (folder / "fit.toml").write_text(text)
        subprocess.run(["beadwise", "fit", "fit.toml"], cwd=folder, check=True)
        plot = ["--reliability", str(HERE / "reliability.png")]
        subprocess.run(
            ["beadwise", "evaluate", "water_members.safetensors", "held_out.xyz", *plot], cwd=folder, check=True
        )


if __name__ == "__main__":
    main()
