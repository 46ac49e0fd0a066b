"""Parts of a model as arrays of its file, and back."""
