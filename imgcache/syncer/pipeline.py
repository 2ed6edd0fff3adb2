"""Brings one URL up to date: takes a job, returns an outcome. Only this module turns an ImageError into a problem."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Sequence
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
    contain_image_errors,
    failed_outcome,
    is_out_of_descriptors,
    unexpected_image_error,
    with_action,
)
from imgcache.downloader import Downloader, HostStatistics
from imgcache.policy import Step, SyncPolicy, plan, quarantine_rules
from imgcache.processor import RenderPool
from imgcache.syncer.group_commit import GroupCommit
from imgcache.syncer.steps import choose_step, unchanged

_COMMITTERS = 4  # threads that move finished images into the store


class Pipeline:
    """Brings one URL after the other up to date; many may be under way at once."""

    def __init__(
        self,
        *,
        downloader: Downloader,
        pool: RenderPool,
        store: Store,
        policy: SyncPolicy,
        clock: Callable[[], float],
        asset_of: Callable[[str], Asset | None],
    ) -> None:
        """`asset_of` looks up the recorded asset of a digest: equal bytes at another URL are not rendered again."""
        self._downloader = downloader
        self._pool = pool
        self._store = store
        self._policy = policy
        self._clock = clock
        self._asset_of = asset_of
        self._resources = AsyncExitStack()
        self._committers = ThreadPoolExecutor(_COMMITTERS, thread_name_prefix="commit")
        self._group_commit = GroupCommit(store)
        self._rendering: dict[str, asyncio.Task[Asset]] = {}
        self._focused: dict[str, SyncPolicy] = {}  # by digest, where an article gives a focal point
        self._notes: dict[str, tuple[str, ...]] = {}  # by digest; few originals have any

    async def __aenter__(self) -> Self:
        """Open connections and worker processes, for the time of the block."""
        self._resources.callback(self._committers.shutdown)
        self._resources.push_async_callback(self._group_commit.close)
        await self._resources.enter_async_context(self._downloader)
        await self._resources.enter_async_context(self._pool)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._resources.aclose()

    async def run(self, job: Job) -> Outcome:
        """Bring one URL up to date; skip it where that needs a network and the run is offline."""
        spent = HostStatistics()
        try:
            outcome = await contain_image_errors(lambda: self._run(job, spent), job.url, sleep=asyncio.sleep)
        except ImageError as error:
            outcome = await self._outcome_after_error(job, error)
        notes = self._notes.get(outcome.asset.digest, ()) if outcome.asset else ()
        delay = Delay.of(spent)
        if notes or spent.bytes or delay:
            return with_action(outcome, outcome.action, notes=notes, bytes_fetched=spent.bytes, delay=delay)
        return outcome

    async def _outcome_after_error(self, job: Job, error: ImageError) -> Outcome:
        """Returns the outcome where even planning failed: a complete copy stays, and nothing is rendered."""
        try:
            missing = await self._missing(job.asset) if job.asset else ()
            return failed_outcome(job, await self._usable_asset(job, missing, may_render=False), error)
        except Exception as another:  # noqa: BLE001 (nothing may escape: one image must not end the run)
            unexpected_image_error(another, job.url)  # logs it
            return failed_outcome(job, None, error)

    async def _run(self, job: Job, spent: HostStatistics) -> Outcome:
        missing = await self._missing(job.asset) if job.asset else ()
        if self._policy.offline and plan.needs_network(job.copy, job.asset, missing):
            return Outcome(job.url, Action.SKIPPED)
        step = choose_step(job, missing, self._policy.for_focus(job.focus), self._clock())
        try:
            match step:
                case Step.REST | Step.REUSE:
                    return unchanged(job, missing, step)
                case Step.RENDER if job.asset:
                    asset = await self._render_again(job.asset, job)
                    return with_action(unchanged(job, missing, Step.RENDER), Action.RENDERED, asset=asset)
                case Step.REVALIDATE if job.copy and job.asset:
                    return await self._fetch(job, job.copy.validators, spent)
                case _:
                    return await self._fetch(job, None, spent)
        except ImageError as error:
            if is_out_of_descriptors(error):
                raise
            return failed_outcome(
                job, await self._usable_asset(job, missing, may_render=step is not Step.RENDER), error
            )

    async def _fetch(self, job: Job, validators: Validators | None, spent: HostStatistics) -> Outcome:
        await self._pool.wait_for_capacity()
        if validators is None:  # an image will come
            self._pool.start_workers()
        result = await self._downloader.fetch(job.url, validators, spent)
        now = self._clock()
        if isinstance(result, NotModified):
            return await self._revalidated(job, result, now)
        try:
            if result.digest in job.rejected:
                return await self._rejected(job, validators, now)
            asset = await self._render_once(result.digest, Path(result.path), job)
        finally:
            Path(result.path).unlink(missing_ok=True)  # noqa: ASYNC240 (one system call, no wait)
        copy = _copy_of(result, now)
        if validators is not None and job.asset is not None and asset.digest != job.asset.digest:
            reason = await self._replacement_doubt(job.asset, asset, job)
            if reason is not None:
                held = await self._revalidated(job, NotModified(validators), now)
                return with_action(held, Action.DOUBTED, doubtful=Doubtful(copy, asset, reason))
        return Outcome(job.url, Action.FETCHED, copy, asset)

    async def _revalidated(self, job: Job, answer: NotModified, now: float) -> Outcome:
        assert job.copy is not None and job.asset is not None  # noqa: S101 (only then are validators sent)
        copy = msgspec.structs.replace(job.copy, checked_at=now, validators=answer.validators)
        asset = job.asset
        if await self._missing(asset) or asset.recipes != self._policy.for_focus(job.focus).recipes:
            asset = await self._render_again(asset, job)
        return Outcome(job.url, Action.REVALIDATED, copy, asset)

    async def _rejected(self, job: Job, validators: Validators | None, now: float) -> Outcome:
        """Treat bytes that the user rejected as if the server had answered "not modified"."""
        if validators is None:
            raise Placeholder("the server still sends the picture that was rejected, and no copy is held")
        return await self._revalidated(job, NotModified(validators), now)

    async def _replacement_doubt(self, old: Asset, new: Asset, job: Job) -> str | None:
        """Returns why a picture may not replace the one held; None where it may."""
        if quarantine_rules.is_declared(old.size, new.size, job.declared):
            return None
        if reason := quarantine_rules.size_mismatch(old.size, new.size):
            return reason
        try:
            old_hash = await self._image_hash(old)
        except ImageError:  # the copy is damaged: the new picture can only be better
            return None
        return quarantine_rules.looks_different(old_hash, await self._image_hash(new), (old.size, new.size))

    async def _image_hash(self, asset: Asset) -> int:
        # The picture passed the configured limits when it was fetched. These limits are just large enough for it.
        limits = Limits(pixels=asset.width * asset.height * asset.frames, frames=asset.frames)
        return await self._pool.perceptual_hash(await self._original(asset), limits)

    async def _missing(self, asset: Asset) -> tuple[str, ...]:
        return await asyncio.to_thread(self._store.missing, asset)  # may have to list a bucket

    async def _original(self, asset: Asset) -> Path:
        return await asyncio.to_thread(self._store.original, asset)  # may have to fetch it from a bucket

    async def _usable_asset(self, job: Job, missing: Sequence[str], *, may_render: bool) -> Asset | None:
        """Returns the asset of a URL that could not be fetched, with all its variants; None where that is not possible.

        Missing variants are rendered from the original if `may_render`.
        """
        asset = job.asset
        if asset is None or asset.original in missing:
            return None
        if not missing and asset.recipes == self._policy.for_focus(job.focus).recipes:
            return asset
        try:
            return await self._render_again(asset, job) if may_render else None
        except ImageError:  # the problem of the fetch is reported instead
            return None

    async def _render_again(self, asset: Asset, job: Job) -> Asset:
        """Render the variants from the original on disk."""
        return await self._render_once(asset.digest, await self._original(asset), job)

    async def _render_once(self, digest: str, original: Path, job: Job) -> Asset:
        """Render an original, once even if several URLs with the same bytes are under way.

        Where their articles give different focal points, this run uses the first one, the next run the newest.
        """
        policy = self._focused.get(digest) or self._policy.for_focus(job.focus)
        if policy is not self._policy:
            self._focused[digest] = policy
        known = self._asset_of(digest)
        if known is not None and known.recipes == policy.recipes and not await self._missing(known):
            return known
        task = self._rendering.get(digest)
        if task is None:
            task = self._rendering[digest] = asyncio.create_task(self._render(digest, original, policy))
            task.add_done_callback(functools.partial(self._forget_task, digest))
        return await asyncio.shield(task)

    def _forget_task(self, digest: str, task: asyncio.Task[Asset]) -> None:
        del self._rendering[digest]
        if not task.cancelled():
            task.exception()  # marks it as retrieved, for all who waited may have been cancelled

    async def _render(self, digest: str, original: Path, policy: SyncPolicy) -> Asset:
        with self._store.staging() as folder:
            rendered = await self._pool.render(original, folder, policy.variants)
            _refuse_single_pixel(rendered.header)
            if rendered.notes:
                self._notes[digest] = rendered.notes
            asset = await asyncio.get_running_loop().run_in_executor(
                self._committers, self._store.commit, folder, digest, rendered, original
            )
        await self._group_commit.wait_durable()
        return asset


def _copy_of(fetched: Fetched, now: float) -> Copy:
    return Copy(
        digest=fetched.digest,
        fetched_at=now,
        checked_at=now,
        validators=fetched.validators,
        final_url=fetched.final_url,
        robots_tag=fetched.robots_tag,
    )


def _refuse_single_pixel(header: Header) -> None:
    """Refuse a single pixel: it is a tracker or stands for a missing picture, and no article shows it."""
    if header.width * header.height == 1:
        raise Placeholder("the picture is a single pixel; the article needs another address")
