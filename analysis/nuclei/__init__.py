"""Other treatments of the nuclei: the inputs of RPMD, TRPMD, PA-CMD, PIGLET and Suzuki–Chin path integrals."""
