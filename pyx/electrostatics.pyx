"""Charges and dipoles, with widths or damped, in a lattice or without: potentials, fields, strains, and induced dipoles.

Arrays are flat, C-contiguous and owned by the caller; the interpreter lock is released while beads are evaluated.
Whatever does not fit what is documented raises a ValueError, or a TypeError where it has another type, which names the
argument, what was received and what is allowed.  `beadwise.potentials.electrostatics` wraps this module; the headers
give the formulas.
"""

from libcpp cimport bool as cbool

include "arguments.pxi"


cdef extern from "electrostatics.hpp" namespace "beadwise" nogil:
    int DERIVATIVES "beadwise::DERIVATIVES"

    cdef cppclass Collision:
        int bead, first, second
        double distance

    cdef cppclass Cut:
        double splitting, reach, highest
        int[3] mesh
        int order

    cdef cppclass MomentTask:
        int beads, sites, columns
        cbool[3] periodic
        Cut cut
        double damping, closest
        const double* widths
        const double* positions
        const double* cells
        const double* charges
        const double* dipoles
        cbool wants_second
        int pairs
        const int32_t* left
        const int32_t* right
        double* potentials
        double* strains
        Collision* collision

    cdef cppclass InductionTask:
        MomentTask interaction
        int most_steps
        const double* tolerances
        const double* local
        const double* right
        double* found
        double* rest
        int32_t* steps

    void evaluate_moments(const MomentTask& task, int threads) except +
    void solve_induction(const InductionTask& task, int threads) except +


HIGHEST_ORDER = 10  # of the B-splines
MOST_POINTS = 2**10  # of the mesh, along a direction
MOST_COLUMNS = 4  # that are solved together
PLACES = ("phi", "x", "y", "z", "xx", "yy", "zz", "yz", "xz", "xy")  # of the derivatives


cdef Cut cut_of(given) except *:
    """How sums are cut, if the numbers are of use."""
    cdef Cut cut
    cdef int axis
    if not isinstance(given, dict):
        raise TypeError(f"cut is a {type(given).__name__}; it must be a dict")
    cut.splitting, cut.reach = finite("splitting", given["splitting"], 0.0), finite("reach", given["reach"], 0.0)
    cut.highest = finite("highest", given["highest"], 0.0)
    cut.order = whole("order", given["order"], 0, HIGHEST_ORDER)
    if cut.order and (cut.order < 4 or cut.order % 2):
        raise ValueError(f"order is {cut.order}; allowed are 0 for no mesh, 4, 6, 8 and 10")
    for axis in range(3):
        cut.mesh[axis] = whole("mesh", given["mesh"][axis], cut.order, MOST_POINTS)
    if cut.splitting > 0.0 and cut.reach == 0.0:
        raise ValueError("reach is 0; it must be positive where there is a splitting")
    return cut


cdef int fill_places(MomentTask* task, positions, cells, periodic, widths, cut, damping, closest) except -1:
    """Sites, lattices and how they act."""
    cdef int axis
    array_of("positions", positions, cnp.NPY_DOUBLE, ("beads", "sites", 3))
    task.beads, task.sites = positions.shape[0], positions.shape[1]
    task.positions = read("positions", positions, (task.beads, task.sites, 3))
    task.cells = read("cells", cells, (task.beads, 3, 3))
    task.widths = read("widths", widths, (task.sites,)) if widths is not None else NULL
    task.cut = cut_of(cut)
    task.damping, task.closest = finite("damping", damping, 0.0), finite("closest", closest, 0.0)
    for axis, is_periodic in enumerate(truths("periodic", periodic, 3)):
        task.periodic[axis] = is_periodic
        if is_periodic and task.cut.splitting == 0.0:
            raise ValueError("splitting is 0; it must be positive where a direction is periodic")
    for name, array in (("positions", positions), ("cells", cells), ("widths", widths)):
        if array is not None and not np.isfinite(array).all():
            raise ValueError(f"{name} has numbers that are not finite")
    if task.cut.splitting > 0.0 and not np.linalg.det(cells).all():
        raise ValueError("cells has one without volume")
    return 0


cdef tuple collision_of(Collision* found):
    return None if found.bead < 0 else (found.bead, found.first, found.second, found.distance)


