"""One job in, one outcome out: the path of one URL, and the only place that turns an ImageError into a Problem."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from imgcache.cache import Store
from imgcache.core import (
    Action,
    Asset,
    Copy,
    Delay,
    Doubtful,
    Fetched,
    Header,
    ImageError,
    Job,
    Limits,
    NotModified,
    Outcome,
    Placeholder,
    Validators,
    but,
    contain_image_errors,
    failed,
    is_lack,
    unexpected_image_error,
    without_answer,
)
from imgcache.downloader import Downloader, HostStatistics
from imgcache.policy import Step, SyncPolicy, plan
from imgcache.policy import replacement as likeness
from imgcache.processor import RenderPool
from imgcache.syncer.group_commit import GroupCommit

_COMMITTERS = 4  # images moved into place at once


class Pipeline:
    """Brings one URL after the other up to date; many may be under way at once."""

    def __init__(
        self,
        *,
        downloader: Downloader,
        pool: RenderPool,
        store: Store,
        wish: SyncPolicy,
        clock: Callable[[], float],
        asset_of: Callable[[str], Asset | None],
    ) -> None:
        """`asset_of` gives what is recorded of a digest: equal bytes at another URL are not rendered again."""
        self._downloader = downloader
        self._pool = pool
        self._store = store
        self._wish = wish
        self._clock = clock
        self._asset_of = asset_of
        self._parts = AsyncExitStack()
        self._committers = ThreadPoolExecutor(_COMMITTERS, thread_name_prefix="commit")
        self._settling = GroupCommit(store)
        self._making: dict[str, asyncio.Task[Asset]] = {}
        self._aimed: dict[str, SyncPolicy] = {}  # by digest, where an article gave a focal point
        self._notes: dict[str, tuple[str, ...]] = {}  # by digest, of what was rendered: few originals give any

    async def __aenter__(self) -> Self:
        """Connections and worker processes live as long as the block."""
        self._parts.callback(self._committers.shutdown)
        self._parts.push_async_callback(self._settling.close)
        await self._parts.enter_async_context(self._downloader)
        await self._parts.enter_async_context(self._pool)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._parts.aclose()

    async def run(self, job: Job) -> Outcome | None:
        """Bring one URL up to date. None where that needs a network and there is none to be used."""
        spent = HostStatistics()
        try:
            outcome = await contain_image_errors(lambda: self._run(job, spent), job.url)
        except ImageError as error:
            outcome = await self._left_by(job, error)
        if outcome is None:
            return None
        notes = self._notes.get(outcome.asset.digest, ()) if outcome.asset else ()
        delay = Delay.of(spent)
        if notes or spent.bytes or delay:
            return but(outcome, outcome.action, notes=notes, bytes_fetched=spent.bytes, delay=delay)
        return outcome

    async def _left_by(self, job: Job, error: ImageError) -> Outcome:
        """What is left where even the plan failed: a whole copy stays, and nothing is made anew."""
        try:
            missing = await self._missing(job.asset) if job.asset else ()
            return failed(job, await self._held(job, missing, may_render=False), error)
        except Exception as another:  # noqa: BLE001 (nothing leaves the last safety net)
            unexpected_image_error(another, job.url)  # which logs it
            return failed(job, None, error)

    async def _run(self, job: Job, spent: HostStatistics) -> Outcome | None:
        missing = await self._missing(job.asset) if job.asset else ()
        if self._wish.offline and plan.needs_network(job.copy, job.asset, missing):
            return None
        step = _step(job, missing, self._wish.aimed(job.focus), self._clock())
        try:
            match step:
                case Step.REST | Step.REUSE:
                    return _as_it_is(job, missing, step)
                case Step.RENDER if job.asset:
                    asset = await self._make_again(job.asset, job)
                    return but(_as_it_is(job, missing, Step.RENDER), Action.RENDERED, asset=asset)
                case Step.REVALIDATE if job.copy and job.asset:
                    return await self._fetch(job, job.copy.validators, spent)
                case _:
                    return await self._fetch(job, None, spent)
        except ImageError as error:
            if is_lack(error):
                raise
            return failed(job, await self._held(job, missing, may_render=step is not Step.RENDER), error)

    async def _fetch(self, job: Job, validators: Validators | None, spent: HostStatistics) -> Outcome:
        await self._pool.room()
        if validators is None:  # a picture is to come
            self._pool.warm()
        result = await self._downloader.fetch(job.url, validators, spent)
        now = self._clock()
        if isinstance(result, NotModified):
            return await self._revalidated(job, result, now)
        try:
            if result.digest in job.rejected:
                return await self._rejected(job, validators, now)
            asset = await self._make(result.digest, Path(result.path), job)
        finally:
            Path(result.path).unlink(missing_ok=True)  # noqa: ASYNC240 (one system call, no wait)
        copy = _copy_of(result, now)
        if validators is not None and job.asset is not None and asset.digest != job.asset.digest:
            reason = await self._doubt(job.asset, asset, job)
            if reason is not None:
                held = await self._revalidated(job, NotModified(validators), now)
                return but(held, Action.DOUBTED, doubtful=Doubtful(copy, asset, reason))
        return Outcome(job.url, Action.FETCHED, copy, asset)

    async def _revalidated(self, job: Job, answer: NotModified, now: float) -> Outcome:
        assert job.copy is not None and job.asset is not None  # noqa: S101 (only then are validators sent)
        copy = msgspec.structs.replace(job.copy, checked_at=now, validators=answer.validators)
        asset = job.asset
        if await self._missing(asset) or asset.recipes != self._wish.aimed(job.focus).recipes:
            asset = await self._make_again(asset, job)
        return Outcome(job.url, Action.REVALIDATED, copy, asset)

    async def _rejected(self, job: Job, validators: Validators | None, now: float) -> Outcome:
        """Bytes that somebody decided against: as if the server had said "not modified"."""
        if validators is None:
            raise Placeholder("the server still sends the picture that was rejected, and no copy is held")
        return await self._revalidated(job, NotModified(validators), now)

    async def _doubt(self, old: Asset, new: Asset, job: Job) -> str | None:
        """Why a picture may not take the place of the one held; None where it may."""
        if likeness.is_declared(old.size, new.size, job.declared):
            return None
        if reason := likeness.size_mismatch(old.size, new.size):
            return reason
        try:
            seen = await self._look(old)
        except ImageError:  # the copy is damaged: what came can only be better
            return None
        return likeness.looks_different(seen, await self._look(new), (old.size, new.size))

    async def _look(self, asset: Asset) -> int:
        # Its header was held against the limits when it came; these let the same picture pass.
        limits = Limits(pixels=asset.width * asset.height * asset.frames, frames=asset.frames)
        return await self._pool.likeness(await self._original(asset), limits)

    async def _missing(self, asset: Asset) -> tuple[str, ...]:
        return await asyncio.to_thread(self._store.missing, asset)  # a bucket may have to be listed

    async def _original(self, asset: Asset) -> Path:
        return await asyncio.to_thread(self._store.original, asset)  # and an original fetched from it

    async def _held(self, job: Job, missing: Sequence[str], *, may_render: bool) -> Asset | None:
        """What is held of a URL that gave nothing: with its variants, which need no answer, or not at all."""
        asset = job.asset
        if asset is None or asset.original in missing:
            return None
        if not missing and asset.recipes == self._wish.aimed(job.focus).recipes:
            return asset
        try:
            return await self._make_again(asset, job) if may_render else None
        except ImageError:  # what the server's answer came to is told
            return None

    async def _make_again(self, asset: Asset, job: Job) -> Asset:
        """Variants from the original on disk."""
        return await self._make(asset.digest, await self._original(asset), job)

    async def _make(self, digest: str, original: Path, job: Job) -> Asset:
        """The asset of an original, made once however many URLs have the same bytes at the same time.

        Where their articles give focal points that differ, the first one serves this run, the newest the next.
        """
        wish = self._aimed.get(digest) or self._wish.aimed(job.focus)
        if wish is not self._wish:
            self._aimed[digest] = wish
        known = self._asset_of(digest)
        if known is not None and known.recipes == wish.recipes and not await self._missing(known):
            return known
        task = self._making.get(digest)
        if task is None:
            task = self._making[digest] = asyncio.create_task(self._render(digest, original, wish))
            task.add_done_callback(functools.partial(self._made, digest))
        return await asyncio.shield(task)

    def _made(self, digest: str, task: asyncio.Task[Asset]) -> None:
        del self._making[digest]
        if not task.cancelled():
            task.exception()  # seen, also where all who waited for it were cancelled

    async def _render(self, digest: str, original: Path, wish: SyncPolicy) -> Asset:
        with self._store.staging() as folder:
            rendered = await self._pool.render(original, folder, wish.variants)
            _refuse_pixel(rendered.header)
            if rendered.notes:
                self._notes[digest] = rendered.notes
            asset = await asyncio.get_running_loop().run_in_executor(
                self._committers, self._store.commit, folder, digest, rendered, original
            )
        await self._settling.wait_durable()
        return asset


class DryRun:
    """Stands in for a Pipeline in a dry run: says what would be done, and does nothing."""

    def __init__(
        self, *, store: Store, wish: SyncPolicy, clock: Callable[[], float], kept: Mapping[str, Asset]
    ) -> None:
        """`kept` are by URL the images that gc removed, and that would be taken back."""
        self._store = store
        self._wish = wish
        self._clock = clock
        self._kept = kept

    async def __aenter__(self) -> Self:
        """Nothing to open."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Nothing to close."""

    async def run(self, job: Job) -> Outcome | None:
        """What would become of one URL if its server gave a good answer."""
        missing = self._store.missing(job.asset) if job.asset else ()
        step = _step(job, missing, self._wish.aimed(job.focus), self._clock())
        if job.copy is None and (kept := self._kept.get(job.url)) is not None:
            return Outcome(job.url, Action.REUSED, asset=kept)
        if step is Step.FETCH and self._wish.offline:
            return None
        if step is Step.REST:
            return _as_it_is(job, missing, step)
        return Outcome(job.url, _ACTIONS[step], asset=None if step is Step.FETCH else job.asset)


_ACTIONS = {
    Step.REUSE: Action.REUSED,
    Step.RENDER: Action.RENDERED,
    Step.REVALIDATE: Action.REVALIDATED,
    Step.FETCH: Action.FETCHED,
}


def _step(job: Job, missing: Sequence[str], wish: SyncPolicy, now: float) -> Step:
    """The next step, for a URL whose server is perhaps not to be asked."""
    step = plan.next_step(job.copy, job.asset, missing, wish, now)
    if job.rest is None or step not in (Step.FETCH, Step.REVALIDATE) or wish.offline:
        return step
    here = plan.next_step(job.copy, job.asset, missing, msgspec.structs.replace(wish, offline=True), now)
    return here if here is Step.RENDER else Step.REST


def _as_it_is(job: Job, missing: Sequence[str], step: Step) -> Outcome:
    """What is held of a URL, its server not asked; with what is wrong where it was not to be asked."""
    if step is not Step.REUSE and job.rest is not None:
        held = None if job.asset is None or job.asset.original in missing else job.asset
        return without_answer(job, held, job.rest)
    return Outcome(job.url, Action.REUSED, job.copy, job.asset)


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
