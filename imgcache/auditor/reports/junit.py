"""JUnit's XML for CI servers: a test case for each image, passed, failed or skipped. Pure.

The shape is that of Jenkins' junit-10.xsd, which GitLab and the others read too. Jenkins reads one `failure` of a test
case, and GitLab takes the first of two test cases of one name: so each image is one test case, with one `failure` that
tells all its new errors. What was there before is `skipped`, which both show apart and neither counts as failed.
No character comes out that XML 1.0 forbids (section 2.2): `clean` lets through only what prints.
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
_SITE = "site"  # stands where a host would, for what is about no image


def render(audit: AuditReport, _context: ReportContext) -> str:
    """One test suite a host; `own` for the site's own files, `site` for what is about no image, `unreadable`."""
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
    """The findings of each image, by host and URL as shown; images without findings have an empty list.

    Two URLs that differ in their credentials alone are one: they are shown as one.
    """
    cases: dict[tuple[str, str], list[Finding]] = {}
    for url in audit.images:
        cases.setdefault((words.host_of_url(url), redact(url, _NAME) or "(empty)"), [])
    for found in words.most_used(audit.findings):
        cases.setdefault((words.host(found) or _SITE, words.shown_url(found, _NAME)), []).append(found)
    return cases


def _case(host: str, name: str, findings: list[Finding]) -> ET.Element:
    """One image: `failure` tells the new errors, `skipped` the old ones, `system-out` the rest."""
    case = ET.Element("testcase", classname=host, name=name)
    errors = [found for found in findings if found.severity is Severity.ERROR]
    new = [found for found in errors if not found.is_old]
    old = [found for found in errors if found.is_old]
    rest = [found for found in findings if found not in new]
    if new:
        message = "; ".join(words.message(found) for found in new)
        ET.SubElement(case, "failure", type=new[0].rule, message=message).text = _told(new)
    elif old:
        ET.SubElement(case, "skipped", message=f"there before: {words.message(old[0])}").text = _told(old)
        rest = [found for found in rest if found not in old]
    if rest:
        ET.SubElement(case, "system-out").text = _told(rest)
    return case


def _told(findings: Iterable[Finding]) -> str:
    """Every finding with what to do and where."""
    lines = []
    for found in findings:
        before = "there before: " if found.is_old else ""
        since = words.since(found)
        lines.append(f"{before}{found.severity.value}: {found.rule}: {words.message(found)}{since and f' ({since})'}")
        if told := words.remedy(found):
            lines.append(f"→ {told}")
        places = words.places(found)
        lines += [words.where(place) for place in islice(places, _PLACES_SHOWN)]
        if len(places) > _PLACES_SHOWN:
            lines.append(f"and {len(places) - _PLACES_SHOWN:,} more: {words.extent(found)}")
    return "\n".join(lines)


def _counts(element: ET.Element) -> dict[str, str]:
    tests, failures = len(list(element.iter("testcase"))), len(list(element.iter("failure")))
    return {"tests": str(tests), "failures": str(failures), "errors": "0", "time": "0"}
