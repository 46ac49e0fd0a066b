"""Active learning: rounds of exploration, selection, labels and fits."""
