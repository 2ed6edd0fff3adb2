"""The pure parts of the audit: alternative URLs, counts by host, exposure, sorting."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgcache.auditor import alternative_urls as forms
from imgcache.auditor import exposure
from imgcache.auditor.finding_factory import places_finding, sorted_findings
from imgcache.auditor.host_counts import HostCounts
from imgcache.cache import HotlinkedUse
from imgcache.config import ReaderBudget
from imgcache.core import Asset, Place, ProbedImage, Severity, Size, Variant


@pytest.mark.parametrize(
    ("url", "others"),
    [
        ("https://x.example/a-300x200.jpg", ("https://x.example/a.jpg",)),
        ("https://x.example/a_640.jpg", ("https://x.example/a.jpg",)),
        ("https://x.example/a-1024w.webp", ("https://x.example/a.webp",)),
        ("https://x.example/a@2x.png", ("https://x.example/a.png",)),
        ("https://x.example/a.jpg?w=300&id=7", ("https://x.example/a.jpg?id=7",)),
        ("https://x.example/a.jpg?w=300#f", ("https://x.example/a.jpg#f",)),
        (
            "https://x.example/a-300x200.jpg?w=300",
            ("https://x.example/a-300x200.jpg", "https://x.example/a.jpg?w=300"),
        ),
        ("https://x.example/summer-2020.jpg", ()),  # a year
        ("https://x.example/IMG_1234.jpg", ()),  # a number
        ("https://x.example/a.jpg?id=7", ()),
        ("https://x.example/", ()),
    ],
)
def test_urls_without_their_size(url: str, others: tuple[str, ...]) -> None:
    assert forms.without_size(url) == others


def test_urls_that_differ_only_in_size_and_scheme_share_their_stem() -> None:
    same = ("https://x.example/a.jpg", "http://x.example/a-300x200.jpg?w=9", "https://x.example/a_640.jpg#top")
    assert len({forms.stem(url) for url in same}) == 1
    others = ("https://x.example/b.jpg", "https://y.example/a.jpg", "https://x.example/a.jpg?id=1")
    assert len({forms.stem(url) for url in (*same, *others)}) == 4


@given(st.text(alphabet="abx0123456789-_@?&=#/.w:h", max_size=40))
def test_alternative_urls_differ_from_the_url_and_are_few(text: str) -> None:
    url = f"https://x.example/{text}"
    found = forms.without_size(url)
    assert url not in found
    assert len(set(found)) == len(found) <= forms.MAX_ALTERNATIVES
    assert {forms.stem(form) for form in found} <= {forms.stem(url)} | {forms.stem(form) for form in found}


@pytest.mark.parametrize(
    ("url", "secure"),
    [
        ("http://x.example/a", "https://x.example/a"),
        ("HTTP://x.example?a", "https://x.example?a"),
        ("http://x.example:8080/a", None),
        ("http://user:pw@x.example/a", None),
        ("https://x.example/a", None),
        ("//x.example/a", None),
    ],
)
def test_the_https_form(url: str, secure: str | None) -> None:
    assert forms.secure(url) == secure


def look(seconds: float, *, side: int = 4, cookies: tuple[str, ...] = ()) -> ProbedImage:
    return ProbedImage("jpeg", "image/jpeg", Size(side, side), 100, 100, "", cookies=cookies, seconds=seconds)


def test_a_host_is_counted_and_its_median_rounded_up() -> None:
    tally = HostCounts()
    for seconds in (0.11, 0.12, 9.0):
        tally.add_answer("a", look(seconds, cookies=("id",)))
    tally.add_answer("b", look(0.01, side=1, cookies=("id",)))
    tally.add_failure("b")
    tally.add_failure("c")
    a, b, c = tally.lines()
    assert (a.images, a.answered, a.median, a.bytes, a.cookies) == (3, 3, 0.2, 300, ("id",))
    assert (b.images, b.answered, b.median, b.trackers) == (2, 1, 0.1, 1)
    assert (c.images, c.answered, c.median) == (1, 0, None)
    assert (tally.cookies, tally.trackers) == (2, 1)


def use(
    article: str, image: int, *, hot: bool = True, total: int | None = 100, best: int | None = None
) -> HotlinkedUse:
    return HotlinkedUse(article, image, f"h{image}.example", hot, total, best and best * 3, best)


def test_exposure_counts_an_image_once_in_total_and_once_in_each_article() -> None:
    uses = [use("a.md", 1), use("a.md", 2, best=10), use("b.md", 1), use("c.md", 3, hot=False)]
    found = exposure.measure_exposure(uses, {1: frozenset({"cdn.example"})}, HostCounts())
    assert (found.hosts, found.now, found.cached) == (3, 200, 110)
    assert [(line.article, line.hosts, line.now, line.cached) for line in found.articles] == [
        ("a.md", ("cdn.example", "h1.example", "h2.example"), 200, None),
        ("b.md", ("cdn.example", "h1.example"), 100, None),
    ]


def test_without_a_probe_the_bytes_are_those_of_the_copy() -> None:
    found = exposure.measure_exposure(
        [use("a.md", 1, total=None, best=10), use("a.md", 2, total=None)], {}, HostCounts()
    )
    assert (found.now, found.cached) == (30, 10)


def test_a_reader_budget_allows_exactly_its_limits() -> None:
    exposed = exposure.measure_exposure([use("a.md", 1), use("a.md", 2)], {}, HostCounts())
    rules = {
        (hosts, count): [found.rule for found in exposure.over_budget(exposed, ReaderBudget(hosts, count))]
        for hosts, count in itertools.product((1, 2, None), (199, 200, None))
    }
    assert rules[2, 200] == rules[None, None] == []
    assert rules[1, 200] == ["budget-hosts"]
    assert rules[2, 199] == ["budget-bytes"]
    assert rules[1, 199] == ["budget-hosts", "budget-bytes"]


@pytest.mark.parametrize(
    ("variants", "best"),
    [
        ([(320, 10), (640, 20), (1280, 40)], 20),
        ([(320, 10), (1280, 40)], 10),
        ([(640, 30), (640, 20)], 20),
        ([(640, 90)], 80),  # larger than the original
        ([], 80),
    ],
)
def test_the_best_variant_is_the_nearest_to_the_width_of_a_text_column(
    variants: list[tuple[int, int]], best: int
) -> None:
    made = tuple(Variant("v", width, 1, "webp", count, "p", "r", "d") for width, count in variants)
    asset = Asset("d", "image/jpeg", "jpeg", 2000, 1000, 1, 80, "#000000", "", "o", made, ())
    assert exposure.best_bytes(asset) == best


@given(st.permutations(range(6)))
def test_sorting_does_not_depend_on_the_input_order(order: list[int]) -> None:
    places = [Place(f"{number}.md", 1, 1, "images") for number in range(3)]
    found = [
        places_finding(places[:count], rule, severity, "m", "r")
        for count, rule, severity in (
            (1, "b", Severity.ERROR),
            (1, "a", Severity.WARNING),
            (3, "z", Severity.NOTE),
            (2, "a", Severity.ERROR),
            (1, "a", Severity.ERROR),
            (0, "no-network", Severity.ERROR),
        )
    ]
    sorted_ = sorted_findings([found[number] for number in order])
    assert [(one.articles, one.rule, one.severity.value) for one in sorted_] == [
        (3, "z", "note"),
        (2, "a", "error"),
        (1, "a", "error"),
        (1, "b", "error"),
        (1, "a", "warning"),
        (0, "no-network", "error"),
    ]
