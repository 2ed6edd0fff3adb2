"""Other addresses under which a picture may be had: over https, or without the size that its address asks for. Pure."""

from __future__ import annotations

import re

MOST = 2  # addresses that are tried in place of one that fails

# `-300x200`, `_640`, `-640w`, `@2x` before the extension: what WordPress, Pixabay, Flickr and others write.
_SIZE_IN_NAME = re.compile(r"(?:[-_]\d{2,4}x\d{2,4}|[-_](\d{3,4})w?|@[2-4]x)(?=\.[A-Za-z]{3,4}$)")
_SIZE_KEYS = frozenset({"w", "h", "width", "height", "size", "resize", "fit", "sz", "imwidth", "imheight", "dpr"})
_HTTP = re.compile(r"(\s*)http:(?=//[^/?#:@]+(?:[/?#]|$))", re.IGNORECASE)


def secure(url: str) -> str | None:
    """The same address over https; None where it is no http address, or names a port, which speaks http only."""
    return _HTTP.sub(r"\1https:", url, count=1) if _HTTP.match(url) else None


def without_size(url: str) -> tuple[str, ...]:
    """The address without a size in its query, in its name, or in either: at most `MOST`, itself left out."""
    path, query, tail = _parts(url)
    bare_path, bare_query = _without_size(path, query)
    found = (_join(path, bare_query, tail), _join(bare_path, query, tail), _join(bare_path, bare_query, tail))
    return tuple(form for form in dict.fromkeys(found) if form != url)[:MOST]


def stem(url: str) -> str:
    """What addresses share that differ in scheme, fragment and size alone."""
    path, query, _ = _parts(url.strip())
    form = _join(*_without_size(path, query), "")
    return form.partition("//")[2] or form


def _without_size(path: str, query: str) -> tuple[str, str]:
    kept = (pair for pair in query.split("&") if pair.partition("=")[0].lower() not in _SIZE_KEYS)
    return _SIZE_IN_NAME.sub(lambda found: "" if _is_size(found[1]) else found[0], path), "&".join(kept)


def _is_size(number: str | None) -> bool:
    """Whether a lone number is a width: round, as people choose them, and no year; photographs are numbered too."""
    if number is None:
        return True
    value = int(number)
    return not 1950 <= value < 2048 and (value % 10 == 0 or value % 16 == 0)


def _parts(url: str) -> tuple[str, str, str]:
    front, mark, fragment = url.partition("#")
    path, _, query = front.partition("?")
    return path, query, mark + fragment


def _join(path: str, query: str, tail: str) -> str:
    return path + (f"?{query}" if query else "") + tail
