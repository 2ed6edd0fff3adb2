"""The endpoint under attack, over real sockets; docs/security.md lists the attack of each test."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import msgspec
import pytest

from imgcache.config import ServePolicy
from imgcache.core import Asset
from tests.support.served import ask, drawn, held, raw, serving, write_manifest

A = "https://pictures.example/a.jpg"
IMAGE = "/image?w=300&url=" + quote(A, safe="")
MESSAGE = "text/html; charset=utf-8"
SCRIPT = b"<script>alert(document.domain)</script>"


class Place(NamedTuple):
    """A running endpoint, its cache, and the cached image at A; `path` is that of its w320."""

    port: int
    cache: Path
    asset: Asset

    @property
    def path(self) -> str:
        return "/" + self.asset.variants[1].path

    @property
    def data(self) -> bytes:
        return (self.cache / self.path[1:]).read_bytes()


@contextmanager
def one_image(site: Path) -> Iterator[Place]:
    """Runs an endpoint with the image A."""
    cache = site / "cache"
    cache.mkdir()
    asset = held(cache)
    write_manifest(cache, {A: asset})
    with serving(cache, ServePolicy(gallery="on")) as port:  # independent of host and proxy, see test_serve_audience.py
        yield Place(port, cache, asset)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with one_image(tmp_path_factory.mktemp("site")) as found:
        yield found


# -- what a browser does with an answer --------------------------------------------------------------------------------


def test_the_type_follows_the_bytes_and_other_files_are_not_sent(place: Place) -> None:
    folder = place.path.rpartition("/")[0]
    for name, data, kind in (
        ("page.jpg", b"<!doctype html>" + SCRIPT, None),
        ("drawing.png", b"<svg xmlns='http://www.w3.org/2000/svg'>" + SCRIPT + b"</svg>", None),
        ("packed.webp", b"\x1f\x8b\x08\x00" + SCRIPT, None),
        ("empty.jpg", b"", None),
        ("truth.jpg", drawn(40, 30, "png"), "image/png"),
        ("shown.html", drawn(40, 30, "webp"), "image/webp"),
        ("both.gif", drawn(40, 30, "gif") + SCRIPT, "image/gif"),
    ):
        (place.cache / folder[1:] / name).write_bytes(data)
        found = ask(place.port, f"{folder}/{name}", accept="text/html")
        assert (found.status, found.headers["content-type"]) == ((200, kind) if kind else (404, MESSAGE)), name
        assert found.headers["x-content-type-options"] == "nosniff"
        assert kind or b"script" not in found.body


@pytest.mark.parametrize(
    ("target", "fields", "status"),
    [
        ("ASSET", {}, 200),
        ("ASSET", {"range": "bytes=1-2"}, 206),
        ("ASSET", {"if_none_match": "*"}, 304),
        ("ASSET", {"if_match": '"x"'}, 412),
        ("ASSET", {"range": "bytes=99999999-"}, 416),
        (IMAGE, {}, 200),
        ("/image?url=x", {}, 404),
        ("/image?url=x", {"accept": "text/html"}, 404),
        ("/image", {}, 400),
        ("/image?url=" + "a" * 61_000, {}, 414),
        ("/assets/x", {}, 404),
        ("/nothing", {"accept": "text/html"}, 404),
        ("/manifest.json", {}, 200),
        ("/healthz", {}, 200),
        ("/metrics", {}, 200),
        ("/", {}, 200),
        ("/gallery/image?url=x", {}, 404),
        ("/gallery/static/icon.svg", {}, 200),
        ("/gallery/nothing", {}, 404),
        ("/?" + "&".join(f"q{number}=" for number in range(101)), {}, 400),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_every_response_has_the_safety_headers(
    place: Place, method: str, target: str, fields: dict[str, str], status: int
) -> None:
    found = ask(place.port, target.replace("ASSET", place.path), method=method, **fields)
    assert found.status == (status if method == "GET" else 405)
    assert found.headers["x-content-type-options"] == "nosniff"
    policy = found.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; ")
    assert "sandbox" in policy or "frame-ancestors 'none'" in policy
    assert not re.search(r"unsafe|\*|http", policy)
    assert "location" not in found.headers


# -- caches in between, and the names of hosts -------------------------------------------------------------------------

UNKEYED = {
    "x_forwarded_host": "evil.example",
    "x_forwarded_proto": "gopher",
    "x_forwarded_prefix": "/evil",
    "x_original_url": "/nothing",
    "x_rewrite_url": "/nothing",
    "x_http_method_override": "DELETE",
    "forwarded": "host=evil.example",
    "origin": "https://evil.example",
    "referer": "https://evil.example/",
    "cookie": "w=1280; format=png",
    "authorization": "Basic ZXZpbDpldmls",
    "accept_encoding": "gzip, br",
    "accept_language": "tlh",
    "user_agent": "evil",
    "sec_ch_width": "9999",
    "sec_ch_dpr": "8",
}


@pytest.mark.parametrize("target", [IMAGE, "ASSET", "/image?url=x", "/nothing", "/manifest.json", "/healthz", "/"])
def test_only_fields_named_in_vary_change_the_response(place: Place, target: str) -> None:
    """A shared cache stores one response for requests that differ only in other fields (RFC 9111, section 4.1)."""
    target = target.replace("ASSET", place.path)
    plain = ask(place.port, target)
    for odd in (ask(place.port, target, host="evil.example"), ask(place.port, target, **UNKEYED)):
        assert odd == plain._replace(headers={**plain.headers, "date": odd.headers["date"]})
        assert b"evil" not in odd.body
    assert plain.headers.get("vary") in {None, "Accept"}


def test_one_accept_gets_one_answer_in_any_order_of_requests(place: Place) -> None:
    accepts = ["image/webp", "image/jpeg", "", "image/*;q=0.1, image/jpeg", "text/html", "nonsense"]
    found: dict[str, set[tuple[str, str, bytes]]] = {accept: set() for accept in accepts}
    for accept in [*accepts, *reversed(accepts), *accepts]:
        answer = ask(place.port, IMAGE, accept=accept)
        assert answer.headers["vary"] == "Accept"
        found[accept].add((answer.headers["content-type"], answer.headers["etag"], answer.body))
    assert {accept: len(answers) for accept, answers in found.items()} == dict.fromkeys(accepts, 1)
    assert {kind for answers in found.values() for kind, _, _ in answers} == {"image/webp", "image/jpeg"}


# -- what it could be made to ask, or to open --------------------------------------------------------------------------


def test_it_sends_no_requests_and_no_redirects(place: Place) -> None:
    with socket.create_server(("127.0.0.1", 0)) as bait:
        there = f"http://127.0.0.1:{bait.getsockname()[1]}/a.jpg"
        targets = [f"/image?url={quote(there, safe='')}", f"/gallery/image?url={there}", f"/{there}", f"//{there[7:]}"]
        answers = [ask(place.port, target) for target in targets]
        line = f"GET {there} HTTP/1.1\r\nHost: {there[7:-6]}\r\nConnection: close\r\n\r\n"
        assert raw(place.port, line.encode()).startswith(b"HTTP/1.1 404 ")
        bait.settimeout(0.2)
        with pytest.raises(TimeoutError):
            bait.accept()
    assert {answer.status for answer in answers} == {404}
    assert [name for answer in answers for name in ("location", "refresh", "link") if name in answer.headers] == []


def test_downloader_and_decoders_are_not_loaded() -> None:
    modules = "imgcache.server.endpoint, imgcache.server.protocol, imgcache.server.gallery"
    script = f"import sys, {modules}; print(*sys.modules)"
    loaded = set(
        subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    )
    assert "imgcache.server.endpoint" in loaded
    assert (
        loaded
        & {"aiohttp", "httpx", "imgcache.downloader.http", "imgcache.downloader.fetch", "imgcache.processor", "PIL"}
        == set()
    )


@pytest.mark.parametrize("path", ["../secret.jpg", "/SECRET", "assets/../../secret.jpg", "assets/ab/link.jpg", "x\0y"])
def test_a_manifest_with_paths_outside_assets_opens_no_file(tmp_path: Path, path: str) -> None:
    cache = tmp_path / "cache"
    asset = held(cache)
    secret = tmp_path / "secret.jpg"
    secret.write_bytes((cache / asset.original).read_bytes())
    (cache / "assets/ab").mkdir(exist_ok=True)
    (cache / "assets/ab/link.jpg").symlink_to(secret)
    path = path.replace("/SECRET", str(secret))
    write_manifest(cache, {A: msgspec.structs.replace(asset, original=path, variants=())})
    with serving(cache) as port:
        assert ask(port, IMAGE).status == 404
        assert ask(port, f"/{path}".replace("\0", "%00")).status == 404
