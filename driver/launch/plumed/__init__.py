"""What is asked of PLUMED before i-PI starts, and of its files before a restart."""
