"""The ASGI callable: which route a request takes, and how its answer is sent. It never fetches and never renders."""

from __future__ import annotations

import asyncio
import functools
import importlib
import logging
import time
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import parse_qs

import msgspec

from imgcache.cache import ReadableStore
from imgcache.config import ServePolicy
from imgcache.server import accept, admission
from imgcache.server.access_log import Request, access_log
from imgcache.server.audience import sees_gallery
from imgcache.server.blobs import Blobs
from imgcache.server.bodies import SAFE, SHARED, Body, Headers
from imgcache.server.images import Images
from imgcache.server.index_reader import IndexReader
from imgcache.server.manifest_view import ManifestWatcher
from imgcache.server.metrics import CONTENT_TYPE, Metrics, State
from imgcache.server.remote_blobs import RemoteBlobs
from imgcache.server.remote_manifest import RemoteLibrary
from imgcache.server.request_fields import RequestFields
from imgcache.server.responses import Answer, Page, answer_with, problem, unavailable, whole
from imgcache.server.sending import Receive, Send, begun, send_file
from imgcache.server.upstream import Unavailable, Upstream

_FAILURES_KEPT = 15.0  # seconds for which the index is not asked again
_MAX_FIELDS = 100
_JSON: Headers = ((b"content-type", b"application/json"), *SAFE)
_ASSET: Headers = ((b"cache-control", b"public, max-age=31536000, immutable"),)
_MANIFEST: Headers = ((b"cache-control", b"public, max-age=5"),)
_NO_STORE: Headers = ((b"cache-control", b"no-store"),)
_NOT_SHOWN = admission.Refusal(
    404,
    "not-shown",
    "the gallery is not shown here; by default it is on the machine that serves it, at localhost and without a proxy:"
    " `serve.gallery` in imgcache.yml says who sees it",
    _NO_STORE,
)
_logger = logging.getLogger("imgcache.server")

Scope = dict[str, Any]
_Handler = Callable[[str, bytes, RequestFields], Coroutine[None, None, Answer]]


class _Pages(Protocol):
    def respond(self, path: str, query: Mapping[str, list[str]]) -> Page | None: ...


