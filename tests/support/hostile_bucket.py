"""An S3 endpoint whose answers a test writes by hand, on a real socket."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import MappingProxyType
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

import pytest

MODIFIED = "Wed, 01 Jan 2025 00:00:00 GMT"


class Request(NamedTuple):
    """What was asked: the key is without bucket, and `query` has the last value of each name."""

    method: str
    key: str
    query: dict[str, str]
    headers: dict[str, str]


class Reply(NamedTuple):
    """An answer. `length` is announced in place of the body's own; the body may be sent in pieces."""

    status: int = 200
    headers: Mapping[str, str] = MappingProxyType({})
    body: bytes | Iterable[bytes] = b""
    length: int | None = None


Script = Callable[[Request], Reply]


class Endpoint(ThreadingHTTPServer):
    """The server. `script` answers, `requests` has all requests so far."""

    daemon_threads = True

    def __init__(self, script: Script) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.script = script
        self.requests: list[Request] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that leaves is what these tests are about."""


class _Handler(BaseHTTPRequestHandler):
    server: Endpoint
    protocol_version = "HTTP/1.1"

    def _reply(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = urlsplit(self.path)
        key = parts.path.strip("/").partition("/")[2]
        query = {name: values[-1] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        request = Request(self.command, key, query, {name.lower(): value for name, value in self.headers.items()})
        self.server.requests.append(request)
        reply = self.server.script(request)
        pieces = [reply.body] if isinstance(reply.body, bytes) else reply.body
        length = reply.length if reply.length is not None else sum(map(len, pieces))
        self.send_response_only(reply.status)
        fields = {"ETag": '"e"', "Last-Modified": MODIFIED, "Content-Length": str(length)} | dict(reply.headers)
        for name, value in fields.items():
            if value:
                self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            for piece in pieces:
                self.wfile.write(piece)
                self.wfile.flush()
        if reply.length is not None:
            self.close_connection = True

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _reply  # noqa: N815  # names of the standard library


@contextmanager
def hostile_bucket(script: Script, monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    """Starts the server; `s3://bucket` leads to it, with a timeout of one second for each request."""
    with Endpoint(script) as server:
        for name, value in {
            "AWS_ENDPOINT_URL": server.address,
            "AWS_ACCESS_KEY_ID": "imgcache",
            "AWS_SECRET_ACCESS_KEY": "a-secret-that-no-message-may-hold",
            "AWS_REGION": "us-east-1",
            "AWS_ALLOW_HTTP": "true",
        }.items():
            monkeypatch.setenv(name, value)
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def listing(*objects: tuple[str, int | str], prefixes: Iterable[str] = (), token: str = "") -> Reply:
    """A page of ListObjectsV2; a `token` announces a further page."""
    found = "".join(
        f"<Contents><Key>{key}</Key><LastModified>2025-01-01T00:00:00.000Z</LastModified><ETag>&quot;e&quot;</ETag>"
        f"<Size>{size}</Size></Contents>"
        for key, size in objects
    )
    common = "".join(f"<CommonPrefixes><Prefix>{prefix}</Prefix></CommonPrefixes>" for prefix in prefixes)
    more = f"<IsTruncated>true</IsTruncated><NextContinuationToken>{token}</NextContinuationToken>" if token else ""
    body = f'<?xml version="1.0"?><ListBucketResult>{more}{found}{common}</ListBucketResult>'.encode()
    return Reply(200, {"Content-Type": "application/xml"}, body)


def digest_of(data: bytes) -> str:
    """SHA-256 in hex."""
    return hashlib.sha256(data).hexdigest()
