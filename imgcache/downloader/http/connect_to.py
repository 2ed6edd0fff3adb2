"""Parses and applies `--connect-to HOST:PORT:HOST2:PORT2`, an option as curl has it. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

from imgcache.core import ConfigError, clean_text

_FORM = re.compile(r"(\[[^\[\]]*\]|[^:\[\]]*):([0-9]*):(\[[^\[\]]*\]|[^:\[\]]*):([0-9]*)")


class ConnectTo(msgspec.Struct, frozen=True):
    """One rule: requests for `host`:`port` connect to `to_host`:`to_port` instead.

    The Host field and the name in the certificate stay those of the URL. Hosts are written without brackets.

    Attributes:
        host: None for any.
        port: None for any.
        to_host: None for the URL's.
        to_port: None for the URL's.
    """

    host: str | None
    port: int | None
    to_host: str | None
    to_port: int | None

    @classmethod
    def parse(cls, text: str) -> ConnectTo:
        """Parse curl's form, with IPv6 addresses in brackets. Raises ConfigError."""
        found = _FORM.fullmatch(text)
        if found is None:
            raise ConfigError(
                f"{clean_text(text, 100)} is not HOST:PORT:HOST2:PORT2; any part may be empty, IPv6 needs brackets",
                where="--connect-to",
            )
        return cls(_host(found[1]), _port(found[2]), _host(found[3]), _port(found[4]))

    def matches(self, host: str, port: int) -> bool:
        """Return whether this rule applies to `host` (lower case, no brackets) and `port`."""
        return self.host in {None, host} and self.port in {None, port}


def redirected(rules: Iterable[ConnectTo], host: str, port: int) -> tuple[str, int] | None:
    """Return the host and port to connect to instead, by the first rule that matches; None where none does."""
    for rule in rules:
        if rule.matches(host, port):
            return rule.to_host or host, rule.to_port or port
    return None


def _host(text: str) -> str | None:
    return text.strip("[]").lower() or None


def _port(text: str) -> int | None:
    if not text:
        return None
    if not 0 < int(text[:6]) < 65_536:
        raise ConfigError(f"{clean_text(text, 20)} is not a port from 1 to 65535", where="--connect-to")
    return int(text)
