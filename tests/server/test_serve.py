"""The endpoint over real sockets: the rules of HTTP with their sections (of RFC 9110 where no other is named)."""

from __future__ import annotations

import hashlib
import io
import json
import re
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import pytest
from PIL import Image
from prometheus_client.parser import text_string_to_metric_families

from examples.origin import Origin
from imgcache.config import ServePolicy
from imgcache.core import Asset
from imgcache.server.protocol import BoundedProtocol
from imgcache.server.tuning import Tuning
from tests.conftest import Command, MakeSite, article, picture
from tests.support.served import ask, held, raw, serving, write_manifest

A = "https://pictures.example/a.jpg?w=1024&h=+1"
ODD = 'https://pictures.example/é "quoted" \\ back.png'
SAFE = {
    "access-control-allow-origin": "*",
    "cross-origin-resource-policy": "cross-origin",
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; sandbox",
}


class Place(NamedTuple):
    """A running endpoint, its cache, and the cached image at A."""

    port: int
    cache: Path
    asset: Asset

    def file(self, name: str) -> bytes:
        """Returns the bytes of one file of the image."""
        return (self.cache / self.path(name)[1:]).read_bytes()

    def path(self, name: str) -> str:
        """Returns the path of the file on the server."""
        paths = {"original": self.asset.original} | {one.name: one.path for one in self.asset.variants}
        return "/" + paths[name]


@pytest.fixture(scope="module", params=[BoundedProtocol, "auto"], ids=["ours", "uvicorn's"])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """With our protocol, and with uvicorn's own, which serves if ours cannot be used."""
    cache = tmp_path_factory.mktemp("site") / "cache"
    cache.mkdir()
    asset = held(cache)
    small = (("thumb", 320, "png"),)
    images = {A: asset, ODD: held(cache, "png", 30, small), "https://t.example/t.tif": held(cache, "tiff", 20, small)}
    write_manifest(cache, images)
    with serving(cache, ServePolicy(memory=200_000), http=request.param) as port:
        yield Place(port, cache, asset)


def image(url: str, **fields: object) -> str:
    return "/image?url=" + quote(url, safe="") + "".join(f"&{name}={value}" for name, value in fields.items())


@pytest.mark.parametrize(
    ("fields", "accept", "name", "vary"),
    [
        ({}, "image/webp,*/*", "w1280", "Accept"),
        ({"w": 400}, "image/webp,*/*", "w640", "Accept"),
        ({"w": 400}, None, "w640", "Accept"),
        ({"w": 400}, "image/jpeg", "original", "Accept"),
        ({"w": 400, "format": "webp"}, "image/jpeg", "w640", None),
        ({"format": "original"}, None, "original", None),
        ({"w": 1, "format": "jpeg"}, None, "thumb", None),
    ],
)
def test_an_image_is_found_by_its_url(
    place: Place, fields: dict[str, object], accept: str | None, name: str, vary: str | None
) -> None:
    found = ask(place.port, image(A, **fields), **{"accept": accept} if accept else {})
    data = place.file(name)
    assert (found.status, found.body) == (200, data)
    kind = "jpeg" if name in {"thumb", "original"} else "webp"
    assert found.headers.items() >= (SAFE | {"content-type": f"image/{kind}", "accept-ranges": "bytes"}).items()
    assert found.headers.get("vary") == vary  # 12.5.5
    assert found.headers["etag"] == f'"{hashlib.sha256(data).hexdigest()}"'  # 8.8.3
    assert found.headers["content-length"] == str(len(data))


def test_a_url_may_have_any_character(place: Place) -> None:
    assert ask(place.port, image(ODD, w=100, format="png")).headers["content-type"] == "image/png"
    assert ask(place.port, "/image?url=" + quote(A, safe="+")).status == 200, "a plus that nobody escaped"


@pytest.mark.parametrize("name", ["original", "thumb", "w1280"])
def test_assets_are_immutable(place: Place, name: str) -> None:
    found = ask(place.port, place.path(name))
    assert (found.status, found.body) == (200, place.file(name))
    assert found.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert found.headers.items() >= SAFE.items()
    assert "vary" not in found.headers


