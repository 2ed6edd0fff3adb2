"""All that is asked of servers for one image: a look at it, and at other addresses that it may be had from."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol, Self, runtime_checkable

import msgspec

from imgcache.auditor import alternative_urls as forms
from imgcache.auditor.checks import PERMANENT
from imgcache.core import Delay, Hop, ImageError, ProbedImage, contain_image_errors, is_lack, request_url
from imgcache.downloader import HostStatistics

# The failures of an address on a host that answers: another address there may have the picture.


@runtime_checkable
class ImageProber(Protocol):
    """Looks at one URL. Raises ImageError."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    async def look(self, url: str, spent: HostStatistics | None = None) -> ProbedImage:
        """What the first bytes there say; `spent` counts what held it up."""
        ...


class ProbeFailure(msgspec.Struct, frozen=True):
    """Why an image was not seen: an `ImageError` as a value."""

    code: str
    message: str
    retryable: bool = False
    status: int | None = None
    wall: str | None = None

    @classmethod
    def of(cls, error: ImageError) -> ProbeFailure:
        """What an error says."""
        return cls(error.code, error.message, error.retryable, error.status, error.wall)


class ProbeResult(msgspec.Struct, frozen=True):
    """What asking for one image told: a look or a refusal.

    `hops` are the redirects that a reader of the article should hear of. `nearer` is an address that answers in place
    of one that fails. `is_insecure`: it is linked over http; then `secure` is the https address with the same picture.
    `delay` is what held it up, None where nothing did.
    """

    look: ProbedImage | None = None
    refusal: ProbeFailure | None = None
    hops: tuple[Hop, ...] = ()
    nearer: str | None = None
    is_insecure: bool = False
    secure: str | None = None
    delay: Delay | None = None


async def probe_image(prober: ImageProber, url: str) -> ProbeResult:
    """Ask for one image, as an article names it. Several requests at most, one after the other."""
    spent = HostStatistics()
    try:
        told = await contain_image_errors(lambda: _inquire(prober, url, spent), url)
    except ImageError as error:
        told = ProbeResult(refusal=ProbeFailure.of(error))
    delay = Delay.of(spent)
    return told if delay is None else msgspec.structs.replace(told, delay=delay)


async def _inquire(prober: ImageProber, url: str, spent: HostStatistics) -> ProbeResult:
    try:
        look = await prober.look(url, spent)
    except ImageError as error:
        if is_lack(error):
            raise
        may_be_near = error.is_elsewhere and error.wall is None and (error.status or 404) < 429
        return ProbeResult(
            refusal=ProbeFailure.of(error), nearer=await _find_form(prober, url) if may_be_near else None
        )
    if url.lstrip()[:5].lower() == "http:":
        return await _look_for_https(prober, url, look)
    return ProbeResult(look, hops=look.hops)


async def _look_for_https(prober: ImageProber, url: str, look: ProbedImage) -> ProbeResult:
    """Whether the same picture is there over https.

    A redirect for good to an https address has said it: where that is this one's own https form, it is no other
    address, and else the new address is all there is to write.
    """
    secure = forms.secure(url)
    if look.hops and all(hop.status in PERMANENT for hop in look.hops) and look.hops[-1].url.startswith("https:"):
        if secure is not None and request_url(secure) == look.hops[-1].url:
            return ProbeResult(look, is_insecure=True, secure=secure)
        return ProbeResult(look, hops=look.hops)
    same = secure if secure and await _has_same(prober, secure, look) else None
    return ProbeResult(look, hops=look.hops, is_insecure=True, secure=same)


async def _has_same(prober: ImageProber, url: str, look: ProbedImage) -> bool:
    try:
        other = await prober.look(url)
    except ImageError:
        return False
    is_safe = all(hop.url.startswith("https:") for hop in other.hops)
    return is_safe and (other.head, other.total) == (look.head, look.total)


async def _find_form(prober: ImageProber, url: str) -> str | None:
    """Another address of the same host that has a picture: without the size, else over https."""
    secure = forms.secure(url)
    for form in (*forms.without_size(url), *([secure] if secure else []))[: forms.MOST]:
        try:
            await prober.look(form)
        except ImageError:
            continue
        return form
    return None
