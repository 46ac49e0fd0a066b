"""Charges of atoms, and what drives them: scalars of every atom.

A partial charge is what a partition of the electron density gives an atom, as Hirshfeld's (Theor. Chim. Acta 44, 129
(1977)) does, or what a model needs for its dipoles and fields; no experiment measures it.  The electronegativity is the
χ of charge equilibration and of transfers along bonds: electrons flow to where it is high, so that charge there becomes
negative; see `beadwise.model.charges`.
"""

from __future__ import annotations

from ..quantity import Quantity, Unit
from .forms import SCALAR

QUANTITY = Quantity(
    name="partial_charges",
    form=SCALAR,
    unit=Unit(charge=1),
    per="atom",
    aliases=("charges", "partial_charge", "hirshfeld_charges", "hirshfeld", "atomic_charges"),
)
ELECTRONEGATIVITY = Quantity(name="electronegativity", form=SCALAR, unit=Unit(charge=-1, energy=1), per="atom")
