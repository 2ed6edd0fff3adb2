"""The `imgcache audit` command with real sockets and real files."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree

import pytest

from examples.origin import Answer, Origin, in_thread
from imgcache.cache import CacheLock, Index
from tests.conftest import Command, MakeSite, article, picture
from tests.support.audits import PLAIN, A, Audit, B, by_rule, only
from tests.support.site_files import articles, tree


def test_a_site_without_problems_has_no_findings_and_stores_no_image(
    audit: Audit, origin: Origin, make_site: MakeSite
) -> None:
    origin.answers.set(A, picture(400, 300))
    site = make_site({"a.md": article((A, 400, 300)), "b.md": article((A, 400, 300))})
    before = articles(site)
    ended = audit(site, "--json")
    assert (ended.code, ended.json()["findings"], ended.err) == (0, [], "")
    summary = ended.json()["summary"]
    assert {key: summary[key] for key in ("references", "images", "ok", "findings", "by_rule", "articles")} == {
        "references": 2,
        "images": 1,
        "ok": 1,
        "findings": 0,
        "by_rule": {},
        "articles": 2,
    }
    assert origin.requests[A] == 1
    assert articles(site) == before
    assert [path.name for path in (site / "cache").iterdir()] == ["index"]


def test_an_audit_changes_nothing_but_the_index(
    run: Command, audit: Audit, origin: Origin, make_site: MakeSite
) -> None:
    origin.answers.set(A, picture(400, 300))
    origin.answers.set(B, picture(40, 30))
    site = make_site({"a.md": article((A, 400, 300), (B, 99, 30))})
    run("sync", site)
    origin.answers.set(A, Answer(status=404))

    def bytes_and_times() -> dict[str, tuple[bytes, int]]:
        files = {name: data for name, data in tree(site).items() if not name.startswith("cache/index/")}
        return {name: (data, (site / name).stat().st_mtime_ns) for name, data in files.items()}

    before = bytes_and_times()
    assert audit(site).code == 1
    assert bytes_and_times() == before
    assert "cache/manifest.json" in before


def test_an_offline_audit_writes_nothing_and_contacts_no_host(
    audit: Audit, origin: Origin, make_site: MakeSite
) -> None:
    site = make_site({"a.md": article((A, 400, 300), body="![](/nope.png)")})
    ended = audit(site, "--offline", "--json")
    assert (ended.code, only(ended)["rule"]) == (1, "missing-file")
    assert sorted(tree(site)) == ["a.md"]
    assert dict(origin.requests) == {}


def test_two_audits_of_the_same_state_give_the_same_report(
    audit: Audit, origin: Origin, make_site: MakeSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    origin.answers.set(A, picture(300, 400))
    origin.answers.set(PLAIN, picture(40, 30))
    site = make_site(
        {
            "2026-01-01-a.md": article((A, 400, 300), (PLAIN, 40, 30), ("https://gone.example/x.jpg", 1, 2)),
            "2026-01-02-b.md": article((A, 300, 400), ("ftp://x.example/y.png", 1, 1), body="![](/nope.png)"),
        }
    )
    first = audit(site, "--json")
    assert len(first.json()["findings"]) == 5
    later = time.time() + 2  # first seen is in seconds
    monkeypatch.setattr("imgcache.cli.audit.now", lambda: later)
    assert audit(site, "--json").out == first.out


def test_an_audit_is_refused_while_another_run_holds_the_cache(audit: Audit, make_site: MakeSite) -> None:
    site = make_site({"a.md": article((A, 1, 1))})
    with CacheLock(site / "cache/index", command="sync", now=time.time()):
        ended = audit(site)
        assert (ended.code, ended.out) == (3, "")
        assert "sync" in ended.err
        assert audit(site, "--offline").code == 0


def test_an_interrupted_audit_keeps_what_it_learned_and_reports_it(origin: Origin, make_site: MakeSite) -> None:
    gone, slow = "https://gone.example/x.jpg", "https://slow.example/x.jpg"
    origin.answers.set(A, picture(40, 30))
    origin.answers.set(slow, Answer(size=(40, 30), delay=5))
    site = make_site({"a.md": article((A, 40, 30), (gone, 4, 3), (slow, 40, 30))})
    environment = os.environ | {"SSL_CERT_FILE": str(origin.ca_file)}
    words = [sys.executable, "-m", "imgcache", "audit", str(site), "--json", *origin.connect_to]
    process = subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 30
    while {A, gone, slow} - {url for url in (A, gone, slow) if origin.requests[url]} and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert b"finished checks are kept" in err
    [found] = json.loads(out)["findings"]
    assert (found["rule"], found["url"], found["state"]) == ("http-status", gone, "suspect")
    assert json.loads(out)["history"] == []  # a line of a day is of a whole audit
    index = Index(site / "cache/index", repair=False)
    assert [url for url, _ in index.failures()] == [gone]
    assert [key for key, _ in index.first_seen()] == [("http-status", gone)]
    index.close()


def test_no_network_is_one_finding_and_nothing_is_recorded(run: Command, make_site: MakeSite) -> None:
    urls = [f"https://h{number}.example/x.jpg" for number in range(3)]
    with in_thread(Origin({url: Answer(down=True) for url in urls})) as origin:
        run.use(origin)
        site = make_site({"a.md": article(*((url, 1, 2) for url in urls), body="![](/nope.png)")})
        ended = run("audit", site, "--json", *origin.connect_to)
    found = by_rule(ended)
    assert (ended.code, sorted(found)) == (1, ["missing-file", "no-network"])
    assert (found["no-network"]["url"], found["no-network"]["severity"]) == (None, "error")
    assert [line for line in ended.err.splitlines() if "network" in line] == ended.err.splitlines() != []
    assert run("status", site, "--json").json()["failing"] == 0
    index = Index(site / "cache/index", repair=False)
    assert (list(index.first_seen()), list(index.days())) == ([], [])
    index.close()


def test_a_single_host_that_is_down_is_not_taken_for_a_network_failure(run: Command, make_site: MakeSite) -> None:
    with in_thread(Origin({A: Answer(down=True)})) as origin:
        run.use(origin)
        site = make_site({"a.md": article((A, 1, 2))})
        found = only(run("audit", site, "--json", *origin.connect_to))
    assert (found["rule"], found["url"], found["state"]) == ("connect", A, "suspect")
    assert run("status", site, "--json").json()["failing"] == 1


def test_output_writes_the_whole_report_to_a_file(
    audit: Audit, origin: Origin, make_site: MakeSite, tmp_path: Path
) -> None:
    site = make_site({"a.md": article((A, 400, 300))})
    ended = audit(site, "--format", "json", "--output", tmp_path / "report.json")
    assert (ended.code, ended.out) == (1, "")
    assert json.loads((tmp_path / "report.json").read_text())["summary"]["findings"] == 1
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["report.json"]
    assert audit(site, "--output", tmp_path / "no/such/folder.txt").code == 2


def test_findings_in_the_baseline_are_old(audit: Audit, make_site: MakeSite, tmp_path: Path) -> None:
    site = make_site({"a.md": article((A, 400, 300))})
    audit(site, "--json", "--output", tmp_path / "report.json")
    ended = audit(site, "--json", "--baseline", tmp_path / "report.json")
    assert (ended.code, only(ended)["is_old"], ended.json()["summary"]["old"]) == (0, True, 1)
    (site / "b.md").write_text(article((B, 1, 2)))
    ended = audit(site, "--json", "--baseline", tmp_path / "report.json")
    assert (ended.code, {one["url"]: one["is_old"] for one in ended.json()["findings"]}) == (1, {A: True, B: False})


def test_fix_writes_what_is_certain_and_reports_the_rest(audit: Audit, origin: Origin, make_site: MakeSite) -> None:
    gone = "https://gone.example/x.jpg"
    origin.answers.set(A, picture(300, 400))
    origin.answers.set(PLAIN, picture(40, 30))
    site = make_site({"a.md": article((A, 400, 300), (PLAIN, 40, 30), (gone, 1, 2))})
    text = (site / "a.md").read_text()
    wished = text.replace(PLAIN, B).replace("width: 400\n    height: 300", "width: 300\n    height: 400")
    patch = audit(site, "--diff")
    assert (site / "a.md").read_text() == text
    assert patch.out.startswith("--- a/a.md\n+++ b/a.md\n")
    assert f"+  - url: {B}\n" in patch.out
    ended = audit(site, "--fix", "--json")
    assert (site / "a.md").read_text() == wished
    assert (ended.code, only(ended)["url"], ended.json()["summary"]["ok"]) == (1, gone, 2)
    assert "1 address and 1 size in 1 article were corrected; run `imgcache sync`" in ended.err
    assert only(audit(site, "--json"))["url"] == gone


@pytest.mark.parametrize("words", [("--fix", "--diff"), ("--json", "--format", "html"), ("--format", "pdf")])
def test_contradictory_options_are_refused(audit: Audit, make_site: MakeSite, words: tuple[str, ...]) -> None:
    site = make_site({"a.md": article((A, 400, 300))})
    assert audit(site, *words).code == 2
    assert sorted(tree(site)) == ["a.md"]


@pytest.mark.parametrize("form", ["text", "json", "junit", "sarif", "github", "html"])
def test_every_format_names_the_image_and_prints_only_the_report(audit: Audit, make_site: MakeSite, form: str) -> None:
    ended = audit(make_site({"a.md": article((A, 400, 300))}), "--format", form)
    assert (ended.code, ended.err) == (1, "")
    assert "pictures.example/a.jpg" in ended.out


def test_junit_has_a_case_for_every_image(audit: Audit, origin: Origin, make_site: MakeSite) -> None:
    origin.answers.set(B, picture(40, 30))
    site = make_site({"a.md": article((A, 400, 300), (B, 40, 30), (B, 40, 30)) + "![own](own.png) ![](data:,x)\n"})
    ended = audit(site, "--format", "junit")
    cases = {case.get("name", ""): case for case in ElementTree.fromstring(ended.out.encode()).iter("testcase")}
    assert sorted(cases) == ["https://pictures.example/a.jpg", "https://pictures.example/b.png", "own.png"]
    assert [name for name, case in cases.items() if case.find("failure") is None] == [B]


def test_since_separates_the_findings_that_a_change_brought(
    audit: Audit, make_site: MakeSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = make_site({"a.md": article((A, 400, 300))})
    for name in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{name}_NAME", "n")
        monkeypatch.setenv(f"GIT_{name}_EMAIL", "n@example.org")
    for words in (("init", "-q"), ("add", "a.md"), ("commit", "-q", "-m", "first")):
        subprocess.run(["git", "-C", str(site), *words], check=True)
    known = audit(site, "--since", "HEAD", "--json")
    assert (known.code, only(known)["is_old"], known.json()["summary"]["old"]) == (0, True, 1)
    (site / "b.md").write_text(article((A, 400, 300)))
    brought = audit(site, "--since", "HEAD", "--json")
    assert (brought.code, only(brought)["is_old"], only(brought)["article"]) == (1, False, "b.md")
    assert audit(site, "--since", "nowhere").code == 2
