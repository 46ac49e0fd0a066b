"""The compiled kernel: density, heads and gradients of a batch of beads in one call.

Arrays are flat, C-contiguous and owned by the caller; the interpreter lock is released while atoms are evaluated.
Whatever does not fit what is documented raises a ValueError, or a TypeError where it has another type, which names the
argument, what was received and what is allowed.  `beadwise.model` wraps this module; its docstrings there give the
formulas.
"""

import threading

import numpy as np

from libc.limits cimport INT_MAX

include "arguments.pxi"
include "core.pxi"
include "heads.pxi"
include "equivariant.pxi"
include "structures.pxi"


MANY_SCALARS = 3  # forming the invariants costs as much as one scalar does without them


def limits():
    """Highest angular momentum and most radial functions per species that are compiled in."""
    return {"l_max": L_LIMIT, "radial": RADIAL_LIMIT}


def instruction_set():
    """Name of the instruction set in use on this machine."""
    return "avx2" if use_avx2() else "generic"


def has_threads():
    """Whether it was compiled with OpenMP; without it, an evaluation has one thread, whatever is asked for."""
    return HAS_THREADS


def has_single():
    """Whether single precision is compiled in for this processor."""
    return single_is_known()


cdef class Kernel:
    """Tables and heads of one model, with the neighbour lists of the beads it has seen.

    Parameters
    ----------
    table : ndarray of float64, shape (species, species, nodes, 2, radial)
        Radial functions of every (centre, neighbour) pair at equally spaced nodes on [0, cutoff]: value, and
        derivative times the spacing.  The last node is zero; ``radial`` is a multiple of 4, at most 16.
    pair_table : ndarray of float64, shape (species, species, nodes, 2)
        Pair potential in eV on the same nodes.
    pair_cutoff : ndarray of float64, shape (species, species)
        Distance in Å beyond which a pair potential is not evaluated.
    l_max : int
        Highest angular momentum, at most 6.
    cutoff, skin : float
        In Å.
    groups : ndarray of int32, shape (species,)
        Group of neighbours to whose channels each species adds, 0, 1, …
    heads : list of tuple (lambda, offset, linear, blocks)
        ``offset`` (species,), ``linear`` (species, channels), ``blocks`` a list of (l1, l2, symmetric, coupling,
        weights) with ``coupling`` (2 l1+1, 2 l2+1, 2 lambda+1) and ``weights`` (species, channels, channels).  A block
        is symmetric if both are, the coupling in (m1, m2); lambda is at most 6 and at most l_max.
    network : tuple (skip, layers, final), optional
        Adds to the first head.  ``skip`` (species, features), ``layers`` a list of (weights, bias) of shapes (species,
        inputs, outputs) and (species, outputs), ``final`` (species, outputs of the last layer); features, inputs and
        outputs are padded with zeros to multiples of 8.
    equivariant : tuple (layers, message), optional
        Adds to the heads that it reads out, in place of a network.  ``layers`` a list of one tuple (contraction, three,
        mixing, four, hidden, scalars, tensors), or of two with a message.  Channels K and widths are multiples of 8.
        ``contraction`` (species, l, channels of the density, K), ``mixing`` (species, l, K, K) from three-body products
        to those that are used; ``three`` and ``four`` lists of (l1, l2, order, coupling, weights) with ``coupling``
        (2 l1+1, 2 l2+1, 2 order+1), used as it is, and ``weights`` (species, K), of A with A and of B with A;
        ``hidden`` a list of (weights, bias) as in ``network``, of the K (1 + 3 l) invariants A_00, A·A, B·A, B·B;
        ``scalars`` a list of (head, skip (species, invariants), final (species, width)); ``tensors`` a list of (head,
        linear (species, 3 K), gate (species, width, 3 K)) for A, B and Q of the head's lambda.  ``message`` None or
        (radial, send, paths), S channels: ``radial`` (species, species of the neighbour, l, radial, S); ``send`` for
        every order L from 0 (linear (species, 3 K, S), bias (species, S), gate (species, width, S)), ``linear`` None for
        order 0; ``paths`` of (l of the harmonics, L of what is sent, order, coupling, weights (species, S)).  The inputs
        of the second layer are the S channels that are heard, then the K of the first layer.
    single : bool
        Whether `evaluate` computes in single precision; forces, virial and values of atoms are added up in double
        precision, in which everything else stays.  There must be no equivariant network, and 8 or 16 radial functions.

    Raises
    ------
    ValueError, TypeError
        If an argument is not as described.
    """

    cdef Basis basis
    cdef vector[Head] heads
    cdef Network network
    cdef Equivariant equivariant
    cdef cbool with_network, with_equivariant
    cdef int outputs  # components of all heads together
    cdef NeighbourPool* pool
    cdef SingleModel* single  # NULL in double precision
    cdef Scratch scratch
    cdef list owned
    cdef object lock  # the neighbour lists change during an evaluation, and must outlive it

    def __cinit__(self, table, pair_table, pair_cutoff, l_max, cutoff, skin, groups, heads, network=None,
                  equivariant=None, single=False):
        cdef cnp.ndarray nodes = array_of("table", table, cnp.NPY_DOUBLE, ("species", "species", "nodes", 2, "radial"))
        kinds, count, radial = nodes.shape[0], nodes.shape[2], nodes.shape[4]
        if radial % 4 or not 4 <= radial <= RADIAL_LIMIT or kinds < 1 or count < 2:
            raise ValueError(f"table has shape {table.shape}; allowed are at least 1 species, at least 2 nodes and "
                             f"radial functions in multiples of 4 up to {RADIAL_LIMIT}")
        self.lock = threading.Lock()
        self.basis.species = kinds
        self.basis.radial = radial
        self.basis.l_max = whole("l_max", l_max, 0, L_LIMIT)
        self.basis.cutoff = finite("cutoff", cutoff, 0.0)
        if self.basis.cutoff == 0.0:
            raise ValueError("cutoff is 0; it must be positive")
        self.basis.intervals = count - 1
        self.basis.table = read("table", table, (kinds, kinds, count, 2, radial))
        self.basis.pair_table = read("pair_table", pair_table, (kinds, kinds, count, 2))
        self.basis.pair_cutoff = read("pair_cutoff", pair_cutoff, (kinds, kinds))
        self.basis.group = indices("groups", groups, (kinds,), kinds)
        self.basis.groups = groups.max() + 1
        if len(np.unique(groups)) != self.basis.groups:
            raise ValueError(f"groups is {groups.tolist()}; without gaps they must be 0, 1, …")
        self.owned = [table, pair_table, pair_cutoff, groups]
        if not isinstance(heads, (list, tuple)) or not heads:
            raise TypeError(f"heads is {heads!r}; it must be a list of at least one tuple, whose first component takes "
                            "the pair potential")
        for index, form in enumerate(heads):
            self.heads.push_back(make_head(self.basis, index, form, self.owned))
            self.outputs += self.heads.back().components()
        if network is not None and equivariant is not None:
            raise ValueError("both network and equivariant are given; a kernel has one of them")
        self.with_network = network is not None
        if network is not None:
            self.network = make_network(self.basis, network, self.owned)
        self.with_equivariant = equivariant is not None
        if equivariant is not None:
            self.equivariant = make_equivariant(self.basis, self.heads, equivariant, self.owned)
        if truth("single", single):
            refuse_single(self.basis, self.with_equivariant)
            self.single = new SingleModel(self.basis, self.heads, &self.network if self.with_network else NULL)
        self.pool = new NeighbourPool(cutoff, finite("skin", skin, 0.0))

    def __dealloc__(self):
        del self.pool
        del self.single

    @property
    def neighbour_lists_kept(self):
        """How many neighbour lists are in memory."""
        return self.pool.kept()

    @property
    def neighbour_lists_built(self):
        """How many neighbour lists have been built since this kernel was made."""
        return self.pool.built()

    cdef Structures structures(self, species, positions, cells, periodic, beads="beads") except *:
        """What `evaluate` says about these arguments, with any number of beads or a given one."""
        cdef Structures found
        cdef cnp.ndarray array = array_of("positions", positions, cnp.NPY_DOUBLE, (beads, "atoms", 3))
        found.beads = array.shape[0]
        found.atoms = array.shape[1]
        found.positions = read("positions", positions, (beads, "atoms", 3))
        found.cells = read("cells", cells, (found.beads, 3, 3))
        found.species = indices("species", species, (found.atoms,), self.basis.species)
        for axis, is_periodic in enumerate(truths("periodic", periodic, 3)):
            found.periodic[axis] = is_periodic
        return found

    def evaluate(self, species, positions, cells, periodic, want_head, combinations, values, gradients, strains,
                 closest_allowed, threads, density=None, part=0, parts=1, in_sum=False):
        """Evaluate heads and gradients of linear combinations of their components.

        Parameters
        ----------
        species : ndarray of int32, shape (atoms,)
            Species indices.
        positions, cells : ndarray of float64, shapes (beads, atoms, 3), (beads, 3, 3)
            In Å.
        periodic : sequence of 3 bool
        want_head : sequence of bool, one per head
            Heads whose per-atom values are wanted.
        combinations : ndarray of float64, shape (beads, gradient channels, outputs)
            Linear combinations of the outputs to differentiate, the same for all atoms; or one for each atom, shape
            (beads, gradient channels, atoms, outputs), whose sum over the atoms is differentiated.
        values : ndarray of float64, shape (beads, atoms, outputs), written
        gradients : ndarray of float64, shape (beads, gradient channels, atoms, 3), added to
        strains : ndarray of float64, shape (beads, gradient channels, 3, 3), added to
        closest_allowed : float
            In Å.
        threads : int
        density : ndarray of float64, shape (beads, atoms, harmonics, channels), optional, written
        part, parts : int
            Which of so many parts of the atoms of all beads to evaluate, all about as large; the sums over all parts
            of what is added to, and of what is written into zeros, are those of the whole.
        in_sum : bool
            Whether only sums of the values over the atoms of each bead are wanted: many scalars are then evaluated once
            for all atoms, and their sum is the value of any one atom.

        Returns
        -------
        None, or (bead, atom, atom, distance in Å) of a pair that is closer than allowed.

        Raises
        ------
        ValueError, TypeError
            If an argument is not as described; also if positions or cells are not finite, a periodic cell spans no
            volume or is lower than a hundredth of the cutoff, or an atom is more than 10⁹ cells away from the origin.
        """
        cdef Task task
        cdef Overlap overlap
        cdef Structures given = self.structures(species, positions, cells, periodic)
        cdef int beads = given.beads, atoms = given.atoms, index
        cdef int thread_count = whole("threads", threads, 1, THREAD_LIMIT)
        cdef int part_count = whole("parts", parts, 1, INT_MAX), own_part = whole("part", part, 0, part_count - 1)
        cdef bint differs_by_atom = isinstance(combinations, np.ndarray) and combinations.ndim == 4
        cdef tuple of_atoms = (atoms,) if differs_by_atom else ()
        cdef int channels = array_of("combinations", combinations, cnp.NPY_DOUBLE,
                                     (beads, "gradient channels", *of_atoms, self.outputs)).shape[1]
        cdef list wanted = truths("want_head", want_head, self.heads.size())
        cdef bint only_sums = truth("in_sum", in_sum)
        task.combinations = read("combinations", combinations, (beads, channels, *of_atoms, self.outputs))
        read_outputs = np.abs(combinations).sum(axis=2) if differs_by_atom else combinations
        task.differs_by_atom = differs_by_atom
        task.read_outputs = read("combinations", read_outputs, (beads, channels, self.outputs))
        task.values = written("values", values, (beads, atoms, self.outputs))
        task.gradients = written("gradients", gradients, (beads, channels, atoms, 3))
        task.strains = written("strains", strains, (beads, channels, 3, 3))
        task.density = NULL
        if density is not None:
            task.density = written("density", density, (beads, atoms, self.basis.harmonics(), self.basis.channels()))
        task.closest_allowed = finite("closest_allowed", closest_allowed)
        if atoms == 0 or beads == 0:
            return None
        task.begin = <size_t> beads * atoms * own_part // part_count
        task.end = <size_t> beads * atoms * (own_part + 1) // part_count
        task.basis = &self.basis
        task.heads = &self.heads
        task.network = &self.network if self.with_network else NULL
        task.equivariant = NULL
        task.species = given.species
        task.beads = beads
        task.atoms = atoms
        task.outputs = self.outputs
        task.gradient_channels = channels
        overlap.bead = -1
        task.overlap = &overlap
        task.scratch = &self.scratch
        cdef int first = 0, scalars = 0, components
        for index in range(self.heads.size()):
            components = self.heads[index].components()
            task.want_head.push_back(wanted[index])
            task.differentiate_head.push_back(task.differentiates(first, components))
            task.reads_head.push_back(task.want_head[index] | task.differentiate_head[index])
            scalars += task.is_plain_scalar(index)
            first += components
        task.shares_invariants = scalars >= MANY_SCALARS
        cdef size_t first_listed = task.begin, last_listed = task.end
        if self.with_equivariant and reads_any(self.equivariant, task.reads_head):
            task.equivariant = &self.equivariant
        if task.equivariant is not NULL and self.equivariant.messages.size():  # neighbours of neighbours, too
            first_listed = task.begin // atoms * atoms
            last_listed = (task.end + atoms - 1) // atoms * atoms
        else:
            task.sums_scalars = only_sums and task.shares_invariants
        with self.lock:
            with nogil:
                task.lists = self.pool.lists_for(given.positions, given.cells, given.periodic, given.species,
                                                 self.basis.species, beads, atoms, first_listed, last_listed,
                                                 thread_count)
            task.most_neighbours = longest(task.lists, self.basis.species)
            with nogil:
                if self.single is NULL:
                    evaluate(task, thread_count)
                else:
                    self.single.evaluate(task, thread_count)
        if overlap.bead >= 0:
            return overlap.bead, overlap.first, overlap.second, overlap.distance
        return None

    def feature_gradients(self, species, positions, cells, periodic, gradients, strains):
        """Add the derivatives of the summed scalar features of one structure.

        Parameters
        ----------
        species, positions, cells, periodic
            As in `evaluate`, with one bead.
        gradients : ndarray of float64, shape (atoms * 3, species * (channels + (l_max + 1) * channels**2)), added to
            Of the two-body densities, then for every l of the half of the power spectrum's derivative in which its
            first index is differentiated.
        strains : ndarray of float64, shape (9, same), added to

        Raises
        ------
        ValueError, TypeError
            As `evaluate`.
        """
        cdef FeatureTask task
        cdef vector[const NeighbourList*] lists
        cdef Structures given = self.structures(species, positions, cells, periodic, 1)
        cdef int channels = self.basis.channels()
        features = self.basis.species * (channels + (self.basis.l_max + 1) * channels**2)
        task.gradients = written("gradients", gradients, (3 * given.atoms, features))
        task.strains = written("strains", strains, (9, features))
        if given.atoms == 0:
            return
        task.basis = &self.basis
        task.species = given.species
        task.atoms = given.atoms
        with self.lock:
            lists = self.pool.lists_for(given.positions, given.cells, given.periodic, given.species,
                                        self.basis.species, 1, given.atoms, 0, given.atoms, 1)
            task.list = lists[0]
            task.most_neighbours = longest(lists, self.basis.species)
            with nogil:
                feature_gradients(task)

    def pull_back(self, species, positions, cells, periodic, adjoint, gradients, strains, threads):
        """Add the gradient of the inner product of the density with an adjoint.

        Parameters
        ----------
        species, positions, cells, periodic, threads
            As in `evaluate`.
        adjoint : ndarray of float64, shape (beads, atoms, harmonics, channels)
        gradients, strains : ndarray of float64, shapes (beads, atoms, 3), (beads, 3, 3), added to

        Raises
        ------
        ValueError, TypeError
            As `evaluate`.
        """
        cdef DensityTask task
        cdef Structures given = self.structures(species, positions, cells, periodic)
        beads, atoms = given.beads, given.atoms
        task.adjoint = read("adjoint", adjoint, (beads, atoms, self.basis.harmonics(), self.basis.channels()))
        task.gradients = written("gradients", gradients, (beads, atoms, 3))
        task.strains = written("strains", strains, (beads, 3, 3))
        task.tangent = NULL
        self.differentiate(task, given, whole("threads", threads, 1, THREAD_LIMIT))

    def push_forward(self, species, positions, cells, periodic, displacements, strains, tangent, threads):
        """Write the directional derivative of the density.

        Parameters
        ----------
        species, positions, cells, periodic, threads
            As in `evaluate`.
        displacements, strains : ndarray of float64, shapes (beads, atoms, 3), (beads, 3, 3)
            The direction: every vector r between atoms changes by that of its ends and by strain · r.
        tangent : ndarray of float64, shape (beads, atoms, harmonics, channels), written

        Raises
        ------
        ValueError, TypeError
            As `evaluate`.
        """
        cdef DensityTask task
        cdef Structures given = self.structures(species, positions, cells, periodic)
        beads, atoms = given.beads, given.atoms
        task.adjoint = NULL
        task.displacements = read("displacements", displacements, (beads, atoms, 3))
        task.strain_displacements = read("strains", strains, (beads, 3, 3))
        task.tangent = written("tangent", tangent, (beads, atoms, self.basis.harmonics(), self.basis.channels()))
        self.differentiate(task, given, whole("threads", threads, 1, THREAD_LIMIT))

    cdef differentiate(self, DensityTask& task, const Structures& given, int threads):
        if given.beads == 0 or given.atoms == 0:
            return
        task.basis = &self.basis
        task.species = given.species
        task.beads = given.beads
        task.atoms = given.atoms
        with self.lock:
            with nogil:
                task.lists = self.pool.lists_for(given.positions, given.cells, given.periodic, given.species,
                                                 self.basis.species, task.beads, task.atoms, 0,
                                                 <size_t> task.beads * task.atoms, threads)
            task.most_neighbours = longest(task.lists, self.basis.species)
            with nogil:
                differentiate_density(task, threads)


include "features.pxi"
