"""Time correlation functions and the spectra made from them: infrared, Raman, sum-frequency, density of states.

Knows time series, not models: series come in e·Å, Å³, Å and fs, spectra come out in cm⁻¹, with standard errors.
"""

from ..errors import SeriesError
from .conditions import Conditions
from .correlation import Correlation
from .errors import NotComputedError
from .estimates import Estimate, estimate, jackknife
from .spectrum import Column, Spectrum
from .window import Window, usual_length

__all__ = [
    "Column",
    "Conditions",
    "Correlation",
    "Estimate",
    "NotComputedError",
    "SeriesError",
    "Spectrum",
    "Window",
    "estimate",
    "jackknife",
    "usual_length",
]
