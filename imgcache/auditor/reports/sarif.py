"""Renders SARIF 2.1.0 for code scanning and editors (https://docs.oasis-open.org/sarif/sarif/v2.1.0/). Pure.

The first place of a finding is its location, because code scanning shows only one; up to 10 more are related locations.
A finding without an article is placed at the first line of imgcache.yml, because code scanning requires a location.
`partialFingerprints` has the key `imgcacheFinding/v1`: the first 32 hex digits of the SHA-256 of rule, URL and article,
separated by zero bytes; so a finding keeps its identity when lines move.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any
from urllib.parse import quote

from imgcache.auditor.reports import wording as words
from imgcache.auditor.reports.context import ReportContext
from imgcache.auditor.reports.rules import describe
from imgcache.core import AuditReport, Finding, Place, Severity, plural

SCHEMA = "https://json.schemastore.org/sarif-2.1.0-rtm.5.json"
RESULTS = 25_000  # GitHub rejects a run with more, and shows the 5,000 most severe
_RELATED = 10
_ROOT = "%SRCROOT%"
_CONFIG = Place("imgcache.yml", 1, 1, "")
_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "note"}
_GITHUB_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "recommendation"}
_BRACKETS = re.compile(r"([\\\[\]])")  # of embedded links (section 3.11.6)

_Object = dict[str, Any]


def render(audit: AuditReport, context: ReportContext) -> str:
    """Returns a log with one run."""
    new, old = words.split(audit)
    findings = new + old
    kept = findings[:RESULTS]
    rules = _rules(kept, context)
    places = {rule["id"]: index for index, rule in enumerate(rules)}
    is_compared = context.is_compared or bool(old)
    run = {
        "tool": {"driver": {"name": "imgcache", "semanticVersion": context.version, "rules": rules}},
        "automationDetails": {"id": "/".join(filter(None, ("imgcache", context.prefix))) + "/"},
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {_ROOT: {"description": {"text": "The top of the repository."}}},
        "invocations": [_invocation(audit, len(findings) - len(kept))],
        "results": [_result(found, places[found.rule], context, is_compared=is_compared) for found in kept],
    }
    log = {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}
    # ASCII, because the name of an article may have bytes that are not UTF-8
    return json.dumps(log, indent=1) + "\n"


def _rules(findings: list[Finding], context: ReportContext) -> list[_Object]:
    """Each rule once, sorted by id, with the most severe level of its findings."""
    most_severe: dict[str, Severity] = {}
    order = list(Severity)
    for found in findings:
        known = most_severe.setdefault(found.rule, found.severity)
        most_severe[found.rule] = min(known, found.severity, key=order.index)
    return [_rule(rule, severity, context) for rule, severity in sorted(most_severe.items())]


def _rule(rule: str, severity: Severity, context: ReportContext) -> _Object:
    text = describe(rule)
    plain = text.help.replace("`", "")
    url = context.help_url(rule)
    return {
        "id": rule,
        "name": "".join(word.capitalize() for word in rule.split("-")),
        "shortDescription": {"text": text.short},
        "fullDescription": {"text": f"{text.short} {plain}"},
        "help": {"text": plain, "markdown": text.help},
        **({"helpUri": url} if url else {}),
        "defaultConfiguration": {"level": _LEVELS[severity]},
        "properties": {"tags": ["images"], "problem.severity": _GITHUB_LEVELS[severity], "precision": "very-high"},
    }


def _result(found: Finding, rule_index: int, context: ReportContext, *, is_compared: bool) -> _Object:
    first, *others = words.places(found) or (_CONFIG,)
    result: _Object = {
        "ruleId": found.rule,
        "ruleIndex": rule_index,
        "level": _LEVELS[found.severity],
        "message": {"text": _message(found)},
        "locations": [_location(first, context)],
        "partialFingerprints": {"imgcacheFinding/v1": _fingerprint(found)},
        "properties": _properties(found),
    }
    if others:
        result["relatedLocations"] = [
            _location(place, context) | {"id": number, "message": {"text": "The same image."}}
            for number, place in enumerate(others[:_RELATED], start=1)
        ]
    if is_compared:
        result["baselineState"] = "unchanged" if found.is_old else "new"
    return result


def _message(found: Finding) -> str:
    """What is wrong, since when, how often, and the remedy; brackets are escaped, so that none becomes a link."""
    facts = ", ".join(filter(None, (words.since(found), words.extent(found))))
    text = words.describe(found) + (f" ({facts})" if facts else "")
    if remedy := words.remedy(found):
        text += f"\n→ {remedy}"
    return _BRACKETS.sub(r"\\\1", text)


def _location(place: Place, context: ReportContext) -> _Object:
    path = quote(context.path(place.article), safe="/", errors="surrogateescape")
    return {
        "physicalLocation": {
            "artifactLocation": {"uri": path, "uriBaseId": _ROOT},
            "region": {"startLine": max(1, place.line), "startColumn": max(1, place.column)},
        }
    }


def _fingerprint(found: Finding) -> str:
    text = "\0".join((found.rule, found.url or "", found.article or ""))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _properties(found: Finding) -> _Object:
    """Further values for scripts; unknown ones are left out."""
    known = {
        "url": words.shown_url(found, 2000) if found.url is not None else None,
        "state": found.state,
        "firstSeen": found.first_seen,
        "articles": found.articles,
    }
    return {name: value for name, value in known.items() if value}


def _invocation(audit: AuditReport, cut: int) -> _Object:
    invocation: _Object = {"executionSuccessful": True, "exitCode": 0 if audit.passes else 1}
    if cut:
        text = f"{plural(cut, 'more finding')} left out: a run has at most {RESULTS:,}. --format json has all."
        invocation["toolExecutionNotifications"] = [{"level": "warning", "message": {"text": text}}]
    return invocation
