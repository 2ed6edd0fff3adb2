"""Downloads whole images into temporary files."""

from __future__ import annotations

import pathlib
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self, Unpack

from imgcache.core import Fetched, NotModified, Validators, browser_url
from imgcache.downloader.client import WHOLE, ClientOptions, build_client
from imgcache.downloader.http import body
from imgcache.downloader.http import header_fields as fields
from imgcache.downloader.http.inflight import FetchResult, InFlight
from imgcache.downloader.http.request_trace import RequestTrace
from imgcache.downloader.http.statistics import HostStatistics, Statistics
from imgcache.downloader.http.transport import Response

_WRITERS = 2  # threads: more of them block each other in the one folder


class Downloader:
    """Downloads images; use as `async with Downloader(...) as downloader`.

    Args:
        folder: takes the temporary files; must exist.
        sniff: returns the format of first bytes.
        **options: those of `build_client`.
    """

    def __init__(self, *, folder: str | pathlib.Path, sniff: body.Sniff, **options: Unpack[ClientOptions]) -> None:
        self._client = build_client(**options)
        self._folder = pathlib.Path(folder)
        self._sniff = sniff
        self._in_flight = InFlight()
        self._writers = ThreadPoolExecutor(_WRITERS, thread_name_prefix="write")

    async def __aenter__(self) -> Self:
        await self._client.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.__aexit__(kind, error, trace)
        self._writers.shutdown()

    @property
    def statistics(self) -> Statistics:
        """The requests of this run so far, by host."""
        return self._client.statistics

    async def fetch(
        self, url: str, validators: Validators | None = None, spent: HostStatistics | None = None
    ) -> FetchResult:
        """Download the image at `url`.

        Args:
            url: as the article has it.
            validators: of an earlier response; they make the request conditional.
            spent: counts the bytes of bodies that were received for this call, in failed attempts too, and what
                delayed it.

        Returns:
            A `Fetched`, whose file belongs to the caller, or `NotModified` where `validators` are still current. Two
            simultaneous calls for one URL make one request and two files.

        Raises:
            ImageError: every failure; no file is left. Only CancelledError is raised beside it.
        """
        target = browser_url(url)
        sent, cost = fields.sendable(validators or Validators()), HostStatistics() if spent is None else spent

        async def read(response: Response, trace: RequestTrace) -> FetchResult:
            return await self._read(response, trace, sent, cost)

        return await self._in_flight.share(
            (target, sent), lambda: self._client.get(target, fields.conditional_headers(sent), read, cost)
        )

    async def _read(
        self, response: Response, trace: RequestTrace, sent: Validators, cost: HostStatistics
    ) -> FetchResult:
        """Decide by the status (RFC 9110, section 15); only a whole representation is saved."""
        headers = response.headers
        if response.status in WHOLE:
            self._client.check_robots_tag(headers)
            bytes_before = cost.bytes
            try:
                saved = await body.save(
                    response,
                    folder=self._folder,
                    cap=self._client.limits.bytes,
                    sniff=self._sniff,
                    statistics=cost,
                    writers=self._writers,
                )
            finally:
                trace.statistics.bytes += cost.bytes - bytes_before
            return Fetched(
                path=saved.path,
                digest=saved.digest,
                bytes=saved.bytes,
                format=saved.format,
                validators=fields.validators(headers),
                final_url=trace.url if trace.hops else None,
                robots_tag=fields.robots_tag(headers),
            )
        if response.status == 304 and sent != Validators():
            self._client.check_robots_tag(headers)
            fresh = fields.validators(headers)
            return NotModified(Validators(fresh.etag or sent.etag, fresh.last_modified or sent.last_modified))
        raise await self._client.status_error(response)
