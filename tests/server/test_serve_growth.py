"""Input from clients is parsed in linear time."""

from __future__ import annotations

import importlib
import itertools
import pkgutil
import re
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

import imgcache.server
from imgcache.server import accept, conditions, query
from imgcache.server.request_fields import MAX_FIELD, RequestFields
from tests.server.test_serve_security import A
from tests.support.served import ask, held, serving, write_manifest

SHORT, TIMES = 500, 8  # characters, and the factor for the long text; linear time is 8, quadratic 64
MOST = 24  # allowed factor of time

# For repeats that can be split in several ways, quotes and escapes that never end, and an end that does not fit.
UNITS = [
    *['"', '\\"', '"\\', 'a"', " ", "a", "0", ",", ";", ";a=", ';a="', "; ", "a/b;"],
    *["/", ":", "//", "%", "%2", '"",', "W/", "bytes="],
]
STARTS = ["", '"', "a/b", "a/b;q=", 'a/b;q="', "bytes=", "bytes=0", "assets/ab/", "https://", '":{"digest":"', "x"]
ENDS = ["", "!", '"', "\n", "\x00"]


def patterns() -> Iterator[tuple[str, re.Pattern[str] | re.Pattern[bytes]]]:
    """Yields every pattern of the endpoint, also of future modules."""
    for module in pkgutil.walk_packages(imgcache.server.__path__, "imgcache.server."):
        for name, value in vars(importlib.import_module(module.name)).items():
            if isinstance(value, re.Pattern):
                yield f"{module.name.removeprefix('imgcache.server.')}.{name}", value


def seconds(work: Callable[[], object], tries: int) -> float:
    """Returns the CPU time of the best try."""
    found = []
    for _ in range(tries):
        began = time.process_time()
        work()
        found.append(time.process_time() - began)
    return min(found)


def grows_in_step(work: Callable[[str], object], start: str, unit: str, end: str) -> bool:
    """Whether a text eight times as long takes at most 24 times the time. Times under 2 ms do not count."""

    def text(length: int) -> str:
        return start + unit * (length // len(unit)) + end

    long = text(SHORT * TIMES)
    if seconds(lambda: work(long), 1) < 0.002:
        return True
    short = text(SHORT)
    return seconds(lambda: work(long), 3) <= MOST * seconds(lambda: work(short), 3)


def slow(work: Callable[[str], object]) -> tuple[str, str, str] | None:
    """Returns the first start, unit and end of a text that takes too long, three times in a row on a busy machine."""
    for text in itertools.product(STARTS, UNITS, ENDS):
        if not any(grows_in_step(work, *text) for _ in range(3)):
            return text
    return None


SEARCHED = {
    "accept._MEMBER",
    "conditions._TAG",
    "query._BAD_ESCAPE",
    "manifest_lines._DIGEST",
}  # the others are not searched for


def every_way(name: str, pattern: re.Pattern[str] | re.Pattern[bytes]) -> Callable[[str], None]:
    def work(text: str) -> None:
        data = text.encode() if isinstance(pattern.pattern, bytes) else text
        pattern.match(data)  # type: ignore[arg-type]
        pattern.fullmatch(data)  # type: ignore[arg-type]
        if name in SEARCHED:
            pattern.findall(data)  # type: ignore[arg-type]

    return work


@pytest.mark.parametrize(
    ("name", "pattern"), list(patterns()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_no_pattern_backtracks(name: str, pattern: re.Pattern[str] | re.Pattern[bytes]) -> None:
    assert slow(every_way(name, pattern)) is None


READERS: dict[str, Callable[[str], object]] = {
    "Accept": accept.parse_accept,
    "Accept, weighed": lambda text: accept.quality(accept.parse_accept(text), "image/webp"),
    "Range": lambda text: conditions.parse_range(text, None, etag='"a"', size=10),
    "If-Range": lambda text: conditions.parse_range("bytes=0-", text, etag='"a"', size=10),
    "If-None-Match": lambda text: conditions.evaluate_preconditions('"a"', if_match=None, if_none_match=text),
    "If-Match": lambda text: conditions.evaluate_preconditions('"a"', if_match=text, if_none_match=None),
    "query": lambda text: query.parse(b"url=a&x=" + text.encode()),
    "hints": lambda text: RequestFields("GET", sec_ch_width=text, sec_ch_dpr=text).width(None),
}


@pytest.mark.parametrize("name", READERS)
def test_every_field_is_parsed_in_linear_time(name: str) -> None:
    def work(text: str) -> None:
        with suppress(ValueError):
            READERS[name](text)

    assert slow(work) is None


def test_many_fields_are_read_in_linear_time() -> None:
    def work(text: str) -> None:
        RequestFields.of("GET", [(b"accept", b""), (b"host", b"")] * len(text))

    assert any(grows_in_step(work, "", "a", "") for _ in range(3))


def test_a_field_of_more_than_a_kilobyte_counts_as_absent(tmp_path: Path) -> None:
    """RFC 9110: Accept may be disregarded (section 12.1) and Range ignored (14.2), and the client gets its image."""
    asset = held(tmp_path)
    write_manifest(tmp_path, {A: asset})
    path = f"/{asset.variants[1].path}"
    target = f"/image?w=300&url={A}"
    with serving(tmp_path) as port:
        plain, whole = ask(port, target), ask(port, path)
        for length in (MAX_FIELD, MAX_FIELD + 1, 60_000):
            is_read = length <= MAX_FIELD
            image = ask(port, target, accept="image/jpeg".ljust(length - 1) + ",")
            assert image.headers["content-type"] == ("image/jpeg" if is_read else plain.headers["content-type"])
            part = ask(port, path, range="bytes=1-2" + "," * (length - 9))
            assert (part.status, part.body) == (200, whole.body)
            part = ask(port, path, range="bytes=" + " " * (length - 9) + "1-2")
            assert part.status == (206 if is_read else 200)
