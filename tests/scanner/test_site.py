"""Whose image a URL names, and which file it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from imgcache.core import ConfigError, Kind
from imgcache.scanner import Site, layout_of

SITE_URL = "https://Example.org/news/"


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("https://example.org/news/a.png", Kind.OWN),
        ("http://EXAMPLE.org:80/news/a.png", Kind.OWN),
        ("HTTPS://example.org:443/news/a.png", Kind.OWN),
        ("//example.org/news/a.png", Kind.OWN),
        ("https://example.org/news", Kind.OWN),
        ("https://example.org/newsroom/a.png", Kind.REMOTE),
        ("https://example.org/news/../a.png", Kind.REMOTE),
        ("https://example.org:8443/news/a.png", Kind.REMOTE),
        ("https://example.org.evil.example/news/a.png", Kind.REMOTE),
        ("https://user@example.org/news/a.png", Kind.REMOTE),
        ("https://example.org\\@evil.example/news/a.png", Kind.REMOTE),
        ("https://other.example/news/a.png", Kind.REMOTE),
        ("//cdn.example/a.png", Kind.REMOTE),
        ("\\\\cdn.example/a.png", Kind.REMOTE),
        ("ftp://example.org/news/a.png", Kind.REMOTE),
        ("file:///etc/passwd", Kind.REMOTE),
        ("javascript:alert(1)", Kind.REMOTE),
        ("http://[bad/a.png", Kind.REMOTE),
        ("https://example.org:port/news/a.png", Kind.REMOTE),
        (" data:image/png;base64,AA==", Kind.INLINE),
        ("DATA:,", Kind.INLINE),
        ("/assets/a.png", Kind.OWN),
        ("a.png", Kind.OWN),
        ("../a.png?x=http://y", Kind.OWN),
        ("images/a:b.png", Kind.OWN),
    ],
)
def test_kind(tmp_path: Path, url: str, kind: Kind) -> None:
    assert Site(tmp_path, SITE_URL).kind(url) is kind


def test_without_a_site_url_every_address_is_remote(tmp_path: Path) -> None:
    site = Site(tmp_path, None)
    assert site.kind("https://example.org/news/a.png") is Kind.REMOTE
    assert site.kind("//example.org/a.png") is Kind.REMOTE
    assert site.kind("/a.png") is Kind.OWN


@pytest.fixture
def root(tmp_path: Path) -> Path:
    site = tmp_path / "site"
    names = ["assets/a b.png", "assets/é.png", "posts/near.png", "top.png", "static/s.png", "news/n.png", "posts/x.md"]
    for name in [*names, "source/img/i.png", "assets/fonts/f.png"]:
        path = site / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    (tmp_path / "secret.png").write_bytes(b"x")
    (site / "escape").symlink_to(tmp_path)
    (site / "assets" / "link.png").symlink_to(site / "top.png")
    (site / "loop.png").symlink_to(site / "loop.png")
    return site


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("/assets/a%20b.png?v=1#x", "assets/a b.png"),
        ("/assets/%C3%A9.png", "assets/é.png"),
        ("https://example.org/news/assets/a%20b.png", "assets/a b.png"),
        ("//example.org/news/top.png?x", "top.png"),
        ("/news/top.png", "top.png"),
        ("/news/n.png", "news/n.png"),
        ("near.png", "posts/near.png"),
        ("./near.png", "posts/near.png"),
        ("../top.png", "top.png"),
        ("top.png", "top.png"),
        ("/s.png", "static/s.png"),
        ("/fonts/f.png", "assets/fonts/f.png"),
        ("img/i.png", "source/img/i.png"),
        ("/assets/link.png", "assets/link.png"),
        ("/assets//a%20b.png", "assets/a b.png"),
        ("/assets/A%20b.png", None),
        ("/Assets/a%20b.png", None),
        ("/assets", None),
        ("/nothing.png", None),
        ("/escape/secret.png", None),
        ("../../secret.png", None),
        ("/../secret.png", None),
        ("/%2e%2e/secret.png", None),
        ("/loop.png", None),
        ("/a%00b.png", None),
        ("/" + "x" * 5000, None),
        ("", None),
        ("?x", None),
    ],
)
def test_own_file(root: Path, url: str, expected: str | None) -> None:
    found = Site(root, SITE_URL).own_file(url, "posts/x.md")
    assert found == (root / expected if expected else None)


def test_a_file_that_comes_later_is_found(root: Path) -> None:
    site = Site(root, None)
    assert site.own_file("/top.png", "x.md")
    assert site.own_file("/new.png", "x.md") is None
    (root / "new.png").write_bytes(b"x")
    assert site.own_file("/new.png", "x.md") == root / "new.png"
    (root / "new.png").unlink()
    assert site.own_file("/new.png", "x.md") is None


def test_case_matters_on_a_file_system_that_ignores_it(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that finds TOP.png for top.png: only the listing says how the file is spelt."""
    is_file = Path.is_file
    monkeypatch.setattr(Path, "is_file", lambda path: is_file(path.with_name(path.name.lower())))
    assert Site(root, None).own_file("/TOP.png", "x.md") is None
    assert Site(root, None).own_file("/top.png", "x.md") == root / "top.png"


def test_the_baseurl_alone_is_taken_off_paths(root: Path) -> None:
    site = Site(root, "/proj")
    assert site.own_file("/proj/top.png", "x.md") == root / "top.png"
    assert site.kind("https://example.org/proj/top.png") is Kind.REMOTE


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (b"url: https://example.org\nbaseurl: /news", "https://example.org/news"),
        (b'url: "https://example.org/"\r\nbaseurl: "news/"\r\n', "https://example.org/news"),
        (b"\xef\xbb\xbfurl: https://example.org\nbaseurl:\n", "https://example.org"),
        (b"baseurl: /proj\nurl:\n", "/proj"),
        (b"title: x\nurl: ''\nbaseurl: ''\n", None),
        (b"plugins: !ruby/object:Gem {}\nurl: http://h\n", "http://h"),
        (b"url: [a]\n", None),
        (b"- a list\n", None),
        (b"", None),
    ],
)
def test_the_address_of_a_site_of_jekyll(tmp_path: Path, config: bytes, expected: str | None) -> None:
    (tmp_path / "_config.yml").write_bytes(config)
    assert layout_of(tmp_path).site_url == expected


@pytest.mark.parametrize(
    ("config", "line"),
    [(b"title: x\nurl: 'open\n", 3), (b"a: b\n\tc: d\n", 2), (b"a: b\nb: \xff\n", 2), (b"a:\n" + b"[" * 5000, 2)],
)
def test_broken_configuration_names_the_line(tmp_path: Path, config: bytes, line: int) -> None:
    (tmp_path / "_config.yml").write_bytes(config)
    with pytest.raises(ConfigError) as caught:
        layout_of(tmp_path)
    assert caught.value.where == f"_config.yml:{line}"


def test_the_real_site_holds_its_own_images(shared: Path) -> None:
    root = shared / "site"
    address = layout_of(root).site_url
    assert address == "https://smartableai.github.io/microsoft-power-apps"
    site = Site(root, address)
    url = f"{address}/assets/images/organizations/microsoft.com-50x50.jpg"
    assert site.kind(url) is Kind.OWN
    assert site.own_file(url, "_news/x.md") == (root / "assets/images/organizations/microsoft.com-50x50.jpg").resolve()
