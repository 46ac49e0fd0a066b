"""Charges of atoms that a model gives: plain ones, transfers along bonds, and charge equilibration; and their energy.

All three are linear in what a head says of each atom, so that whatever is made of charges is differentiated by one
more solution at most, and one sweep of the kernel.
"""
