"""One job in, one outcome out: the path of one URL, and the only place that turns an ImageError into a Problem."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from imgcache import plan
from imgcache.downloader import Downloader
from imgcache.errors import ImageError, Placeholder
from imgcache.models import (
    Action,
    Asset,
    Copy,
    Fetched,
    Header,
    Job,
    NotModified,
    Outcome,
    Problem,
    Recipe,
    Severity,
    Validators,
)
from imgcache.plan import Step, Wish
from imgcache.render_pool import RenderPool
from imgcache.store import Store


class Pipeline:
    """Brings one URL after the other up to date; many may be under way at once."""

    def __init__(
        self,
        *,
        downloader: Downloader,
        pool: RenderPool,
        store: Store,
        recipes: Sequence[Recipe],
        wish: Wish,
        clock: Callable[[], float],
        asset_of: Callable[[str], Asset | None],
    ) -> None:
        """`asset_of` gives what is recorded of a digest: equal bytes at another URL are not rendered again."""
        self._downloader = downloader
        self._pool = pool
        self._store = store
        self._recipes = tuple(recipes)
        self._wish = wish
        self._clock = clock
        self._asset_of = asset_of
        self._parts = AsyncExitStack()
        self._making: dict[str, asyncio.Task[Asset]] = {}

    async def __aenter__(self) -> Self:
        """Connections and worker processes live as long as the block."""
        await self._parts.enter_async_context(self._downloader)
        await self._parts.enter_async_context(self._pool)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._parts.aclose()

    async def run(self, job: Job) -> Outcome | None:
        """Bring one URL up to date. None where that needs a network and there is none to be used."""
        missing = self._store.missing(job.asset) if job.asset else ()
        if self._wish.offline and plan.needs_network(job.copy, job.asset, missing):
            return None
        try:
            match plan.decide(job.copy, job.asset, missing, self._wish, self._clock()):
                case Step.REUSE:
                    return Outcome(job.url, Action.REUSED, job.copy, job.asset)
                case Step.RENDER if job.asset:
                    asset = await self._make_again(job.asset)
                    return Outcome(job.url, Action.RENDERED, job.copy, asset)
                case Step.REVALIDATE if job.copy and job.asset:
                    return await self._fetch(job, job.copy.validators)
                case _:
                    return await self._fetch(job, None)
        except ImageError as error:
            return self._failed(job, missing, error)

    async def _fetch(self, job: Job, validators: Validators | None) -> Outcome:
        result = await self._downloader.fetch(job.url, validators)
        now = self._clock()
        if isinstance(result, NotModified):
            return await self._revalidated(job, result, now)
        try:
            asset = await self._make(result.digest, Path(result.path))
        finally:
            Path(result.path).unlink(missing_ok=True)  # noqa: ASYNC240 (one system call, no wait)
        return Outcome(job.url, Action.FETCHED, _copy_of(result, now), asset, bytes_fetched=result.bytes)

    async def _revalidated(self, job: Job, answer: NotModified, now: float) -> Outcome:
        assert job.copy is not None and job.asset is not None  # noqa: S101 (only then are validators sent)
        copy = msgspec.structs.replace(job.copy, checked_at=now, validators=answer.validators)
        asset = job.asset
        if self._store.missing(asset) or asset.recipes != self._wish.recipes:
            asset = await self._make_again(asset)
        return Outcome(job.url, Action.REVALIDATED, copy, asset)

    async def _make_again(self, asset: Asset) -> Asset:
        """Variants from the original on disk."""
        return await self._make(asset.digest, self._store.original(asset))

    async def _make(self, digest: str, original: Path) -> Asset:
        """The asset of an original, made once however many URLs have the same bytes at the same time."""
        known = self._asset_of(digest)
        if known is not None and known.recipes == self._wish.recipes and not self._store.missing(known):
            return known
        task = self._making.get(digest)
        if task is None:
            task = self._making[digest] = asyncio.create_task(self._render(digest, original))
            task.add_done_callback(lambda _: self._making.pop(digest))
        return await asyncio.shield(task)

    async def _render(self, digest: str, original: Path) -> Asset:
        with self._store.staging() as folder:
            rendered = await self._pool.render(original, folder, self._recipes)
            _refuse_pixel(rendered.header)
            return await asyncio.to_thread(self._store.commit, folder, digest, rendered, original)

    def _failed(self, job: Job, missing: Sequence[str], error: ImageError) -> Outcome:
        held = job.asset is not None and job.asset.original not in missing
        problem = Problem(
            error.code,
            job.url,
            f"{error.message}; the copy that is held stays" if held else error.message,
            retryable=error.retryable,
            severity=Severity.WARNING if held else Severity.ERROR,
            status=msgspec.UNSET if error.status is None else error.status,
        )
        if not held:
            return Outcome(job.url, Action.FAILED, problem=problem)
        return Outcome(job.url, Action.FAILED, job.copy, job.asset, problem)


class Rehearsal:
    """Stands in for a Pipeline in a dry run: says what would be done, and does nothing."""

    def __init__(self, *, store: Store, wish: Wish, clock: Callable[[], float]) -> None:
        self._store = store
        self._wish = wish
        self._clock = clock

    async def __aenter__(self) -> Self:
        """Nothing to open."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Nothing to close."""

    async def run(self, job: Job) -> Outcome | None:
        """What would become of one URL if its server gave a good answer."""
        missing = self._store.missing(job.asset) if job.asset else ()
        step = plan.decide(job.copy, job.asset, missing, self._wish, self._clock())
        if step is Step.FETCH and self._wish.offline:
            return None
        return Outcome(job.url, _ACTIONS[step])


_ACTIONS = {
    Step.REUSE: Action.REUSED,
    Step.RENDER: Action.RENDERED,
    Step.REVALIDATE: Action.REVALIDATED,
    Step.FETCH: Action.FETCHED,
}


def _copy_of(fetched: Fetched, now: float) -> Copy:
    return Copy(
        digest=fetched.digest,
        fetched_at=now,
        checked_at=now,
        validators=fetched.validators,
        final_url=fetched.final_url,
        robots_tag=fetched.robots_tag,
    )


def _refuse_pixel(header: Header) -> None:
    """A single pixel is a tracker or a host's way to say "nothing here", never the picture of an article."""
    if header.width * header.height == 1:
        raise Placeholder("the picture is a single pixel; the article needs another address")
