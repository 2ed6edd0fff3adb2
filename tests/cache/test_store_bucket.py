"""`Bucket` before servers that are busy or give short pages, and the URLs of all providers."""

from __future__ import annotations

import http.client
import json
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from imgcache.cache import ObjectStore, connect_bucket
from imgcache.cache.store.bucket import Bucket
from imgcache.core import ConfigError, StoreError
from tests.conftest import Command
from tests.support.cache_samples import put, sha256
from tests.support.far_bucket import Far, led_to_bucket
from tests.support.object_store import S3


class Front(ThreadingHTTPServer):
    """A proxy for an S3 server: forwards requests, answers 503 before or instead of it, and shortens pages.

    Attributes:
        busy: how often each request is refused before it is answered.
        swallows: what is refused is done all the same, as where the answer of a busy server is lost.
        page: objects in an answer to LIST at most.
        seen: requests, by method and target without what follows a `?`.
    """

    daemon_threads = True

    def __init__(self, endpoint: str) -> None:
        super().__init__(("127.0.0.1", 0), _Passing)
        self.behind = urlsplit(endpoint).netloc
        self.busy: float = 0
        self.swallows = False
        self.page = 1000
        self.seen: Counter[tuple[str, str]] = Counter()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def count(self, method: str) -> int:
        return sum(count for (one, _), count in self.seen.items() if one == method)


class _Passing(BaseHTTPRequestHandler):
    server: Front
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        front, target = self.server, self.path
        if "list-type=2" in target:
            target += f"&max-keys={front.page}"
        known = (self.command, self.path)
        front.seen[known] += 1
        is_refused = front.seen[known] <= front.busy
        if is_refused and not front.swallows:
            self._answer(503, [], b"")
            return
        connection = http.client.HTTPConnection(front.behind, timeout=10)
        connection.request(self.command, target, body, dict(self.headers))
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        if is_refused:
            self._answer(503, [], b"")
        else:
            self._answer(answer.status, answer.getheaders(), data)

    do_HEAD = do_PUT = do_POST = do_DELETE = do_GET  # noqa: N815

    def _answer(self, status: int, fields: list[tuple[str, str]], body: bytes) -> None:
        self.send_response_only(status)
        for name, value in fields:
            if name.lower() not in {"content-length", "connection", "transfer-encoding"}:
                self.send_header(name, value)
        length = next((value for name, value in fields if name.lower() == "content-length"), str(len(body)))
        self.send_header("Content-Length", length if self.command == "HEAD" else str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


@pytest.fixture
def far(s3: S3, run: Command, monkeypatch: pytest.MonkeyPatch) -> Far:
    return led_to_bucket(s3, run, monkeypatch)


@pytest.fixture
def front(far: Far, monkeypatch: pytest.MonkeyPatch) -> Iterator[Front]:
    with Front(far.s3.endpoint) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.endpoint)
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def store(front: Front, far: Far, tmp_path: Path) -> Iterator[ObjectStore]:
    store = far.store(tmp_path / "index")
    store.prepare()
    yield store
    store.close()


# -- a server that is busy ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("swallows", [False, True])
def test_every_kind_of_request_is_retried(front: Front, far: Far, tmp_path: Path, swallows: bool) -> None:
    store = far.store(tmp_path / "index", multipart_above=5_000_000)
    store.prepare()
    front.busy, front.swallows = 1, swallows
    data = bytes(range(256)) * 24_000  # two parts
    asset = put(store, data, {"w64.webp": b"small"})
    small = put(store, b"original", {})
    store.refresh()
    assert sorted(store.digests()) == sorted([asset.digest, small.digest])
    assert (store.damage(asset), store.damage(small)) == ((), ())
    assert store.original(asset).read_bytes() == data
    store.remove(asset.digest)
    assert list(far.files()) == [small.original]
    assert {method for method, _ in front.seen} == {"GET", "HEAD", "PUT", "POST"}
    assert min(front.seen.values()) == 2


def test_a_store_that_stays_busy_is_an_error_after_some_retries(front: Front, far: Far, tmp_path: Path) -> None:
    front.busy = float("inf")
    bucket = connect_bucket(far.url, patience=0.5)
    for asked in (lambda: bucket.metadata("assets/x"), lambda: list(bucket.listing("assets"))):
        before = front.seen.total()
        with pytest.raises(StoreError, match="the store is overloaded or has a fault: run again later"):
            asked()
        assert front.seen.total() - before > 1


