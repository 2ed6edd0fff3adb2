"""`imgcache audit` from the outside: real sockets, real files."""

from __future__ import annotations

import json
import os
import shutil
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import trustme

from examples.origin import Answer, Origin, in_thread
from examples.origin.answers import content_of, normal
from examples.origin.drawing import draw
from imgcache.health import DAY
from imgcache.index import Index
from imgcache.lock import CacheLock
from imgcache.models import Failure
from tests.conftest import Command, Ended, MakeSite, article, picture
from tests.test_sync import articles, tree

A = "https://pictures.example/a.jpg"
B = "https://pictures.example/b.png"
PLAIN = "http://pictures.example/b.png"

Audit = Callable[..., Ended]
Found = dict[str, Any]


@pytest.fixture
def audit(run: Command, origin: Origin) -> Audit:
    """`imgcache audit` with every host led to the origin."""

    def call(site: Path, *words: str | Path) -> Ended:
        return run("audit", site, *words, *origin.connect_to)

    return call


def by_rule(ended: Ended) -> dict[str, Found]:
    """The findings, of which there is one of each rule."""
    found = {finding["rule"]: finding for finding in ended.json()["findings"]}
    assert len(found) == len(ended.json()["findings"])
    return found


def only(ended: Ended) -> Found:
    """The finding, of which there is one."""
    [found] = ended.json()["findings"]
    return dict(found)


def lines(found: Found) -> list[tuple[str, int]]:
    return [(place["article"], place["line"]) for place in found["references"]]


# -- the run -----------------------------------------------------------------------------------------------------------


