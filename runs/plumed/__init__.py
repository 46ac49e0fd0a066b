"""PLUMED's input and output in a run of i-PI."""
