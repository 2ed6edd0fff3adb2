"""Unusual request targets: nothing outside assets/ is served, no control characters are logged."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from imgcache.config import ServePolicy
from imgcache.server.access_log import Request, access_log
from tests.support.served import ask, held, raw, serving, write_manifest

SECRET = b"the secret outside"
A = "https://pictures.example/a.jpg"


class Place(NamedTuple):
    port: int
    cache: Path
    folder: str  # of the image, below the cache


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    site = tmp_path_factory.mktemp("site")
    cache = site / "cache"
    cache.mkdir()
    asset = held(cache)
    write_manifest(cache, {A: asset})
    folder = asset.original.rpartition("/")[0]
    (site / "secret.jpg").write_bytes(b"\xff\xd8\xff" + SECRET)
    (cache / "assets" / "secret.jpg").write_bytes(b"\xff\xd8\xff" + SECRET)
    (cache / folder / "link.jpg").symlink_to(site / "secret.jpg")
    (cache / folder / "page.html").write_bytes(b"<html><script>alert(1)</script>")
    (cache / folder / "drawing.svg").write_bytes(b"<svg xmlns='http://www.w3.org/2000/svg'><script/></svg>")
    (cache / folder / "folder.jpg").mkdir()
    os.mkfifo(cache / folder / "pipe.jpg")
    (cache / "assets" / "cd").symlink_to(cache / "assets" / folder[7:9])
    (cache / "assets" / ("ef" + "0" * 62)[:2]).mkdir()
    (cache / "assets" / "ef" / ("ef" + "0" * 62)).symlink_to(cache / folder)
    with serving(cache, ServePolicy(access_log="text")) as port:
        yield Place(port, cache, folder)


def status(answer: bytes) -> int:
    found = re.match(rb"HTTP/1\.1 (\d{3}) ", answer)
    assert found, answer[:100]
    return int(found[1])


TARGETS = [
    b"/assets/../../secret.jpg",
    b"/assets/%2e%2e/%2e%2e/secret.jpg",
    b"/assets/%252e%252e/%252e%252e/secret.jpg",
    b"/assets/..%2f..%2fsecret.jpg",
    b"/assets/..%5c..%5csecret.jpg",
    b"/assets/..\\..\\secret.jpg",
    b"/assets/%c0%ae%c0%ae/secret.jpg",
    b"/assets/%ef%bc%8e%ef%bc%8e/secret.jpg",
    b"/assets/secret.jpg",
    b"/assets//secret.jpg",
    b"/assets/FOLDER/../../../secret.jpg",
    b"/assets/FOLDER/link.jpg",
    b"/assets/FOLDER/page.html",
    b"/assets/FOLDER/drawing.svg",
    b"/assets/FOLDER/folder.jpg",
    b"/assets/FOLDER/pipe.jpg",
    b"/assets/FOLDER/",
    b"/assets/FOLDER",
    b"/assets/FOLDER/original.jpg/",
    b"/assets/FOLDER/original.jpg%00.png",
    b"/assets/FOLDER/%00",
    b"/assets/FOLDER/original.jpg%0a",
    b"/assets/FOLDER/original.jpg;x",
    b"/assets/cd/BARE/original.jpg",
    b"/assets/ef/ef" + b"0" * 62 + b"/original.jpg",
    b"/assets/%zz/%",
    b"/%",
    b"/../secret.jpg",
    b"//secret.jpg",
    b"/ASSETS/FOLDER/original.jpg",
    b"/index/cache.db",
    b"/cache/manifest.json",
    b"/manifest.json/",
    b"/image",
    b"/image?",
    b"/image?url=",
    b"/image?w=3",
    b"/image?url=%",
    b"/image?url=%zz",
    b"/image?url=%ff",
    b"/image?url=a&url=b",
    b"/image?url=a&%75rl=b",
    b"/image?url=a&w=1&w=1",
    b"/image?url=a&w=0",
    b"/image?url=a&w=-1",
    b"/image?url=a&w=1e3",
    b"/image?url=a&w=999999",
    b"/image?url=a&w=%D9%A3",
    b"/image?url=a&format=svg",
    b"/image?url=file:///etc/passwd",
    b"/image?url=%00",
    b"/image?url=%1b%5b2J",
    b"/image?url=\x9b2J",
    b"/image?url=" + b"a" * 40_000,
    b"*",
    b"http://127.0.0.1/secret.jpg",
    b"http://elsewhere.example/assets/../../secret.jpg",
    b"secret.jpg",
    b"/\x1b[2Jsecret",
    b"/\xff\xfe",
]


def log_of(place: Place, capfd: pytest.CaptureFixture[str]) -> str:
    """Returns the log so far. A line is written after its response, so one more request is sent."""
    ask(place.port, "/the-last-one", method="HEAD")
    logged, until = "", time.monotonic() + 20
    while "/the-last-one" not in logged:
        assert time.monotonic() < until
        time.sleep(0.002)
        logged += capfd.readouterr().err
    return re.sub(r"[^\n]*/the-last-one[^\n]*\n?", "", logged)


@pytest.mark.parametrize("target", TARGETS, ids=[ascii(target[:60].decode("latin-1")) for target in TARGETS])
def test_targets_without_a_file_are_404_or_400(place: Place, target: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    below = place.folder.removeprefix("assets/")
    line = target.replace(b"FOLDER", below.encode()).replace(b"BARE", below[3:].encode())
    answer = raw(place.port, b"GET " + line + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert status(answer) in {400, 404}
    assert SECRET not in answer
    assert b"<script" not in answer
    logged = log_of(place, capfd)
    assert logged.removesuffix("\n").isprintable(), ascii(logged)


@pytest.mark.parametrize("path", ["/healthz", "/FOLDER/original.jpg"])
@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (b"", 400),
        (b"Host: a\r\nHost: b\r\n", 400),
        (b"Host: a, b\r\n", 400),
        (b"Host: a\r\n", 200),
        (b"Host:\r\n", 200),
    ],
)
def test_a_request_must_have_one_host(
    place: Place, path: str, fields: bytes, expected: int
) -> None:  # RFC 9112, section 3.2
    path = path.replace("/FOLDER", f"/{place.folder}")
    for _ in range(2):  # the second time the file is in memory
        answer = raw(place.port, f"GET {path} HTTP/1.1\r\n".encode() + fields + b"Connection: close\r\n\r\n")
        assert status(answer) == expected
    older = raw(place.port, f"GET {path} HTTP/1.0\r\n\r\n".encode())
    assert status(older) == 200


def test_the_file_itself_can_be_requested(place: Place) -> None:
    data = (place.cache / place.folder / "original.jpg").read_bytes()
    path = f"/{place.folder}/original.jpg"
    assert ask(place.port, path).body == data
    assert ask(place.port, path.replace("original", "%6Fri%67inal")).body == data, "RFC 3986, 6.2.2.2"
    # RFC 9112, 3.2.2: a server has to accept the absolute form
    line = f"GET http://any.example{path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    assert raw(place.port, line.encode()).endswith(data)


@pytest.mark.parametrize(
    ("request_line", "expected"),
    [
        (b"GET /image?url=" + b"a" * 61_000 + b" HTTP/1.1", {414}),
        (b"GET /" + b"a" * 61_000 + b" HTTP/1.1", {414}),
        (b"GET /" + b"a" * 70_000 + b" HTTP/1.1", {400, 414}),
        (b"GET /" + b"a" * 200_000 + b" HTTP/1.1", {400, 414, 431}),
        (b"OPTIONS * HTTP/1.1", {400, 405}),
        (b"CONNECT any.example:443 HTTP/1.1", {400, 405}),
        (b"GET /\x00 HTTP/1.1", {400, 404}),
        (b"GET / assets HTTP/1.1", {400}),
        (b"get / HTTP/1.1", {400, 405}),
        (b"GET / HTTP/9.9", {400, 505}),
        (b"nonsense", {400}),
    ],
)
def test_unusual_request_lines(place: Place, request_line: bytes, expected: set[int]) -> None:
    answer = raw(place.port, request_line + b"\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert status(answer) in expected


def test_an_endless_head_is_refused(place: Place) -> None:
    answer = raw(
        place.port,
        b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + b"".join(b"x-%d: %s\r\n" % (n, b"a" * 9000) for n in range(15)),
    )
    assert status(answer) == 431
    assert ask(place.port, "/healthz").status == 200


def test_the_text_log_names_the_request(place: Place, capfd: pytest.CaptureFixture[str]) -> None:
    ask(place.port, "/nothing?a=%1b%5b2J", method="HEAD")
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ 127\.0\.0\.1 HEAD /nothing\?a=%1b%5b2J 404 0 \d+\.\dms\n",
        log_of(place, capfd),
    )


def test_error_messages_have_no_control_characters(place: Place) -> None:
    answer = ask(place.port, "/image?url=%1b%5b2J%e2%80%ae")
    assert json.loads(answer.body)["message"] == "\ufffd[2J\ufffd is not cached"


@pytest.mark.parametrize("form", ["text", "json"])
def test_the_log_has_no_control_characters_with_any_server(form: str, capfd: pytest.CaptureFixture[str]) -> None:
    write = access_log(form)
    assert write is not None
    write(Request(0.0, "192.0.2.1", "G\x1bT", b"/\x1b[2J\x9b2J\n\x00" + b"a" * 9000, 200, 1, 0.5))
    logged = capfd.readouterr().err.removesuffix("\n")
    assert logged.isprintable()
    assert len(logged) < 2200
    assert logged.isascii() is (form == "json")
