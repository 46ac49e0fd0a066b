"""The compiled kernel: density, heads and gradients of a batch of beads in one call.

Arrays are flat, C-contiguous and owned by the caller; the interpreter lock is released while atoms are evaluated.
`beadwise.model` wraps this module; its docstrings there give the formulas.
"""

import threading

import numpy as np

include "core.pxi"


MANY_SCALARS = 3  # forming the invariants costs as much as one scalar does without them


def limits():
    """Highest angular momentum and most radial functions per species that are compiled in."""
    return {"l_max": L_LIMIT, "radial": RADIAL_LIMIT}


def instruction_set():
    """Name of the instruction set in use on this machine."""
    return "avx2" if use_avx2() else "generic"


cdef int longest(vector[const NeighbourList*]& lists, int species):
    """The largest number of listed neighbours of any atom."""
    cdef int most = 0, total, atom, s
    cdef size_t index
    for index in range(lists.size()):
        if lists[index] is NULL:
            continue
        for atom in range(lists[index].first_centre, lists[index].last_centre):
            total = 0
            for s in range(species):
                total += lists[index].counts[atom * species + s]
            most = max(most, total)
    return most


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
        weights) with ``coupling`` (2 l1+1, 2 l2+1, 2 lambda+1) and ``weights`` (species, channels, channels).
    network : tuple (skip, layers, final), optional
        Adds to the first head.  ``skip`` (species, features), ``layers`` a list of (weights, bias) of shapes (species,
        inputs, outputs) and (species, outputs), ``final`` (species, outputs of the last layer); features, inputs and
        outputs are padded with zeros to multiples of 8.
    """

    cdef Basis basis
    cdef vector[Head] heads
    cdef Network network
    cdef cbool with_network
    cdef NeighbourPool* pool
    cdef list owned
    cdef object lock  # the neighbour lists change during an evaluation, and must outlive it

    def __cinit__(self, const double[:, :, :, :, ::1] table, const double[:, :, :, ::1] pair_table,
                  const double[:, ::1] pair_cutoff, int l_max, double cutoff, double skin, const int[::1] groups,
                  list heads, network=None):
        if not 0 <= l_max <= L_LIMIT:
            raise ValueError(f"l_max is {l_max}; allowed are 0 to {L_LIMIT}")
        if table.shape[4] % 4 or not 4 <= table.shape[4] <= RADIAL_LIMIT:
            raise ValueError(f"{table.shape[4]} radial functions; allowed are multiples of 4 up to {RADIAL_LIMIT}")
        kinds, nodes = table.shape[0], table.shape[2]
        received = (table.shape[1], pair_table.shape[0], pair_table.shape[1], pair_table.shape[2], pair_table.shape[3],
                    pair_cutoff.shape[0], pair_cutoff.shape[1])
        if received != (kinds, kinds, kinds, nodes, 2, kinds, kinds) or table.shape[3] != 2 or nodes < 2:
            raise ValueError("tables for different numbers of species or nodes")
        self.lock = threading.Lock()
        if not heads:
            raise ValueError("no heads; a kernel needs at least one, whose first component takes the pair potential")
        self.owned = [table, pair_table, pair_cutoff]
        if groups.shape[0] != kinds or sorted(set(groups)) != list(range(max(groups) + 1)):
            raise ValueError(f"groups {list(groups)} of {kinds} species; each species needs one out of 0, 1, …")
        self.owned.append(groups)
        self.basis.groups = max(groups) + 1
        self.basis.group = &groups[0]
        self.basis.species = table.shape[0]
        self.basis.radial = table.shape[4]
        self.basis.l_max = l_max
        self.basis.cutoff = cutoff
        self.basis.intervals = table.shape[2] - 1
        self.basis.table = &table[0, 0, 0, 0, 0]
        self.basis.pair_table = &pair_table[0, 0, 0, 0]
        self.basis.pair_cutoff = &pair_cutoff[0, 0]
        self.pool = new NeighbourPool(cutoff, skin)
        for order, offset, linear, blocks in heads:
            self.add_head(order, offset, linear, blocks)
        self.with_network = network is not None
        if network is not None:
            self.add_network(network[0], network[1], network[2])

    def __dealloc__(self):
        del self.pool

    cdef add_head(self, int order, const double[::1] offset, const double[:, ::1] linear, list blocks):
        cdef Head head
        highest = min(LAMBDA_LIMIT, self.basis.l_max)
        if not 0 <= order <= highest:
            raise ValueError(f"a head of angular momentum {order}; allowed are 0 to {highest}")
        head.lambda_ = order
        head.offset = &offset[0]
        head.linear = &linear[0, 0]
        self.owned += [offset, linear]
        for l1, l2, symmetric, coupling, weights in blocks:
            head.blocks.push_back(self.make_block(l1, l2, symmetric, coupling, weights))
        self.heads.push_back(head)

    cdef add_network(self, const double[:, ::1] skip, list layers, const double[:, ::1] final):
        cdef DenseLayer layer
        cdef const double[:, :, ::1] weights
        cdef const double[:, :, :, ::1] tiled
        cdef const double[:, ::1] bias
        channels, kinds = self.basis.channels(), self.basis.species
        features = channels + (self.basis.l_max + 1) * channels * (channels + 1) // 2
        inputs = -(-features // 8) * 8
        if not layers or skip.shape[0] != kinds or skip.shape[1] != inputs:
            raise ValueError(f"a network of {len(layers)} layers for {skip.shape[1]} features; it needs {inputs}")
        self.network.features = inputs
        self.network.skip = &skip[0, 0]
        self.network.final_weights = &final[0, 0]
        self.owned += [skip, final]
        for weights, bias in layers:
            outputs = weights.shape[2]
            received = (weights.shape[0], weights.shape[1], bias.shape[0], bias.shape[1])
            if received != (kinds, inputs, kinds, outputs) or outputs % 8:
                raise ValueError(f"a layer of shapes {received}; {(kinds, inputs, kinds)} and a multiple of 8 are needed")
            layer.inputs, layer.outputs = inputs, outputs
            tiles = np.asarray(weights).reshape(kinds, inputs, outputs // 8, 8)
            tiled = np.ascontiguousarray(np.swapaxes(tiles, 1, 2))
            layer.weights, layer.bias = &tiled[0, 0, 0, 0], &bias[0, 0]
            self.network.layers.push_back(layer)
            self.owned += [tiled, bias]
            inputs = outputs
        if final.shape[0] != kinds or final.shape[1] != inputs:
            raise ValueError(f"{final.shape[1]} final weights; {inputs} are needed")

    cdef Block make_block(self, int l1, int l2, cbool symmetric, coupling, weights):
        cdef Block block
        cdef const double[:, :, ::1] by_right = np.ascontiguousarray(np.swapaxes(weights, 1, 2))
        cdef const double[:, :, ::1] by_left = np.ascontiguousarray(weights)
        block.l1 = l1
        block.l2 = l2
        block.symmetric = symmetric
        if symmetric:  # (m1, m2) and (m2, m1) give the same product
            coupling = coupling * (2 * np.triu(np.ones(coupling.shape[:2])) - np.eye(len(coupling)))[:, :, None]
        for m1, m2, component in np.argwhere(np.abs(coupling) > 1e-12).tolist():
            block.m1.push_back(m1)
            block.m2.push_back(m2)
            block.component.push_back(component)
            block.coupling.push_back(coupling[m1, m2, component])
        block.weights = &by_right[0, 0, 0]
        block.transposed = &by_left[0, 0, 0]
        self.owned += [by_right, by_left]
        return block

    @property
    def neighbour_lists_kept(self):
        """How many neighbour lists are in memory."""
        return self.pool.kept()

    @property
    def neighbour_lists_built(self):
        """How many neighbour lists have been built since this kernel was made."""
        return self.pool.built()

    def evaluate(self, const int32_t[::1] species, const double[:, :, ::1] positions, const double[:, :, ::1] cells,
                 periodic, want_head, const double[:, :, ::1] combinations, double[:, :, ::1] values,
                 double[:, :, :, ::1] gradients, double[:, :, :, ::1] strains, double closest_allowed, int threads,
                 double[:, :, :, ::1] density=None, int part=0, int parts=1):
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
            Linear combinations of the outputs to differentiate.
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

        Returns
        -------
        None, or (bead, atom, atom, distance in Å) of a pair that is closer than allowed.
        """
        cdef Task task
        cdef Overlap overlap
        cdef int beads = positions.shape[0], atoms = positions.shape[1]
        cdef cbool periodic_flags[3]
        if atoms == 0 or beads == 0:
            return None
        if not 0 <= part < parts:
            raise ValueError(f"part {part} of {parts}; allowed are 0 to {parts - 1}")
        for axis in range(3):
            periodic_flags[axis] = periodic[axis]
        task.begin = <size_t> beads * atoms * part // parts
        task.end = <size_t> beads * atoms * (part + 1) // parts
        task.basis = &self.basis
        task.heads = &self.heads
        task.network = &self.network if self.with_network else NULL
        task.species = &species[0]
        task.beads = beads
        task.atoms = atoms
        task.outputs = values.shape[2]
        task.closest_allowed = closest_allowed
        task.values = &values[0, 0, 0]
        task.density = &density[0, 0, 0, 0] if density is not None else NULL
        task.gradient_channels = combinations.shape[1]
        task.combinations = &combinations[0, 0, 0] if combinations.shape[1] else NULL
        task.gradients = &gradients[0, 0, 0, 0] if combinations.shape[1] else NULL
        task.strains = &strains[0, 0, 0, 0] if combinations.shape[1] else NULL
        overlap.bead = -1
        task.overlap = &overlap
        first, scalars = 0, 0
        used = np.any(np.asarray(combinations) != 0.0, axis=(0, 1))
        for index in range(self.heads.size()):
            components = self.heads[index].components()
            task.want_head.push_back(bool(want_head[index]))
            task.differentiate_head.push_back(bool(used[first:first + components].any()))
            scalars += components == 1 and task.want_head[index] and not task.differentiate_head[index]
            first += components
        task.shares_invariants = scalars >= MANY_SCALARS
        with self.lock:
            with nogil:
                task.lists = self.pool.lists_for(&positions[0, 0, 0], &cells[0, 0, 0], periodic_flags, &species[0],
                                                 self.basis.species, beads, atoms, task.begin, task.end, threads)
            task.most_neighbours = longest(task.lists, self.basis.species)
            with nogil:
                evaluate(task, threads)
        if overlap.bead >= 0:
            return overlap.bead, overlap.first, overlap.second, overlap.distance
        return None

    def feature_gradients(self, const int32_t[::1] species, const double[:, :, ::1] positions,
                          const double[:, :, ::1] cells, periodic, double[:, ::1] gradients, double[:, ::1] strains):
        """Add the derivatives of the summed scalar features of one structure.

        Parameters
        ----------
        species, positions, cells, periodic
            As in `evaluate`, with one bead.
        gradients : ndarray of float64, shape (atoms * 3, species * (channels + (l_max + 1) * channels**2)), added to
            Of the two-body densities, then for every l of the half of the power spectrum's derivative in which its
            first index is differentiated.
        strains : ndarray of float64, shape (9, same), added to
        """
        cdef FeatureTask task
        cdef vector[const NeighbourList*] lists
        cdef cbool periodic_flags[3]
        for axis in range(3):
            periodic_flags[axis] = periodic[axis]
        with self.lock:
            lists = self.pool.lists_for(&positions[0, 0, 0], &cells[0, 0, 0], periodic_flags, &species[0],
                                        self.basis.species, 1, positions.shape[1], 0, positions.shape[1], 1)
            task.basis = &self.basis
            task.list = lists[0]
            task.species = &species[0]
            task.atoms = positions.shape[1]
            task.most_neighbours = longest(lists, self.basis.species)
            task.gradients = &gradients[0, 0]
            task.strains = &strains[0, 0]
            with nogil:
                feature_gradients(task)

    def pull_back(self, const int32_t[::1] species, const double[:, :, ::1] positions, const double[:, :, ::1] cells,
                  periodic, const double[:, :, :, ::1] adjoint, double[:, :, ::1] gradients,
                  double[:, :, ::1] strains, int threads):
        """Add the gradient of the inner product of the density with an adjoint.

        Parameters
        ----------
        species, positions, cells, periodic, threads
            As in `evaluate`.
        adjoint : ndarray of float64, shape (beads, atoms, harmonics, channels)
        gradients, strains : ndarray of float64, shapes (beads, atoms, 3), (beads, 3, 3), added to
        """
        cdef DensityTask task
        task.adjoint = &adjoint[0, 0, 0, 0]
        task.gradients = &gradients[0, 0, 0]
        task.strains = &strains[0, 0, 0]
        task.tangent = NULL
        self.differentiate(task, species, positions, cells, periodic, threads)

    def push_forward(self, const int32_t[::1] species, const double[:, :, ::1] positions, const double[:, :, ::1] cells,
                     periodic, const double[:, :, ::1] displacements, const double[:, :, ::1] strains,
                     double[:, :, :, ::1] tangent, int threads):
        """Write the directional derivative of the density.

        Parameters
        ----------
        species, positions, cells, periodic, threads
            As in `evaluate`.
        displacements, strains : ndarray of float64, shapes (beads, atoms, 3), (beads, 3, 3)
            The direction: every vector r between atoms changes by that of its ends and by strain · r.
        tangent : ndarray of float64, shape (beads, atoms, harmonics, channels), written
        """
        cdef DensityTask task
        task.adjoint = NULL
        task.displacements = &displacements[0, 0, 0]
        task.strain_displacements = &strains[0, 0, 0]
        task.tangent = &tangent[0, 0, 0, 0]
        self.differentiate(task, species, positions, cells, periodic, threads)

    cdef differentiate(self, DensityTask& task, const int32_t[::1] species, const double[:, :, ::1] positions,
                       const double[:, :, ::1] cells, periodic, int threads):
        cdef cbool periodic_flags[3]
        for axis in range(3):
            periodic_flags[axis] = periodic[axis]
        task.basis = &self.basis
        task.species = &species[0]
        task.beads = positions.shape[0]
        task.atoms = positions.shape[1]
        with self.lock:
            with nogil:
                task.lists = self.pool.lists_for(&positions[0, 0, 0], &cells[0, 0, 0], periodic_flags, &species[0],
                                                 self.basis.species, task.beads, task.atoms, 0,
                                                 <size_t> task.beads * task.atoms, threads)
            task.most_neighbours = longest(task.lists, self.basis.species)
            with nogil:
                differentiate_density(task, threads)
