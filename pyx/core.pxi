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
        const double* transposed

    cdef cppclass Network:
        int features
        const double* skip
        vector[DenseLayer] layers
        const double* final_weights

    cdef struct Term "beadwise::Bilinear::Term":
        int32_t first, second
        double coefficient

    cdef struct Segment "beadwise::Bilinear::Segment":
        int32_t path, end

    cdef struct Row "beadwise::Bilinear::Row":
        int32_t row, end

    cdef cppclass Bilinear:
        vector[Term] terms
        vector[Segment] segments
        vector[Row] rows

    cdef cppclass Product:
        int paths
        const double* weights
        Bilinear forward, to_first, to_second

    cdef cppclass ScalarReadout:
        int head, output
        const double* skip
        const double* final_weights

    cdef cppclass TensorReadout:
        int head, output
        int order "lambda"
        DenseLayer factors

    cdef cppclass EquivariantLayer:
        int inputs, channels, l_max, features
        const double* contraction
        const double* contraction_transposed
        const double* mixing
        const double* mixing_transposed
        Product three, four
        vector[DenseLayer] hidden
        vector[ScalarReadout] scalars
        vector[TensorReadout] tensors
        int width()

    cdef cppclass Sender:
        DenseLayer gate
        const double* linear
        const double* linear_transposed

    cdef cppclass Message:
        int sent, l_sent, l_max
        const double* radial
        const double* radial_transposed
        vector[Sender] senders
        Product paths
        int rows()

    cdef cppclass Equivariant:
        vector[EquivariantLayer] layers
        vector[Message] messages

    cdef cppclass Overlap:
        int bead, first, second
        double distance

    cdef cppclass Scratch:
        Scratch()

    cdef cppclass NeighbourList:
        vector[int32_t] counts
        int first_centre, last_centre

    cdef cppclass Task:
        const Basis* basis
        const vector[Head]* heads
        const Network* network
        const Equivariant* equivariant
        vector[const NeighbourList*] lists
        const int32_t* species
        int beads, atoms, most_neighbours, outputs
        size_t begin, end
        vector[char] want_head, differentiate_head, reads_head
        cbool shares_invariants, sums_scalars
        double closest_allowed
        double* values
        double* density
        int gradient_channels
        const double* combinations
        cbool differs_by_atom
        const double* read_outputs
        double* gradients
        double* strains
        Overlap* overlap
        Scratch* scratch
        cbool differentiates(int first, int components)
        cbool is_plain_scalar(size_t index)

    cdef cppclass FeatureTask:
        const Basis* basis
        const NeighbourList* list
        const int32_t* species
        int atoms, most_neighbours
        double* gradients
        double* strains

    cdef cppclass TensorFeatureTask:
        const Basis* basis
        const Head* head
        const NeighbourList* list
        const int32_t* species
        int atoms, most_neighbours, begin, end
        double* gradients
        size_t features_per_species()

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

    cdef cppclass SingleModel:
        SingleModel(const Basis& basis, const vector[Head]& heads, const Network* network) except +
        void evaluate(const Task& task, int threads) except +

    void feature_gradients(const FeatureTask& task) except +
    void tensor_feature_gradients(const TensorFeatureTask& task) except +
    void differentiate_density(const DensityTask& task, int threads) except +
    cbool single_is_known "beadwise::has_single" ()
    cbool use_avx2()
