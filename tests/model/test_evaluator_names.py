"""Names of what answers: prefixes of ours and of other packages, what they are made of, what is said of wrong ones."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from beadwise.errors import BeadwiseError, PluginError
from beadwise.model import Model, save
from beadwise.model.errors import EvaluatorError, ModelFileError
from beadwise.model.evaluators import (
    BUILT_IN,
    files_of,
    from_any_folder,
    full_name,
    load_evaluator,
    models_of,
    parts_of,
    short_name,
    writes_files,
)
from beadwise.model.files import shipped_models
from beadwise.model.qtip4pf import QTip4pF
from models import random_model
from packages import install
from springs import Springs

SOURCE = """
from pathlib import Path

from beadwise.model.evaluators import Provider, models_from
from springs import Springs


class Own(Springs):
    def __init__(self, rest, threads):
        self.rest, self.threads = rest, threads


def broken(rest, threads):
    raise RuntimeError("no weights")


own = Provider("own", Own, "own:FILE", models=models_from(0))
broken = Provider("broken", broken, "broken:FILE")
nothing = Provider("nothing", lambda rest, threads: 3, "nothing:FILE")
text = "no provider"
"""


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package that adds evaluators, and some that cannot be; the current folder is an empty one."""
    places = {name: f"added_evaluators:{name}" for name in ("own", "broken", "nothing", "text", "absent")}
    places |= {
        "missing": "no_such_package:PROVIDER",
        "qtip4pf": "added_evaluators:own",
        "water": "added_evaluators:own",
    }
    install(tmp_path, "added_evaluators", SOURCE, beadwise_evaluators=places)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "added_evaluators", raising=False)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")


def test_an_evaluator_of_another_package(package):
    evaluator = load_evaluator("own:a,b=1", 3)
    assert isinstance(evaluator, Springs)
    assert (evaluator.rest, evaluator.threads) == ("a,b=1", 3)
    assert [type(member).__name__ for member in load_evaluator("committee:own:x,water").members] == ["Own", "Model"]


def test_its_files_are_found_from_anywhere(package):
    Path("weights.pt").touch()
    absolute = str(Path("weights.pt").resolve())
    assert from_any_folder("own:weights.pt, other") == f"own:{absolute},other"
    assert from_any_folder("committee:own:weights.pt,qtip4pf") == f"committee:own:{absolute},qtip4pf"
    assert parts_of("own:weights.pt,other") == ["weights.pt", "other"]
    assert set(files_of("own:weights.pt,other")) == {Path("weights.pt")}


def test_none_takes_the_place_of_ours_or_of_a_file(package):
    assert isinstance(load_evaluator("qtip4pf"), QTip4pF)
    assert isinstance(load_evaluator("water"), Model)
    save(random_model(), "own:weights.pt")
    assert isinstance(load_evaluator("own:weights.pt"), Model)
    with pytest.raises(EvaluatorError, match="'a' is no parameter of the potential qtip4pf"):
        load_evaluator("qtip4pf:a")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing:x", "the evaluator 'missing' of no_such_package:PROVIDER cannot be imported: No module named"),
        ("absent:x", "the evaluator 'absent' of added_evaluators:absent cannot be imported: .*has no attribute"),
        ("text:x", "the evaluator 'text' of added_evaluators:text is str; it must be Provider"),
        ("broken:x", r"'broken:x' of added_evaluators:broken cannot be made \(RuntimeError: no weights\); it is writ"),
        ("nothing:x", "'nothing:x' of added_evaluators:nothing is int; it needs the attributes species, properties"),
    ],
)
def test_those_that_fail_say_so_in_one_line(package, name, message):
    with pytest.raises(PluginError, match=message) as caught:
        load_evaluator(name)
    assert isinstance(caught.value, BeadwiseError) and "\n" not in str(caught.value)


def test_one_that_cannot_be_imported_is_no_matter_to_others(package):
    assert isinstance(load_evaluator("own:x"), Springs)
    with pytest.raises(EvaluatorError, match=r"allowed are .*, own:… of added_evaluators, .*missing:… of no_such_pack"):
        load_evaluator("no_such_module:thing")


def test_a_prefix_alone_is_no_name(package):
    with pytest.raises(ModelFileError, match="no model 'own'"):
        load_evaluator("own")


