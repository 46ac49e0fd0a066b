"""The files, lines and numbers that all analyses give back."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from beadwise.analysis.results import stem_of, warned, write_files, written_to
from beadwise.json_text import json_text, plain
from beadwise.model import BeadwiseError


@dataclass(frozen=True)
class Found:
    values: np.ndarray
    names: tuple[str, ...]
    place: Path


@pytest.mark.parametrize("given", ["a/b.csv", "a/b.png", "a/b"])
def test_a_name_with_an_ending_or_without(given):
    assert stem_of(Path(given), Path("other")) == Path("a/b")
    assert stem_of(None, Path("other")) == Path("other")
    assert stem_of(Path("run.2.csv"), Path("other")) == Path("run.2")


def test_files_of_one_stem(tmp_path):
    writers = {".csv": lambda path: path.write_text("1"), ".members.csv": lambda path: path.write_text("2")}
    files = write_files(tmp_path / "run.2", writers)
    assert [path.name for path in files] == ["run.2.csv", "run.2.members.csv"]
    assert written_to(files) == f"written to {files[0]} and {files[1]}"
    assert warned(["a", "b"]) == ["warning: a", "warning: b"]
    with pytest.raises(BeadwiseError, match=r"cannot write '.*none/a.csv': No such file"):
        write_files(tmp_path / "none" / "a", writers)


def test_numbers_for_programs():
    found = Found(np.array([[1.5, np.nan], [np.inf, -0.0]]), ("a",), Path("b"))
    expected = {"values": [[1.5, None], [None, -0.0]], "names": ["a"], "place": "b"}
    assert plain(found) == expected
    assert json.loads(json_text({"found": found, "n": np.int64(3), "x": np.float64(np.nan), "none": None})) == {
        "found": expected,
        "n": 3,
        "x": None,
        "none": None,
    }
