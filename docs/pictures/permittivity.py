"""The permittivity of a liquid whose own is known: `python docs/pictures/permittivity.py`.

Writes permittivity.png beside this file: 5 ns of dipoles with the relaxation of water at 298 K, read as any series is.
The exact curves are added.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from beadwise.pictures import reference_style, write_png
from beadwise.spectra import Conditions
from beadwise.spectra.dielectric import Fluctuations
from beadwise.spectra.dielectric.plot import draw_permittivity
from beadwise.spectra.dielectric.spectrum import dielectric_spectrum, lags_for
from beadwise.spectra.units import angular_frequency
from scipy.signal import lfilter

HERE = Path(__file__).parent
STATIC, OPTICAL, RELAXATION = 78.4, 1.78, 8300.0  # of water at 298 K; fs
TEMPERATURE, VOLUME, TIMESTEP, SAMPLES = 298.0, 1914.0, 25.0, 200_000  # 64 molecules
UNIT = 4 * np.pi * 14.3996454784 / (VOLUME * 8.617333262e-5 * TEMPERATURE)  # of a variance of 1 (e·Å)²


def main() -> None:
    kept = np.exp(-TIMESTEP / RELAXATION)
    noise = np.random.default_rng(1).normal(size=(SAMPLES + 20_000, 3))
    dipole = lfilter([np.sqrt((1 - kept**2) * (STATIC - OPTICAL) / UNIT)], [1, -kept], noise, axis=0)[20_000:]
    one = Fluctuations(TIMESTEP, lags_for(SAMPLES * TIMESTEP, TIMESTEP), VOLUME)
    one.add({"dipole": dipole})
    conditions = Conditions(TIMESTEP, TEMPERATURE, VOLUME, "a Debye liquid")
    spectrum, _ = dielectric_spectrum([one], conditions, optical_permittivity=OPTICAL)
    figure = draw_permittivity(spectrum, one.polarizations)
    grid = spectrum.wavenumber[1:]
    exact = OPTICAL + (STATIC - OPTICAL) / (1 - 1j * angular_frequency(grid) * RELAXATION)
    for values in (exact.real, exact.imag):
        figure.axes[0].plot(grid, values, **reference_style())
    write_png(figure, HERE / "permittivity.png")
    print("\n".join(f"{name}: {note}" for name, note in spectrum.notes.items()))


if __name__ == "__main__":
    main()
