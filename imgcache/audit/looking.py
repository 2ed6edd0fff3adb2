"""The part of an audit that asks servers: one look at every image, and at the other addresses it may be had from."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from types import TracebackType
from typing import Protocol, Self

import msgspec

from imgcache import health
from imgcache.audit import forms
from imgcache.audit.judge import PERMANENT
from imgcache.audit.memory import Memory
from imgcache.audit.tally import Tally
from imgcache.catalogue import Catalogue, Pending, Seen
from imgcache.errors import ImageError
from imgcache.jobs import Action, Outcome
from imgcache.looks import Hop, Look
from imgcache.models import Failure
from imgcache.runners.budget import Budget
from imgcache.runners.local import LocalRunner
from imgcache.runners.progress import Progress
from imgcache.runners.schedule import Schedule
from imgcache.urls import request_url, split

_BATCH = 512  # looks entered at once
SOON = 14 * health.DAY

# The failures of an address on a host that answers: another address there may have the picture.
_WRONG_ADDRESS = frozenset({"http-status", "not-an-image", "redirects"})


class Prober(Protocol):
    """Looks at one URL. Raises ImageError."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    async def look(self, url: str) -> Look:
        """What the first bytes there say."""
        ...


class Ending(msgspec.Struct):
    """A host whose certificate ends within `SOON`: when, in seconds, and the images that showed it."""

    ends: float
    images: list[int]


class Looking:
    """Looks at the remote images of a site, and keeps only what is not as it should be."""

    def __init__(
        self,
        *,
        prober: Prober,
        catalogue: Catalogue,
        memory: Memory,
        progress: Progress,
        per_host: int,
        at_once: int,
        clock: Callable[[], float],
    ) -> None:
        """`clock` is in seconds since the epoch."""
        self._prober = prober
        self._catalogue = catalogue
        self._memory = memory
        self._progress = progress
        self._per_host = per_host
        self._at_once = at_once
        self._clock = clock
        self._seen: list[Seen] = []
        self._is_answered = False
        self._hosts: set[str] = set()
        self._asked = 0
        self.tally = Tally()
        self.failures: dict[int, Failure] = {}
        self.nearer: dict[int, str] = {}  # an address that answers in place of one that fails
        self.insecure: dict[int, str | None] = {}  # the https address with the same picture
        self.redirected: dict[int, tuple[Hop, ...]] = {}
        self.trackers: list[int] = []
        self.endings: dict[str, Ending] = {}

    async def run(self) -> None:
        """Look at all. Cancelled, what was seen is entered, and written down."""
        waiting = self._waiting()
        self._progress.planned(self._catalogue.counts()["images"], len(waiting))
        schedule = Schedule(self._catalogue.pending(waiting), self._per_host)
        runner = LocalRunner(schedule, Budget(), at_once=self._at_once, clock=self._clock)
        try:
            async with self._prober:
                await runner.run(self._work)
            if not self.is_network_down:
                self._memory.confirm()
        finally:
            self._enter()
            self._memory.flush()

    @property
    def tried(self) -> int:
        """How many images a host was asked for."""
        return self._asked

    @property
    def is_network_down(self) -> bool:
        """Whether nothing answered, and enough was asked to tell: several hosts, or more than five images."""
        return not self._is_answered and (len(self._hosts) > 1 or self._asked > 5)

    def _waiting(self) -> array[int]:
        """The images to look at. Dead ones that rest are not asked for: what is remembered of them is said again."""
        waiting, now = array("q"), self._clock()
        for image, url in self._catalogue.remote_images():
            failure = self._memory.failure(url) if self._memory.knows_failures else None
            if failure is not None and health.rests(failure, now):
                self.failures[image] = failure
            elif not self._memory.is_forgotten(url):
                waiting.append(image)
        return waiting

    async def _work(self, pending: Pending) -> int:
        url = self._catalogue.url(pending.image)
        self._progress.started(pending.host)
        received = 0
        try:
            look = await self._prober.look(url)
        except ImageError as error:
            await self._failed(pending, url, error)
        else:
            received = look.received
            self._answer()
            await self._saw(pending, url, look)
        self._progress.ended(pending.host, Outcome(url, Action.REUSED, bytes_fetched=received))
        return received

    def _answer(self) -> None:
        self._asked += 1
        if not self._is_answered:
            self._is_answered = True
            self._memory.confirm()

    # -- pictures ----------------------------------------------------------------------------------------------------

    async def _saw(self, pending: Pending, url: str, look: Look) -> None:
        image = pending.image
        self.tally.answered(pending.host, look)
        failure = self._memory.answered(url, self._clock()) if self._memory.knows_failures else None
        if failure is not None:
            self.failures[image] = failure
        self._seen.append(Seen(image, look.size.width, look.size.height, look.total, look.head))
        if len(self._seen) >= _BATCH:
            self._enter()
        if look.size.width * look.size.height == 1:
            self.trackers.append(image)
        if look.certificate_ends is not None and look.certificate_ends < self._clock() + SOON:
            self._note_ending(image, url, look, look.certificate_ends)
        if look.hops:
            self.redirected[image] = look.hops
        if url.lstrip()[:5].lower() == "http:":
            await self._look_for_https(image, url, look)

    async def _look_for_https(self, image: int, url: str, look: Look) -> None:
        """Whether the same picture is there over https.

        A redirect for good to an https address has said it: where that is this one's own https form, it is no other
        address, and else the new address is all there is to write.
        """
        secure = forms.secure(url)
        if look.hops and all(hop.status in PERMANENT for hop in look.hops) and look.hops[-1].url.startswith("https:"):
            if secure is not None and request_url(secure) == look.hops[-1].url:
                del self.redirected[image]
                self.insecure[image] = secure
            return
        self.insecure[image] = secure if secure and await self._has_same(secure, look) else None

    async def _has_same(self, url: str, look: Look) -> bool:
        try:
            other = await self._prober.look(url)
        except ImageError:
            return False
        is_safe = all(hop.url.startswith("https:") for hop in other.hops)
        return is_safe and (other.head, other.total) == (look.head, look.total)

    def _note_ending(self, image: int, url: str, look: Look, ends: float) -> None:
        host = split(look.hops[-1].url if look.hops else request_url(url))[1]
        ending = self.endings.setdefault(host, Ending(ends, []))
        ending.ends = min(ending.ends, ends)
        ending.images.append(image)

    # -- failures ----------------------------------------------------------------------------------------------------

    async def _failed(self, pending: Pending, url: str, error: ImageError) -> None:
        if error.code in health.NO_ANSWER:
            self._asked += 1
            self._hosts.add(pending.host)
        elif error.code not in health.NOT_ASKED:
            self._answer()
        if error.code not in health.NOT_ASKED:
            self.tally.failed(pending.host)
        self.failures[pending.image] = self._memory.failed(url, error, self._clock())
        may_be_near = error.code in _WRONG_ADDRESS and error.wall is None and (error.status or 404) < 429
        if may_be_near and (form := await self._find_form(url)) is not None:
            self.nearer[pending.image] = form

    async def _find_form(self, url: str) -> str | None:
        """Another address of the same host that has a picture: without the size, else over https."""
        secure = forms.secure(url)
        for form in (*forms.without_size(url), *([secure] if secure else []))[: forms.MOST]:
            try:
                await self._prober.look(form)
            except ImageError:
                continue
            return form
        return None

    def _enter(self) -> None:
        self._catalogue.put_looks(self._seen)
        self._seen.clear()
