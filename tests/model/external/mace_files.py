"""Real files of MACE without a training: tiny models of H and O with fixed weights, saved as mace_run_train does."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np

SPECIES = (1, 8)
CUTOFF = 3.5


def mace_file(path: Path, kind: str = "ScaleShiftMACE", seed: int = 0, heads: tuple[str, ...] = ("Default",)) -> Path:
    """Write a file of one kind, a class of mace.modules.models, in double precision.

    Weights of the energies' heads are as torch draws them.  Those of AtomicDielectricMACE are the same, too: its
    charges, dipoles and polarizabilities are of the order of 1.
    """
    import torch
    from beadwise.model.external.mace_file import quiet

    with quiet(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from e3nn import o3
        from mace import modules

        before = torch.get_default_dtype()
        torch.set_default_dtype(torch.float64)
        try:
            torch.manual_seed(seed)
            common = {
                "r_max": CUTOFF,
                "num_bessel": 4,
                "num_polynomial_cutoff": 5,
                "max_ell": 2,
                "interaction_cls": modules.interaction_classes["RealAgnosticResidualInteractionBlock"],
                "interaction_cls_first": modules.interaction_classes["RealAgnosticInteractionBlock"],
                "num_interactions": 2,
                "num_elements": len(SPECIES),
                "hidden_irreps": o3.Irreps("8x0e + 8x1o"),
                "MLP_irreps": o3.Irreps("4x0e"),
                "gate": torch.nn.functional.silu,
                "avg_num_neighbors": 8.0,
                "atomic_numbers": list(SPECIES),
                "correlation": 2,
                "radial_MLP": [8, 8],
            }
            energies = np.array([[-13.6, -432.0]] * len(heads))
            if kind == "MACE":
                own = {"atomic_energies": energies, "heads": list(heads)}
            elif kind == "ScaleShiftMACE":
                scales = [0.1] * len(heads) if len(heads) > 1 else 0.1
                shifts = [0.0] * len(heads) if len(heads) > 1 else 0.0
                own = {"atomic_energies": energies, "heads": list(heads)}
                own |= {"atomic_inter_scale": scales, "atomic_inter_shift": shifts}
            elif kind == "EnergyDipolesMACE":
                own = {"atomic_energies": energies[0], "MLP_irreps": o3.Irreps("4x0e + 4x1o")}
            elif kind == "AtomicDipolesMACE":
                own = {"atomic_energies": None, "MLP_irreps": o3.Irreps("4x1o")}
            else:
                irreps = o3.Irreps("8x0e + 8x1o + 8x2e")
                own = {"atomic_energies": None, "MLP_irreps": irreps, "hidden_irreps": irreps}
            module = getattr(modules, kind)(**{**common, **own})
            torch.save(module, path)
        finally:
            torch.set_default_dtype(before)
    return path
