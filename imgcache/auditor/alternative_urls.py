"""Builds alternative URLs for an image: over https, or without the size that the URL asks for. Pure."""

from __future__ import annotations

import re

MAX_ALTERNATIVES = 2  # URLs that are tried in place of one that fails

# `-300x200`, `_640`, `-640w`, `@2x` before the extension: what WordPress, Pixabay, Flickr and others write.
_SIZE_IN_NAME = re.compile(r"(?:[-_]\d{2,4}x\d{2,4}|[-_](\d{3,4})w?|@[2-4]x)(?=\.[A-Za-z]{3,4}$)")
_SIZE_KEYS = frozenset({"w", "h", "width", "height", "size", "resize", "fit", "sz", "imwidth", "imheight", "dpr"})
_HTTP = re.compile(r"(\s*)http:(?=//[^/?#:@]+(?:[/?#]|$))", re.IGNORECASE)


def secure(url: str) -> str | None:
    """Returns the same URL over https, or None if the URL is not http or names a port, which serves http only."""
    return _HTTP.sub(r"\1https:", url, count=1) if _HTTP.match(url) else None


def without_size(url: str) -> tuple[str, ...]:
    """Returns the URL without a size in its query, in its file name, or in both.

    At most `MAX_ALTERNATIVES` URLs are returned; the given URL is never one of them.
    """
    path, query, tail = _parts(url)
    bare_path, bare_query = _without_size(path, query)
    found = (_join(path, bare_query, tail), _join(bare_path, query, tail), _join(bare_path, bare_query, tail))
    return tuple(form for form in dict.fromkeys(found) if form != url)[:MAX_ALTERNATIVES]


def stem(url: str) -> str:
    """Returns a key that is equal for URLs which differ only in scheme, fragment and image size."""
    path, query, _ = _parts(url.strip())
    form = _join(*_without_size(path, query), "")
    return form.partition("//")[2] or form


def _without_size(path: str, query: str) -> tuple[str, str]:
    kept = (pair for pair in query.split("&") if pair.partition("=")[0].lower() not in _SIZE_KEYS)
    return _SIZE_IN_NAME.sub(lambda found: "" if _is_size(found[1]) else found[0], path), "&".join(kept)


def _is_size(number: str | None) -> bool:
    """Whether a single number in a file name is a width: a round number, as people choose them, and not a year.

    Other numbers are taken for photo numbers, such as `IMG_1234`.
    """
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
