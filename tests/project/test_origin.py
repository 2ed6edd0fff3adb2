"""The test origin over real sockets, from the view of a client."""

from __future__ import annotations

import asyncio
import contextlib
import html
import http.client
import io
import json
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from examples.origin import Answer, Origin, answers_for, in_thread, normal, read_answers
from examples.origin.drawing import MEDIA_TYPES, draw
from examples.origin.site import mentions

ROOT = Path(__file__).parents[2]
PICTURE = "https://images.example/a.png"


@contextlib.contextmanager
def connected(origin: Origin, host: str, *, tls: bool = False) -> Iterator[http.client.HTTPConnection]:
    """A connection to the origin for requests to `host`."""
    connection = http.client.HTTPConnection("127.0.0.1", origin.https_port if tls else origin.http_port, timeout=10)
    with contextlib.closing(connection):
        connection.connect()
        if tls:
            context = ssl.create_default_context(cafile=str(origin.ca_file))
            connection.sock = context.wrap_socket(connection.sock, server_hostname=host)
        yield connection


def ask(origin: Origin, url: str, method: str = "GET", /, **headers: str) -> tuple[http.client.HTTPResponse, bytes]:
    """One request on a connection of its own; a header's `_` stands for `-`."""
    parsed = httpx.URL(url)
    with connected(origin, parsed.host, tls=parsed.scheme == "https") as connection:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, parsed.raw_path.decode(), headers={"Host": parsed.host} | named)
        response = connection.getresponse()
        return response, response.read()


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("extension", ["jpg", "PNG", "gif", "webp", "avif", "bmp"])
def test_an_image_has_the_requested_size_and_format(scheme: str, extension: str) -> None:
    url = f"{scheme}://pictures.example/x.{extension}"
    with in_thread(Origin({url: Answer(size=(61, 33))})) as origin:
        response, body = ask(origin, url)
    with Image.open(io.BytesIO(body)) as image:
        image.load()
        assert (response.status, image.size) == (200, (61, 33))
        assert response.headers["Content-Type"] == Image.MIME[image.format or ""]
        assert (image.format or "").lower() == extension.lower().replace("jpg", "jpeg")


def test_every_host_gets_a_certificate_for_its_own_name() -> None:
    with in_thread(Origin()) as origin:
        for host in ("a.example", "b.c.example.org"):
            with connected(origin, host, tls=True) as connection:
                assert isinstance(connection.sock, ssl.SSLSocket)
                names = (connection.sock.getpeercert() or {})["subjectAltName"]
            assert names == (("DNS", host),)
        unknown = ssl.create_default_context()
        with socket.create_connection(("127.0.0.1", origin.https_port), 10) as raw, pytest.raises(ssl.SSLError):
            unknown.wrap_socket(raw, server_hostname="a.example")


def test_many_requests_use_one_connection() -> None:
    with in_thread(Origin({PICTURE: Answer(size=(9, 9))})) as origin, connected(origin, "images.example") as connection:
        for _ in range(3):
            connection.request("GET", "/a.png", headers={"Host": "images.example"})
            sock = connection.sock
            assert connection.getresponse().read()
            assert connection.sock is sock
        assert origin.requests[PICTURE] == 3


def test_an_unknown_url_is_404_and_counted() -> None:
    with in_thread(Origin()) as origin:
        response, _ = ask(origin, PICTURE)
        assert (response.status, origin.requests[PICTURE], origin.requests["http://other.example/"]) == (404, 1, 0)
        said = json.loads(ask(origin, "http://127.0.0.1/-/requests")[1])
        assert said["requests"] == {"images.example/a.png": 1}


def test_a_fresh_copy_gets_304() -> None:
    with in_thread(Origin({PICTURE: Answer(size=(9, 9))})) as origin:
        first, body = ask(origin, PICTURE)
        etag, modified = first.headers["ETag"], first.headers["Last-Modified"]
        for same in ({"If_None_Match": etag}, {"If_None_Match": f'"x", W/{etag}'}, {"If_Modified_Since": modified}):
            response, nothing = ask(origin, PICTURE, **same)
            assert (response.status, nothing, response.headers["ETag"]) == (304, b"", etag)
        for other in (
            {"If_None_Match": '"x"', "If_Modified_Since": modified},
            {"If_Modified_Since": "Tue, 31 Dec 2019 23:59:59 GMT"},
        ):
            response, again = ask(origin, PICTURE, **other)
            assert (response.status, again) == (200, body)