def test_a_site_that_is_well_has_no_findings_and_stores_no_image(
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


def test_offline_touches_nothing_at_all_and_asks_nobody(audit: Audit, origin: Origin, make_site: MakeSite) -> None:
    site = make_site({"a.md": article((A, 400, 300), body="![](/nope.png)")})
    ended = audit(site, "--offline", "--json")
    assert (ended.code, only(ended)["rule"]) == (1, "missing-file")
    assert sorted(tree(site)) == ["a.md"]
    assert dict(origin.requests) == {}


def test_two_runs_over_the_same_state_say_the_same(audit: Audit, origin: Origin, make_site: MakeSite) -> None:
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
    time.sleep(1.1)  # first seen is in seconds
    assert audit(site, "--json").out == first.out


def test_another_run_holds_the_cache(audit: Audit, make_site: MakeSite) -> None:
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
    assert b"what was learned is kept" in err
    [found] = json.loads(out)["findings"]
    assert (found["rule"], found["url"], found["state"]) == ("http-status", gone, "suspect")
    assert json.loads(out)["history"] == []  # a line of a day is of a whole audit
    index = Index(site / "cache/index", mend=False)
    assert [url for url, _ in index.failures()] == [gone]
    assert [key for key, _ in index.sightings()] == [("http-status", gone)]
    index.close()


def test_no_network_is_said_once_and_nothing_is_recorded(run: Command, make_site: MakeSite) -> None:
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
    index = Index(site / "cache/index", mend=False)
    assert (list(index.sightings()), list(index.days())) == ([], [])
    index.close()


def test_one_host_that_is_down_is_no_network_that_is_down(run: Command, make_site: MakeSite) -> None:
    with in_thread(Origin({A: Answer(down=True)})) as origin:
        run.use(origin)
        site = make_site({"a.md": article((A, 1, 2))})
        found = only(run("audit", site, "--json", *origin.connect_to))
    assert (found["rule"], found["url"], found["state"]) == ("connect", A, "suspect")
    assert run("status", site, "--json").json()["failing"] == 1


# -- what is found -----------------------------------------------------------------------------------------------------


def test_one_image_in_many_articles_is_one_finding_with_many_places(
    audit: Audit, origin: Origin, make_site: MakeSite
) -> None:
    site = make_site({f"{number:02}.md": article((A, 40, 30)) for number in range(40)} | {"z.md": article((B, 4, 3))})
    origin.answers.set(B, Answer(status=404))
    many, one = audit(site, "--json").json()["findings"]
    assert (many["url"], many["articles"], len(many["references"])) == (A, 40, 40)
    assert (many["article"], many["line"], many["column"], many["field"]) == ("00.md", 4, 10, "images")
    assert one["url"] == B


def test_the_most_used_comes_first_then_the_newest(audit: Audit, make_site: MakeSite) -> None:
    urls = {name: f"https://x.example/{name}.jpg" for name in ("old", "new", "twice")}
    site = make_site(
        {
            "2020-01-01-a.md": article((urls["old"], 1, 1), (urls["twice"], 1, 1)),
            "2026-01-01-b.md": article((urls["new"], 1, 1)),
            "2019-01-01-c.md": article((urls["twice"], 1, 1)),
        }
    )
    found = [finding["url"] for finding in audit(site, "--json").json()["findings"]]
    assert found == [urls["twice"], urls["new"], urls["old"]]


def test_swapped_sizes_another_shape_and_another_size(audit: Audit, origin: Origin, make_site: MakeSite) -> None:
    origin.answers.set(A, picture(300, 400))
    site = make_site({"a.md": article((A, 400, 300)), "b.md": article((A, 600, 800))})
    found = by_rule(audit(site, "--json"))
    assert sorted(found) == ["dimensions", "scaled"]
    assert (found["dimensions"]["severity"], lines(found["dimensions"])) == ("error", [("a.md", 4)])
    assert "swapped" in found["dimensions"]["message"]
    assert "width: 300 and height: 400" in found["dimensions"]["remedy"]
    assert (found["scaled"]["severity"], lines(found["scaled"])) == ("warning", [("b.md", 4)])
    assert found["scaled"]["changes"][0]["size"] == {"width": 300, "height": 400}


def test_places_that_declare_different_sizes_are_told_apart(audit: Audit, origin: Origin, make_site: MakeSite) -> None:
    origin.answers.set(A, picture(300, 400))
    site = make_site({"a.md": article((A, 500, 300)), "b.md": article((A, 100, 300))})
    found = only(audit(site, "--json"))
    assert lines(found) == [("a.md", 4), ("b.md", 4)]
    for text in ("the image is 300×400", "500×300 at a.md:4", "100×300 at b.md:4"):
        assert text in found["message"]


def test_http_that_is_there_over_https_too(audit: Audit, origin: Origin, make_site: MakeSite) -> None:
    origin.answers.set(PLAIN, picture(40, 30))
    site = make_site({"a.md": article((PLAIN, 40, 30))})
    found = only(audit(site, "--json"))
    assert (found["rule"], found["severity"], found["state"]) == ("not-secure", "warning", "ok")
    assert found["changes"][0]["url"] == B
    assert B in found["remedy"]
    assert origin.requests[PLAIN] == 2  # counted whatever the scheme


def test_http_on_a_port_of_its_own_is_only_noted(audit: Audit, origin: Origin, make_site: MakeSite) -> None:
    url = "http://pictures.example:8080/b.png"
    origin.answers.set(url, picture(40, 30))
    site = make_site({"a.md": article((url, 40, 30))})
    ended = audit(site, "--json", "--connect-to", f":8080:127.0.0.1:{origin.http_port}")
    assert (ended.code, only(ended)["severity"], only(ended)["changes"]) == (0, "note", [])


@pytest.mark.parametrize(("status", "severity"), [(301, "warning"), (308, "warning"), (302, "note"), (307, "note")])
def test_redirects(audit: Audit, origin: Origin, make_site: MakeSite, status: int, severity: str) -> None:
    new = "https://new.example/a.jpg"
    origin.answers.set(A, Answer(status=status, location=new))
    origin.answers.set(new, picture(40, 30))
    site = make_site({"a.md": article((A, 40, 30))})
    ended = audit(site, "--json")
    found = only(ended)
    assert (ended.code, found["rule"], found["severity"]) == (0, "redirected", severity)
    assert [change["url"] for change in found["changes"]] == ([new] if severity == "warning" else [])
    assert ended.json()["exposure"]["articles"][0]["hosts"] == ["new.example", "pictures.example"]


def test_a_redirect_for_good_to_its_own_https_form_is_said_once(
    audit: Audit, origin: Origin, make_site: MakeSite
) -> None:
    plain, secure = "http://a.example/x.png", "https://a.example/x.png"
    site = make_site({"a.md": article((plain, 40, 30))})
    origin.answers.set(plain, picture(40, 30))
    with in_thread(Origin({plain: Answer(status=301, location=secure)})) as other:  # one origin for each scheme
        words = [f"--connect-to=a.example:80:127.0.0.1:{other.http_port}", *origin.connect_to]
        ended = audit(site, "--json", *words)
    found = only(ended)
    assert (found["rule"], found["severity"], found["changes"][0]["url"]) == ("not-secure", "warning", secure)


def test_a_redirect_that_many_addresses_share_is_not_written(audit: Audit, origin: Origin, make_site: MakeSite) -> None:
    target, urls = "https://x.example/gone.png", [f"https://x.example/{number}.jpg" for number in range(2)]
    origin.answers.set(target, picture(40, 30))
    for url in urls:
        origin.answers.set(url, Answer(status=301, location=target))
    site = make_site({"a.md": article(*((url, 40, 30) for url in urls))})
    found = audit(site, "--json").json()["findings"]
    assert [(one["rule"], one["changes"]) for one in found] == [("redirected", [])] * 2


def test_an_address_without_its_size_that_answers_is_named(audit: Audit, origin: Origin, make_site: MakeSite) -> None:
    origin.answers.set("https://x.example/p.jpg", picture(40, 30))
    site = make_site({"a.md": article(("https://x.example/p-300x200.jpg", 40, 30))})
    found = only(audit(site, "--json"))
    assert "https://x.example/p.jpg, which answers" in found["remedy"]
    assert found["changes"] == []


def test_another_size_of_it_in_the_site_that_answers_is_named(
    audit: Audit, origin: Origin, make_site: MakeSite
) -> None:
    good, bad = "https://x.example/p?id=7&w=640", "https://x.example/p?id=7&w=9000"
    other = "https://x.example/p?id=8&w=640"
    for url in (good, other):
        origin.answers.set(url, picture(40, 30))
    site = make_site({"a.md": article((other, 40, 30), (bad, 40, 30), (good, 40, 30))})
    assert f"{good}, which answers" in only(audit(site, "--json"))["remedy"]


def test_a_single_pixel_and_its_cookie(run: Command, audit: Audit, origin: Origin, make_site: MakeSite) -> None:
    url = "https://count.example/p.gif"
    origin.answers.set(url, picture(1, 1, headers={"Set-Cookie": "id=1"}))
    site = make_site({"a.md": article(body=f"![]({url})")})
    for _ in range(2):
        ended = audit(site, "--json")
        assert (only(ended)["rule"], only(ended)["severity"]) == ("tracker", "warning")
        exposure = ended.json()["exposure"]
        assert (exposure["hosts"], exposure["cookies"], exposure["trackers"]) == (1, 1, 1)
        [host] = ended.json()["hosts"]
        assert (host["cookies"], host["trackers"], host["answered"], host["median"]) == (["id"], 1, 1, 0.1)
        run("sync", site)  # which refuses it, and remembers that


def test_one_picture_for_many_addresses_is_a_card(audit: Audit, origin: Origin, make_site: MakeSite) -> None:
    urls = [f"https://x.example/{number}.jpg" for number in range(5)]
    body = draw((200, 200), "jpeg", "removed", "x")
    for url in urls:
        origin.answers.set(url, Answer(body=body, media_type="image/jpeg"))
    site = make_site({"a.md": article(*((url, 640, 360) for url in urls[:-1]), (urls[-1], 200, 200))})
    found = audit(site, "--json").json()["findings"]
    assert [(one["rule"], one["url"], one["severity"]) for one in found] == [
        ("placeholder", url, "error") for url in urls[:-1]
    ]


def test_a_bot_wall_is_a_warning_and_robots_a_note(audit: Audit, origin: Origin, make_site: MakeSite) -> None:
    walled, kept = "https://wall.example/a.jpg", "https://kept.example/a.jpg"
    origin.answers.set(walled, Answer(status=403, headers={"cf-mitigated": "challenge"}))
    origin.answers.set(kept, picture(40, 30))
    origin.answers.set("https://kept.example/robots.txt", Answer(body=b"User-agent: *\nDisallow: /\n"))
    origin.answers.set(A, picture(40, 30))
    site = make_site({"a.md": article((walled, 1, 1), (kept, 40, 30), (A, 40, 30))})
    ended = audit(site, "--json")
    found = by_rule(ended)
    assert ended.code == 0
    assert (found["http-status"]["severity"], found["http-status"]["state"]) == ("warning", "blocked")
    assert (found["robots"]["severity"], found["robots"]["state"]) == ("note", None)


def test_an_article_that_cannot_be_read(audit: Audit, make_site: MakeSite) -> None:
    ended = audit(make_site({"a.md": "---\nimages:\n\t- x\n---\n"}), "--json")
    found = only(ended)
    assert (ended.code, found["rule"], found["url"], found["article"], found["line"]) == (
        1,
        "article-unreadable",
        None,
        "a.md",
        3,
    )


def test_a_certificate_that_ends_soon_is_told_once_for_its_host(
    run: Command, make_site: MakeSite, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    ends = datetime.now(UTC) + timedelta(days=5)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("ending.example", not_after=ends).configure_cert(context)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Pictures)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        site = make_site(
            {
                "a.md": article(("https://ending.example/a.png", 40, 30)),
                "b.md": article(("https://ending.example/b.png", 40, 30)),
            }
        )
        ended = run("audit", site, "--json", "--connect-to", f":443:127.0.0.1:{server.server_port}")
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    found = only(ended)
    assert (ended.code, found["rule"], found["severity"], found["url"]) == (0, "certificate-expiring", "warning", None)
    assert lines(found) == [("a.md", 4), ("b.md", 4)]
    assert f"ending.example: its certificate ends on {ends:%Y-%m-%d}" in found["message"]


class Pictures(BaseHTTPRequestHandler):
    """A picture at every address, and no robots.txt."""

    def do_GET(self) -> None:
        is_picture = self.path.endswith(".png")
        data = draw((40, 30), "png", self.path, "x") if is_picture else b""
        self.send_response(200 if is_picture else 404)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Nothing to say."""


# -- the cache ---------------------------------------------------------------------------------------------------------


def test_flags_without_copies_copies_without_flags_and_missing_variants(
    run: Command, audit: Audit, origin: Origin, make_site: MakeSite
) -> None:
    origin.answers.set(A, picture(800, 600))
    origin.answers.set(B, picture(80, 60))
    site = make_site({"a.md": article((A, 800, 600), (B, 80, 60))})
    run("sync", site)
    assert audit(site, "--offline", "--json").json()["findings"] == []
    text = (site / "a.md").read_text()
    (site / "a.md").write_text(text.replace("    height: 600\n    isCached: true\n", "    height: 600\n"))
    [w640] = (site / "cache/assets").glob("*/*/w640.webp")
    w640.unlink()
    shutil.rmtree(next((site / "cache/assets").glob("*/*/original.png")).parent)
    ended = audit(site, "--offline", "--json")
    found = by_rule(ended)
    assert {rule: (one["url"], one["severity"], one["line"]) for rule, one in found.items()} == {
        "flag-without-copy": (B, "error", 7),
        "copy-without-flag": (A, "warning", 4),
        "variant-missing": (A, "warning", 4),
    }
    assert "w640.webp" in found["variant-missing"]["message"]
    assert "verify --repair" in found["variant-missing"]["remedy"]
    assert found["variant-missing"]["digest"] == w640.parent.name
    assert run("verify", site, "--repair").code == 0
    run("sync", site)
    assert audit(site, "--offline", "--json").json()["findings"] == []


def test_a_copy_of_another_shape_lacks_no_flag(run: Command, audit: Audit, origin: Origin, make_site: MakeSite) -> None:
    origin.answers.set(A, picture(300, 400))
    site = make_site({"a.md": article((A, 400, 300))})
    run("sync", site)
    assert only(audit(site, "--offline", "--json"))["rule"] == "dimensions"


def test_a_copy_that_is_held_is_part_of_what_to_do(
    run: Command, audit: Audit, origin: Origin, make_site: MakeSite
) -> None:
    origin.answers.set(A, picture(40, 30))
    site = make_site({"a.md": article((A, 40, 30))})
    run("sync", site)
    origin.answers.set(A, Answer(status=410))
    found = only(audit(site, "--json"))
    assert (found["state"], found["severity"]) == ("gone", "error")
    assert "a copy is held" in found["remedy"]


# -- memory ------------------------------------------------------------------------------------------------------------


def failure_of(site: Path, url: str) -> Failure | None:
    index = Index(site / "cache/index", mend=False)
    try:
        return index.failure(url)
    finally:
        index.close()


def test_failures_are_kept_and_end_with_a_good_look(audit: Audit, origin: Origin, make_site: MakeSite) -> None:
    origin.answers.set(A, Answer(status=500))
    origin.answers.set(B, picture(4, 3))
    site = make_site({"a.md": article((A, 40, 30), (B, 4, 3))})
    for count in (1, 2):
        audit(site)
        failure = failure_of(site, A)
        assert failure is not None
        assert (failure.code, failure.status, failure.count) == ("http-status", 500, count)
    origin.answers.set(A, picture(40, 30))
    assert audit(site, "--json").json()["findings"] == []
    assert failure_of(site, A) is None
    origin.answers.set(A, Answer(status=500))
    ended = audit(site, "--json")
    assert (ended.code, only(ended)["state"], only(ended)["severity"]) == (0, "flaky", "warning")


def test_what_only_the_whole_picture_shows_is_not_refuted_by_its_beginning(
    run: Command, audit: Audit, origin: Origin, make_site: MakeSite
) -> None:
    data = draw((400, 300), "png", "broken", "x")
    origin.answers.set(B, Answer(body=data[: len(data) // 2] + bytes(len(data) // 2), media_type="image/png"))
    site = make_site({"a.md": article((B, 400, 300))})
    run("sync", site)
    code = failure_of(site, B)
    assert code is not None
    found = only(audit(site, "--json"))
    assert (found["rule"], found["severity"]) == (code.code, "error")


def test_a_dead_url_rests_and_is_still_reported(audit: Audit, origin: Origin, make_site: MakeSite) -> None:
    origin.answers.set(B, picture(4, 3))
    site = make_site({"a.md": article((A, 40, 30), (B, 4, 3))})
    audit(site)
    now = time.time()
    index = Index(site / "cache/index")
    index.put_failure(A, Failure("http-status", "said 404", now - 9 * DAY, now - 60, 9, status=404, rests=3))
    index.close()
    asked = origin.requests[A]
    found = only(audit(site, "--json"))
    assert (found["state"], found["severity"], origin.requests[A]) == ("dead", "error", asked)
    assert "failing since" in found["message"]


def test_first_seen_stays_until_it_is_found_no_more(audit: Audit, origin: Origin, make_site: MakeSite) -> None:
    origin.answers.set(A, picture(300, 400))
    site = make_site({"a.md": article((A, 400, 300))})
    index = Index(site / "cache/index")
    index.put_sightings(dict.fromkeys([("dimensions", A), ("dimensions", B)], 1_600_000_000.0))
    index.close()
    assert only(audit(site, "--json"))["first_seen"] == "2020-09-13T12:26:40Z"
    index = Index(site / "cache/index", mend=False)
    assert [key for key, _ in index.sightings()] == [("dimensions", A)]
    index.close()


def test_the_history_has_the_last_run_of_each_day(audit: Audit, origin: Origin, make_site: MakeSite) -> None:
    origin.answers.set(B, picture(4, 3))
    site = make_site({"a.md": article((A, 40, 30), (B, 4, 3))})
    [line] = audit(site, "--json").json()["history"]
    assert (line["images"], line["failing"]) == (2, 1)
    origin.answers.set(A, picture(40, 30))
    [line] = audit(site, "--json").json()["history"]
    assert (line["images"], line["failing"]) == (2, 0)


# -- exposure ----------------------------------------------------------------------------------------------------------


def test_exposure_counts_what_is_hotlinked_and_what_copies_would_cost(
    run: Command, audit: Audit, origin: Origin, make_site: MakeSite
) -> None:
    origin.answers.set(A, picture(1600, 900))
    origin.answers.set(B, picture(80, 60))
    site = make_site({"a.md": article((A, 1600, 900)), "b.md": article((A, 1600, 900), body=f"![]({B})")})
    before = audit(site, "--json").json()["exposure"]
    total = sum(len(origin_bytes(origin, url)) for url in (A, B))
    assert (before["hosts"], before["now"], before["cached"]) == (1, total, total)
    assert [(line["article"], line["cached"]) for line in before["articles"]] == [("b.md", None), ("a.md", None)]
    run("sync", site)
    after = audit(site, "--json").json()["exposure"]
    entry = json.loads((site / "cache/manifest.json").read_text())["images"][B]
    smallest = min([entry["bytes"], *(variant["bytes"] for variant in entry["variants"])])
    assert [line["article"] for line in after["articles"]] == ["b.md"]  # the flagged ones send nobody anywhere
    assert after["now"] == len(origin_bytes(origin, B))
    assert smallest <= after["cached"] <= after["now"]


def origin_bytes(origin: Origin, url: str) -> bytes:
    return content_of(origin.answers[url], normal(url)).body


def test_a_budget_that_is_spent_fails(audit: Audit, origin: Origin, make_site: MakeSite) -> None:
    origin.answers.set(A, picture(400, 300))
    limits = "budget: {hosts: 0, bytes_per_article: 1KB}\n"
    site = make_site({"a.md": article((A, 400, 300)), "b.md": "no image\n", "imgcache.yml": limits})
    ended = audit(site, "--json")
    found = by_rule(ended)
    assert (ended.code, sorted(found)) == (1, ["budget-bytes", "budget-hosts"])
    assert {(one["article"], one["url"]) for one in found.values()} == {("a.md", None)}
    assert "pictures.example" in found["budget-hosts"]["message"]
    (site / "imgcache.yml").write_text("budget: {hosts: 1, bytes_per_article: 50KB}\n")
    assert audit(site, "--json").json()["findings"] == []


# -- options -----------------------------------------------------------------------------------------------------------


def test_the_report_goes_into_a_file_whole(audit: Audit, origin: Origin, make_site: MakeSite, tmp_path: Path) -> None:
    site = make_site({"a.md": article((A, 400, 300))})
    ended = audit(site, "--format", "json", "--output", tmp_path / "report.json")
    assert (ended.code, ended.out) == (1, "")
    assert json.loads((tmp_path / "report.json").read_text())["summary"]["findings"] == 1
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["report.json"]
    assert audit(site, "--output", tmp_path / "no/such/folder.txt").code == 2


def test_a_baseline_makes_what_it_has_old(audit: Audit, make_site: MakeSite, tmp_path: Path) -> None:
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
    assert "1 addresses and 1 sizes in 1 articles were corrected" in ended.err
    assert only(audit(site, "--json"))["url"] == gone


@pytest.mark.parametrize("words", [("--fix", "--diff"), ("--json", "--format", "html"), ("--format", "pdf")])
def test_options_that_make_no_sense_start_nothing(audit: Audit, make_site: MakeSite, words: tuple[str, ...]) -> None:
    site = make_site({"a.md": article((A, 400, 300))})
    assert audit(site, *words).code == 2
    assert sorted(tree(site)) == ["a.md"]


@pytest.mark.parametrize("form", ["text", "json", "junit", "sarif", "github", "html"])
def test_every_format_names_the_image_and_says_nothing_else(audit: Audit, make_site: MakeSite, form: str) -> None:
    ended = audit(make_site({"a.md": article((A, 400, 300))}), "--format", form)
    assert (ended.code, ended.err) == (1, "")
    assert "pictures.example/a.jpg" in ended.out
