"""Files that take seconds to make, made once."""

import fcntl
import os

import pytest


@pytest.fixture(scope="session")
def pet(tmp_path_factory):
    """A file of PET with energy, dipole and forces by itself, which metatrain trained; all workers have the same."""
    pytest.importorskip("metatrain", reason="metatrain is not installed: pip install metatrain")
    from pet_files import pet_file
    from test_mace import waters

    own = tmp_path_factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "pet"
    folder.mkdir(exist_ok=True)
    with open(folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the others wait for the first
        if not (folder / "made").exists():
            pet_file(folder, [waters(seed=seed) for seed in range(8)])
            (folder / "made").touch()
    return folder / "pet.pt"
