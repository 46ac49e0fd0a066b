"""Series of the members of committees, and the spectra that are made of them."""

import numpy as np
from beadwise.spectra import Conditions, Window
from beadwise.spectra.recording import make_recorder, spectrum_of

TEMPERATURE = 300.0
CONDITIONS = Conditions(1.0, TEMPERATURE, 1000.0)
WINDOW = Window("hann", 60.0)
NOTE = "members of the potential"
FACTORS = 1 + np.array([-0.1, 0.02, 0.05, 0.11, -0.06])


def smooth(samples, *shape, seed=0):
    noise = np.random.default_rng(seed).normal(size=(samples + 6, *shape))
    return sum(noise[k : samples + k] for k in range(6))


def tensors(samples, seed=0):
    half = smooth(samples, 3, 3, seed=seed)
    return 9 * np.eye(3) + half + np.swapaxes(half, 1, 2)


def members_of(series, factors=FACTORS):
    return np.stack([factor * series for factor in factors], axis=1)


def spectrum_from(kind, *trajectories, window=WINDOW):
    recorders = []
    for samples in trajectories:
        recorders.append(make_recorder(kind, 1.0, window))
        recorders[-1].add(samples)
    return spectrum_of(recorders, CONDITIONS, window, optical_permittivity=1.77)


SERIES = {
    "ir": lambda seed=0: {"dipole": smooth(2000, 3, seed=seed), "committee_dipole": smooth(2000, 3, 3, seed=seed + 1)},
    "raman": lambda seed=0: {
        "polarizability": tensors(2000, seed),
        "committee_polarizability": np.stack([tensors(2000, seed + k) for k in (1, 2)], axis=1),
    },
}
