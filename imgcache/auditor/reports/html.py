"""Renders one self-contained HTML page: it makes no request, and no text of an article or server can execute in it.

Its content security policy allows only its own style and script, by their digests; images are data URIs. Without
scripts, everything is shown; with them, findings can be filtered and tables sorted.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections import Counter
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import jinja2
import msgspec
from markupsafe import Markup, escape

from imgcache.auditor.reports import wording as words
from imgcache.auditor.reports.chart import chart
from imgcache.auditor.reports.context import ReportContext
from imgcache.auditor.reports.rules import describe
from imgcache.auditor.reports.thumbnails import thumbnails
from imgcache.core import (
    ArticleLine,
    AuditReport,
    Finding,
    HostLine,
    Severity,
    clean_text,
    format_bytes,
    plural,
    problem_name,
)

_TEMPLATES = Path(__file__).parent / "templates"
_URL = 2000  # characters
_PLACES_SHOWN, _PLACES_LISTED = 2, 200  # at first, and when expanded
_ARTICLES = 100
_FIRST = 3  # things to fix first
_LINKABLE = re.compile(r"https?://[^\s\"<>\\^`{|}]+", re.IGNORECASE)
_SHARE_GOOD, _SHARE_POOR = 0.98, 0.8  # of a host's images


def render(audit: AuditReport, context: ReportContext) -> str:
    """Returns the page."""
    new, old = words.split(audit)
    findings = new + old
    pictures = thumbnails(context.cache, (found.digest for found in findings))
    style, script = _static("page.css"), _static("page.js")
    return (
        _environment()
        .get_template("page.html")
        .render(
            site=clean_text(context.title or context.root.name) or "Site",
            made=[clean_text(text, 100) for text in _made(context) if text],
            version=context.version,
            verdict=words.verdict(audit),
            sentence=_sentence(audit, new),
            first=_first(new),
            is_well=audit.passes,
            figures=_figures(audit, new, old),
            chart=chart(audit.history),
            groups=_groups(findings, pictures, context),
            number=len(findings),
            has_pictures=bool(pictures),
            filters=_filters(findings),
            hosts=[_host(line) for line in audit.hosts],
            articles=[_article(line) for line in audit.exposure.articles[:_ARTICLES]],
            articles_cut=max(0, len(audit.exposure.articles) - _ARTICLES),
            style=style,
            script=script,
            policy=f"default-src 'none'; img-src data:; style-src {_source(style)}; script-src {_source(script)};"
            " base-uri 'none'; form-action 'none'",
        )
        .rstrip("\n")
        + "\n"
    )


class _Group(msgspec.Struct, frozen=True):
    """The findings of one rule: its name, what it says in a sentence, what follows, and where that is explained."""

    rule: str
    severity: str
    name: str
    short: str
    help: Markup
    link: str
    cards: list[_Card]


class _FirstStep(msgspec.Struct, frozen=True):
    """One of the things to fix first: the errors of one rule."""

    rule: str
    name: str
    number: str
    remedy: Markup


class _Figure(msgspec.Struct, frozen=True):
    name: str
    value: str
    kind: str = ""
    note: str = ""


class _Card(msgspec.Struct, frozen=True):
    """One finding; `places` are shown at first, `more` when expanded; `hidden` is the number of all others."""

    severity: str
    rule: str
    short: str
    url: str
    link: str
    host: str
    state: str
    since: str
    age: str
    message: Markup
    remedy: Markup
    extent: str
    picture: str
    places: list[str]
    more: list[str]
    hidden: int


class _Filter(msgspec.Struct, frozen=True):
    name: str
    label: str
    every: str
    values: list[tuple[str, str, int]]  # value, label, number


class _Cell(msgspec.Struct, frozen=True):
    shown: str
    sort: float | str


class _Host(msgspec.Struct, frozen=True):
    name: str
    percent: str
    kind: str
    cells: list[_Cell]
    cookies: str


class _Article(msgspec.Struct, frozen=True):
    name: str
    hosts: str
    cells: list[_Cell]


@cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _static(name: str) -> Markup:
    return Markup((_TEMPLATES / name).read_text(encoding="utf-8"))  # our own file  # noqa: S704


def _source(text: str) -> str:
    """The source expression for an inline style or script (CSP level 3, section 2.3.1)."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _made(context: ReportContext) -> tuple[str, ...]:
    revision = f"revision {context.revision}" if context.revision else ""
    return (context.date and f"audited {context.date}", context.path("").strip("/"), revision)


def _sentence(audit: AuditReport, new: list[Finding]) -> str:
    """The verdict in a sentence."""
    summary = audit.summary
    errors = words.count(new)[Severity.ERROR]
    if not summary.images:
        return "The articles name no image."
    if not errors:
        return f"All is well: {plural(summary.images, 'image')}, and no new error." if summary.ok else "No new error."
    working = f"{summary.ok:,} of {plural(summary.images, 'image')}"
    return f"{plural(errors, 'error')} to fix; {working} {'is' if summary.ok == 1 else 'are'} without errors."


def _first(new: list[Finding]) -> list[_FirstStep]:
    """What to fix first: the rules with the most errors, each with its most frequent remedy."""
    errors = [found for found in new if found.severity is Severity.ERROR]
    rules = Counter(found.rule for found in errors).most_common(_FIRST)
    steps = []
    for rule, number in rules:
        remedies = Counter(words.remedy(found) for found in errors if found.rule == rule)
        remedy = remedies.most_common(1)[0][0]
        name = clean_text(problem_name(rule))
        steps.append(_FirstStep(clean_text(rule), name, f"{number:,}", _coded(remedy[:1].upper() + remedy[1:])))
    return steps


