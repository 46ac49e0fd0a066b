"""Files of NEPs: valid samples of each kind, and the reader that `nep:FILE` calls."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np

MAKERS = Path(__file__).parent.parent / "tests" / "model" / "external"
KINDS = {"nep4": "", "nep5": "", "nep4_zbl": "zbl 0.8 1.6", "nep5_zbl": "zbl 0 0", "nep4_dipole": ""}


def samples() -> list[bytes]:
    """Small files with fixed weights, one of each kind."""
    sys.path.append(str(MAKERS))
    from nep_files import nep_lines

    return ["\n".join(nep_lines(kind, zbl=zbl)).encode() for kind, zbl in KINDS.items()]


def read_nep(path: Path) -> None:
    """Read a NEP; where its package is installed, let it answer."""
    from beadwise.driver.doors.guards import check_finite
    from beadwise.model import Batch
    from beadwise.model.evaluators import load_evaluator
    from beadwise.model.external import nep_file

    file = nep_file.read_nep(path)
    if find_spec("nep_adapters"):
        unit = ",dipole_unit=debye" if file.kind == "dipole" else ""
        evaluator = load_evaluator(f"nep:{path}{unit}")
        positions = np.array([[[0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]]])
        batch = Batch(np.resize(file.species, 3), positions, 9.0 * np.eye(3)[None], np.ones(3, bool))
        check_finite(evaluator.evaluate(batch, evaluator.properties))
