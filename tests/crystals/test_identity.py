"""What tells a potential from all others, and names that are handed on."""

import os

from beadwise.model import save
from beadwise.model.committee import Committee
from beadwise.model.correction import Corrected
from beadwise.model.evaluators.identity import identity_of
from beadwise.model.evaluators.registry import from_any_folder
from models import random_model
from toy import Toy


class Provided(Toy):
    def __init__(self, provider: str):
        super().__init__()
        self.provider = provider


def test_what_provides_a_part_counts():
    correction = random_model(heads=["energy"])
    of_corrections = {identity_of("x", Corrected(Provided(version), correction)) for version in ("a 1", "a 2", "a 1")}
    assert len(of_corrections) == 2
    of_committees = {identity_of("x", Committee([Provided("a 1"), Provided(version)])) for version in ("a 1", "a 2")}
    assert len(of_committees) == 2


def test_a_client_is_the_same_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "driver.py").touch()
    name = "client:python driver.py {address}"
    assert from_any_folder(name) != name
    assert identity_of(name, Toy()) == identity_of(from_any_folder(name), Toy())


def test_a_name_through_a_linked_folder_is_the_file_that_is_seen(tmp_path):
    for folder in ("data/models", "u"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "u" / "link").symlink_to(tmp_path / "data" / "models")
    for folder in ("data", "u"):
        save(random_model(), tmp_path / folder / "w.safetensors")
    found = from_any_folder("../w.safetensors", [tmp_path / "u" / "link"])
    assert os.path.samefile(found, tmp_path / "data" / "w.safetensors")
