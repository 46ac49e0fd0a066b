"""What Born charges say of a dipole: its derivatives as labels, and which branch labels of it are on."""
