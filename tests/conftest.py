"""What several tests need."""

import os
from collections.abc import Iterator

import pytest
from ase import Atoms
from beadwise.learning.fitting import baseline_labels
from beadwise.model.evaluators.trust import VARIABLE
from beadwise.runs.input.labels import read_species
from beadwise.runs.units import BOHR_PER_ANGSTROM
from ipi.utils.io import read_file
from places import INPUTS

# how often a slow machine tells of its progress is no matter of tests
os.environ.setdefault("BEADWISE_PROGRESS", "none")
# energies are drawn and reports made in the runs of tests that look at them: they take longer than most of these runs
os.environ.setdefault("BEADWISE_PICTURES", "none")
WATER_BOX = INPUTS / "water_64.xyz"
# files of tests that take longest: they start first, so that none of them is left over when all others are done
LONGEST = [
    "test_shown_commands.py",
    "test_known_free_energies.py",
    "test_sum_rule.py",
    "test_driven_dynamics.py",
    "test_ring_polymer_correlation.py",
    "test_pigs.py",
    "test_nuclei.py",
    "test_tempering.py",
    "test_mace_in_ipi.py",
    "test_whole_cycle.py",
    "test_weighted_baseline.py",
    "test_report.py",
    "test_label_cluster.py",  # not beside test_label_clients.py: each asks that no socket is left on the machine
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files that take longest first; the others stay in their order."""
    places = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path.name, len(LONGEST)))


@pytest.fixture(autouse=True)
def _trust_of_its_own() -> Iterator[None]:
    """What a test trusts, no later one does: commands hand it on in the environment."""
    before = os.environ.get(VARIABLE)
    yield
    os.environ.pop(VARIABLE, None)
    if before is not None:
        os.environ[VARIABLE] = before


@pytest.fixture(scope="module")
def drawn() -> Iterator[None]:
    """Runs of a module draw their energies and make their reports, as they do for users."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("BEADWISE_PICTURES")
        yield


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
