"""What can be asked for."""

from __future__ import annotations

ORDINARY_PROPERTIES = (
    "energy",
    "forces",
    "virial",
    "dipole",
    "polarizability",
    "born_charges",
    "polarizability_derivatives",
    "molecular_dipole",
    "molecular_polarizability",
    "molecular_position",
)
# values of every member of a committee, and the ordinary property that each is of
COMMITTEE_PROPERTIES = {
    "committee_energy": "energy",
    "committee_forces": "forces",
    "committee_virial": "virial",
    "committee_dipole": "dipole",
    "committee_polarizability": "polarizability",
}
# what is made of the values of all members, and of which ordinary property
OF_MEMBERS = {**COMMITTEE_PROPERTIES, "energy_uncertainty": "energy", "forces_uncertainty": "forces"}
# how sure a committee is, and how far a structure is from those of the training
UNCERTAINTIES = ("energy_uncertainty", "forces_uncertainty", "envelope_distance")
WEIGHT = "correction_weight"  # of a correction whose baseline takes over where a committee is unsure
PROPERTIES = (*ORDINARY_PROPERTIES, *COMMITTEE_PROPERTIES, *UNCERTAINTIES, WEIGHT)
ALWAYS_SENT = ("energy", "forces", "virial")
KEYS = {
    "dipole": "dipole",
    "polarizability": "polarizability",
    "born_charges": "BEC",
    "polarizability_derivatives": "polarizability_derivatives",
    "molecular_dipole": "molecular_dipole",
    "molecular_polarizability": "molecular_polarizability",
    "molecular_position": "molecular_position",
    "committee_energy": "committee_pot",
    "committee_forces": "committee_force",
    "committee_virial": "committee_virial",
    # an <ffcommittee> puts committee_ before every key that it does not know, so that these begin otherwise
    "committee_dipole": "member_dipoles",
    "committee_polarizability": "member_polarizabilities",
    **{name: name for name in UNCERTAINTIES},
    WEIGHT: WEIGHT,
}
ORDERS = {"energy": 0, "dipole": 1, "polarizability_isotropic": 0, "polarizability_anisotropic": 2}
