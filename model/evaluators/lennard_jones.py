"""``lennard-jones:epsilon=E,sigma=S[,cutoff=C]``: Lennard-Jones atoms, in eV and Å, isolated without a cutoff."""

from ..baselines import LennardJones
from .parameters import with_numbers

PROVIDER = with_numbers(
    "lennard-jones",
    lambda threads, parameters: LennardJones(**parameters),
    needed=("epsilon", "sigma"),
    optional=("cutoff",),
)
