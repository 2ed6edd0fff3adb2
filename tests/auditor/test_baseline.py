"""What was there before a change, and what the change brought: real repositories, real files."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from imgcache.auditor import Baseline
from imgcache.core import ArticleError, AuditReport, ConfigError, Finding, Place, Severity, Summary
from imgcache.scanner import Site
from imgcache.scanner import extract as reader
from tests.conftest import article

A = "https://pictures.example/a.jpg"
B = "https://pictures.example/b.jpg"
C = "https://pictures.example/c.jpg"


class Work:
    """A site in a git work tree, and an audit to whose eyes every image is wrong by every rule that is asked for."""

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
                for reference in reader.extract_references(path.read_bytes(), name):
                    for rule in rules or ("http-status",):
                        places.setdefault((rule, reference.url), []).append(reference.place)
            except ArticleError as error:
                places.setdefault((error.code, None), []).append(Place(name, error.line, error.column, ""))
        return audit_of(finding(rule, url, found) for (rule, url), found in sorted(places.items(), key=str))

    def since(self, revision: str, *rules: str, site_url: str | None = None) -> AuditReport:
        return Baseline(Site(self.root, site_url), since=revision).mark(self.audit(*rules))


def finding(rule: str, url: str | None, places: Iterable[Place]) -> Finding:
    found = tuple(places)
    if not found:
        return Finding(rule, Severity.ERROR, url, "wrong")
    first = found[0]
    return Finding(
        rule, Severity.ERROR, url, "wrong", first.article, first.line, first.column, first.field, references=found
    )


def audit_of(findings: Iterable[Finding]) -> AuditReport:
    found = tuple(findings)
    return AuditReport(Summary(references=0, images=0, ok=0, findings=len(found), by_rule={}), found)


def new(audit: AuditReport) -> list[tuple[str, str | None, str | None, int | None]]:
    assert audit.summary.old == sum(one.is_old for one in audit.findings)
    return [(one.rule, one.url, one.article, one.line) for one in audit.findings if not one.is_old]


@pytest.fixture
def work(tmp_path: Path) -> Work:
    return Work(tmp_path / "work")


# -- places ----------------------------------------------------------------------------------------------------------


def test_what_the_change_did_not_touch_is_old_and_what_it_brought_is_new(work: Work) -> None:
    work.commit({"a.md": article((A, 4, 3)), "b.md": article((B, 4, 3))})
    work.write({"b.md": "---\ntitle: longer\nimages:\n  - url: " + B + "\n  - url: " + C + "\n---\n"})
    audit = work.since("HEAD")
    assert new(audit) == [("http-status", C, "b.md", 5)]
    assert (len(audit.findings), audit.summary.old, audit.is_well) == (3, 2, False)
    work.commit()
    assert new(work.since("HEAD~1")) == [("http-status", C, "b.md", 5)]
    assert work.since("HEAD").is_well


def test_a_new_place_of_an_old_image_makes_it_new_and_stands_first(work: Work) -> None:
    work.commit({"a.md": article((A, 4, 3))})
    work.write({"z.md": article((A, 4, 3))})  # not even added
    audit = work.since("HEAD")
    assert new(audit) == [("http-status", A, "z.md", 4)]
    assert [place.article for place in audit.findings[0].references] == ["z.md", "a.md"]


def test_another_field_is_another_place(work: Work) -> None:
    work.commit({"a.md": article((A, 4, 3))})
    work.write({"a.md": article((A, 4, 3), body=f"![]({A})")})
    assert new(work.since("HEAD")) == [("http-status", A, "a.md", 8)]


def test_another_declared_size_matters_to_rules_about_sizes_alone(work: Work) -> None:
    work.commit({"a.md": article((A, 4, 3))})
    work.write({"a.md": article((A, 4, 5))})
    assert [rule for rule, *_ in new(work.since("HEAD", "dimensions", "http-status", "scaled"))] == [
        "dimensions",
        "scaled",
    ]


def test_another_flag_matters_to_rules_about_flags_alone(work: Work) -> None:
    text = article((A, 4, 3))
    work.commit({"a.md": text})
    work.write({"a.md": text.replace("    height: 3\n", "    height: 3\n    isCached: true\n")})
    rules = ("copy-without-flag", "dimensions", "dns", "flag-without-copy")
    assert [rule for rule, *_ in new(work.since("HEAD", *rules))] == ["copy-without-flag", "flag-without-copy"]


def test_an_article_that_is_renamed_and_edited_keeps_what_it_had(work: Work) -> None:
    work.commit({"news/a.md": article((A, 4, 3), (B, 4, 3), body="A long text.\n" * 20)})
    work.git("mv", "news/a.md", "news/b.md")
    work.write({"news/b.md": article((A, 4, 3), (B, 4, 3), (C, 4, 3), body="A long text.\n" * 20)})
    assert [url for _, url, *_ in new(work.since("HEAD"))] == [C]


def test_an_unreadable_article_is_new_where_it_changed(work: Work) -> None:
    broken = "---\nimages: [\n---\n"
    work.commit({"a.md": article((A, 4, 3)), "b.md": broken})
    work.write({"a.md": broken})
    audit = work.since("HEAD")
    assert new(audit) == [("article-unreadable", None, "a.md", 3)]
    assert [place.article for place in audit.findings[0].references] == ["a.md", "b.md"]
    work.commit()
    work.write({"a.md": article((A, 4, 3)), "b.md": broken})
    assert new(work.since("HEAD")) == [("http-status", A, "a.md", 4)]  # nothing is known of what it had


def test_what_speaks_of_a_whole_article_is_new_where_it_names_something_new(work: Work) -> None:
    work.commit({"a.md": article((A, 4, 3)), "b.md": article((A, 4, 3))})
    work.write({"a.md": article((A, 4, 3), (B, 4, 3)), "b.md": article((A, 4, 3), body="More.")})
    before = Baseline(Site(work.root, None), since="HEAD")
    audit = before.mark(audit_of(finding("budget-hosts", None, [Place(n, 1, 1, "")]) for n in ("a.md", "b.md")))
    assert [one.is_old for one in audit.findings] == [False, True]


def test_a_finding_about_no_place_is_never_old(work: Work) -> None:
    work.commit({"a.md": article((A, 4, 3))})
    audit = audit_of([finding("no-network", None, [])])
    assert not Baseline(Site(work.root, None), since="HEAD").mark(audit).is_well


# -- the site's own images -------------------------------------------------------------------------------------------


def test_an_own_image_is_new_where_its_file_changed_came_or_went(work: Work) -> None:
    names = ("same.png", "changed.png", "gone.png", "came.png")
    work.commit({"posts/a.md": article(*((f"/img/{name}", 4, 3) for name in names))})
    (work.root / "img").mkdir()
    for name in names[:3]:
        Image.new("RGB", (4, 3)).save(work.root / "img" / name)
    work.commit()
    Image.new("RGB", (8, 3)).save(work.root / "img/changed.png")
    Image.new("RGB", (8, 3)).save(work.root / "img/came.png")
    (work.root / "img/gone.png").unlink()
    assert [url for _, url, *_ in new(work.since("HEAD"))] == ["/img/came.png", "/img/changed.png", "/img/gone.png"]


def test_an_own_image_is_found_where_generators_put_it_and_by_the_address_of_the_site(work: Work) -> None:
    url = "https://site.example/news/p.png"
    work.commit({"a.md": article((url, 4, 3), ("/q.png", 4, 3)), "static/p.png": b"1", "q.png": b"1"})
    work.write({"static/p.png": b"2", "static/q.png": b"2"})  # /q.png is found before static/q.png
    assert [u for _, u, *_ in new(work.since("HEAD", site_url="https://site.example/news"))] == [url]
    assert new(work.since("HEAD")) == []  # without that address it is a stranger's image


def test_an_article_that_moves_away_from_its_picture_brought_that(work: Work) -> None:
    work.commit({"a/a.md": article(("p.png", 4, 3), (A, 4, 3), body="Text.\n" * 20), "a/p.png": b"1"})
    (work.root / "b").mkdir()
    work.git("mv", "a/a.md", "b/a.md")
    assert [url for _, url, *_ in new(work.since("HEAD"))] == ["p.png"]


# -- git -------------------------------------------------------------------------------------------------------------


def test_a_site_in_a_folder_of_the_work_tree_with_awkward_names(tmp_path: Path) -> None:
    work = Work(tmp_path / "the work", "the site/docs")
    work.commit({'ein "Zitat"\n/ä b.md': article((A, 4, 3))})
    work.write({'ein "Zitat"\n/ä b.md': article((A, 4, 3), (B, 4, 3)), "tab\there.md": article((C, 4, 3))})
    assert {(url, name) for _, url, name, _ in new(work.since("HEAD"))} == {
        (B, 'ein "Zitat"\n/ä b.md'),
        (C, "tab\there.md"),
    }


def test_an_article_that_git_ignores_is_new_and_a_submodule_is_as_old_as_its_commit(tmp_path: Path) -> None:
    theme = Work(tmp_path / "theme")
    theme.commit({"example/a.md": article((A, 4, 3))})
    work = Work(tmp_path / "work")
    work.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(theme.repository), "themes/t")
    work.commit({".gitignore": "drafts", "b.md": article((B, 4, 3))})
    work.write({"drafts/c.md": article((C, 4, 3))})
    assert [url for _, url, *_ in new(work.since("HEAD"))] == [C]
    work.write({"themes/t/example/a.md": article((A, 4, 3), body="edited")})
    assert [url for _, url, *_ in new(work.since("HEAD"))] == [A, C]


def test_before_the_first_commit_everything_is_new(work: Work) -> None:
    work.write({"a.md": article((A, 4, 3))})
    assert len(new(work.since("HEAD"))) == 1


@pytest.mark.parametrize("revision", ["no-such", "HEAD:a.md", "@{-9}", "--output=stolen"])
def test_what_is_no_revision_is_refused_before_the_audit_begins(work: Work, revision: str) -> None:
    work.commit({"a.md": article((A, 4, 3))})
    before = sorted(work.repository.rglob("*"))
    with pytest.raises(ConfigError, match=r"^--since: "):
        Baseline(Site(work.root, None), since=revision)
    assert sorted(work.repository.rglob("*")) == before


@pytest.mark.parametrize("revision", ["--output=stolen", "-p", "", "HEAD\nHEAD"])
def test_an_option_is_never_handed_to_git(work: Work, revision: str) -> None:
    with pytest.raises(ConfigError, match="is no name of a revision"):
        Baseline(Site(work.root, None), since=revision)


def test_a_shallow_clone_says_what_to_fetch(work: Work, tmp_path: Path) -> None:
    work.commit({"a.md": article((A, 4, 3))})
    old = work.git("rev-parse", "HEAD")
    work.commit({"a.md": article((B, 4, 3))})
    work.git("clone", "--quiet", "--depth=1", f"file://{work.repository}", str(tmp_path / "clone"))
    with pytest.raises(ConfigError, match="fetch-depth: 0"):
        Baseline(Site(tmp_path / "clone", None), since=old)


def test_a_clone_without_the_old_text_says_so(work: Work) -> None:
    old = work.commit({"a.md": article((A, 4, 3))})
    work.commit({"a.md": article((B, 4, 3))})
    name = work.git("rev-parse", f"{old}:a.md")
    (work.repository / ".git/objects" / name[:2] / name[2:]).unlink()
    with pytest.raises(ConfigError, match=f"git does not have the object {name}"):
        work.since(old)


def test_a_folder_without_git_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"not a git repository.*--baseline FILE"):
        Baseline(Site(tmp_path, None), since="HEAD")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match=r"git is not installed.*--baseline FILE"):
        Baseline(Site(tmp_path, None), since="HEAD")


def test_settings_of_the_repository_change_nothing_and_run_nothing(work: Work, tmp_path: Path) -> None:
    work.commit({"ä.md": article((A, 4, 3), body="Text.\n" * 20), "sub/b.md": article((B, 4, 3))})
    trap = tmp_path / "trap"
    trap.write_text(f"#!/bin/sh\ntouch {tmp_path}/sprung\n")
    trap.chmod(0o755)
    for key, value in {
        "core.fsmonitor": str(trap),
        "diff.external": str(trap),
        "diff.renames": "false",
        "diff.noprefix": "true",
        "diff.relative": "false",
        "color.ui": "always",
        "core.quotePath": "true",
        "status.showUntrackedFiles": "no",
        "diff.orderFile": "/dev/null",
    }.items():
        work.git("config", key, value)
    (work.root / "ä.md").rename(work.root / "ö.md")
    work.git("-c", "core.fsmonitor=false", "add", "--all")
    work.write({"c.md": article((C, 4, 3))})
    sprung = tmp_path / "sprung"
    sprung.unlink(missing_ok=True)
    index = (work.repository / ".git/index").read_bytes()
    os.utime(work.root / "sub/b.md", (1, 1))
    assert [url for _, url, *_ in new(work.since("HEAD"))] == [C]
    assert not sprung.exists()
    assert (work.repository / ".git/index").read_bytes() == index


def test_what_is_saved_in_the_same_tick_as_the_index_is_seen(work: Work) -> None:
    work.git("config", "core.trustctime", "false")
    work.git("config", "core.checkStat", "minimal")
    work.write({"a.md": article((A, 4, 3))})
    os.utime(work.root / "a.md", (10**9, 10**9))
    work.commit()
    os.utime(work.repository / ".git/index", (10**9, 10**9))
    work.write({"a.md": article((B, 4, 3))})  # as many bytes
    os.utime(work.root / "a.md", (10**9, 10**9))
    assert [url for _, url, *_ in new(work.since("HEAD"))] == [B]


def test_inside_a_hook_the_repository_of_the_site_is_asked(
    work: Work, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work.commit({"a.md": article((A, 4, 3))})
    other = Work(tmp_path / "other")
    other.commit()
    monkeypatch.setenv("GIT_DIR", str(other.repository / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", ".git/nothing")
    assert new(work.since("HEAD")) == []


# -- an earlier report -----------------------------------------------------------------------------------------------


def by_file(audit: AuditReport, file: Path) -> AuditReport:
    return Baseline(Site(file.parent, None), baseline=file).mark(audit)


def test_what_an_earlier_report_names_is_old_on_whatever_line(work: Work, tmp_path: Path) -> None:
    work.write({"a.md": article((A, 4, 3)), "b.md": article((B, 4, 3))})
    file = tmp_path / "before.json"
    file.write_bytes(work.audit("http-status", "dimensions").to_json())
    work.write({"a.md": article((C, 4, 3), (A, 9, 9)), "c.md": article((B, 4, 3))})
    audit = by_file(work.audit("dns", "http-status"), file)
    assert new(audit) == [
        ("dns", A, "a.md", 7),
        ("dns", B, "b.md", 4),
        ("dns", C, "a.md", 4),
        ("http-status", B, "c.md", 4),
        ("http-status", C, "a.md", 4),
    ]
    (twice,) = (one for one in audit.findings if (one.rule, one.url) == ("http-status", B))
    assert [place.article for place in twice.references] == ["c.md", "b.md"]


@pytest.mark.parametrize(
    "text", [b"", b"[]", b"{}", b"\xff\xfe", b'{"findings": []}', b'{"summary": {}, "findings": [{"url": 3}]}']
)
def test_what_is_no_report_says_how_to_make_one(tmp_path: Path, text: bytes) -> None:
    file = tmp_path / "before.json"
    file.write_bytes(text)
    with pytest.raises(ConfigError, match=r"--baseline: .*before.json is no JSON report.*--format json --output FILE"):
        Baseline(Site(tmp_path, None), baseline=file)


def test_a_report_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--baseline: .*before.json cannot be read: No such file"):
        Baseline(Site(tmp_path, None), baseline=tmp_path / "before.json")


def test_with_both_a_place_is_old_that_either_knows(work: Work, tmp_path: Path) -> None:
    work.write({"b.md": article((A, 4, 3))})
    file = tmp_path / "before.json"
    file.write_bytes(work.audit().to_json())
    (work.root / "b.md").unlink()
    work.commit({"a.md": article((A, 4, 3))})
    work.write({"b.md": article((A, 4, 3))})
    site = Site(work.root, None)
    assert Baseline(site, since="HEAD", baseline=file).mark(work.audit()).is_well
    assert not Baseline(site, since="HEAD").mark(work.audit()).is_well
    assert not Baseline(site, baseline=file).mark(work.audit()).is_well


# -- laws ------------------------------------------------------------------------------------------------------------

EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"  # of every repository that names objects by SHA-1

files = st.dictionaries(
    st.sampled_from(["a.md", "b/c.md", "b/d d.md", "é.md"]),
    st.lists(st.sampled_from([A, B, C, "/img/p.png"]), max_size=4).map(
        lambda urls: article(*((url, 4, 3) for url in urls))
    )
    | st.just("---\n: [\n---\n"),
    max_size=4,
)


@settings(max_examples=8)
@given(before=files, after=files)
def test_everything_is_old_against_itself_and_new_against_nothing_and_marking_twice_is_marking_once(
    before: dict[str, str], after: dict[str, str]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        work = Work(Path(folder))
        work.commit(before)
        assert all(one.is_old for one in work.since("HEAD").findings)
        assert not any(one.is_old for one in work.since(EMPTY_TREE).findings)
        work.write(after)
        audit = work.since("HEAD")
        assert Baseline(Site(work.root, None), since="HEAD").mark(audit) == audit
        assert sorted(map(told, audit.findings)) == sorted(map(told, work.audit().findings))
        newly = {one.url for one in audit.findings if not one.is_old}
        assert newly >= {url for url in (A, B, C) if any(url in text for text in after.values())} - {
            url for url in (A, B, C) if any(url in text for text in before.values())
        }
        work.commit()
        assert all(one.is_old for one in work.since("HEAD").findings)


def told(found: Finding) -> tuple[str, str, list[Place]]:
    return found.rule, found.url or "", sorted(found.references)
