"""The ladder of time steps of liquid water, drawn from ladder.json.

ladder.json is the table of docs/explanation/multiple_time_steps.md, which says how it was made.
"""

import json
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[2] / "benchmarks"))
from time_step_analysis import Estimate, draw_ladder  # noqa: E402

NAMES = {
    "drift": "drift, meV per atom and ps",
    "temperature": "temperature, K",
    "potential": "potential energy, change, meV per atom",
    "bond_mean": "mean r(OH), A",
    "bond_width": "width of r(OH), A",
}


def main() -> None:
    table = json.loads((HERE / "ladder.json").read_text(encoding="utf-8"))
    found = {name: [Estimate(*one) for one in table[key]] for name, key in NAMES.items()}
    found["drift"] = [Estimate(one.value / 1e3, one.error / 1e3) for one in found["drift"]]  # eV
    draw_ladder(table["outer step, fs"], found, table["wall time, s/ps"], HERE / "ladder.png")


if __name__ == "__main__":
    main()
