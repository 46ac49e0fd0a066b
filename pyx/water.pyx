"""Flexible water molecules, and point charges, of a batch of beads: energies, forces and virials.

Arrays are flat, C-contiguous and owned by the caller; the interpreter lock is released while beads are evaluated.
`beadwise.potentials.qtip4pf` wraps this module; the headers give the formulas.
"""

from libcpp cimport bool as cbool


cdef extern from "water.hpp" namespace "beadwise" nogil:
    cdef cppclass WaterLaw:
        double coulomb_constant, hydrogen_charge, site_weight, bond_depth, bond_exponent, bond_length
        double angle_stiffness, angle, well_depth, diameter, switch_width, cutoff, splitting, highest_wave
        double longest_bond, closest, lowest_cell

    cdef cppclass WaterFault:
        int bead, first, second
        double distance
        int kind

    cdef cppclass WaterTask:
        const WaterLaw* law
        int beads, molecules
        cbool periodic
        const double* positions
        const double* cells
        double* energies
        double* forces
        double* virials
        double* dipoles
        WaterFault* fault

    cdef cppclass ChargeTask:
        int beads, count
        cbool periodic
        double constant, splitting, cutoff, highest_wave
        const double* charges
        const double* positions
        const double* cells
        double* energies
        double* forces
        double* virials

    void evaluate_water(const WaterTask& task, int threads)
    void evaluate_charges(const ChargeTask& task, int threads)


FAULTS = (None, "broken", "overlap", "flat")


def flexible_water(dict law, const double[:, :, ::1] positions, const double[:, :, ::1] cells, bint periodic,
                   double[::1] energies, double[:, :, ::1] forces, double[:, :, ::1] virials,
                   double[:, ::1] dipoles, int threads):
    """Evaluate water molecules.

    Parameters
    ----------
    law : dict of str to float
        The numbers of `WaterLaw` in water.hpp, which says what they mean, in eV, Å, e and radian.
    positions : ndarray of float64, shape (beads, 3 * molecules, 3)
        In Å, O, H, H molecule by molecule; atoms need not be wrapped into the cell in the same way.
    cells : ndarray of float64, shape (beads, 3, 3)
        Lattice vectors in Å, one per row; ignored if not periodic.
    periodic : bool
        Whether all three directions are periodic, or none.
    energies : ndarray of float64, shape (beads,), or None, written
        In eV.  With None neither energies nor forces nor virials are evaluated.
    forces : ndarray of float64, shape (beads, 3 * molecules, 3), added to
        In eV/Å.
    virials : ndarray of float64, shape (beads, 3, 3), added to
        The negative derivative of the energy with respect to strain, in eV.
    dipoles : ndarray of float64, shape (beads, 3), or None, added to
        In e·Å.
    threads : int

    Returns
    -------
    None, or (kind, bead, first, second, distance in Å)
        What kept a bead from being evaluated: "broken" with the atoms O and H that are too far apart, "overlap" with
        two charges that are too close, counted in the order M, H, H, or "flat" with the distance of a cell's faces.
    """
    cdef WaterLaw own
    cdef WaterTask task
    cdef WaterFault fault
    if positions.shape[0] == 0 or positions.shape[1] == 0:
        return None
    own.coulomb_constant = law["coulomb_constant"]
    own.hydrogen_charge, own.site_weight = law["hydrogen_charge"], law["site_weight"]
    own.bond_depth, own.bond_exponent, own.bond_length = law["bond_depth"], law["bond_exponent"], law["bond_length"]
    own.angle_stiffness, own.angle = law["angle_stiffness"], law["angle"]
    own.well_depth, own.diameter, own.switch_width = law["well_depth"], law["diameter"], law["switch_width"]
    own.cutoff, own.splitting, own.highest_wave = law["cutoff"], law["splitting"], law["highest_wave"]
    own.longest_bond, own.closest, own.lowest_cell = law["longest_bond"], law["closest"], law["lowest_cell"]
    task.law = &own
    task.beads = positions.shape[0]
    task.molecules = positions.shape[1] // 3
    task.periodic = periodic
    task.positions = &positions[0, 0, 0]
    task.cells = &cells[0, 0, 0]
    task.energies = &energies[0] if energies is not None else NULL
    task.forces = &forces[0, 0, 0] if energies is not None else NULL
    task.virials = &virials[0, 0, 0] if energies is not None else NULL
    task.dipoles = &dipoles[0, 0] if dipoles is not None else NULL
    task.fault = &fault
    with nogil:
        evaluate_water(task, threads)
    if FAULTS[fault.kind] is None:
        return None
    return FAULTS[fault.kind], fault.bead, fault.first, fault.second, fault.distance


def point_charges(const double[::1] charges, const double[:, :, ::1] positions, const double[:, :, ::1] cells,
                  bint periodic, double constant, double splitting, double cutoff, double highest_wave,
                  double[::1] energies, double[:, :, ::1] forces, double[:, :, ::1] virials, int threads):
    """Coulomb energy of point charges whose sum is zero, by the code that serves the charges of water.

    Parameters
    ----------
    charges : ndarray of float64, shape (charges,)
        In e.
    positions, cells : ndarray of float64, shapes (beads, charges, 3), (beads, 3, 3)
        In Å.
    periodic : bool
        Whether all three directions are periodic (Ewald's sum), or none (the plain sum; the splitting must be 0).
    constant : float
        Energy of two unit charges at unit distance.
    splitting, cutoff, highest_wave : float
        Of Ewald's sum: α in 1/Å, the largest distance in Å and the largest wave vector in 1/Å.
    energies, forces, virials : ndarray of float64, shapes (beads,), (beads, charges, 3), (beads, 3, 3), written
    threads : int
    """
    cdef ChargeTask task
    if positions.shape[0] == 0 or positions.shape[1] == 0:
        return
    task.beads = positions.shape[0]
    task.count = positions.shape[1]
    task.periodic = periodic
    task.constant = constant
    task.splitting = splitting
    task.cutoff = cutoff
    task.highest_wave = highest_wave
    task.charges = &charges[0]
    task.positions = &positions[0, 0, 0]
    task.cells = &cells[0, 0, 0]
    task.energies = &energies[0]
    task.forces = &forces[0, 0, 0]
    task.virials = &virials[0, 0, 0]
    with nogil:
        evaluate_charges(task, threads)
