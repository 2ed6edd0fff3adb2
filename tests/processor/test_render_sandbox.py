"""The sandbox: attacks from a worker that an image has taken over, and what stops them."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from PIL import Image

from imgcache import processor
from imgcache.core import DecoderCrash, Header, Limits, Recipe
from imgcache.processor import RenderPool
from imgcache.processor import worker as render_worker
from imgcache.processor import worker_process as render_process
from imgcache.processor.channel import LARGEST_ANSWER, BadAnswer, WorkerError
from imgcache.processor.sandbox import landlock, seccomp
from imgcache.processor.worker_files import checked
from tests.conftest import ROOT
from tests.support import hostile_tasks as hostile
from tests.support.worker_tasks import echo

LIMITS = Limits(decode_memory=300_000_000, decode_time=5.0)
RECIPE = Recipe("w8", width=8)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has seccomp and Landlock")


def pool_of(workers: int = 1) -> RenderPool:
    return RenderPool(workers, LIMITS, modules=["tests.support.worker_tasks", "tests.support.hostile_tasks"])


def in_worker(function: Callable[..., Any], *args: Any) -> Any:
    async def run() -> Any:
        async with pool_of() as pool:
            return await pool.run(function, *args)

    return asyncio.run(run())


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A user's files: a secret, an article, and an image that is to be rendered."""
    (tmp_path / "secret").write_text("hunter2")
    (tmp_path / "article.md").write_text("---\nimages: []\n---\n")
    Image.new("RGB", (16, 12), "navy").save(tmp_path / "a.png")
    return tmp_path


def test_every_protection_holds_on_this_machine() -> None:
    held = in_worker(render_worker.protections)
    assert held.no_new_privileges and held.undumpable and held.no_network
    assert held.seccomp == (seccomp.program(os.uname().machine, 1) is not None)
    assert held.landlock == landlock.version()


# Either mechanism alone, which `attack` leaves out the other for, and both, in a real worker.
either = pytest.mark.parametrize("without", [None, "seccomp", "landlock"])


@either
def test_no_file_is_read_or_written(site: Path, without: str | None) -> None:
    read = [str(site / "secret"), "/etc/passwd", "/proc/self/environ", str(Path.home())]
    written = [str(site / "article.md"), str(site / "beside.md"), "/tmp/imgcache-was-here"]
    tries = [(hostile.read_file, path) for path in read] + [(hostile.write_file, path) for path in written]
    for tried, came in zip(tries, attack(without, *tries), strict=True):
        assert came.startswith("PermissionError"), (tried, came)
    assert (site / "article.md").read_text() == "---\nimages: []\n---\n"
    assert not (site / "beside.md").exists()


@pytest.mark.parametrize("without", [None, "landlock"])
def test_no_program_process_socket_or_code(without: str | None) -> None:
    tries = (
        (hostile.start_program,),
        (hostile.become_program,),
        (hostile.fork,),
        (hostile.thread,),
        (hostile.open_socket,),
        (hostile.executable_memory,),
        (hostile.more_privileges,),
    )
    for tried, came in zip(tries, attack(without, *tries), strict=True):
        assert came.startswith(("PermissionError", "RuntimeError can't start new thread")), (tried, came)


@either
def test_the_parent_cannot_be_read_or_signalled(without: str | None) -> None:
    functions = (hostile.parents_memory, hostile.trace, hostile.read_memory_of, hostile.signal_to)
    for tried, came in zip(functions, attack(without, *((one, os.getpid()) for one in functions)), strict=True):
        assert came.startswith("PermissionError"), (tried, came)


def test_without_the_protections_each_attack_succeeds(site: Path) -> None:
    """So that the tests above show what the protections do."""
    came = attack(
        "both",
        (hostile.read_file, str(site / "secret")),
        (hostile.write_file, str(site / "beside.md")),
        (hostile.start_program,),
        (hostile.fork,),
        (hostile.thread,),
        (hostile.open_socket,),
        (hostile.executable_memory,),
        (hostile.signal_to, os.getpid()),
    )
    assert came == ["hunter2", "written", "started", "forked", "started", "opened", "mapped", "sent"]


