"""The server: HTTP and HTTPS on loopback, for every host name that a client asks for."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import ssl
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from types import TracebackType
from typing import Self

import trustme
from aiohttp import ETag, web

from examples.origin.answers import Answer, Answers, Content, content_of, normal

LAST_MODIFIED = datetime(2020, 1, 1, tzinfo=UTC)
_KEPT_IN_MEMORY = 256_000_000  # bytes of drawn images; beyond it all are forgotten and drawn again
_PIECES = 10
_DRAWN_AT_ONCE = 4096  # pixels: below, drawing costs less than handing it to a thread


class Tally(Mapping[str, int]):
    """How often each URL was asked for, however it is spelt; 0 for one that never was."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def add(self, key: str) -> int:
        """Count one request for a URL in its `normal` form, and say the how-manieth it is."""
        self._counts[key] += 1
        return self._counts[key]

    def __getitem__(self, url: str) -> int:
        return self._counts[normal(url)]

    def __iter__(self) -> Iterator[str]:
        return iter(self._counts)

    def __len__(self) -> int:
        return len(self._counts)

    def clear(self) -> None:
        """Count from 0 again."""
        self._counts.clear()


class Origin:
    """One origin on two ports of 127.0.0.1, while the context lasts. A URL without an answer gets 404.

    `requests[url]` counts requests and `peak[host]` the most that were in hand at once. `connect_to` are the arguments
    that lead imgcache (or curl) here; `ca_file` is the authority that signed every certificate, made by the host name
    that a client sends (RFC 6066, section 3). Connecting to `closed_port` is refused for as long as the origin runs.
    """

    def __init__(self, answers: Mapping[str, Answer] | None = None) -> None:
        self.answers = answers if isinstance(answers, Answers) else Answers(answers)
        self.requests = Tally()
        self.peak: Counter[str] = Counter()
        self.http_port = self.https_port = self.closed_port = 0
        self.ca_file = Path()
        self._in_hand: Counter[str] = Counter()
        self._contents: dict[str, tuple[Answer, Content]] = {}
        self._kept = 0
        self._contexts: dict[str, ssl.SSLContext] = {}
        self._stack = contextlib.AsyncExitStack()

    @property
    def connect_to(self) -> list[str]:
        """Options that lead every host's ports 80 and 443 here, and a host that is down to where nobody listens.

        The first that fits a host counts, as with curl.
        """
        ends = [(host, port, self.closed_port) for host in self.answers.hosts_down for port in (80, 443)]
        ends += [("", 80, self.http_port), ("", 443, self.https_port)]
        return [part for host, port, here in ends for part in ("--connect-to", f"{host}:{port}:127.0.0.1:{here}")]

    async def __aenter__(self) -> Self:
        """Listen on free ports, HTTP and HTTPS."""
        async with contextlib.AsyncExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="origin-")))
            self._authority = trustme.CA()
            self.ca_file = folder / "ca.pem"
            self._authority.cert_pem.write_to_path(str(self.ca_file))
            closed = stack.enter_context(socket.socket())
            closed.bind(("127.0.0.1", 0))  # bound and never listening: refused, and nobody else can take it
            self.closed_port = closed.getsockname()[1]
            runner = web.ServerRunner(web.Server(self._handle, access_log=None, handler_cancellation=True))
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            self.http_port = await _listen(runner, None)
            self.https_port = await _listen(runner, self._tls())
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop listening and drop every connection."""
        await self._stack.aclose()

    def _tls(self) -> ssl.SSLContext:
        context = self._context_for("localhost")
        context.sni_callback = self._choose_certificate
        return context

    def _choose_certificate(self, connection: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
        if name:
            connection.context = self._context_for(name)

    def _context_for(self, name: str) -> ssl.SSLContext:
        if name not in self._contexts:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            extra = ["127.0.0.1"] if name == "localhost" else []
            self._authority.issue_cert(name, *extra).configure_cert(context)
            self._contexts[name] = context
        return self._contexts[name]

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        host = re.sub(r":\d+$", "", request.headers.get("Host", "")).rstrip(".").lower()
        if host == "127.0.0.1" and request.raw_path == "/-/requests":
            return web.json_response({"requests": dict(self.requests), "peak": self.peak})
        proxied = request.raw_path.startswith("http://")  # the absolute form that clients of a proxy send
        try:
            key = normal(request.raw_path if proxied else f"http://{host}{request.raw_path}")
        except ValueError:
            return web.Response(status=400, text="no such address\n")
        earlier = self.requests.add(key) - 1
        self._in_hand[host] += 1
        self.peak[host] = max(self.peak[host], self._in_hand[host])
        try:
            return await self._reply(request, self.answers.get(key, Answer(status=404)), key, earlier)
        finally:
            self._in_hand[host] -= 1

    async def _reply(self, request: web.BaseRequest, answer: Answer, key: str, earlier: int) -> web.StreamResponse:
        await asyncio.sleep(answer.delay)
        if answer.hang_up or answer.down:
            return _hang_up(request, web.Response())
        if request.method not in ("GET", "HEAD"):
            return web.Response(status=405, headers={"Allow": "GET, HEAD"})
        if earlier < answer.fails:
            return web.Response(status=503, text="try again\n")
        content = await self._content(answer, key)
        headers = {"Content-Type": content.media_type, **answer.headers}
        if answer.location is not None:
            headers["Location"] = answer.location
        if answer.etag and answer.status == 200:
            headers |= {
                "ETag": f'"{content.etag}"',
                "Last-Modified": format_datetime(LAST_MODIFIED, usegmt=True),
                "Accept-Ranges": "bytes",
            }
            if _not_modified(request, content.etag):
                return web.Response(status=304, headers=headers)
        if answer.keep < 1 or answer.drip:
            return await _send_slowly(request, answer, content, headers)
        return _whole_or_part(request, answer.status, content, headers)

    async def _content(self, answer: Answer, key: str) -> Content:
        kept = self._contents.get(key)
        if kept is None or kept[0] is not answer:
            if answer.file is None and answer.size[0] * answer.size[1] <= _DRAWN_AT_ONCE:
                content = content_of(answer, key)
            else:
                content = await asyncio.to_thread(content_of, answer, key)
            self._kept += len(content.body)
            if self._kept > _KEPT_IN_MEMORY:
                self._contents.clear()
                self._kept = len(content.body)
            kept = self._contents[key] = (answer, content)
        return kept[1]


async def _listen(runner: web.ServerRunner, context: ssl.SSLContext | None) -> int:
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    await web.SockSite(runner, listener, ssl_context=context).start()
    port: int = listener.getsockname()[1]
    return port


def _not_modified(request: web.BaseRequest, etag: str) -> bool:
    """Whether the client's copy is this one; If-Modified-Since counts only without If-None-Match (RFC 9110, 13.2.2)."""
    if (wanted := request.if_none_match) is not None:
        return any(one == ETag("*") or one.value == etag for one in wanted)
    since = request.if_modified_since
    return since is not None and since >= LAST_MODIFIED