@pytest.mark.parametrize(
    ("wanted", "status", "part"),
    [
        ("bytes=0-3", 206, slice(0, 4)),
        ("bytes=5-", 206, slice(5, None)),
        ("bytes=-7", 206, slice(-7, None)),
        ("bytes=0-999999999", 206, slice(None)),
        ("bytes=999999999-", 416, slice(0, 0)),
        ("lines=1-2", 200, slice(None)),
    ],
)
def test_ranges_are_served(wanted: str, status: int, part: slice) -> None:
    with in_thread(Origin({PICTURE: Answer(size=(40, 40))})) as origin:
        whole = ask(origin, PICTURE)[1]
        response, body = ask(origin, PICTURE, Range=wanted)
        assert (response.status, body) == (status, whole[part])
        if status == 206:
            first = part.indices(len(whole))[0]
            assert response.headers["Content-Range"] == f"bytes {first}-{first + len(body) - 1}/{len(whole)}"
        assert ask(origin, PICTURE, Range=wanted, If_Range='"other"')[1] == whole


def test_an_invalid_target_gets_400() -> None:
    with in_thread(Origin()) as origin:
        assert ask(origin, PICTURE, Host="[::1")[0].status == 400


def test_a_response_can_be_changed_while_the_origin_runs() -> None:
    with in_thread(Origin({PICTURE: Answer(size=(9, 9))})) as origin:
        first, body = ask(origin, PICTURE)
        origin.answers.set(PICTURE, Answer(size=(10, 9)))
        second, other = ask(origin, PICTURE, If_None_Match=first.headers["ETag"])
        assert second.status == 200
        assert other != body


def test_head_has_the_length_and_other_methods_are_refused() -> None:
    with in_thread(Origin({PICTURE: Answer(size=(9, 9))})) as origin:
        whole = ask(origin, PICTURE)[1]
        response, body = ask(origin, PICTURE, "HEAD")
        assert (response.status, body, response.headers["Content-Length"]) == (200, b"", str(len(whole)))
        assert ask(origin, PICTURE, "DELETE")[0].status == 405


def test_each_misbehaviour_is_served() -> None:
    answers = {
        "http://h.example/gone.jpg": Answer(status=410),
        "http://h.example/page.jpg": Answer(body=b"<html>", media_type="text/html"),
        "http://h.example/moved.jpg": Answer(status=301, location="https://h.example/new.jpg"),
        "http://h.example/flaky.jpg": Answer(size=(9, 9), fails=2),
        "http://h.example/bare.jpg": Answer(size=(9, 9), etag=False, headers={"X-Robots-Tag": "noai"}),
    }
    with in_thread(Origin(answers)) as origin:
        assert ask(origin, "http://h.example/gone.jpg")[0].status == 410
        response, body = ask(origin, "http://h.example/page.jpg")
        assert (response.status, body, response.headers["Content-Type"]) == (200, b"<html>", "text/html")
        response, _ = ask(origin, "http://h.example/moved.jpg")
        assert (response.status, response.headers["Location"]) == (301, "https://h.example/new.jpg")
        assert [ask(origin, "http://h.example/flaky.jpg")[0].status for _ in range(3)] == [503, 503, 200]
        response, _ = ask(origin, "http://h.example/bare.jpg")
        assert (response.headers["ETag"], response.headers["X-Robots-Tag"]) == (None, "noai")


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_truncated_body_ends_before_its_announced_length(scheme: str) -> None:
    url = f"{scheme}://h.example/half.jpg"
    with in_thread(Origin({url: Answer(size=(200, 200), keep=0.5)})) as origin:
        announced = int(ask(origin, url, "HEAD")[0].headers["Content-Length"])
        with pytest.raises(http.client.IncompleteRead) as caught:
            ask(origin, url)
        assert len(caught.value.partial) == announced // 2


