"""`imgcache sync` and images, from the outside: real sockets, real files."""

from __future__ import annotations

import hashlib
import io

import pytest
from PIL import Image

from examples.origin import Answer, Origin
from tests.conftest import Command, MakeSite, article, picture
from tests.support.site_files import articles, codes, manifest, tree

A = "https://pictures.example/a.jpg"
B = "http://pictures.example/b.png"


def test_a_broken_colour_profile_is_a_warning(run: Command, origin: Origin, make_site: MakeSite) -> None:
    body = io.BytesIO()
    Image.new("RGB", (64, 48), "teal").save(body, "JPEG", icc_profile=b"no profile")
    origin.answers.set(A, Answer(body=body.getvalue()))
    ended = run("sync", make_site({"a.md": article((A, 64, 48))}), "--json")
    report = ended.json()
    assert (ended.code, report["cached"], codes(report)) == (0, 1, [("color-profile", "warning")]), ended
    assert "the colour profile is broken" in report["problems"][0]["message"]


def test_an_image_is_fetched_scaled_recorded_and_flagged(run: Command, origin: Origin, make_site: MakeSite) -> None:
    origin.answers.set(A, picture(1600, 900))
    site = make_site({"a.md": article((A, 1600, 900))})
    ended = run("sync", site, "--json")
    report = ended.json()
    assert ended.code == 0, ended
    counts = {key: report[key] for key in ("articles", "references", "images", "cached", "fetched", "flags_set")}
    assert counts == {"articles": 1, "references": 1, "images": 1, "cached": 1, "fetched": 1, "flags_set": 1}
    assert "    height: 900\n    isCached: true\n---" in (site / "a.md").read_text()
    entry = manifest(site)[A]
    folder = site / "cache/assets" / str(entry["digest"])[:2] / str(entry["digest"])
    assert sorted(path.name for path in folder.iterdir()) == [
        "original.jpg",
        "thumb.jpg",
        "w1280.webp",
        "w320.webp",
        "w640.webp",
    ]
    assert hashlib.sha256((folder / "original.jpg").read_bytes()).hexdigest() == entry["digest"]
    assert (entry["width"], entry["height"], entry["media_type"]) == (1600, 900, "image/jpeg")
    with Image.open(folder / "w640.webp") as variant:
        assert (variant.size, variant.format) == ((640, 360), "WEBP")


def test_a_second_run_fetches_nothing_and_changes_no_byte(run: Command, origin: Origin, make_site: MakeSite) -> None:
    origin.answers.set(A, picture(400, 300))
    site = make_site({"a.md": article((A, 400, 300))})
    run("sync", site)
    before = articles(site) | {"manifest": (site / "cache/manifest.json").read_bytes()}
    changed = (site / "cache/manifest.json").stat().st_mtime_ns
    report = run("sync", site, "--json").json()
    assert (report["reused"], report["fetched"], report["revalidated"]) == (1, 0, 0)
    assert origin.requests[A] == 1
    assert articles(site) | {"manifest": (site / "cache/manifest.json").read_bytes()} == before
    assert (site / "cache/manifest.json").stat().st_mtime_ns == changed


def test_equal_bytes_at_two_urls_are_stored_once(run: Command, origin: Origin, make_site: MakeSite) -> None:
    file = io.BytesIO()
    Image.new("RGB", (2, 2), "red").save(file, "GIF")
    data = file.getvalue()
    for url in (A, B):
        origin.answers.set(url, Answer(body=data, media_type="image/gif"))
    site = make_site({"a.md": article((A, 2, 2), (B, 2, 2))})
    assert run("sync", site).code == 0
    images = manifest(site)
    assert images[A]["digest"] == images[B]["digest"]
    assert len([path for path in (site / "cache/assets").glob("*/*") if path.is_dir()]) == 1


def test_a_failing_image_affects_no_other_and_is_reported_with_its_line(
    run: Command, origin: Origin, make_site: MakeSite
) -> None:
    origin.answers.set(A, picture(40, 30))
    gone = "https://gone.example/x.jpg"
    site = make_site({"a.md": article((gone, 1, 2), (A, 40, 30))})
    ended = run("sync", site, "--json")
    [problem] = ended.json()["problems"]
    assert ended.code == 1
    assert problem == {
        "code": "http-status",
        "url": gone,
        "message": problem["message"],
        "retryable": False,
        "severity": "error",
        "status": 404,
        "references": [{"article": "a.md", "line": 4, "column": 10, "field": "images"}],
    }
    assert (ended.json()["cached"], ended.json()["failed"], ended.json()["flags_set"]) == (1, 1, 1)


