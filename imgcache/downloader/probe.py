"""The prober: one URL -> one look at the picture there, by as few of its bytes as it takes, or the reason why not.

A GET with a Range for the first 32 KB (RFC 9110, section 14); where the header reaches further, for the part that it
goes on in. Whatever a server makes of the Range, what counts is what it sends: 206 is read as far as it was asked for,
200 is read from its beginning and cut off. The limit: a header that reaches over `MOST` bytes is given up, although a
sync, which has the whole file, may read it.
"""

from __future__ import annotations

import hashlib
import re

from imgcache.core import (
    FORMATS,
    MEDIA_TYPES,
    PROBE_BYTES,
    Limits,
    NotAnImage,
    ProbedImage,
    TooLarge,
    TooManyFrames,
    TooManyPixels,
    Undecodable,
    request_url,
    sniff,
)
from imgcache.core import SNIFF_BYTES as FIRST
from imgcache.downloader.client import WHOLE, HttpClient
from imgcache.downloader.headers import Measured, Needs, Pieces, measure
from imgcache.downloader.http import body
from imgcache.downloader.http import header_fields as fields
from imgcache.downloader.http.response import Response
from imgcache.downloader.http.statistics import HostStatistics
from imgcache.downloader.http.trail import RequestTrace

MOST = 1_048_576  # bytes that are read of one picture
STEP = 8_192  # bytes that are asked for beyond the first ones, doubled each time

_SNIFF = 1_024  # bytes after which it is said what they are, as the downloader does
_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)", re.IGNORECASE)  # RFC 9110, section 14.4


class PartialBody:
    """What one answer brought: `data`, from `start` on, of a picture of `total` bytes (None: not said).

    `etag` is a strong one or None. `received` counts bytes on the wire, before decoding.
    """

    __slots__ = ("data", "etag", "is_ranged", "received", "start", "total", "trail")

    def __init__(self, trail: RequestTrace, reply: Response, start: int, total: int | None) -> None:
        self.is_ranged = reply.status == 206
        etag = fields.validators(reply.headers).etag
        self.trail = trail
        self.etag = etag if etag and not etag.startswith("W/") else None
        self.start = start
        self.total = total
        self.data = b""
        self.received = 0

    async def read(self, reply: Response, most: int) -> bytes:
        """The next bytes of the body, at most so many; empty at its end."""
        piece = await reply.piece(most)
        self.received += len(piece)
        self.trail.line.bytes += len(piece)
        return piece


class Prober(HttpClient):
    """Looks at images; use as `async with Prober(...) as prober`. Made as `Asker` is."""

    spares_httpx = True

    async def look(self, url: str, spent: HostStatistics | None = None) -> ProbedImage:
        """What the beginning of the picture at `url`, as the article has it, tells of it.

        `spent` counts what held it up: refusals, time-outs and the wait for retries.

        Raises:
            ImageError: what a sync would say, as far as it shows before the pixels.
        """
        seen = _Seen(await self._part(request_url(url), 0, PROBE_BYTES, spent=spent), self._limits)
        while True:
            try:
                return seen.look()
            except Needs as need:
                start, stop = seen.next_range(need)
            seen.add(await self._part(seen.url, start, stop, seen.part, spent=spent))

    async def _part(
        self, url: str, start: int, stop: int, before: PartialBody | None = None, *, spent: HostStatistics | None
    ) -> PartialBody:
        """The bytes from `start` up to `stop`, or the picture's beginning where the server gives that instead.

        `before` is the part that these go on from: the picture must still be the same (RFC 9110, section 13.1.5).
        """
        headers = {"Range": f"bytes={start}-{stop - 1}"}
        if before is not None and before.etag is not None:
            headers["If-Range"] = before.etag

        async def read(reply: Response, trail: RequestTrace) -> PartialBody | None:
            if reply.status == 206:
                self.check_robots_tag(reply.headers)
                return await self._ranged(reply, trail, start, stop, before)
            return None if reply.status == 416 else await self._whole(reply, trail)

        part = await self.ask(url, headers, read, spent)
        # 416: an empty file has no range at all (section 14.1.2). A range that makes no sense is not asked for again.
        return part if part is not None else await self.ask(url, {}, self._whole, spent)

    async def _ranged(
        self, reply: Response, trail: RequestTrace, start: int, stop: int, before: PartialBody | None
    ) -> PartialBody | None:
        """The part that was asked for; None for another place or picture, several parts, or a content coding."""
        found = _CONTENT_RANGE.fullmatch(reply.headers.get("content-range", "").strip())
        coding = reply.headers.get("content-encoding", "identity").strip().lower()
        if not found or int(found[1]) != start or coding != "identity":
            return None
        last, total = int(found[2]), None if found[3] == "*" else int(found[3])
        if last < start or (total is not None and last >= total) or (before is not None and before.total != total):
            return None
        body.check_announced(total, self._limits.bytes)
        part, count = PartialBody(trail, reply, start, total), min(last + 1, stop) - start
        while len(part.data) < count and (piece := await part.read(reply, count - len(part.data))):
            part.data += piece
        body.check_length(len(part.data), count)
        return part

    async def _whole(self, reply: Response, trail: RequestTrace) -> PartialBody:
        """The beginning of a whole picture, as far as its header goes; what comes after is not read."""
        if reply.status not in WHOLE:
            raise await self.refusal(reply)
        self.check_robots_tag(reply.headers)
        announced = body.content_length(reply.headers)
        body.check_announced(announced, self._limits.bytes)
        decoder = body.decoder_of(reply.headers)
        part = PartialBody(trail, reply, 0, None if decoder else announced)
        stop = _SNIFF
        while stop <= MOST:
            if not await self._fill(part, reply, stop, decoder):
                body.check_length(part.received, announced)
                if decoder:
                    decoder.finish()
                part.total = len(part.data)
                break
            form = sniff(part.data[:FIRST])
            try:
                measure(form, Pieces(part.data, part.total))
            except Needs as need:
                stop = max(need.stop, PROBE_BYTES, 2 * stop)
                continue
            if stop >= PROBE_BYTES:
                break
            stop = PROBE_BYTES
        return part

    async def _fill(self, part: PartialBody, reply: Response, stop: int, decoder: body.Inflate | None) -> bool:
        """Read on until there are `stop` bytes, decoded; whether there are, or else the body has ended."""
        found = [part.data]
        count = len(part.data)
        while count < stop:
            piece = await part.read(reply, STEP if decoder else stop - count)
            if not piece:
                break
            if part.received > self._limits.bytes:
                raise TooLarge(f"the body has more than {self._limits.bytes:,} bytes (limits.bytes)")
            for one in decoder.feed(piece) if decoder else (piece,):
                found.append(one)
                count += len(one)
                if count >= stop:
                    break
        part.data = b"".join(found)
        return count >= stop


