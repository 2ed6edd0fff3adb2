"""The time that reading an article takes grows in proportion to its length, whatever stands in it.

CPU time is compared with CPU time of the same run, so a busy machine changes nothing. Cycles are not collected
meanwhile: their collector looks at all that is in memory while that grows, and commands collect seldom.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import importlib
import itertools
import pkgutil
import re
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from imgcache.core import ArticleError
from imgcache.scanner import extract as reader
from imgcache.scanner import extract_references, frontmatter, generators, markup, site

SIZES = (10_000, 100_000, 1_000_000)
# Whole readers build trees of about 100 times the text: those of 1 MB leave the caches of the processor, which alone
# makes a linear reader take 15 times as long as for 100 KB.
READER_SIZES = (3_000, 30_000, 300_000)
ALLOWED = 12  # times the time for ten times the length; quadratic is 100 times
FLOOR = 0.004  # seconds of CPU: less than this says nothing
SUSPECT = 0.004  # seconds: a pattern tried anew at each of 10,000 characters takes longer for 10 KB
# A reader that took no longer for 30 KB is tried with 300 KB too: what is quadratic shows at one step or the other.
QUICK = 0.03

# Beginnings that lead into a pattern, and what is repeated after them.
STARTS = ["", "<p><img src=x>", '<img src="', "{% imgcache ", "[x", "a: "]
UNITS = [
    "\n", " ", "\t", "\r\n", "\r", "a", "\u2028", "1", "&#1", "&amp", "<", "<a ", "</a", "<!--", "-", "<img ", "<p>",
    "<script>", 'a="b" ', "a=", '"', "'", "=", ">", "/", ",", "x 1x, ", "(", "![", "](x)", "[", "\\", "[x]: u\n",
    "{% ", "{% comment %}", "{% raw %}", "{{", "%}", "images:\n", "- url: x\n", "a: b\n", "#\n", "---\n", "*a, ",
]  # fmt: skip


def cost(work: Callable[[], object], tries: int) -> float:
    """The least seconds of CPU that it takes."""
    seconds = []
    for _ in range(tries):
        gc.collect()
        gc.disable()
        began = time.process_time()
        work()
        seconds.append(time.process_time() - began)
        gc.enable()
    return min(seconds)


def grows_too_fast(small: Callable[[], object], large: Callable[[], object], before: float, after: float) -> bool:
    """Whether ten times the length takes more than `ALLOWED` times the time.

    A suspicion is measured again, the small text ten times in a row: both then run for about as long, so that a busy
    machine slows down both alike. It has to show in each of six rounds.
    """
    if after <= ALLOWED * max(before, FLOOR):
        return False

    def ten_small() -> None:
        for _ in range(10):
            small()

    return all(cost(large, 1) > ALLOWED / 10 * max(cost(ten_small, 1), 10 * FLOOR) for _ in range(6))


# --- every pattern ---------------------------------------------------------------------------------------------------


class Use(NamedTuple):
    """One way in which the code applies one pattern."""

    name: str
    pattern: re.Pattern[str] | re.Pattern[bytes]
    method: str

    def apply(self, text: str) -> object:
        subject = text.encode() if isinstance(self.pattern.pattern, bytes) else text
        if self.method in {"match", "fullmatch"}:
            return getattr(self.pattern, self.method)(subject)
        return deque(self.pattern.finditer(subject), maxlen=0)  # type: ignore[arg-type]


def uses() -> Iterator[Use]:
    modules = [reader, site]
    for package in (frontmatter, generators, markup):
        names = [found.name for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")]
        modules += [package, *map(importlib.import_module, names)]
    for module in modules:
        source = Path(str(module.__file__)).read_text()
        for name, pattern in vars(module).items():
            if isinstance(pattern, re.Pattern):
                ways = set(re.findall(rf"\b{name}\.(search|match|fullmatch|finditer|findall|sub|split)\(", source))
                methods = {way if "match" in way else "search" for way in ways}
                yield from (Use(f"{module.__name__}.{name}", pattern, method) for method in sorted(methods))


PATTERNS = sorted({(use.name, use.method): use for use in uses()}.values(), key=lambda use: (use.name, use.method))


def test_all_patterns_are_seen() -> None:
    assert len(PATTERNS) > 50
    assert {"imgcache.scanner.markup.html._TO_IMAGE", "imgcache.scanner.frontmatter.plain_sections._PLAIN"} <= {
        u.name for u in PATTERNS
    }


@pytest.mark.parametrize("use", PATTERNS, ids=lambda use: f"{use.name.removeprefix('imgcache.')}.{use.method}")
def test_every_pattern_takes_time_in_proportion(use: Use) -> None:
    slow = []
    for start, unit in itertools.product(STARTS, UNITS):
        texts = [start + unit * (size // len(unit)) for size in SIZES]
        works = [functools.partial(use.apply, text) for text in texts]
        before = cost_once(works[0])
        if before < SUSPECT:
            continue
        for small, large in itertools.pairwise(works):
            after = cost_once(large)
            if grows_too_fast(small, large, before, after):
                slow.append((start, unit))
                break
            before = after
    assert slow == []


def cost_once(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


# --- every reader ----------------------------------------------------------------------------------------------------


HEAD = "---\nimages:\n"
CASES: dict[str, tuple[str, str, str]] = {
    # What stands before, what is repeated (%d: a number), what stands after.
    "blank lines after an image": ("<p><img src=x>", "\n", ""),
    "a definition of many lines": ("[x]: /u\n", "", "'%s'\n\n%s"),
    "odd line ends in YAML": (HEAD, '- url: "http://h/%d\u2028"\n', "---\n"),
    "images on one line": ("<p>", "<img src=x>", ""),
    "sections that name images": ("---\n", "images%d: a\n", "---\n"),
    "lists that name images": ("---\n", "images%d: [a]\n", "---\n"),
    "entries that merge one": ("---\nb: &b {url: x, a: 1}\n" + HEAD[4:], "- <<: *b\n", "---\n"),
    "entries": (HEAD, "- url: http://h/%d\n  width: 1\n", "---\n"),
    "aliases": ("---\na: &a http://h/\n" + HEAD[4:], "- url: *a\n", "---\n"),
    "calls that are not closed": ("", '{%% imgcache "x" ', ""),
    "calls": ("", '{{< imgcache "http://h/%d" >}}\n', ""),
    "quotes": ("{%% imgcache ", "'", ""),
    "raw blocks": ("imgcache ", "{%% raw %%}", ""),
    "comments of Liquid": ("![a](b)", "{%% comment %%}", ""),
    "openings of images": ("", "![", "a](b)"),
    "images": ("", "![a](http://h/%d)", ""),
    "definitions": ("![x1]\n\n", "[x%d]: u\n", ""),
    "comments of HTML": ("<img src=a>", "<!--", ""),
    "tags without an end": ("<img src=a>", "<a ", ""),
    "character references": ("<img src=", "&amp", ">"),
    "digits": ("<img src=x&#", "1", ">"),
    "candidates": ('<img srcset="', "a%d 1x, ", '">'),
    "scripts": ("<img src=a>", "<script>", ""),
    "block quotes": ("", "> ", "![a](b)"),
    "fences in strings": ("---\na: '\n", "---\n", "'\n---\n"),
    "sizes of images that are not closed": ("a =1x ", "![", ""),
    "attributes for scripts": ("<p data-src=a>", "<p style='a: url(b%d)'>", ""),
    "styles that are not closed": ("<style>url(", "<p data-src=a url(", ""),
    "calls of others": ("", '{{%% a "/%d.png" ', ""),
    "calls in strings": ("{%% a ", "'{%% a \"'", ""),
    "a front matter of TOML": ("+++\n", "a%d = 1\n", "+++\n![a](b)"),
}


def document(case: str, size: int) -> bytes:
    before, unit, after = CASES[case]
    if not unit:
        return (before + after % ("t\n" * (size // 4), "![x] " * (size // 10))).encode()
    numbers = range(size // (len(unit) + 3 * ("%d" in unit)))
    return (
        before.replace("%%", "%") + "".join(unit % n if "%d" in unit else unit % () for n in numbers) + after
    ).encode()


MDX = {
    "braces": ("<A b=", "{", ""),
    "tags in braces": ("", "<A b={", ""),
    "tags": ("", "<A b={'/%d.png'}>", ""),
    "comments": ("<A ", "{/*", ""),
    "code": ("<A>", "`", "a"),
}
CASES |= MDX
BOTH = [(case, ending) for case in CASES if case not in MDX for ending in ("md", "html")]


@pytest.mark.parametrize(("case", "ending"), [*BOTH, *((case, "mdx") for case in MDX)])
def test_every_reader_takes_time_in_proportion(case: str, ending: str) -> None:
    if ending == "html" and CASES[case][0].startswith(("---", "+++")):
        pytest.skip("a front matter is read alike in both")

    def reading(size: int) -> Callable[[], object]:
        data = document(case, size)

        def work() -> object:
            with contextlib.suppress(ArticleError):
                return extract_references(data, f"a.{ending}")
            return None

        return work

    extract_references(document(case, 100), f"a.{ending}")  # the parsers are loaded
    works = [reading(size) for size in READER_SIZES]
    before = cost(works[0], 2)
    for small, large in itertools.pairwise(works):
        after = cost(large, 1)
        assert not grows_too_fast(small, large, before, after), f"{before:.3f} s, then {after:.3f} s"
        if after > QUICK:
            return
        before = after
