"""Files that appear whole or not at all."""

import os
import signal
import subprocess
import sys

import pytest
from beadwise.model import load, save
from beadwise.whole_files import whole_file, write_bytes, write_table, write_text
from models import random_model

KILLED = """
import os, signal, sys
from beadwise.whole_files import whole_file
with whole_file(sys.argv[1]) as unfinished:
    unfinished.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("durable", [False, True])
def test_texts_and_bytes(tmp_path, durable):
    write_text(tmp_path / "a", "å\n", durable)
    write_bytes(str(tmp_path / "b"), b"\x00\xff", durable)
    assert (tmp_path / "a").read_bytes() == "å\n".encode() and (tmp_path / "b").read_bytes() == b"\x00\xff"
    assert names(tmp_path) == ["a", "b"]


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_what_fails_leaves_what_was_there(tmp_path, error):
    (tmp_path / "a").write_text("before")
    with pytest.raises(error), whole_file(tmp_path / "a") as unfinished:
        unfinished.write_text("half")
        raise error
    assert (tmp_path / "a").read_text() == "before" and names(tmp_path) == ["a"]
    with pytest.raises(FileNotFoundError):
        write_text(tmp_path / "none" / "a", "text")


def test_who_is_killed_leaves_what_was_there(tmp_path):
    (tmp_path / "a").write_text("before")
    killed = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "a")], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert (tmp_path / "a").read_text() == "before"
    assert all(name.startswith(".a.") for name in names(tmp_path) if name != "a")


def test_links_and_what_is_no_plain_file_stay(tmp_path):
    (tmp_path / "a").write_text("before")
    (tmp_path / "link").symlink_to("a")
    write_text(tmp_path / "link", "after")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "a").read_text() == "after"
    write_text(os.devnull, "text")
    assert not os.path.isfile(os.devnull)
    code = "from beadwise.whole_files import write_text; print('a', flush=True); write_text('/dev/stdout', 'b')"
    command = [sys.executable, "-c", code]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "a\nb"


def test_tables(tmp_path):
    write_table(tmp_path / "a.csv", ["a note", "another"], [["x", "y, z"], (1, 2.5)])
    assert (tmp_path / "a.csv").read_bytes() == b'# a note\n# another\nx,"y, z"\r\n1,2.5\r\n'


def test_a_fit_that_is_ended_leaves_the_model_that_was_there(tmp_path, monkeypatch):
    path = tmp_path / "model.safetensors"
    model = random_model(heads=["energy"])
    save(model, path)
    monkeypatch.setattr(os, "fsync", lambda number: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        save(random_model(seed=3, heads=["dipole"]), path)
    assert list(load(path).heads) == list(model.heads) and names(tmp_path) == ["model.safetensors"]


def test_names_on_the_way_cannot_be_guessed(tmp_path, monkeypatch):
    """A link under the name of the unfinished file, set by somebody else, is not followed."""
    (tmp_path / "victim").write_text("precious")
    tokens = iter(["guessed", "other"])
    monkeypatch.setattr("secrets.token_hex", lambda size: next(tokens))
    (tmp_path / ".a.guessed").symlink_to("victim")
    write_text(tmp_path / "a", "new")
    assert (tmp_path / "victim").read_text() == "precious" and (tmp_path / "a").read_text() == "new"


def test_long_names_and_permissions(tmp_path):
    name = "ä" * 120
    before = os.umask(0o027)
    try:
        write_text(tmp_path / name, "text")
    finally:
        os.umask(before)
    assert names(tmp_path) == [name] and (tmp_path / name).stat().st_mode & 0o777 == 0o640
    with pytest.raises(OSError, match="too long"):
        write_text(tmp_path / ("a" * 300), "text")
