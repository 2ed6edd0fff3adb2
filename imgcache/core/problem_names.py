"""Names problems in a few words, for people who do not know their codes. Pure."""

from __future__ import annotations

_NAMES = {
    "article-changed": "Article changed",
    "article-unreadable": "Unreadable article",
    "bad-scheme": "Not a web address",
    "bad-url": "Invalid address",
    "blocked-address": "Private address",
    "budget": "Not tried yet",
    "connect": "No connection",
    "copy-without-flag": "Flag missing",
    "decoder-crash": "Crashes its decoder",
    "decoder-timeout": "Too slow to decode",
    "dimensions": "Another size",
    "disk-full": "Disk full",
    "dns": "Host not found",
    "flag-without-copy": "Flag without copy",
    "host-down": "Host down",
    "internal": "Fault of imgcache",
    "missing-file": "File missing",
    "not-an-image": "Not an image",
    "placeholder": "Stand-in picture",
    "quarantined": "Changed picture",
    "redirects": "Redirects lead nowhere",
    "robots": "Forbidden by robots.txt",
    "timeout": "Too slow",
    "tls": "Invalid certificate",
    "too-large": "Too large",
    "too-many-frames": "Too many frames",
    "too-many-pixels": "Too many pixels",
    "truncated": "Incomplete",
    "undecodable": "Damaged",
    "unsupported-format": "Unknown format",
}
_STATUSES = {401: "Not public", 403: "Forbidden", 404: "Not found", 410: "Gone", 429: "Busy", 503: "Busy"}


def problem_name(code: str, status: int | None = None) -> str:
    """Returns a name of a problem, such as `Not found (404)`.

    Args:
        code: of the problem.
        status: of the response, for `http-status`.
    """
    if code == "http-status" and status:
        return f"{_STATUSES.get(status, 'Server error' if status >= 500 else 'Refused')} ({status})"
    return _NAMES.get(code) or ("Error response" if code == "http-status" else code.replace("-", " ").capitalize())
