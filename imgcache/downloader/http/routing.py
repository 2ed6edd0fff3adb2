"""Decides how a request reaches its host: directly, through a proxy, or to the target of `--connect-to`."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

import msgspec
from aiohttp.abc import AbstractResolver
from yarl import URL

from imgcache.core import split_url
from imgcache.downloader.http.connect_to import ConnectTo, redirected
from imgcache.downloader.http.guard import Guard, blocked
from imgcache.downloader.http.proxies import Proxies, Proxy

# Names that are only valid on the local network (RFC 6761, 6762, 7686, 8375, 9476; ICANN for .internal)
LOCAL_SUFFIXES = ("localhost", "local", "internal", "intranet", "lan", "home.arpa", "alt", "onion", "test", "invalid")


class Route(msgspec.Struct, frozen=True):
    """How an indirect request travels.

    Attributes:
        url: the URL to connect to.
        server_name: the host name for SNI and the certificate, where it is not the URL's.
        proxy: the proxy to use.
    """

    url: URL
    server_name: str | None = None
    proxy: Proxy | None = None


class Router:
    """Finds the route of each request. The proxies come from the environment, which is read once."""

    def __init__(self, *, guard: Guard, connect_to: Iterable[ConnectTo], resolver: AbstractResolver) -> None:
        self._guard = guard
        self._connect_to = tuple(connect_to)
        self._resolver = resolver
        self._proxies = Proxies()

    async def route(self, url: str) -> Route | None:
        """Return the route to `url`, or None where the request goes directly.

        Raises:
            BlockedAddress: the request would go through a proxy to an address that is not allowed.
        """
        if not self._connect_to and not self._proxies:
            return None
        scheme, host, port = split_url(url)
        target = redirected(self._connect_to, host, port)
        if target is not None:
            # `server_name` also separates these connections in the pool: a URL that names the target itself must not
            # reuse one, because the target is trusted for the rule's URLs only.
            netloc = f"[{target[0]}]" if ":" in target[0] else target[0]
            path = url.partition("://")[2].partition("/")[2]
            return Route(URL(f"{scheme}://{netloc}:{target[1]}/{path}", encoded=True), server_name=host)
        proxy = self._proxies.choose(scheme, host, port)
        if proxy is None:
            return None
        await self._check_proxy_target(host, port)
        return Route(URL(url, encoded=True), proxy=proxy)

    async def _check_proxy_target(self, host: str, port: int) -> None:
        """Refuse a target that only the proxy will connect to.

        Every address of the name must be allowed, because the proxy chooses among them. A name that does not resolve
        on this side passes unless its form is local: behind a proxy, names often resolve only there. Limit: the
        addresses that the proxy itself finds for the name must be guarded by the proxy.
        """
        if _is_address(host):
            self._guard.check(host, host)
            return
        try:
            found = await self._resolver.resolve(host, port)
        except OSError:
            name = host.rstrip(".")
            if "." not in name or any(name == suffix or name.endswith(f".{suffix}") for suffix in LOCAL_SUFFIXES):
                raise blocked(host, host) from None
            return
        for result in found:
            self._guard.check(result["host"], host)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
