"""What is recorded of one request on the way to its final response: redirects, cookies, certificates, time."""

from __future__ import annotations

from imgcache.core import Hop, split_url
from imgcache.downloader.http import header_fields as fields
from imgcache.downloader.http.statistics import HostStatistics
from imgcache.downloader.http.transport import Response


class RequestTrace:
    """One attempt to fetch a URL, over all its redirects.

    Attributes:
        url: the URL of the current request.
        statistics: those of the current host.
        hops: the redirects that were followed.
        cookies: the names of the cookies that responses set.
        certificate_ends: the earliest expiry of a certificate, in seconds since the epoch; None where all was http.
        seconds: the time spent in requests, without the waits for a slot.
    """

    __slots__ = ("certificate_ends", "cookies", "hops", "seconds", "statistics", "url")

    def __init__(self, url: str) -> None:
        self.url = url
        self.statistics = HostStatistics()
        self.hops: list[Hop] = []
        self.cookies: set[str] = set()
        self.certificate_ends: float | None = None
        self.seconds = 0.0

    @property
    def host(self) -> str:
        """The host of the current request."""
        return split_url(self.url)[1]

    def follow(self, hop: Hop) -> None:
        """Continue at the target of a redirect."""
        self.hops.append(hop)
        self.url = hop.url

    def record(self, response: Response) -> None:
        """Record the cookies and the certificate of a response."""
        if "set-cookie" in response.headers:
            self.cookies |= fields.cookies(response.headers)
        if response.certificate_ends is not None:
            self.certificate_ends = min(response.certificate_ends, self.certificate_ends or response.certificate_ends)