def test_formats_that_browsers_do_not_show_safely_are_downloads(place: Place) -> None:
    assert ask(place.port, image("https://t.example/t.tif", format="original")).status == 404
    assert ask(place.port, image("https://t.example/t.tif")).headers["content-type"] == "image/png"
    path = json.loads(ask(place.port, "/manifest.json").body)["images"]["https://t.example/t.tif"]["original"]
    found = ask(place.port, f"/{path}")
    assert (found.status, found.headers["content-type"]) == (200, "image/tiff")
    assert found.headers["content-disposition"] == 'attachment; filename="original.tif"'


ETAG = "ETAG"  # replaced by the one of the file
RULES = [
    # request fields, status, part of the file in the body, expected headers; section
    ({}, 200, slice(None), {}),
    ({"if_none_match": ETAG}, 304, slice(0, 0), {"etag": ETAG}),  # 13.1.2
    ({"if_none_match": f"W/{ETAG}"}, 304, slice(0, 0), {}),  # 13.1.2: compared weakly (8.8.3.2)
    ({"if_none_match": f'"x", W/"y" ,{ETAG}'}, 304, slice(0, 0), {}),  # 13.1.2: a list
    ({"if_none_match": "*"}, 304, slice(0, 0), {}),  # 13.1.2
    ({"if_none_match": '"x"'}, 200, slice(None), {}),
    ({"if_none_match": ETAG.strip('"')[:3]}, 200, slice(None), {}),  # no entity tag
    ({"if_match": ETAG}, 200, slice(None), {}),  # 13.1.1
    ({"if_match": f"W/{ETAG}"}, 412, None, {}),  # 13.1.1: compared strongly
    ({"if_match": '"x"'}, 412, None, {}),
    ({"if_match": '"x"', "if_none_match": ETAG}, 412, None, {}),  # 13.2.2: the order
    ({"if_modified_since": "Mon, 01 Jan 2035 00:00:00 GMT"}, 200, slice(None), {}),  # 13.1.3: no date is sent
    ({"range": "bytes=0-9"}, 206, slice(10), {"content-range": "bytes 0-9/SIZE", "content-length": "10"}),  # 14.2
    ({"range": "bytes=5-"}, 206, slice(5, None), {}),
    ({"range": "bytes=-7"}, 206, slice(-7, None), {}),  # 14.1.2
    ({"range": "bytes=3-99999999"}, 206, slice(3, None), {}),
    ({"range": "bytes=0-1,5-6"}, 200, slice(None), {}),  # 14.2: may be ignored
    ({"range": "pages=1-2"}, 200, slice(None), {}),  # 14.2: an unknown unit
    ({"range": "bytes=9-1"}, 200, slice(None), {}),  # 14.1.1: invalid
    ({"range": "bytes=99999999-"}, 416, None, {"content-range": "bytes */SIZE"}),  # 15.5.17
    ({"range": "bytes=0-9", "if_range": ETAG}, 206, slice(10), {}),  # 13.1.5
    ({"range": "bytes=0-9", "if_range": f"W/{ETAG}"}, 200, slice(None), {}),  # 13.1.5: strong
    ({"range": "bytes=0-9", "if_range": "Mon, 01 Jan 2035 00:00:00 GMT"}, 200, slice(None), {}),
    ({"range": "bytes=0-9", "if_none_match": ETAG}, 304, slice(0, 0), {}),  # 13.2.2
]


@pytest.mark.parametrize(("asked", "status", "part", "wanted"), RULES)
@pytest.mark.parametrize("name", ["w320", "original"])
def test_conditions_and_ranges(
    place: Place, name: str, asked: dict[str, str], status: int, part: slice | None, wanted: dict[str, str]
) -> None:
    data = place.file(name)
    tag = f'"{hashlib.sha256(data).hexdigest()}"'
    for target in (place.path(name), image(A, w=320, format="webp") if name == "w320" else image(A, format="original")):
        fields = {key: text.replace(ETAG, tag) for key, text in asked.items()}
        found = ask(place.port, target, **fields)
        assert found.status == status
        assert part is None or found.body == data[part]
        for key, text in wanted.items():
            assert found.headers[key] == text.replace(ETAG, tag).replace("SIZE", str(len(data)))
        # 9.3.2: HEAD is GET without the body, and 14.2 leaves Range to GET
        head = ask(place.port, target, method="HEAD", **{key: text for key, text in fields.items() if key != "range"})
        assert head.body == b""
        if "range" not in fields:
            assert {**head.headers, "date": ""} == {**found.headers, "date": ""}