class Endpoint:
    """One cache, served to one event loop."""

    def __init__(
        self,
        cache: Path,
        site: Path | None,
        policy: ServePolicy,
        clock: Callable[[], float] = time.monotonic,
        store: ReadableStore | None = None,
    ) -> None:
        """With a `store` the folder `cache` has the index alone. `clock` gives seconds that only go forward."""
        self._upstream = Upstream(store, clock) if store is not None else None
        folder = cache
        self._library: ManifestWatcher
        self._blobs: Blobs | RemoteBlobs
        if self._upstream is None:
            self._library, self._blobs = ManifestWatcher(cache, clock), Blobs(cache, policy.memory, clock)
        else:
            self._library = remote = RemoteLibrary(self._upstream, clock)
            self._blobs, folder = RemoteBlobs(self._upstream, remote, policy, clock), remote.folder
        self._chronicle = IndexReader(cache)
        self._images = Images(self._library, self._blobs, self._chronicle, policy)
        self._gallery = functools.cache(lambda: _gallery(folder, site))
        self._metrics = Metrics()
        self._log = access_log(policy.access_log)
        self._audience = policy.gallery
        self._clock = clock
        self._failures: Mapping[str, int] = {}
        self._failures_at = float("-inf")
        self._handlers: Mapping[str, _Handler] = {
            "image": self._image,
            "assets": self._asset,
            "manifest": self._manifest,
            "healthz": self._health,
            "metrics": self._measures,
            "gallery": self._page,
            "other": self._nothing,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection's scope, as https://asgi.readthedocs.io/en/latest/specs/www.html has it."""
        if scope["type"] == "http":
            await self._answer(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._live(receive, send)

    def at_hand(self, target: bytes, asked: RequestFields) -> tuple[bytes, bytes] | None:
        """The head and the body for a request of HTTP/1.1, counted, where it is plain and all it takes is in memory.

        Else the endpoint is to be called. The head is without status line, Date and the empty line: see
        `imgcache.server.protocol`.
        """
        if self._log is not None or not asked.is_plain:
            return None
        if admission.refusal(asked, version="1.1", target_bytes=len(target)) is not None:
            return None
        start, _, query = target.partition(b"?")
        path = start.decode("latin-1")
        route = admission.route(path)
        if route == "image":
            found = self._images.at_hand(query, asked.accept)
        elif route == "assets":
            blob = self._blobs.at_hand(path[1:])
            found = (blob, _ASSET) if blob else None
        else:
            return None
        if found is None or found[0].data is None:
            return None
        body, more = found
        self._metrics.count_at_hand(route, body.size)
        return body.head_with(more), found[0].data

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await self._library.view()
                await send({"type": "lifespan.startup.complete"})
            else:
                if self._upstream is not None and isinstance(self._library, RemoteLibrary):
                    self._upstream.close()
                    self._library.close()
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        began, method = self._clock(), scope["method"]
        asked = RequestFields.of(method, scope["headers"])
        route, answer = await self._route(scope, asked)
        if answer.file is not None and method != "HEAD":
            answer = await begun(answer, answer.file, asked)
        ready = self._clock() - began
        await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
        if method == "HEAD" or answer.file is None:
            body = b"" if method == "HEAD" else answer.body
            await send({"type": "http.response.body", "body": body})
            sent = len(body)
        else:
            sent = await send_file(answer, answer.file, receive, send)
        self._metrics.count(route, answer.status, sent, ready)
        if self._log is not None:
            query = scope["query_string"]
            target = scope.get("raw_path") or scope["path"].encode()
            target = target + b"?" + query if query else target
            client = scope.get("client") or ("-", 0)
            seconds = self._clock() - began
            self._log(Request(time.time(), str(client[0]), method, target, answer.status, sent, seconds))

    async def _route(self, scope: Scope, asked: RequestFields) -> tuple[str, Answer]:
        """The name of the route, for the metrics, and the answer."""
        path, query = scope["path"], scope["query_string"]
        if root := scope.get("root_path"):
            path = path.removeprefix(root)
        version = scope.get("http_version", "")
        refused = admission.refusal(asked, version=version, target_bytes=len(path) + len(query))
        if refused is not None:
            return "other", _refuse(asked, *refused)
        name = admission.route(path)
        if name == "gallery" and not self._shows_gallery(scope, asked):
            return name, _refuse(asked, *_NOT_SHOWN)
        try:
            return name, await self._handlers[name](path, query, asked)
        except Unavailable:
            return name, unavailable(asked)

    def _shows_gallery(self, scope: Scope, asked: RequestFields) -> bool:
        client = scope.get("client")
        return sees_gallery(
            self._audience, client[0] if client else None, asked.host, [name for name, _ in scope["headers"]]
        )

    async def _nothing(self, _path: str, _query: bytes, asked: RequestFields) -> Answer:
        return _refuse(asked, 404, "not-found", "there is nothing here", ())

    async def _image(self, _path: str, query: bytes, asked: RequestFields) -> Answer:
        return await self._images.answer(query, asked)

    async def _asset(self, path: str, _query: bytes, asked: RequestFields) -> Answer:
        name = path[1:]
        blob = self._blobs.at_hand(name) or await self._blobs.get(name)
        if blob is None:
            return _refuse(asked, 404, "not-found", "the cache has no such file", SHARED)
        return answer_with(blob, asked, _ASSET)

    async def _page(self, path: str, query: bytes, asked: RequestFields) -> Answer:
        try:
            fields = parse_qs(query.decode("ascii", "replace"), keep_blank_values=True, max_num_fields=_MAX_FIELDS)
        except ValueError:
            return _refuse(asked, 400, "query", f"more than {_MAX_FIELDS} fields", ())
        pages = await asyncio.to_thread(self._gallery)  # its first use imports and compiles templates
        page = await asyncio.to_thread(pages.respond, path, fields) if pages else None
        if page is None:
            return _refuse(asked, 404, "not-found", "there is nothing here", ())
        return whole(page.status, tuple(page.headers), page.body)

    async def _manifest(self, _path: str, _query: bytes, asked: RequestFields) -> Answer:
        lines = (await self._library.view()).lines
        if lines is None and self._library.unreachable:
            return unavailable(asked)
        if lines is None:
            return _refuse(asked, 404, "not-found", "there is no manifest.json yet: run imgcache sync", ())
        body = Body(size=lines.stamp.size, etag=lines.etag, headers=_JSON, data=None, file=lines.file)
        return answer_with(body, asked, _MANIFEST)

    async def _health(self, _path: str, _query: bytes, _asked: RequestFields) -> Answer:
        view = await self._library.view()
        if self._library.unreachable:
            message = "the object store gives no answer; the log says more"
            return _json(503, {"status": "unreachable", "images": view.images, "message": message})
        if self._library.trouble is None:
            return _json(200, {"status": "ok", "images": view.images})
        message = "manifest.json cannot be read; the log says why"
        return _json(503, {"status": "unreadable", "images": view.images, "message": message})

    async def _measures(self, _path: str, _query: bytes, _asked: RequestFields) -> Answer:
        view, now = await self._library.view(), self._clock()
        if now - self._failures_at > _FAILURES_KEPT:
            self._failures_at = now
            self._failures = await asyncio.to_thread(self._chronicle.failures)
        last_run = await asyncio.to_thread(self._chronicle.last_run)
        is_readable = self._library.trouble is None and not self._library.unreachable
        state = State(view.images, self._blobs.bytes_held, is_readable, last_run, self._failures)
        self._metrics.enter()
        body = await asyncio.to_thread(self._metrics.render, state)
        return whole(200, ((b"content-type", CONTENT_TYPE), *_NO_STORE, *SAFE), body)


def _refuse(asked: RequestFields, status: int, code: str, message: str, headers: Headers) -> Answer:
    as_html = accept.prefers_html(accept.parse_accept(asked.accept or ""))
    return problem(status, code, message, as_html=as_html, headers=headers)


def _json(status: int, value: Mapping[str, object]) -> Answer:
    return whole(status, (*_JSON, *_NO_STORE), msgspec.json.encode(value) + b"\n")


def _gallery(cache: Path, site: Path | None) -> _Pages | None:
    """The gallery, where what it needs is installed."""
    try:
        module = importlib.import_module("imgcache.server.gallery")
    except ModuleNotFoundError as error:
        _logger.warning("no gallery: %s is not installed", error.name)
        return None
    pages: _Pages = module.Gallery(cache, site)
    return pages
