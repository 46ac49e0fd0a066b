"""The part of a model's energy that is made of long-range potentials."""

from .energy import LongRangeEnergy

__all__ = ["LongRangeEnergy"]
