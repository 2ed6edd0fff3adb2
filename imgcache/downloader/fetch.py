"""The downloader: one URL -> one whole body in a temporary file, or the reason why not."""

from __future__ import annotations

import pathlib
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Unpack

from imgcache.core import Fetched, NotModified, Validators, request_url
from imgcache.downloader.client import WHOLE, ClientOptions, HttpClient
from imgcache.downloader.http import body
from imgcache.downloader.http import header_fields as fields
from imgcache.downloader.http.inflight import Answer, InFlight
from imgcache.downloader.http.response import Response
from imgcache.downloader.http.statistics import HostStatistics
from imgcache.downloader.http.trail import RequestTrace

_WRITERS = 2  # threads: more of them get in each other's way in the one folder


class Downloader(HttpClient):
    """Fetches images; use as `async with Downloader(...) as downloader`.

    `folder` takes the temporary files and must exist; `sniff` names the format of first bytes; the rest is as for
    `Asker`.
    """

    def __init__(self, *, folder: str | pathlib.Path, sniff: body.Sniff, **asking: Unpack[ClientOptions]) -> None:
        super().__init__(**asking)
        self._folder = pathlib.Path(folder)
        self._sniff = sniff
        self._in_flight = InFlight()
        self._writers = ThreadPoolExecutor(_WRITERS, thread_name_prefix="write")

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await super().__aexit__(kind, error, trace)
        self._writers.shutdown()

    async def fetch(
        self, url: str, validators: Validators | None = None, spent: HostStatistics | None = None
    ) -> Answer:
        """The image at `url`, as the article has it: `Fetched`, or `NotModified` where `validators` still hold.

        The caller owns the file of a `Fetched`. Two calls for one URL at once make one request and two files. `spent`
        counts the bytes of bodies that came for this call, those of attempts that failed too, and what held it up.

        Raises:
            ImageError: whatever went wrong; nothing else but CancelledError leaves here, and no file stays.
        """
        target = request_url(url)
        sent, cost = fields.fitting(validators or Validators()), HostStatistics() if spent is None else spent

        async def read(reply: Response, trail: RequestTrace) -> Answer:
            return await self._read(reply, trail, sent, cost)

        return await self._in_flight.share(
            (target, sent), lambda: self.ask(target, fields.conditions(sent), read, cost)
        )

    async def _read(self, reply: Response, trail: RequestTrace, sent: Validators, cost: HostStatistics) -> Answer:
        """Decide by the status (RFC 9110, section 15); only a whole representation is read."""
        headers = reply.headers
        if reply.status in WHOLE:
            self.check_robots_tag(headers)
            before = cost.bytes
            try:
                saved = await body.save(
                    reply,
                    folder=self._folder,
                    cap=self._limits.bytes,
                    sniff=self._sniff,
                    statistics=cost,
                    writers=self._writers,
                )
            finally:
                trail.line.bytes += cost.bytes - before
            return Fetched(
                path=saved.path,
                digest=saved.digest,
                bytes=saved.bytes,
                format=saved.format,
                validators=fields.validators(headers),
                final_url=trail.url if trail.hops else None,
                robots_tag=fields.robots_tag(headers),
            )
        if reply.status == 304 and sent != Validators():
            self.check_robots_tag(headers)
            fresh = fields.validators(headers)
            return NotModified(Validators(fresh.etag or sent.etag, fresh.last_modified or sent.last_modified))
        raise await self.refusal(reply)
