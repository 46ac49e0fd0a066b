"""Flexible water molecules, and point charges, of a batch of beads: energies, forces and virials.

Arrays are flat, C-contiguous and owned by the caller; the interpreter lock is released while beads are evaluated.
Whatever does not fit what is documented raises a ValueError, or a TypeError where it has another type, which names the
argument, what was received and what is allowed.
`beadwise.potentials.qtip4pf` wraps this module; the headers give the formulas.
"""

from libcpp cimport bool as cbool

include "arguments.pxi"


cdef extern from "water.hpp" namespace "beadwise" nogil:
    int SCREENING_END "beadwise::ScreeningTable::END"

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

    void evaluate_water(const WaterTask& task, int threads) except +
    void evaluate_charges(const ChargeTask& task, int threads) except +


FAULTS = (None, "broken", "overlap", "flat")


cdef WaterLaw law_of(given, bint periodic) except *:
    """The law, if its numbers are finite and its pairs within a molecule are within the table of screened charges."""
    cdef WaterLaw law

    if not isinstance(given, dict):
        raise TypeError(f"law is a {type(given).__name__}; it must be a dict")

    def number(name, least=-math.inf):
        if name not in given:
            raise ValueError(f"law has no '{name}'")
        return finite(f"{name} of law", given[name], least)

    law.coulomb_constant = number("coulomb_constant")
    law.hydrogen_charge, law.site_weight = number("hydrogen_charge"), number("site_weight")
    law.bond_depth, law.bond_exponent, law.bond_length = map(number, ("bond_depth", "bond_exponent", "bond_length"))
    law.angle_stiffness, law.angle = number("angle_stiffness"), number("angle")
    law.well_depth, law.diameter, law.switch_width = map(number, ("well_depth", "diameter", "switch_width"))
    law.cutoff, law.splitting = number("cutoff", 0.0), number("splitting", 0.0)
    law.highest_wave, law.longest_bond = number("highest_wave", 0.0), number("longest_bond", 0.0)
    law.closest, law.lowest_cell = number("closest"), number("lowest_cell", 0.0)
    if periodic and (law.splitting == 0.0 or law.lowest_cell == 0.0):
        raise ValueError("splitting or lowest_cell of law is 0; both must be positive where it is periodic")
    widest = law.longest_bond * max(2.0, 1.0 + 2.0 * abs(law.site_weight))
    if (law.splitting * widest) ** 2 > SCREENING_END - 1:
        raise ValueError(f"splitting of law is {law.splitting} with a longest_bond of {law.longest_bond}; allowed are "
                         f"splittings up to {math.sqrt(SCREENING_END - 1) / widest}")
    return law


def flexible_water(law, positions, cells, periodic, energies, forces, virials, dipoles, threads):
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

    Raises
    ------
    ValueError, TypeError
        If an argument is not as described.
    """
    cdef WaterTask task
    cdef WaterFault fault
    cdef bint is_periodic = truth("periodic", periodic)
    cdef WaterLaw own = law_of(law, is_periodic)
    array_of("positions", positions, cnp.NPY_DOUBLE, ("beads", "3 * molecules", 3))
    beads, atoms, _ = positions.shape
    if atoms % 3:
        raise ValueError(f"positions has shape {positions.shape}; allowed is (beads, 3 * molecules, 3)")
    task.law = &own
    task.beads = beads
    task.molecules = atoms // 3
    task.periodic = is_periodic
    task.positions = read("positions", positions, (beads, atoms, 3))
    task.cells = read("cells", cells, (beads, 3, 3))
    task.energies = written("energies", energies, (beads,)) if energies is not None else NULL
    task.forces = written("forces", forces, (beads, atoms, 3))
    task.virials = written("virials", virials, (beads, 3, 3))
    task.dipoles = written("dipoles", dipoles, (beads, 3)) if dipoles is not None else NULL
    cdef int thread_count = whole("threads", threads, 1, THREAD_LIMIT)
    if beads == 0 or atoms == 0:
        return None
    task.fault = &fault
    with nogil:
        evaluate_water(task, thread_count)
    if FAULTS[fault.kind] is None:
        return None
    return FAULTS[fault.kind], fault.bead, fault.first, fault.second, fault.distance


def point_charges(charges, positions, cells, periodic, constant, splitting, cutoff, highest_wave, energies, forces,
                  virials, threads):
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

    Raises
    ------
    ValueError, TypeError
        If an argument is not as described, numbers are not finite, or a periodic cell spans no volume.
    """
    cdef ChargeTask task
    array_of("positions", positions, cnp.NPY_DOUBLE, ("beads", "charges", 3))
    beads, count, _ = positions.shape
    task.beads = beads
    task.count = count
    task.periodic = truth("periodic", periodic)
    task.constant = finite("constant", constant)
    task.splitting = finite("splitting", splitting, 0.0)
    task.cutoff = finite("cutoff", cutoff, 0.0)
    task.highest_wave = finite("highest_wave", highest_wave, 0.0)
    task.charges = read("charges", charges, (count,))
    task.positions = read("positions", positions, (beads, count, 3))
    task.cells = read("cells", cells, (beads, 3, 3))
    task.energies = written("energies", energies, (beads,))
    task.forces = written("forces", forces, (beads, count, 3))
    task.virials = written("virials", virials, (beads, 3, 3))
    if task.periodic != (task.splitting > 0.0):
        raise ValueError(f"splitting is {splitting}; it must be positive with a lattice, and 0 without one")
    for name, array in (("charges", charges), ("positions", positions), ("cells", cells)):
        if not np.isfinite(array).all():
            raise ValueError(f"{name} has numbers that are not finite")
    if task.periodic and not np.linalg.det(cells).all():
        raise ValueError("cells has one without volume")
    cdef int thread_count = whole("threads", threads, 1, THREAD_LIMIT)
    if beads == 0 or count == 0:
        return
    with nogil:
        evaluate_charges(task, thread_count)