def potentials_of_moments(positions, cells, periodic, charges, dipoles, widths, cut, damping, closest, second, pairs,
                          threads):
    """Potentials of charges and dipoles, their derivatives, and what strain does.

    Parameters
    ----------
    positions : ndarray of float64, shape (beads, sites, 3)
        In Å; they need not be wrapped into the cell.
    cells : ndarray of float64, shape (beads, 3, 3)
        Vectors of the waves in Å, one per row; one may span a vacuum and not be periodic.
    periodic : sequence of 3 bool
        In which directions pairs have images.
    charges : ndarray of float64, shape (beads, columns, sites), or None
        In e.
    dipoles : ndarray of float64, shape (beads, columns, sites, 3), or None
        In e·Å.
    widths : ndarray of float64, shape (sites,), or None
        Of Gaussian sites, in Å; 0 is a point.
    cut : dict
        The numbers of `Cut` in electrostatics.hpp.
    damping : float
        Of dipoles with dipoles, in Å; 0 for none.
    closest : float
        In Å: two sites may not be nearer to each other.
    second : bool
        Whether second derivatives are wanted.
    pairs : sequence of (int, int)
        Columns whose interaction is differentiated by strain.
    threads : int

    Returns
    -------
    potentials : ndarray of float64, shape (beads, columns, sites, 10)
        φ in e/Å, and its derivatives by x, y, z, xx, yy, zz, yz, xz, xy.
    strains : ndarray of float64, shape (beads, pairs, 3, 3)
        ∂/∂ε_ab of Σ_i (q_i + p_i·∇) φ_i, the moments being those of the first and φ that of the second column, at
        constant moments.
    collision : None, or (bead, first, second, distance in Å)
        Two sites that are too near to each other; the numbers are then of no use.

    Raises
    ------
    ValueError, TypeError
        If an argument is not as described, numbers are not finite, or a cell with waves spans no volume.
    """
    cdef MomentTask task
    cdef Collision collision
    fill_places(&task, positions, cells, periodic, widths, cut, damping, closest)
    if charges is None and dipoles is None:
        raise ValueError("charges and dipoles are None; one of them is needed")
    if damping and charges is not None:
        raise ValueError(f"damping is {damping} with charges; it is for dipoles alone")
    columns = (charges if charges is not None else dipoles).shape[1]
    task.columns = columns
    task.charges = read("charges", charges, (task.beads, columns, task.sites)) if charges is not None else NULL
    task.dipoles = read("dipoles", dipoles, (task.beads, columns, task.sites, 3)) if dipoles is not None else NULL
    task.wants_second = truth("second", second)
    sides = np.ascontiguousarray(np.array(pairs, dtype=np.int32).reshape(-1, 2).T)
    left, right = np.ascontiguousarray(sides[0]), np.ascontiguousarray(sides[1])
    task.pairs = len(left)
    task.left = indices("pairs", left, (task.pairs,), columns)
    task.right = indices("pairs", right, (task.pairs,), columns)
    if task.pairs and dipoles is not None and not second:
        raise ValueError("second is False with pairs of dipoles; their strain needs second derivatives")
    potentials = np.zeros((task.beads, columns, task.sites, DERIVATIVES))
    strains = np.zeros((task.beads, task.pairs, 3, 3))
    task.potentials = written("potentials", potentials, potentials.shape)
    task.strains = written("strains", strains, strains.shape)
    task.collision = &collision
    cdef int thread_count = whole("threads", threads, 1, THREAD_LIMIT)
    if task.beads and task.sites:
        with nogil:
            evaluate_moments(task, thread_count)
    return potentials, strains, collision_of(&collision)


def induced_dipoles(positions, cells, periodic, widths, cut, damping, closest, local, right, tolerances, most_steps,
                    threads):
    """Solve (a⁻¹ + T) x = b: dipoles of local polarizabilities that see each other.

    Parameters
    ----------
    positions, cells, periodic, widths, cut, damping, closest, threads
        As in `potentials_of_moments`.
    local : ndarray of float64, shape (beads, sites, 3, 3)
        a in Å³, symmetric and positive definite.
    right : ndarray of float64, shape (beads, columns, sites, 3)
        b; at most four columns.
    tolerances : ndarray of float64, shape (columns,)
        Of what is left of b, relative, both measured with a.  The waves of the last columns are left out once these
        have come to their end.
    most_steps : int

    Returns
    -------
    found : ndarray of float64, shape of right
    rest : ndarray of float64, shape of right
        b − (a⁻¹ + T) x, what is left.
    steps : ndarray of int32, shape (beads,)
        What the solution took; −1 where a⁻¹ + T is not positive or there is no end.
    collision : None, or (bead, first, second, distance in Å)

    Raises
    ------
    ValueError, TypeError
        As `potentials_of_moments`.
    """
    cdef InductionTask task
    cdef Collision collision
    fill_places(&task.interaction, positions, cells, periodic, widths, cut, damping, closest)
    beads, sites, columns = task.interaction.beads, task.interaction.sites, right.shape[1]
    if not 1 <= columns <= MOST_COLUMNS:
        raise ValueError(f"right has {columns} columns; allowed are 1 to {MOST_COLUMNS}")
    task.interaction.columns = columns
    task.interaction.charges = task.interaction.dipoles = NULL
    task.interaction.pairs = 0
    task.interaction.wants_second = False
    task.interaction.collision = &collision
    task.local = read("local", local, (beads, sites, 3, 3))
    task.right = read("right", right, (beads, columns, sites, 3))
    found, rest, steps = np.zeros(right.shape), np.zeros(right.shape), np.zeros(beads, dtype=np.int32)
    cdef int32_t[::1] steps_view = steps
    task.found, task.rest = written("found", found, right.shape), written("rest", rest, right.shape)
    if beads:
        task.steps = &steps_view[0]
    task.tolerances = read("tolerances", tolerances, (columns,))
    task.most_steps = whole("most_steps", most_steps, 0, 10**6)
    cdef int thread_count = whole("threads", threads, 1, THREAD_LIMIT)
    if beads and sites:
        with nogil:
            solve_induction(task, thread_count)
    return found, rest, steps, collision_of(&collision)
