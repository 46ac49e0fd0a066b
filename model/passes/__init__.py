"""What of a model can be asked for, and passes of the kernel that give values alone."""
