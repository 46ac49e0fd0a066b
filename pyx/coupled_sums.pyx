"""Weighted sums of products of equivariant factors, of a centre and of each of its pairs, and their adjoints.

Arrays are flat, C-contiguous and owned by the caller; the interpreter lock is released while beads are evaluated.
Whatever does not fit what is documented raises a ValueError, or a TypeError where it has another type, which names the
argument, what was received and what is allowed.  `coupled_sums.hpp` gives the formula.
"""

from libcpp cimport bool as cbool
from libcpp.vector cimport vector

include "arguments.pxi"

from .coupling import coupling


cdef extern from "coupled_sums.hpp" namespace "beadwise" nogil:
    int L_LIMIT
    int LAMBDA_LIMIT

    cdef cppclass LeftPart:
        int height, channels, begin, width, scratch
        const double* weights
        const double* transposed

    cdef cppclass SumGroup:
        int height, outputs, begin, stride, first_path, last_path

    cdef cppclass SumPath:
        int left, column, order
        vector[int] first, second, component
        vector[double] coupling

    cdef cppclass SumPlan:
        vector[LeftPart] parts
        vector[SumGroup] groups
        vector[SumPath] paths
        int left_size, right_channels, right_size, out_size, scratch, most_products, most_outputs

    cdef cppclass SumTask:
        const SumPlan* plan
        int beads, centres, rows, pairs
        const double* left
        const double* right
        const int32_t* centre
        const int32_t* row
        const cbool* is_turned
        double* out
        const double* adjoint
        double* of_left
        double* of_right
        void sort() except +

    cdef cppclass PairTask:
        int vectors, l_max, channels
        const double* vector "vector"
        const double* radial
        const double* slope
        double* values
        const double* adjoint
        double* of_vectors

    void evaluate_sums(const SumTask& task, int threads) except +
    void evaluate_pair_functions(const PairTask& task, int threads) except +


HIGHEST_FACTOR = L_LIMIT  # of the orders of the factors
MOST = 2**20  # channels, outputs and rows of factors