def test_a_refresh_that_fails_keeps_the_good_copy(run: Command, origin: Origin, make_site: MakeSite) -> None:
    origin.answers.set(A, picture(40, 30))
    site = make_site({"a.md": article((A, 40, 30))})
    run("sync", site)
    origin.answers.set(A, Answer(status=500))
    before = articles(site) | tree(site / "cache/assets")
    ended = run("sync", site, "--refresh", "--json")
    assert (ended.code, codes(ended.json())) == (0, [("http-status", "warning")])
    assert articles(site) | tree(site / "cache/assets") == before


def test_a_refresh_sends_validators_and_accepts_304(run: Command, origin: Origin, make_site: MakeSite) -> None:
    origin.answers.set(A, picture(40, 30))
    site = make_site({"a.md": article((A, 40, 30))})
    run("sync", site)
    report = run("sync", site, "--refresh", "--json").json()
    assert (report["revalidated"], report["fetched"], report["bytes_fetched"]) == (1, 0, 0)
    assert origin.requests[A] == 2


def test_an_image_that_changed_is_replaced_at_a_refresh(run: Command, origin: Origin, make_site: MakeSite) -> None:
    origin.answers.set(A, picture(40, 30))
    site = make_site({"a.md": article((A, 40, 30))})
    run("sync", site)
    first = manifest(site)[A]["digest"]
    origin.answers.set(A, picture(80, 60))
    report = run("sync", site, "--refresh", "--json").json()
    assert report["fetched"] == 1
    assert manifest(site)[A]["digest"] != first
    assert manifest(site)[A]["width"] == 80


def test_a_copy_older_than_refresh_after_is_revalidated(run: Command, origin: Origin, make_site: MakeSite) -> None:
    origin.answers.set(A, picture(40, 30))
    site = make_site({"a.md": article((A, 40, 30)), "imgcache.yml": "fetch: {refresh_after: 0s}\n"})
    run("sync", site)
    assert run("sync", site, "--json").json()["revalidated"] == 1


def test_a_new_recipe_is_made_from_the_originals_without_fetching(
    run: Command, origin: Origin, make_site: MakeSite
) -> None:
    origin.answers.set(A, picture(800, 600))
    site = make_site({"a.md": article((A, 800, 600))})
    run("sync", site)
    (site / "imgcache.yml").write_text(
        "variants:\n  - {name: w320, width: 320}\n  - {name: tiny, width: 64, format: png}\n"
    )
    report = run("sync", site, "--json").json()
    assert (report["fetched"], report["reused"], origin.requests[A]) == (0, 1, 1)
    assert [variant["name"] for variant in manifest(site)[A]["variants"]] == ["w320", "tiny"]


def test_a_missing_variant_is_rendered_again(run: Command, origin: Origin, make_site: MakeSite) -> None:
    origin.answers.set(A, picture(800, 600))
    site = make_site({"a.md": article((A, 800, 600))})
    run("sync", site)
    before = tree(site / "cache/assets")
    next((site / "cache/assets").rglob("w640.webp")).unlink()
    run("sync", site)
    assert (tree(site / "cache/assets"), origin.requests[A]) == (before, 1)


def test_a_dry_run_touches_nothing(run: Command, origin: Origin, make_site: MakeSite) -> None:
    origin.answers.set(A, picture(40, 30))
    site = make_site({"a.md": article((A, 40, 30))})
    before = tree(site)
    report = run("sync", site, "--dry-run", "--json").json()
    assert (report["fetched"], report["flags_set"], origin.requests[A]) == (1, 1, 0)
    assert tree(site) == before
    run("sync", site)
    times = {name: (site / name).stat().st_mtime_ns for name in tree(site)}
    assert run("sync", site, "--dry-run", "--json").json()["reused"] == 1
    assert {name: (site / name).stat().st_mtime_ns for name in tree(site)} == times


def test_offline_renders_and_flags_cached_images_and_clears_no_flag(
    run: Command, origin: Origin, make_site: MakeSite
) -> None:
    origin.answers.set(A, picture(40, 30))
    site = make_site({"a.md": article((A, 40, 30))})
    run("sync", site)
    (site / "b.md").write_text(article((A, 40, 30), (B, 10, 10)))
    (site / "c.md").write_text(article((B, 10, 10)).replace("height: 10", "height: 10\n    isCached: true"))
    report = run("sync", site, "--offline", "--json").json()
    assert (report["flags_set"], report["flags_cleared"], report["problems"]) == (1, 0, [])
    assert origin.requests[B] == 0


