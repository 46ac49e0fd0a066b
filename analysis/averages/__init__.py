"""Averages of whatever a model was asked for, over beads, time and equivalent nuclei."""
