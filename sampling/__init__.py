"""Free energies from biased runs: reweighting, umbrella windows, sums of hills.

Knows series and weights, not models and not the files of i-PI or PLUMED: collective variables come in any unit,
energies of biases in units of k_B T, profiles come out in eV, with standard errors.
"""

from .biased_series import BiasedSeries
from .errors import SamplingError
from .hills import Hills, bias_of_hills, profile_of_hills, reweighting_of_hills
from .multistate import Multistate, Window
from .profile import FreeEnergyProfile, free_energy_difference, series_profile, window_profile, write_profiles

__all__ = [
    "BiasedSeries",
    "FreeEnergyProfile",
    "Hills",
    "Multistate",
    "SamplingError",
    "Window",
    "bias_of_hills",
    "free_energy_difference",
    "profile_of_hills",
    "reweighting_of_hills",
    "series_profile",
    "window_profile",
    "write_profiles",
]
