"""Electrons in the density of states of a model: what they have, their forces, and their part of a model file."""
