"""Renders text for people: errors first, by rule, the images of most articles first, with the lines to open. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from imgcache.auditor.reports import wording as words
from imgcache.auditor.reports.context import ReportContext
from imgcache.core import AuditReport, Console, Finding, Severity, plural

_COLORS = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.NOTE: "blue"}
_FINDINGS_SHOWN = 5  # of one host and rule
_PLACES_SHOWN = 3


def render(audit: AuditReport, context: ReportContext) -> str:
    """Returns the new findings by rule, then the old ones if the context shows them, then the counts and a verdict."""
    console = context.console
    new, old = words.split(audit)
    blocks = [_rule(rule, findings, console, context) for rule, findings in _by_rule(new)]
    if old and context.shows_old:
        blocks.append(_old(old, console))
    blocks.append(_table(audit, new, console))
    if unread := audit.unread.describe():
        blocks.append(console.paint(line, "yellow") for line in console.wrap(unread, hanging=2))
    blocks.append(_conclusion(audit, new, console))
    return "\n\n".join("\n".join(block) for block in blocks) + "\n"


def _by_rule(findings: list[Finding]) -> Iterator[tuple[tuple[Severity, str], list[Finding]]]:
    """Groups findings by severity and rule, in the order of their first findings."""
    groups: dict[tuple[Severity, str], list[Finding]] = {}
    for found in findings:
        groups.setdefault((found.severity, found.rule), []).append(found)
    yield from groups.items()


def _rule(
    rule: tuple[Severity, str], findings: list[Finding], console: Console, context: ReportContext
) -> Iterator[str]:
    """The rule and its findings by host; a message or remedy that all of them share is said once, before them."""
    severity, name = rule
    yield console.paint(f"{severity.value}: {name} ({len(findings):,})", _COLORS[severity], bold=True)
    message = _common([words.message(found) for found in findings if found.url is not None])
    remedy = _common([words.remedy(found) for found in findings])
    if message:
        yield from console.wrap(message, 2)
    if remedy:
        yield from _remedy(remedy, 2, console)
    for host, of_host in _by_host(findings).items():
        indent = 2
        if host and len(of_host) > 1:
            yield console.paint(f"  {host}: {plural(len(of_host), 'image')}", bold=True)
            indent = 4
        shown = of_host if context.shows_all else of_host[:_FINDINGS_SHOWN]
        for found in shown:
            yield from _finding(found, console, indent, has_message=not message, has_remedy=not remedy)
        if len(of_host) > len(shown):
            more = f"and {len(of_host) - len(shown):,} more; -v lists all"
            yield console.paint(" " * indent + more, dim=True)


def _by_host(findings: list[Finding]) -> dict[str, list[Finding]]:
    """Groups findings by host, in the order of their first findings; those of no host are together."""
    hosts: dict[str, list[Finding]] = {}
    for found in findings:
        host = words.host(found)
        hosts.setdefault("" if host in (words.OWN, words.UNREADABLE) else host, []).append(found)
    return hosts


def _common(texts: list[str]) -> str:
    """The text that several findings share; "" if they differ."""
    return texts[0] if len(texts) > 1 and len(set(texts)) == 1 else ""


def _finding(found: Finding, console: Console, indent: int, *, has_message: bool, has_remedy: bool) -> Iterator[str]:
    since = words.since(found)
    says = words.message(found) if found.url is None or has_message else ""
    below = indent + 2
    if found.url is None:
        yield from console.wrap(" · ".join(filter(None, (says, since))), indent, below)
    else:
        url = words.shown_url(found)
        yield " " * indent + console.paint(url, bold=True) + ("" if says or not since else f" · {since}")
        if says:
            yield from console.wrap(" · ".join(filter(None, (says, since))), below)
    if has_remedy and (remedy := words.remedy(found)):
        yield from _remedy(remedy, below, console)
    everywhere = words.places(found)
    shown = everywhere if len(everywhere) <= _PLACES_SHOWN else everywhere[:_PLACES_SHOWN]
    yield from (" " * below + console.place(place) for place in shown)
    if len(everywhere) > len(shown):
        more = f"and {len(everywhere) - len(shown):,} more: {words.extent(found)}"
        yield console.paint(" " * below + more, dim=True)


def _remedy(text: str, indent: int, console: Console) -> Iterator[str]:
    return (console.paint(line, "green") for line in console.wrap(f"→ {text}", indent, indent + 2))


def _old(findings: list[Finding], console: Console) -> Iterator[str]:
    yield console.paint(f"already present ({len(findings):,})", dim=True)
    for found in findings:
        first = words.places(found)[:1]
        more = words.extent(found)
        what = words.message(found) if found.url is None else words.shown_url(found)
        parts = [f"{found.severity.value}: {found.rule}", what, words.since(found)]
        parts += [console.place(place) for place in first] + [more]
        yield console.paint("  " + " · ".join(part for part in parts if part), dim=True)


def _table(audit: AuditReport, new: list[Finding], console: Console) -> Iterator[str]:
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
    width = max(len(name) for name, _, _ in rows)
    for name, value, color in rows:
        lines = list(console.wrap(f"{name:>{width}}  {value}", 0, width + 2))
        yield lines[0][: width + 2] + console.paint(lines[0][width + 2 :], color)
        yield from (console.paint(line, color) for line in lines[1:])


def _conclusion(audit: AuditReport, new: list[Finding], console: Console) -> Iterator[str]:
    """The verdict, what to do first, and the next command."""
    is_well = not words.count(new)[Severity.ERROR]
    yield console.paint(f"{words.verdict(audit).capitalize()}.", None if new else "green", bold=True)
    if not is_well and (remedy := words.remedy(new[0])):
        yield from console.wrap(f"First, {new[0].rule}: {remedy}.", hanging=2)
    if fixable := sum(len(found.changes) for found in new):
        corrects = f"corrects {plural(fixable, 'place')} where the right value is certain"
        yield from console.wrap(f"Next: `imgcache audit --fix` {corrects}.", hanging=2)
