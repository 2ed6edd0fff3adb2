"""One request gets one response: on the fast path, on the ASGI path, and with uvicorn's own protocol.

An answer is compared whole, but for its Date.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from uvicorn.protocols.http import flow_control, httptools_impl

from imgcache.cli import serve as serve_command
from imgcache.server import uvicorn_parts
from imgcache.server.protocol import BoundedProtocol
from tests.server.test_serve_security import A
from tests.support.served import ask, held, raw, serving, write_manifest


class SlowPath(BoundedProtocol):
    """Our protocol without the fast path."""

    def _answer_at_once(self) -> bool:
        return False


class Places(NamedTuple):
    """The ports of one cache, served three ways; `path` is one of its files."""

    short: int
    long: int
    plain: int
    path: bytes

    def warm(self) -> None:
        """Loads the files into memory for the fast path, which uses them for a second."""
        for port in self[:3]:
            ask(port, self.path.decode())
            ask(port, f"/image?w=300&url={A}", accept="image/webp")

    def answers(self, request: bytes) -> list[bytes]:
        self.warm()
        return [re.sub(rb"\r\ndate: [^\r]*", b"", raw(port, request)) for port in self[:3]]


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Places]:
    cache = tmp_path_factory.mktemp("site") / "cache"
    cache.mkdir()
    asset = held(cache)
    write_manifest(cache, {A: asset})
    with ExitStack() as stack:
        short = stack.enter_context(serving(cache))
        long = stack.enter_context(serving(cache, http=SlowPath))
        plain = stack.enter_context(serving(cache, http="httptools"))
        yield Places(short, long, plain, f"/{asset.variants[1].path}".encode())


LAST = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


def request(target: bytes, *fields: bytes, line: bytes = b"GET %s HTTP/1.1", body: bytes = b"") -> bytes:
    """With a second request that closes the connection: the fast path takes none that closes it."""
    return b"\r\n".join((line % target, *fields)) + b"\r\n\r\n" + body + LAST


HOST = b"Host: x"
IMAGE = b"/image?w=300&url=" + A.encode()
CHUNKED = b"Transfer-Encoding: chunked"
REQUESTS: dict[str, bytes] = {
    "file": request(b"PATH", HOST),
    "image": request(IMAGE, HOST, b"Accept: image/webp"),
    "two lines of Accept": request(IMAGE, HOST, b"Accept: text/html", b"Accept: image/webp"),
    "star before the path": request(b"*PATH", HOST),
    "star for the slash": request(b"*ASSET", HOST),
    "no slash": request(b"ASSET", HOST),
    "absolute": request(b"http://any.examplePATH", HOST),
    "escaped": request(b"/%61ssets/ab", HOST),
    "query": request(b"PATH?x=1", HOST),
    "fragment": request(b"PATH#x", HOST),
    "image with a fragment": request(IMAGE + b"#x", HOST, b"Accept: image/webp"),
    "no host": request(b"PATH"),
    "two hosts": request(b"PATH", HOST, HOST),
    "two hosts on one line": request(b"PATH", b"Host: a,b"),
    "two hosts, image": request(IMAGE, b"Host: a,b", b"Accept: image/webp"),
    "empty host": request(b"PATH", b"Host:"),
    "1.0": request(b"PATH", line=b"GET %s HTTP/1.0"),
    "1.0 with two hosts": request(b"PATH", b"Host: a,b", line=b"GET %s HTTP/1.0"),
    "head": request(b"PATH", HOST, line=b"HEAD %s HTTP/1.1"),
    "post": request(b"PATH", HOST, b"Content-Length: 1", line=b"POST %s HTTP/1.1", body=b"x"),
    "range": request(b"PATH", HOST, b"Range: bytes=1-2"),
    "if-none-match": request(b"PATH", HOST, b"If-None-Match: *"),
    "long accept": request(IMAGE, HOST, b"Accept: image/jpeg" + b" " * 1100 + b";q=1"),
    "long range": request(b"PATH", HOST, b"Range: bytes=" + b"0" * 1100 + b"-1"),
    "body": request(b"PATH", HOST, b"Content-Length: 3", body=b"abc"),
    "chunks": request(b"PATH", HOST, CHUNKED, body=b"1\r\nx\r\n0\r\n\r\n"),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_both_paths_give_the_same_response(places: Places, name: str) -> None:
    sent = REQUESTS[name].replace(b"PATH", places.path).replace(b"ASSET", places.path[1:])
    short, long, plain = places.answers(sent)
    assert short.startswith(b"HTTP/1.1 ")
    assert short == long == plain


@pytest.mark.parametrize("trailer", [b"Range: bytes=0-1", b"Host: b", b"Accept: text/html", b"If-None-Match: *"])
def test_trailer_fields_are_ignored(places: Places, trailer: bytes) -> None:
    """RFC 9110, section 6.5.1: a trailer field is merged only where its definition allows that."""
    bodies = (b"0\r\n" + end + b"\r\n" for end in (b"", trailer + b"\r\n"))
    without, with_it = (places.answers(request(places.path, HOST, CHUNKED, body=body))[:2] for body in bodies)
    assert without == with_it
    assert without[0].startswith(b"HTTP/1.1 200 ")


_targets = st.lists(
    st.sampled_from([b"PATH", b"ASSET", b"/", b"*", b"?", b"#", b"%2f", b"/image", b"url=" + A.encode(), b"&", b"."]),
    min_size=1,
    max_size=4,
).map(b"".join)
_fields = st.lists(
    st.sampled_from(
        [
            *[HOST, HOST, HOST, b"Host: a,b", b"host:", b"Accept: image/webp", b"Accept:", b"Accept: ,"],
            *[b"Range: bytes=0-", b"Range:", b"If-Match: *", b'If-None-Match: "', b"If-Modified-Since: x"],
            *[b"Expect: 100-continue", b"Upgrade: h2c", b"Connection: keep-alive", b"Connection: upgrade"],
            *[b"Content-Length: 0", b"X: y"],
        ]
    ),
    max_size=4,
)
_lines = st.sampled_from([b"GET %s HTTP/1.1"] * 4 + [b"HEAD %s HTTP/1.1", b"GET %s HTTP/1.0", b"PUT %s HTTP/1.1"])


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_targets, _fields, _lines)
def test_any_request_gets_the_same_response_on_both_paths(
    places: Places, target: bytes, fields: list[bytes], line: bytes
) -> None:
    target = target.replace(b"PATH", places.path).replace(b"ASSET", places.path[1:])
    short, long, _ = places.answers(request(target, *fields, line=line))
    assert short == long


# -- another uvicorn ---------------------------------------------------------------------------------------------------


def _nothing_else(self: object) -> None:
    """Has other parameters than the method it replaces."""


@pytest.mark.parametrize(
    ("owner", "name", "value", "named"),
    [
        (httptools_impl, "HttpToolsProtocol", None, "HttpToolsProtocol"),
        (httptools_impl, "RequestResponseCycle", None, "RequestResponseCycle"),
        (flow_control, "FlowControl", None, "FlowControl"),
        (httptools_impl.HttpToolsProtocol, "on_response_complete", None, "HttpToolsProtocol.on_response_complete()"),
        (httptools_impl.HttpToolsProtocol, "on_header", _nothing_else, "HttpToolsProtocol.on_header(name, value)"),
        (httptools_impl.HttpToolsProtocol, "__init__", _nothing_else, "constructor"),
    ],
)
def test_uvicorns_own_protocol_serves_if_a_name_is_missing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, owner: Any, name: str, value: Any, named: str
) -> None:
    monkeypatch.setattr(owner, name, value)
    with caplog.at_level(logging.WARNING, "imgcache.server"):
        assert serve_command._settings()["http"] == "auto"
    assert re.search(rf"uvicorn \S+ lacks {re.escape(named)}", caplog.text)
    assert "install uvicorn 0.54" in caplog.text


def test_our_protocol_serves_with_the_installed_uvicorn(caplog: pytest.LogCaptureFixture) -> None:
    found = uvicorn_parts.choose_protocol()
    assert isinstance(found, type)
    assert issubclass(found, asyncio.Protocol)
    assert found is BoundedProtocol
    assert caplog.text == ""
