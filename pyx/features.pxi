# Derivatives of the features of heads, for least squares.  Included by kernel.pyx.


def head_feature_gradients(Kernel kernel, species, positions, cells, periodic, head, begin, gradients):
    """Add the derivatives of the summed features of a head by the positions of some atoms of one structure.

    Parameters
    ----------
    kernel : Kernel
        Whose density the features are of.
    species, positions, cells, periodic
        As in `Kernel.evaluate`, with one bead.
    head : tuple (lambda, offset, linear, blocks)
        As those of a `Kernel`; what it reads is used, its weights are not.  The features of a symmetric block
        are not those of its pairs (k, q) and (q, k) apart, so none may be symmetric.
    begin : int
        The first atom that is displaced; the others follow it.
    gradients : ndarray of float64, shape (displaced atoms, 3, 2 lambda + 1, species, features), added to
        Features of one species: c_{λM,k} of every channel k, then for every block whose coupling is not zero the
        products Σ G(m1 m2 M) c_{l1 m1,k} c_{l2 m2,q} of every pair (k, q).

    Raises
    ------
    ValueError, TypeError
        As `Kernel.evaluate`.
    """
    cdef TensorFeatureTask task
    cdef vector[const NeighbourList*] lists
    cdef list owned = []
    cdef Head own = make_head(kernel.basis, 0, head, owned)
    cdef Structures given = kernel.structures(species, positions, cells, periodic, 1)
    for block in own.blocks:
        if block.symmetric:
            raise ValueError("a block of head 0 is symmetric; it must not be for derivatives of features")
    task.basis = &kernel.basis
    task.head = &own
    shape = ("displaced atoms", 3, own.components(), kernel.basis.species, task.features_per_species())
    displaced = array_of("gradients", gradients, cnp.NPY_DOUBLE, shape).shape[0]
    if displaced > given.atoms:
        raise ValueError(f"gradients are of {displaced} atoms; there are {given.atoms}")
    task.begin = whole("begin", begin, 0, given.atoms - displaced)
    task.end = task.begin + displaced
    task.gradients = written("gradients", gradients, shape)
    if displaced == 0:
        return
    task.species = given.species
    task.atoms = given.atoms
    with kernel.lock:
        lists = kernel.pool.lists_for(given.positions, given.cells, given.periodic, given.species,
                                      kernel.basis.species, 1, given.atoms, 0, given.atoms, 1)
        task.list = lists[0]
        task.most_neighbours = longest(lists, kernel.basis.species)
        with nogil:
            tensor_feature_gradients(task)
