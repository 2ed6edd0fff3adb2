"""The schema of the configuration: for each key how its value is parsed, and what is valid.

`Setting.parse` takes the value as YAML read it (from imgcache.yml or from an environment variable), returns the value
for `Config`, and raises ValueError if it is not valid. `Setting.valid` completes the sentence "it must be …".
`json_schema` describes the same values for editors (https://json-schema.org/draft/2020-12); it accepts a few that
`parse` rejects, because a schema cannot tell what a size or a time is.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple, TypeVar

from imgcache.config.profiles import PROFILES
from imgcache.core import (
    ColorSpace,
    Dimensions,
    Fit,
    Generator,
    Motion,
    Position,
    VariantFormat,
    parse_bytes,
    parse_pixels,
    parse_seconds,
)

T = TypeVar("T", bound=str)

# The formats of quantities in the JSON Schema. Programs that do not know a format ignore it.
_UNITS: Mapping[Callable[[object], float], str] = {parse_bytes: "size", parse_pixels: "pixels", parse_seconds: "time"}


JsonSchema = Mapping[str, object]


class Setting(NamedTuple):
    """How one value is parsed, the words for what is valid, and its JSON Schema where `parse` does not tell it."""

    parse: Callable[[object], object]
    valid: str
    shape: JsonSchema | None = None


def _integer(low: int, high: int) -> Setting:
    def parse(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ValueError(value)
        return value

    return Setting(parse, f"a whole number from {low} to {high}", {"type": "integer", "minimum": low, "maximum": high})


def _between(parse: Callable[[object], float], low: float, high: float, valid: str) -> Setting:
    def checked(value: object) -> float:
        number = parse(value)
        if not low <= number <= high:
            raise ValueError(value)
        return number

    return Setting(checked, valid, {"type": ["number", "string"], "minimum": 0, "format": _UNITS[parse]})


def _choice(words: Iterable[T]) -> Setting:
    choices = {str(word): word for word in words}

    def parse(value: object) -> T:
        if not isinstance(value, str) or value not in choices:
            raise ValueError(value)
        return choices[value]

    return Setting(parse, " or ".join(choices), {"enum": list(choices)})


def _bool(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(value)
    return value


def _string(value: object) -> str:
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise ValueError(value)
    return value


def _field_value(value: object) -> str:
    """A header field value that every recipient accepts (RFC 9110, section 5.5)."""
    text = _string(value)
    if not text.isascii() or text != text.strip():
        raise ValueError(value)
    return text


def _strings(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise ValueError(value)
    return tuple(_string(item) for item in value)


def _field_paths(value: object) -> str | tuple[str, ...]:
    """`auto`, `none`, or paths of keys: `cover.image`, `gallery[].url`, `header.*`."""
    if isinstance(value, str) and value in {"auto", "none"}:
        return value
    paths = _strings(value)
    if not all(re.fullmatch(r"[^\s.\[\]]+(?:\[\])?(?:\.[^\s.\[\]]+(?:\[\])?)*", path) for path in paths):
        raise ValueError(value)
    return paths


def _data_globs(value: object) -> str | tuple[str, ...]:
    return value if isinstance(value, str) and value in {"auto", "none"} else _strings(value)


def _http_url(value: object) -> str:
    text = _string(value)
    if not re.match(r"https?://[^/\s@]+", text):
        raise ValueError(value)
    return text.rstrip("/")


def _networks(value: object) -> tuple[str, ...]:
    return tuple(str(ipaddress.ip_network(text)) for text in _strings(value))


def _quality(value: object) -> int | str:
    return "auto" if value == "auto" else _QUALITY_NUMBER.parse(value)  # type: ignore[return-value]


def _variant_name(value: object) -> str:
    text = _string(value)
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", text) or text == "original":
        raise ValueError(value)
    return text


def _log_format(value: object) -> str:
    """YAML 1.1 reads an unquoted `off` as false."""
    word = "off" if value is False else value
    if word not in {"text", "json", "off"}:
        raise ValueError(value)
    return str(word)


def _audience(value: object) -> str:
    """YAML 1.1 reads an unquoted `on` and `off` as true and false."""
    word = {True: "on", False: "off"}[value] if isinstance(value, bool) else value
    if word not in {"on", "local", "off"}:
        raise ValueError(value)
    return str(word)


_BOOL = Setting(_bool, "true or false")
_SECONDS = _between(parse_seconds, 0.001, 86_400.0, "a time such as 5s, 500ms or 2m, up to 24h")

_QUALITY_NUMBER = _integer(1, 100)

# Settings of a variant. At the top of imgcache.yml they hold for all variants that do not set them.
COMMON: Mapping[str, Setting] = {
    "quality": Setting(_quality, f"{_QUALITY_NUMBER.valid}, or auto"),
    "effort": _integer(0, 6),
    "position": _choice(Position),
    "color": _choice(ColorSpace),
    "linear": _BOOL,
    "animation": _choice(Motion),
    "target": _integer(1, 100),
    "min_quality": _QUALITY_NUMBER,
    "max_quality": _QUALITY_NUMBER,
}

VARIANT: Mapping[str, Setting] = {
    "name": Setting(_variant_name, "a name of letters, digits, - and _ (not `original`)"),
    "width": _integer(1, 16_383),  # libwebp's limit for either side
    "height": _integer(1, 16_383),
    "fit": _choice(Fit),
    "format": _choice(VariantFormat),
    **COMMON,
}


def _variants(value: object) -> tuple[Mapping[str, object], ...]:
    if not isinstance(value, list):
        raise ValueError(value)
    for item in value:
        if not isinstance(item, dict) or not item.keys() <= VARIANT.keys():
            raise ValueError(value)
        if "name" not in item or not {"width", "height"} & item.keys():
            raise ValueError(value)
    if len({item["name"] for item in value}) < len(value):
        raise ValueError(value)
    return tuple({key: VARIANT[key].parse(part) for key, part in item.items()} for item in value)


SETTINGS: Mapping[str, Setting] = {
    "articles": Setting(_strings, 'a list of globs, such as ["**/*.md"]'),
    "fields": Setting(
        _field_paths, 'auto, none, or a list of keys, such as [image, cover.image, "gallery[].url", "header.*"]'
    ),
    "data": Setting(_data_globs, 'auto, none, or a list of globs, such as ["_data/**/*.yml"]'),
    "exclude": Setting(_strings, 'a list of globs, such as ["drafts/**"]'),
    "generator": _choice(["auto", *Generator]),
    "site_url": Setting(_http_url, "an http or https address, such as https://example.org/news"),
    "flag": Setting(_strings, "a list of field paths, such as [images, related.images]"),
    "dimensions": _choice(Dimensions),
    "variants": Setting(
        _variants, "a list of mappings, each with a unique name, and a width or a height: {name: w640, width: 640}"
    ),
    "profile": _choice(PROFILES),
    **COMMON,
    "limits.bytes": _between(parse_bytes, 1, 10**12, "a size such as 50MB, up to 1000GB"),
    "limits.pixels": _between(parse_pixels, 1, 10**11, "a number of pixels such as 50MP"),
    "limits.frames": _integer(1, 100_000),
    "limits.redirects": _integer(0, 50),
    "limits.connect": _SECONDS,
    "limits.read": _SECONDS,
    "limits.total": _SECONDS,
    "limits.decode_memory": _between(parse_bytes, 64 * 10**6, 10**12, "a size such as 1GB, at least 64MB"),
    "limits.decode_time": _SECONDS,
    "fetch.user_agent": Setting(_field_value, "printable ASCII characters without spaces at the start or end"),
    "fetch.concurrency": _integer(1, 1000),
    "fetch.per_host": _integer(1, 100),
    "fetch.interval": _between(parse_seconds, 0.0, 3600.0, "a time such as 0s or 500ms, up to 1h"),
    "fetch.retries": _integer(0, 20),
    "fetch.refresh_after": _between(parse_seconds, 0.0, 10 * 365 * 86_400.0, "a time such as 30d"),
    "respect_robots": _BOOL,
    "respect_robots_tag": _BOOL,
    "svg": _choice(["refuse"]),
    "allow_networks": Setting(_networks, 'a list of networks, such as ["10.1.0.0/16", "fd00::/8"]'),
    "budget.hosts": _integer(0, 10_000),
    "budget.bytes_per_article": _between(parse_bytes, 0, 10**12, "a size such as 500KB"),
    "rewrite.links": _BOOL,
    "rewrite.picture": _BOOL,
    "rewrite.styles": _BOOL,
    "rewrite.placeholder": _BOOL,
    "serve.memory": _between(parse_bytes, 0, 10**12, "a size such as 64MB"),
    "serve.fallback": _choice(["none", "placeholder"]),
    "serve.client_hints": _BOOL,
    "serve.access_log": Setting(_log_format, "text or json or off"),
    "serve.large": _choice(["stream", "redirect"]),
    "serve.gallery": Setting(_audience, "on or local or off"),
}

_TEXT: JsonSchema = {"type": "string", "minLength": 1}
_TEXTS: JsonSchema = {"type": "array", "items": _TEXT}
_SHAPES: Mapping[Callable[[object], object], JsonSchema] = {
    _bool: {"type": "boolean"},
    _string: _TEXT,
    _strings: _TEXTS,
    _networks: _TEXTS,
    _field_value: {**_TEXT, "pattern": "^[!-~]([ -~]*[!-~])?$"},
    _http_url: {**_TEXT, "pattern": r"^https?://[^/\s@]+", "format": "uri"},
    _quality: {"anyOf": [_QUALITY_NUMBER.shape, {"const": "auto"}]},
    _variant_name: {**_TEXT, "pattern": "^(?!original$)[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"},
    _log_format: {"enum": ["text", "json", "off", False]},
    _field_paths: {"anyOf": [{"enum": ["auto", "none"]}, _TEXTS]},
    _data_globs: {"anyOf": [{"enum": ["auto", "none"]}, _TEXTS]},
    _audience: {"enum": ["on", "local", "off", True, False]},
}


def json_schema(setting: Setting) -> JsonSchema:
    """Returns the JSON Schema of one value; an empty one, which any value matches, where nothing more is known."""
    if setting.parse is _variants:
        properties = {name: json_schema(part) for name, part in VARIANT.items()}
        sides = [{"required": ["width"]}, {"required": ["height"]}]
        variant = {"type": "object", "properties": properties, "required": ["name"], "anyOf": sides}
        return {"type": "array", "items": {**variant, "additionalProperties": False}}
    return setting.shape or _SHAPES.get(setting.parse, {})
