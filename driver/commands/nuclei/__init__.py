"""Commands about how nuclei move: harmonic vibrations, and the mean force on centroids."""
