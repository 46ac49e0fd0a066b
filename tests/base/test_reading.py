"""What others have written becomes one line of ours, whatever libraries say of it."""

import json

import pytest
from beadwise.driver.commands.group import main
from beadwise.errors import BeadwiseError, SeriesError
from beadwise.reading import checked, json_of, printable, refusing, shown, toml_of, whole_number

ERRORS = [ValueError("a\nb"), OSError(36, "name too long"), KeyError("a"), RecursionError(), MemoryError(), TypeError()]


@pytest.mark.parametrize("error", ERRORS)
def test_errors_of_libraries(error):
    with pytest.raises(SeriesError, match=r"^cannot read it: [^\n]+$"), refusing(SeriesError, "cannot read it"):
        raise error


def test_what_is_ours_or_a_defect_passes():
    with pytest.raises(BeadwiseError, match=r"^ours$"), refusing(SeriesError, "cannot read it"):
        raise BeadwiseError("ours")
    with pytest.raises(AssertionError), refusing(SeriesError, "cannot read it"):
        raise AssertionError


@pytest.mark.parametrize("text", ["1" * 400, "9" * 5000, str(2**63), "-9223372036854775809", "1.0", "", "nan"])
def test_numbers_that_numpy_cannot_hold(text, tmp_path):
    with pytest.raises(ValueError):
        whole_number(text)
    assert whole_number(str(2**63 - 1)) == 2**63 - 1
    (tmp_path / "a.toml").write_text(f"a = [{{b = {text or '['}}}]")
    if text not in ("1.0", "nan"):
        with pytest.raises(SeriesError), refusing(SeriesError, "cannot read it"):
            toml_of(tmp_path / "a.toml")


def test_depth():
    assert json_of("[[[1, {}]]]") == [[[1, {}]]]
    for depth in (60, 500, 100_000):
        with pytest.raises((ValueError, RecursionError)):
            json_of("[" * depth + "]" * depth)
    with pytest.raises(ValueError, match="below 2"):
        checked({"a": [10**400]})
    assert json_of(json.dumps(checked([True, None, 1.5, "a"]))) == [True, None, 1.5, "a"]


def test_values_in_messages():
    assert shown("a" * 300).endswith("… (300 characters)") and len(shown("a" * 10**6)) < 250
    assert printable("a\x1b[2J\x07é\n") == "a\\x1b[2J\\x07é\n"


def test_terminals_obey_no_message(capsys):
    with pytest.raises(SystemExit):
        main(["inspect", "a\x1b[2Jb"])
    said = capsys.readouterr().err
    assert "\x1b" not in said and "a\\x1b[2Jb" in said
