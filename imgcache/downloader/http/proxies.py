"""Reads `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY`, in upper or lower case, as the standard library does."""

from __future__ import annotations

import base64
import urllib.parse
import urllib.request

import msgspec

from imgcache.core import ConfigError, redact


class Proxy(msgspec.Struct, frozen=True):
    """One proxy: its URL without credentials, and the header field with the credentials."""

    url: str
    headers: dict[str, str]


class Proxies:
    """The proxies of the environment, read once. Their own addresses are not checked: the operator names them."""

    def __init__(self) -> None:
        self._environment = urllib.request.getproxies_environment()
        self._by_scheme = {
            scheme: _proxy(url, f"{scheme.upper()}_PROXY")
            for scheme in ("http", "https")
            if (url := self._environment.get(scheme))
        }

    def __bool__(self) -> bool:
        """Return whether any proxy is configured."""
        return bool(self._by_scheme)

    def choose(self, scheme: str, host: str, port: int) -> Proxy | None:
        """Return the proxy for a request, None where it goes directly."""
        proxy = self._by_scheme.get(scheme)
        if proxy is None or _bypassed(f"{host}:{port}", self._environment):
            return None
        return proxy


def _bypassed(netloc: str, environment: dict[str, str]) -> bool:
    """Apply NO_PROXY by the rules of urllib: `*`, names and their subdomains, with or without a port."""
    bypass = urllib.request.proxy_bypass_environment  # type: ignore[attr-defined]  # not in typeshed
    return bool(bypass(netloc, environment))


def _proxy(url: str, where: str) -> Proxy:
    parts = urllib.parse.urlsplit(url if "://" in url else f"http://{url}")
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ConfigError(f"{redact(url)} is not an http:// or https:// URL of a proxy", where=where)
    headers = {}
    if parts.username is not None:
        secret = f"{urllib.parse.unquote(parts.username)}:{urllib.parse.unquote(parts.password or '')}"
        headers["Proxy-Authorization"] = "Basic " + base64.b64encode(secret.encode()).decode("ascii")
    netloc = parts.netloc.rpartition("@")[2]
    return Proxy(f"{parts.scheme}://{netloc}", headers)
