"""What several tests need."""

from pathlib import Path

import pytest
from ase import Atoms
from beadwise.driver.species import read_species
from beadwise.driver.units import BOHR_PER_ANGSTROM
from beadwise.learning import baseline_labels
from ipi.utils.io import read_file

WATER_BOX = Path(__file__).resolve().parents[1] / "inputs" / "water_64.xyz"


@pytest.fixture
def liquid() -> Atoms:
    """Liquid water as i-PI reads it."""
    with open(WATER_BOX) as file:
        frame = read_file("xyz", file)
    positions = frame["atoms"].q.reshape(-1, 3) / BOHR_PER_ANGSTROM
    return Atoms(read_species(WATER_BOX), positions, cell=frame["cell"].h.T / BOHR_PER_ANGSTROM, pbc=True)


@pytest.fixture
def own(monkeypatch):
    """Let a baseline be what a test makes."""

    def use(evaluator):
        monkeypatch.setattr(baseline_labels, "load_evaluator", lambda name, threads=1: evaluator)
        return evaluator

    return use
