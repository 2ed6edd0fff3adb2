"""Which findings a change brought, and which were there before it: real repositories, real files."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from imgcache.auditor import Baseline
from imgcache.core import AuditReport, ConfigError, Finding, Place
from imgcache.scanner import Site
from tests.conftest import article
from tests.support.work_trees import A, B, C, WorkTree, audit_of, finding, new_findings


@pytest.fixture
def work(tmp_path: Path) -> WorkTree:
    return WorkTree(tmp_path / "work")


def test_untouched_places_are_old_and_added_places_are_new(work: WorkTree) -> None:
    work.commit({"a.md": article((A, 4, 3)), "b.md": article((B, 4, 3))})
    work.write({"b.md": "---\ntitle: longer\nimages:\n  - url: " + B + "\n  - url: " + C + "\n---\n"})
    audit = work.since("HEAD")
    assert new_findings(audit) == [("http-status", C, "b.md", 5)]
    assert (len(audit.findings), audit.summary.old, audit.passes) == (3, 2, False)
    work.commit()
    assert new_findings(work.since("HEAD~1")) == [("http-status", C, "b.md", 5)]
    assert work.since("HEAD").passes


def test_a_new_place_of_an_old_image_makes_it_new_and_is_listed_first(work: WorkTree) -> None:
    work.commit({"a.md": article((A, 4, 3))})
    work.write({"z.md": article((A, 4, 3))})  # not even added
    audit = work.since("HEAD")
    assert new_findings(audit) == [("http-status", A, "z.md", 4)]
    assert [place.article for place in audit.findings[0].references] == ["z.md", "a.md"]


def test_another_field_is_another_place(work: WorkTree) -> None:
    work.commit({"a.md": article((A, 4, 3))})
    work.write({"a.md": article((A, 4, 3), body=f"![]({A})")})
    assert new_findings(work.since("HEAD")) == [("http-status", A, "a.md", 8)]


def test_another_declared_size_matters_only_to_rules_about_sizes(work: WorkTree) -> None:
    work.commit({"a.md": article((A, 4, 3))})
    work.write({"a.md": article((A, 4, 5))})
    assert [rule for rule, *_ in new_findings(work.since("HEAD", "dimensions", "http-status", "scaled"))] == [
        "dimensions",
        "scaled",
    ]


def test_another_flag_matters_only_to_rules_about_flags(work: WorkTree) -> None:
    text = article((A, 4, 3))
    work.commit({"a.md": text})
    work.write({"a.md": text.replace("    height: 3\n", "    height: 3\n    isCached: true\n")})
    rules = ("copy-without-flag", "dimensions", "dns", "flag-without-copy")
    assert [rule for rule, *_ in new_findings(work.since("HEAD", *rules))] == ["copy-without-flag", "flag-without-copy"]


def test_a_renamed_and_edited_article_keeps_its_old_findings(work: WorkTree) -> None:
    work.commit({"news/a.md": article((A, 4, 3), (B, 4, 3), body="A long text.\n" * 20)})
    work.git("mv", "news/a.md", "news/b.md")
    work.write({"news/b.md": article((A, 4, 3), (B, 4, 3), (C, 4, 3), body="A long text.\n" * 20)})
    assert [url for _, url, *_ in new_findings(work.since("HEAD"))] == [C]


def test_an_unreadable_article_is_new_if_it_changed(work: WorkTree) -> None:
    broken = "---\nimages: [\n---\n"
    work.commit({"a.md": article((A, 4, 3)), "b.md": broken})
    work.write({"a.md": broken})
    audit = work.since("HEAD")
    assert new_findings(audit) == [("article-unreadable", None, "a.md", 3)]
    assert [place.article for place in audit.findings[0].references] == ["a.md", "b.md"]
    work.commit()
    work.write({"a.md": article((A, 4, 3)), "b.md": broken})
    assert new_findings(work.since("HEAD")) == [("http-status", A, "a.md", 4)]  # nothing is known of what it had


def test_a_finding_about_a_whole_article_is_new_if_the_article_names_something_new(work: WorkTree) -> None:
    work.commit({"a.md": article((A, 4, 3)), "b.md": article((A, 4, 3))})
    work.write({"a.md": article((A, 4, 3), (B, 4, 3)), "b.md": article((A, 4, 3), body="More.")})
    before = Baseline(Site(work.root, None), since="HEAD")
    audit = before.mark(audit_of(finding("budget-hosts", None, [Place(n, 1, 1, "")]) for n in ("a.md", "b.md")))
    assert [one.is_old for one in audit.findings] == [False, True]


def test_a_finding_without_a_place_is_never_old(work: WorkTree) -> None:
    work.commit({"a.md": article((A, 4, 3))})
    audit = audit_of([finding("no-network", None, [])])
    assert not Baseline(Site(work.root, None), since="HEAD").mark(audit).passes


# -- the site's own images -------------------------------------------------------------------------------------------


def test_an_own_image_is_new_if_its_file_was_added_changed_or_deleted(work: WorkTree) -> None:
    names = ("same.png", "changed.png", "gone.png", "came.png")
    work.commit({"posts/a.md": article(*((f"/img/{name}", 4, 3) for name in names))})
    (work.root / "img").mkdir()
    for name in names[:3]:
        Image.new("RGB", (4, 3)).save(work.root / "img" / name)
    work.commit()
    Image.new("RGB", (8, 3)).save(work.root / "img/changed.png")
    Image.new("RGB", (8, 3)).save(work.root / "img/came.png")
    (work.root / "img/gone.png").unlink()
    assert [url for _, url, *_ in new_findings(work.since("HEAD"))] == [
        "/img/came.png",
        "/img/changed.png",
        "/img/gone.png",
    ]


def test_an_own_image_is_found_in_static_folders_and_by_the_url_of_the_site(work: WorkTree) -> None:
    url = "https://site.example/news/p.png"
    work.commit({"a.md": article((url, 4, 3), ("/q.png", 4, 3)), "static/p.png": b"1", "q.png": b"1"})
    work.write({"static/p.png": b"2", "static/q.png": b"2"})  # /q.png is found before static/q.png
    assert [u for _, u, *_ in new_findings(work.since("HEAD", site_url="https://site.example/news"))] == [url]
    assert new_findings(work.since("HEAD")) == []  # without that address it is a stranger's image


def test_an_article_that_moves_away_from_its_image_makes_the_finding_new(work: WorkTree) -> None:
    work.commit({"a/a.md": article(("p.png", 4, 3), (A, 4, 3), body="Text.\n" * 20), "a/p.png": b"1"})
    (work.root / "b").mkdir()
    work.git("mv", "a/a.md", "b/a.md")
    assert [url for _, url, *_ in new_findings(work.since("HEAD"))] == ["p.png"]


def by_file(audit: AuditReport, file: Path) -> AuditReport:
    return Baseline(Site(file.parent, None), baseline=file).mark(audit)


def test_findings_of_an_earlier_report_are_old_on_any_line(work: WorkTree, tmp_path: Path) -> None:
    work.write({"a.md": article((A, 4, 3)), "b.md": article((B, 4, 3))})
    file = tmp_path / "before.json"
    file.write_bytes(work.audit("http-status", "dimensions").to_json())
    work.write({"a.md": article((C, 4, 3), (A, 9, 9)), "c.md": article((B, 4, 3))})
    audit = by_file(work.audit("dns", "http-status"), file)
    assert new_findings(audit) == [
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
def test_a_file_that_is_no_report_is_refused_with_advice(tmp_path: Path, text: bytes) -> None:
    file = tmp_path / "before.json"
    file.write_bytes(text)
    with pytest.raises(ConfigError, match=r"--baseline: .*before.json is not the JSON report.*--format json"):
        Baseline(Site(tmp_path, None), baseline=file)


def test_a_missing_report_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--baseline: .*before.json cannot be read: No such file"):
        Baseline(Site(tmp_path, None), baseline=tmp_path / "before.json")


def test_with_revision_and_report_a_place_is_old_if_either_has_it(work: WorkTree, tmp_path: Path) -> None:
    work.write({"b.md": article((A, 4, 3))})
    file = tmp_path / "before.json"
    file.write_bytes(work.audit().to_json())
    (work.root / "b.md").unlink()
    work.commit({"a.md": article((A, 4, 3))})
    work.write({"b.md": article((A, 4, 3))})
    site = Site(work.root, None)
    assert Baseline(site, since="HEAD", baseline=file).mark(work.audit()).passes
    assert not Baseline(site, since="HEAD").mark(work.audit()).passes
    assert not Baseline(site, baseline=file).mark(work.audit()).passes


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
def test_all_is_old_against_itself_and_new_against_an_empty_tree_and_marking_is_idempotent(
    before: dict[str, str], after: dict[str, str]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        work = WorkTree(Path(folder))
        work.commit(before)
        assert all(one.is_old for one in work.since("HEAD").findings)
        assert not any(one.is_old for one in work.since(EMPTY_TREE).findings)
        work.write(after)
        audit = work.since("HEAD")
        assert Baseline(Site(work.root, None), since="HEAD").mark(audit) == audit
        assert sorted(map(marks, audit.findings)) == sorted(map(marks, work.audit().findings))
        newly = {one.url for one in audit.findings if not one.is_old}
        assert newly >= {url for url in (A, B, C) if any(url in text for text in after.values())} - {
            url for url in (A, B, C) if any(url in text for text in before.values())
        }
        work.commit()
        assert all(one.is_old for one in work.since("HEAD").findings)


def marks(found: Finding) -> tuple[str, str, list[Place]]:
    return found.rule, found.url or "", sorted(found.references)
