"""What those read who read reports: the schemas of SARIF and JUnit, GitHub's commands, a page's elements."""

from __future__ import annotations

import json
import re
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import jsonschema
import xmlschema

from imgcache.auditor.reports import ReportContext, render
from imgcache.core import AuditReport
from tests.support.sample_audit import NOWHERE

_SCHEMAS = Path(__file__).parent / "schemas"


@cache
def sarif_schema() -> jsonschema.Draft4Validator:
    """SARIF 2.1.0 as of its last erratum; MIT, from the npm package @microsoft/jest-sarif 1.0.0-beta.0."""
    schema = json.loads((_SCHEMAS / "sarif-2.1.0-rtm.5.json").read_text())
    return jsonschema.Draft4Validator(schema, format_checker=jsonschema.FormatChecker())


@cache
def junit_schema() -> xmlschema.XMLSchema:
    """Jenkins' own; MIT, with its notice inside, from the source package of pytest 9.0.2."""
    return xmlschema.XMLSchema(str(_SCHEMAS / "junit-10.xsd"))


def sarif(audit: AuditReport, where: ReportContext = NOWHERE) -> dict[str, Any]:
    log: dict[str, Any] = json.loads(render("sarif", audit, where))
    return log


COMMAND = re.compile(r"::(error|warning|notice)(?: ((?:[a-z]+=[^,:\r\n]*,?)*))?::([^\r\n]*)")


def commands(text: str) -> list[tuple[str, dict[str, str], str]]:
    """What the runner understands (actions/runner, ActionCommand.TryParseV2)."""
    found = []
    for line in text.split("\n")[:-1]:
        match = COMMAND.fullmatch(line)
        assert match, line
        properties = dict(pair.partition("=")[::2] for pair in (match[2] or "").split(",") if pair)
        found.append((match[1], {name: unescaped(value) for name, value in properties.items()}, unescaped(match[3])))
    return found


def unescaped(text: str) -> str:
    for escape, sign in (("%3A", ":"), ("%2C", ","), ("%0D", "\r"), ("%0A", "\n"), ("%25", "%")):
        text = text.replace(escape, sign)
    return text


class Page(HTMLParser):
    """The elements, attributes and texts of a page, as a parser that knows HTML takes them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def values(self, name: str) -> list[str]:
        return [fields[name] or "" for _, fields in self.tags if name in fields]