class _Seen:
    """What is known of one picture so far. `part` is the last one that came, `url` where the picture was found."""

    def __init__(self, part: PartialBody, limits: Limits) -> None:
        self._limits = limits
        self._hops = tuple(part.trail.hops)
        self._cookies: set[str] = set()
        self._ends: list[float] = []
        self._seconds = 0.0
        self._received = 0
        self._step = STEP
        self._pieces = Pieces(b"")
        self.url = part.trail.url
        self.add(part)

    def add(self, part: PartialBody) -> None:
        """Take in what the next answer brought: more of the picture, or its beginning anew."""
        self.part = part
        if part.start:
            self._pieces.add(part.start, part.data)
        else:
            self._pieces = Pieces(part.data, part.total)
            self._is_ranged = part.is_ranged
        trail = part.trail
        self._received += part.received
        self._cookies |= trail.cookies
        self._seconds += trail.seconds
        self._ends += [trail.certificate_ends] if trail.certificate_ends is not None else []

    def next_range(self, need: Needs) -> tuple[int, int]:
        """Which bytes to ask for. Raises Undecodable where that would be too many, or there are none to be had."""
        stop = max(need.stop, need.start + self._step)
        self._step *= 2
        if self.part.total is not None:
            stop = min(stop, self.part.total)
        if not self._is_ranged or self._received + stop - need.start > min(MOST, self._limits.bytes):
            raise Undecodable(
                f"the size does not stand in the first {self._received:,} bytes, and the rest is not looked at; a sync,"
                " which fetches the whole picture, can tell"
            )
        return need.start, stop

    def look(self) -> ProbedImage:
        """All of it. Raises Needs where the size is not known yet, and ImageError."""
        head, total = self._pieces.head, self.part.total
        if not head:
            raise NotAnImage("the answer is empty")
        form = sniff(head[:FIRST])
        if len(head) < PROBE_BYTES and (total is None or len(head) < total):
            raise Needs(len(head), PROBE_BYTES)
        measured = measure(form, self._pieces)
        self._check(form, measured)
        return ProbedImage(
            format=form,
            media_type=MEDIA_TYPES[form],
            size=measured.size,
            total=total,
            received=self._received,
            head=hashlib.sha256(head[:PROBE_BYTES]).hexdigest(),
            hops=self._hops,
            cookies=tuple(sorted(self._cookies)),
            certificate_ends=min(self._ends, default=None),
            seconds=self._seconds,
        )

    def _check(self, form: str, measured: Measured) -> None:
        if measured.frames > self._limits.frames:
            raise TooManyFrames(
                f"{measured.frames} frames, more than the {self._limits.frames} that limits.frames allows"
            )
        # As for a sync: only the first picture of a file that is no animation is ever decoded.
        pixels = measured.size.width * measured.size.height * (measured.frames if FORMATS[form].motion else 1)
        if pixels > self._limits.pixels:
            raise TooManyPixels(
                f"{pixels} pixels in all, more than the {self._limits.pixels} that limits.pixels allows"
            )
