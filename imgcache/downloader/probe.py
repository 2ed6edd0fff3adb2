"""Reads the format and the size of remote images from as few of their bytes as possible.

The request is a GET with a Range for the first 32 KB (RFC 9110, section 14); where the header is longer, further ranges
follow. The prober reads whatever the server sends: a 206 up to the end of the range, a 200 from its beginning until the
size is known, and then it drops the connection. Limit: a header that ends beyond `MOST` bytes is not read to its end,
although a sync, which has the whole file, may read it.
"""

from __future__ import annotations

import hashlib
import re
from types import TracebackType
from typing import Self, Unpack

from imgcache.core import (
    FORMATS,
    MEDIA_TYPES,
    PROBE_BYTES,
    SNIFF_BYTES,
    Limits,
    NotAnImage,
    ProbedImage,
    TooLarge,
    TooManyFrames,
    TooManyPixels,
    Undecodable,
    browser_url,
    sniff,
)
from imgcache.downloader.client import WHOLE, ClientOptions, build_client
from imgcache.downloader.headers import Measured, MoreBytesNeeded, PartialFile, measure
from imgcache.downloader.http import body
from imgcache.downloader.http import header_fields as fields
from imgcache.downloader.http.request_trace import RequestTrace
from imgcache.downloader.http.statistics import HostStatistics, Statistics
from imgcache.downloader.http.transport import Response

MOST = 1_048_576  # bytes that are read of one image
STEP = 8_192  # bytes of the second request, doubled for each further one

_FIRST_LOOK = 1_024  # bytes after which the format of a whole body is checked, as the downloader does
_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)", re.IGNORECASE)  # RFC 9110, section 14.4


class PartialBody:
    """The part of an image that one response contained.

    Attributes:
        data: the bytes, decoded.
        start: their offset in the image.
        total: the length of the whole image in bytes, None where it is unknown.
        etag: a strong one, or None.
        is_ranged: whether the status was 206.
        received: the bytes that were read from the connection, before decoding.
        trace: how the request went.
    """

    __slots__ = ("data", "etag", "is_ranged", "received", "start", "total", "trace")

    def __init__(self, trace: RequestTrace, response: Response, start: int, total: int | None) -> None:
        etag = fields.validators(response.headers).etag
        self.is_ranged = response.status == 206
        self.trace = trace
        self.etag = etag if etag and not etag.startswith("W/") else None
        self.start = start
        self.total = total
        self.data = b""
        self.received = 0

    async def read(self, response: Response, most: int) -> bytes:
        """Return the next bytes of the body, at most so many; empty at its end."""
        chunk = await response.read(most)
        self.received += len(chunk)
        self.trace.statistics.bytes += len(chunk)
        return chunk


class Prober:
    """Probes images; use as `async with Prober(...) as prober`.

    Args:
        **options: those of `build_client`.
    """

    def __init__(self, **options: Unpack[ClientOptions]) -> None:
        self._client = build_client(**options)
        self._limits = self._client.limits

    async def __aenter__(self) -> Self:
        await self._client.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.__aexit__(kind, error, trace)

    @property
    def statistics(self) -> Statistics:
        """The requests of this run so far, by host."""
        return self._client.statistics

    async def probe(self, url: str, spent: HostStatistics | None = None) -> ProbedImage:
        """Read the beginning of the image at `url` until its size is known.

        Args:
            url: as the article has it.
            spent: counts what delayed the call: refusals, time-outs and the wait for retries.

        Raises:
            ImageError: the failure that a sync would report, as far as the header shows it.
        """
        part = await self._request(browser_url(url), 0, PROBE_BYTES, spent=spent)
        state = _ProbeState(part, self._limits)
        while True:
            try:
                return state.result()
            except MoreBytesNeeded as needed:
                start, stop = state.next_range(needed)
            state.add(await self._request(state.url, start, stop, state.part, spent=spent))

    async def _request(
        self, url: str, start: int, stop: int, previous: PartialBody | None = None, *, spent: HostStatistics | None
    ) -> PartialBody:
        """Return the bytes from `start` up to `stop`, or the image's beginning where the server sends that instead.

        The image must be the same as that of the `previous` part (RFC 9110, section 13.1.5).
        """
        headers = {"Range": f"bytes={start}-{stop - 1}"}
        if previous is not None and previous.etag is not None:
            headers["If-Range"] = previous.etag

        async def read(response: Response, trace: RequestTrace) -> PartialBody | None:
            if response.status == 206:
                self._client.check_robots_tag(response.headers)
                return await self._read_range(response, trace, start, stop, previous)
            return None if response.status == 416 else await self._read_whole(response, trace)

        part = await self._client.get(url, headers, read, spent)
        # 416: an empty file has no ranges (section 14.1.2). After an invalid range no second one is requested.
        return part if part is not None else await self._client.get(url, {}, self._read_whole, spent)

    async def _read_range(
        self, response: Response, trace: RequestTrace, start: int, stop: int, previous: PartialBody | None
    ) -> PartialBody | None:
        """Return the requested part; None for another range or image, several parts, or a content coding."""
        found = _CONTENT_RANGE.fullmatch(response.headers.get("content-range", "").strip())
        coding = response.headers.get("content-encoding", "identity").strip().lower()
        if not found or int(found[1]) != start or coding != "identity":
            return None
        last, total = int(found[2]), None if found[3] == "*" else int(found[3])
        if last < start or (total is not None and last >= total) or (previous is not None and previous.total != total):
            return None
        body.check_announced(total, self._limits.bytes)
        part, count = PartialBody(trace, response, start, total), min(last + 1, stop) - start
        while len(part.data) < count and (chunk := await part.read(response, count - len(part.data))):
            part.data += chunk
        body.check_length(len(part.data), count)
        return part

    async def _read_whole(self, response: Response, trace: RequestTrace) -> PartialBody:
        """Return the beginning of a whole image, up to the end of its header; the rest is not read."""
        if response.status not in WHOLE:
            raise await self._client.status_error(response)
        self._client.check_robots_tag(response.headers)
        announced = body.content_length(response.headers)
        body.check_announced(announced, self._limits.bytes)
        decoder = body.decoder_of(response.headers)
        part = PartialBody(trace, response, 0, None if decoder else announced)
        stop = _FIRST_LOOK
        while stop <= MOST:
            if not await self._fill(part, response, stop, decoder):
                body.check_length(part.received, announced)
                if decoder:
                    decoder.finish()
                part.total = len(part.data)
                break
            image_format = sniff(part.data[:SNIFF_BYTES])
            try:
                measure(image_format, PartialFile(part.data, part.total))
            except MoreBytesNeeded as needed:
                stop = max(needed.stop, PROBE_BYTES, 2 * stop)
                continue
            if stop >= PROBE_BYTES:
                break
            stop = PROBE_BYTES
        return part

    async def _fill(self, part: PartialBody, response: Response, stop: int, decoder: body.Decompressor | None) -> bool:
        """Read until there are `stop` decoded bytes; return False where the body ends before."""
        found = [part.data]
        count = len(part.data)
        while count < stop:
            chunk = await part.read(response, STEP if decoder else stop - count)
            if not chunk:
                break
            if part.received > self._limits.bytes:
                raise TooLarge(f"the body has more than {self._limits.bytes:,} bytes (limits.bytes)")
            for decoded in decoder.feed(chunk) if decoder else (chunk,):
                found.append(decoded)
                count += len(decoded)
                if count >= stop:
                    break
        part.data = b"".join(found)
        return count >= stop


