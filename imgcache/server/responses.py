"""Builds the answer to one request: pages, errors, and files under the request's conditions and range."""

from __future__ import annotations

import html
from http import HTTPStatus
from typing import NamedTuple

import msgspec

from imgcache.core import clean_text
from imgcache.server import accept, conditions
from imgcache.server.bodies import SAFE, SHARED, Body, BodySource, Headers
from imgcache.server.request_fields import RequestFields


class Page(NamedTuple):
    """An HTML page, style sheet or script: status, headers without Content-Length, body."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


class Answer(NamedTuple):
    """The answer to one request: a body in memory, or a part of a file.

    Attributes:
        status: of HTTP.
        headers: with Content-Length, where the status allows it (RFC 9110, section 8.6).
        body: all of it, or the first piece of the part of `file`.
        file: the source of a body that is not in memory.
        start: of that part, in bytes.
        length: of that part, in bytes.
    """

    status: int
    headers: Headers
    body: bytes = b""
    file: BodySource | None = None
    start: int = 0
    length: int = 0


def full(status: int, headers: Headers, body: bytes) -> Answer:
    """Returns an answer with a body in memory."""
    return Answer(status, (*headers, (b"content-length", b"%d" % len(body))), body, length=len(body))


def problem(status: int, code: str, message: str, *, as_html: bool, headers: Headers = ()) -> Answer:
    """Returns an error as JSON, or as a small HTML page."""
    if as_html:
        kind = b"text/html; charset=utf-8"
        title = f"{status} {HTTPStatus(status).phrase}"
        body = (
            f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
            f"<title>{title}</title><h1>{title}</h1><p>{html.escape(clean_text(message, 500))}</p></html>\n"
        ).encode()
    else:
        kind = b"application/json"
        body = msgspec.json.encode({"error": code, "status": status, "message": clean_text(message, 500)}) + b"\n"
    return full(status, ((b"content-type", kind), (b"vary", b"Accept"), *SAFE, *headers), body)


def unavailable(fields: RequestFields) -> Answer:
    """Returns 503: the object store does not answer."""
    headers: Headers = ((b"retry-after", b"5"), (b"cache-control", b"no-store"), *SHARED)
    as_html = accept.prefers_html(accept.parse_accept(fields.accept or ""))
    message = "the object store does not answer now: try again in a few seconds"
    return problem(503, "unavailable", message, as_html=as_html, headers=headers)


def redirect(location: str) -> Answer:
    """Returns a redirect (RFC 9110, section 15.4.8) to a URL that expires soon, so that caches must not store it."""
    return full(307, ((b"location", location.encode()), (b"cache-control", b"no-store"), *SHARED, *SAFE), b"")


def answer_with(body: Body, fields: RequestFields, more: Headers) -> Answer:
    """Returns the answer to a GET or HEAD of a body, under the request's conditions and range.

    `more` has the headers of the route, one of a few constants.
    """
    if fields.is_conditional:
        verdict = conditions.evaluate_preconditions(
            body.etag, if_match=fields.if_match, if_none_match=fields.if_none_match
        )
        if verdict is conditions.Precondition.NOT_MODIFIED:
            return Answer(304, (*_kept_in_304(body.headers), *more))
        if verdict is conditions.Precondition.FAILED:
            return problem(412, "precondition-failed", "the file is not the one that If-Match names", as_html=False)
        if fields.is_get:
            try:
                span = conditions.parse_range(fields.range, fields.if_range, etag=body.etag, size=body.size)
            except ValueError as error:
                outside = ((b"content-range", str(error).encode()), *SHARED)
                return problem(416, "range", "the range is outside the file", as_html=False, headers=outside)
            if span is not None:
                return _part(body, *span, more)
    return Answer(200, body.headers_with(more), body.data or b"", body.file, 0, body.size)


def _part(body: Body, start: int, end: int, more: Headers) -> Answer:
    headers = (
        *body.headers,
        (b"content-length", b"%d" % (end - start)),
        (b"content-range", b"bytes %d-%d/%d" % (start, end - 1, body.size)),
        *more,
    )
    data = body.data[start:end] if body.data is not None else b""
    return Answer(206, headers, data, body.file, start, end - start)


def _kept_in_304(headers: Headers) -> Headers:
    """Returns the headers with which a cache updates its copy (RFC 9110, section 15.4.5)."""
    return tuple(pair for pair in headers if pair[0] not in {b"content-type", b"content-disposition"})
