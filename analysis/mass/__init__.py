"""Thermodynamic integration over the mass, from i-PI's runs of scaled masses."""
