"""What is noted of one image on the way to its answer: redirects, cookies, certificates, time."""

from __future__ import annotations

from imgcache.core import Hop
from imgcache.downloader.http import header_fields as fields
from imgcache.downloader.http.response import Response
from imgcache.downloader.http.statistics import HostStatistics


class RequestTrace:
    """What one attempt met on its way, up to the answer that counts.

    `url` is the one asked now, `line` its host's statistics. `seconds` are those spent in requests, waiting for a turn
    not counted; `certificate_ends` is the earliest end, in seconds since the epoch, None where all went over http.
    """

    __slots__ = ("certificate_ends", "cookies", "hops", "line", "seconds", "url")

    def __init__(self, url: str, line: HostStatistics) -> None:
        self.url = url
        self.line = line
        self.hops: list[Hop] = []
        self.cookies: set[str] = set()
        self.certificate_ends: float | None = None
        self.seconds = 0.0

    def note(self, reply: Response) -> None:
        """Take down what an answer says beside its body."""
        if "set-cookie" in reply.headers:
            self.cookies |= fields.cookies(reply.headers)
        if reply.certificate_ends is not None:
            self.certificate_ends = min(reply.certificate_ends, self.certificate_ends or reply.certificate_ends)
