"""Finds the URL that a misspelt one may have meant."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from imgcache.core import host_if_any, redact

_COMPARED = 20_000  # known URLs with which a misspelt one is compared


def nearest_url(url: str, known: Iterable[str]) -> str | None:
    """Returns the most similar known URL, of the same host if there is one: comparing takes time."""
    every = set(known)
    of_host = [other for other in every if host_if_any(other) == host_if_any(url)]
    found = get_close_matches(url, sorted(of_host or every)[:_COMPARED], n=1)
    return found[0] if found else None


def unknown_url(url: str, nearest: str | None) -> str:
    """Returns the message for a URL that neither the cache nor an article has."""
    hint = f"; the nearest known URL is {redact(nearest, 500)}" if nearest else ""
    return f"neither the cache nor an article has {redact(url, 500)}{hint}"
