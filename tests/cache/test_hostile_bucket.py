"""An object store that sends garbage, wrong lengths, foreign keys or nothing: nothing wrong reaches the cache."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import chain, count, repeat
from pathlib import Path

import msgspec
import pytest

from imgcache.cache import Marker, ObjectStore, connect_bucket, mirror_files
from imgcache.cache.store.bucket import Bucket
from imgcache.core import Asset, ImgcacheError, StoreError
from tests.conftest import Command, MakeSite
from tests.support.cache_samples import unreal_asset
from tests.support.hostile_bucket import Endpoint, Reply, Request, Script, digest_of, hostile_bucket, listing

URL = "s3://bucket/p"
DATA = b"the original's bytes"
DIGEST = digest_of(DATA)
FOLDER = f"assets/{DIGEST[:2]}/{DIGEST}"
ORIGINAL = f"{FOLDER}/original.jpg"

Serve = Callable[[Script], Endpoint]


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """Starts an endpoint with a script; a second call replaces the script."""
    with hostile_bucket(lambda _: Reply(404), monkeypatch) as endpoint:

        def start(script: Script) -> Endpoint:
            endpoint.script = script
            return endpoint

        yield start


@pytest.fixture
def bucket(serve: Serve) -> Bucket:
    return Bucket(connect_bucket(URL, patience=1).client, URL, page=2)


@pytest.fixture
def store(bucket: Bucket, tmp_path: Path) -> Iterator[ObjectStore]:
    with closing(ObjectStore(bucket, tmp_path / "index")) as store:
        yield store


def asset(data: bytes = DATA) -> Asset:
    digest = digest_of(data)
    original = f"assets/{digest[:2]}/{digest}/original.jpg"
    return msgspec.structs.replace(unreal_asset(digest), original=original, bytes=len(data), variants=())


def endless() -> Iterator[bytes]:
    return repeat(b"x" * 65_536)


def drip() -> Iterator[bytes]:
    while True:
        yield b"x"
        time.sleep(0.05)


# -- listings ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply(body=b"\x00\x1b[31mgarbage"), "unexpected answer"),
        (Reply(body=b"<ListBucketResult><Contents>"), "cannot be listed"),
        (Reply(body=b""), "unexpected answer"),
        (listing(("p/assets/../../etc/passwd", 3)), "no valid path"),
        (listing(("p/assets/ab/..", 3)), "no valid path"),
        (listing(("p/assets//x", 3)), "no valid path"),
        (listing(("p/assets/&#27;[31m", 3)), "no valid path"),
        (listing(("/etc/passwd", 3)), "not asked for"),
        (listing(("other/assets/ab/x", 3)), "not asked for"),
        (listing(("p/assetsx/ab/x", 3)), "not asked for"),
        (listing(("p/assets/ab/x", -1)), "unexpected answer"),
        (listing(("p/assets/ab/x", "many")), "unexpected answer"),
        (Reply(500, {}, b"\x1b[31m a-secret-that-no-message-may-hold"), "run again later"),
        (Reply(403, {}, b"\x1b[31m a-secret-that-no-message-may-hold"), "access denied"),
    ],
)
def test_an_invalid_listing_is_an_error_that_does_not_quote_it(
    serve: Serve, bucket: Bucket, reply: Reply, reason: str
) -> None:
    serve(lambda _: reply)
    with pytest.raises(StoreError, match=reason) as caught:
        list(bucket.listing("assets"))
    assert str(caught.value).isprintable()
    assert "secret" not in str(caught.value)


def test_a_listing_that_repeats_a_page_is_an_error(serve: Serve, bucket: Bucket) -> None:
    endpoint = serve(lambda _: listing(("p/assets/ab/x", 1), ("p/assets/ab/y", 1), token="again"))
    with pytest.raises(StoreError, match="one page again and again"):
        list(bucket.listing("assets"))
    assert len(endpoint.requests) < 10


def test_a_listing_without_an_end_is_an_error(serve: Serve, bucket: Bucket) -> None:
    pages = count()

    def script(request: Request) -> Reply:
        page = next(pages)
        keys = [(f"p/assets/ab/{page:09}-{number:03}", 1) for number in range(1000)]
        return listing(*keys, token=f"page-{page}")

    endpoint = serve(script)
    with pytest.raises(StoreError, match="more objects below one prefix"):
        list(bucket.listing("assets"))
    assert len(endpoint.requests) < 300


@pytest.mark.parametrize("size", [2**63 - 1, 2**63, 2**64 - 1])
def test_objects_with_impossible_sizes_count_as_foreign(serve: Serve, store: ObjectStore, size: int) -> None:
    names = [f"p/{FOLDER}/w{number}.webp" for number in range(3)]

    def script(request: Request) -> Reply:
        if "delimiter" in request.query:
            return listing(prefixes=[f"p/assets/{DIGEST[:2]}/"])
        return listing((f"p/{ORIGINAL}", 20), *((name, size) for name in names))

    serve(script)
    store.refresh()
    assert (store.usage().files, store.usage().bytes) == (1, 20)
    assert store.foreign_files() == tuple(name.removeprefix("p/") for name in names)


def test_a_proxy_page_is_not_treated_as_an_empty_bucket(serve: Serve, store: ObjectStore) -> None:
    store.note_committed(asset())
    serve(lambda _: Reply(200, {}, b"<html>please log in</html>"))
    with pytest.raises(StoreError, match=r"it seems empty, but original\.jpg exists"):
        store.refresh()
    assert store.missing(asset()) == ()
    serve(lambda request: Reply(404) if request.method == "HEAD" else listing())  # somebody has emptied it
    store.refresh()
    assert store.missing(asset()) == (ORIGINAL,)


def test_only_keys_of_the_asset_are_removed(serve: Serve, store: ObjectStore) -> None:
    endpoint = serve(lambda _: listing((f"p/{ORIGINAL}", 1), ("p/manifest.json", 1)))
    with pytest.raises(StoreError, match="not asked for"):
        store.remove(DIGEST)
    assert {request.method for request in endpoint.requests} == {"GET"}


# -- bodies ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [DATA[:-1] + b"!", DATA[:-1], b""])
def test_an_original_with_other_bytes_is_refused(serve: Serve, store: ObjectStore, body: bytes) -> None:
    serve(lambda _: Reply(body=body))
    with pytest.raises(StoreError, match="has other bytes than recorded: `imgcache verify --repair`"):
        store.original(asset())
    assert store.damage(asset()) == (ORIGINAL,)


@pytest.mark.parametrize("announced", [1 << 40, 1 << 62])
def test_an_endless_body_is_not_read(
    serve: Serve, store: ObjectStore, bucket: Bucket, tmp_path: Path, announced: int
) -> None:
    serve(lambda _: Reply(body=endless(), length=announced))
    with pytest.raises(StoreError, match="has more than 20 bytes"):
        store.original(asset())
    with pytest.raises(StoreError, match="has more than 20 bytes"):
        mirror_files(bucket, {ORIGINAL: len(DATA)}, tmp_path / "mirror", tmp_path / "earlier")
    with pytest.raises(StoreError, match="has more than"):
        store.document("manifest.json").read()
    assert store.damage(asset()) == (ORIGINAL,)


def test_an_endless_marker_is_not_read(serve: Serve, store: ObjectStore) -> None:
    def script(request: Request) -> Reply:
        if request.key == "":
            return listing(("p/index/sites/a.json", 1))
        return Reply(body=endless(), length=1 << 40)

    serve(script)
    with pytest.raises(StoreError, match="has more than"):
        store.markers.all()


@pytest.mark.parametrize("body", [b"garbage", b"\xff\xfe", b"[]", b'{"site": 1}', msgspec.json.encode({"site": "a"})])
def test_an_unreadable_marker_is_named(serve: Serve, store: ObjectStore, body: bytes) -> None:
    serve(lambda request: listing(("p/index/sites/a.json", 1)) if request.key == "" else Reply(body=body))
    with pytest.raises(ImgcacheError, match=r"index/sites/a\.json: this object does not name a site"):
        store.markers.all()
    assert Marker("/a", "/b", None, 1.0).key.startswith("index/sites/")


def test_a_body_that_ends_early_is_an_error(serve: Serve, store: ObjectStore, bucket: Bucket) -> None:
    serve(lambda _: Reply(body=DATA[:5], length=len(DATA)))
    with pytest.raises(StoreError, match="cannot be read"):
        store.original(asset())
    with pytest.raises(StoreError, match="cannot be read"):
        bucket.read("manifest.json")
    assert not [file for file in store.scratch.iterdir() if file.stat().st_size == len(DATA)]


def test_a_slow_body_ends_at_the_timeout(serve: Serve, bucket: Bucket) -> None:
    serve(lambda _: Reply(body=drip(), length=1 << 20))
    with pytest.raises(StoreError, match="no answer"):
        bucket.read("manifest.json")


@pytest.mark.parametrize(
    "reply",
    [
        Reply(200, body=DATA),
        Reply(206, {"Content-Range": f"bytes 0-{len(DATA) - 1}/{len(DATA)}"}, DATA),
        Reply(206, {"Content-Range": f"bytes 2-3/{len(DATA)}"}, DATA),
        Reply(206, {"Content-Range": "bytes x-y/z"}, DATA[2:4]),
    ],
)
def test_a_range_other_than_requested_is_an_error(serve: Serve, bucket: Bucket, reply: Reply) -> None:
    serve(lambda _: reply)
    with pytest.raises(StoreError, match="cannot be read"):
        bucket.read("manifest.json", 2, 4)


# -- header fields -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers", [{"Last-Modified": "yesterday"}, {"ETag": "\xe9"}, {"Content-Length": "-1"}, {"Content-Length": "many"}]
)
def test_garbage_in_header_fields_is_an_error(serve: Serve, bucket: Bucket, headers: dict[str, str]) -> None:
    serve(lambda _: Reply(200, headers))
    with pytest.raises(StoreError, match="cannot be read"):
        bucket.metadata("manifest.json")


@pytest.mark.parametrize("etags", [['"a"', '"b"', '"c"'], ["", "", ""]])
def test_a_document_with_wrong_etags_is_not_replaced(
    serve: Serve, store: ObjectStore, tmp_path: Path, etags: list[str]
) -> None:
    sent = chain(etags, repeat(etags[-1]))

    def script(request: Request) -> Reply:
        if request.method != "PUT":
            return Reply(200, {"ETag": next(sent)}, b"theirs")
        holds = request.headers.get("if-match") == etags[-1] and etags[-1]
        return Reply(200 if holds else 412)

    serve(script)
    document = store.document("manifest.json")
    document.version()
    part = tmp_path / "part"
    part.write_bytes(b"ours")
    with pytest.raises(StoreError, match="was replaced by another machine"):
        document.replace(part)
    assert part.read_bytes() == b"ours"


def test_a_redirect_to_another_host_gets_no_credentials(
    serve: Serve, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as other, hostile_bucket(lambda _: Reply(body=b"inside"), other) as inside:
        serve(lambda _: Reply(307, {"Location": f"{inside.address}/latest/meta-data"}))
        bucket.read("manifest.json")
    assert inside.requests
    assert not any("authorization" in request.headers for request in inside.requests)


# -- the command line --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "reply",
    [
        Reply(body=b"<html>please log in</html>"),
        Reply(body=b"\x00\xff\x1b[31m"),
        Reply(403, body=b"\x1b[31m"),
    ],
)
def test_a_command_ends_with_a_message_and_no_traceback(
    serve: Serve, run: Command, make_site: MakeSite, reply: Reply
) -> None:
    site = make_site({"a.md": "---\nimages:\n  - url: http://127.0.0.1:9/a.jpg\n---\n"})
    serve(lambda _: reply)
    ended = run("sync", site, "--cache", URL)
    assert ended.code != 0
    assert "Traceback" not in ended.err
    assert ended.err.startswith("imgcache: ")
    assert "\x1b" not in ended.err
    assert "secret" not in ended.err
