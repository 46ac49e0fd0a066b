"""The force on the centroids of ring polymers, fitted as a correction to a model: Te PIGS."""
