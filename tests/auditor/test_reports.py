"""Every report format: golden files, wording, and hostile text."""

from __future__ import annotations

import json
import os
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from urllib.parse import unquote

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgcache.auditor.reports import FORMATS, render
from imgcache.core import Finding, Place, Severity
from tests.support.report_readers import Page, commands, junit_schema, sarif, sarif_schema
from tests.support.sample_audit import (
    AUDIT,
    NOWHERE,
    OLD,
    SECRET,
    WELL,
    audit_of,
    context,
    finding,
    places,
)

HERE = Path(__file__).parent
GOLDEN = HERE / "golden/reports"
SUFFIXES = {"text": "txt", "json": "json", "junit": "xml", "sarif": "sarif", "github": "commands", "html": "html"}


@pytest.mark.parametrize("form", FORMATS)
def test_each_format_matches_its_golden_file(form: str, tmp_path: Path) -> None:
    """`REWRITE_GOLDEN=1 pytest tests/auditor/test_reports.py` rewrites the files; review the difference."""
    root = tmp_path / "harbour-news"
    root.mkdir()
    where = context(root)
    text = render(form, AUDIT, where)
    assert text == render(form, AUDIT, where)
    golden = GOLDEN / f"report.{SUFFIXES[form]}"
    if os.environ.get("REWRITE_GOLDEN"):
        golden.write_text(text, encoding="utf-8", newline="")
    assert text == golden.read_bytes().decode()
    assert text.endswith("\n")
    assert not text.endswith("\n\n")


def test_an_unknown_format_is_refused_with_the_known_ones() -> None:
    known = "text, json, junit, sarif, github, html"
    with pytest.raises(ValueError, match=f"'pdf' is not a report format; use one of {known}"):
        render("pdf", AUDIT, NOWHERE)


@pytest.mark.parametrize("form", [form for form in FORMATS if form != "json"])
def test_no_report_for_people_has_credentials(form: str) -> None:
    text = render(form, AUDIT, NOWHERE)
    assert "files.example/private.png" in text
    assert "hunter2" not in text


# text


def test_text_is_sorted_by_severity_and_number_of_articles() -> None:
    few, many = (finding("timeout", Severity.ERROR, f"https://a.example/{n}.jpg", "late", *places(n)) for n in (2, 9))
    late = finding("scaled", Severity.NOTE, "https://a.example/n.jpg", "other size", *places(30))
    lines = render("text", audit_of(few, late, many), NOWHERE).splitlines()
    heads = [line.strip() for line in lines if line.lstrip().startswith(("error:", "note:", "http"))]
    assert heads == [
        "error: timeout (2)",
        "https://a.example/9.jpg",
        "https://a.example/2.jpg",
        "note: scaled (1)",
        "https://a.example/n.jpg",
    ]
    assert "      and 6 more: 9 places in 9 articles" in lines


def test_text_shows_shared_messages_and_remedies_once() -> None:
    one, two = (
        finding("flag-without-copy", Severity.ERROR, f"https://a.example/{n}.jpg", "no copy", *places(1), remedy="sync")
        for n in (1, 2)
    )
    text = render("text", audit_of(one, two), NOWHERE)
    assert text.startswith(
        "error: flag-without-copy (2)\n  no copy\n  → sync\n"
        "  a.example: 2 images\n"
        "    https://a.example/1.jpg\n      _news/2026-01-01-day.md:8:10\n"
        "    https://a.example/2.jpg\n      _news/2026-01-01-day.md:8:10\n\n"
    )
    other = msgspec.structs.replace(two, message="half a copy")
    text = render("text", audit_of(one, other), NOWHERE)
    assert (text.count("no copy"), text.count("half a copy"), text.count("→ sync")) == (1, 1, 1)


def test_text_leaves_out_zero_counts() -> None:
    assert render("text", WELL, NOWHERE) == "images  2 in 1 article\n\nNo problems found.\n"


def test_text_has_colors_and_links_only_on_request() -> None:
    assert "\x1b" not in render("text", AUDIT, NOWHERE)
    coloured = render("text", AUDIT, msgspec.structs.replace(NOWHERE, color=True))
    assert "\x1b[31m\x1b[1merror: http-status (1)\x1b[0m\n" in coloured
    linked = render("text", AUDIT, msgspec.structs.replace(NOWHERE, hyperlinks=True))
    uri = "file:///srv/harbour-news/_news/m%C3%B6wen%20%26%20meer.md"
    assert f"\x1b]8;;{uri}\x1b\\_news/möwen & meer.md:12:10\x1b]8;;\x1b\\\n" in linked
    assert re.sub(r"\x1b\]8;;[^\x1b]*\x1b\\", "", linked) == render("text", AUDIT, NOWHERE)
    assert re.sub(r"\x1b\[\d*m", "", coloured) == render("text", AUDIT, NOWHERE)


