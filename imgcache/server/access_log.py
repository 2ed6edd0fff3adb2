"""Writes one line per request to standard error, as text or JSON, without control characters."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple

from imgcache.core import clean_text
from imgcache.core import log_safety as logsafe

_MAX_TARGET = 2000


class Request(NamedTuple):
    """One request. `time`: seconds since the epoch; `seconds`: to the end of the response; `bytes`: of its body."""

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
    method, target = clean_text(request.method, 20), clean_text(request.target.decode("latin-1"), _MAX_TARGET)
    return logsafe.safe_text(
        f"{when} {request.client} {method} {target} {request.status} {request.bytes} {milliseconds}"
    )


def _as_json(request: Request) -> str:
    line = request._asdict() | {"target": clean_text(request.target.decode("latin-1"), _MAX_TARGET)}
    line |= {"method": clean_text(request.method, 20), "seconds": round(request.seconds, 6)}
    return logsafe.safe_json(json.dumps(line, ensure_ascii=True))


def access_log(form: str) -> Callable[[Request], None] | None:
    """Returns the function that logs a request, for `text` or `json`; None for `off`."""
    if form == "off":
        return None
    render = _as_json if form == "json" else _as_text
    return lambda request: _write(render(request))