cdef class CoupledSums:
    """Sums of products with fixed weights.

    Parameters
    ----------
    left : sequence of (int, int)
        Order l and channels, a multiple of 4, of each part of a centre's factor; they stand behind each other in a row,
        each as (2 l + 1, channels).
    right : (int, int)
        Highest order of the other factor and its channels, a multiple of 4; in a row they are ((l + 1)², channels).
    groups : sequence of (int, int, int, int)
        Order λ, outputs, begin and stride of what is made: component M of output o stands at begin + M · stride + o.
    paths : sequence of (int, int, int, ndarray of float64)
        Group, part of the left factor, order of the right one, and the weights (outputs, channels left, channels
        right); in the order of the groups.
    size : int
        Numbers in a row of what is made.
    """

    cdef SumPlan plan
    cdef list owned

    def __cinit__(self, left, right, groups, paths, size):
        cdef LeftPart part
        cdef int place, begin = 0
        self.owned = []
        l_max, channels = right
        self.plan.right_channels = whole("channels of right", channels, 4, MOST)
        if self.plan.right_channels % 4:
            raise ValueError(f"channels of right is {channels}; it must be a multiple of 4")
        self.plan.right_size = (whole("order of right", l_max, 0, L_LIMIT) + 1) ** 2 * self.plan.right_channels
        self.plan.out_size = whole("size", size, 0, MOST)
        for order, channels in left:
            part.height = 2 * whole("order of left", order, 0, L_LIMIT) + 1
            part.channels = whole("channels of left", channels, 0, MOST)
            if part.channels % 4:
                raise ValueError(f"channels of left is {channels}; it must be a multiple of 4")
            part.begin = begin
            part.width = 0
            begin += part.height * part.channels
            self.plan.parts.push_back(part)
        self.plan.left_size = begin
        columns = [[] for _ in left]
        self.add_groups(groups, paths, l_max, columns)
        self.plan.scratch = 0
        for place in range(len(columns)):
            if columns[place]:
                weights = np.ascontiguousarray(np.concatenate(columns[place], axis=1))
                transposed = np.ascontiguousarray(weights.T)
                self.owned += [weights, transposed]
                self.plan.parts[place].weights = read("weights", weights, weights.shape)
                self.plan.parts[place].transposed = read("weights", transposed, transposed.shape)
            self.plan.parts[place].scratch = self.plan.scratch
            self.plan.scratch += self.plan.parts[place].height * self.plan.parts[place].width

    cdef add_groups(self, groups, paths, l_max, list columns):
        cdef SumGroup group
        cdef SumPath path
        cdef int number, height, width
        cdef object weights, place, order, own
        for number in range(len(groups)):
            order, outputs, begin, stride = groups[number]
            group.height = height = 2 * whole("order of a group", order, 0, LAMBDA_LIMIT) + 1
            group.outputs, group.begin = whole("outputs", outputs, 1, MOST), whole("begin", begin, 0, MOST)
            group.stride = whole("stride", stride, group.outputs, MOST)
            if group.begin + (height - 1) * group.stride + group.outputs > self.plan.out_size:
                raise ValueError(f"group {number} ends behind the {self.plan.out_size} numbers of a row")
            group.first_path = self.plan.paths.size()
            for own, place, l2, weights in paths:
                if own != number:
                    continue
                path.left = whole("part of a path", place, 0, self.plan.parts.size() - 1)
                path.order = whole("order of a path", l2, 0, l_max)
                part = &self.plan.parts[path.left]
                shape = (group.outputs, part.channels, self.plan.right_channels)
                checked("weights", weights, cnp.NPY_DOUBLE, shape)
                path.column = part.width
                width = group.outputs * self.plan.right_channels
                part.width += width
                columns[path.left].append(np.swapaxes(weights, 0, 1).reshape(part.channels, width))
                coefficients = coupling((part.height - 1) // 2, l2, order)
                first, second, component = np.nonzero(coefficients)
                path.coupling = coefficients[first, second, component]
                path.first, path.second, path.component = first, second + l2 * l2, component
                self.plan.paths.push_back(path)
                self.plan.most_products = max(self.plan.most_products, part.height * height)
            group.last_path = self.plan.paths.size()
            self.plan.most_outputs = max(self.plan.most_outputs, height * group.outputs)
            self.plan.groups.push_back(group)

    cdef int fill(self, SumTask* task, left, right, centre, row, is_turned) except -1:
        task.plan = &self.plan
        array = array_of("left", left, cnp.NPY_DOUBLE, ("beads", "centres", self.plan.left_size))
        task.beads, task.centres = array.shape[0], array.shape[1]
        task.left = read("left", left, (task.beads, task.centres, self.plan.left_size))
        array = array_of("right", right, cnp.NPY_DOUBLE, (task.beads, "rows", self.plan.right_size))
        task.rows = array.shape[1]
        task.right = read("right", right, (task.beads, task.rows, self.plan.right_size))
        task.pairs = array_of("centre", centre, cnp.NPY_INT32, ("pairs",)).shape[0]
        task.centre = indices("centre", centre, (task.pairs,), task.centres)
        task.row = indices("row", row, (task.pairs,), task.rows)
        task.is_turned = <const cbool*> cnp.PyArray_DATA(checked("is_turned", is_turned, cnp.NPY_BOOL, (task.pairs,)))
        task.out = NULL
        task.adjoint = NULL
        task.of_left = NULL
        task.of_right = NULL
        task.sort()
        return 0

    def add(self, left, right, centre, row, is_turned, out, threads):
        """Add the sums of every pair.

        Parameters
        ----------
        left : ndarray of float64, shape (beads, centres, numbers)
        right : ndarray of float64, shape (beads, rows, numbers)
        centre, row : ndarray of int32, shape (pairs,)
            Which centre and which row of ``right`` are the factors of each pair.
        is_turned : ndarray of bool, shape (pairs,)
            Whether the right factor is that of the vector back, (−1)^l times what stands in the row.
        out : ndarray of float64, shape (beads, pairs, size)
            Added to.
        threads : int
        """
        cdef SumTask task
        self.fill(&task, left, right, centre, row, is_turned)
        task.out = written("out", out, (task.beads, task.pairs, self.plan.out_size))
        cdef int count = whole("threads", threads, 1, THREAD_LIMIT)
        with nogil:
            evaluate_sums(task, count)

    def add_adjoints(self, left, right, centre, row, is_turned, adjoint, of_left, of_right, threads):
        """Add to the adjoints of both factors, of their shapes, what that of the sums says of them.

        Parameters are those of `add`; beads are shared by the threads.
        """
        cdef SumTask task
        self.fill(&task, left, right, centre, row, is_turned)
        task.adjoint = read("adjoint", adjoint, (task.beads, task.pairs, self.plan.out_size))
        task.of_left = written("of_left", of_left, (task.beads, task.centres, self.plan.left_size))
        task.of_right = written("of_right", of_right, (task.beads, task.rows, self.plan.right_size))
        cdef int count = whole("threads", threads, 1, THREAD_LIMIT)
        with nogil:
            evaluate_sums(task, count)


def pair_functions(vectors, radial, l_max, threads):
    """R_n(r) Y_lm of vectors, as `CoupledSums` takes them for its right factor.

    Parameters
    ----------
    vectors : ndarray of float64, shape (pairs, 3)
        None of them zero.
    radial : ndarray of float64, shape (pairs, channels)
        R_n of each; a multiple of 4 channels.
    l_max, threads : int

    Returns
    -------
    ndarray of float64, shape (pairs, (l_max + 1)², channels)
    """
    cdef PairTask task
    task.adjoint = NULL
    fill_pairs(&task, vectors, radial, l_max)
    values = np.empty((task.vectors, (l_max + 1) ** 2, task.channels))
    task.values = written("values", values, values.shape)
    cdef int count = whole("threads", threads, 1, THREAD_LIMIT)
    with nogil:
        evaluate_pair_functions(task, count)
    return values


def pair_functions_pull_back(vectors, radial, slopes, l_max, adjoint, threads):
    """Adjoint of the vectors, shape (pairs, 3), from that of `pair_functions` and the slopes R_n′(r)."""
    cdef PairTask task
    fill_pairs(&task, vectors, radial, l_max)
    task.slope = read("slopes", slopes, (task.vectors, task.channels))
    task.adjoint = read("adjoint", adjoint, (task.vectors, (l_max + 1) ** 2, task.channels))
    found = np.empty((task.vectors, 3))
    task.of_vectors = written("found", found, found.shape)
    cdef int count = whole("threads", threads, 1, THREAD_LIMIT)
    with nogil:
        evaluate_pair_functions(task, count)
    return found


cdef int fill_pairs(PairTask* task, vectors, radial, l_max) except -1:
    task.vectors = array_of("vectors", vectors, cnp.NPY_DOUBLE, ("pairs", 3)).shape[0]
    task.vector = read("vectors", vectors, (task.vectors, 3))
    task.l_max = whole("l_max", l_max, 0, L_LIMIT)
    task.channels = array_of("radial", radial, cnp.NPY_DOUBLE, (task.vectors, "channels")).shape[1]
    if task.channels % 4:
        raise ValueError(f"radial has shape {radial.shape}; the channels must be a multiple of 4")
    task.radial = read("radial", radial, (task.vectors, task.channels))
    return 0
