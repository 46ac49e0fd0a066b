"""What the page's server answers, to whom, and where it listens."""

import gzip
import http.client
import json
import socket
import threading

import pytest
from beadwise.driver.watch.server import HEADERS, LOOPBACK, Content, LoopbackServer, Pages, ServerError
from beadwise.errors import BeadwiseError


class Counter:
    """A page that changes each time it is asked to."""

    def __init__(self):
        self.number = 0

    def __call__(self):
        return Content("application/json", json.dumps({"number": self.number}).encode())


def failing():
    raise BeadwiseError("the run is\nnot there")


@pytest.fixture
def counter():
    return Counter()


@pytest.fixture
def server(counter):
    page = Content("text/html; charset=utf-8", b"<p>page</p>" * 100)
    server = LoopbackServer(Pages({"": lambda: page, "data.json": counter, "broken": failing}))
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def ask(server, path, method="GET", **headers):
    connection = http.client.HTTPConnection(LOOPBACK, server.port, timeout=5)
    connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, dict(answer.getheaders()), body


def test_page_has_its_token(server):
    token = server.pages.token
    assert len(token) >= 20 and server.url == f"http://127.0.0.1:{server.port}/{token}/"
    status, headers, body = ask(server, f"/{token}/")
    assert (status, body[:3]) == (200, b"<p>") and headers["Server"].strip() == "beadwise"
    assert {name: headers[name] for name in HEADERS} == HEADERS
    wrong = ["/", f"/{token}", f"/{token[:-1]}/", f"/{token}x/", "//", "/../etc/passwd"]
    for path in [*wrong, f"/{token}/../{token}/", f"/{token}//etc/passwd", f"/{token}/data.json/", f"/{token}/%2e%2e"]:
        status, _, body = ask(server, path)
        assert status == 404 and body.count(b"\n") == 1, path


def test_only_what_changed_is_sent_again(server, counter):
    path = f"/{server.pages.token}/data.json"
    status, headers, body = ask(server, path)
    assert (status, body) == (200, b'{"number": 0}')
    tag = headers["ETag"]
    assert ask(server, path, If_None_Match=tag)[::2] == (304, b"")
    counter.number = 1
    status, headers, body = ask(server, path, If_None_Match=tag)
    assert (status, body) == (200, b'{"number": 1}') and headers["ETag"] != tag


def test_packed_for_who_unpacks(server):
    path = f"/{server.pages.token}/?session=1"
    plain = ask(server, path)[2]
    _, headers, body = ask(server, path, Accept_Encoding="gzip, deflate")
    assert headers["Content-Encoding"] == "gzip" and len(body) < len(plain) and gzip.decompress(body) == plain


@pytest.mark.parametrize("method", ["POST", "PUT", "HEAD", "DELETE", "OPTIONS", "CONNECT"])
def test_get_only(server, method):
    status, _, body = ask(server, f"/{server.pages.token}/", method)
    assert status == 405 and (body == b"" if method == "HEAD" else b"GET is" in body)


@pytest.mark.parametrize(
    "host, allowed",
    [
        ("localhost:8888", True),
        ("127.0.0.1:1", True),
        ("[::1]:9", True),
        ("LOCALHOST", True),
        ("evil.example", False),
        ("evil.example:80", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example:1", False),
        ("", False),
    ],
)
def test_other_names_of_this_machine_are_refused(server, host, allowed):
    status, _, body = ask(server, f"/{server.pages.token}/", Host=host)
    assert status == (200 if allowed else 403)
    assert allowed or (b"is not allowed" in body and body.count(b"\n") == 1)


def test_what_fails_is_one_line(server):
    assert ask(server, f"/{server.pages.token}/broken")[::2] == (503, b"the run is not there\n")
    for rubbish in (
        b"rubbish\r\n\r\n",
        b"GET\r\n\r\n",
        b"\x00\x01\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /\xe9/ HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ):
        with socket.create_connection((LOOPBACK, server.port), timeout=5) as peer:
            peer.sendall(rubbish)
            peer.shutdown(socket.SHUT_WR)
            while peer.recv(4096):
                pass
    assert ask(server, f"/{server.pages.token}/")[0] == 200


def test_many_that_say_nothing(server):
    """Connections that send no request are let go, and do not pile up."""
    silent = [socket.create_connection((LOOPBACK, server.port), timeout=5) for _ in range(40)]
    for one in silent:
        one.close()
    for _ in range(50):
        try:
            assert ask(server, f"/{server.pages.token}/")[0] == 200
            break
        except (OSError, http.client.HTTPException):
            threading.Event().wait(0.05)
    else:
        raise AssertionError("no answer any more")


def test_port_that_is_taken_is_one_line(server):
    with pytest.raises(ServerError, match=f"cannot listen at port {server.port} of 127.0.0.1"):
        LoopbackServer(Pages({}), server.port)
    with pytest.raises(ServerError, match="cannot listen at port 99999"):
        LoopbackServer(Pages({}), 99999)


def test_tokens_differ():
    assert Pages({}).token != Pages({}).token
