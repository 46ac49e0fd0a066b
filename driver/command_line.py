"""The ``beadwise`` command."""

import click


@click.group()
def main() -> None:
    """Beadwise: energies, forces, dipoles and polarizabilities for every bead, served to i-PI."""
