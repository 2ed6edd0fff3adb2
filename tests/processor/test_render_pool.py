"""The render pool with real processes: a failure of one image affects no other."""

from __future__ import annotations

import asyncio
import io
import multiprocessing.process
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from imgcache.core import DecoderCrash, DecoderTimeout, ImageError, Limits, NotAnImage, Recipe, Size, TooManyFrames
from imgcache.processor import RenderPool
from imgcache.processor.channel import WorkerError
from tests.conftest import ROOT
from tests.support.worker_tasks import (
    blocked_signals,
    connect,
    crash,
    echo,
    hang,
    lose_memory,
    null_pointer,
    process_id,
    swallow,
    unwell,
    use_memory,
    write_much,
)

LIMITS = Limits(decode_memory=300_000_000, decode_time=2.0)


def pool_of(workers: int, limits: Limits = LIMITS, max_tasks: int = 500) -> RenderPool:
    return RenderPool(workers, limits, max_tasks=max_tasks, modules=["tests.support.worker_tasks"])


def picture(path: Path, size: tuple[int, int] = (64, 48)) -> Path:
    Image.new("RGB", size, "navy").save(path)
    return path


async def beside(function: Callable[[], object], workers: int = 2) -> tuple[BaseException | object, list[int]]:
    async with pool_of(workers) as pool:
        bad = asyncio.ensure_future(pool.run(function))
        good = [asyncio.ensure_future(pool.run(echo, number)) for number in range(5)]
        return (await asyncio.gather(bad, return_exceptions=True))[0], await asyncio.gather(*good)


@pytest.mark.parametrize(
    ("function", "error", "message"),
    [
        (crash, DecoderCrash, "SIGSEGV"),
        (null_pointer, DecoderCrash, "SIGSEGV"),
        (hang, DecoderTimeout, "2 s"),
        (swallow, DecoderCrash, "memory"),
    ],
)
def test_a_bad_image_affects_no_other_image(
    function: Callable[[], object], error: type[ImageError], message: str
) -> None:
    started = time.monotonic()
    outcome, others = asyncio.run(beside(function))
    assert isinstance(outcome, error)
    assert message in str(outcome)
    assert others == [0, 1, 2, 3, 4]
    assert time.monotonic() - started < 20


def test_memory_left_by_earlier_images_does_not_change_a_result() -> None:
    """Memory that is lost in a worker counts against its limit; the next image gets a fresh one, and the same end."""

    async def run() -> list[int]:
        async with pool_of(1) as pool:
            ids = [await pool.run(process_id)]
            await pool.run(lose_memory, 200_000_000)
            assert await pool.run(use_memory, 200_000_000) == 200_000_000
            ids.append(await pool.run(process_id))
            with pytest.raises(DecoderCrash, match="memory"):
                await pool.run(use_memory, 400_000_000)
            return ids

    assert len(set(asyncio.run(run()))) == 2


def test_many_crashes_in_a_row_leave_a_pool_that_works() -> None:
    async def run() -> tuple[list[object], int]:
        async with pool_of(2) as pool:
            crashes = await asyncio.gather(*(pool.run(null_pointer) for _ in range(6)), return_exceptions=True)
            return list(crashes), await pool.run(echo, 7)

    crashes, after = asyncio.run(run())
    assert [type(one) for one in crashes] == [DecoderCrash] * 6
    assert after == 7


def test_a_pool_whose_idle_workers_were_killed_starts_again() -> None:
    async def run() -> int:
        async with pool_of(1) as pool:
            os.kill(await pool.run(process_id), signal.SIGKILL)
            return await pool.run(echo, 3)

    assert asyncio.run(run()) == 3


def test_errors_of_an_image_keep_their_class(tmp_path: Path) -> None:
    (tmp_path / "page.jpg").write_text("<!doctype html>")

    async def run() -> list[object]:
        async with pool_of(1) as pool:
            tasks = (pool.probe(tmp_path / "page.jpg"), pool.run(unwell))
            return list(await asyncio.gather(*tasks, return_exceptions=True))

    page, frames = asyncio.run(run())
    assert isinstance(page, NotAnImage)
    assert page.code == "not-an-image"
    assert "HTML" in page.message
    assert isinstance(frames, TooManyFrames)
    assert frames.message == "all \ufffd[31mof\ufffdthem"


def test_render_and_probe_go_through_a_worker(tmp_path: Path) -> None:
    async def run() -> None:
        async with pool_of(1) as pool:
            original = picture(tmp_path / "a.png")
            assert (await pool.probe(original)).size == Size(64, 48)
            rendered = await pool.render(original, tmp_path, [Recipe("w32", width=32)])
            assert [(one.path, one.width, one.height) for one in rendered.variants] == [("w32.webp", 32, 24)]
            with Image.open(io.BytesIO((tmp_path / "w32.webp").read_bytes())) as image:
                assert image.size == (32, 24)

    asyncio.run(run())


