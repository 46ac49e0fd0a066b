"""``harmonic:k=K``: atoms in a harmonic trap, k in eV/Å²."""

from ..baselines import Harmonic
from .parameters import with_numbers

PROVIDER = with_numbers("harmonic", lambda threads, parameters: Harmonic(**parameters), needed=("k",))
