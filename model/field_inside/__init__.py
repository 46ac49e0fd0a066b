"""The field inside: local polarizabilities that see each other, and what they become in a cell, a slab, a cluster.

Every site i has a local polarizability a_i, which answers to the field that acts on it: that of the medium and that of
all other dipoles, of their images too.  Then ``p_i = a_i (E − Σ_j T_ij p_j)``, and the polarizability of all is
``α = Σ_ij [(a⁻¹ + T)⁻¹]_ij`` (Applequist, Carl, Fung, J. Am. Chem. Soc. 94, 2952 (1972)), with the dipole–dipole
interaction T of the periodic cell in a conductor.  Of one site in a cubic cell it is the formula of Clausius and
Mossotti.
"""

from .interaction import DipoleInteraction
from .response import FieldInside, undressed
from .undressing import local_of_symmetric

__all__ = ["DipoleInteraction", "FieldInside", "local_of_symmetric", "undressed"]