def test_every_usage_is_told():
    with pytest.raises(EvaluatorError) as caught:
        load_evaluator("no_such_module:thing")
    assert all(provider.usage in str(caught.value) for provider in BUILT_IN.values())
    assert [provider.prefix for provider in BUILT_IN.values()] == list(BUILT_IN)
    assert not set(BUILT_IN) & set(shipped_models())


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("watr", "; did you mean 'water'"),
        ("qtip4p", "; did you mean 'qtip4pf'"),
        ("GFN1xTB", "; did you mean 'GFN1-xTB'"),
        ("harmonc:k=1", "; did you mean 'harmonic'?"),
        ("comittee:water,qtip4pf", "; did you mean 'committee'?"),
    ],
)
def test_the_nearest_names_are_told(name, hint):
    with pytest.raises(BeadwiseError) as caught:
        load_evaluator(name)
    assert hint in str(caught.value)


def test_nothing_is_guessed_where_nothing_is_near():
    with pytest.raises(ModelFileError) as caught:
        load_evaluator("0000")
    assert "did you mean" not in str(caught.value)
    assert f"one of the shipped models {shipped_models()}" in str(caught.value)
    assert all(prefix in str(caught.value) for prefix in BUILT_IN)


def test_what_names_are_made_of(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("a.safetensors").touch()
    for name, models in {
        "water": ["water"],
        "GFN1-xTB,charge=1": ["GFN1-xTB,charge=1"],
        "harmonic:k=1": ["harmonic:k=1"],
        "committee:correction:a,qtip4pf": ["a", "qtip4pf"],
        "committee:alone": ["committee:alone"],  # an attribute of a module
        "weighted-baseline:uncertainty=0.1,a,b": ["a", "b"],
        "member:3,a.safetensors": ["a.safetensors"],
        "mace:a.model,dtype=float32": ["a.model"],
        # a setting belongs to the member before it
        "committee:GFN1-xTB,charge=1,water,mace:a.model,chunk=2,head=b": ["GFN1-xTB,charge=1", "water", "a.model"],
        "weighted-baseline:uncertainty=0.1,harmonic:k=1,a=b": ["harmonic:k=1,a=b"],
    }.items():
        assert models_of(name) == models
    assert files_of("member:3,a.safetensors")[-1] == Path("a.safetensors")
    assert files_of("qtip4pf") == []
    assert [path.name for path in files_of("water")] == ["water.safetensors"]
    assert [path.name for path in files_of("springs:Springs")] == ["springs.py"]
    load_evaluator("ase:ase.calculators.emt.EMT")
    assert [path.name for path in files_of("ase:ase.calculators.emt.EMT:a=a.safetensors")] == [
        "a.safetensors",
        "emt.py",
    ]


def test_only_names_of_models_are_made_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("3", "uncertainty=0.1", "a"):
        Path(name).touch()
    assert from_any_folder("member:3,a") == f"member:3,{tmp_path / 'a'}"
    absolute = f"weighted-baseline:uncertainty=0.1,{tmp_path / 'a'},b"
    assert from_any_folder("weighted-baseline:uncertainty=0.1,a,b") == absolute


def test_a_folder_is_no_model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("water").mkdir()
    assert from_any_folder("water") == "water"
    assert isinstance(load_evaluator("water"), Model)


def test_a_name_may_be_longer_than_that_of_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save(random_model(), "member.safetensors")
    name = f"committee:{','.join(['member.safetensors'] * 40)}"
    assert len(load_evaluator(name).members) == 40
    assert from_any_folder(name).count(str(tmp_path)) == 40


def test_short_and_full_names():
    for name in ("GFN1-xTB", "GFN2-xTB,charge=1"):
        assert full_name(name) == f"tblite:{name}" and short_name(full_name(name)) == name
    for name in ("water", "committee:GFN1-xTB,water", "springs:GFN1-xTB_like"):
        assert full_name(name) == name == short_name(name)


def test_which_need_a_folder_of_their_own():
    assert writes_files("ase:ase.calculators.emt.EMT") and writes_files("committee:ase:ase.calculators.emt.EMT,water")
    assert not writes_files("water") and not writes_files("springs:Springs")