def attack(without: str | None, *tries: tuple[Any, ...]) -> list[str]:
    """What tasks come to in a real worker, or in a process that is put under the protections `without` some."""
    if without is None:

        async def run() -> list[str]:
            async with pool_of() as pool:
                return [await pool.run(function, *args) for function, *args in tries]

        return asyncio.run(run())
    code = textwrap.dedent("""
        import json, os, sys
        from imgcache.processor import sandbox
        from tests.support import hostile_tasks
        without, *tries = json.loads(sys.argv[1])
        if without == "seccomp":
            sandbox.seccomp.restrict = lambda *_: False
        elif without == "landlock":
            sandbox.landlock.restrict = lambda: 0
        if without != "both":
            sandbox.enter(os.getppid())
        came = [getattr(hostile_tasks, name)(*args) for name, *args in tries]
        sys.stdout.write(json.dumps(came))
        sys.stdout.flush()
        os._exit(0)
    """)
    given = json.dumps([without, *([function.__name__, *args] for function, *args in tries)])
    ran = subprocess.run([sys.executable, "-c", code, given], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return list(json.loads(ran.stdout))


def test_a_worker_holds_nothing_of_its_parent() -> None:
    """No descriptor but its channel; no variable of the environment, which a process has in its memory too."""
    code = textwrap.dedent("""
        import asyncio, pathlib
        from imgcache.processor.pool import RenderPool
        from imgcache.processor.worker_process import fork_server
        from tests.support.hostile_tasks import descriptors, variables
        kept = open("/etc/passwd")

        async def main():
            async with RenderPool(2, modules=["tests.support.hostile_tasks"]) as pool:
                print(await pool.run(descriptors), await pool.run(variables))
                print("hunter2" in pathlib.Path(f"/proc/{fork_server().process}/environ").read_text())

        asyncio.run(main())
    """)
    secret = {"AWS_SECRET_ACCESS_KEY": "value-hunter2", "GITHUB_TOKEN": "value-hunter2"}
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=os.environ | secret, capture_output=True, text=True, check=True
    )
    assert ran.stdout.splitlines() == ["[0, 1, 2, 3] {}", "False"]


def test_an_answer_that_runs_code_is_not_run(site: Path) -> None:
    """A pickle, sent raw over the channel in place of an answer, and as the value of one."""

    async def run() -> None:
        async with pool_of() as pool:
            with pytest.raises(DecoderCrash, match="cannot be trusted"):
                await pool.run(hostile.answer_with_pickle, str(site / "ran"))
            with pytest.raises(DecoderCrash, match="cannot be trusted"):
                await pool.run(hostile.return_pickle, str(site / "ran"))
            assert await pool.run(echo, 5) == 5  # another worker

    asyncio.run(run())
    assert not (site / "ran").exists()


@pytest.mark.parametrize(
    ("function", "args"),
    [
        (hostile.answer_raw, (LARGEST_ANSWER + 1, b"")),
        (hostile.answer_raw, (3, b"\xc1\xc1\xc1")),
        (hostile.answer_raw, (0, b"")),
        (hostile.answer_raw, (1, b"\x07")),
        (hostile.answer_raw, (17, msgspec.msgpack.encode({"type": "memory"}) + b"more")),
        (hostile.answer_without_number, ()),
    ],
)
def test_an_invalid_answer_ends_the_worker(function: Callable[..., int], args: tuple[Any, ...]) -> None:
    async def run() -> int:
        async with pool_of() as pool:
            with pytest.raises(DecoderCrash, match="cannot be trusted"):
                await pool.run(function, *args)
            return await pool.run(echo, 4)

    assert asyncio.run(run()) == 4


def test_more_than_one_answer_ends_the_worker() -> None:
    """A second answer, sent ahead, would be taken for that to the next image."""

    async def run() -> tuple[list[object], int]:
        async with pool_of() as pool:
            first = await asyncio.gather(pool.run(hostile.answer_twice, 1), return_exceptions=True)
            return list(first), await pool.run(echo, 2)

    (first,), second = asyncio.run(run())
    assert first == 1 or isinstance(first, DecoderCrash), "both came at once"
    assert second == 2


