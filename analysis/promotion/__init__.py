"""From a sampled model to its reference, by free-energy perturbation."""
