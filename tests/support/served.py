"""A cache made by hand, and the endpoint over it on a real socket."""

from __future__ import annotations

import asyncio
import hashlib
import http.client
import io
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

import msgspec
from PIL import Image
from uvicorn import Config, Server

from imgcache.cache import ReadableStore
from imgcache.config import ServePolicy
from imgcache.core import Asset, Variant
from imgcache.server import Endpoint
from imgcache.server.protocol import BoundedProtocol
from imgcache.server.tuning import Tuning

Http = type[asyncio.Protocol] | str  # what speaks HTTP, as uvicorn's setting has it

TYPES = {"jpeg": "jpg", "webp": "webp", "png": "png", "gif": "gif", "tiff": "tif"}
VARIANTS = (("thumb", 320, "jpeg"), ("w320", 320, "webp"), ("w640", 640, "webp"), ("w1280", 1280, "webp"))


class Response(NamedTuple):
    """What came back. Names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def drawn(width: int, height: int, kind: str, shade: int = 80) -> bytes:
    """An image file that is large for its size."""
    with io.BytesIO() as file, Image.effect_noise((width, height), shade) as noise:
        noise.convert("RGB").save(file, kind)
        return file.getvalue()


def held(
    cache: Path, kind: str = "jpeg", shade: int = 80, variants: tuple[tuple[str, int, str], ...] = VARIANTS
) -> Asset:
    """One image of 1600×90 with its variants, on disk."""
    data = drawn(1600, 90, kind, shade)
    digest = hashlib.sha256(data).hexdigest()
    base = f"assets/{digest[:2]}/{digest}"
    (cache / base).mkdir(parents=True, exist_ok=True)
    original = f"{base}/original.{TYPES[kind]}"
    (cache / original).write_bytes(data)
    made = []
    for name, width, form in variants:
        part, path = drawn(width, width * 9 // 160, form, shade), f"{base}/{name}.{TYPES[form]}"
        (cache / path).write_bytes(part)
        made.append(Variant(name, width, width * 9 // 160, form, len(part), path, "0" * 12, "0" * 64))
    fields = {"format": kind, "width": 1600, "height": 90, "frames": 1, "bytes": len(data)}
    return Asset(
        digest, f"image/{kind}", **fields, color="#808080", placeholder="data:,", original=original,  # type: ignore[arg-type]
        variants=tuple(made), recipes=(),
    )  # fmt: skip


def write_manifest(cache: Path, images: Mapping[str, Asset]) -> None:
    """As a sync does it: one image a line, replaced in one step."""
    keys = ("digest", "media_type", "width", "height", "bytes", "color", "placeholder", "original", "variants")
    entries = {url: {key: getattr(asset, key) for key in keys} for url, asset in sorted(images.items())}
    lines = (b"\n" + msgspec.json.encode(url) + b":" + msgspec.json.encode(entry) for url, entry in entries.items())
    part = cache / "manifest.json.part"
    part.write_bytes(b'{"version":1,"images":{' + b",".join(lines) + b"\n}}\n")
    part.replace(cache / "manifest.json")


@contextmanager
def serving(
    cache: Path,
    policy: ServePolicy | None = None,
    store: ReadableStore | None = None,
    http: Http = BoundedProtocol,
    tuning: Tuning | None = None,
) -> Iterator[int]:
    """Runs the endpoint in a thread; yields its port."""
    with closing(socket.create_server(("127.0.0.1", 0), backlog=256)) as listener:
        app = Endpoint(cache, None, policy or ServePolicy(), store=store, tuning=tuning)
        server = Server(
            Config(
                app,
                loop="uvloop",
                http=http,
                ws="none",
                lifespan="on",
                log_config=None,
                log_level="critical",
                access_log=False,
                server_header=False,
                proxy_headers=False,  # else the application is wrapped, and the fast path is not used
                timeout_graceful_shutdown=2,
            )
        )
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            while not server.started:
                time.sleep(0.01)
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join()


def ask(port: int, target: str, *, method: str = "GET", **headers: str) -> Response:
    """One request; `if_none_match="…"` is a header."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        connection.request(method, target, headers={name.replace("_", "-"): text for name, text in headers.items()})
        answer = connection.getresponse()
        return Response(answer.status, {name.lower(): text for name, text in answer.getheaders()}, answer.read())


def raw(port: int, data: bytes) -> bytes:
    """Returns the response to exactly these bytes, until the connection ends or for two seconds."""
    with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
        connection.sendall(data)
        found = bytearray()
        try:
            while part := connection.recv(65536):
                found += part
        except (TimeoutError, ConnectionResetError):
            pass
    return bytes(found)


@contextmanager
def serving_process(
    site: Path, *options: str, under: Sequence[str] = ()
) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """`imgcache serve` in a process, perhaps `under` another program; yields it with the port that it prints."""
    command = [*under, sys.executable, "-m", "imgcache", "serve", str(site), "--port", "0", *options]
    environment = {key: text for key, text in os.environ.items() if not key.startswith("IMGCACHE_")}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stderr is not None
            said = re.fullmatch(r"imgcache: serving \S+ on http://127\.0\.0\.1:(\d+)\n", process.stderr.readline())
            assert said
            yield process, int(said[1])
        finally:
            process.kill()
