"""Whether to retry, and when."""

from __future__ import annotations

import email.utils
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgcache.core import BadUrl, ConnectFailure, DiskFull, FetchTimeout, HostDown, HttpStatus, TlsFailure, Truncated
from imgcache.downloader.http.retry import MOST, delay, retry_after

NOW = 784_111_777.0  # Sun, 06 Nov 1994 08:49:37 GMT, the date of RFC 9110


@given(st.integers(1, 50), st.integers())
def test_the_wait_grows_within_its_bounds(attempt: int, seed: int) -> None:
    wait = delay(attempt, FetchTimeout("slow"), retries=50, rng=random.Random(seed))
    ceiling = min(30.0, 0.5 * 2 ** (attempt - 1))
    assert wait is not None
    assert ceiling / 2 <= wait <= ceiling


def test_two_urls_wait_for_different_times() -> None:
    waits = {delay(1, Truncated("short"), retries=1, rng=random.Random(seed)) for seed in range(20)}
    assert len(waits) == 20


@pytest.mark.parametrize("error", [BadUrl("x"), TlsFailure("x"), HostDown("x"), DiskFull("x")])
def test_a_permanent_error_is_not_retried(error: BadUrl) -> None:
    assert delay(1, error, retries=3, rng=random.Random(0)) is None


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 599])
def test_a_temporary_status_is_retried(status: int) -> None:
    assert delay(1, HttpStatus("x", status), retries=1, rng=random.Random(0)) is not None


@pytest.mark.parametrize("status", [204, 206, 304, 400, 401, 403, 404, 410, 418, 451])
def test_a_permanent_status_is_not_retried(status: int) -> None:
    assert delay(1, HttpStatus("x", status), retries=1, rng=random.Random(0)) is None


@given(st.integers(0, 5))
def test_there_are_as_many_retries_as_allowed(retries: int) -> None:
    asked = [delay(n, ConnectFailure("x"), retries=retries, rng=random.Random(0)) for n in range(1, 9)]
    assert [wait is not None for wait in asked] == [n <= retries for n in range(1, 9)]


@given(st.floats(0, 60), st.integers())
def test_no_retry_comes_before_retry_after(asked: float, seed: int) -> None:
    wait = delay(1, HttpStatus("x", 429, retry_after=asked), retries=1, rng=random.Random(seed))
    assert wait is not None
    assert asked <= wait <= asked + 0.5


def test_a_retry_after_of_an_hour_ends_the_retries() -> None:
    assert delay(1, HttpStatus("x", 503, retry_after=3600.0), retries=3, rng=random.Random(0)) is None


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("-1", None),
        ("1.5", None),
        ("١", None),
        ("0", 0.0),
        (" 120 ", 120.0),
        ("9" * 5000, 999_999_999_999.0),
        ("Sun, 06 Nov 1994 08:50:37 GMT", 60.0),
        ("Sunday, 06-Nov-94 08:50:37 GMT", 60.0),
        ("Sun Nov  6 08:50:37 1994", 60.0),
        ("Sun, 06 Nov 1994 08:48:37 GMT", 0.0),
        ("Sun, 99 Nov 1994 08:48:37 GMT", None),
        ("Mon, 01 Jan 2024 00:00:00 +99999999999999999", None),
        ("99999999999999999999:00:00 GMT", None),
        ("Sun, 06 Nov 1994 99999999999999999999:00:00 GMT", None),
        ("Sun, 06 Nov 1994 08:50:37 +0200", None),
        ("Sun, 06 Nov 1994 08:50:37 +0000", 60.0),
        ("Sun, 06 Nov 1994 08:50:60 GMT", 82.0),
        ("Sunday, 06-Nov-44 08:49:37 GMT", 50 * 365.25 * 86_400 + 43_200),
        ("Sunday, 06-Nov-45 08:49:37 GMT", 0.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 253_402_300_799 - NOW),
        ("Sun, 06 \u017fep 1994 08:50:37 GMT", None),
        ("0" * 20 + "7", 7.0),
    ],
)
def test_retry_after_is_parsed_in_all_its_forms(value: str | None, seconds: float | None) -> None:
    assert retry_after(value, NOW) == seconds


@given(st.integers(0, 4_000_000_000), st.integers(0, 4_000_000_000))
def test_a_date_is_relative_to_the_given_clock(now: int, when: int) -> None:
    assert retry_after(email.utils.formatdate(when, usegmt=True), float(now)) == max(0, when - now)


_number = st.one_of(st.integers(-1, 100).map(str), st.integers(0, 10**30).map(str), st.just("08"), st.just("1994"))
_piece = st.one_of(
    _number,
    st.sampled_from(["Sun", "Sunday", "Nov", "GMT", "UTC", "EST", "Z", "+", "-", ":", ",", ", ", " ", "  "]),
    st.builds("{}{}".format, st.sampled_from("+-"), _number),
    st.builds("{}:{}:{}".format, _number, _number, _number),
    st.text(max_size=3),
)
_like_a_date = st.one_of(
    st.lists(_piece, max_size=10).map("".join),
    st.builds("Sun, {} Nov {} {}:{}:{} {}".format, *[_number] * 5, _piece),
    st.builds("Sunday, {}-Nov-{} {}:{}:{} {}".format, *[_number] * 5, _piece),
    st.builds("Sun Nov {} {}:{}:{} {}".format, *[_number] * 5),
)


@settings(max_examples=500)
@given(st.one_of(st.text(max_size=40), _like_a_date), st.floats(0, 4e9))
def test_no_retry_after_value_raises(value: str, now: float) -> None:
    seconds = retry_after(value, now)
    assert seconds is None or 0 <= seconds <= MOST
