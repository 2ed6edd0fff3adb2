"""`--cache s3://…`: the commands with an origin and an S3 server on real sockets."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from examples.origin import Origin
from tests.conftest import Command, Ended, MakeSite, article, picture
from tests.support.far_bucket import Far, led_to_bucket
from tests.support.object_store import S3, SECRET
from tests.support.site_files import articles, tree

A = "https://pictures.example/a.jpg"
B = "https://pictures.example/b.png"
FAST = "variants: [{name: thumb, width: 32, format: auto}, {name: w64, width: 64, effort: 0}]\n"


@pytest.fixture
def far(s3: S3, run: Command, monkeypatch: pytest.MonkeyPatch) -> Far:
    return led_to_bucket(s3, run, monkeypatch)


@pytest.fixture
def site(origin: Origin, make_site: MakeSite) -> Path:
    """A site with two images in two articles."""
    origin.answers.set(A, picture(160, 120))
    origin.answers.set(B, picture(80, 60))
    return make_site(
        {"a.md": article((A, 160, 120)), "b.md": article((A, 160, 120), (B, 80, 60)), "imgcache.yml": FAST}
    )


def damage(ended: Ended) -> list[str]:
    return sorted({one["code"] for one in ended.json()["found"]})


# -- the same as in a folder -----------------------------------------------------------------------------------------


def test_a_bucket_holds_the_same_files_as_a_folder_with_headers_for_a_cdn(far: Far, site: Path, tmp_path: Path) -> None:
    twin = tmp_path / "twin"
    shutil.copytree(site, twin)
    assert far.run("sync", twin).code == 0
    ended = far("sync", site, "--json")
    assert (ended.code, ended.json()["fetched"], ended.json()["flags_set"]) == (0, 2, 3)
    assert articles(site) == articles(twin)
    held = {path: data for path, data in tree(twin / "cache").items() if not path.startswith(("index/", ".gitignore"))}
    assert far.files() == held
    assert sorted(path.name for path in (site / "cache").iterdir()) == [".gitignore", "index"]
    assert [path for path in (site / "cache/index/staging").iterdir() if path.is_file()] == []
    said = {}
    for path in held:
        fields, _ = far.s3.ask("GET", f"/{far.name}/the/prefix/{path}")
        said[path.rsplit("/", 1)[-1]] = (fields["content-type"], fields["cache-control"])
    forever = "public, max-age=31536000, immutable"
    assert said == {
        "manifest.json": ("application/json", "no-cache"),
        "original.jpg": ("image/jpeg", forever),
        "original.png": ("image/png", forever),
        "thumb.jpg": ("image/jpeg", forever),
        "w64.webp": ("image/webp", forever),
    }


def test_a_second_run_asks_the_bucket_for_its_manifest_alone(far: Far, site: Path, origin: Origin) -> None:
    far("sync", site)
    before, held, asked = articles(site), far.files(), far.asked()
    report = far("sync", site, "--json").json()
    assert (report["reused"], report["fetched"], origin.requests[A]) == (2, 0, 1)
    assert far.asked() - asked == 2  # its etag, when the run begins and when it ends
    assert (articles(site), far.files()) == (before, held)


def test_new_variants_are_made_from_the_original_in_the_bucket(far: Far, site: Path, origin: Origin) -> None:
    far("sync", site)
    (site / "imgcache.yml").write_text(FAST.replace("]", ", {name: w48, width: 48, effort: 0}]"))
    assert far("sync", site).code == 0
    assert (origin.requests[A], origin.requests[B]) == (1, 1)
    assert sum(path.endswith("/w48.webp") for path in far.files()) == 2
    uploads = [line for line in far.s3.requests() if line.startswith(f"PUT /{far.name}/") and "/original." in line]
    assert len(uploads) == 2
    assert [path for path in (site / "cache/index/staging").iterdir() if path.is_file()] == []
    assert damage(far("verify", site, "--json")) == []


def test_a_cache_folder_copied_to_a_bucket_is_used(far: Far, site: Path, origin: Origin) -> None:
    assert far.run("sync", site).code == 0
    for path, data in tree(site / "cache").items():
        if not path.startswith("index/"):
            far.write(path, data)
    shutil.rmtree(site / "cache/assets")
    report = far("sync", site, "--json").json()
    assert (report["cached"], report["fetched"], origin.requests[A]) == (2, 0, 1)


# -- the other commands ----------------------------------------------------------------------------------------------


def test_every_command_works_on_a_bucket(far: Far, site: Path, tmp_path: Path) -> None:
    far("sync", site)
    found = far("status", site, "--json").json()
    held = far.files()
    sizes = [len(data) for path, data in held.items() if path != "manifest.json"]
    assert (found["cached"], found["files"], found["bytes"]) == (2, len(sizes), sum(sizes))
    assert "original.jpg" in far("show", A, site).out
    assert far("audit", site, "--offline", "--json").json()["findings"] == []
    assert far.run("quarantine", "list", site, "--cache", far.url).out == "0 quarantined\n"
    assert damage(far("verify", site, "--json")) == []
    (site / "b.md").unlink()
    assert far("gc", site, "--dry-run").out.startswith("1 copy, ")
    assert far.files() == held
    assert far("gc", site).code == 0
    assert {path.split("/")[2] for path in far.files() if path != "manifest.json"} == {_digest(far, A)}
    assert far("forget", A, site).code == 0
    assert list(far.files()) == ["manifest.json"]
    assert json.loads(far.files()["manifest.json"])["images"] == {}
    assert "isCached" not in (site / "a.md").read_text()


def _digest(far: Far, url: str) -> str:
    return str(json.loads(far.files()["manifest.json"])["images"][url]["digest"])


def test_verify_finds_changes_by_others_and_repair_undoes_them(far: Far, site: Path, origin: Origin) -> None:
    far("sync", site)
    assert damage(far("verify", site, "--json")) == []
    whole = far.files()
    flipped = next(path for path in whole if _digest(far, A) in path and path.endswith("w64.webp"))
    gone = next(path for path in whole if _digest(far, B) in path and "/original." in path)
    far.write(flipped, whole[flipped][::-1])
    far.write(gone, None)
    far.write(f"assets/ff/{'f' * 64}/thumb.jpg", b"of an upload that was cut short")
    codes = ["blob-without-record", "damaged-blob", "flag-without-copy", "missing-blob", "record-without-blob"]
    assert damage(far("verify", site, "--json")) == codes
    far.write("manifest.json", b"{}")
    assert far("verify", site, "--repair").code == 0
    assert far.files() == whole
    assert (origin.requests[A], origin.requests[B]) == (1, 2)
    assert damage(far("verify", site, "--json")) == []


def test_export_downloads_each_file_once(far: Far, site: Path, tmp_path: Path) -> None:
    far("sync", site)
    public = site / "public"

    def export() -> str:
        return far.run("export", "jekyll", site, "--copy-to", public, "--cache", far.url, "-q").out

    assert "6 files copied, 0 unchanged" in export()
    held = {path.removeprefix("assets/"): data for path, data in far.files().items()}
    copied = {path: data for path, data in tree(public).items() if "/" in path}
    assert len(copied) == 6
    assert copied.items() <= held.items()
    asked = far.asked()
    assert "0 files copied, 6 unchanged" in export()
    assert far.asked() - asked <= 2  # manifest.json
    victim = next(iter(copied))
    far.write(f"assets/{victim}", None)
    (public / victim).unlink()
    ended = far.run("export", "jekyll", site, "--copy-to", public, "--cache", far.url, "-q")
    assert (ended.code, f"assets/{victim} is missing" in ended.err) == (1, True)
    assert sorted(path.name for path in site.iterdir() if path.name.startswith(".")) == []
    ended = far.run("export", "nginx", site, "--cache", far.url)
    assert (ended.code, "serves a folder" in ended.err) == (2, True)


# -- several machines ------------------------------------------------------------------------------------------------


def test_a_machine_without_an_index_uses_the_existing_images(far: Far, site: Path, origin: Origin) -> None:
    far("sync", site)
    before, held = articles(site), far.files()
    shutil.rmtree(site / "cache")
    report = far("sync", site, "--json").json()
    assert (report["cached"], report["fetched"], origin.requests[A], origin.requests[B]) == (2, 0, 1, 1)
    assert (articles(site), far.files()) == (before, held)


def test_changes_by_another_machine_between_two_runs_are_detected(
    far: Far, site: Path, origin: Origin, tmp_path: Path
) -> None:
    far("sync", site)
    other = tmp_path / "other"
    shutil.copytree(site, other)
    (other / "b.md").unlink()
    assert far("gc", other, "--forget-site", site).code == 0
    before = articles(site)
    report = far("sync", site, "--json").json()
    assert (report["cached"], report["fetched"], origin.requests[A], origin.requests[B]) == (2, 1, 1, 2)
    assert articles(site) == before
    assert damage(far("verify", site, "--json")) == []


# -- what goes wrong -------------------------------------------------------------------------------------------------


def test_without_the_extra_one_line_says_what_to_install(far: Far, site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "obstore", None)
    for command in ("sync", "status", "verify"):
        ended = far(command, site)
        assert (ended.code, ended.out) == (2, "")
        assert ended.err == "imgcache: --cache: an object store needs `pip install 'imgcache[scale]'`\n"
    assert not (site / "cache").exists()


@pytest.mark.parametrize(
    "url",
    [
        "s3://", "s3:///prefix", f"s3://key:{SECRET}@bucket/prefix", f"s3://bucket/prefix?token={SECRET}",
        "s3://bucket/a/../b", "s3://bucket/a//b", "ftp://bucket/prefix", "memory:///", "file://relative", "s3://b/\n",
    ],
)  # fmt: skip
def test_a_url_that_is_not_a_bucket_is_refused(run: Command, site: Path, url: str) -> None:
    ended = run("status", site, "--cache", url)
    assert (ended.code, ended.out) == (2, "")
    assert "s3://BUCKET/PREFIX" in ended.err
    assert SECRET not in ended.err
    assert ended.err.count("\n") == 1


def test_a_missing_bucket_ends_the_command_before_any_fetch(far: Far, site: Path, origin: Origin) -> None:
    for command in ("sync", "status"):
        ended = far.run(command, site, "--cache", "s3://no-such-bucket/prefix")
        assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1)
        assert "s3://no-such-bucket/prefix/assets cannot be listed: the bucket does not exist: create it" in ended.err
    assert origin.requests[A] == 0
    assert "isCached" not in (site / "a.md").read_text()


@pytest.fixture
def refusing() -> Iterator[Callable[[int], str]]:
    """Starts an S3 that answers every request with one status; returns the secret that it received."""
    servers: list[ThreadingHTTPServer] = []

    def start(status: int) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                body = f"<Error><Code>AccessDenied</Code><Message>{SECRET}</Message></Error>".encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            do_HEAD = do_PUT = do_POST = do_DELETE = do_GET  # noqa: N815

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_address[1]}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_an_access_error_shows_no_credentials(
    far: Far, site: Path, refusing: Callable[[int], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", refusing(403))
    for command in ("sync", "status", "verify"):
        ended = far(command, site)
        assert (ended.code, ended.out) == (2, "")
        assert "access denied: check the credentials" in ended.err
        assert far.url in ended.err
        assert SECRET not in ended.err
        assert ended.err.count("\n") == 1


def test_an_image_that_cannot_be_stored_is_a_problem_and_gets_no_flag(
    far: Far, site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder replaces a full or read-only bucket, because only its permissions can be changed for a while."""
    place = tmp_path / "objects"
    (place / "assets").mkdir(parents=True)
    for shelf in range(256):
        (place / f"assets/{shelf:02x}").write_text("in the way")
    ended = far.run("sync", site, "--cache", f"file://{place}", "--json")
    report = ended.json()
    assert (ended.code, report["cached"], report["flags_set"]) == (1, 0, 0)
    assert [problem["code"] for problem in report["problems"]] == ["disk-full", "disk-full"]
    assert "cannot be written" in report["problems"][0]["message"]
    shutil.rmtree(place / "assets")
    assert far.run("sync", site, "--cache", f"file://{place}").code == 0
