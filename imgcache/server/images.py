"""Answers `/image`: of the image at a URL, the file that suits the client best."""

from __future__ import annotations

import asyncio
import logging

from imgcache.config import ServePolicy
from imgcache.core import ConfigError, redact
from imgcache.server import accept, negotiation, query
from imgcache.server.blobs import Blobs
from imgcache.server.bodies import SAFE, SHARED, Body, Headers
from imgcache.server.index_reader import IndexReader
from imgcache.server.manifest_view import ManifestView
from imgcache.server.manifest_watcher import ManifestWatcher
from imgcache.server.negotiation import Choice
from imgcache.server.placeholder import gif
from imgcache.server.query import Query
from imgcache.server.request_fields import RequestFields
from imgcache.server.responses import Answer, answer_with, full, problem
from imgcache.server.upstream import Unavailable

_MAX_KEY = 1024  # characters of query and Accept: the remembered choices stay within a few MB
_LIFETIME = (b"cache-control", b"public, max-age=300, stale-while-revalidate=86400")
_MISSING: Headers = ((b"cache-control", b"no-cache"), *SHARED)
_PLACEHOLDER: Headers = ((b"content-type", b"image/gif"), (b"cache-control", b"public, max-age=30"), *SHARED, *SAFE)
_logger = logging.getLogger("imgcache.server")


class _Refused(Exception):
    """The request is refused with this status, code and message."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class _NotCached(Exception):
    """There is no such image; `args` has its URL."""


class Images:
    """Answers `/image` for one cache."""

    def __init__(self, manifest: ManifestWatcher, blobs: Blobs, index: IndexReader, policy: ServePolicy) -> None:
        self._manifest = manifest
        self._blobs = blobs
        self._index = index
        self._policy = policy
        self._headers = {
            (on_accept, on_hints): _headers(on_accept=on_accept, on_hints=on_hints)
            for on_accept in (False, True)
            for on_hints in (False, True)
        }

    async def answer(self, text: bytes, fields: RequestFields) -> Answer:
        """Returns the answer to a GET or HEAD of `/image?text`. Raises Unavailable."""
        hints = self._policy.client_hints
        view = self._manifest.fresh() or await self._manifest.view()
        key = (text, fields.accept, fields.sec_ch_width, fields.sec_ch_dpr) if hints else (text, fields.accept)
        choice = view.choices.get(key)
        try:
            if choice is None:
                choice = await self._choose(view, query.parse(text), fields)
                if len(text) + len(fields.accept or "") < _MAX_KEY:
                    view.choices.put(key, choice)
            blob = self._blobs.cached(choice.path) or await self._blobs.get(choice.path)
            if blob is None:
                raise _Refused(404, "gone", "the file is missing from the cache: run imgcache verify --repair")
        except ValueError as error:
            return self._refuse(fields, _Refused(400, "query", str(error)))
        except _NotCached as missing:
            return await self._answer_missing(fields, *missing.args)
        except _Refused as refused:
            return self._refuse(fields, refused)
        return answer_with(blob, fields, self._headers[choice.depends_on_accept, hints])

    def cached(self, text: bytes, accepted: str | None) -> tuple[Body, Headers] | None:
        """Returns the file and the headers of its route for a plain request, if all of it is known already."""
        view = self._manifest.fresh()
        choice = view.choices.get((text, accepted)) if view and not self._policy.client_hints else None
        blob = self._blobs.cached(choice.path) if choice else None
        return (blob, self._headers[choice.depends_on_accept, False]) if blob and choice else None

    async def _choose(self, view: ManifestView, query_: Query, fields: RequestFields) -> Choice:
        url = query_.url
        try:
            candidates = await view.candidates(url)
            if not candidates and query_.plain_url != url:
                candidates = await view.candidates(query_.plain_url)
        except ConfigError as error:
            _logger.warning("%s: %s", redact(url), error)
            raise _Refused(
                500, "damaged", "the entry of this image in manifest.json is damaged; the log has details"
            ) from error
        if not candidates and view.lines is None and self._manifest.unreachable:
            raise Unavailable("manifest.json was never read")
        if not candidates:
            raise _NotCached(url)
        width = fields.width(query_.width) if self._policy.client_hints else query_.width
        ranges = accept.parse_accept(fields.accept or "")
        choice = negotiation.choose(candidates, width=width, format=query_.format, accept=ranges)
        if choice is None:
            format_ = query_.format or "a format that browsers show"
            raise _Refused(404, "format", f"{redact(url)} is not cached as {format_}")
        return choice

    async def _answer_missing(self, fields: RequestFields, url: str) -> Answer:
        if self._policy.fallback == "placeholder":
            size = await asyncio.to_thread(self._index.declared, url)
            return full(404, _PLACEHOLDER, gif(size.width, size.height) if size else gif(1, 1))
        return self._refuse(fields, _Refused(404, "not-held", f"{redact(url)} is not cached"))

    def _refuse(self, fields: RequestFields, refused: _Refused) -> Answer:
        as_html = accept.prefers_html(accept.parse_accept(fields.accept or ""))
        return problem(refused.status, refused.code, str(refused), as_html=as_html, headers=_MISSING)


def _headers(*, on_accept: bool, on_hints: bool) -> Headers:
    varies = [b"Accept"] * on_accept + [b"Sec-CH-Width", b"Sec-CH-DPR"] * on_hints
    return (_LIFETIME, (b"vary", b", ".join(varies))) if varies else (_LIFETIME,)