@pytest.mark.parametrize(
    "bait", ["::add-mask::a", "##[add-mask]a", "##vso[task.setvariable variable=a]b", "##teamcity[x]"]
)
def test_text_contains_no_build_server_commands(bait: str) -> None:
    found = finding("missing-file", Severity.ERROR, bait, bait, Place(bait, 1, 1, "body"), remedy=bait)
    text = render("text", audit_of(found, msgspec.structs.replace(found, is_old=True)), NOWHERE)
    assert bait[2:] in text
    for line in text.splitlines():
        assert not line.strip().startswith("::")
        assert not re.search(r"##\w*\[", line)


def test_old_findings_are_listed_separately() -> None:
    text = render("text", AUDIT, NOWHERE)
    before, _, after = text.partition("already present (2)\n")
    assert OLD not in before
    assert after.count(OLD) == 2
    assert "flaky since 2025-11-02" in after


# json


def test_json_has_the_documented_keys() -> None:
    report = json.loads(render("json", AUDIT, NOWHERE))
    assert report == json.loads(AUDIT.to_json())
    assert {"summary", "findings"} <= set(report)
    assert "images" not in report  # the summary has their number
    assert {"references", "images", "ok", "findings", "by_rule"} <= set(report["summary"])
    keys = {
        "rule",
        "severity",
        "url",
        "message",
        "article",
        "line",
        "column",
        "field",
        "state",
        "first_seen",
        "references",
    }
    assert keys <= set(report["findings"][0])
    assert report["findings"][2]["url"] == SECRET


def test_json_is_valid_if_a_url_is_not_utf8() -> None:
    url = "https://a.example/\ud83d.jpg"
    found = finding("bad-url", Severity.ERROR, url, "möwen", Place("a\udcff.md", 1, 1, "body"))
    report = json.loads(render("json", audit_of(found), NOWHERE))
    assert report["findings"][0]["url"].startswith("https://a.example/\ufffd")
    assert report["findings"][0]["message"] == "möwen"


# all forms, any text

TEXTS = st.text(max_size=60)
PATHS = TEXTS.map(lambda text: text.encode("utf-8", "replace").decode().replace("\0", "")).map(lambda text: text or "a")
PLACES = st.builds(Place, PATHS, st.integers(1, 10**6), st.integers(1, 10**4), TEXTS)


@st.composite
def findings_of_any_text(draw: st.DrawFn) -> Finding:
    at = draw(st.lists(PLACES, max_size=5))
    made = finding("http-status", draw(st.sampled_from(Severity)), draw(st.none() | TEXTS), draw(TEXTS), *at)
    return msgspec.structs.replace(
        made, remedy=draw(TEXTS), first_seen=draw(st.none() | TEXTS), is_old=draw(st.booleans()), newest=draw(TEXTS)
    )


ACTIVE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


@settings(max_examples=40)
@given(st.lists(findings_of_any_text(), max_size=4))
def test_any_text_stays_text_in_every_format(findings: list[Finding]) -> None:
    audit = audit_of(*findings, images=tuple(sorted({found.url for found in findings if found.url is not None})))
    for form in FORMATS:
        text = render(form, audit, NOWHERE)
        text.encode()
        assert ACTIVE.findall(text) == [], form
    errors = sum(found.severity is Severity.ERROR and not found.is_old for found in findings)
    junit = render("junit", audit, NOWHERE)
    junit_schema().validate(junit)
    assert (ET.fromstring(junit).get("failures") == "0") is (errors == 0)
    log = sarif(audit)
    sarif_schema().validate(log)
    uris = [one["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for one in log["runs"][0]["results"]]
    assert sorted(map(unquote, uris)) == sorted(found.article or "imgcache.yml" for found in findings)
    told = commands(render("github", audit, NOWHERE))
    assert sum(kind == "error" for kind, _, _ in told) == errors
    page = Page(render("html", audit, NOWHERE))
    assert [tag for tag, _ in page.tags].count("li") >= len(findings)
    assert set(page.values("src")) == set()
