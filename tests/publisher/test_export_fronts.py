"""`imgcache export` for web servers: the Caddyfile, and nginx, run for real."""

from __future__ import annotations

import contextlib
import http.client
import http.server
import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Command, system_program
from tests.support.exported import A, synced_site
from tests.support.site_files import manifest

CADDY = """\
# Written by imgcache export caddy. Edits are lost: the same command writes it anew.
# For /etc/caddy/Caddyfile, or a file that it imports.

images.example.org, www.example.org {
	# The files, and nothing else of the cache: its private index lies beside them. Only a file that is there gets these
	# headers: an answer that is an error is not to be kept for a year.
	@held {
		path_regexp "^/assets/([0-9a-f]{2}/[0-9a-f]{64})/([A-Za-z0-9_][A-Za-z0-9_.-]*)$"
		file {
			root "CACHE"
			try_files {path}
		}
	}
	handle @held {
		root * "CACHE"
		header {
			Cache-Control "public, max-age=31536000, immutable"
			X-Content-Type-Options "nosniff"
			Content-Security-Policy "default-src 'none'; sandbox"
			Access-Control-Allow-Origin "*"
			Cross-Origin-Resource-Policy "cross-origin"
		}
		file_server
	}

	handle /assets/* {
		respond 404
	}

	# Figures for the operator. Widen this to where your Prometheus lives.
	@stranger {
		path /metrics
		not remote_ip 127.0.0.1 ::1
	}
	handle @stranger {
		respond 403
	}

	# The gallery names articles and drafts. To publish it: `serve: {gallery: on}` in imgcache.yml, and export anew.
	@gallery path / /gallery/*
	handle @gallery {
		respond 404
	}

	handle {
		reverse_proxy http://127.0.0.1:8080
	}
}
"""


def test_the_caddyfile(run: Command, tmp_path: Path) -> None:
    ended = run("export", "caddy", tmp_path, "--server-name", "images.example.org", "--server-name", "www.example.org")
    assert ended.out == CADDY.replace("CACHE", str(tmp_path / "cache"))
    assert "\nhttp://127.0.0.1:81 {\n" in run("export", "caddy", tmp_path, "--listen", "127.0.0.1:81").out


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--upstream", "127.0.0.1:8080"),
        ("--upstream", "http://x.example/path"),
        ("--upstream", "http://x; } evil {"),
        ("--server-name", "a b"),
        ("--server-name", "a;"),
        ("--server-name", "a\n}"),
        ("--listen", "80; }"),
        ("--listen", "http"),
        ("--cache", 'a"b'),
        ("--cache", "a$b"),
        ("--cache", "a\nb"),
    ],
)
@pytest.mark.parametrize("server", ["nginx", "caddy"])
def test_what_would_break_out_of_a_configuration_is_refused(
    run: Command, tmp_path: Path, server: str, option: str, value: str
) -> None:
    ended = run("export", server, tmp_path, option, value)
    assert ended.code == 2
    assert ended.out == ""
    assert ended.err.startswith("imgcache: ")


def test_a_configuration_is_written_like_any_other_file(run: Command, tmp_path: Path) -> None:
    file = tmp_path / "imgcache.conf"
    file.write_text("# mine\n")
    assert run("export", "nginx", tmp_path, "--output", file).code == 2
    assert file.read_text() == "# mine\n"
    assert run("export", "nginx", tmp_path, "--output", file, "--force").code == 0
    assert file.read_text() == run("export", "nginx", tmp_path).out
    assert run("export", "nginx", tmp_path, "--output", file).out == "imgcache.conf: unchanged\n"


