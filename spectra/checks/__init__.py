"""Whether a series is one: continuous, and there once."""
