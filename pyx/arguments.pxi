# Checks of what Python hands to compiled code, which reads and writes memory by the shapes it expects: whatever does
# not fit raises a TypeError or ValueError that names the argument.  Included by kernel.pyx, water.pyx and pairs.pyx.

import math
import numbers
import operator

import numpy as np

cimport numpy as cnp
from libc.stdint cimport int32_t

cnp.import_array()


THREAD_LIMIT = 1024  # more can be too many for a machine to start, which would end the program


cdef cnp.ndarray array_of(str name, given, int kind, tuple shape):
    """The array, if it has this type of numbers and this shape, in which a word stands for any length."""
    if not isinstance(given, np.ndarray):
        raise TypeError(f"{name} is a {type(given).__name__}; it must be an array of shape {in_words(shape)}")
    cdef cnp.ndarray array = given
    if not cnp.PyArray_EquivTypenums(cnp.PyArray_TYPE(array), kind):
        raise TypeError(f"{name} has numbers of type {array.dtype}; allowed is {cnp.PyArray_DescrFromType(kind)}")
    cdef int axis, axes = array.ndim
    cdef bint fits = axes == len(shape)
    if fits:
        for axis in range(axes):
            fits = fits and (isinstance(shape[axis], str) or array.shape[axis] == shape[axis])
    if not fits:
        raise ValueError(f"{name} has shape {given.shape}; allowed is {in_words(shape)}")
    return array


cdef str in_words(tuple shape):
    return f"({', '.join(map(str, shape))}{',' if len(shape) == 1 else ''})"


cdef cnp.ndarray checked(str name, given, int kind, tuple shape):
    """As `array_of`, and it lies in memory as C's arrays do."""
    cdef cnp.ndarray array = array_of(name, given, kind, shape)
    if not cnp.PyArray_ISCARRAY_RO(array):
        raise ValueError(f"{name} is not contiguous in C's order, aligned and in the machine's byte order")
    return array


cdef const double* read(str name, given, tuple shape) except NULL:
    """The numbers of an array of float64, which the caller keeps alive."""
    return <const double*> cnp.PyArray_DATA(checked(name, given, cnp.NPY_DOUBLE, shape))


cdef double* written(str name, given, tuple shape) except NULL:
    """The numbers of an array of float64 that may be written."""
    cdef cnp.ndarray array = checked(name, given, cnp.NPY_DOUBLE, shape)
    if not cnp.PyArray_ISWRITEABLE(array):
        raise ValueError(f"{name} is read-only; it is written")
    return <double*> cnp.PyArray_DATA(array)


cdef const int32_t* indices(str name, given, tuple shape, int count) except NULL:
    """The numbers of an array of int32, all of them 0 … count − 1."""
    cdef cnp.ndarray array = checked(name, given, cnp.NPY_INT32, shape)
    cdef const int32_t* found = <const int32_t*> cnp.PyArray_DATA(array)
    cdef Py_ssize_t place
    for place in range(cnp.PyArray_SIZE(array)):
        if not 0 <= found[place] < count:
            raise ValueError(f"{name} has {found[place]} at {place}; allowed are 0 to {count - 1}")
    return found


cdef list truths(str name, given, int count):
    """So many bools."""
    array = np.asarray(given)
    if array.shape != (count,):
        raise ValueError(f"{name} has shape {array.shape}; allowed is {(count,)}")
    if array.dtype.kind not in "biu":
        raise TypeError(f"{name} has values of type {array.dtype}; allowed is bool")
    return array.astype(bool).tolist()


cdef bint truth(str name, given) except? -1:
    """A bool."""
    if not isinstance(given, (bool, np.bool_)):
        raise TypeError(f"{name} is {given!r}; it must be a bool")
    return given


cdef long whole(str name, given, long least, long most) except? -1:
    """A whole number least … most."""
    try:
        number = operator.index(given)
    except TypeError:
        raise TypeError(f"{name} is {given!r}; it must be a whole number") from None
    if not least <= number <= most:
        raise ValueError(f"{name} is {number}; allowed are {least} to {most}")
    return number


cdef double finite(str name, given, double least=-math.inf) except? -1:
    """A finite number, not below the least."""
    if not isinstance(given, numbers.Real):
        raise TypeError(f"{name} is {given!r}; it must be a number")
    if not (math.isfinite(given) and given >= least):
        raise ValueError(f"{name} is {given}; it must be finite and at least {least}")
    return given