class Endpoint(http.server.BaseHTTPRequestHandler):
    """Stands in for `imgcache serve`: says which path arrived."""

    def do_GET(self) -> None:
        body = f"endpoint {self.path} {self.headers['Host']}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def nginx(configuration: Path, prefix: Path, port: int, main_settings: str = "") -> Iterator[None]:
    """Debian's nginx in the foreground, with all that it writes below `prefix`."""
    program = system_program("nginx")
    (prefix / "logs").mkdir(parents=True)
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "".join(f"{kind}_temp_path {prefix}/{kind};" for kind in kinds)
    user = "user root; " if os.geteuid() == 0 else ""  # pytest's folders are its owner's alone
    main = prefix / "nginx.conf"
    main.write_text(
        f"{user}{main_settings}worker_processes 1; daemon off; pid {prefix}/pid; error_log {prefix}/logs/error.log;\n"
        f"events {{ }}\nhttp {{ access_log off; {temporary}\ninclude {configuration}; }}\n"
    )
    command = [program, "-p", str(prefix), "-c", str(main), "-e", str(prefix / "logs/error.log")]
    checked = subprocess.run([*command, "-t"], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    assert "warn" not in checked.stderr
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(port)
        yield
    finally:
        process.terminate()
        process.wait(10)


def wait_for(port: int) -> None:
    until = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            assert time.monotonic() < until, "nobody listens"
            time.sleep(0.02)
        else:
            return


class Answered:
    """What came back for one request, sent as it is written."""

    def __init__(self, port: int, path: str, method: str = "GET", **headers: str) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        try:
            connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
            response = connection.getresponse()
            self.body = response.read()
            self.status = response.status
            self.headers = {name.lower(): value for name, value in response.getheaders()}
        finally:
            connection.close()


@pytest.fixture
def site(tmp_path: Path) -> Path:
    return synced_site(tmp_path / "site")


@pytest.fixture
def front(run: Command, site: Path, tmp_path: Path) -> Iterator[int]:
    """The port of nginx, configured by the export, before a stand-in for the endpoint."""
    port = free_port()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Endpoint) as endpoint:
        thread = threading.Thread(target=endpoint.serve_forever)
        thread.start()
        options = ("--upstream", f"http://127.0.0.1:{endpoint.server_address[1]}", "--listen", f"127.0.0.1:{port}")
        written = run("export", "nginx", site, *options, "--output", tmp_path / "imgcache.conf")
        assert written.code == 0, written
        try:
            with nginx(tmp_path / "imgcache.conf", tmp_path / "nginx", port):
                yield port
        finally:
            endpoint.shutdown()
            thread.join()


def test_nginx_serves_the_files_with_their_headers_and_passes_the_rest_on(front: int, site: Path) -> None:
    entry = manifest(site)[A]
    paths = {variant["name"]: "/" + variant["path"] for variant in entry["variants"]}
    whole = Answered(front, paths["w640"])
    file = (site / "cache" / paths["w640"][1:]).read_bytes()
    assert (whole.status, whole.body) == (200, file)
    safe = {
        "content-type": "image/webp",
        "cache-control": "public, max-age=31536000, immutable",
        "x-content-type-options": "nosniff",
        "content-security-policy": "default-src 'none'; sandbox",
        "access-control-allow-origin": "*",
        "cross-origin-resource-policy": "cross-origin",
    }
    assert whole.headers.items() >= safe.items()
    assert Answered(front, paths["thumb"]).headers["content-type"] == "image/jpeg"

    # RFC 9110, section 14.2 and section 13.1.2
    part = Answered(front, paths["w640"], Range="bytes=10-19")
    assert (part.status, part.body) == (206, file[10:20])
    same = Answered(front, paths["w640"], If_None_Match=whole.headers["etag"])
    assert (same.status, same.body, same.headers["cache-control"]) == (304, b"", safe["cache-control"])
    assert Answered(front, paths["w640"], "HEAD").headers["content-length"] == str(len(file))
    assert Answered(front, paths["w640"], "POST").status == 405

    assert Answered(front, "/image?url=x%2Fy").body == b"endpoint /image?url=x%2Fy 127.0.0.1"
    assert Answered(front, "/metrics").body.startswith(b"endpoint /metrics")


def test_nginx_serves_nothing_else_of_the_cache(front: int, site: Path) -> None:
    (site / "cache/assets/notes.html").write_text("<script>")
    at = manifest(site)[A]["original"].rsplit("/", 1)[0]
    (site / "cache" / at / ".secret").write_text("secret")
    for path in ("/assets/notes.html", f"/{at}/", f"/{at}/.secret", f"/{at}/lost.webp", "/assets/", "/assets/ab/"):
        refused = Answered(front, path)
        assert (refused.status, "cache-control" in refused.headers) == (404, False), path
    for plain in ("/assets/../index/cache.db", "/assets/../manifest.json", f"/{at}/../../../index/cache.db"):
        for path in (plain, plain.replace("..", "%2e%2e"), plain.replace("/..", "%2f.."), plain.replace("..", "../..")):
            outside = Answered(front, path)
            assert outside.status in {400, 404} or outside.body.startswith(b"endpoint /"), path
    assert Answered(front, f"/{at}/thumb.jpg%00.webp").status in (400, 404)
