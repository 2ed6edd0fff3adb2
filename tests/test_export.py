"""`imgcache export` without a generator: what is written and what is left alone, and nginx, run for real."""

from __future__ import annotations

import contextlib
import errno
import http.client
import http.server
import io
import json
import os
import re
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from examples.origin import Answer, Origin, in_thread
from imgcache.export import eleventy, hugo, jekyll
from imgcache.export.entries import held_images
from imgcache.manifest import Entry, VariantEntry
from tests.conftest import Command, MakeSite, article, picture, system_program
from tests.test_sync import manifest, tree

A = "https://pictures.example/A.jpg?w=1&h=2"
B = "https://pictures.example/b.png"
GENERATED = {
    "jekyll": ("_data/imgcache.json", "_includes/imgcache.html"),
    "hugo": ("data/imgcache.json", "layouts/partials/imgcache.html"),
    "eleventy": ("_data/imgcache.json", "imgcache.shortcode.cjs"),
}


@pytest.fixture(scope="module")
def synced(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site with two images that are held: synced once, copied for each test."""
    site = tmp_path_factory.mktemp("synced") / "site"
    site.mkdir()
    (site / "a.md").write_text(article((A, 1600, 900), (B, 200, 100)))
    answers = {A: picture(1600, 900), B: picture(200, 100)}
    with pytest.MonkeyPatch.context() as patch, in_thread(Origin(answers)) as server:
        run = Command(patch)
        run.use(server)
        assert run("sync", site).code == 0
    return site


@pytest.fixture
def site(synced: Path, tmp_path: Path) -> Path:
    """A copy of the site, to be written into."""
    return Path(shutil.copytree(synced, tmp_path / "site"))


def data(site: Path, name: str = "_data/imgcache.json") -> dict[str, Any]:
    found: dict[str, Any] = json.loads((site / name).read_text())
    return found


def state(folder: Path) -> dict[str, tuple[int, int, int]]:
    """Every file and folder with its inode, size and time: what a run that changes nothing leaves as it was."""
    found = {str(path.relative_to(folder)): path.lstat() for path in folder.rglob("*")}
    return {name: (seen.st_ino, seen.st_size, seen.st_mtime_ns) for name, seen in found.items()}


# -- what is offered -------------------------------------------------------------------------------------------------


def test_each_image_offers_its_variants_and_an_original_where_no_variant_is_as_wide(run: Command, site: Path) -> None:
    assert run("export", "jekyll", site).code == 0
    wide, small = data(site)["images"][A], data(site)["images"][B]
    digest = manifest(site)[A]["digest"]
    assert wide == {
        "at": f"{digest[:2]}/{digest}",
        "width": 1600,
        "height": 900,
        "fallback": [["thumb.jpg", 320], ["original.jpg", 1600]],
        "sources": [{"type": "image/webp", "files": [["w320.webp", 320], ["w640.webp", 640], ["w1280.webp", 1280]]}],
        "color": manifest(site)[A]["color"],
        "placeholder": manifest(site)[A]["placeholder"],
    }
    assert [file[0] for file in small["fallback"]] == ["thumb.jpg"]


def test_avif_goes_before_webp_and_a_crop_is_never_offered(run: Command, origin: Origin, make_site: MakeSite) -> None:
    variants = (
        "[{name: m, width: 100, format: auto}, {name: n, width: 100, format: avif}, {name: o, width: 100, format: webp}"
    )
    crop = ", {name: square, width: 64, height: 64, fit: cover, format: webp}]"
    origin.answers.set(A, picture(400, 200))
    site = make_site({"a.md": article((A, 400, 200)), "imgcache.yml": f"variants: {variants}{crop}\n"})
    assert run("sync", site).code == 0
    run("export", "eleventy", site)
    offered = data(site)["images"][A]
    assert [(source["type"], source["files"]) for source in offered["sources"]] == [
        ("image/avif", [["n.avif", 100]]),
        ("image/webp", [["o.webp", 100]]),
    ]


def test_nothing_is_painted_behind_a_picture_with_transparency(
    run: Command, origin: Origin, make_site: MakeSite
) -> None:
    out = io.BytesIO()
    Image.new("RGBA", (60, 40), (200, 30, 30, 90)).save(out, "PNG")
    origin.answers.set(B, Answer(body=out.getvalue(), media_type="image/png"))
    site = make_site({"a.md": article((B, 60, 40))})
    assert run("sync", site).code == 0
    run("export", "jekyll", site)
    assert "color" not in data(site)["images"][B]
    assert "placeholder" not in data(site)["images"][B]


def test_an_original_that_browsers_do_not_show_is_never_offered(
    run: Command, origin: Origin, make_site: MakeSite
) -> None:
    out = io.BytesIO()
    Image.new("RGB", (900, 600), "teal").save(out, "TIFF")
    origin.answers.set(A, Answer(body=out.getvalue(), media_type="image/tiff"))
    site = make_site({"a.md": article((A, 900, 600))})
    assert run("sync", site).code == 0
    run("export", "jekyll", site)
    assert data(site)["images"][A]["fallback"] == [["thumb.jpg", 320]]
    (site / "imgcache.yml").write_text("variants: [{name: w, width: 300, format: webp}]\n")
    assert run("sync", site).code == 0
    run("export", "jekyll", site)
    offered = data(site)["images"][A]
    assert (offered["fallback"], offered.get("sources")) == ([["w.webp", 300]], None)


FOLDER = "assets/ab/ab" + "0" * 62


@st.composite
def entries(draw: st.DrawFn) -> Entry:
    """Images as manifest.json may have them, with variants of the whole picture and crops."""
    width, height = draw(st.integers(1, 9000)), draw(st.integers(1, 9000))
    variants = []
    for number in range(draw(st.integers(0, 6))):
        wide = draw(st.integers(1, width))
        whole = max(1, round(wide * height / width))
        high = draw(st.sampled_from([whole, draw(st.integers(1, height))]))
        kind = draw(st.sampled_from(["jpeg", "png", "webp", "avif"]))
        variants.append(VariantEntry(f"v{number}", wide, high, kind, draw(st.integers(1, 9)), f"{FOLDER}/v{number}.x"))
    kind = draw(st.sampled_from(["image/jpeg", "image/png", "image/webp", "image/tiff", "image/bmp", "image/svg+xml"]))
    placeholder = "data:image/webp;base64,AAAA"
    return Entry("", kind, width, height, 9, "#123456", placeholder, f"{FOLDER}/original.x", tuple(variants))


@given(entries())
def test_a_srcset_has_one_picture_in_growing_widths_and_only_what_browsers_show(entry: Entry) -> None:
    held = held_images({A: entry}, ()).get(A)
    safe = entry.media_type in {"image/jpeg", "image/png", "image/webp"}
    sizes = {"original.x": (entry.width, entry.height)} | {
        variant.path.rsplit("/", 1)[-1]: (variant.width, variant.height) for variant in entry.variants
    }
    if held is None:
        assert not safe
        return
    assert held.fallback
    for files in (held.fallback, *(source.files for source in held.sources)):
        widths = [file.width for file in files]
        assert widths == sorted(set(widths))
        for file in files:
            width, height = sizes[file.name]
            assert width == file.width
            exact_width, exact_height = height * entry.width / entry.height, width * entry.height / entry.width
            assert abs(height - exact_height) <= 1 or abs(width - exact_width) <= 1
    offered = {path.rsplit("/", 1)[-1] for path in held.paths}
    assert safe or "original.x" not in offered
    whole = [v for v in entry.variants if abs(v.height - v.width * entry.height / entry.width) <= 0.5]
    widest = max((variant.width for variant in whole), default=0)
    assert held.fallback[-1].width >= widest or not safe, "a browser without WebP gets a picture as large"


ODD = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
ODD_URLS = st.builds("https://{}{}/{}".format, ODD, st.sampled_from(["", "a" * 1100]), ODD)


@given(st.lists(ODD_URLS, unique=True, max_size=4), entries())
def test_the_data_is_json_and_libyaml_reads_the_same_in_it(urls: list[str], entry: Entry) -> None:
    """Jekyll reads it with libyaml, the others as JSON."""
    held = held_images(dict.fromkeys(urls, entry), ())
    for generator in (jekyll, hugo, eleventy):
        text = next(iter(generator.files(held, "/assets").values()))
        read = json.loads(text)
        found = set(read["images"]) | {one["url"] for one in read.get("long", ())}
        assert found == set(held)
        if generator is jekyll:
            assert yaml.load(text, yaml.CSafeLoader) == read


# -- what is written, and what is left alone -------------------------------------------------------------------------


@pytest.mark.parametrize("target", GENERATED)
def test_a_second_run_changes_no_byte_and_no_time(run: Command, site: Path, target: str) -> None:
    publish = site / "static/pictures"
    first = run("export", target, site, "--copy-to", publish, "--assets-url", "/pictures")
    assert first.code == 0, first
    assert set(GENERATED[target]) <= set(tree(site))
    before = state(site)
    again = run("export", target, site, "--copy-to", publish, "--assets-url", "/pictures")
    assert again.code == 0
    assert state(site) == before
    assert [line for line in again.out.splitlines() if "as it was" in line] == [
        f"{name}: as it was" for name in GENERATED[target]
    ]


@pytest.mark.parametrize("target", GENERATED)
def test_a_file_of_the_users_is_not_overwritten(run: Command, site: Path, target: str) -> None:
    name = GENERATED[target][1]
    (site / name).parent.mkdir(parents=True, exist_ok=True)
    (site / name).write_text("<!-- mine -->\n")
    before = tree(site)
    refused = run("export", target, site)
    assert refused.code == 2
    assert name in refused.err
    assert "--force" in refused.err
    assert tree(site) == before
    assert run("export", target, site, "--force").code == 0
    assert "Written by imgcache export" in (site / name).read_text()
    assert run("export", target, site).code == 0


def test_a_folder_or_a_dangling_link_of_that_name_is_refused(run: Command, site: Path) -> None:
    (site / "_includes").mkdir()
    (site / "_includes/imgcache.html").symlink_to("nowhere")
    assert run("export", "jekyll", site).code == 2
    (site / "_includes/imgcache.html").unlink()
    (site / "_includes/imgcache.html").mkdir()
    assert "move away" in run("export", "jekyll", site).err


def test_output_goes_where_it_is_told(run: Command, site: Path, tmp_path: Path) -> None:
    run("export", "eleventy", site, "--output", tmp_path / "src", "--assets-url", "https://cdn.example/x/")
    assert data(tmp_path / "src")["assets"] == "https://cdn.example/x"
    assert not (site / "_data").exists()


def test_files_are_placed_once_and_go_when_no_page_asks_for_them(run: Command, site: Path, tmp_path: Path) -> None:
    publish = tmp_path / "public"
    publish.mkdir()
    digest = "ab" * 32
    (publish / "ab" / digest).mkdir(parents=True)
    (publish / "ab" / digest / "mine.txt").write_text("mine")
    (publish / "readme.txt").write_text("mine")
    run("export", "jekyll", site, "--copy-to", publish)
    placed = {name for name in tree(publish) if name.endswith((".jpg", ".webp", ".png"))}
    wanted = {image: data(site)["images"][image]["at"] for image in (A, B)}
    names = {A: ["original.jpg", "thumb.jpg", "w1280.webp", "w320.webp", "w640.webp"], B: ["thumb.jpg", "w320.webp"]}
    assert placed == {f"{wanted[url]}/{name}" for url in names for name in names[url]}
    for name in placed:
        assert (publish / name).samefile(site / "cache/assets" / name)
    run("forget", A, site)
    ended = run("export", "jekyll", site, "--copy-to", publish)
    assert "0 files placed, 2 as they were, 5 removed" in ended.out
    assert not (publish / wanted[A]).exists()
    left = {name for name in tree(publish) if name != ".imgcache-export"}
    assert left == {f"{wanted[B]}/{name}" for name in names[B]} | {"readme.txt", f"ab/{digest}/mine.txt"}


def test_files_are_copied_where_they_cannot_be_linked_and_mended_where_they_changed(
    run: Command, site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    monkeypatch.setattr(os, "link", refuse)
    publish = tmp_path / "public"
    run("export", "hugo", site, "--copy-to", publish)
    at = data(site, "data/imgcache.json")["images"][A]["at"]
    thumb = publish / at / "thumb.jpg"
    assert thumb.read_bytes() == (site / "cache/assets" / at / "thumb.jpg").read_bytes()
    assert thumb.stat().st_nlink == 1
    before = state(publish)
    run("export", "hugo", site, "--copy-to", publish)
    assert state(publish) == before
    thumb.write_bytes(b"cut off")
    assert "1 files placed, 6 as they were" in run("export", "hugo", site, "--copy-to", publish).out
    assert thumb.read_bytes() == (site / "cache/assets" / at / "thumb.jpg").read_bytes()


def test_a_file_of_the_users_in_the_folder_is_not_replaced(run: Command, site: Path, tmp_path: Path) -> None:
    run("export", "jekyll", site)
    publish = tmp_path / "public"
    mine = publish / data(site)["images"][A]["at"] / "thumb.jpg"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(b"mine")
    refused = run("export", "jekyll", site, "--copy-to", publish)
    assert (refused.code, mine.read_bytes()) == (2, b"mine")
    assert "thumb.jpg" in refused.err
    again = run("export", "jekyll", site, "--copy-to", publish)
    assert (again.code, mine.read_bytes()) == (2, b"mine"), "the refusal is not forgotten"
    assert run("export", "jekyll", site, "--copy-to", publish, "--force").code == 0
    assert mine.samefile(site / "cache/assets" / data(site)["images"][A]["at"] / "thumb.jpg")


def test_a_listing_that_names_other_files_removes_none_of_them(run: Command, site: Path, tmp_path: Path) -> None:
    publish = tmp_path / "public"
    run("export", "jekyll", site, "--copy-to", publish)
    (tmp_path / "near.txt").write_text("precious")
    (tmp_path / "far.txt").write_text("precious")
    with (publish / ".imgcache-export").open("a") as listing:
        listing.write(f"../near.txt\n{tmp_path / 'far.txt'}\n")
    run("export", "jekyll", site, "--copy-to", publish)
    assert [(tmp_path / name).read_text() for name in ("near.txt", "far.txt")] == ["precious", "precious"]


def test_a_file_that_the_cache_lacks_is_told(run: Command, site: Path, tmp_path: Path) -> None:
    run("export", "jekyll", site)
    lost = data(site)["images"][B]["at"] + "/thumb.jpg"
    (site / "cache/assets" / lost).unlink()
    ended = run("export", "jekyll", site, "--copy-to", tmp_path / "public")
    assert ended.code == 1
    assert lost in ended.err
    assert "6 files placed" in ended.out


def test_the_cache_is_no_place_to_publish_in(run: Command, site: Path) -> None:
    before = state(site / "cache")
    refused = run("export", "jekyll", site, "--copy-to", site / "cache/assets")
    assert refused.code == 2
    assert "--copy-to" in refused.err
    assert state(site / "cache") == before


def test_before_the_first_sync_a_site_can_be_built_all_the_same(run: Command, make_site: MakeSite) -> None:
    site = make_site({"a.md": article((A, 1600, 900))})
    ended = run("export", "jekyll", site)
    assert ended.code == 0
    assert "imgcache sync" in ended.err
    assert data(site)["images"] == {}


@pytest.mark.parametrize(
    "path",
    ["assets/../../../secret.jpg", "index/cache.db", f"{FOLDER}/../x.jpg", f"{FOLDER}/a b.jpg", "/srv/secret.jpg"],
)
def test_a_manifest_that_points_elsewhere_is_refused(run: Command, site: Path, tmp_path: Path, path: str) -> None:
    file = site / "cache/manifest.json"
    file.write_text(re.sub(r'"path":"[^"]*/w640.webp"', f'"path":"{path}"', file.read_text()))
    ended = run("export", "jekyll", site, "--copy-to", tmp_path / "public")
    assert ended.code == 2
    assert "manifest.json" in ended.err
    assert not (tmp_path / "public").exists()


@pytest.mark.parametrize(
    "url", ["assets", "//cdn.example/x", "javascript:alert(1)", "/a b", "/a,b", '/a"b', "ftp://x.example/", "", "/"]
)
def test_an_assets_url_that_a_srcset_cannot_hold_is_refused(run: Command, tmp_path: Path, url: str) -> None:
    ended = run("export", "hugo", tmp_path, "--assets-url", url)
    assert ended.code == 2
    assert "--assets-url" in ended.err


# -- in front --------------------------------------------------------------------------------------------------------

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

	handle {
		reverse_proxy http://127.0.0.1:8080
	}
}
"""


def test_the_caddyfile(run: Command, site: Path) -> None:
    ended = run("export", "caddy", site, "--server-name", "images.example.org", "--server-name", "www.example.org")
    assert ended.out == CADDY.replace("CACHE", str(site / "cache"))
    assert "\nhttp://127.0.0.1:81 {\n" in run("export", "caddy", site, "--listen", "127.0.0.1:81").out


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


def test_a_configuration_is_written_like_any_other_file(run: Command, site: Path, tmp_path: Path) -> None:
    file = tmp_path / "imgcache.conf"
    file.write_text("# mine\n")
    assert run("export", "nginx", site, "--output", file).code == 2
    assert file.read_text() == "# mine\n"
    assert run("export", "nginx", site, "--output", file, "--force").code == 0
    assert file.read_text() == run("export", "nginx", site).out
    assert run("export", "nginx", site, "--output", file).out == "imgcache.conf: as it was\n"


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
def nginx(configuration: Path, prefix: Path, port: int) -> Iterator[None]:
    """Debian's nginx in the foreground, with all that it writes below `prefix`."""
    program = system_program("nginx")
    (prefix / "logs").mkdir(parents=True)
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "".join(f"{kind}_temp_path {prefix}/{kind};" for kind in kinds)
    user = "user root; " if os.geteuid() == 0 else ""  # pytest's folders are its owner's alone
    main = prefix / "nginx.conf"
    main.write_text(
        f"{user}worker_processes 1; daemon off; pid {prefix}/pid; error_log {prefix}/logs/error.log;\n"
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
