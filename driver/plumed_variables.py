"""The variables that a model gives PLUMED, under the name by which users' own variables import them."""

from .doors.plumed_variables import Action, CommitteeSpread, DipoleAlong, ModelVariable, PlumedVariableError

__all__ = ["Action", "CommitteeSpread", "DipoleAlong", "ModelVariable", "PlumedVariableError"]
