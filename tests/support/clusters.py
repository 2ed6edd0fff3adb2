"""What the tests of many workers share: an origin that sees who asks it, and what a sync leaves."""

from __future__ import annotations

import logging
import os
import re
import signal
import socket
import struct
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import dask
import distributed
import psutil  # type: ignore[import-untyped]
from aiohttp import web

from examples.origin import Origin
from tests.support.object_store import S3
from tests.support.site_files import articles

_dask: Any = distributed  # half of it has no types

# of linux/inet_diag.h and linux/netlink.h
_SOCK_DIAG, _BY_FAMILY, _REQUEST = 4, 20, 1
_NO_COOKIE = (0xFFFFFFFF, 0xFFFFFFFF)
_ANY_STATE = 0xFFFFFFFF


class Watched(Origin):
    """An origin that asks the kernel whose socket each request comes from: which of `processes`, 0 for any other.

    A process that asks for a URL of `kills` dies of it, as often as that says.
    """

    def __init__(self, answers: Any) -> None:
        super().__init__(answers)
        self.processes: list[int] = []
        self.kills: Counter[str] = Counter()
        self.hosts: dict[str, set[int]] = defaultdict(set)  # by process that has asked them
        self.at_once: dict[str, set[int]] = defaultdict(set)  # the same, of hosts that two asked at once
        self._asking: dict[str, list[tuple[int, web.BaseRequest]]] = defaultdict(list)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        host = request.headers["Host"]
        url = f"https://{re.sub(':[0-9]+$', '', host)}{request.raw_path}"
        if self.kills[url] > 0:
            self.kills[url] -= 1
            started = [child.pid for child in psutil.Process().children(recursive=True)]
            os.kill(_owner(request, started), signal.SIGKILL)
            return web.Response(status=500)
        owner = _owner(request, self.processes)
        asking = self._asking[host]
        asking.append((owner, request))
        self.hosts[host].add(owner)
        waiting = {one for one, asked in asking if asked.transport is not None and not asked.transport.is_closing()}
        if len(waiting - {0}) > 1:  # 0 where the connection was lost before it could be looked at
            self.at_once[host] |= waiting
        try:
            return await super()._handle(request)
        finally:
            asking.remove((owner, request))

    def is_asked_by(self, process: int) -> bool:
        """Whether it waits for an answer right now."""
        return any(process == one for asking in tuple(self._asking.values()) for one, _ in tuple(asking))

    def forget(self) -> None:
        """No request was received, and no process is to be killed."""
        self.requests.clear()
        self.hosts.clear()
        self.at_once.clear()
        self.kills.clear()


def _owner(request: web.BaseRequest, processes: Iterable[int]) -> int:
    assert request.transport is not None
    inode = _inode(request.transport.get_extra_info("peername"), request.transport.get_extra_info("sockname"))
    return next((process for process in processes if inode in _sockets(process)), 0)


def _inode(near: tuple[str, int], far: tuple[str, int]) -> int:
    """The inode of the socket at `near` that is connected to `far`; 0 where there is none.

    The kernel is asked for this one socket (sock_diag(7), IPv4): /proc/net/tcp lists all of the machine, which takes
    some hundred times longer, for each request.
    """
    ends = b"".join(socket.inet_aton(host).ljust(16, b"\0") for host, _ in (near, far))
    known = struct.pack("!HH", near[1], far[1]) + ends + struct.pack("=III", 0, *_NO_COOKIE)
    body = struct.pack("=4BI", socket.AF_INET, socket.IPPROTO_TCP, 0, 0, _ANY_STATE) + known
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _SOCK_DIAG) as kernel:
        kernel.sendto(struct.pack("=IHHII", 16 + len(body), _BY_FAMILY, _REQUEST, 0, 0) + body, (0, 0))
        answer = kernel.recv(4096)
    (kind,) = struct.unpack_from("=H", answer, 4)
    return int(struct.unpack_from("=I", answer, 84)[0]) if kind == _BY_FAMILY else 0


def _sockets(process: int) -> set[int]:
    """The inodes of all sockets that it has."""
    found = set()
    with suppress(OSError):  # it was killed
        for entry in Path(f"/proc/{process}/fd").iterdir():
            with suppress(OSError):  # it was closed
                if link := re.fullmatch(r"socket:\[(\d+)\]", str(entry.readlink())):
                    found.add(int(link[1]))
    return found


class Result(NamedTuple):
    """What a sync leaves for the world, and its report without its times."""

    articles: dict[str, bytes]
    manifest: bytes
    report: dict[str, Any]


def result(site: Path, report: dict[str, Any], manifest: bytes | None = None) -> Result:
    """Of a sync of this site; its manifest.json is in its own cache where none is given."""
    report = {key: value for key, value in report.items() if key != "seconds"}
    return Result(articles(site), manifest or (site / "cache" / "manifest.json").read_bytes(), report)


def processes(cluster: Any) -> list[int]:
    """The workers'."""
    return [nanny.pid for nanny in cluster.workers.values()]


@contextmanager
def two_workers(world: Watched, s3: S3) -> Iterator[Any]:
    """Yields a scheduler and two workers as an operator would have them running, with the keys of the object store.

    The workers are forked from a server that has imported Dask: each start takes a third of the time.
    """
    settings = {"distributed.worker.daemon": False, "distributed.worker.multiprocessing-method": "forkserver"}
    environment = {"SSL_CERT_FILE": str(world.ca_file), **s3.environment}
    with (
        dask.config.set(settings),
        _dask.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            dashboard_address="127.0.0.1:0",
            silence_logs=logging.CRITICAL,
            env=environment,
        ) as made,
    ):
        yield made