def test_a_304_has_the_caching_headers_of_the_200(place: Place) -> None:
    whole = ask(place.port, image(A, w=320), accept="image/webp")
    kept = ask(place.port, image(A, w=320), accept="image/webp", if_none_match=whole.headers["etag"])
    assert kept.status == 304
    for name in ("etag", "cache-control", "vary"):  # 15.4.5
        assert kept.headers[name] == whole.headers[name]
    assert "content-length" not in kept.headers


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"])
@pytest.mark.parametrize("target", ["/", "/image", "/healthz", "/nothing"])
def test_other_methods_are_refused(place: Place, method: str, target: str) -> None:
    found = ask(place.port, target, method=method)
    assert (found.status, found.headers["allow"]) == (405, "GET, HEAD")  # 15.5.6


def test_a_missing_image_is_reported_as_json_or_html(place: Place) -> None:
    target = image("https://elsewhere.example/<b>.jpg")
    answer = ask(place.port, target)
    assert (answer.status, answer.headers["content-type"]) == (404, "application/json")
    assert json.loads(answer.body) == {
        "error": "not-held", "status": 404, "message": "https://elsewhere.example/<b>.jpg is not cached",
    }  # fmt: skip
    page = ask(place.port, target, accept="text/html,application/xhtml+xml,image/webp,*/*;q=0.8")
    assert (page.status, page.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert b"&lt;b&gt;" in page.body
    assert b"<b>" not in page.body
    assert page.headers["vary"] == answer.headers["vary"] == "Accept"


@pytest.mark.parametrize("client_hints", [True, False])
def test_fallback_and_client_hints(run: Command, origin: Origin, make_site: MakeSite, client_hints: bool) -> None:
    origin.answers.set("https://pictures.example/b.jpg", picture(1600, 900))
    gone = "https://pictures.example/gone.jpg"
    site = make_site({"a.md": article(("https://pictures.example/b.jpg", 1600, 900), (gone, 640, 360))})
    assert run("sync", site).code == 1
    policy = ServePolicy(fallback="placeholder", client_hints=client_hints)
    before = {path: path.stat().st_mtime_ns for path in (site / "cache").rglob("*")}
    with serving(site / "cache", policy) as port:
        for url, size in ((gone, (640, 360)), ("https://unknown.example/x", (1, 1))):
            found = ask(port, image(url))
            assert (found.status, found.headers["cache-control"]) == (404, "public, max-age=30")
            with Image.open(io.BytesIO(found.body)) as neutral:
                assert neutral.size == size
        hinted = ask(port, image("https://pictures.example/b.jpg"), sec_ch_width="300", accept="image/webp")
        with Image.open(io.BytesIO(hinted.body)) as sent:
            assert sent.width == (320 if client_hints else 1280)
        assert hinted.headers["vary"] == ("Accept, Sec-CH-Width, Sec-CH-DPR" if client_hints else "Accept")
        doubled = ask(port, image("https://pictures.example/b.jpg", w=300, format="webp"), sec_ch_dpr="2.0")
        with Image.open(io.BytesIO(doubled.body)) as sent:
            assert sent.width == (640 if client_hints else 320)
        measured = metrics(port)
        assert measured["imgcache_failures"] == {"http-status": 1.0}
        assert measured["imgcache_images_held"] == {"": 1.0}
        assert measured["imgcache_last_sync_age_seconds"][""] < 60
    assert {path: path.stat().st_mtime_ns for path in (site / "cache").rglob("*")} == before, "read-only"


def metrics(port: int) -> dict[str, dict[str, float]]:
    """Returns the samples by name and by the values of their labels."""
    found: dict[str, dict[str, float]] = {}
    for family in text_string_to_metric_families(ask(port, "/metrics").body.decode()):
        for sample in family.samples:
            found.setdefault(sample.name, {})[" ".join(sample.labels.values())] = sample.value
    return found


def test_metrics_count_responses(place: Place) -> None:
    before = metrics(place.port)
    ask(place.port, place.path("thumb"))
    ask(place.port, place.path("thumb"), method="HEAD")
    ask(place.port, "/assets/none")
    after = metrics(place.port)

    def more(name: str, labels: str) -> float:
        return after[name][labels] - before[name].get(labels, 0)

    assert (more("imgcache_requests_total", "assets 200"), more("imgcache_requests_total", "assets 404")) == (2, 1)
    assert more("imgcache_sent_bytes_total", "assets") >= len(place.file("thumb"))
    assert more("imgcache_latency_seconds_count", "assets") == 3


def test_many_requests_on_one_connection(place: Place) -> None:
    """The fast path and the ASGI path in turn, and pipelined (RFC 9112, 9.3.2): responses come in order."""
    path, data = place.path("w320"), place.file("w320")
    ask(place.port, path)
    lines = [f"GET {path}", f"HEAD {path}", "GET /healthz", f"GET {path}", f"GET {path}", "GET /nothing"]
    asked = "".join(f"{line} HTTP/1.1\r\nHost: x\r\n\r\n" for line in lines) + (
        f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    )
    answer = raw(place.port, asked.encode())
    statuses = re.findall(rb"HTTP/1\.1 (\d+) ", answer)
    assert statuses == [b"200"] * 5 + [b"404", b"200"]
    kinds = re.findall(rb"content-type: ([a-z/]+)", answer)
    assert kinds == [b"image/webp"] * 2 + [b"application/json"] + [b"image/webp"] * 2 + [
        b"application/json",
        b"image/webp",
    ]
    assert answer.count(data) == 4
    head = f"GET {path} HTTP/1.1\r\nHost: x\r\n"
    with_body = f"{head}Content-Length: 4\r\n\r\nbody{head}Connection: close\r\n\r\n"
    assert raw(place.port, with_body.encode()).count(data) == 2


def test_the_manifest_is_sent_unchanged(place: Place) -> None:
    found = ask(place.port, "/manifest.json")
    assert found.body == (place.cache / "manifest.json").read_bytes()
    assert ask(place.port, "/manifest.json", if_none_match=found.headers["etag"]).status == 304
    assert ask(place.port, "/manifest.json", range="bytes=0-11").body == b'{"version":1'


def test_a_concurrent_sync_shows_within_a_second(run: Command, origin: Origin, make_site: MakeSite) -> None:
    urls = [f"https://pictures.example/{number}.jpg" for number in range(2)]
    for url in urls:
        origin.answers.set(url, picture(400, 300))
    site = make_site({"a.md": article((urls[0], 400, 300))})
    run("sync", site)
    with serving(site / "cache") as port:
        seen: list[tuple[float, int, int]] = []
        stop = threading.Event()

        def look() -> None:
            while not stop.is_set():
                held_one, new_one = (ask(port, image(url)).status for url in urls)
                seen.append((time.time(), held_one, new_one))

        watcher = threading.Thread(target=look)
        watcher.start()
        make_site({"b.md": article((urls[1], 400, 300))})
        run("sync", site)
        until = time.monotonic() + 20
        while not (seen and seen[-1][2] == 200) and time.monotonic() < until:
            time.sleep(0.02)
        stop.set()
        watcher.join()
        written = (site / "cache/manifest.json").stat().st_mtime
    assert {status for _, status, _ in seen} == {200}, "the image cached before was served all the time"
    first = next(when for when, _, status in seen if status == 200)
    assert {status for when, _, status in seen if when < written - 0.1} <= {404}
    assert first - written < 1.0


def test_a_removed_file_is_noticed_within_a_second_or_two(tmp_path: Path) -> None:
    assert Tuning().local_file_for == 1
    asset = held(tmp_path)
    write_manifest(tmp_path, {A: asset})
    with serving(tmp_path, tuning=Tuning(local_file_for=0.1)) as port:
        assert ask(port, image(A, w=320, format="webp")).status == 200
        (tmp_path / asset.variants[1].path).unlink()
        time.sleep(0.2)
        answer = ask(port, image(A, w=320, format="webp"))
        assert (answer.status, json.loads(answer.body)["error"]) == (404, "gone")


@pytest.mark.parametrize(
    "rewrite",
    [
        json.dumps,
        lambda document: json.dumps(document, indent=2),
        lambda document: json.dumps({"generator": "x", **document, "extra": [1]}, separators=(",", ":")),
        lambda document: '{"version":1,"images":{\n' + ",\n".join(
            f"{json.dumps(url)}: {json.dumps(entry)}" for url, entry in document["images"].items()) + "\n}}\n",
    ],
)  # fmt: skip
def test_a_reformatted_manifest_is_served(tmp_path: Path, rewrite: Any) -> None:
    write_manifest(tmp_path, {A: held(tmp_path), ODD: held(tmp_path, shade=10)})
    file = tmp_path / "manifest.json"
    file.write_text(rewrite(json.loads(file.read_text())))
    with serving(tmp_path) as port:
        assert [ask(port, image(url)).status for url in (A, ODD, "https://other.example/")] == [200, 200, 404]
        assert json.loads(ask(port, "/healthz").body) == {"status": "ok", "images": 2}


def test_a_damaged_manifest_leaves_the_previous_one_in_use(tmp_path: Path) -> None:
    every_request = Tuning(local_manifest_interval=0.0, local_manifest_max_age=-1.0)
    with serving(tmp_path, tuning=every_request) as port:
        assert ask(port, "/healthz").status == 503
        assert ask(port, image(A)).status == 404
        write_manifest(tmp_path, {A: held(tmp_path)})
        good = (tmp_path / "manifest.json").read_bytes()
        assert (ask(port, "/healthz").status, ask(port, image(A)).status) == (200, 200)
        for bad in (good[:-5], b"", b'{"version":2,"images":{}}', b"[" + good):
            part = tmp_path / "part"
            part.write_bytes(bad)
            part.replace(tmp_path / "manifest.json")
            health = ask(port, "/healthz")
            assert (health.status, json.loads(health.body)["images"]) == (503, 1)
            assert str(tmp_path).encode() not in health.body
            assert ask(port, image(A)).status == 200


def test_a_damaged_line_affects_one_image(tmp_path: Path) -> None:
    write_manifest(tmp_path, {A: held(tmp_path), ODD: held(tmp_path, shade=10)})
    file = tmp_path / "manifest.json"
    file.write_bytes(file.read_bytes().replace(b'"digest"', b'"digest', 1))
    with serving(tmp_path) as port:
        assert sorted(ask(port, image(url)).status for url in (A, ODD)) == [200, 500]


def test_an_invalid_index_is_ignored(tmp_path: Path) -> None:
    write_manifest(tmp_path, {A: held(tmp_path)})
    (tmp_path / "index").mkdir()
    for name in ("cache.db", "catalogue.db"):
        (tmp_path / "index" / name).write_bytes(b"no database")
    with pytest.raises(sqlite3.DatabaseError):
        sqlite3.connect(tmp_path / "index/cache.db").execute("SELECT 1 FROM Cache")
    with serving(tmp_path, ServePolicy(fallback="placeholder")) as port:
        assert metrics(port).get("imgcache_failures", {}) == {}
        assert ask(port, image("https://unknown.example/")).headers["content-type"] == "image/gif"


@pytest.mark.parametrize("memory", [0, 20_000, 4_000_000])
def test_memory_is_bounded(tmp_path: Path, memory: int) -> None:
    images = {f"https://x.example/{shade}": held(tmp_path, shade=shade, variants=(("w320", 320, "jpeg"),))
              for shade in range(20, 80, 10)}  # fmt: skip
    write_manifest(tmp_path, images)
    with serving(tmp_path, ServePolicy(memory=memory)) as port:
        for _ in range(2):
            for url, asset in images.items():
                for width, path in ((300, asset.variants[0].path), (1600, asset.original)):
                    assert ask(port, image(url, w=width)).body == (tmp_path / path).read_bytes()
        kept = metrics(port)["imgcache_memory_bytes"][""]
    assert kept <= memory
    assert (kept > 0) is (memory > 0)