def _whole_or_part(request: web.BaseRequest, status: int, content: Content, headers: dict[str, str]) -> web.Response:
    """The body, or the one range of it that the client asks for (RFC 9110, section 14)."""
    size = len(content.body)
    if (
        status != 200
        or "Range" not in request.headers
        or request.headers.get("If-Range", f'"{content.etag}"') != f'"{content.etag}"'
    ):
        return web.Response(status=status, body=content.body, headers=headers)
    try:
        wanted = request.http_range
    except ValueError:
        return web.Response(status=status, body=content.body, headers=headers)
    start, stop, _ = wanted.indices(size)
    if start >= stop:
        return web.Response(status=416, headers={"Content-Range": f"bytes */{size}"})
    headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
    return web.Response(status=206, body=content.body[start:stop], headers=headers)


async def _send_slowly(
    request: web.BaseRequest, answer: Answer, content: Content, headers: dict[str, str]
) -> web.StreamResponse:
    """The body in pieces, spread over `drip` seconds; with `keep` below 1 the connection ends before the body does."""
    response = web.StreamResponse(status=answer.status, headers=headers)
    response.content_length = len(content.body)
    await response.prepare(request)
    if request.method == "HEAD":
        return response
    body = content.body[: int(len(content.body) * answer.keep)]
    step = max(1, -(-len(body) // _PIECES))
    for at in range(0, len(body), step):
        await response.write(body[at : at + step])
        await asyncio.sleep(answer.drip / _PIECES)
    return _hang_up(request, response) if answer.keep < 1 else response


def _hang_up(request: web.BaseRequest, response: web.StreamResponse) -> web.StreamResponse:
    """Close the connection under the request; what was written before still arrives."""
    if request.transport is not None:
        request.transport.close()
    return response


@contextlib.contextmanager
def in_thread(origin: Origin) -> Iterator[Origin]:
    """Run `origin` in a thread of its own while the context lasts, for callers that have no event loop."""
    ready, loop = threading.Event(), asyncio.new_event_loop()
    stop = asyncio.Event()
    failed: list[BaseException] = []

    async def serve() -> None:
        try:
            async with origin:
                ready.set()
                await stop.wait()
        except OSError as error:
            failed.append(error)
        finally:
            ready.set()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), name="origin", daemon=True)
    thread.start()
    ready.wait()
    try:
        if failed:
            raise failed[0]
        yield origin
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()
