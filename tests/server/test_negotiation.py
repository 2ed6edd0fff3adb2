"""Which file a client gets: Accept, width and format, as tables and as properties."""

from __future__ import annotations

import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from imgcache.server import accept, conditions, query
from imgcache.server.negotiation import SHOWN, Candidate, choose
from imgcache.server.placeholder import gif
from imgcache.server.request_fields import RequestFields

CHROME = "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"
FIREFOX = "image/avif,image/webp,image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5"
HELD = (
    Candidate("jpeg", 1600, 900_000, "original", True),
    Candidate("jpeg", 320, 20_000, "thumb", False),
    Candidate("webp", 320, 15_000, "w320", False),
    Candidate("webp", 640, 40_000, "w640", False),
    Candidate("webp", 1280, 90_000, "w1280", False),
)


@pytest.mark.parametrize(
    ("field", "media_type", "expected"),
    [
        ("", "image/webp", 1.0),  # RFC 9110, 12.5.1: absent is anything
        ("image/webp", "image/webp", 1.0),
        ("image/webp", "image/jpeg", 0.0),
        ("image/*", "image/jpeg", 1.0),
        ("*/*;q=0.1", "image/jpeg", 0.1),
        ("image/*;q=0.5, image/webp;q=0.2, */*", "image/webp", 0.2),  # the most specific counts, not the largest
        ("image/*;q=0.5, image/webp;q=0.2, */*", "image/jpeg", 0.5),
        ("image/*;q=0.5, image/webp;q=0.2, */*", "text/html", 1.0),
        ("image/webp;q=0, */*", "image/webp", 0.0),  # 12.4.2: 0 is "not acceptable"
        ("IMAGE/WebP ; Q=0.3", "image/webp", 0.3),  # 8.3.1: types and names are case-insensitive
        ("image/webp;q=1.5", "image/jpeg", 1.0),  # an invalid weight (12.4.2): ignored, and nothing is left
        ("image/webp;q=0.1234, image/png", "image/webp", 0.0),
        ("image/webp;level=1, image/png;q=0.4", "image/webp", 0.0),  # another type than ours
        ('text/html;a="x,image/webp", image/png;q=0.4', "image/webp", 0.0),  # 5.6.4: a comma in quotes is none
        (", ,image/png,,", "image/png", 1.0),  # 5.6.1: empty members
        ("nonsense", "image/png", 1.0),
    ],
)
def test_accept(field: str, media_type: str, expected: float) -> None:
    assert accept.quality(accept.parse_accept(field), media_type) == expected


@pytest.mark.parametrize(
    ("field", "html"),
    [("", False), ("*/*", False), (CHROME, False), ("text/html,application/xhtml+xml,*/*;q=0.8", True)],
)
def test_browsers_get_html_errors(field: str, html: bool) -> None:
    assert accept.prefers_html(accept.parse_accept(field)) is html


@pytest.mark.parametrize(
    ("field", "width", "form", "expected"),
    [
        (CHROME, None, None, "w1280"),
        (FIREFOX, None, None, "w1280"),
        ("", None, None, "w1280"),
        ("image/jpeg", None, None, "original"),
        ("image/webp", None, None, "w1280"),
        (CHROME, 1, None, "w320"),
        (CHROME, 320, None, "w320"),
        (CHROME, 321, None, "w640"),
        (CHROME, 1281, None, "original"),  # the original is a candidate too
        (CHROME, 5000, None, "original"),
        ("image/webp", 5000, None, "w1280"),
        ("image/jpeg", 200, None, "thumb"),
        ("image/webp;q=0, */*", 640, None, "original"),
        ("image/jpeg, image/webp;q=0.5", 640, None, "original"),
        ("image/jpeg;q=0.5, image/webp", 640, None, "w640"),
        ("image/webp, image/jpeg;q=0.5", 1500, None, "original"),  # width comes before preference
        ("image/avif", 640, None, "w640"),  # no such file: Accept is ignored
        ("image/jpeg", 640, "webp", "w640"),  # a format in the query overrides Accept
        ("", 10, "jpeg", "thumb"),
        ("", 10, "original", "original"),
        ("", 10, "png", None),
    ],
)
def test_choice(field: str, width: int | None, form: str | None, expected: str | None) -> None:
    choice = choose(HELD, width=width, format=form, accept=accept.parse_accept(field))
    assert (choice.path if choice else None) == expected
    assert choice is None or choice.depends_on_accept is (form is None)


@pytest.mark.parametrize(
    ("field", "width", "expected"),
    [
        (CHROME, 640, "w640-avif"),
        (FIREFOX, 321, "w640-avif"),
        ("", 640, "w640-avif"),
        ("image/webp,*/*;q=0.8", 640, "w640"),  # it prefers WebP
        ("image/avif;q=0.9, image/webp", 640, "w640"),
        ("image/avif;q=0, image/*", 640, "w640"),
        ("image/jpeg", 200, "thumb"),
        (CHROME, 320, "w320"),  # the narrowest sufficient one, which exists as WebP only
        (CHROME, None, "w1280-avif"),
    ],
)
def test_avif_comes_first_among_equally_preferred_formats(field: str, width: int | None, expected: str) -> None:
    avif = [Candidate("avif", one, 99_000, f"w{one}-avif", False) for one in (640, 1280)]
    for held in ([*HELD, *avif], [*avif, *HELD]):
        choice = choose(held, width=width, format=None, accept=accept.parse_accept(field))
        assert choice == (expected, True)


def test_formats_that_browsers_do_not_show_are_never_chosen() -> None:
    held = (Candidate("tiff", 1600, 9, "original", True), *HELD[2:4])
    assert [choose(held, width=9999, format=form, accept=()) for form in (None, "original")] == [("w640", False), None]
    assert choose(held[:1], width=None, format=None, accept=()) is None


