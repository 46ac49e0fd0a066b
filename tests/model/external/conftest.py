"""Files that take seconds to make, made once."""

import pytest


@pytest.fixture(scope="session")
def pet(tmp_path_factory):
    """A file of PET with energy, dipole and forces by itself, which metatrain trained."""
    pytest.importorskip("metatrain", reason="metatrain is not installed: pip install metatrain")
    from pet_files import pet_file
    from test_mace import waters

    return pet_file(tmp_path_factory.mktemp("pet"), [waters(seed=seed) for seed in range(8)])
