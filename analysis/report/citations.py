"""What to cite of a run: the programs, the dynamics, the spectra, the model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...runs.input.run_input import RunInput

ALWAYS = (
    "beadwise: The beadwise developers, https://github.com/beadwise/beadwise.",
    "i-PI: Y. Litman et al., J. Chem. Phys. 161, 062504 (2024), doi:10.1063/5.0215869.",
)
OF_DYNAMICS = {  # by a word in its name
    "TRPMD": "TRPMD: M. Rossi, M. Ceriotti, D. E. Manolopoulos, J. Chem. Phys. 140, 234116 (2014).",
    "RPMD": "RPMD: I. R. Craig, D. E. Manolopoulos, J. Chem. Phys. 121, 3368 (2004).",
}
CAYLEY = "Cayley propagator: R. Korol, N. Bou-Rabee, T. F. Miller III, J. Chem. Phys. 151, 124103 (2019)."
PLUMED = "PLUMED: G. A. Tribello et al., Comput. Phys. Commun. 185, 604 (2014)."
INFRARED = "Infrared spectrum: S. Habershon, G. S. Fanourgakis, D. E. Manolopoulos, J. Chem. Phys. 129, 074501 (2008)."
OF_WATER = (
    "Model of water, energies: C. Schran, K. Brezina, O. Marsalek, J. Chem. Phys. 153, 104105 (2020).",
    "Model of water, dipoles and polarizabilities: A. Grisafi et al., Phys. Rev. Lett. 120, 036002 (2018).",
)
UNKNOWN_MODEL = "The source of the model, which the files of the run do not name."


def citations_of(run: RunInput, content: Mapping[str, Any]) -> list[str]:
    """Lines of what to cite."""
    found = list(ALWAYS)
    dynamics = content["run"]["dynamics"].split()
    found += [line for name, line in OF_DYNAMICS.items() if name in dynamics][:1]
    if any(one.get("propagator") == "cayley" for one in run.root.iter("normal_modes")):
        found.append(CAYLEY)
    if next(run.root.iter("ffplumed"), None) is not None:
        found.append(PLUMED)
    if any(one["kind"] == "ir" for one in content["spectra"]):
        found.append(INFRARED)
    models = set(content["run"]["models"].values())
    if any(model.startswith("water") for model in models):
        found += OF_WATER
    others = sorted(model for model in models if not model.startswith("water"))
    found += [f"The source of the model {model}." for model in others]
    return found if models else [*found, UNKNOWN_MODEL]
