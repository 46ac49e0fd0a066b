"""An equivariant network in a model: what is kept in its file, what is said of it, and what is refused."""

import json
from dataclasses import replace

import numpy as np
import pytest
from beadwise.model import ModelFileError, load, save
from equivariant_models import random_equivariant_model
from models import random_model
from safetensors import safe_open
from safetensors.numpy import save_file

CASES = {
    "no message": {},
    "message": {"message": True, "l_sent": 2},
    "message of scalars": {"message": True, "l_sent": 0, "l_read": 0, "heads": ("energy",)},
    "nothing read": {"l_read": 0, "heads": ("energy",)},
}


@pytest.mark.parametrize("name", CASES)
def test_a_file_keeps_every_weight(name, tmp_path):
    model = random_equivariant_model(3, **CASES[name])
    save(model, tmp_path / "model.safetensors")
    again = load(tmp_path / "model.safetensors").equivariant
    assert (again.shape, again.heads) == (model.equivariant.shape, model.equivariant.heads)
    for one, other in zip(model.equivariant.arrays(), again.arrays(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_version_tells_older_releases(tmp_path):
    for model, version in ((random_equivariant_model(), 6), (random_model(), 3)):
        save(model, tmp_path / "model.safetensors")
        with safe_open(tmp_path / "model.safetensors", framework="numpy") as file:
            assert json.loads(file.metadata()["beadwise"])["format_version"] == version


def test_it_says_what_it_is():
    text = " ".join(repr(random_equivariant_model(message=True)).split())
    assert "8 channels with l ≤ 2" in text and "messages of 8 channels with l ≤ 1" in text and "energy, dipole" in text


def damaged(path, change):
    """The file with something changed, its sha256 taken out."""
    with safe_open(path, framework="numpy") as file:
        description = json.loads(file.metadata()["beadwise"])
        arrays = {key: file.get_tensor(key) for key in file.keys()}
    description.pop("sha256")
    change(description, arrays)
    save_file(arrays, path, metadata={"beadwise": json.dumps(description)})


CHANGES = {
    "lacks its array 'equivariant.0.mixing'": lambda d, a: a.pop("equivariant.0.mixing"),
    "that the description does not have": lambda d, a: a.update({"equivariant.7.mixing": np.zeros(2)}),
    "arrays .* that the description does not have": lambda d, a: d.pop("equivariant"),
    "bias of a message has shape": lambda d, a: a.pop("equivariant.message.linear"),
    "three of an equivariant layer has shape": lambda d, a: a.update({"equivariant.0.three": np.zeros((2, 1, 8))}),
    "mixing of an equivariant layer has numbers that are not finite": lambda d, a: a["equivariant.0.mixing"].fill(
        np.nan
    ),
    "1 layers with a message": lambda d, a: d["equivariant"]["layers"].pop(),
    "l_read of an equivariant layer is 9": lambda d, a: d["equivariant"]["layers"][0].update(l_read=9),
    "the description has": lambda d, a: d["equivariant"]["layers"][0].update(hidden=[5, 7]),
}


@pytest.mark.parametrize("said", CHANGES)
def test_what_does_not_fit_is_refused_in_one_line(said, tmp_path):
    path = tmp_path / "model.safetensors"
    save(random_equivariant_model(message=True), path)
    damaged(path, CHANGES[said])
    with pytest.raises(ModelFileError, match=said) as error:
        load(path)
    assert "\n" not in str(error.value)


def test_it_belongs_to_its_model():
    model = random_equivariant_model()
    with pytest.raises(ModelFileError, match="an equivariant network for"):
        replace(random_model(radial=4, heads=("energy", "dipole")), equivariant=model.equivariant)
    with pytest.raises(ModelFileError, match="has the tensor 'dipole'; allowed are"):
        replace(random_model(heads=("energy",)), equivariant=model.equivariant)
    with pytest.raises(ModelFileError, match="allowed is one of them"):
        replace(random_model(heads=("energy", "dipole"), hidden=(3,)), equivariant=model.equivariant)
