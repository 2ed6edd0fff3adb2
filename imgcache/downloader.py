"""The downloader: one URL -> one whole body in a temporary file, or the reason why not."""

from __future__ import annotations

import pathlib
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Unpack

from imgcache.asker import WHOLE, Asker, Asking
from imgcache.models import Fetched, NotModified, Validators
from imgcache.net import body, fields
from imgcache.net.inflight import Answer, InFlight
from imgcache.net.reply import Reply
from imgcache.net.statistics import HostStatistics
from imgcache.net.trail import Trail
from imgcache.urls import request_url

_WRITERS = 2  # threads: more of them get in each other's way in the one folder


class Downloader(Asker):
    """Fetches images; use as `async with Downloader(...) as downloader`.

    `folder` takes the temporary files and must exist; `sniff` names the format of first bytes; the rest is as for
    `Asker`.
    """

    def __init__(self, *, folder: str | pathlib.Path, sniff: body.Sniff, **asking: Unpack[Asking]) -> None:
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

        async def read(reply: Reply, trail: Trail) -> Answer:
            return await self._read(reply, trail, sent, cost)

        return await self._in_flight.share(
            (target, sent), lambda: self.ask(target, fields.conditions(sent), read, cost)
        )

    async def _read(self, reply: Reply, trail: Trail, sent: Validators, cost: HostStatistics) -> Answer:
        """Decide by the status (RFC 9110, section 15); only a whole representation is read."""
        headers = reply.headers
        if reply.status in WHOLE:
            self.heed_tag(headers)
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
            self.heed_tag(headers)
            fresh = fields.validators(headers)
            return NotModified(Validators(fresh.etag or sent.etag, fresh.last_modified or sent.last_modified))
        raise await self.refusal(reply)
