"""The ASGI application: routes requests and sends the answers. It never downloads and never renders images."""

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
from imgcache.server.local_storage import LocalStorage
from imgcache.server.manifest_watcher import ManifestWatcher
from imgcache.server.metrics import CONTENT_TYPE, Metrics, State
from imgcache.server.remote_storage import RemoteStorage
from imgcache.server.request_fields import RequestFields
from imgcache.server.responses import Answer, Page, answer_with, full, problem, unavailable
from imgcache.server.sending import Receive, Send, read_first_piece, send_file
from imgcache.server.storage import Storage
from imgcache.server.tuning import Tuning
from imgcache.server.upstream import Unavailable

_FAILURES_INTERVAL = 15.0  # seconds between two reads of the index
_MAX_FIELDS = 100
_JSON: Headers = ((b"content-type", b"application/json"), *SAFE)
_ASSET: Headers = ((b"cache-control", b"public, max-age=31536000, immutable"),)
_MANIFEST: Headers = ((b"cache-control", b"public, max-age=5"),)
_NO_STORE: Headers = ((b"cache-control", b"no-store"),)
_GALLERY_HIDDEN = admission.Refusal(
    404,
    "not-shown",
    "the gallery is not shown here; by default it is shown only on the machine that serves it, at localhost and without"
    " a proxy: `serve.gallery` in imgcache.yml sets who sees it",
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
        *,
        store: ReadableStore | None = None,
        tuning: Tuning | None = None,
    ) -> None:
        """Reads nothing yet.

        Args:
            cache: the folder of the cache; with a `store`, of its index alone.
            site: the folder of the site, for the gallery.
            policy: the settings under `serve`.
            clock: monotonic, in seconds.
            store: the object store with manifest.json and assets/.
            tuning: other intervals and sizes than the usual ones.

        Raises:
            ConfigError: there is no folder for temporary files, which a `store` needs.
        """
        tuning = tuning or Tuning()
        self._storage: Storage = (
            LocalStorage(cache, policy.memory, clock, tuning)
            if store is None
            else RemoteStorage(store, policy, clock, tuning)
        )
        self._watcher = ManifestWatcher(self._storage, clock)
        self._blobs = Blobs(self._storage, self._watcher, policy.memory, clock)
        self._index = IndexReader(cache)
        self._images = Images(self._watcher, self._blobs, self._index, policy)
        self._gallery = functools.cache(lambda: _gallery(self._storage.folder, site))
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
            "metrics": self._metrics_page,
            "gallery": self._gallery_page,
            "other": self._not_found,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one ASGI scope (https://asgi.readthedocs.io/en/latest/specs/www.html)."""
        if scope["type"] == "http":
            await self._answer(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._run_lifespan(receive, send)

    def cached_response(self, target: bytes, fields: RequestFields) -> tuple[bytes, bytes] | None:
        """Returns and counts the 200 response to a plain HTTP/1.1 request, if all of it is in memory.

        Returns:
            The header lines of the route and the file, without status line, Date and the empty line, and the body.
            None: the ASGI application has to be called.
        """
        if self._log is not None or not fields.is_plain:
            return None
        if admission.refusal(fields, version="1.1", target_bytes=len(target)) is not None:
            return None
        start, _, query = target.partition(b"?")
        path = start.decode("latin-1")
        route = admission.route(path)
        if route == "image":
            found = self._images.cached(query, fields.accept)
        elif route == "assets":
            blob = self._blobs.cached(path[1:])
            found = (blob, _ASSET) if blob else None
        else:
            return None
        if found is None or found[0].data is None:
            return None
        body, more = found
        self._metrics.count_cached(route, body.size)
        return body.head_with(more), found[0].data

    async def _run_lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await self._watcher.view()
                await send({"type": "lifespan.startup.complete"})
            else:
                self._storage.close()
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        started, method = self._clock(), scope["method"]
        fields = RequestFields.of(method, scope["headers"])
        route, answer = await self._route(scope, fields)
        if answer.file is not None and method != "HEAD":
            answer = await read_first_piece(answer, answer.file, fields)
        ready = self._clock() - started
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
            seconds = self._clock() - started
            self._log(Request(time.time(), str(client[0]), method, target, answer.status, sent, seconds))

    async def _route(self, scope: Scope, fields: RequestFields) -> tuple[str, Answer]:
        """Returns the name of the route, for the metrics, and the answer."""
        path, query = scope["path"], scope["query_string"]
        if root := scope.get("root_path"):
            path = path.removeprefix(root)
        version = scope.get("http_version", "")
        refused = admission.refusal(fields, version=version, target_bytes=len(path) + len(query))
        if refused is not None:
            return "other", _refuse(fields, *refused)
        name = admission.route(path)
        if name == "gallery" and not self._shows_gallery(scope, fields):
            return name, _refuse(fields, *_GALLERY_HIDDEN)
        try:
            return name, await self._handlers[name](path, query, fields)
        except Unavailable:
            return name, unavailable(fields)

    def _shows_gallery(self, scope: Scope, fields: RequestFields) -> bool:
        client = scope.get("client")
        return sees_gallery(
            self._audience, client[0] if client else None, fields.host, [name for name, _ in scope["headers"]]
        )

    async def _not_found(self, _path: str, _query: bytes, fields: RequestFields) -> Answer:
        return _refuse(fields, 404, "not-found", "there is no such page", ())

    async def _image(self, _path: str, query: bytes, fields: RequestFields) -> Answer:
        return await self._images.answer(query, fields)

    async def _asset(self, path: str, _query: bytes, fields: RequestFields) -> Answer:
        name = path[1:]
        blob = await self._blobs.get(name)
        if blob is None:
            return _refuse(fields, 404, "not-found", "the cache has no such file", SHARED)
        return answer_with(blob, fields, _ASSET)

    async def _gallery_page(self, path: str, query: bytes, fields: RequestFields) -> Answer:
        try:
            query_fields = parse_qs(
                query.decode("ascii", "replace"), keep_blank_values=True, max_num_fields=_MAX_FIELDS
            )
        except ValueError:
            return _refuse(fields, 400, "query", f"more than {_MAX_FIELDS} fields", ())
        pages = await asyncio.to_thread(self._gallery)  # its first use imports and compiles templates
        page = await asyncio.to_thread(pages.respond, path, query_fields) if pages else None
        if page is None:
            return _refuse(fields, 404, "not-found", "there is no such page", ())
        return full(page.status, tuple(page.headers), page.body)

    async def _manifest(self, _path: str, _query: bytes, fields: RequestFields) -> Answer:
        lines = (await self._watcher.view()).lines
        if lines is None and self._watcher.unreachable:
            return unavailable(fields)
        if lines is None:
            return _refuse(fields, 404, "not-found", "there is no manifest.json yet: run imgcache sync", ())
        body = Body(size=lines.stamp.size, etag=lines.etag, headers=_JSON, data=None, file=lines.file)
        return answer_with(body, fields, _MANIFEST)

    async def _health(self, _path: str, _query: bytes, _fields: RequestFields) -> Answer:
        view = await self._watcher.view()
        if self._watcher.unreachable:
            message = "the object store does not answer; the log has details"
            return _json(503, {"status": "unreachable", "images": view.images, "message": message})
        if self._watcher.trouble is None:
            return _json(200, {"status": "ok", "images": view.images})
        message = "manifest.json cannot be read; the log has details"
        return _json(503, {"status": "unreadable", "images": view.images, "message": message})

    async def _metrics_page(self, _path: str, _query: bytes, _fields: RequestFields) -> Answer:
        view, now = await self._watcher.view(), self._clock()
        if now - self._failures_at > _FAILURES_INTERVAL:
            self._failures_at = now
            self._failures = await asyncio.to_thread(self._index.failures)
        last_run = await asyncio.to_thread(self._index.last_run)
        is_readable = self._watcher.trouble is None and not self._watcher.unreachable
        state = State(view.images, self._blobs.bytes_held, is_readable, last_run, self._failures)
        self._metrics.flush()
        body = await asyncio.to_thread(self._metrics.render, state)
        return full(200, ((b"content-type", CONTENT_TYPE), *_NO_STORE, *SAFE), body)


def _refuse(fields: RequestFields, status: int, code: str, message: str, headers: Headers) -> Answer:
    as_html = accept.prefers_html(accept.parse_accept(fields.accept or ""))
    return problem(status, code, message, as_html=as_html, headers=headers)


def _json(status: int, value: Mapping[str, object]) -> Answer:
    return full(status, (*_JSON, *_NO_STORE), msgspec.json.encode(value) + b"\n")


def _gallery(cache: Path, site: Path | None) -> _Pages | None:
    """Returns the gallery, if its template library is installed."""
    try:
        module = importlib.import_module("imgcache.server.gallery")
    except ModuleNotFoundError as error:
        _logger.warning("no gallery: %s is not installed", error.name)
        return None
    pages: _Pages = module.Gallery(cache, site)
    return pages
