"""Renders text for people: errors first, by rule, the images of most articles first, with the lines to open. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import click

from imgcache.auditor.reports import wording as words
from imgcache.auditor.reports.context import ReportContext
from imgcache.core import AuditReport, Finding, Place, Severity, plural

_COLORS = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.NOTE: "blue"}
_PLACES_SHOWN = 3


def render(audit: AuditReport, context: ReportContext) -> str:
    """Returns the new findings by rule, then the old ones if the context shows them, then the counts."""
    paint = _Paint(context)
    new, old = words.split(audit)
    blocks = [_rule(rule, findings, paint) for rule, findings in _by_rule(new)]
    if old and context.shows_old:
        blocks.append(_old(old, paint))
    blocks.append(_table(audit, new, paint))
    if unread := audit.unread.describe():
        blocks.append(iter([paint(unread, "yellow")]))
    return "\n\n".join("\n".join(block) for block in blocks) + "\n"


class _Paint:
    """Adds colors and links, if the context enables them."""

    def __init__(self, context: ReportContext) -> None:
        self._context = context

    def __call__(self, text: str, color: str | None = None, *, bold: bool = False, dim: bool = False) -> str:
        if not self._context.color or not (color or bold or dim):
            return text
        return click.style(text, fg=color, bold=bold or None, dim=dim or None)

    def link(self, place: Place) -> str:
        """Returns `article:line:column`, as a link to the file if the terminal supports OSC 8."""
        text = words.where(place)
        if not self._context.hyperlinks:
            return text
        uri = (self._context.root / place.article).absolute().as_uri()
        return f"\x1b]8;;{uri}\x1b\\{text}\x1b]8;;\x1b\\"


def _by_rule(findings: list[Finding]) -> Iterator[tuple[tuple[Severity, str], list[Finding]]]:
    """Groups findings by severity and rule, in the order of their first findings."""
    groups: dict[tuple[Severity, str], list[Finding]] = {}
    for found in findings:
        groups.setdefault((found.severity, found.rule), []).append(found)
    yield from groups.items()


def _rule(rule: tuple[Severity, str], findings: list[Finding], paint: _Paint) -> Iterator[str]:
    """The rule and its findings; a message or remedy that they share is shown once, before them."""
    severity, name = rule
    yield paint(f"{severity.value}: {name} ({len(findings):,})", _COLORS[severity], bold=True)
    message = _common([words.message(found) for found in findings if found.url is not None])
    remedy = _common([words.remedy(found) for found in findings])
    if message:
        yield f"  {message}"
    if remedy:
        yield paint(f"  → {remedy}", "green")
    for found in findings:
        yield from _finding(found, paint, has_message=not message, has_remedy=not remedy)


def _common(texts: list[str]) -> str:
    """The text that several findings share; "" if they differ."""
    return texts[0] if len(texts) > 1 and len(set(texts)) == 1 else ""


def _finding(found: Finding, paint: _Paint, *, has_message: bool, has_remedy: bool) -> Iterator[str]:
    lines = [] if found.url is None else [paint(words.shown_url(found), bold=True)]
    if found.url is None or has_message:
        lines.append(words.message(found))
    if since := words.since(found):
        lines[-1] += paint(f" · {since}", dim=True)
    if has_remedy and (remedy := words.remedy(found)):
        lines.append(paint(f"→ {remedy}", "green"))
    everywhere = words.places(found)
    lines += [paint.link(place) for place in islice(everywhere, _PLACES_SHOWN)]
    if len(everywhere) > _PLACES_SHOWN:
        lines.append(paint(f"and {len(everywhere) - _PLACES_SHOWN:,} more: {words.extent(found)}", dim=True))
    yield from (f"{'    ' if index else '  '}{line}" for index, line in enumerate(lines))


def _old(findings: list[Finding], paint: _Paint) -> Iterator[str]:
    yield paint(f"already present ({len(findings):,})", dim=True)
    for found in findings:
        first = words.places(found)[:1]
        more = words.extent(found)
        what = words.message(found) if found.url is None else words.shown_url(found)
        parts = [f"{found.severity.value}: {found.rule}", what, words.since(found)]
        parts += [paint.link(place) for place in first] + [more]
        yield paint("  " + " · ".join(part for part in parts if part), dim=True)


def _table(audit: AuditReport, new: list[Finding], paint: _Paint) -> Iterator[str]:
    """The counts, without zeros."""
    counts, summary = words.count(new), audit.summary
    ok = f", {summary.ok:,} of them without errors" if 0 < summary.ok < summary.images else ""
    in_articles = f" in {plural(summary.articles, 'article')}" if summary.articles else ""
    rows: list[tuple[str, str, str | None]] = [("images", f"{summary.images:,}{in_articles}{ok}", None)]
    rows += [(f"{one.value}s", f"{counts[one]:,}", _COLORS[one]) for one in Severity if counts[one]]
    if old := len(audit.findings) - len(new):
        rows.append(("old", f"{old:,}, already present before this change", None))
    if exposed := words.exposed(audit.exposure):
        rows.append(("exposure", ", ".join(exposed), None))
    if not new:
        rows.append(("", words.verdict(audit), "green"))
    width = max(len(name) for name, _, _ in rows)
    for name, value, color in rows:
        yield f"{name:>{width}}  {paint(value, color)}"