def test_one_format_does_not_depend_on_accept() -> None:
    choice = choose(HELD[2:], width=10, format=None, accept=accept.parse_accept("image/jpeg"))
    assert choice == ("w320", False)


candidates = st.lists(
    st.builds(Candidate, st.sampled_from([*SHOWN, "tiff"]), st.integers(1, 99), st.integers(1, 9), st.uuids().map(str),
              st.booleans(), frames=st.just(1)), max_size=6)  # fmt: skip
fields = st.lists(
    st.tuples(st.sampled_from(["image/webp", "image/jpeg", "image/*", "*/*", "image/png"]),
              st.sampled_from(["", ";q=0", ";q=0.5", ";q=1"])).map("".join)).map(",".join)  # fmt: skip


@given(candidates, fields, st.none() | st.integers(1, 120))
def test_any_choice_follows_the_rules(held: list[Candidate], field: str, width: int | None) -> None:
    ranges = accept.parse_accept(field)
    choice = choose(held, width=width, format=None, accept=ranges)
    shown = [one for one in held if one.format in SHOWN]
    assert (choice is None) is (not shown)
    if choice is None:
        return
    best = next(one for one in held if one.path == choice.path)
    wanted = [one for one in shown if accept.quality(ranges, f"image/{one.format}") > 0]
    assert best in (wanted or shown)
    if width is not None and any(one.width >= width for one in wanted or shown):
        assert best.width >= width


@given(st.text() | fields)
def test_any_accept_can_be_read(field: str) -> None:
    assert 0 <= accept.quality(accept.parse_accept(field), "image/webp") <= 1


@given(st.binary(), st.binary())
def test_any_query_is_parsed_or_refused_with_a_message(url: bytes, rest: bytes) -> None:
    try:
        found = query.parse(b"url=" + url + b"&" + rest)
    except ValueError as error:
        assert str(error)
    else:
        assert found.url


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "`url` is missing"),
        (b"url=", "`url` is missing"),
        (b"url=a&url=a", "`url` is given twice"),
        (b"url=a&%75rl=b", "`url` is given twice"),
        (b"url=a&w=1&w=1", "`w` is given twice"),
        (b"url=%f", "the query has a % without two"),
        (b"url=%ff", "the query is not valid UTF-8"),
        (b"url=a&w=0", "`w` must be a whole number of pixels"),
        (b"url=a&w=", "`w` must be a whole number of pixels"),
        (b"url=a&format=svg", "`format` must be one of avif, jpeg, original, png, webp"),
    ],
)
def test_invalid_queries_are_refused(text: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        query.parse(text)


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("bytes=0-0", (0, 1)),
        ("bytes=2-", (2, 10)),
        ("bytes=-3", (7, 10)),  # RFC 9110, 14.1.2: a suffix
        ("bytes=-30", (0, 10)),
        ("bytes=5-99", (5, 10)),
        ("Bytes=1-2", (1, 3)),  # 14.1: units are case-insensitive
        ("bytes=3-2", None),  # 14.1.1: invalid, ignored
        ("bytes=-", None),
        ("bytes=0-1,4-5", None),  # 14.2: the whole file may be sent for several ranges
        ("items=0-1", None),
        ("bytes=x-y", None),
        ("bytes=٣-٤", None),
        (None, None),
    ],
)
def test_range(field: str | None, expected: tuple[int, int] | None) -> None:
    assert conditions.parse_range(field, None, etag='"a"', size=10) == expected


@pytest.mark.parametrize("field", ["bytes=10-", "bytes=-0", "bytes=99-100"])
def test_a_range_outside_the_file_is_refused(field: str) -> None:
    with pytest.raises(ValueError, match=r"bytes \*/10"):
        conditions.parse_range(field, None, etag='"a"', size=10)


@pytest.mark.parametrize(("tag", "matches"), [('"a"', True), ('W/"a"', False), ('"b"', False), ("Mon, 1 Jan", False)])
def test_if_range_is_compared_strongly(tag: str, matches: bool) -> None:
    assert (conditions.parse_range("bytes=1-2", tag, etag='"a"', size=10) is not None) is matches


@given(st.text(alphabet="bytes=-,0123456789 ", max_size=20), st.integers(1, 100))
def test_a_range_lies_within_the_file(field: str, size: int) -> None:
    try:
        found = conditions.parse_range(field, None, etag='"a"', size=size)
    except ValueError:
        return
    assert found is None or 0 <= found[0] < found[1] <= size


@pytest.mark.parametrize(
    ("hint", "ratio", "named", "expected"),
    [("640", None, None, 640), (None, "2", None, None), (None, "2.5", 100, 250), ("640", "1", 100, 100),
     (None, "99", 100, 800), ("0", None, None, None), ("x", "y", 5, 5)],
)  # fmt: skip
def test_client_hints(hint: str | None, ratio: str | None, named: int | None, expected: int | None) -> None:
    assert RequestFields("GET", sec_ch_width=hint, sec_ch_dpr=ratio).width(named) == expected


@given(st.integers(1, 4096), st.integers(1, 4096))
def test_a_placeholder_is_a_valid_image_of_its_size(width: int, height: int) -> None:
    data = gif(width, height)
    with Image.open(io.BytesIO(data)) as image:
        assert image.size == (width, height)
        if width * height < 10_000:
            image.load()
            assert image.convert("RGBA").getpixel((width - 1, height - 1)) == (0, 0, 0, 0)
    assert len(data) == 43


def test_a_huge_placeholder_is_scaled_down() -> None:
    with Image.open(io.BytesIO(gif(50_000, 25_000))) as image:
        assert image.size == (4096, 2048)
