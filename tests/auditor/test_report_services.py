"""The reports for services: JUnit, SARIF, GitHub annotations and job summary."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import junitparser
import msgspec
import pytest
from markdown_it import MarkdownIt

from imgcache.auditor.reports import ReportContext, github, render
from imgcache.auditor.reports import sarif as reports_sarif
from imgcache.core import AuditReport, Place, Severity, Summary
from tests.conftest import ROOT
from tests.support.report_readers import commands, junit_schema, sarif, sarif_schema
from tests.support.sample_audit import (
    AUDIT,
    DOME,
    FINDINGS,
    GULLS,
    NOWHERE,
    OLD,
    WELL,
    audit_of,
    finding,
    places,
)


def run_of(audit: AuditReport, where: ReportContext = NOWHERE) -> dict[str, Any]:
    run: dict[str, Any] = sarif(audit, where)["runs"][0]
    return run


def case(text: str, name: str) -> ET.Element:
    found = [one for one in ET.fromstring(text).iter("testcase") if one.get("name") == name]
    assert len(found) == 1, name
    return found[0]


# junit


@pytest.mark.parametrize("audit", [AUDIT, WELL, AuditReport(Summary(0, 0, 0, 0, {}), ())])
def test_junit_is_valid_for_jenkins(audit: AuditReport, tmp_path: Path) -> None:
    file = tmp_path / "audit.xml"
    file.write_text(render("junit", audit, NOWHERE), encoding="utf-8")
    junit_schema().validate(str(file))
    parsed = junitparser.JUnitXml.fromfile(str(file))
    cases = [one for suite in parsed for one in suite]
    assert parsed.tests == sum(suite.tests for suite in parsed) == len(cases)
    assert parsed.failures == sum(suite.failures for suite in parsed) == sum(one.is_failure for one in cases)
    assert sum(suite.skipped for suite in parsed) == sum(one.is_skipped for one in cases)
    assert len({(one.classname, one.name) for one in cases}) == len(cases)
    assert (parsed.failures == 0) is audit.passes


def test_junit_has_a_case_for_each_image() -> None:
    text = render("junit", AUDIT, NOWHERE)
    dome = case(text, DOME)
    failure = dome.find("failure")
    assert failure is not None
    assert dome.get("classname") == "cdn.skywatch.example"
    assert (failure.get("type"), failure.get("message")) == ("http-status", "the server answered 404 Not Found")
    assert "_news/2026-01-40-day.md:7:10" in (failure.text or "")
    gulls = case(text, GULLS)
    assert [child.tag for child in gulls] == ["failure", "system-out"]
    assert "warning: redirected: moved for good" in (gulls.findtext("system-out") or "")
    assert [child.tag for child in case(text, OLD)] == ["skipped", "system-out"]
    assert list(case(text, "https://img.river-post.example/ok.jpg")) == []
    assert case(text, "/logo.png").get("classname") == "own"
    assert case(text, "https://***@files.example/private.png").get("classname") == "unreadable"
    assert case(text, "the site").get("classname") == "site"


def test_junit_lists_all_new_errors_of_an_image_in_one_failure() -> None:
    url = "https://a.example/x.jpg"
    errors = [
        finding(rule, Severity.ERROR, url, f"{rule}!", Place("a.md", 1, 1, "body"))
        for rule in ("tls", "flag-without-copy")
    ]
    old = finding("dimensions", Severity.ERROR, url, "old", is_old=True)
    found = case(render("junit", audit_of(*errors, old), NOWHERE), url)
    assert [child.tag for child in found] == ["failure", "system-out"]
    assert found[0].get("message") == "tls!; flag-without-copy!"
    assert "error: flag-without-copy: flag-without-copy!" in (found[0].text or "")
    assert "already present: error: dimensions: old" in (found[1].text or "")


# sarif


@pytest.mark.parametrize("audit", [AUDIT, WELL])
def test_sarif_is_valid(audit: AuditReport) -> None:
    for where in (NOWHERE, msgspec.structs.replace(NOWHERE, prefix="docs/my site", is_compared=True)):
        errors = [f"{error.json_path}: {error.message}" for error in sarif_schema().iter_errors(sarif(audit, where))]
        assert errors == []


def test_sarif_names_files_relative_to_the_repository() -> None:
    run = run_of(AUDIT, msgspec.structs.replace(NOWHERE, prefix="docs/site"))
    by_rule = {result["ruleId"]: result for result in reversed(run["results"])}
    gulls = by_rule["dimensions"]["locations"][0]["physicalLocation"]
    assert gulls["artifactLocation"] == {
        "uri": "docs/site/_news/m%C3%B6wen%20%26%20meer.md",
        "uriBaseId": "%SRCROOT%",
    }
    assert gulls["region"] == {"startLine": 12, "startColumn": 10}
    assert run["columnKind"] == "unicodeCodePoints"
    config = by_rule["no-network"]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert config == "docs/site/imgcache.yml"
    assert run["automationDetails"]["id"] == "imgcache/docs/site/"
    for result in run["results"]:
        for location in result["locations"]:
            uri = location["physicalLocation"]["artifactLocation"]["uri"]
            assert re.fullmatch(r"(?:[A-Za-z0-9._~/-]|%[0-9A-F]{2})+", uri)
    assert len(by_rule["http-status"]["relatedLocations"]) == 10
    assert by_rule["http-status"]["message"]["text"].startswith(
        f"{DOME}: the server answered 404 Not Found (dead since 2026-01-14, 40 places in 40 articles)\n→ write"
    )


def test_sarif_rules_have_names_texts_and_indexes() -> None:
    run = run_of(AUDIT)
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == sorted({found.rule for found in FINDINGS})
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
    for rule in rules:
        assert rule["shortDescription"]["text"].endswith(".")
        assert rule["help"]["markdown"]


def test_a_finding_keeps_its_fingerprint_when_lines_move() -> None:
    def prints(audit: AuditReport) -> list[str]:
        return [result["partialFingerprints"]["imgcacheFinding/v1"] for result in run_of(audit)["results"]]

    replace = msgspec.structs.replace
    moved = [
        replace(found, line=99, message="m", references=tuple(replace(place, line=99) for place in found.references))
        for found in FINDINGS
    ]
    assert prints(AUDIT) == prints(audit_of(*moved))
    assert len(set(prints(AUDIT))) == len(FINDINGS)
    elsewhere = msgspec.structs.replace(FINDINGS[0], article="b.md")
    assert prints(audit_of(elsewhere)) != prints(audit_of(FINDINGS[0]))


def test_sarif_leads_from_a_rule_to_its_section_of_the_reference() -> None:
    site = "https://docs.example/imgcache/"
    rules = run_of(AUDIT, msgspec.structs.replace(NOWHERE, documentation=site))["tool"]["driver"]["rules"]
    page = (ROOT / "docs/reference/problems.md").read_text()
    for rule in rules:
        assert rule["helpUri"] == f"{site}reference/problems/#{rule['id']}"
        assert f"\n## {rule['id']}\n" in page
    assert not any("helpUri" in rule for rule in run_of(AUDIT, NOWHERE)["tool"]["driver"]["rules"])


def test_sarif_has_a_baseline_state_only_if_the_audit_compared() -> None:
    states = {result["ruleId"]: result["baselineState"] for result in run_of(AUDIT)["results"]}
    assert (states["timeout"], states["http-status"]) == ("unchanged", "new")
    alone = audit_of(FINDINGS[0])
    assert "baselineState" not in run_of(alone)["results"][0]
    compared = msgspec.structs.replace(NOWHERE, is_compared=True)
    assert run_of(alone, compared)["results"][0]["baselineState"] == "new"


def test_sarif_respects_the_result_limit_of_github_and_reports_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert reports_sarif.RESULTS == 25_000
    monkeypatch.setattr(reports_sarif, "RESULTS", 20)
    notes = [finding("scaled", Severity.NOTE, f"https://a.example/{n}.jpg", "m") for n in range(20)]
    run = run_of(audit_of(*notes, FINDINGS[0]))
    assert len(run["results"]) == 20
    assert run["results"][0]["ruleId"] == "http-status"
    notification = run["invocations"][0]["toolExecutionNotifications"][0]
    assert notification["message"]["text"].startswith("1 more finding left out")
    assert "toolExecutionNotifications" not in run_of(AUDIT)["invocations"][0]


def test_no_text_becomes_a_link_in_a_sarif_message() -> None:
    texts = [result["message"]["text"] for result in run_of(AUDIT)["results"]]
    assert any(r"\[a\](http://evil.example)" in text for text in texts)
    assert not any(re.search(r"(?<!\\)\[[^\]]*(?<!\\)\]\(", text) for text in texts)


# github


def test_annotations_name_file_line_and_column() -> None:
    told = commands(render("github", AUDIT, msgspec.structs.replace(NOWHERE, prefix="docs/site")))
    kind, properties, message = told[0]
    assert kind == "error"
    assert properties == {"file": "docs/site/_news/2026-01-01-day.md", "line": "8", "col": "10", "title": "http-status"}
    assert message.startswith(
        f"{DOME}: the server answered 404 Not Found\ndead since 2026-01-14\n40 places in 40 articles\n→ "
    )
    files = [properties.get("file") for _, properties, _ in told]
    assert "docs/site/_posts/100%, sure: yes.md" in files
    kinds = [kind for kind, _, _ in told]
    assert kinds == ["error"] * 7 + ["warning", "notice", "notice"]
    assert told[-2][2] == "2 findings already present before this change, not counted"


def test_text_that_looks_like_an_escape_is_kept() -> None:
    found = finding("tls", Severity.ERROR, "https://a.example/%0A%25.jpg", "50%0A", Place("a%2Cb%3A.md", 1, 1, "body"))
    ((_, properties, message),) = commands(render("github", audit_of(found), NOWHERE))
    assert (properties["file"], message) == ("a%2Cb%3A.md", "https://a.example/%0A%25.jpg: 50%0A")


def test_annotations_beyond_the_github_limits_are_counted_in_a_notice() -> None:
    findings = [
        finding("tls", severity, f"https://a.example/{n}.jpg", "m", *places(1))
        for severity in Severity
        for n in range(12)
    ]
    told = commands(render("github", audit_of(*findings), NOWHERE))
    notices = [message for kind, _, message in told if kind == "notice"]
    assert notices[0] == "2 more errors, 2 more warnings, 3 more notes in the log of this step"
    assert len(told) == 37
    assert render("github", WELL, NOWHERE) == ""


def test_the_job_summary_is_a_table_without_active_markup() -> None:
    text = github.summary(AUDIT, NOWHERE)
    page = MarkdownIt("gfm-like", {"linkify": False}).render(text)
    assert page.count("<tr>") == 1 + 9
    assert page.count("<td>") == 9 * 5
    assert not re.search(r"<(?:a|img|script|code|b|em|del)\b", page)
    assert "7 errors, 1 warning, 1 note" in page.replace("<!-- -->", "")
    assert "| " not in github.summary(WELL, NOWHERE)
    crowd = audit_of(*(finding("tls", Severity.ERROR, f"https://a.example/{n}.jpg", "m" * 900) for n in range(5_000)))
    long = github.summary(crowd, NOWHERE)
    assert len(long.encode()) < 1_048_576
    assert "and 4,900 findings more" in long
