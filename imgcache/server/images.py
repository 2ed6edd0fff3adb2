"""`/image`: the file that suits a client best, of the image at a URL."""

from __future__ import annotations

import asyncio
import logging

from imgcache.config import ServePolicy
from imgcache.core import ConfigError, redact
from imgcache.server import accept, negotiation, query
from imgcache.server.blobs import Blobs
from imgcache.server.bodies import SAFE, SHARED, Body, Headers
from imgcache.server.index_reader import IndexReader
from imgcache.server.manifest_view import ManifestView, ManifestWatcher
from imgcache.server.negotiation import Choice
from imgcache.server.placeholder import gif
from imgcache.server.query import Query
from imgcache.server.remote_blobs import RemoteBlobs
from imgcache.server.request_fields import RequestFields
from imgcache.server.responses import Answer, answer_with, problem, whole
from imgcache.server.upstream import Unavailable

_LONGEST_REMEMBERED = 1024  # characters of query and Accept: what is remembered stays within a few MB
_LIFETIME = (b"cache-control", b"public, max-age=300, stale-while-revalidate=86400")
_MISSING: Headers = ((b"cache-control", b"no-cache"), *SHARED)
_PLACEHOLDER: Headers = ((b"content-type", b"image/gif"), (b"cache-control", b"public, max-age=30"), *SHARED, *SAFE)
_logger = logging.getLogger("imgcache.server")


class _Refused(Exception):
    """The request cannot be met: status, code, message."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class _NotHeld(Exception):
    """There is no such image; `args` are its URL."""


class Images:
    """Answers `/image` for one cache."""

    def __init__(
        self, library: ManifestWatcher, blobs: Blobs | RemoteBlobs, chronicle: IndexReader, policy: ServePolicy
    ) -> None:
        self._library = library
        self._blobs = blobs
        self._chronicle = chronicle
        self._policy = policy
        self._headers = {
            (on_accept, on_hints): _headers(on_accept=on_accept, on_hints=on_hints)
            for on_accept in (False, True)
            for on_hints in (False, True)
        }

    async def answer(self, text: bytes, asked: RequestFields) -> Answer:
        """What a GET or HEAD of `/image?text` gets. Raises Unavailable."""
        hints = self._policy.client_hints
        view = self._library.at_hand()
        if view is None:
            view = await self._library.view()
        key = (text, asked.accept, asked.sec_ch_width, asked.sec_ch_dpr) if hints else (text, asked.accept)
        choice = view.choices.get(key)
        try:
            if choice is None:
                choice = await self._choose(view, query.parse(text), asked)
                if len(text) + len(asked.accept or "") < _LONGEST_REMEMBERED:
                    view.choices.put(key, choice)
            blob = self._blobs.at_hand(choice.path) or await self._blobs.get(choice.path)
            if blob is None:
                raise _Refused(404, "gone", "the file is not there any more: run imgcache verify --repair")
        except ValueError as error:
            return self._refuse(asked, _Refused(400, "query", str(error)))
        except _NotHeld as missing:
            return await self._missing(asked, *missing.args)
        except _Refused as refused:
            return self._refuse(asked, refused)
        return answer_with(blob, asked, self._headers[choice.depends_on_accept, hints])

    def at_hand(self, text: bytes, accepted: str | None) -> tuple[Body, Headers] | None:
        """The file and the headers for a plain request, where all that it takes is in memory."""
        view = self._library.at_hand()
        choice = view.choices.get((text, accepted)) if view and not self._policy.client_hints else None
        blob = self._blobs.at_hand(choice.path) if choice else None
        return (blob, self._headers[choice.depends_on_accept, False]) if blob and choice else None

    async def _choose(self, view: ManifestView, asked_for: Query, asked: RequestFields) -> Choice:
        url = asked_for.url
        try:
            candidates = await view.candidates(url)
            if not candidates and asked_for.plain_url != url:
                candidates = await view.candidates(asked_for.plain_url)
        except ConfigError as error:
            _logger.warning("%s: %s", redact(url), error)
            raise _Refused(500, "damaged", "manifest.json is damaged at this image; the log says more") from error
        if not candidates and view.lines is None and self._library.unreachable:
            raise Unavailable("manifest.json was never read")
        if not candidates:
            raise _NotHeld(url)
        width = asked.width(asked_for.width) if self._policy.client_hints else asked_for.width
        ranges = accept.parse_accept(asked.accept or "")
        choice = negotiation.choose(candidates, width=width, format=asked_for.format, accept=ranges)
        if choice is None:
            wanted = asked_for.format or "a format that browsers show"
            raise _Refused(404, "format", f"{redact(url)} is not held as {wanted}")
        return choice

    async def _missing(self, asked: RequestFields, url: str) -> Answer:
        if self._policy.fallback == "placeholder":
            size = await asyncio.to_thread(self._chronicle.declared, url)
            return whole(404, _PLACEHOLDER, gif(size.width, size.height) if size else gif(1, 1))
        return self._refuse(asked, _Refused(404, "not-held", f"{redact(url)} is not held"))

    def _refuse(self, asked: RequestFields, refused: _Refused) -> Answer:
        as_html = accept.prefers_html(accept.parse_accept(asked.accept or ""))
        return problem(refused.status, refused.code, str(refused), as_html=as_html, headers=_MISSING)


def _headers(*, on_accept: bool, on_hints: bool) -> Headers:
    varies = [b"Accept"] * on_accept + [b"Sec-CH-Width", b"Sec-CH-DPR"] * on_hints
    return (_LIFETIME, (b"vary", b", ".join(varies))) if varies else (_LIFETIME,)