def test_a_permanent_refusal_is_not_retried(front: Front, far: Far) -> None:
    assert connect_bucket(far.url).metadata("assets/x") is None
    assert front.seen.total() == 1


# -- short pages -------------------------------------------------------------------------------------------------------


def test_a_listing_of_many_pages_is_complete(front: Front, far: Far, store: ObjectStore, tmp_path: Path) -> None:
    assets = [put(store, f"original {number}".encode(), {}) for number in range(5)]
    files = {f"w{width}.webp": b"x" * width for width in range(1, 8)}
    crowded = put(store, b"crowded", files)
    front.page = 2
    front.seen.clear()
    other = far.store(tmp_path / "other", page=3)
    other.prepare()
    other.refresh()
    assert sorted(other.digests()) == sorted(asset.digest for asset in (*assets, crowded))
    assert (other.usage().files, other.missing(crowded)) == (13, ())
    lists = [parse_qs(urlsplit(target).query) for _, target in front.seen]
    pages = [one for one in lists if one["prefix"][0].endswith(f"/{crowded.digest[:2]}/")]
    assert len(pages) >= 4
    assert sum("continuation-token" in one for one in pages) >= 3
    shelves = {asset.digest[:2] for asset in (*assets, crowded)}
    assert sum("delimiter" in one and bool(one["delimiter"][0]) for one in lists) == -(-len(shelves) // 2)
    other.remove(crowded.digest)
    assert sorted(far.files()) == sorted(asset.original for asset in assets)
    other.close()


# -- what a CDN is told of an upload in parts --------------------------------------------------------------------------


def test_a_multipart_original_has_the_usual_header_fields(far: Far, tmp_path: Path) -> None:
    store = far.store(tmp_path / "index", multipart_above=5_000_000)
    store.prepare()
    said = []
    for data in (bytes(range(256)) * 24_000, b"in one"):
        asset = put(store, data, {})
        fields, held = far.s3.ask("GET", f"/{far.name}/the/prefix/{asset.original}")
        assert sha256(held) == asset.digest
        said.append((fields["etag"].strip('"').partition("-")[2], fields["content-type"], fields["cache-control"]))
    store.close()
    forever = ("image/jpeg", "public, max-age=31536000, immutable")
    assert said == [("2", *forever), ("", *forever)]


# -- places ------------------------------------------------------------------------------------------------------------


def place(bucket: Bucket) -> tuple[str, dict[str, Any], str | None]:
    client: Any = bucket.client
    return type(client).__name__, dict(client.config), client.prefix


@pytest.fixture
def credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    account = {"type": "service_account", "client_email": "a@example.org", "private_key_id": "k"}
    (tmp_path / "account.json").write_text(json.dumps(account | {"private_key": key.decode()}))
    for name, value in {
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "us-east-1",
        "GOOGLE_SERVICE_ACCOUNT": str(tmp_path / "account.json"),
        "AZURE_STORAGE_ACCOUNT_NAME": "account",
        "AZURE_STORAGE_ACCOUNT_KEY": "a2V5",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)


@pytest.mark.usefixtures("credentials")
@pytest.mark.parametrize(
    ("url", "client", "config", "host"),
    [
        ("s3://news", "S3Store", {"bucket": "news"}, "s3.us-east-1.amazonaws.com"),
        ("gs://news", "GCSStore", {"bucket": "news"}, "storage.googleapis.com"),
        ("az://news", "AzureStore", {"container_name": "news"}, "account.blob.core.windows.net"),
    ],
)
@pytest.mark.parametrize("prefix", ["", "/a/prefix"])
def test_a_url_is_parsed_and_signed_without_a_network(
    url: str, client: str, config: dict[str, str], host: str, prefix: str
) -> None:
    bucket = connect_bucket(url + prefix)
    kind, found, below = place(bucket)
    assert (kind, {name: found[name] for name in config}, below or "") == (client, config, prefix.removeprefix("/"))
    signed = bucket.signed_url("assets/aa/file.jpg", 60)
    assert signed is not None
    parts = urlsplit(signed)
    assert (parts.scheme, parts.hostname, parts.path) == ("https", host, f"/news{prefix}/assets/aa/file.jpg")
    assert parts.query


def test_the_account_of_azure_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_NAME", raising=False)
    with pytest.raises(ConfigError, match="no credentials: set those of the provider in the environment"):
        connect_bucket("az://container/prefix")
    with pytest.raises(ConfigError, match="az://CONTAINER/PREFIX"):
        connect_bucket("az://")
