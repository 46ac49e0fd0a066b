"""A page on loopback, and what it reads; nothing else of this machine can be asked for.

Whoever has an account on the same machine reaches its loopback, too: the address holds a token that nobody can guess.
A page of another site that has its name resolve to this machine (DNS rebinding) sends that name as the host, and is
refused.
"""

from __future__ import annotations

import gzip
import hashlib
import hmac
import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import socket
from typing import Any

from ...errors import BeadwiseError

LOOPBACK = "127.0.0.1"
HOSTS = ("127.0.0.1", "localhost", "[::1]")  # a tunnel of ssh begins at one of them, at any port
TOKEN_BYTES = 18
PATIENCE = 10.0  # s, for a request to arrive
MOST_AT_ONCE = 32  # connections
AGAIN = "5"  # s, after which a browser asks for a page that was not there yet
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    # the page has a policy of its own, which allows less: it loads nothing, and asks only where it came from
    "Content-Security-Policy": "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval' blob:; style-src "
    "'unsafe-inline'; img-src data: blob:; font-src data:; worker-src blob:; connect-src 'self' data: blob:; "
    "frame-ancestors 'none'; form-action 'none'; base-uri 'none'",
}


class ServerError(BeadwiseError):
    """A port that cannot be listened at, or what is not there yet."""


@dataclass(frozen=True)
class Content:
    """What is sent for one path.

    Parameters
    ----------
    kind : str
        Of its bytes, as ``text/html; charset=utf-8``.
    body : bytes
    """

    kind: str
    body: bytes

    @cached_property
    def tag(self) -> str:
        """What tells it from what was there before, for ``If-None-Match``."""
        return f'"{hashlib.sha256(self.body).hexdigest()[:32]}"'

    @cached_property
    def packed(self) -> bytes:
        """Its bytes for what unpacks gzip: a tunnel may be narrow."""
        return gzip.compress(self.body, compresslevel=5, mtime=0)


Maker = Callable[[], Content]


@dataclass
class Pages:
    """What can be asked for, by the path behind the token; the empty one is the page itself.

    Parameters
    ----------
    makers : mapping of str to callable
        Each is called when its path is asked for.
    """

    makers: Mapping[str, Maker]
    token: str = field(default_factory=lambda: secrets.token_urlsafe(TOKEN_BYTES))

    def find(self, path: str) -> Maker | None:
        """What makes the content of a path; None for any other one, and for a wrong token."""
        token, slash, rest = path.partition("?")[0].removeprefix("/").partition("/")
        if not slash or not hmac.compare_digest(token.encode(), self.token.encode()):
            return None
        return self.makers.get(rest)


class LoopbackServer(ThreadingHTTPServer):
    """Answers GET on loopback, each request in a thread of its own.

    Parameters
    ----------
    pages : Pages
    port : int
        0 for one that is free.

    Raises
    ------
    ServerError
        If the port cannot be listened at.
    """

    daemon_threads = True
    request_queue_size = 2 * MOST_AT_ONCE
    allow_reuse_address = True

    def __init__(self, pages: Pages, port: int = 0):
        self.pages = pages
        self._places = threading.BoundedSemaphore(MOST_AT_ONCE)
        try:
            super().__init__((LOOPBACK, port), _Handler)
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or error
            raise ServerError(
                f"cannot listen at port {port} of {LOOPBACK}: {reason}; allowed is one that is free, or 0 for any"
            ) from error

    @property
    def port(self) -> int:
        """At which it listens."""
        return int(self.server_address[1])

    @property
    def url(self) -> str:
        """Address of the page, with its token."""
        return f"http://{LOOPBACK}:{self.port}/{self.pages.token}/"

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread, unless there are too many of them already."""
        if not self._places.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer one connection."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: socket | tuple[bytes, socket], client_address: Any) -> None:
        """A connection that broke off concerns nobody."""


class _Handler(BaseHTTPRequestHandler):
    server: LoopbackServer
    timeout = PATIENCE
    server_version, sys_version = "beadwise", ""

    def do_GET(self) -> None:
        """Answer one request."""
        host = self.headers.get("Host", "")
        if _name_of(host) not in HOSTS:
            self._refuse(HTTPStatus.FORBIDDEN, f"the host {host[:80]!r} is not allowed; {' and '.join(HOSTS)} are")
            return
        make = self.server.pages.find(self.path)
        if make is None:
            self._refuse(HTTPStatus.NOT_FOUND, "there is nothing here; the address that beadwise printed is needed")
            return
        try:
            content = make()
        except (BeadwiseError, OSError) as error:
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, " ".join(str(error).split()))
            return
        if self.headers.get("If-None-Match") == content.tag:
            self._send(HTTPStatus.NOT_MODIFIED, {"ETag": content.tag}, b"")
            return
        packs = "gzip" in self.headers.get("Accept-Encoding", "")
        own = {"Content-Type": content.kind, "ETag": content.tag, "Vary": "Accept-Encoding"}
        self._send(
            HTTPStatus.OK,
            own | ({"Content-Encoding": "gzip"} if packs else {}),
            content.packed if packs else content.body,
        )

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Refuse what is no GET, or no request at all, in one line."""
        if code == HTTPStatus.NOT_IMPLEMENTED:
            code, message = HTTPStatus.METHOD_NOT_ALLOWED, f"{(self.command or '')[:20]!r} is not allowed; GET is"
        self._refuse(HTTPStatus(code), message or HTTPStatus(code).phrase)

    def _refuse(self, status: HTTPStatus, line: str) -> None:
        self.close_connection = True
        own = {"Content-Type": "text/plain; charset=utf-8"}
        if status == HTTPStatus.SERVICE_UNAVAILABLE:
            own["Refresh"] = AGAIN  # a browser asks again by itself
        self._send(status, own, f"{line}\n".encode(errors="replace"))

    def _send(self, status: HTTPStatus, own: Mapping[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in {**HEADERS, "Cache-Control": "no-cache", **own}.items():
            self.send_header(name, value)
        if status != HTTPStatus.NOT_MODIFIED:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Say nothing: who is asked by a browser every few seconds would fill the terminal."""


def _name_of(host: str) -> str:
    """The name in a header ``Host``, without its port."""
    name, colon, port = host.rpartition(":")
    return (name if colon and port.isdecimal() else host).lower()