def test_connections_are_closed_or_refused() -> None:
    answers = {"http://mute.example/*": Answer(hang_up=True), "http://down.example/a": Answer(down=True)}
    with in_thread(Origin(answers)) as origin:
        for host in ("mute", "down"):
            with pytest.raises(http.client.RemoteDisconnected):
                ask(origin, f"http://{host}.example/a")
        closed = f"127.0.0.1:{origin.closed_port}"
        assert origin.connect_to[:4] == [
            "--connect-to", f"down.example:80:{closed}", "--connect-to", f"down.example:443:{closed}"
        ]  # fmt: skip
        assert origin.connect_to[4:] == [
            "--connect-to", f":80:127.0.0.1:{origin.http_port}", "--connect-to", f":443:127.0.0.1:{origin.https_port}"
        ]  # fmt: skip
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", origin.closed_port), 10)


def test_the_peak_counts_simultaneous_requests() -> None:
    async def together() -> tuple[int, float]:
        async with Origin({"http://slow.example/*": Answer(size=(9, 9), delay=0.2, drip=0.8)}) as origin:
            begin = time.monotonic()
            async with httpx.AsyncClient(trust_env=False) as client, asyncio.TaskGroup() as group:
                for number in range(7):
                    url = f"http://127.0.0.1:{origin.http_port}/{number}.jpg"
                    group.create_task(client.get(url, headers={"Host": "slow.example"}))
            return origin.peak["slow.example"], time.monotonic() - begin

    peak, took = asyncio.run(together())
    assert peak == 7
    assert took >= 0.95


@settings(max_examples=40)
@given(
    size=st.tuples(st.integers(1, 120), st.integers(1, 120)),
    image_format=st.sampled_from(sorted(set(MEDIA_TYPES) - {"svg"})),
    name=st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40),
)
def test_a_drawing_has_its_size_and_depends_on_its_name(size: tuple[int, int], image_format: str, name: str) -> None:
    body = draw(size, image_format, name, "a label")
    assert body == draw(size, image_format, name, "a label")
    if image_format != "bmp":  # the one without room for a comment
        assert body != draw(size, image_format, f"{name}!", "a label")
    with Image.open(io.BytesIO(body)) as image:
        assert image.size == size


@pytest.mark.parametrize("image_format", ["avif", "gif", "jpeg", "png", "webp"])
def test_drawings_with_different_names_have_different_bytes(image_format: str) -> None:
    assert b"h.example/a.b?c" in draw((1, 1), image_format, "h.example/a.b?c", "")


def test_the_largest_image_is_drawn_quickly() -> None:
    begin = time.monotonic()
    draw((4500, 3000), "jpeg", "large", "large")
    assert time.monotonic() - begin < 5


@given(
    st.from_regex(r"[a-z]{1,9}\.example(/[a-z%0-9 é~\[\]+&=.]{0,9}){0,3}(\?[a-z%0-9 é~+&=;/]{0,9})?", fullmatch=True)
)
def test_normalization_is_idempotent(url: str) -> None:
    assert normal(normal(url)) == normal(url) == normal(f"HTTPS://{url}#part")


def test_spellings_of_one_url_have_the_same_response() -> None:
    assert normal("http://A.Example.:80//b c/%C3%A9?q=%7E1") == normal("https://a.example//b%20c/é?q=~1")
    assert normal("http://a.example") == normal("http://a.example/")
    assert normal("http://a.example/x") != normal("http://a.example/X")


