"""Pairs of atoms within a distance of each other, in cells of any shape and size.

What it costs grows with the number of atoms and pairs, and not with the volume.  Arguments are checked as in `kernel`.
"""

import numpy as np

from libcpp cimport bool as cbool
from libcpp.vector cimport vector

include "arguments.pxi"


cdef extern from "pairs.hpp" namespace "beadwise" nogil:
    cdef cppclass Pairs:
        vector[int32_t] first, second
        vector[double] vectors

    void find_pairs(const double* positions, int atoms, const double* cell, const cbool* periodic, double cutoff,
                    double closest, Pairs& found) except +


def pairs_within(positions, cell, periodic, cutoff, closest=0.0):
    """Find all pairs of atoms, and of an atom with images, that are nearer than a distance.

    Parameters
    ----------
    positions : ndarray of float64, shape (atoms, 3)
        In Å; they need not be wrapped into the cell.
    cell : ndarray of float64, shape (3, 3)
        Lattice vectors in Å, one per row; ignored in directions that are not periodic.
    periodic : sequence of 3 bool
    cutoff : float
        In Å.
    closest : float
        In Å.  The search ends with the first atom that has a pair nearer than this: of atoms that lie on each other
        there would be no end of pairs.

    Returns
    -------
    first, second : ndarray of int32, shape (pairs,)
        Every pair stands there both ways.
    vectors : ndarray of float64, shape (pairs, 3)
        From the first to the second, in Å.

    Raises
    ------
    ValueError, TypeError
        If an argument is not as described; also if positions or cells are not finite, a periodic cell spans no volume
        or is lower than a hundredth of the cutoff, or an atom is more than 10⁹ cells away from the origin.
    """
    cdef Pairs found
    cdef cbool[3] directions
    cdef cnp.ndarray array = array_of("positions", positions, cnp.NPY_DOUBLE, ("atoms", 3))
    cdef int atoms = array.shape[0]
    cdef const double* places = read("positions", positions, (atoms, 3))
    cdef const double* vectors = read("cell", cell, (3, 3))
    cdef double reach = finite("cutoff", cutoff, 0.0), nearest = finite("closest", closest, 0.0)
    if reach == 0.0:
        raise ValueError("cutoff is 0; it must be positive")
    for axis, is_periodic in enumerate(truths("periodic", periodic, 3)):
        directions[axis] = is_periodic
    if atoms:
        with nogil:
            find_pairs(places, atoms, vectors, directions, reach, nearest, found)
    count = found.first.size()
    first, second, between = np.empty(count, np.int32), np.empty(count, np.int32), np.empty((count, 3))
    cdef int32_t[:] first_view = first, second_view = second
    cdef double[:, :] between_view = between
    cdef size_t pair
    for pair in range(count):
        first_view[pair], second_view[pair] = found.first[pair], found.second[pair]
        for axis in range(3):
            between_view[pair, axis] = found.vectors[3 * pair + axis]
    return first, second, between
