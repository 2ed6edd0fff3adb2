"""Who may see the gallery, which names articles and drafts: directly and behind a web server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from imgcache.config import ServePolicy, load_config
from imgcache.server.audience import sees_gallery
from tests.conftest import Command
from tests.publisher.test_export_fronts import Answered, free_port, nginx
from tests.server.test_serve_security import A
from tests.support.exported import synced_site
from tests.support.served import ask, held, serving, write_manifest

PAGES = ("/", "/gallery/image?url=x", "/gallery/static/icon.svg", "/gallery/nothing", "/%67allery/static/icon.svg")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site") / "cache"
    folder.mkdir()
    write_manifest(folder, {A: held(folder)})
    return folder


@pytest.fixture(scope="module")
def local(cache: Path) -> Iterator[int]:
    with serving(cache) as port:
        yield port


def test_this_machine_sees_the_gallery(local: int) -> None:
    for host in ("localhost", "LOCALHOST:8080", "localhost.", "site.localhost", "127.0.0.1:1", "127.9.9.9", "[::1]:80"):
        assert ask(local, "/", host=host).status == 200


@pytest.mark.parametrize(
    "fields",
    [
        {"x_forwarded_for": "127.0.0.1"},
        {"forwarded": "for=127.0.0.1"},
        {"x_real_ip": "127.0.0.1"},
        {"x_forwarded_host": "localhost"},
        {"via": "1.1 cache"},
        {"host": "images.example.org"},  # also a foreign name that points here (DNS rebinding)
        {"host": "127.0.0.1.example.org"},
        {"host": "localhost.example.org"},
        {"host": "10.0.0.1"},
        {"host": ""},
        {"host": "localhost@example.org"},
    ],
)
def test_requests_through_proxies_or_other_names_do_not_see_it(local: int, fields: dict[str, str]) -> None:
    for path in PAGES:
        found = ask(local, path, **fields)
        assert (found.status, json.loads(found.body)["error"]) == (404, "not-shown")
        assert found.headers["cache-control"] == "no-store"
    assert ask(local, "/healthz", **fields).status == 200


@pytest.mark.parametrize(
    ("client", "expected"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("192.0.2.1", False),
        ("::ffff:192.0.2.1", False),
        ("172.17.0.1", False),
        ("", False),
        (None, False),  # a Unix socket: a proxy is at the other end
    ],
)
def test_only_loopback_clients_see_it(client: str | None, expected: bool) -> None:
    assert sees_gallery("local", client, "localhost", [b"host", b"accept"]) is expected
    assert sees_gallery("on", client, "localhost", [b"host", b"accept"])
    assert not sees_gallery("off", client, "localhost", [b"host", b"accept"])


@pytest.mark.parametrize(("policy", "status"), [("on", 200), ("off", 404)])
def test_on_and_off(cache: Path, policy: str, status: int) -> None:
    with serving(cache, ServePolicy(gallery=policy)) as port:
        assert ask(port, "/").status == status
        assert ask(port, "/", host="images.example.org", x_forwarded_for="192.0.2.1").status == status


@pytest.mark.parametrize(
    ("text", "expected"), [("on", "on"), ("off", "off"), ("local", "local"), ('"on"', "on"), ("true", "on")]
)
def test_the_setting(tmp_path: Path, text: str, expected: str) -> None:
    file = tmp_path / "imgcache.yml"
    file.write_text(f"serve: {{gallery: {text}}}")
    assert load_config(file, {}, {}).serve.gallery == expected
    assert load_config(None, {"IMGCACHE_SERVE__GALLERY": text.strip('"')}, {}).serve.gallery == expected
    assert load_config(None, {}, {}).serve.gallery == "local"


@pytest.mark.parametrize("gallery", ["local", "on"])
def test_nginx_forwards_the_gallery_only_if_it_is_on(run: Command, tmp_path: Path, gallery: str) -> None:
    site = synced_site(tmp_path / "site")
    (site / "imgcache.yml").write_text(f"serve: {{gallery: {gallery}}}\n")
    port = free_port()
    with serving(site / "cache", ServePolicy(gallery=gallery)) as endpoint:
        options = ("--upstream", f"http://127.0.0.1:{endpoint}", "--listen", f"127.0.0.1:{port}")
        assert run("export", "nginx", site, *options, "--output", tmp_path / "imgcache.conf").code == 0
        with nginx(tmp_path / "imgcache.conf", tmp_path / "nginx", port):
            odd = ("//", "/./", "/x/..", "//gallery/static/icon.svg", "/gallery%2fstatic/icon.svg", "/?q=x")
            statuses = {path: Answered(port, path, Host="localhost").status for path in (*PAGES, *odd)}
            assert Answered(port, "/healthz").status == 200
    if gallery == "local":
        assert set(statuses.values()) == {404}
    else:
        assert statuses["/"] == statuses["/gallery/static/icon.svg"] == 200


def test_caddy_forwards_the_gallery_only_if_it_is_on(run: Command, tmp_path: Path) -> None:
    refused = "@gallery path / /gallery/*\n\thandle @gallery {\n\t\trespond 404\n"
    assert refused in run("export", "caddy", tmp_path).out
    (tmp_path / "imgcache.yml").write_text("serve: {gallery: on}\n")
    assert "gallery" not in run("export", "caddy", tmp_path).out
