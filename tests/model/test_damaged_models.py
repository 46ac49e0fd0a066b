"""A model file that is not what was written gives no numbers."""

from __future__ import annotations

import json

import numpy as np
import pytest
from beadwise.model import ModelFileError, load, save, shipped_models
from beadwise.model.files import find, read
from models import random_model
from safetensors import safe_open
from safetensors.numpy import save as serialise

METADATA = {"title": "Eis über 0 °C", "number": 1e-7, 3: (1, 2.5), "nested": {"none": None, "nan": float("nan")}}


@pytest.fixture
def path(tmp_path):
    save(random_model(metadata=METADATA), tmp_path / "model.safetensors")
    return tmp_path / "model.safetensors"


@pytest.mark.parametrize("seed", range(40))
def test_one_bit_is_enough(seed, path):
    content = bytearray(path.read_bytes())
    assert load(path).metadata["title"] == METADATA["title"]
    random = np.random.default_rng(seed)
    begin = 8 + int.from_bytes(content[:8], "little")  # of the arrays, behind the header
    place = int(random.integers(begin, len(content)) if seed % 2 else random.integers(8, begin))
    content[place] ^= 1 << int(random.integers(8))
    path.write_bytes(content)
    with pytest.raises(ModelFileError):
        load(path)


def test_what_is_said_and_what_is_changed_on_purpose(path):
    description, arrays = read(path)  # without the sha256
    path.write_bytes(serialise(arrays, metadata={"beadwise": json.dumps(description)}))
    assert load(path).metadata["title"] == METADATA["title"]  # as of earlier releases
    path.write_bytes(serialise(arrays, metadata={"beadwise": json.dumps(description | {"sha256": "0"})}))
    with pytest.raises(ModelFileError, match="is damaged: its sha256 is not that of what was written; copy it again"):
        load(path)


def test_a_model_that_was_read_is_written_alike(path, tmp_path):
    save(load(path), tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == path.read_bytes()


@pytest.mark.parametrize("name", shipped_models())
def test_shipped_models_have_theirs(name):
    with safe_open(str(find(name)), framework="numpy") as file:
        assert len(json.loads(file.metadata()["beadwise"])["sha256"]) == 64
    read(find(name))
