"""Constants of nature in SI units: exact ones of the SI of 2019, and CODATA 2022 for what is measured.

P. J. Mohr, D. B. Newell, B. N. Taylor and E. Tiesinga, Rev. Mod. Phys. 97, 025002 (2025); the numbers are those of
https://physics.nist.gov/constants.  SciPy has them, too, but takes a tenth of a second to import, which is a quarter of
what a server needs to be there.
"""

from __future__ import annotations

from math import pi

ELEMENTARY_CHARGE = 1.602176634e-19  # C, exact
AVOGADRO = 6.02214076e23  # 1/mol, exact
SPEED_OF_LIGHT = 299792458.0  # m/s, exact
CALORIE = 4.184  # J, the thermochemical one, exact
BAR, ATMOSPHERE = 1e5, 101325.0  # Pa, exact
ANGSTROM = 1e-10  # m
VACUUM_PERMITTIVITY = 8.8541878188e-12  # F/m
BOHR = 5.29177210544e-11  # m
HARTREE = 27.211386245981  # eV
COULOMB = ELEMENTARY_CHARGE / (4 * pi * VACUUM_PERMITTIVITY) / ANGSTROM  # e²/(4π ε0) in eV Å
