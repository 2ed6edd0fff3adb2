"""`imgcache serve`: serves the cached images over HTTP."""

from __future__ import annotations

import os
import signal
import socket
import tempfile
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

from imgcache.cache import ReadableStore
from imgcache.cli.options import common, examples, open_workspace, site_argument
from imgcache.cli.output import print_note
from imgcache.core import ConfigError, raise_descriptor_limit
from imgcache.wiring import Workspace

_NEEDED = {"uvicorn": "uvicorn", "uvloop": "uvloop", "httptools": "httptools", "prometheus_client": "prometheus-client"}
_BACKLOG = 2048
_GRACE = 10  # seconds for responses under way when the server stops


@click.command(
    short_help="Serve the cached images over HTTP.",
    epilog=examples("imgcache serve --port 8080", "imgcache serve --host 0.0.0.0 --workers 4"),
)
@site_argument
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen at.")
@click.option("--port", type=click.IntRange(0, 65_535), default=8080, show_default=True, help="0: any free port.")
@click.option("--workers", type=click.IntRange(1, 256), default=1, show_default=True, help="The number of processes.")
@click.option("--access-log", type=click.Choice(["text", "json", "off"]), help="Write a line for each request.")
@common
def serve(site: Path, host: str, port: int, workers: int, access_log: str | None, **options: Any) -> None:
    """Serve the cached images of SITE over HTTP, with a gallery at / for people. It never fetches anything.

    A sync may run at the same time: its changes show within a second, with an object store within some seconds. SIGTERM
    and Ctrl-C end the server when the responses under way are sent, at the latest after ten seconds.
    """
    missing = sorted(package for module, package in _NEEDED.items() if find_spec(module) is None)
    if missing:
        raise ConfigError(f"serve needs {', '.join(missing)}, which `pip install imgcache` installs")
    workspace = open_workspace(site, options, {"serve.access_log": access_log})
    store = _store(workspace)
    raise_descriptor_limit()  # each connection is an open file
    with _listen(host, port) as listener:
        address, chosen = listener.getsockname()[:2]
        if not options["quiet"]:
            shown = f"[{address}]" if ":" in address else address
            print_note(f"serving {workspace.bucket_url or workspace.cache} on http://{shown}:{chosen}")
        if workers == 1:
            _serve_here(workspace, store, listener)
        else:
            _serve_in_workers(workspace, listener, workers, options["config"])


def _store(workspace: Workspace) -> ReadableStore | None:
    """Open the object store, if the cache is one, before anything starts."""
    if workspace.bucket_url is None:
        return None
    from imgcache.server import reach

    return reach(workspace.bucket_url)


def _serve_here(workspace: Workspace, store: ReadableStore | None, listener: socket.socket) -> None:
    from uvicorn import Config, Server

    from imgcache.server import Endpoint

    server = Server(
        Config(Endpoint(workspace.cache, workspace.root, workspace.config.serve, store=store), **_settings())
    )
    for number in (signal.SIGINT, signal.SIGTERM):  # uvicorn raises the signals again when it has ended
        signal.signal(number, lambda *_: setattr(server, "should_exit", True))
    server.run(sockets=[listener])


def _serve_in_workers(workspace: Workspace, listener: socket.socket, workers: int, config: Path | None) -> None:
    """Each worker builds its own endpoint from the environment. They share counters through a folder."""
    from uvicorn import Config
    from uvicorn.supervisors import Multiprocess

    listener.set_inheritable(True)
    with tempfile.TemporaryDirectory(prefix="imgcache-metrics-") as folder:
        os.environ |= {
            "IMGCACHE_SITE": str(workspace.root),
            "IMGCACHE_CACHE": workspace.bucket_url or str(workspace.cache),
            "IMGCACHE_SERVE__ACCESS_LOG": workspace.config.serve.access_log,
            "PROMETHEUS_MULTIPROC_DIR": folder,
        }
        if config is not None:
            os.environ["IMGCACHE_CONFIG"] = str(config.absolute())
        Multiprocess(
            Config("imgcache.server:build", factory=True, workers=workers, **_settings()), sockets=[listener]
        ).run()


def _settings() -> Mapping[str, Any]:
    from imgcache.server import choose_protocol

    return {
        "loop": "uvloop",
        "http": choose_protocol(),
        "ws": "none",
        "lifespan": "on",
        "log_config": None,
        "log_level": "error",
        "access_log": False,
        "server_header": False,
        "proxy_headers": False,
        "backlog": _BACKLOG,
        "timeout_graceful_shutdown": _GRACE,
    }


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        return socket.create_server(address[:2], family=family, backlog=_BACKLOG)
    except OSError as error:
        reason = error.strerror or str(error)
        raise ConfigError(f"cannot listen at {host} port {port}: {reason}", where="--host, --port") from None
