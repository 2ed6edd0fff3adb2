"""What each setting may be: one row a key, with how it is read and what would be right. Pure.

A row's `parse` takes what YAML made of the value (from imgcache.yml or from an environment variable) and gives the
value that `Config` holds; it raises ValueError, and `right` completes the sentence "… must be …".
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

from imgcache.config.profiles import PROFILES
from imgcache.core import parse_bytes, parse_pixels, parse_seconds

Value = object


class Setting(NamedTuple):
    """How one value is read, and the words for what it must be."""

    parse: Callable[[Value], object]
    right: str


def _whole(low: int, high: int) -> Setting:
    def parse(value: Value) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ValueError(value)
        return value

    return Setting(parse, f"a whole number from {low} to {high}")


def _between(parse: Callable[[object], float], low: float, high: float, right: str) -> Setting:
    def checked(value: Value) -> float:
        number = parse(value)
        if not low <= number <= high:
            raise ValueError(value)
        return number

    return Setting(checked, right)


def _one_of(*words: str) -> Setting:
    def parse(value: Value) -> str:
        if value not in words:
            raise ValueError(value)
        return str(value)

    return Setting(parse, " or ".join(words))


def _yes_or_no(value: Value) -> bool:
    if not isinstance(value, bool):
        raise ValueError(value)
    return value


def _text(value: Value) -> str:
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise ValueError(value)
    return value


def _field_value(value: Value) -> str:
    """What a header field can carry everywhere (RFC 9110, section 5.5)."""
    text = _text(value)
    if not text.isascii() or text != text.strip():
        raise ValueError(value)
    return text


def _texts(value: Value) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise ValueError(value)
    return tuple(_text(item) for item in value)


def _http_url(value: Value) -> str:
    text = _text(value)
    if not re.match(r"https?://[^/\s@]+", text):
        raise ValueError(value)
    return text.rstrip("/")


def _networks(value: Value) -> tuple[str, ...]:
    return tuple(str(ipaddress.ip_network(text)) for text in _texts(value))


def _quality(value: Value) -> int | str:
    return "auto" if value == "auto" else _QUALITY_NUMBER.parse(value)  # type: ignore[return-value]


def _variant_name(value: Value) -> str:
    text = _text(value)
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", text) or text == "original":
        raise ValueError(value)
    return text


def _log_form(value: Value) -> str:
    """YAML 1.1 reads a bare `off` as false."""
    word = "off" if value is False else value
    if word not in {"text", "json", "off"}:
        raise ValueError(value)
    return str(word)


def _audience(value: Value) -> str:
    """YAML 1.1 reads a bare `on` and `off` as true and false."""
    word = {True: "on", False: "off"}[value] if isinstance(value, bool) else value
    if word not in {"on", "local", "off"}:
        raise ValueError(value)
    return str(word)


SECONDS = _between(parse_seconds, 0.001, 86_400.0, "a time such as 5s, 500ms or 2m, up to 24h")

_QUALITY_NUMBER = _whole(1, 100)

# What a variant may say of itself; at the top of imgcache.yml the same keys say it for all variants that do not.
COMMON: Mapping[str, Setting] = {
    "quality": Setting(_quality, f"{_QUALITY_NUMBER.right}, or auto"),
    "effort": _whole(0, 6),
    "position": _one_of("center", "top", "entropy", "attention"),
    "color": _one_of("srgb", "keep"),
    "linear": Setting(_yes_or_no, "true or false"),
    "animation": _one_of("keep", "first"),
    "target": _whole(1, 100),
    "min_quality": _QUALITY_NUMBER,
    "max_quality": _QUALITY_NUMBER,
}

VARIANT: Mapping[str, Setting] = {
    "name": Setting(_variant_name, "a name of letters, digits, - and _ (not `original`)"),
    "width": _whole(1, 16_383),  # libwebp's limit for either side
    "height": _whole(1, 16_383),
    "fit": _one_of("inside", "cover"),
    "format": _one_of("auto", "best", "webp", "avif", "jpeg", "png"),
    **COMMON,
}


def _variants(value: Value) -> tuple[Mapping[str, object], ...]:
    if not isinstance(value, list):
        raise ValueError(value)
    for item in value:
        if not isinstance(item, dict) or "name" not in item or not {"width", "height"} & item.keys():
            raise ValueError(value)
    if len({item["name"] for item in value}) < len(value):
        raise ValueError(value)
    return tuple(value)


SETTINGS: Mapping[str, Setting] = {
    "articles": Setting(_texts, 'a list of globs, such as ["**/*.md"]'),
    "exclude": Setting(_texts, 'a list of globs, such as ["drafts/**"]'),
    "site_url": Setting(_http_url, "an http or https address, such as https://example.org/news"),
    "flag": Setting(_texts, "a list of field paths, such as [images, related.images]"),
    "dimensions": _one_of("check", "fix", "ignore"),
    "variants": Setting(
        _variants, "a list of mappings, each with a name of its own and a width or a height: {name: w640, width: 640}"
    ),
    "profile": _one_of(*PROFILES),
    **COMMON,
    "limits.bytes": _between(parse_bytes, 1, 10**12, "a size such as 50MB, up to 1000GB"),
    "limits.pixels": _between(parse_pixels, 1, 10**11, "a number of pixels such as 50MP"),
    "limits.frames": _whole(1, 100_000),
    "limits.redirects": _whole(0, 50),
    "limits.connect": SECONDS,
    "limits.read": SECONDS,
    "limits.total": SECONDS,
    "limits.decode_memory": _between(parse_bytes, 64 * 10**6, 10**12, "a size such as 1GB, at least 64MB"),
    "limits.decode_time": SECONDS,
    "fetch.user_agent": Setting(_field_value, "a text of printable ASCII characters, with no space at its ends"),
    "fetch.concurrency": _whole(1, 1000),
    "fetch.per_host": _whole(1, 100),
    "fetch.interval": _between(parse_seconds, 0.0, 3600.0, "a time such as 0s or 500ms, up to 1h"),
    "fetch.retries": _whole(0, 20),
    "fetch.refresh_after": _between(parse_seconds, 0.0, 10 * 365 * 86_400.0, "a time such as 30d"),
    "respect_robots": Setting(_yes_or_no, "true or false"),
    "respect_robots_tag": Setting(_yes_or_no, "true or false"),
    "svg": _one_of("refuse"),
    "allow_networks": Setting(_networks, 'a list of networks, such as ["10.1.0.0/16", "fd00::/8"]'),
    "budget.hosts": _whole(0, 10_000),
    "budget.bytes_per_article": _between(parse_bytes, 0, 10**12, "a size such as 500KB"),
    "rewrite.links": Setting(_yes_or_no, "true or false"),
    "rewrite.picture": Setting(_yes_or_no, "true or false"),
    "rewrite.styles": Setting(_yes_or_no, "true or false"),
    "rewrite.placeholder": Setting(_yes_or_no, "true or false"),
    "serve.memory": _between(parse_bytes, 0, 10**12, "a size such as 64MB"),
    "serve.fallback": _one_of("none", "placeholder"),
    "serve.client_hints": Setting(_yes_or_no, "true or false"),
    "serve.access_log": Setting(_log_form, "text or json or off"),
    "serve.large": _one_of("stream", "redirect"),
    "serve.gallery": Setting(_audience, "on or local or off"),
}
