"""A bug while one article is read or edited is a problem of that article: the rest of the run goes on."""

from __future__ import annotations

import html
import re
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from examples.origin import Origin
from imgcache.cache import ArticleStat, ReadArticle
from imgcache.scanner import Site
from imgcache.scanner.extract import ArticleReader
from imgcache.scanner.markup import html as html_marks
from imgcache.scanner.markup import references
from imgcache.scanner.markup.character_references import unescape
from imgcache.scanner.pool import helper_program, read_all
from tests.conftest import Command, MakeSite, article, picture

GOOD = "https://h.example/good.png"
HUGE = f"&#{'1' * 4301};"


def odd_site(make_site: MakeSite, origin: Origin) -> Path:
    origin.answers.set(GOOD, picture(6, 4))
    return make_site(
        {
            "good.md": article((GOOD, 6, 4)),
            "odd.md": article((GOOD, 6, 4), body='<img alt="bug" src="https://h.example/good.png">'),
        }
    )


# --- long numbers ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "is_html"),
    [
        (f'<img src="{HUGE}a.png">', True),
        (f'<img src="a&#x{"f" * 5000};.png">', True),
        (f'<img srcset="a{HUGE}.png 2x">', True),
        (f'text <img src="a{HUGE}.png">', False),
        (f"![a](a{HUGE}.png)", False),
        (f"![a][b]\n\n[b]: a{HUGE}.png", False),
    ],
)
def test_a_number_of_thousands_of_digits_is_read(text: str, is_html: bool) -> None:
    [reference] = references(text, "a.md", first_line=1, html=is_html)
    assert reference.url.replace("\N{REPLACEMENT CHARACTER}", "").replace(HUGE, "") in {"a.png", ".png"}


@given(st.text(alphabet="&#xX;0123456789abfCDc=é\x00 ltgmp") | st.text())
@example(HUGE)
@example("&#0;&#x80;&#x81;&#xd800;&#x110000;&#xFFFF;")
@example("&amp&amp;&copy=1&notit;&lt")
def test_character_references_of_any_text(raw: str) -> None:
    value, places = unescape(raw)
    assert len(places) == len(value) + 1
    assert list(places) == sorted(places)
    if not re.search(r"[0-9a-fA-F]{8}", raw):
        for number in re.findall(r"&#\d+;", raw):
            assert unescape(number)[0] == (html.unescape(number) or chr(int(number[2:-1])))


@given(st.text())
def test_any_body_is_read(text: str) -> None:
    for is_html in (True, False):
        found = references(f'<img src="{text}">![a]({text})', "a.md", first_line=1, html=is_html)
        assert all(one.field in {"body", "shortcode"} and one.line >= 1 and one.column >= 1 for one in found)


# --- bugs ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def buggy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader of HTML with a bug that one article meets."""
    real = html_marks.image_urls

    def image_urls(text: str):  # type: ignore[no-untyped-def]
        if "bug" in text:
            raise ZeroDivisionError("odd\nthing")
        return real(text)

    monkeypatch.setattr(html_marks, "image_urls", image_urls)


@pytest.mark.usefixtures("buggy")
@pytest.mark.parametrize("command", ["sync", "status", "audit"])
def test_a_bug_in_reading_costs_one_article(run: Command, origin: Origin, make_site: MakeSite, command: str) -> None:
    site = odd_site(make_site, origin)
    assert run("sync", site, "-v").code == 1
    assert b"isCached: true" in (site / "good.md").read_bytes()
    ended = run(command, site, "-v", *(["--offline"] if command == "audit" else []))
    assert ended.code == 1
    assert "odd.md:1:1" in ended.out
    assert "internal" in ended.out or command == "status"
    assert "ZeroDivisionError" in ended.out
    assert "issue tracker" in ended.out
    assert "Traceback" in ended.err  # also in the second run: such an article is read again
    assert "good.md" not in ended.out


def test_a_bug_in_editing_costs_one_article(
    run: Command, origin: Origin, make_site: MakeSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    from imgcache.scanner.frontmatter.flagging import flagged as real

    def flagged(data: bytes, *rest: object) -> bytes | None:
        if b"bug" in data:
            raise RecursionError
        return real(data, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr("imgcache.scanner.frontmatter.edits.flagged", flagged)
    site = odd_site(make_site, origin)
    before = (site / "odd.md").read_bytes()
    ended = run("sync", site, "--json", "-v")
    assert ended.code == 1
    assert [p["references"][0]["article"] for p in ended.json()["problems"] if p["code"] == "internal"] == ["odd.md"]
    assert "RecursionError" in ended.err
    assert ended.json()["flags_set"] == 1
    assert (site / "odd.md").read_bytes() == before


def test_a_bug_in_a_helper_process_costs_one_article(make_site: MakeSite) -> None:
    program = helper_program().replace("; run()", "; from imgcache.scanner import markup; del markup.references; run()")
    site = make_site({f"n{number}.md": "abc" for number in range(200)})

    class Idle(ArticleReader):
        def read(self, files):  # type: ignore[no-untyped-def]
            import time

            time.sleep(0.1)
            return []

    found: list[ReadArticle] = []
    # More and more articles, until the helper has answered.
    files = (ArticleStat(f"n{number % 200}.md", 1, 3) for number in range(20_000) if not found)
    for batch in read_all(Idle(Site(site, None), []), files, few=0, most_helpers=1, program=program):
        found += batch
    assert found
    assert all(one.error and one.error.code == "internal" and "Traceback" in one.trace for one in found)


def test_an_article_that_is_gone_after_its_flag_was_written(
    run: Command, origin: Origin, make_site: MakeSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    from imgcache.manifest import Manifest

    real = Manifest.write_article

    def write_article(self: Manifest, article: str, **words: object) -> bool:
        written = real(self, article, **words)  # type: ignore[arg-type]
        (site / article).unlink()
        return written

    monkeypatch.setattr(Manifest, "write_article", write_article)
    site = odd_site(make_site, origin)
    ended = run("sync", site, "--json")
    assert ended.code == 1
    assert {p["code"] for p in ended.json()["problems"]} >= {"article-unreadable"}