class _ProbeState:
    """What is known of one image so far. `part` is the last response, `url` the address after redirects."""

    def __init__(self, part: PartialBody, limits: Limits) -> None:
        self._limits = limits
        self._hops = tuple(part.trace.hops)
        self._cookies: set[str] = set()
        self._certificate_ends: list[float] = []
        self._seconds = 0.0
        self._received = 0
        self._step = STEP
        self._file = PartialFile(b"")
        self.url = part.trace.url
        self.add(part)

    def add(self, part: PartialBody) -> None:
        """Add the next response: a further part of the image, or its beginning, which replaces all earlier parts."""
        self.part = part
        if part.start:
            self._file.add(part.start, part.data)
        else:
            self._file = PartialFile(part.data, part.total)
            self._is_ranged = part.is_ranged
        trace = part.trace
        self._received += part.received
        self._cookies |= trace.cookies
        self._seconds += trace.seconds
        self._certificate_ends += [trace.certificate_ends] if trace.certificate_ends is not None else []

    def next_range(self, needed: MoreBytesNeeded) -> tuple[int, int]:
        """Return the range to request next. Raises Undecodable where it is too long, or the server ignores ranges."""
        stop = max(needed.stop, needed.start + self._step)
        self._step *= 2
        if self.part.total is not None:
            stop = min(stop, self.part.total)
        if not self._is_ranged or self._received + stop - needed.start > min(MOST, self._limits.bytes):
            raise Undecodable(
                f"the size is not in the first {self._received:,} bytes, and no more are read; a sync, which fetches"
                " the whole image, can read it"
            )
        return needed.start, stop

    def result(self) -> ProbedImage:
        """Return the result. Raises MoreBytesNeeded where the size is not known yet, and ImageError."""
        head, total = self._file.head, self.part.total
        if not head:
            raise NotAnImage("the answer is empty")
        image_format = sniff(head[:SNIFF_BYTES])
        if len(head) < PROBE_BYTES and (total is None or len(head) < total):
            raise MoreBytesNeeded(len(head), PROBE_BYTES)
        measured = measure(image_format, self._file)
        self._check_limits(image_format, measured)
        return ProbedImage(
            format=image_format,
            media_type=MEDIA_TYPES[image_format],
            size=measured.size,
            total=total,
            received=self._received,
            head=hashlib.sha256(head[:PROBE_BYTES]).hexdigest(),
            hops=self._hops,
            cookies=tuple(sorted(self._cookies)),
            certificate_ends=min(self._certificate_ends, default=None),
            seconds=self._seconds,
        )

    def _check_limits(self, image_format: str, measured: Measured) -> None:
        if measured.frames > self._limits.frames:
            raise TooManyFrames(
                f"{measured.frames} frames, more than the {self._limits.frames} that limits.frames allows"
            )
        # As for a sync: only the first picture of a file that is no animation is ever decoded.
        pixels = measured.size.width * measured.size.height * (measured.frames if FORMATS[image_format].motion else 1)
        if pixels > self._limits.pixels:
            raise TooManyPixels(
                f"{pixels} pixels in all, more than the {self._limits.pixels} that limits.pixels allows"
            )
