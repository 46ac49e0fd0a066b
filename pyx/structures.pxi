# The structures of a call, and what is asked of all of them before it.  Included by kernel.pyx.


cdef struct Structures:
    int beads, atoms
    const int32_t* species
    const double* positions
    const double* cells
    cbool[3] periodic


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


cdef refuse_single(const Basis& basis, bint with_equivariant):
    """Raise ValueError where there is no single precision."""
    if with_equivariant or basis.radial % 8 or not single_is_known():
        raise ValueError("single is True; it needs 8 or 16 radial functions per species, no equivariant network, and a "
                         "processor with AVX2 or of another kind than x86")
