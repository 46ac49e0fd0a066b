"""Ready i-PI inputs, structures and the shipped model."""