def test_all_images_of_an_article_are_found(tmp_path: Path) -> None:
    (tmp_path / "_config.yml").write_text("url: https://own.example\nbaseurl: /b\n")
    (tmp_path / "node_modules").mkdir()
    (tmp_path / "node_modules" / "x.md").write_text("![](http://never.example/x.png)")
    (tmp_path / "a.md").write_bytes(
        b"\xef\xbb\xbf---\r\nimages:\r\n- {url: 'http://h.example/1.png', width: 20, height: 10}\r\n- http://h.example/2.jpg\r\n"
        b"related:\r\n- images:\r\n  - url: http://h.example/3\r\n    width: 30\r\n    height: big\r\n"
        b"  - url: https://own.example/b/own.png\r\n---\r\n![alt](<http://h.example/4.png>) ![r][r]\r\n\r\n"
        b"[r]: http://h.example/5.png\r\n<img alt=x src='http://h.example/6?a=1&amp;b=2'>\r\n"
        b'<source srcset="http://h.example/7.webp 1x, http://h.example/8.webp 2x">\r\n'
    )
    answers = answers_for(tmp_path)
    assert {key: answers[key].size for key in answers} == {
        "h.example/1.png": (20, 10),
        "h.example/2.jpg": (640, 360),
        "h.example/3": (640, 360),
    } | {f"h.example/{rest}": (640, 360) for rest in ("4.png", "5.png", "6?a=1&b=2", "7.webp", "8.webp")}


def test_the_most_frequent_size_is_used_unless_the_behaviour_file_overrides_it(tmp_path: Path) -> None:
    for number, width in enumerate((10, 20, 20)):
        (tmp_path / f"{number}.md").write_text(
            f"---\nimages:\n- url: http://h.example/a\n  width: {width}\n  height: 10\n---\n"
        )
    assert answers_for(tmp_path)["http://h.example/a"].size == (20, 10)
    (tmp_path / "origin.yml").write_text("http://h.example/*: {status: 500}\n")
    assert answers_for(tmp_path)["http://h.example/a"].status == 500


@pytest.mark.parametrize(("text", "told"), [("http://h.example/: {colour: red}", "colour"), ("- a", "mapping")])
def test_an_invalid_behaviour_file_is_reported(tmp_path: Path, text: str, told: str) -> None:
    (path := tmp_path / "origin.yml").write_text(text)
    with pytest.raises(ValueError, match=f"origin.yml: .*{told}"):
        read_answers(path)


def test_broken_front_matter_has_no_images() -> None:
    assert list(mentions("---\nimages: [\n---\n![](http://h.example/x)")) == []


def test_the_real_site_has_a_response_for_every_flagged_image(shared: Path) -> None:
    answers = answers_for(shared / "site")
    flagged = 0
    for path in sorted((shared / "site").rglob("*.md")):
        lines = path.read_text(encoding="utf-8").splitlines()
        for at, line in enumerate(lines):
            if line.strip() == "isCached: true":
                url = next(before for before in reversed(lines[:at]) if "url:" in before.lower()).split("url:", 1)[1]
                url = html.unescape(url.strip().strip("\"'"))  # as browsers and imgcache ask for it
                assert answers[url].size != (0, 0)
                flagged += 1
    assert flagged > 250


def command(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "examples.origin", *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )


def test_the_command_serves_a_folder_until_it_is_terminated(tmp_path: Path) -> None:
    (tmp_path / "a b.jpg").write_bytes(b"bytes")
    with command("--folder", str(tmp_path), "--host", "f.example") as process:
        assert process.stdout
        said = json.loads(process.stdout.readline())
        connection = http.client.HTTPConnection("127.0.0.1", said["http"], timeout=10)
        with contextlib.closing(connection):
            connection.request("GET", "/a%20b.jpg", headers={"Host": "f.example"})
            assert connection.getresponse().read() == b"bytes"
        assert Path(said["ca"]).is_file()
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    assert not Path(said["ca"]).exists()


def test_the_command_ends_after_its_time_limit() -> None:
    with command("--max-time", "0.2") as process:
        assert process.wait(10) == 0


def test_the_command_ends_with_the_process_that_started_it() -> None:
    start = (
        "import os, subprocess, sys\n"
        "subprocess.Popen([sys.executable, '-m', 'examples.origin', '--max-time', '60', '--parent', str(os.getpid())])"
    )
    begin = time.monotonic()
    with subprocess.Popen([sys.executable, "-c", start], cwd=ROOT, stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.read()  # to its end: then the last holder of the pipe has ended
    assert time.monotonic() - begin < 30
