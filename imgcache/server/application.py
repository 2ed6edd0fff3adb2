"""The ASGI application `imgcache.server:app`, for any ASGI server; `imgcache serve` runs it on uvicorn.

Environment variables set what it serves: IMGCACHE_SITE (a folder, `.` by default), IMGCACHE_CACHE (a folder, by
default IMGCACHE_SITE/cache, or the URL of an object store), IMGCACHE_CONFIG (default IMGCACHE_SITE/imgcache.yml), and
the settings IMGCACHE_SERVE__MEMORY, IMGCACHE_SERVE__FALLBACK, IMGCACHE_SERVE__CLIENT_HINTS, IMGCACHE_SERVE__ACCESS_LOG,
IMGCACHE_SERVE__LARGE.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from imgcache.server.endpoint import Endpoint

__all__ = ["app", "build"]


@functools.cache
def build() -> Endpoint:
    """Returns the endpoint that the environment describes, built once. Raises ConfigError."""
    from imgcache.config import load_config
    from imgcache.server.endpoint import Endpoint
    from imgcache.server.upstream import reach

    site = Path(os.environ.get("IMGCACHE_SITE") or ".").absolute()
    file = Path(os.environ.get("IMGCACHE_CONFIG") or site / "imgcache.yml")
    cache = os.environ.get("IMGCACHE_CACHE") or ""
    config = load_config(file if file.is_file() or "IMGCACHE_CONFIG" in os.environ else None, os.environ, {})
    if "://" in cache:
        return Endpoint(site / "cache", site, config.serve, store=reach(cache))
    return Endpoint(Path(cache or site / "cache").absolute(), site, config.serve)


async def app(scope: dict[str, Any], receive: Callable[[], Any], send: Callable[[dict[str, Any]], Any]) -> None:
    """The ASGI application. Its first call raises ConfigError if the configuration is wrong."""
    await build()(scope, receive, send)
