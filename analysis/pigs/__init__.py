"""Path-integral coarse-graining: the runs that sample the force on centroids, and what they hold."""
