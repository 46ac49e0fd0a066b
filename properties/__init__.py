"""What is read from the same density as the energy: dipole and polarizability."""
