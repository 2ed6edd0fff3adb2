"""Renders JUnit XML for CI servers: one test case for each image, passed, failed or skipped. Pure.

The structure is that of Jenkins' junit-10.xsd, which GitLab and others read too. Jenkins reads one `failure` of a test
case, and GitLab uses the first of two test cases with the same name. So each image is one test case with one `failure`
that lists all its new errors. Old errors are `skipped`, which both servers show separately and do not count as failed.
`clean_text` leaves only printable characters, so that none is written that XML 1.0 forbids (section 2.2).
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterable
from itertools import groupby, islice

from imgcache.auditor.reports import wording as words
from imgcache.auditor.reports.context import ReportContext
from imgcache.core import AuditReport, Finding, Severity, redact

_NAME = 1000  # characters of a URL
_PLACES_SHOWN = 100
_SITE = "site"  # the suite of findings that are about no image


def render(audit: AuditReport, _context: ReportContext) -> str:
    """Returns one test suite for each host.

    Three suites are no hosts: `own` has the files of the site, `unreadable` the invalid URLs, and `site` the findings
    that are about no image.
    """
    whole = ET.Element("testsuites", name="imgcache audit")
    by_host = groupby(sorted(_cases(audit).items()), key=lambda case: case[0][0])
    for host, cases in by_host:
        suite = ET.SubElement(whole, "testsuite", name=host)
        suite.extend([_case(host, name, findings) for (_, name), findings in cases])
        suite.attrib.update(_counts(suite))
        suite.set("skipped", str(len(suite.findall("testcase/skipped"))))
    whole.attrib.update(_counts(whole))
    ET.indent(whole)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(whole, encoding="unicode")}\n'


def _cases(audit: AuditReport) -> dict[tuple[str, str], list[Finding]]:
    """The findings of each image, by host and displayed URL; images without findings have an empty list.

    Two URLs that differ only in their credentials are one case, because they are displayed alike.
    """
    cases: dict[tuple[str, str], list[Finding]] = {}
    for url in audit.images:
        cases.setdefault((words.host_of_url(url), redact(url, _NAME) or "(empty)"), [])
    for found in words.most_important(audit.findings):
        cases.setdefault((words.host(found) or _SITE, words.shown_url(found, _NAME)), []).append(found)
    return cases


def _case(host: str, name: str, findings: list[Finding]) -> ET.Element:
    """One image: `failure` lists the new errors, `skipped` the old ones, `system-out` the rest."""
    case = ET.Element("testcase", classname=host, name=name)
    errors = [found for found in findings if found.severity is Severity.ERROR]
    new = [found for found in errors if not found.is_old]
    old = [found for found in errors if found.is_old]
    rest = [found for found in findings if found not in new]
    if new:
        message = "; ".join(words.message(found) for found in new)
        ET.SubElement(case, "failure", type=new[0].rule, message=message).text = _describe(new)
    elif old:
        ET.SubElement(case, "skipped", message=f"already present: {words.message(old[0])}").text = _describe(old)
        rest = [found for found in rest if found not in old]
    if rest:
        ET.SubElement(case, "system-out").text = _describe(rest)
    return case


def _describe(findings: Iterable[Finding]) -> str:
    """Every finding with its remedy and its places."""
    lines = []
    for found in findings:
        before = "already present: " if found.is_old else ""
        since = words.since(found)
        lines.append(f"{before}{found.severity.value}: {found.rule}: {words.message(found)}{since and f' ({since})'}")
        if remedy := words.remedy(found):
            lines.append(f"→ {remedy}")
        places = words.places(found)
        lines += [words.where(place) for place in islice(places, _PLACES_SHOWN)]
        if len(places) > _PLACES_SHOWN:
            lines.append(f"and {len(places) - _PLACES_SHOWN:,} more: {words.extent(found)}")
    return "\n".join(lines)


def _counts(element: ET.Element) -> dict[str, str]:
    tests, failures = len(list(element.iter("testcase"))), len(list(element.iter("failure")))
    return {"tests": str(tests), "failures": str(failures), "errors": "0", "time": "0"}
