"""`beadwise fetch`, against a server on the loopback: whole files with the right checksum, or one line and nothing."""

from __future__ import annotations

import hashlib
import io
import tarfile
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socket import socket

import pytest
from beadwise.driver.commands.group import main
from beadwise.learning.data.label import DataError
from beadwise.learning.data.public_sets import REGISTRY, public_sets
from click.testing import CliRunner
from test_run import one_line

CONTENT = bytes(range(256)) * 1000


class Server:
    """Answers with the bytes of `contents`; counts what it was asked for."""

    def __init__(self):
        self.contents: dict[str, bytes] = {}
        self.asked: list[str] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                server.asked.append(self.path)
                name = self.path.strip("/")
                if name == "moved":
                    self.send_response(302)
                    self.send_header("Location", "/file")
                    self.end_headers()
                    return
                content = server.contents.get(name)
                if content is None:
                    self.send_error(404)
                    return
                self.send_response(200)
                self.send_header("Content-Length", str(len(content) + (1000 if name == "broken" else 0)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *words):
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._http.server_address[1]}"
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()

    def close(self):
        self._http.shutdown()
        self._http.server_close()


@pytest.fixture
def server(monkeypatch, tmp_path):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    own = Server()
    own.contents["file"] = CONTENT
    yield own
    own.close()


def registry(address: str, content: bytes = CONTENT, name: str = "file", path: str = "file", **more) -> str:
    entry = {"name": name, "url": f"{address}/{path}", "sha256": hashlib.sha256(content).hexdigest()}
    entry |= {"size": len(content), "licence": "CC0", "what": "numbers", "doi": "10.1/2"} | more
    written = {True: "true", False: "false"}
    rows = [f"{key} = {written.get(v, repr(v)) if isinstance(v, bool) else repr(v)}" for key, v in entry.items()]
    Path("sets.toml").write_text("[set]\ntitle = 'A set'\nnext = 'use it'\n[[set.files]]\n" + "\n".join(rows) + "\n")
    return "sets.toml"


def fetch(*arguments: str):
    return CliRunner().invoke(main, ["fetch", *arguments, "--registry", "sets.toml"])


def refused(*arguments: str) -> str:
    done = fetch(*arguments)
    assert done.exit_code == 2, done.output
    return one_line(done.stderr)


def there(folder: str) -> set[str]:
    return {path.name for path in Path(folder).iterdir()}


def test_a_file_comes_whole_with_its_origin_and_only_once(server):
    registry(server.address)
    done = fetch("set", "here")
    assert done.exit_code == 0, done.output
    assert Path("here/file").read_bytes() == CONTENT
    assert there("here") == {"file", "ORIGIN.set.txt"}
    assert "licence CC0; https://doi.org/10.1/2" in Path("here/ORIGIN.set.txt").read_text()
    assert done.stdout == "here/file: numbers; licence CC0; https://doi.org/10.1/2\nnext: use it\n"
    assert fetch("set", "here").exit_code == 0 and server.asked == ["/file"]
    Path("here/file").write_bytes(b"mine")
    assert "'here/file' is there with SHA-256" in refused("set", "here")
    assert Path("here/file").read_bytes() == b"mine"


def test_the_folder_is_called_after_the_set(server):
    registry(server.address, path="moved")
    assert fetch("set").exit_code == 0 and Path("set/file").read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("path", "content", "message"),
    [
        ("file", CONTENT[:-1] + b"x", "gave other bytes than are expected"),
        ("file", CONTENT[:-1], f"more than {len(CONTENT) - 1}"),
        ("file", CONTENT + b"x", f"{len(CONTENT)}, SHA-256"),
        ("absent", CONTENT, "answers 404"),
        ("broken", CONTENT, "broke: 1000 bytes were to follow"),
    ],
)
def test_what_is_not_expected_is_refused_and_not_kept(server, path, content, message):
    server.contents["broken"] = CONTENT[:1000]
    registry(server.address, content, path=path)
    assert message in refused("set")
    assert not there("set")


