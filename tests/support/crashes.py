"""The process that is killed: imgcache's command line with one function wrapped, without any hook in imgcache.

`python -m tests.crashes` has imported imgcache and forks a command line for every line of JSON that it reads: a run
costs no imports, and is still a process of its own that can be killed. `tests.aftermath` gives the orders and looks at
what is left.
"""

from __future__ import annotations

import contextlib
import contextvars
import functools
import importlib
import inspect
import itertools
import json
import os
import re
import resource
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from imgcache.processor import forkserver as render_server


class Step(NamedTuple):
    """A function whose call is a step between fetch and flag; `at` says which of its calls is meant."""

    module: str
    name: str
    at: Callable[..., bool] = lambda *_, **__: True
    nth: int = 1


def _to(part: str) -> Callable[..., bool]:
    """Selects calls of Path.rename and Path.replace whose target contains this."""
    return lambda _, target: re.search(part, str(target)) is not None


def _is_relaxed(_: object, *, durable: bool) -> bool:
    """Selects the batches that write the outcomes of a sync: other calls do not pass `durable`."""
    return not durable


STEPS = {
    "lock taken": Step("imgcache.cache.lock", "CacheLock.__enter__"),
    "index opened": Step("imgcache.cache.index.index", "Index.__init__"),
    "articles scanned": Step("imgcache.cache.catalogue.catalogue", "Catalogue.transaction"),
    "body file made": Step("imgcache.downloader.http.body", "new_part"),
    "body written": Step("imgcache.downloader.http.body", "save"),
    "staging left": Step("imgcache.cache.store.local", "LocalStore.staging"),
    "variants written": Step("imgcache.processor.pool", "RenderPool.render"),
    "original staged": Step("pathlib", "Path.rename", _to(r"/original\.")),
    "files durable": Step("imgcache.cache.store.barrier", "Barrier.wait"),
    "image in place": Step("pathlib", "Path.rename", _to(r"/assets/../[0-9a-f]{64}$")),
    "second image in place": Step("pathlib", "Path.rename", _to(r"/assets/../[0-9a-f]{64}$"), nth=2),
    "outcome recorded": Step("imgcache.syncer.recorder", "Recorder.record"),
    "outcomes committed": Step("imgcache.syncer.recorder", "Recorder.batch", _is_relaxed),
    "outcomes durable": Step("imgcache.syncer.recorder", "Recorder.flush"),
    "index committed": Step("imgcache.cache.index.index", "Index.batch", _is_relaxed),
    "article written": Step("pathlib", "Path.replace", _to(r"\.md$")),
    "second article written": Step("pathlib", "Path.replace", _to(r"\.md$"), nth=2),
    "article read again": Step("imgcache.scanner.walk", "Scanner.reread"),
    "manifest written": Step("pathlib", "Path.replace", _to("manifest.json$")),
    "manifest settled": Step("imgcache.cache.index.index", "Index.mark_exported"),
    "lock released": Step("imgcache.cache.lock", "CacheLock.__exit__"),
}


def die() -> None:
    """Kills this process at once, without any cleanup."""
    os.kill(os.getpid(), signal.SIGKILL)


def wrap(step: Step, when: str, act: Callable[[], object] = die) -> None:
    """Calls `act` before or after the step; for a context manager, the end of its block is the step."""
    owner: Any = importlib.import_module(step.module)
    *outer, name = step.name.split(".")
    for part in outer:
        owner = getattr(owner, part)
    inner = getattr(owner, name)
    left = step.nth

    def counts(*args: object, **options: object) -> bool:
        nonlocal left
        with contextlib.suppress(TypeError):  # called in another way than the step's calls are
            if step.at(*args, **options):
                left -= 1
                return left == 0
        return False

    @contextmanager
    def block(*args: Any, **options: Any) -> Iterator[object]:
        meant = counts(*args, **options)
        with inner(*args, **options) as value:
            yield value
            _ = meant and when == "before" and act()
        _ = meant and when == "after" and act()

    async def coroutine(*args: Any, **options: Any) -> object:
        meant = counts(*args, **options)
        _ = meant and when == "before" and act()
        result = await inner(*args, **options)
        _ = meant and when == "after" and act()
        return result

    def function(*args: Any, **options: Any) -> object:
        meant = counts(*args, **options)
        _ = meant and when == "before" and act()
        result = inner(*args, **options)
        _ = meant and when == "after" and act()
        return result

    wrapper: Callable[..., object] = function
    if inspect.isgeneratorfunction(inspect.unwrap(inner)):
        wrapper = block
    elif inspect.iscoroutinefunction(inner):
        wrapper = coroutine
    setattr(owner, name, functools.wraps(inner)(wrapper))


_CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.chmod", "os.utime", "os.truncate", "sqlite3.connect"}


def die_at_change(number: int, folder: str) -> None:
    """Kills this process before change `number` to a file in `folder` (audit events of the os module: PEP 578)."""
    left = number

    def hook(event: str, args: tuple[Any, ...]) -> None:
        nonlocal left
        if event == "open":
            changes = isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        else:
            changes = event in _CHANGES
        if changes and args and str(args[0]).startswith(folder):
            left -= 1
            if left == 0:
                die()

    sys.addaudithook(hook)


def keep_log(path: str) -> None:
    """Logs to a file which URL is begun, requested and ended, in writes that survive a kill."""
    from imgcache.downloader.http.transport import GuardedTransport
    from imgcache.syncer import Pipeline

    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    current = contextvars.ContextVar("current", default="")
    run, send = Pipeline.run, GuardedTransport.handle_async_request

    async def logged_run(self: Any, job: Any) -> Any:
        current.set(job.url)
        os.write(log, f"begun {job.url}\n".encode())
        outcome = await run(self, job)
        os.write(log, f"ended {job.url}\n".encode())
        return outcome

    async def logged_send(self: Any, request: Any) -> Any:
        if not str(request.url).endswith("/robots.txt"):  # asked on the way to the first image of a host
            os.write(log, f"asked {current.get()}\n".encode())
        return await send(self, request)

    setattr(Pipeline, "run", logged_run)  # noqa: B010 (mypy lets nobody assign a method)
    setattr(GuardedTransport, "handle_async_request", logged_send)  # noqa: B010


def _spawned(_: Sequence[str], variables: Mapping[str, str], descriptor: int) -> int:
    """Like render_process.spawn, but in a fork: importing in a new Python would take longer than a run."""
    pid = os.fork()
    if pid == 0:
        try:
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
            nowhere = os.open(os.devnull, os.O_RDWR)
            for number in range(3):
                os.dup2(nowhere, number)
            limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
            for below, above in itertools.pairwise([2, descriptor, limit]):
                os.closerange(below + 1, above)
            os.environ.clear()
            os.environ.update(variables)
            render_server.main(descriptor)
        finally:
            os._exit(0)
    return pid


def _start_fork_server() -> None:
    """Starts the fork server now, while there is only one thread and this process may be forked."""
    from imgcache.processor import worker_process as render_process

    setattr(render_process, "spawn", _spawned)  # noqa: B010 (mypy lets nobody assign a function)
    render_process.fork_server()


def _become(order: dict[str, Any]) -> None:
    """In a fork of the nursery: creates a process group, redirects output to a file, and runs the command line."""
    os.setsid()
    output = os.open(order["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for descriptor in (1, 2):
        os.dup2(output, descriptor)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.environ.update(order.get("environment", {}))
    for limit, value in order.get("limits", {}).items():
        resource.setrlimit(getattr(resource, limit), (value, value))
    if uid := order.get("uid"):
        os.setgid(uid)
        os.setuid(uid)
    if order.get("quick"):
        _start_fork_server()
    if log := order.get("log"):
        keep_log(log)
    if "step" in order:
        wrap(STEPS[order["step"]], order["when"])
    if "change" in order:
        die_at_change(order["change"], order["folder"])
    for before in order.get("do", []):
        module, _, name = before.rpartition(".")
        getattr(importlib.import_module(module), name)()
    from imgcache.cli import imgcache

    imgcache.main(order["words"], prog_name="imgcache")


_COMMANDS = ("imgcache.cli.sync", "imgcache.cli.verify", "imgcache.cli.status")
# What a sync imports only when there is something to fetch.
_LATER = (
    "aiohttp",
    "uvloop",
    "imgcache.downloader.fetch",
    "imgcache.core.probe_result",
    "imgcache.syncer.pipeline",
    "imgcache.syncer.group_commit",
)
_OF_A_WORKER = ("imgcache.processor", "imgcache.processor.pool", "imgcache.processor.forkserver")


def nursery() -> None:
    """Forks a command line for every order that is read; prints its process id, and then its exit code."""
    for module in (*_COMMANDS, *_LATER, *(_OF_A_WORKER if "--quick" in sys.argv else ())):
        importlib.import_module(module)
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                _become(json.loads(line))
            except SystemExit as ending:
                status = ending.code if isinstance(ending.code, int) else 1
            finally:
                kind, error, trace = sys.exc_info()
                if kind is not None and error is not None:
                    sys.excepthook(kind, error, trace)
                sys.stdout.flush()
                os._exit(status)
        print(pid, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


if __name__ == "__main__":
    nursery()
