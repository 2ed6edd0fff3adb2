"""The corrections of an audit, written into real files and as patches that real git applies."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgcache.auditor import FixResult, fixes
from imgcache.auditor.patch import unified
from imgcache.core import Correction, Finding, Place, Severity, Size
from imgcache.manifest import Manifest
from imgcache.scanner import Site, extract_references

OLD, NEW = "http://h/a.png", "https://h/a.png?moved"
SIZE = Size(640, 480)
ARTICLE = f"""---
title: "A title"
images:
  - url: {OLD}
    width: 1
    height: 2
    isCached: true
note: x
---
text

![a]({OLD}) <img src="{OLD}">

more
"""


class FixableSite:
    """A site in a repository, with functions that fix it as the audit command does."""

    def __init__(self, site: Path) -> None:
        self.site = site
        self.scratch = site / "cache"
        self.scanned: dict[str, str] = {}
        site.mkdir(parents=True, exist_ok=True)
        self.scratch.mkdir()

    def put(self, name: str, data: str | bytes) -> None:
        path = self.site / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        self.scanned[name] = hashlib.sha256(path.read_bytes()).hexdigest()

    def findings(self, *, size: bool = True) -> list[Finding]:
        """One for all mentions of `OLD`, and one for all declared sizes."""
        every = [
            r
            for name in self.scanned
            for r in extract_references((self.site / name).read_bytes(), name)
            if r.url == OLD
        ]
        moved = [Correction(r.place, url=NEW) for r in every]
        sizes = [Correction(r.place, size=SIZE) for r in every if r.field != "body" and size]
        return [finding("redirected", *moved), finding("dimensions", *sizes)]

    @property
    def manifest(self) -> Manifest:
        return Manifest(site=self.site, cache=self.scratch, scratch=self.scratch)

    def fix(self, findings: list[Finding]) -> FixResult:
        return fixes.apply(findings, site=Site(self.site, None), manifest=self.manifest, digest=self.scanned.get)

    def diff(self, findings: list[Finding]) -> tuple[bytes, FixResult]:
        site = Site(self.site, None)
        return fixes.patch(findings, site=site, digest=self.scanned.get)

    def bytes(self) -> dict[str, bytes]:
        return {name: (self.site / name).read_bytes() for name in self.scanned}


def finding(rule: str, *changes: Correction, url: str | None = OLD) -> Finding:
    return Finding(rule, Severity.WARNING, url, "it is so", changes=changes)


@pytest.fixture
def fixable(tmp_path: Path) -> FixableSite:
    return FixableSite(tmp_path / "site")


Git = Callable[..., bytes]


@pytest.fixture
def git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Git:
    """Runs git in a folder, without the settings of this machine."""
    for name in list(os.environ):
        if name.startswith("GIT_"):
            monkeypatch.delenv(name)
    settings = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "HOME": str(tmp_path)}
    person = {f"GIT_{who}_{what}": "x@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}

    def run(folder: Path, *words: str, data: bytes = b"") -> bytes:
        ended = subprocess.run(
            ["git", "-C", str(folder), *words],
            input=data,
            check=False,
            capture_output=True,
            env={**os.environ, **settings, **person},
        )
        assert ended.returncode == 0, ended.stderr.decode()
        return ended.stdout

    return run


# --- writing ---------------------------------------------------------------------------------------------------------


def test_urls_and_sizes_are_written_and_nothing_else_changes(fixable: FixableSite, git: Git) -> None:
    fixable.put("a.md", ARTICLE)
    fixable.put("_posts/b.html", ARTICLE.replace("\n", "\r\n").replace("![a]", "![no]"))
    fixable.put("c.md", "---\nimages: [http://other/x.png]\n---\n")
    (fixable.site / "a.md").chmod(0o640)
    git(fixable.site, "init", "-q")
    git(fixable.site, "add", ".")
    git(fixable.site, "commit", "-qm", "before")
    before = fixable.bytes()
    fixed = fixable.fix(fixable.findings())
    assert fixed == FixResult(articles=2, urls=5, sizes=2)
    assert (fixable.site / "a.md").stat().st_mode & 0o777 == 0o640
    expected = ARTICLE.replace(OLD, NEW).replace("width: 1", "width: 640").replace("height: 2", "height: 480")
    assert fixable.bytes()["a.md"].decode() == expected
    assert fixable.bytes()["c.md"] == before["c.md"]
    changed = git(
        fixable.site, "diff", "-U0", "--word-diff=porcelain", r"--word-diff-regex=[^ \r\n()\"]+", "a.md"
    ).decode()
    assert re.findall(r"^[-+]([^-+].*)$", changed, re.MULTILINE) == [OLD, NEW, "1", "640", "2", "480", *[OLD, NEW] * 2]
    assert (
        git(fixable.site, "diff", "--stat").decode().splitlines()[-1]
        == " 2 files changed, 8 insertions(+), 8 deletions(-)"
    )
    assert [r.url for name in fixable.scanned for r in extract_references(fixable.bytes()[name], name)].count(OLD) == 0
    assert [p.name for p in fixable.scratch.iterdir()] == []


def test_a_second_fix_finds_nothing_to_write(fixable: FixableSite) -> None:
    fixable.put("a.md", ARTICLE)
    fixable.fix(fixable.findings())
    fixable.put("a.md", fixable.bytes()["a.md"])
    assert all(not found.changes for found in fixable.findings(size=False))
    assert fixable.fix(fixable.findings()) == FixResult()


def test_an_article_saved_since_the_scan_is_left_alone(fixable: FixableSite) -> None:
    fixable.put("a.md", ARTICLE)
    fixable.put("b.md", ARTICLE)
    findings = fixable.findings()
    saved = ARTICLE.encode() + b"more\n"
    (fixable.site / "a.md").write_bytes(saved)
    places = tuple(
        sorted({change.place for found in findings for change in found.changes if change.place.article == "a.md"})
    )
    text, told = fixable.diff(findings)
    fixed = fixable.fix(findings)
    assert fixed == told
    assert (fixed.articles, fixed.urls, fixed.sizes) == (1, 3, 1)
    (problem,) = fixed.problems
    assert (problem.code, problem.retryable, problem.url, problem.references) == ("article-changed", True, OLD, places)
    assert problem.message.startswith("not fixed: ")
    assert (fixable.site / "a.md").read_bytes() == saved
    assert b"a/a.md" not in text


def test_an_article_that_is_missing_read_only_or_outside_the_site_is_reported(
    fixable: FixableSite, tmp_path: Path
) -> None:
    for name in ("gone.md", "only.md", "link.md"):
        fixable.put(name, ARTICLE)
    findings = fixable.findings()
    (fixable.site / "gone.md").unlink()
    (fixable.site / "only.md").chmod(0o444)
    (fixable.site / "link.md").rename(tmp_path / "out.md")
    (fixable.site / "link.md").symlink_to(tmp_path / "out.md")
    fixed = fixable.fix(findings)
    assert [(p.code, p.references[0].article, len(p.references)) for p in fixed.problems] == [
        ("article-changed", "gone.md", 3),
        ("article-unwritable", "link.md", 3),
        ("article-unwritable", "only.md", 3),
    ]
    assert fixed.articles == 0
    assert (tmp_path / "out.md").read_text() == (fixable.site / "only.md").read_text() == ARTICLE


MIXED = f"""---
cover: &c {OLD}
size: &s {{width: 1, height: 2}}
images:
  - *c
  - url: {OLD}
    <<: *s
  - url: {OLD}
    width: 1
