"""What is sent for one request: pages, problems, and bodies with the request's conditions and range looked at."""

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
    """A whole page for a person: its status, its headers without Content-Length, its body."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


class Answer(NamedTuple):
    """What is sent for one request: a body in memory, or a span of a file, whose beginning may be there already.

    `start` and `length` are that span, in bytes. `headers` have Content-Length already, where the status allows it
    (RFC 9110, section 8.6).
    """

    status: int
    headers: Headers
    body: bytes = b""
    file: BodySource | None = None
    start: int = 0
    length: int = 0


def whole(status: int, headers: Headers, body: bytes) -> Answer:
    """A body that is in memory, all of it."""
    return Answer(status, (*headers, (b"content-length", b"%d" % len(body))), body, length=len(body))


def problem(status: int, code: str, message: str, *, as_html: bool, headers: Headers = ()) -> Answer:
    """An error in JSON, or as a small page for a person."""
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
    return whole(status, ((b"content-type", kind), (b"vary", b"Accept"), *SAFE, *headers), body)


def unavailable(asked: RequestFields) -> Answer:
    """What is held cannot be had now, since the object store gives no answer."""
    headers: Headers = ((b"retry-after", b"5"), (b"cache-control", b"no-store"), *SHARED)
    as_html = accept.prefers_html(accept.parse_accept(asked.accept or ""))
    message = "the object store gives no answer now: try again in a few seconds"
    return problem(503, "unavailable", message, as_html=as_html, headers=headers)


def redirect(location: str) -> Answer:
    """To a URL that is good for a short time (RFC 9110, section 15.4.8), so that nobody may keep it."""
    return whole(307, ((b"location", location.encode()), (b"cache-control", b"no-store"), *SHARED, *SAFE), b"")


def answer_with(body: Body, asked: RequestFields, more: Headers) -> Answer:
    """What a GET or HEAD of it gets, with its conditions and its range looked at.

    `more` is one of a few constants: what the way that led to it adds.
    """
    if asked.is_conditional:
        verdict = conditions.evaluate_preconditions(
            body.etag, if_match=asked.if_match, if_none_match=asked.if_none_match
        )
        if verdict is conditions.Precondition.NOT_MODIFIED:
            return Answer(304, (*_kept_in_304(body.headers), *more))
        if verdict is conditions.Precondition.FAILED:
            return problem(412, "precondition-failed", "If-Match names other bytes", as_html=False)
        if asked.is_get:
            try:
                span = conditions.parse_range(asked.range, asked.if_range, etag=body.etag, size=body.size)
            except ValueError as error:
                outside = ((b"content-range", str(error).encode()), *SHARED)
                return problem(416, "range", "the range lies outside of the file", as_html=False, headers=outside)
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
    """What a cache needs to bring its copy up to date (RFC 9110, section 15.4.5); the rest it has."""
    return tuple(pair for pair in headers if pair[0] not in {b"content-type", b"content-disposition"})
