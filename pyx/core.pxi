# What the C++ core offers to the Cython layer; the headers say what it means.  Included by kernel.pyx.

from libc.stdint cimport int32_t
from libcpp cimport bool as cbool
from libcpp.vector cimport vector


cdef extern from "kernel.hpp" namespace "beadwise" nogil:
    int L_LIMIT
    int LAMBDA_LIMIT
    int RADIAL_LIMIT
    cbool HAS_THREADS

    cdef cppclass Basis:
        int species, groups, radial, l_max, intervals
        const int32_t* group
        double cutoff
        const double* table
        const double* pair_table
        const double* pair_cutoff
        int harmonics()
        int channels()

    cdef cppclass Block:
        int l1, l2
        cbool symmetric
        vector[int] m1, m2, component
        vector[double] coupling
        const double* weights
        const double* transposed

    cdef cppclass Head:
        int lambda_ "lambda"
        const double* offset
        const double* linear
        vector[Block] blocks
        int components()

    cdef cppclass DenseLayer:
        int inputs, outputs
        const double* weights
        const double* bias

    cdef cppclass Network:
        int features
        const double* skip
        vector[DenseLayer] layers
        const double* final_weights

    cdef cppclass Overlap:
        int bead, first, second
        double distance

    cdef cppclass NeighbourList:
        vector[int32_t] counts
        int first_centre, last_centre

    cdef cppclass Task:
        const Basis* basis
        const vector[Head]* heads
        const Network* network
        vector[const NeighbourList*] lists
        const int32_t* species
        int beads, atoms, most_neighbours, outputs
        size_t begin, end
        vector[char] want_head, differentiate_head
        cbool shares_invariants
        double closest_allowed
        double* values
        double* density
        int gradient_channels
        const double* combinations
        double* gradients
        double* strains
        Overlap* overlap

    cdef cppclass FeatureTask:
        const Basis* basis
        const NeighbourList* list
        const int32_t* species
        int atoms, most_neighbours
        double* gradients
        double* strains

    cdef cppclass DensityTask:
        const Basis* basis
        vector[const NeighbourList*] lists
        const int32_t* species
        int beads, atoms, most_neighbours
        const double* adjoint
        double* gradients
        double* strains
        const double* displacements
        const double* strain_displacements
        double* tangent

    cdef cppclass NeighbourPool:
        NeighbourPool(double cutoff, double skin) except +
        vector[const NeighbourList*] lists_for(const double* positions, const double* cells, const cbool* periodic,
                                               const int32_t* species, int species_count, int beads, int atoms,
                                               size_t begin, size_t end, int threads) except +
        size_t kept()
        size_t built()

    void evaluate(const Task& task, int threads) except +
    void feature_gradients(const FeatureTask& task) except +
    void differentiate_density(const DensityTask& task, int threads) except +
    cbool use_avx2()