def test_without_a_network_there_is_one_sentence(server):
    with socket() as own:  # a port that nobody listens at
        own.bind(("127.0.0.1", 0))
        registry(f"http://127.0.0.1:{own.getsockname()[1]}")
        message = refused("set")
    assert "cannot reach 127.0.0.1: Connection refused; without a network, bring the file" in message
    assert "to 'set/file': http://127.0.0.1:" in message and not there("set")
    registry("http://nowhere.invalid")
    assert "cannot reach nowhere.invalid: " in refused("set")


def test_silence_of_the_other_side_ends(server):
    with socket() as own:
        own.bind(("127.0.0.1", 0))
        own.listen()
        registry(f"http://127.0.0.1:{own.getsockname()[1]}")
        assert "timed out" in refused("set", "--patience", "0.2")


def tar_of(**members: bytes) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def zip_of(**members: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return packed.getvalue()


@pytest.mark.parametrize(("ending", "pack"), [(".tar.gz", tar_of), (".zip", zip_of)])
def test_archives_are_unpacked_within_their_folder(server, ending, pack):
    server.contents["packed"] = content = pack(**{"inner/a.xyz": b"a", "b.xyz": b"b"})
    registry(server.address, content, "data" + ending, "packed", unpack=True)
    assert fetch("set").exit_code == 0
    assert Path("set/data/inner/a.xyz").read_bytes() == b"a"
    assert there("set") == {"data", "data" + ending, "ORIGIN.set.txt"}
    assert fetch("set").exit_code == 0


@pytest.mark.parametrize(
    ("ending", "content", "message"),
    [
        (".tar.gz", tar_of(**{"../out": b"a"}), "'../out', which is no plain file or would leave"),
        (".tar.gz", tar_of(**{"/tmp/out": b"a"}), "'/tmp/out', which"),
        (".zip", zip_of(**{"../out": b"a"}), "'../out', which"),
        (".zip", zip_of(bomb=bytes(10_000_000)), "would become 10000000 bytes"),
        (".zip", b"no archive", "cannot be unpacked"),
        (".tar.gz", b"no archive", "cannot be unpacked"),
    ],
    ids=["tar-above", "tar-absolute", "zip-above", "zip-bomb", "zip-none", "tar-none"],
)
def test_harmful_archives_are_refused(server, ending, content, message):
    server.contents["packed"] = content
    registry(server.address, content, "data" + ending, "packed", unpack=True)
    assert message in refused("set")
    assert there("set") == {"data" + ending} and not Path("out").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"url": "file:///etc/passwd"}, "'url' is file:///etc/passwd; it must begin with https:// or http://"),
        ({"url": "https://[data"}, "'url' is https://[data; it must begin with https:// or http://"),
        ({"name": "../file"}, "'name' is ../file; it must be a name without '/'"),
        ({"sha256": "abc"}, "'sha256' is abc; it must be 64 hexadecimal digits"),
        ({"size": 0}, "'size' is 0; it must be a whole number of bytes"),
        ({"unpack": True}, "'unpack' is True; true is for names that end in .tar.gz"),
        ({"licens": "MIT"}, "unknown key 'licens'; allowed are name, url"),
        ({"doi": 1}, "'doi' is 1; it must be a text"),
    ],
)
def test_a_registry_that_is_not_understood(server, change, message):
    registry(server.address, **change)
    assert message in refused("set") and not server.asked


def test_unknown_sets_and_registries(server):
    registry(server.address)
    assert "no public set 'sett'; allowed are set; did you mean 'set'?" in refused("sett")
    Path("sets.toml").write_text("[set")
    assert "cannot read the registry 'sets.toml'" in refused("set")
    Path("sets.toml").write_text("[set]\ntitle = 'A set'\nfiles = []\n")
    assert "'files' is []; it must be at least one table [[set.files]]" in refused("set")
    with pytest.raises(DataError, match="cannot read the registry"):
        public_sets(Path("absent.toml"))


def test_the_registry_that_ships():
    listed = CliRunner().invoke(main, ["fetch"]).stdout
    for name, own in public_sets(REGISTRY).items():
        assert f"{name}: {own.title}" in listed
        assert all(file.licence and file.doi and file.cite and file.url.startswith("https://") for file in own.files)
