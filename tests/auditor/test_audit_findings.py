"""Findings of an audit, rule by rule, over real sockets."""

from __future__ import annotations

import ssl
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import trustme

from examples.origin import Answer, Origin, in_thread
from examples.origin.drawing import draw
from tests.conftest import Command, MakeSite, article, picture
from tests.support.audits import PLAIN, A, Audit, B, by_rule, lines, only


def test_one_image_in_many_articles_is_one_finding_with_many_places(
    audit: Audit, origin: Origin, make_site: MakeSite
) -> None:
    site = make_site({f"{number:02}.md": article((A, 40, 30)) for number in range(40)} | {"z.md": article((B, 4, 3))})
    origin.answers.set(B, Answer(status=404))
    many, one = audit(site, "--json").json()["findings"]
    assert (many["url"], many["articles"], len(many["references"])) == (A, 40, 40)
    assert (many["article"], many["line"], many["column"], many["field"]) == ("00.md", 4, 10, "images")
    assert one["url"] == B


def test_findings_are_sorted_by_number_of_articles_then_by_date(audit: Audit, make_site: MakeSite) -> None:
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


def test_different_declared_sizes_are_listed_with_their_places(
    audit: Audit, origin: Origin, make_site: MakeSite
) -> None:
    origin.answers.set(A, picture(300, 400))
    site = make_site({"a.md": article((A, 500, 300)), "b.md": article((A, 100, 300))})
    found = only(audit(site, "--json"))
    assert lines(found) == [("a.md", 4), ("b.md", 4)]
    for text in ("the image is 300×400", "500×300 at a.md:4", "100×300 at b.md:4"):
        assert text in found["message"]


def test_an_http_image_that_https_serves_too_can_be_fixed(audit: Audit, origin: Origin, make_site: MakeSite) -> None:
    origin.answers.set(PLAIN, picture(40, 30))
    site = make_site({"a.md": article((PLAIN, 40, 30))})
    found = only(audit(site, "--json"))
    assert (found["rule"], found["severity"], found["state"]) == ("not-secure", "warning", "ok")
    assert found["changes"][0]["url"] == B
    assert B in found["remedy"]
    assert origin.requests[PLAIN] == 2  # counted whatever the scheme


def test_an_http_image_on_a_special_port_is_a_note(audit: Audit, origin: Origin, make_site: MakeSite) -> None:
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


def test_a_permanent_redirect_to_the_https_form_is_reported_once(
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


def test_a_redirect_target_that_many_urls_share_is_not_written(
    audit: Audit, origin: Origin, make_site: MakeSite
) -> None:
    target, urls = "https://x.example/gone.png", [f"https://x.example/{number}.jpg" for number in range(2)]
    origin.answers.set(target, picture(40, 30))
    for url in urls:
        origin.answers.set(url, Answer(status=301, location=target))
    site = make_site({"a.md": article(*((url, 40, 30) for url in urls))})
    found = audit(site, "--json").json()["findings"]
    assert [(one["rule"], one["changes"]) for one in found] == [("redirected", [])] * 2


def test_a_url_without_size_that_answers_is_suggested(audit: Audit, origin: Origin, make_site: MakeSite) -> None:
    origin.answers.set("https://x.example/p.jpg", picture(40, 30))
    site = make_site({"a.md": article(("https://x.example/p-300x200.jpg", 40, 30))})
    found = only(audit(site, "--json"))
    assert "https://x.example/p.jpg, which answers" in found["remedy"]
    assert found["changes"] == []


def test_another_size_of_the_image_in_the_site_is_suggested(audit: Audit, origin: Origin, make_site: MakeSite) -> None:
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


def test_one_image_at_many_urls_is_a_shared_placeholder(audit: Audit, origin: Origin, make_site: MakeSite) -> None:
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


def test_an_expiring_certificate_is_one_finding_for_its_host(
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
    assert f"ending.example: its certificate expires on {ends:%Y-%m-%d}" in found["message"]


class Pictures(BaseHTTPRequestHandler):
    """Serves an image at every URL that ends in .png, and no robots.txt."""

    def do_GET(self) -> None:
        is_picture = self.path.endswith(".png")
        data = draw((40, 30), "png", self.path, "x") if is_picture else b""
        self.send_response(200 if is_picture else 404)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Logs nothing."""
