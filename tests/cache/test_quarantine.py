"""Doubtful images at a refresh: the good copy stays, and a person decides."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageEnhance, ImageOps

from examples.origin import Answer, Origin
from imgcache.core import Copy, Declared, Limits, Size
from imgcache.policy import QuarantineRecord
from imgcache.policy import quarantine_rules as likeness
from imgcache.processor.image_hash import perceptual_hash as look
from tests.conftest import Command, MakeSite, article
from tests.support.site_files import articles, manifest, tree

A = "https://pictures.example/a.png"
YML = "variants: [{name: w8, width: 8, format: webp, effort: 0}]\n"


def png(pattern: str, width: int = 96, height: int = 64) -> Answer:
    """An image of nine columns that are darker or brighter according to the pattern."""
    columns = Image.new("L", (9, 1))
    columns.putdata([10 + 24 * int(digit) for digit in pattern])
    file = io.BytesIO()
    columns.resize((width, height), Image.Resampling.NEAREST).save(file, "PNG")
    return Answer(body=file.getvalue(), media_type="image/png")


GOOD = png("012345678")
OTHER = png("876543210")


@pytest.fixture
def site(run: Command, origin: Origin, make_site: MakeSite) -> Path:
    """A site with one cached image."""
    origin.answers.set(A, GOOD)
    site = make_site({"a.md": article((A, 96, 64)), "imgcache.yml": YML})
    assert run("sync", site).code == 0
    return site


def refresh(run: Command, site: Path) -> dict[str, Any]:
    return run("sync", site, "--refresh", "--json").json()


def codes(report: dict[str, Any]) -> list[str]:
    return [problem["code"] for problem in report["problems"]]


def waiting(run: Command, site: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = run("quarantine", "list", site, "--json").json()["quarantined"]
    assert run("status", site, "--json").json()["quarantined"] == len(found)
    return found


def digests(site: Path) -> set[str]:
    return {path.name for path in (site / "cache/assets").glob("*/*")}


def public(site: Path) -> dict[str, bytes]:
    return articles(site) | {"manifest": (site / "cache/manifest.json").read_bytes()}


@pytest.mark.parametrize(
    ("candidate", "reason"),
    [
        (png("012345678", 47, 31), "much smaller: 47×31, the copy is 96×64"),
        (png("012345678", 96, 96), "of another shape: 96×96, the copy is 96×64"),
        (OTHER, "another picture (64 of 64 bits differ): 96×64, the copy is 96×64"),
    ],
)
def test_a_doubtful_image_is_quarantined_and_the_copy_stays(
    run: Command, origin: Origin, site: Path, candidate: Answer, reason: str
) -> None:
    before, [good] = public(site), digests(site)
    origin.answers.set(A, candidate)
    ended = run("sync", site, "--refresh", "--json")
    [problem] = ended.json()["problems"]
    assert (ended.code, problem["code"], problem["severity"]) == (0, "quarantined", "warning")
    assert reason in problem["message"]
    assert "imgcache quarantine accept" in problem["message"]
    assert problem["references"][0]["article"] == "a.md"
    assert (public(site), manifest(site)[A]["digest"]) == (before, good)
    [held] = waiting(run, site)
    assert (held["url"], held["copy"], held["reason"]) == (A, good, reason)
    assert digests(site) == {good, held["candidate"]}


def test_only_one_candidate_is_kept_and_the_old_bytes_clear_it(run: Command, origin: Origin, site: Path) -> None:
    [good], blobs = digests(site), tree(site / "cache/assets")
    origin.answers.set(A, OTHER)
    assert codes(refresh(run, site)) == ["quarantined"]
    first = waiting(run, site)
    report = refresh(run, site)
    assert (codes(report), report["revalidated"], report["fetched"]) == (["quarantined"], 1, 0)
    assert waiting(run, site) == first
    asked = origin.requests[A]
    assert codes(run("sync", site, "--json").json()) == ["quarantined"]  # listed until somebody decides
    assert origin.requests[A] == asked
    third = png("808080808")
    origin.answers.set(A, third)
    refresh(run, site)
    [held] = waiting(run, site)
    assert digests(site) == {good, held["candidate"]} != {good, first[0]["candidate"]}
    assert (run("verify", site).code, run("gc", site, "--json").json()["assets"]) == (0, 0)
    origin.answers.set(A, GOOD)
    assert codes(refresh(run, site)) == []
    assert (waiting(run, site), tree(site / "cache/assets")) == ([], blobs)


def test_an_accepted_candidate_becomes_the_copy(run: Command, origin: Origin, site: Path) -> None:
    origin.answers.set(A, png("012345678", 96, 96))
    refresh(run, site)
    [held] = waiting(run, site)
    assert "quarantined since" in run("show", A, site).out
    assert A in run("quarantine", "list", site).out
    ended = run("quarantine", "accept", A, site)
    assert (ended.code, waiting(run, site), manifest(site)[A]["digest"]) == (0, [], held["candidate"])
    assert "isCached" not in (site / "a.md").read_text()  # the article declares another shape
    asked = origin.requests[A]
    report = run("sync", site, "--json").json()
    assert (codes(report), report["reused"], origin.requests[A]) == (["dimensions"], 1, asked)
    ended = run("quarantine", "accept", A, site)
    assert ended.code == 2
    assert "nothing is quarantined at this URL" in ended.err


def test_rejected_bytes_count_as_not_modified(run: Command, origin: Origin, site: Path) -> None:
    before, blobs = public(site), tree(site / "cache/assets")
    origin.answers.set(A, OTHER)
    refresh(run, site)
    assert run("quarantine", "reject", A, site).code == 0
    assert (waiting(run, site), tree(site / "cache/assets")) == ([], blobs)
    report = refresh(run, site)
    assert (codes(report), report["revalidated"], public(site)) == ([], 1, before)
    assert tree(site / "cache/assets") == blobs
    origin.answers.set(A, png("808080808"))
    assert codes(refresh(run, site)) == ["quarantined"]  # other bytes are another question
    run("quarantine", "reject", A, site)
    origin.answers.set(A, OTHER)
    assert codes(refresh(run, site)) == []  # and the first answer is remembered
    for path in (site / "cache/assets").rglob("original.*"):
        path.unlink()
    report = refresh(run, site)
    assert (codes(report), report["failed"]) == (["placeholder"], 1)  # no copy is left, and these bytes are unwanted


def test_an_image_of_the_declared_size_is_not_doubtful(run: Command, origin: Origin, site: Path) -> None:
    (site / "a.md").write_text(article((A, 40, 80)))
    origin.answers.set(A, png("876543210", 40, 80))
    report = refresh(run, site)
    assert (codes(report), report["fetched"], manifest(site)[A]["width"]) == ([], 1, 40)
    (site / "b.md").write_text(article((A, 96, 64)))
    origin.answers.set(A, png("012345678", 96, 64))
    assert "quarantined" in codes(refresh(run, site))  # one declares the old size, one the new: a person knows


def test_forget_and_gc_remove_the_candidate(run: Command, origin: Origin, site: Path) -> None:
    origin.answers.set(A, OTHER)
    refresh(run, site)
    (site / "b.md").write_text((site / "a.md").read_text().replace(A, A + "?2"))
    origin.answers.set(A + "?2", GOOD)
    run("sync", site)
    assert len(digests(site)) == 2
    run("forget", A, site)
    assert (waiting(run, site), len(digests(site))) == ([], 1)
    origin.answers.set(A + "?2", OTHER)
    refresh(run, site)
    (site / "b.md").unlink()
    assert run("gc", site, "--json", "--yes").json()["assets"] == 2
    assert (digests(site), waiting(run, site)) == (set(), [])


def test_repair_removes_a_damaged_candidate(run: Command, origin: Origin, site: Path) -> None:
    origin.answers.set(A, OTHER)
    refresh(run, site)
    [held] = waiting(run, site)
    path = site / "cache" / held["original"]
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    assert "damaged-blob" in run("verify", site).out
    assert run("verify", site, "--repair").code == 0
    assert (waiting(run, site), manifest(site)[A]["digest"]) == ([], held["copy"])


# -- likeness ----------------------------------------------------------------------------------------------------------


def test_the_threshold_separates_versions_of_one_image_from_others(shared: Path, tmp_path: Path) -> None:
    """With every fourth photograph; the figures for all are next to the threshold in the code."""
    seen: dict[str, int] = {}
    for path in sorted((shared / "images/photos").iterdir())[::4]:
        seen[path.name] = look(path, Limits())
        with Image.open(path) as opened:
            picture = ImageOps.exif_transpose(opened).convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")
        picture.thumbnail((800, 800))
        for name, changed, quality in (
            ("encoded anew.jpg", picture, 40),
            ("small.webp", picture.resize((160, max(1, 160 * picture.height // picture.width))), 70),
            ("brighter.jpg", ImageEnhance.Brightness(picture).enhance(1.3), 80),
        ):
            changed.save(tmp_path / name, quality=quality)
            assert (look(tmp_path / name, Limits()) ^ seen[path.name]).bit_count() <= 8, (path.name, name)
    names = sorted(seen)
    pairs = [(seen[a] ^ seen[b]).bit_count() for n, a in enumerate(names) for b in names[:n]]
    assert sum(bits > likeness.MAX_DISTANCE for bits in pairs) >= 0.98 * len(pairs)


sizes = st.builds(Size, st.integers(1, 5000), st.integers(1, 5000))


@given(sizes, sizes, st.integers(0, 2**64 - 1))
def test_the_same_size_and_content_is_never_doubtful(old: Size, new: Size, bits: int) -> None:
    assert likeness.size_mismatch(old, old) is None
    assert likeness.looks_different(bits, bits, (old, new)) is None
    assert (likeness.size_mismatch(old, new) is None) <= (4 * new.width * new.height >= old.width * old.height)
    assert likeness.is_declared(old, new, [Declared(new.width, new.height)]) == (old != new)
    assert not likeness.is_declared(old, new, [Declared(), Declared(old.width, old.height)])


def test_the_number_of_recorded_rejected_digests_is_limited() -> None:
    doubt = QuarantineRecord(candidate=Copy("x", 0.0, 0.0), reason="r", since=1.0)
    for number in range(40):
        doubt = likeness.with_rejected_digest(doubt, str(number % 20))
    assert (doubt.candidate, doubt.rejected) == (None, tuple(str(number) for number in range(4, 20)))
