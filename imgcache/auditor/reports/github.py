"""Renders annotations for a GitHub workflow run, and the summary of its job. Pure.

Commands and their escapes follow actions/toolkit (packages/core/src/command.ts). The runner keeps the first 10 errors,
10 warnings and 10 notices of a step as annotations; the rest are lines of the log. Therefore the images of most
articles come first, and one notice before the others states how much more there is.
"""

from __future__ import annotations

import re
from collections import Counter

from imgcache.auditor.reports import wording as words
from imgcache.auditor.reports.context import ReportContext
from imgcache.core import AuditReport, Finding, Severity, clean_text, plural

ANNOTATIONS = 10  # of each kind in one step
_COMMANDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "notice"}
_IN_DATA = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A"})
_IN_PROPERTY = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A", ":": "%3A", ",": "%2C"})
_MARKS = re.compile(r"[!-/:-@\[-`{-~]")  # the punctuation of ASCII
_ROWS = 100  # of the summary; GitHub allows 1 MiB


def render(audit: AuditReport, context: ReportContext) -> str:
    """Returns a command for each new finding; old findings are only counted."""
    new, old = words.split(audit)
    notes = [found for found in new if found.severity is Severity.NOTE]
    lines = [_annotation(found, context) for found in new if found.severity is not Severity.NOTE]
    if more := _hidden(new, len(old)):
        lines.append(f"::notice title=imgcache audit::{more.translate(_IN_DATA)}")
    lines += [_annotation(found, context) for found in notes]
    return "".join(f"{line}\n" for line in lines)


def summary(audit: AuditReport, context: ReportContext) -> str:
    """Returns Markdown for the file that GITHUB_STEP_SUMMARY names: the verdict, and up to 100 new findings."""
    new, old = words.split(audit)
    lines = [f"### imgcache audit: {words.verdict(audit)}", ""]
    facts = [plural(audit.summary.images, "image"), *words.exposed(audit.exposure)]
    if old:
        facts.append(f"{plural(len(old), 'finding')} already present")
    lines += [" · ".join(facts), ""]
    if new:
        lines += ["| | rule | image | what is wrong | where |", "|---|---|---|---|---|"]
        lines += [_row(found, context) for found in new[:_ROWS]]
    if len(new) > _ROWS:
        lines += ["", f"and {plural(len(new) - _ROWS, 'finding')} more"]
    return "\n".join(lines).rstrip("\n") + "\n"


def _annotation(found: Finding, context: ReportContext) -> str:
    properties = {"title": found.rule}
    everywhere = words.places(found)
    if everywhere:
        place = everywhere[0]
        file = clean_text(context.path(place.article), 1000)
        properties = {"file": file, "line": str(place.line), "col": str(place.column), **properties}
    listed = ",".join(f"{name}={value.translate(_IN_PROPERTY)}" for name, value in properties.items())
    lines = [words.describe(found)]
    lines += [text for text in (words.since(found), words.extent(found)) if text]
    if remedy := words.remedy(found):
        lines.append(f"→ {remedy}")
    data = "\n".join(lines).translate(_IN_DATA)
    return f"::{_COMMANDS[found.severity]} {listed}::{data}"


def _hidden(new: list[Finding], old: int) -> str:
    """Says what GitHub does not show as annotations; "" if it shows everything."""
    kinds = Counter(found.severity for found in new)
    shown = dict.fromkeys(Severity, ANNOTATIONS) | {Severity.NOTE: ANNOTATIONS - 1}
    hidden = [
        plural(kinds[severity] - shown[severity], f"more {severity.value}", f"more {severity.value}s")
        for severity in Severity
        if kinds[severity] > shown[severity]
    ]
    parts = [f"{', '.join(hidden)} in the log of this step"] if hidden else []
    if old:
        parts.append(f"{plural(old, 'finding')} already present before this change, not counted")
    return "; ".join(parts)


def _row(found: Finding, context: ReportContext) -> str:
    everywhere = words.places(found)
    where = ""
    if everywhere:
        place = everywhere[0]
        where = f"{clean_text(context.path(place.article), 300)}:{place.line}"
        where += f" and {len(everywhere) - 1:,} more" if len(everywhere) > 1 else ""
    remedy = words.remedy(found)
    wrong = words.message(found) + (f" → {remedy}" if remedy else "")
    cells = [found.severity.value, found.rule, words.shown_url(found), wrong, where]
    return f"| {' | '.join(_escape(cell) for cell in cells)} |"


def _escape(text: str) -> str:
    """Escapes text for Markdown and HTML: a character reference is never markup (CommonMark, 2.5)."""
    return _MARKS.sub(lambda found: f"&#{ord(found[0])};", text)
