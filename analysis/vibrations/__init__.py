"""Vibrations without dynamics: minimum, Hessian, harmonic frequencies and their infrared and Raman intensities."""
