"""`HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY`, in either case, as the standard library reads them."""

from __future__ import annotations

import base64
import urllib.parse
import urllib.request

import msgspec

from imgcache.core import ConfigError, redact


class Proxy(msgspec.Struct, frozen=True):
    """One proxy: its URL without credentials, and the header that carries them."""

    url: str
    headers: dict[str, str]


class Proxies:
    """The proxies of the environment, read once. A proxy is the operator's word: its own address may be any."""

    def __init__(self) -> None:
        self._environment = urllib.request.getproxies_environment()
        self._by_scheme = {
            scheme: _proxy(url, f"{scheme.upper()}_PROXY")
            for scheme in ("http", "https")
            if (url := self._environment.get(scheme))
        }

    def __bool__(self) -> bool:
        """Whether there is any."""
        return bool(self._by_scheme)

    def choose(self, scheme: str, host: str, port: int) -> Proxy | None:
        """The proxy for this request, None where it goes directly."""
        proxy = self._by_scheme.get(scheme)
        if proxy is None or _bypassed(f"{host}:{port}", self._environment):
            return None
        return proxy


def _bypassed(netloc: str, environment: dict[str, str]) -> bool:
    """NO_PROXY by the rules of urllib: `*`, names and their subdomains, with or without a port."""
    return bool(urllib.request.proxy_bypass_environment(netloc, environment))  # type: ignore[attr-defined] # not in typeshed


def _proxy(url: str, where: str) -> Proxy:
    parts = urllib.parse.urlsplit(url if "://" in url else f"http://{url}")
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ConfigError(f"{redact(url)} is no http:// or https:// proxy", where=where)
    headers = {}
    if parts.username is not None:
        secret = f"{urllib.parse.unquote(parts.username)}:{urllib.parse.unquote(parts.password or '')}"
        headers["Proxy-Authorization"] = "Basic " + base64.b64encode(secret.encode()).decode("ascii")
    netloc = parts.netloc.rpartition("@")[2]
    return Proxy(f"{parts.scheme}://{netloc}", headers)