def _groups(findings: list[Finding], pictures: Mapping[str, str], context: ReportContext) -> list[_Group]:
    """The findings by severity and rule, in the order of the first of each."""
    grouped: dict[tuple[Severity, str], list[Finding]] = {}
    for found in findings:
        grouped.setdefault((found.severity, found.rule), []).append(found)
    return [
        _Group(
            rule=clean_text(rule),
            severity=severity.value,
            name=clean_text(problem_name(rule)),
            short=describe(rule).short,
            help=_coded(describe(rule).help),
            link=context.help_url(rule),
            cards=[_card(found, pictures.get(found.digest or "")) for found in same],
        )
        for (severity, rule), same in grouped.items()
    ]


def _figures(audit: AuditReport, new: list[Finding], old: list[Finding]) -> list[_Figure]:
    summary, exposure = audit.summary, audit.exposure
    ok = f"{summary.ok:,} without errors" if summary.ok < summary.images else ""
    figures = [_Figure("Images", f"{summary.images:,}", note=ok)]
    if summary.articles:
        figures.append(_Figure("Articles", f"{summary.articles:,}"))
    for severity, number in words.count(new).items():
        if number:
            figures.append(_Figure(f"{severity.value.capitalize()}s", f"{number:,}", severity.value))
    sums = [
        ("Already present", len(old)),
        ("External hosts", exposure.hosts),
        ("Cookies", exposure.cookies),
        ("Trackers", exposure.trackers),
    ]
    figures += [_Figure(name, f"{number:,}") for name, number in sums if number]
    if exposure.now:
        cached = f"{format_bytes(exposure.cached)} if cached" if 0 < exposure.cached < exposure.now else ""
        figures.append(_Figure("Loaded from other hosts", format_bytes(exposure.now), note=cached))
    return figures


def _card(found: Finding, picture: str | None) -> _Card:
    url = words.shown_url(found, _URL)
    places = [words.where(place) for place in words.places(found)]
    return _Card(
        severity=found.severity.value,
        rule=clean_text(found.rule),
        short=describe(found.rule).short,
        url="" if found.url is None else url,
        link=url if url == found.url and _LINKABLE.fullmatch(url) else "",
        host=words.host(found),
        state=str(found.state or ""),
        since=words.since(found),
        age="old" if found.is_old else "new",
        message=_coded(words.message(found)),
        remedy=_coded(words.remedy(found)),
        extent=words.extent(found),
        picture=picture or "",
        places=places[:_PLACES_SHOWN],
        more=places[_PLACES_SHOWN:_PLACES_LISTED],
        hidden=max(0, len(places) - _PLACES_LISTED),
    )


def _coded(text: str) -> Markup:
    """The escaped text, with parts between two backticks marked as code."""
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return escape(text)
    code = Markup("<code>{}</code>")
    return Markup().join(code.format(part) if index % 2 else escape(part) for index, part in enumerate(parts))


def _filters(findings: list[Finding]) -> list[_Filter]:
    """The filters with the values that occur, the most frequent first; filters with a single value are left out."""
    severities = Counter(found.severity.value for found in findings)
    filters = [
        _Filter("severity", "Severity", "All severities", _values(severities, [str(one) for one in Severity])),
        _Filter("rule", "Rule", "All rules", _values(Counter(clean_text(found.rule) for found in findings))),
        _Filter("host", "Host", "All hosts", _values(Counter(words.host(found) for found in findings))),
        _Filter("state", "State", "All states", _values(Counter(str(found.state or "") for found in findings))),
        _Filter("age", "Age", "New and old", _values(Counter("old" if one.is_old else "new" for one in findings))),
    ]
    return [one for one in filters if len(one.values) > 1]


def _values(counts: Counter[str], order: list[str] | None = None) -> list[tuple[str, str, int]]:
    names = sorted((name for name in counts if name), key=lambda name: (-counts[name], name))
    if order:
        names.sort(key=order.index)
    shown = {words.OWN: "own files", words.UNREADABLE: "invalid URLs", "new": "New", "old": "Already present"}
    return [(name, shown.get(name, name), counts[name]) for name in names]


def _host(line: HostLine) -> _Host:
    share = line.answered / line.images if line.images else 0.0
    kind = "good" if share >= _SHARE_GOOD else "poor" if share < _SHARE_POOR else "fair"
    median = f"{line.median:g} s" if line.median is not None else "–"
    return _Host(
        name=clean_text(line.host),
        percent=f"{int(100 * share)}%",
        kind=kind,
        cells=[
            _Cell(f"{line.images:,}", line.images),
            _Cell(f"{int(100 * share)} %", round(share, 4)),  # rounded down, because 99.9 % is not all
            _Cell(median, line.median if line.median is not None else 1e9),
            _Cell(format_bytes(line.bytes) if line.bytes else "–", line.bytes),
            _Cell(f"{line.articles:,}" if line.articles else "–", line.articles),
            _Cell(f"{len(line.cookies):,}" if line.cookies else "–", len(line.cookies)),
            _Cell(f"{line.trackers:,}" if line.trackers else "–", line.trackers),
        ],
        cookies=clean_text(", ".join(line.cookies), 500),
    )


def _article(line: ArticleLine) -> _Article:
    saved = format_bytes(line.cached) if line.cached is not None else "not all cached"
    return _Article(
        name=clean_text(line.article, 300),
        hosts=clean_text(", ".join(line.hosts), 1000),
        cells=[
            _Cell(f"{len(line.hosts):,}", len(line.hosts)),
            _Cell(format_bytes(line.now) if line.now else "–", line.now),
            _Cell(saved, -1 if line.cached is None else line.cached),
        ],
    )
