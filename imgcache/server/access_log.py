"""One line a request on standard error, as text or as JSON, with nothing in it that a terminal would obey."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple

from imgcache.core import clean_text
from imgcache.core import log_safety as logsafe

_LONGEST = 2000


class Request(NamedTuple):
    """What is said of one request. Time in seconds since the epoch, duration in seconds to the end of the answer."""

    time: float
    client: str
    method: str
    target: bytes
    status: int
    bytes: int
    seconds: float


def _write(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def _as_text(request: Request) -> str:
    when = datetime.fromtimestamp(request.time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    milliseconds = f"{request.seconds * 1000:.1f}ms"
    method, target = clean_text(request.method, 20), clean_text(request.target.decode("latin-1"), _LONGEST)
    return logsafe.plain(f"{when} {request.client} {method} {target} {request.status} {request.bytes} {milliseconds}")


def _as_json(request: Request) -> str:
    line = request._asdict() | {"target": clean_text(request.target.decode("latin-1"), _LONGEST)}
    line |= {"method": clean_text(request.method, 20), "seconds": round(request.seconds, 6)}
    return logsafe.json(json.dumps(line, ensure_ascii=True))


def access_log(form: str) -> Callable[[Request], None] | None:
    """The writer for `text` or `json`; None for `off`."""
    if form == "off":
        return None
    render = _as_json if form == "json" else _as_text
    return lambda request: _write(render(request))