@pytest.mark.parametrize(
    ("of_variant", "change"),
    [
        (False, {"color": '"><script>'}),
        (False, {"placeholder": "data:image/webp;base64,x'onerror='y"}),
        (False, {"placeholder": "javascript:alert(1)"}),
        (False, {"recipes": ("0",)}),
        (False, {"header": Header("png", "text/html", 16, 12, 1, has_alpha=False)}),
        (False, {"header": Header("png", "image/png", 16, 12, 100_000, has_alpha=False)}),
        (False, {"header": Header("png", "image/png", -1, -1, 1, has_alpha=False)}),
        (False, {"notes": ("x",) * 1000}),
        (True, {"path": "../../article.md"}),
        (True, {"path": "w9.webp"}),
        (True, {"digest": "../x"}),
        (True, {"width": 4_000}),
        (True, {"recipe": "000000000000"}),
        (True, {"frames": 100_000}),
    ],
)
def test_the_result_of_a_worker_is_validated(site: Path, of_variant: bool, change: dict[str, Any]) -> None:
    honest = processor.render(site / "a.png", site, [RECIPE], LIMITS)
    assert checked(honest, [RECIPE], LIMITS) == honest
    replace = msgspec.structs.replace
    variants = (replace(honest.variants[0], **change),) if of_variant else honest.variants
    with pytest.raises(BadAnswer):
        checked(replace(honest, **({"variants": variants} if of_variant else change)), [RECIPE], LIMITS)


def test_a_result_that_names_another_folder_is_refused(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(render_worker, "render", hostile.render_and_lie)

    async def run() -> None:
        async with pool_of() as pool:
            with pytest.raises(DecoderCrash, match="cannot be trusted"):
                await pool.render(site / "a.png", site / "out", [RECIPE])

    asyncio.run(run())
    assert list((site / "out").iterdir()) == []
    assert (site / "article.md").read_text() == "---\nimages: []\n---\n"


def test_an_unexpected_exception_is_raised_with_its_traceback() -> None:
    with pytest.raises(WorkerError, match="ZeroDivisionError") as caught:
        in_worker(hostile.divide)
    assert "hostile_tasks.py" in "".join(caught.value.__notes__)


def test_the_filter_refuses_by_default_and_is_made_for_known_machines_only() -> None:
    assert seccomp.program("riscv64", 1) is None
    for machine in ("x86_64", "aarch64"):
        made = seccomp.program(machine, 1)
        assert made is not None and len(made) % 8 == 0 and len(made) // 8 < 4096  # BPF_MAXINSNS
        assert made[-8:] == bytes.fromhex("0600000001000500")  # return SECCOMP_RET_ERRNO | EPERM


@pytest.mark.parametrize("abi", range(1, 9))
def test_landlock_restricts_all_that_a_version_knows(abi: int) -> None:
    files, network, scopes = landlock.attributes(abi)
    assert files & 0x1FFF == 0x1FFF  # the 13 rights of the first version
    assert (network == 0) == (abi < 4) and (scopes == 0) == (abi < 6)


def test_nothing_is_imported_once_a_worker_is_ready() -> None:
    """A missing module or codec would make a good image "undecodable"."""
    code = textwrap.dedent("""
        import sys
        from imgcache.processor import forkserver as render_server
        render_server.preload()
        from imgcache.core import ImageError, Limits, Recipe
        from imgcache.processor import variants
        from tests.processor.test_decoder_fuzz import seeds
        whole = seeds()
        before = set(sys.modules)
        recipes = [Recipe(form, width=24, height=20, fit="cover", position="attention", format=form, effort=0)
                   for form in ("webp", "avif", "jpeg", "png")]
        for data in (one for one in whole if len(one) < 12_000):
            try:
                variants.make(data, recipes, Limits(pixels=100_000, frames=10), lambda *_: None)
            except ImageError:
                pass
        print(sorted(set(sys.modules) - before))
    """)
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"


def test_the_fork_server_gets_no_secret() -> None:
    kept = render_process.environment({"PATH": "/bin", "PYTHONPATH": "x", "AWS_SECRET_ACCESS_KEY": "y", "HOME": "/h"})
    assert {name for name in kept if not name.startswith("MALLOC_")} == {"PATH", "PYTHONPATH", "HOME"}