def test_only_failed_tries_only_failed_images(run: Command, origin: Origin, make_site: MakeSite) -> None:
    origin.answers.set(A, Answer(status=503))
    site = make_site({"a.md": article((A, 40, 30))})
    run("sync", site)
    origin.answers.set(A, picture(40, 30))
    origin.answers.set(B, picture(40, 30))
    (site / "b.md").write_text(article((B, 40, 30)))
    report = run("sync", site, "--only-failed", "--json").json()
    assert (report["fetched"], origin.requests[B], report["flags_set"]) == (1, 0, 1)


def test_a_byte_budget_is_spent_on_the_newest_articles(run: Command, origin: Origin, make_site: MakeSite) -> None:
    urls = [f"https://p{n}.example/x.png" for n in range(6)]
    for url in urls:
        origin.answers.set(url, picture(300, 200))
    site = make_site({f"2026-01-0{n + 1}-x.md": article((url, 300, 200)) for n, url in enumerate(urls)})
    ended = run("sync", site, "--max-bytes", "1KB", "--json")
    report = ended.json()
    assert (ended.code, report["fetched"], set(codes(report))) == (1, 1, {("budget", "error")})
    assert "isCached: true" in (site / "2026-01-06-x.md").read_text()
    assert run("sync", site, "--json").json()["cached"] == 6


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (Answer(status=404), "http-status"),
        (Answer(body=b"<!doctype html><p>hello", media_type="image/jpeg"), "not-an-image"),
        (Answer(body=b'<svg xmlns="http://www.w3.org/2000/svg"/>', media_type="image/svg+xml"), "unsupported-format"),
        (Answer(size=(1, 1)), "placeholder"),
        (Answer(size=(600, 400), keep=0.5), "truncated"),
        (Answer(status=302, location=A), "redirects"),
        (Answer(status=302, location="ftp://pictures.example/x"), "bad-scheme"),
        (Answer(down=True), "connect"),
    ],
)
def test_each_failure_has_its_code_and_leaves_no_files(
    run: Command, origin: Origin, make_site: MakeSite, answer: Answer, code: str
) -> None:
    origin.answers.set(A, answer)
    run.use(origin)
    site = make_site({"a.md": article((A, 600, 400))})
    ended = run("sync", site, "--json")
    assert (ended.code, codes(ended.json())) == (1, [(code, "error")])
    assert list((site / "cache/assets").rglob("*")) == []
    assert list((site / "cache/index/staging").iterdir()) == []
    assert "isCached" not in (site / "a.md").read_text()


def test_configured_limits_are_enforced(run: Command, origin: Origin, make_site: MakeSite) -> None:
    origin.answers.set(A, picture(600, 400))
    origin.answers.set(B, picture(60, 40))
    yml = "limits: {pixels: 10000, bytes: 5KB}\n"
    site = make_site({"a.md": article((A, 600, 400), (B, 60, 40)), "imgcache.yml": yml})
    report = run("sync", site, "--json").json()
    assert report["cached"] == 1
    assert codes(report)[0][0] in {"too-large", "too-many-pixels"}


def test_a_password_in_a_url_is_refused_and_never_printed(run: Command, make_site: MakeSite) -> None:
    site = make_site({"a.md": article(("https://user:secret@pictures.example/a.jpg", 4, 3))})
    report = run("sync", site, "--json")
    assert (report.code, codes(report.json())) == (1, [("bad-url", "error")])
    assert report.json()["problems"][0]["url"] == "https://***@pictures.example/a.jpg"
    for ended in (
        report,
        run("sync", site),
        run("sync", site, "-v"),
        run("status", site),
        run("status", site, "--json"),
    ):
        assert "secret" not in ended.out + ended.err


def test_problems_are_printed_with_the_line_to_open(run: Command, origin: Origin, make_site: MakeSite) -> None:
    site = make_site({"news/a.md": article((A, 1, 2))})
    ended = run("sync", site)
    assert "news/a.md:4:10" in ended.out
    assert "http-status" in ended.out
    assert "\x1b" not in ended.out
    assert ended.err == ""