def test_a_cancelled_task_frees_its_worker() -> None:
    async def run() -> int:
        async with pool_of(1, Limits(decode_time=60)) as pool:
            await pool.run(echo, 0)
            task = asyncio.ensure_future(pool.run(hang))
            await asyncio.sleep(0.3)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            return await asyncio.wait_for(pool.run(echo, 9), 20)

    assert asyncio.run(run()) == 9


def test_closing_leaves_no_worker_even_one_that_hangs() -> None:
    async def run() -> list[int]:
        async with pool_of(2, Limits(decode_time=60)) as pool:
            ids = [await pool.run(process_id) for _ in range(4)]
            task = asyncio.ensure_future(pool.run(hang))
            await asyncio.sleep(0.3)
        with pytest.raises(asyncio.CancelledError):
            await task
        return ids

    for number in set(asyncio.run(run())):
        with pytest.raises(ProcessLookupError):
            os.kill(number, 0)


def test_a_worker_is_replaced_after_some_tasks() -> None:
    async def run() -> set[int]:
        async with pool_of(1, max_tasks=2) as pool:
            return {await pool.run(process_id) for _ in range(5)}

    assert len(asyncio.run(run())) == 3


def test_an_unused_pool_starts_nothing() -> None:
    def running() -> tuple[set[threading.Thread], set[multiprocessing.process.BaseProcess]]:
        return set(threading.enumerate()), set(multiprocessing.active_children())

    async def run() -> None:
        before = running()
        async with pool_of(2):
            assert running() == before
        assert running()[1] == before[1]

    asyncio.run(run())


def test_the_fork_server_can_be_started_in_advance() -> None:
    code = textwrap.dedent("""
        import asyncio, os, signal
        from imgcache.processor.pool import RenderPool
        from imgcache.processor.worker_process import fork_server
        from tests.support.worker_tasks import blocked_signals, parent_id

        async def main():
            async with RenderPool(1, modules=["tests.support.worker_tasks"]) as pool:
                pool.start_fork_server()
                server = fork_server().process
                assert os.waitpid(server, os.WNOHANG) == (0, 0)
                assert await pool.run(parent_id) == server
                assert signal.SIGINT in await pool.run(blocked_signals)

        asyncio.run(main())
    """)
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_a_worker_killed_during_its_start_prints_nothing() -> None:
    code = textwrap.dedent("""
        import asyncio
        from imgcache.processor.pool import RenderPool

        async def main(seconds):
            async with RenderPool(12) as pool:
                pool.start_workers()
                await asyncio.sleep(seconds)

        for hundredths in (2, 5):
            asyncio.run(main(hundredths / 100))
    """)
    ended = subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, capture_output=True, text=True)
    assert ended.stderr == ""


def test_a_worker_has_ctrl_c_blocked_and_writes_no_large_file(tmp_path: Path) -> None:
    limits = Limits(bytes=1_000_000, pixels=250_000)

    async def run() -> None:
        async with pool_of(1, limits) as pool:
            assert int(signal.SIGINT) in await pool.run(blocked_signals)
            with (tmp_path / "large").open("wb") as file, pytest.raises(WorkerError, match="shorter"):
                await pool.run_on_files(write_much, [file.fileno()])
            assert (tmp_path / "large").stat().st_size == 1_000_000

    asyncio.run(run())


def test_a_worker_has_no_network_where_the_kernel_allows_it() -> None:
    if sys.platform != "linux":
        pytest.skip("only Linux takes the network from a process")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        assert connect(port) == "connected"

        async def run() -> str:
            async with pool_of(1) as pool:
                return await pool.run(connect, port)

        assert asyncio.run(run()) == "PermissionError"


def test_neither_the_script_nor_the_working_directory_is_run_in_a_worker(tmp_path: Path) -> None:
    """The script has no `__main__` guard, and its folder a module that shadows the standard library."""
    site = tmp_path / "site"
    site.mkdir()
    (site / "selectors.py").write_text("raise SystemExit('ran a file of the site')")
    picture(site / "a.png")
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent("""
            import asyncio
            from imgcache.core.models import Limits
            from imgcache.processor.pool import RenderPool
            print("once")
            async def main():
                async with RenderPool(2, Limits()) as pool:
                    print((await pool.probe("a.png")).size)
            asyncio.run(main())
        """)
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, str(script)],
        cwd=site,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.stdout, done.stderr) == ("once\n64×48\n", "")
