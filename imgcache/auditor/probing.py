"""Probes one image: its own URL, and alternative URLs that it may be available from."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Protocol, Self, runtime_checkable

import msgspec

from imgcache.auditor import alternative_urls
from imgcache.auditor.checks import PERMANENT
from imgcache.core import Delay, Hop, ImageError, ProbedImage, browser_url, contain_image_errors, is_out_of_descriptors
from imgcache.downloader import HostStatistics

# Failures of a URL on a host that answers: another URL there may have the image.


@runtime_checkable
class ImageProber(Protocol):
    """Probes one URL."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    async def probe(self, url: str, statistics: HostStatistics | None = None) -> ProbedImage:
        """Return what the first bytes of the image show; waiting and retries are added to `spent`.

        Raises:
            ImageError: the URL does not deliver an image.
        """
        ...


class ProbeFailure(msgspec.Struct, frozen=True):
    """Why an image could not be probed: an `ImageError` as a value."""

    code: str
    message: str
    retryable: bool = False
    status: int | None = None
    wall: str | None = None

    @classmethod
    def from_error(cls, error: ImageError) -> ProbeFailure:
        """Returns the failure for an error."""
        return cls(error.code, error.message, error.retryable, error.status, error.wall)


class ProbeResult(msgspec.Struct, frozen=True):
    """The result of probing one image: `look` if it was delivered, else `refusal`.

    Attributes:
        look: what the first bytes show.
        refusal: why there is no image.
        hops: the redirects that are worth reporting.
        nearer: an alternative URL that answers in place of one that fails.
        is_insecure: the image is linked over http.
        secure: the https URL with the same image.
        delay: waiting and retries; None if there were none.
    """

    probed: ProbedImage | None = None
    failure: ProbeFailure | None = None
    hops: tuple[Hop, ...] = ()
    alternative: str | None = None
    is_insecure: bool = False
    secure: str | None = None
    delay: Delay | None = None


async def probe_image(prober: ImageProber, url: str) -> ProbeResult:
    """Probe one image by the URL in the article, with a few requests one after the other."""
    spent = HostStatistics()
    try:
        result = await contain_image_errors(lambda: _probe(prober, url, spent), url, sleep=asyncio.sleep)
    except ImageError as error:
        result = ProbeResult(failure=ProbeFailure.from_error(error))
    delay = Delay.of(spent)
    return result if delay is None else msgspec.structs.replace(result, delay=delay)


async def _probe(prober: ImageProber, url: str, spent: HostStatistics) -> ProbeResult:
    try:
        probed = await prober.probe(url, spent)
    except ImageError as error:
        if is_out_of_descriptors(error):
            raise
        may_have_alternative = error.is_elsewhere and error.wall is None and (error.status or 404) < 429
        alternative = await _find_alternative(prober, url) if may_have_alternative else None
        return ProbeResult(failure=ProbeFailure.from_error(error), alternative=alternative)
    if url.lstrip()[:5].lower() == "http:":
        return await _probe_https(prober, url, probed)
    return ProbeResult(probed, hops=probed.hops)


async def _probe_https(prober: ImageProber, url: str, probed: ProbedImage) -> ProbeResult:
    """Checks whether the same image is available over https.

    A permanent redirect to https needs no further request. If it leads to the https form of the same URL, that is not
    reported as a redirect; otherwise the target is all that has to be written.
    """
    secure = alternative_urls.secure(url)
    hops = probed.hops
    if hops and all(hop.status in PERMANENT for hop in hops) and hops[-1].url.startswith("https:"):
        if secure is not None and browser_url(secure) == hops[-1].url:
            return ProbeResult(probed, is_insecure=True, secure=secure)
        return ProbeResult(probed, hops=hops)
    same = secure if secure and await _has_same_image(prober, secure, probed) else None
    return ProbeResult(probed, hops=hops, is_insecure=True, secure=same)


async def _has_same_image(prober: ImageProber, url: str, probed: ProbedImage) -> bool:
    try:
        other = await prober.probe(url)
    except ImageError:
        return False
    is_secure = all(hop.url.startswith("https:") for hop in other.hops)
    return is_secure and (other.head, other.total) == (probed.head, probed.total)


async def _find_alternative(prober: ImageProber, url: str) -> str | None:
    """Another URL on the same host that has an image: without the size, else over https."""
    secure = alternative_urls.secure(url)
    candidates = (*alternative_urls.without_size(url), *([secure] if secure else []))
    for candidate in candidates[: alternative_urls.MAX_ALTERNATIVES]:
        try:
            await prober.probe(candidate)
        except ImageError:
            continue
        return candidate
    return None
