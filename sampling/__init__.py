"""Free energies from biased runs: reweighting, umbrella windows, sums of hills.

Knows series and weights, not models and not the files of i-PI or PLUMED: collective variables come in any unit,
energies of biases in units of k_B T, profiles come out in eV, with standard errors.
"""

from .biased_series import BiasedSeries
from .committee_reweighting import CommitteeAverage, committee_average, two_committee_average
from .constant_pressure import PressureStep, pressure_step
from .errors import OutOfReachError, SamplingError
from .harmonic import harmonic_free_energy
from .hills import Hills, bias_of_hills, profile_of_hills, reweighting_of_hills
from .isotopes import IsotopeRatio, isotope_ratio, scaled_beads
from .mass_integration import (
    MassIntegration,
    centroid_virial_kinetic_energy,
    gauss_legendre_ratios,
    integrate_over_mass,
)
from .member_deviations import reduced_deviations
from .method import Method
from .multistate import Multistate, Window
from .profile import FreeEnergyProfile, free_energy_difference, series_profile, window_profile, write_profiles
from .profile_uncertainty import UncertainDifference, UncertainProfile, uncertain_difference, uncertain_profile
from .promotion import (
    AcceptanceRatio,
    Promotion,
    acceptance_ratio,
    integrated_autocorrelation_time,
    promote,
    standard_error_of_mean,
)
from .switching import (
    SwitchIntegration,
    SwitchMultistate,
    integrate_over_switch,
    multistate_over_switch,
    switch_nodes,
)

__all__ = [
    "AcceptanceRatio",
    "BiasedSeries",
    "CommitteeAverage",
    "FreeEnergyProfile",
    "Hills",
    "IsotopeRatio",
    "MassIntegration",
    "Method",
    "Multistate",
    "OutOfReachError",
    "PressureStep",
    "Promotion",
    "SamplingError",
    "SwitchIntegration",
    "SwitchMultistate",
    "UncertainDifference",
    "UncertainProfile",
    "Window",
    "acceptance_ratio",
    "bias_of_hills",
    "centroid_virial_kinetic_energy",
    "committee_average",
    "free_energy_difference",
    "gauss_legendre_ratios",
    "harmonic_free_energy",
    "integrate_over_mass",
    "integrate_over_switch",
    "integrated_autocorrelation_time",
    "isotope_ratio",
    "multistate_over_switch",
    "pressure_step",
    "profile_of_hills",
    "promote",
    "reduced_deviations",
    "reweighting_of_hills",
    "scaled_beads",
    "series_profile",
    "standard_error_of_mean",
    "switch_nodes",
    "two_committee_average",
    "uncertain_difference",
    "uncertain_profile",
    "window_profile",
    "write_profiles",
]