---
![a]({OLD})
"""


def test_uncertain_corrections_are_left_out_and_the_others_are_written(fixable: FixableSite) -> None:
    fixable.put("a.md", MIXED)
    findings = fixable.findings()
    body = next(r for r in extract_references(MIXED.encode(), "a.md") if r.field == "body")
    findings.append(finding("scaled", Correction(body.place, size=SIZE), url=OLD))
    fixed = fixable.fix(findings)
    told = [(p.code, p.url, [(place.line, place.field) for place in p.references]) for p in fixed.problems]
    assert told == [
        ("article-unreadable", OLD, [(2, "images")]),  # an alias: the cover would change too
        ("article-unreadable", OLD, [(6, "images")]),  # the size comes by a merge
        ("article-unreadable", OLD, [(11, "body")]),  # a body declares no size
    ]
    assert (fixed.articles, fixed.urls, fixed.sizes) == (1, 1, 1)
    expected = MIXED.replace(f"  - url: {OLD}\n    width: 1", f"  - url: {NEW}\n    width: 640")
    assert fixable.bytes()["a.md"].decode() == expected


def test_a_value_that_the_article_already_has_is_no_correction(fixable: FixableSite) -> None:
    fixable.put("a.md", ARTICLE)
    (entry,) = (r for r in extract_references(ARTICLE.encode(), "a.md") if r.field == "images")
    findings = [finding("scaled", Correction(entry.place, size=Size(1, 2)))]
    assert fixable.fix(findings) == FixResult()
    assert fixable.diff(findings) == (b"", FixResult())


def test_one_bad_correction_does_not_prevent_the_others(fixable: FixableSite) -> None:
    lines = [f"- {{url: {OLD}, width: 1, n: {n}}}" for n in range(200)]
    lines[77] = f"- url: >-\n    {OLD}\n  width: 1"
    text = "\n".join(["---", "images:", *lines, "---", ""])
    fixable.put("a.md", text)
    fixed = fixable.fix(fixable.findings())
    assert (fixed.urls, fixed.sizes, len(fixed.problems)) == (199, 199, 1)
    assert [place.line for place in fixed.problems[0].references] == [80]
    assert fixable.bytes()["a.md"].decode() == text.replace(f"{{url: {OLD}, width: 1", f"{{url: {NEW}, width: 640")


def test_the_target_of_a_permanent_redirect_wins_over_another_url(fixable: FixableSite) -> None:
    fixable.put("a.md", f"![a]({OLD})\n")
    place = Place("a.md", 1, 6, "body")
    https = finding("not-secure", Correction(place, url="https://h/a.png"))
    moved = finding("redirected", Correction(place, url=NEW))
    assert fixable.fix([https, moved]) == FixResult(articles=1, urls=1)
    assert fixable.bytes()["a.md"].decode() == f"![a]({NEW})\n"


def test_two_links_to_one_file_are_one_article(fixable: FixableSite) -> None:
    fixable.put("real/a.md", ARTICLE)
    (fixable.site / "b.md").symlink_to("real/a.md")
    (fixable.site / "c.md").symlink_to("b.md")
    fixable.scanned |= {"b.md": fixable.scanned["real/a.md"], "c.md": fixable.scanned["real/a.md"]}
    text, told = fixable.diff(fixable.findings())
    assert text.count(b"--- a/") == 1
    assert b"--- a/real/a.md\n" in text
    assert fixable.fix(fixable.findings()) == told == FixResult(articles=1, urls=3, sizes=1)
    assert (fixable.site / "c.md").is_symlink()
    assert OLD.encode() not in fixable.bytes()["c.md"]


# --- patches ---------------------------------------------------------------------------------------------------------

SHAPES = {
    "plain.md": ARTICLE,
    "windows.md": ARTICLE.replace("\n", "\r\n"),
    "mixed.md": ARTICLE.replace("\n", "\r\n", 6).replace("![a]", "\r![a]"),
    "bom.md": "\ufeff" + ARTICLE,
    "bom-without-front.md": f"\ufeff![a]({OLD})\n",
    "no final newline.md": f"text\n\n![a]({OLD})",
    "no-final-in-context.md": f"![a]({OLD})\n\nend",
    "only.md": f"![a]({OLD})",
    "far.md": f"![a]({OLD})\n" + "x\n" * 6 + f"![a]({OLD})\n" + "x\n" * 7 + f"![a]({OLD})\n![b]({OLD})\n",
    "été/ü 😀.md": ARTICLE.replace("text", "tëxt 😀"),
    'quo"te\\back\ttab.md': ARTICLE,
    "new\nline.md": ARTICLE,
    "-p0 +++ b.md": ARTICLE,
    "trailing .md ": ARTICLE,
    "b/a/c.md": ARTICLE,
}


@pytest.mark.parametrize("where", ["", "sub", "sub folder/é", "b"])
def test_git_applies_the_patch_with_the_same_bytes_as_fix(tmp_path: Path, git: Git, where: str) -> None:
    fixable = FixableSite(tmp_path / "repository" / where)
    for name, data in SHAPES.items():
        fixable.put(name, data)
    (fixable.site / "plain.md").chmod(0o755)
    git(tmp_path / "repository", "init", "-q")
    git(fixable.site, "add", ".")
    git(fixable.site, "commit", "-qm", "before")
    text, told = fixable.diff(fixable.findings())
    assert (told.articles, told.problems) == (len(SHAPES), ())
    assert git(fixable.site, "status", "--porcelain") == b""
    git(fixable.site, "apply", "-p1", "--check", data=text)
    git(fixable.site, "apply", "-p1", "--index", data=text)
    assert b"old mode" not in git(fixable.site, "diff", "HEAD")
    by_git = fixable.bytes()
    git(fixable.site, "reset", "-q", "--hard")
    assert fixable.fix(fixable.findings()) == told
    assert fixable.bytes() == by_git
    assert (fixable.site / "plain.md").stat().st_mode & 0o777 == 0o755
    git(fixable.site, "apply", "-p1", "-R", data=text)
    assert fixable.bytes() == {name: data.encode() for name, data in SHAPES.items()}
    if where != "b":  # where a folder of the site has the site's own name only -p1 is clear
        git(fixable.site, "apply", data=text)
        assert fixable.bytes() == by_git
    if where == "sub":
        git(fixable.site, "apply", "-R", data=text)
        git(tmp_path / "repository", "apply", "--directory=sub", data=text)
        assert fixable.bytes() == by_git


def test_the_patch_equals_the_diff_of_git(fixable: FixableSite, git: Git) -> None:
    for name, data in SHAPES.items():
        fixable.put(name, data)
    git(fixable.site, "init", "-q")
    git(fixable.site, "add", ".")
    text, _ = fixable.diff(fixable.findings())
    fixable.fix(fixable.findings())
    by_git = git(fixable.site, "-c", "core.quotepath=on", "diff", "--no-color")
    more = re.compile(rb"^(?:diff --git|index) .*\n|(?<= @@) .*$", re.MULTILINE)  # what git adds: ids, headings
    assert text == more.sub(b"", by_git)


def test_a_patch_without_corrections_is_empty(fixable: FixableSite) -> None:
    fixable.put("a.md", ARTICLE)
    assert fixable.diff([finding("redirected")]) == (b"", FixResult())
    assert unified(b"a.md", b"a\n", b"a\n") == b""
    with pytest.raises(ValueError, match="zip"):
        unified(b"a.md", b"a\n", b"a\nb\n")


LINES = st.lists(
    st.tuples(st.sampled_from([b"a", b"", b"\r", b"-- x", b"\\ y", b"@@", b"\xff"]), st.booleans()), max_size=30
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("patched")


@settings(max_examples=60)
@given(lines=LINES, has_end=st.booleans())
def test_git_applies_any_patch_of_changed_lines(folder: Path, lines: list[tuple[bytes, bool]], has_end: bool) -> None:
    end = b"\n" if has_end else b"."
    old = b"\n".join(line for line, _ in lines) + end
    new = b"\n".join(line + b"+" * changed for line, changed in lines) + end
    (folder / "a b").write_bytes(old)
    text = unified(b"a b", old, new)
    assert (text == b"") == (old == new)
    if text:
        words = ["git", "-C", str(folder), "apply", "-p1", "--whitespace=nowarn"]
        subprocess.run(words, input=text, check=True, env={**os.environ, "GIT_CEILING_DIRECTORIES": str(folder.parent)})
    assert (folder / "a b").read_bytes() == new


# --- the real site ---------------------------------------------------------------------------------------------------


def test_on_the_real_site_the_patch_gives_the_same_bytes_as_fix(shared: Path, tmp_path: Path, git: Git) -> None:
    fixable = FixableSite(tmp_path / "site")
    changes: dict[str, list[Correction]] = {}
    for path in sorted((shared / "site").rglob("*")):
        name = path.relative_to(shared / "site").as_posix()
        if path.suffix in {".md", ".html"} and "_news" in name:
            fixable.put(name, path.read_bytes())
            for r in extract_references(path.read_bytes(), name):
                size = SIZE if r.declared.width and r.declared.height else None
                changes.setdefault(r.url, []).append(Correction(r.place, url=f"{r.url}?moved", size=size))
    findings = [finding("redirected", *mentions, url=url) for url, mentions in changes.items()]
    before = fixable.bytes()
    git(fixable.site, "init", "-q")
    text, told = fixable.diff(findings)
    assert told.problems == ()
    assert told.urls == sum(map(len, changes.values())) > 500
    assert fixable.fix(findings) == told
    fixed = fixable.bytes()
    assert {r.url[-6:] for name, data in fixed.items() for r in extract_references(data, name)} == {"?moved"}
    git(fixable.site, "apply", "-R", data=text)
    assert fixable.bytes() == before
