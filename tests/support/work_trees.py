"""Sites in git work trees, and audits of them in which every image is broken."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

from imgcache.auditor import Baseline
from imgcache.core import ArticleError, AuditReport, Finding, Place, Severity, Summary
from imgcache.scanner import Site, extract_references

A = "https://pictures.example/a.jpg"
B = "https://pictures.example/b.jpg"
C = "https://pictures.example/c.jpg"


class WorkTree:
    """A site in a git work tree, with a fake audit in which every image breaks every given rule."""

    def __init__(self, root: Path, folder: str = "") -> None:
        self.repository = root
        self.root = root / folder
        self.root.mkdir(parents=True, exist_ok=True)
        self.git("init", "--quiet", "--initial-branch=main")

    def git(self, *words: str) -> str:
        who = {f"GIT_{role}_{key}": "t@e" for role in ("AUTHOR", "COMMITTER") for key in ("NAME", "EMAIL")}
        bare = {"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull} | who
        command = ["git", "-C", str(self.repository), *words]
        return subprocess.run(command, check=True, capture_output=True, text=True, env=bare).stdout.strip()

    def write(self, files: Mapping[str, str | bytes]) -> None:
        for name, text in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text if isinstance(text, bytes) else text.encode())

    def commit(self, files: Mapping[str, str | bytes] = {}) -> str:
        self.write(files)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", "a change")
        return self.git("rev-parse", "HEAD")

    def audit(self, *rules: str) -> AuditReport:
        places: dict[tuple[str, str | None], list[Place]] = {}
        for path in sorted(self.root.rglob("*.md")):
            name = path.relative_to(self.root).as_posix()
            try:
                for reference in extract_references(path.read_bytes(), name):
                    for rule in rules or ("http-status",):
                        places.setdefault((rule, reference.url), []).append(reference.place)
            except ArticleError as error:
                places.setdefault((error.code, None), []).append(Place(name, error.line, error.column, ""))
        return audit_of(finding(rule, url, found) for (rule, url), found in sorted(places.items(), key=str))

    def since(self, revision: str, *rules: str, site_url: str | None = None) -> AuditReport:
        return Baseline(Site(self.root, site_url), since=revision).mark(self.audit(*rules))


def finding(rule: str, url: str | None, places: Iterable[Place]) -> Finding:
    references = tuple(places)
    if not references:
        return Finding(rule, Severity.ERROR, url, "wrong")
    first = references[0]
    return Finding(
        rule, Severity.ERROR, url, "wrong", first.article, first.line, first.column, first.field, references=references
    )


def audit_of(findings: Iterable[Finding]) -> AuditReport:
    found = tuple(findings)
    return AuditReport(Summary(references=0, images=0, ok=0, findings=len(found), by_rule={}), found)


def new_findings(audit: AuditReport) -> list[tuple[str, str | None, str | None, int | None]]:
    assert audit.summary.old == sum(one.is_old for one in audit.findings)
    return [(one.rule, one.url, one.article, one.line) for one in audit.findings if not one.is_old]
