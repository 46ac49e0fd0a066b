"""Free energies of harmonic oscillators: quantum, classical, and of ring polymers with P beads.

With x = βħω of each mode they are kT Σ ln(2 sinh(x/2)), kT Σ ln x, and for P beads kT Σ ln(2 sinh(P arsinh(x/2P))),
which is the closed form of kT Σ_i Σ_k ln((βħ/P) √(ω_k² + ω_i²)) over the modes ω_k = (2P/βħ) sin(kπ/P) of the ring
(K. S. Schweizer, R. M. Stratt, D. Chandler, P. G. Wolynes, J. Chem. Phys. 75, 1347 (1981)).  One bead is the classical
oscillator, and infinitely many are the quantum one.
"""

from __future__ import annotations

import numpy as np
from ase.units import kB

from .errors import SamplingError


def harmonic_free_energy(quanta: np.ndarray, temperature: float, beads: float = np.inf) -> float:
    """Free energy of harmonic oscillators in eV.

    Parameters
    ----------
    quanta : ndarray of float64, shape (modes,)
        ħω of each mode in eV, above 0.
    temperature : float
        In K.
    beads : int, optional
        P of the ring polymers; 1 for classical nuclei, and by default infinitely many, which is quantum mechanics.

    Raises
    ------
    SamplingError
        If a mode, the temperature or the number of beads is not positive.
    """
    quanta = np.asarray(quanta, dtype=np.float64)
    if not (np.isfinite(temperature) and temperature > 0):
        raise SamplingError(f"the temperature is {temperature} K; it must be positive")
    if not (quanta > 0).all() or not np.isfinite(quanta).all():
        raise SamplingError(f"the lowest mode is {quanta.min():.3g} eV; all must be finite and above 0")
    if not np.isinf(beads) and (beads < 1 or beads != int(beads)):
        raise SamplingError(f"{beads} beads; a whole number, at least 1, is needed")
    reduced = quanta / (kB * temperature)
    exponents = reduced / 2 if np.isinf(beads) else beads * np.arcsinh(reduced / (2 * beads))
    return float(kB * temperature * (exponents + np.log(-np.expm1(-2 * exponents))).sum())
