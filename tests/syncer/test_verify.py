"""`verify` from the outside: what it finds, and what `--repair` mends."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from examples.origin import Origin
from tests.conftest import A, B, Command, MakeSite, article, picture
from tests.support.site_files import articles, tree


def found_by_verify(run: Command, site: Path) -> set[str]:
    found = run("verify", site, "--json").json()["found"]
    assert isinstance(found, list)
    return {damage["code"] for damage in found}


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


def test_verify_finds_nothing_in_an_intact_cache(run: Command, synced: Path) -> None:
    ended = run("verify", synced)
    assert (ended.code, ended.out) == (0, "0 found\n")


@pytest.mark.parametrize(
    ("harm", "code"),
    [
        (lambda site: flip(next(site.rglob("original.jpg"))), "damaged-blob"),
        (lambda site: flip(next(site.rglob("w640.webp"))), "damaged-blob"),
        (lambda site: next(site.rglob("w640.webp")).unlink(), "missing-blob"),
        (lambda site: next(site.rglob("original.jpg")).write_bytes(b""), "missing-blob"),
        (lambda site: next(site.rglob("original.jpg")).parent.rename(site / "elsewhere"), "record-without-blob"),
        (lambda site: (site / "cache/assets/00" / ("0" * 64)).mkdir(parents=True), "blob-without-record"),
        (lambda site: (site / "cache/manifest.json").write_text("{}"), "manifest"),
        (
            lambda site: (site / "b.md").write_text((site / "b.md").read_text().replace("    isCached: true\n", "", 1)),
            "copy-without-flag",
        ),
        (
            lambda site: (site / "c.md").write_text(
                article(("https://new.example/x.png", 1, 1)).replace("height: 1", "height: 1\n    isCached: true")
            ),
            "flag-without-copy",
        ),
    ],
)
def test_verify_finds_each_kind_of_damage_and_repair_fixes_it(
    run: Command, synced: Path, harm: Callable[[Path], object], code: str
) -> None:
    good = tree(synced / "cache/assets") | {"manifest": (synced / "cache/manifest.json").read_bytes()}
    harm(synced)
    assert code in found_by_verify(run, synced)
    assert run("verify", synced).code == 1
    ended = run("verify", synced, "--repair", "--json")
    assert (ended.code, ended.json()["left"]) == (0, [])
    assert tree(synced / "cache/assets") | {"manifest": (synced / "cache/manifest.json").read_bytes()} == good


def test_a_variant_is_repaired_without_the_network(run: Command, origin: Origin, synced: Path) -> None:
    asked = origin.requests[A]
    flip(next(synced.rglob("w640.webp")))
    run("verify", synced, "--repair")
    assert origin.requests[A] == asked


# -- verify, by the settings -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("mode", "code"), [("check", "dimensions"), ("ignore", "copy-without-flag")])
def test_verify_checks_flags_against_the_settings_like_sync(
    run: Command, other_shape: Path, mode: str, code: str
) -> None:
    """A flag that is right with one setting is wrong with the other, for sync and verify alike."""
    settings = other_shape / "imgcache.yml"
    opposite = {"check": "ignore", "ignore": "check"}[mode]
    settings.write_text(f"dimensions: {opposite}\n")
    run("sync", other_shape)
    assert found_by_verify(run, other_shape) == set(), "as it was synced"
    settings.write_text(f"dimensions: {mode}\n")
    assert found_by_verify(run, other_shape) == {code}
    assert run("verify", other_shape, "--repair").code == 0
    assert found_by_verify(run, other_shape) == set()
    repaired = articles(other_shape)
    run("sync", other_shape)
    assert articles(other_shape) == repaired


NO_ROOM = f"""---
base: &base
  width: 800
images:
  - <<: *base
    url: {A}
    height: 600
  - url: {B}
    isCached:
  - {A}
  - url: {B}
provider:
  images:
    - url: {B}
      isCached:
---
"""


def test_verify_and_show_name_entries_that_can_take_no_flag(run: Command, origin: Origin, make_site: MakeSite) -> None:
    origin.answers.set(A, picture(800, 600))
    origin.answers.set(B, picture(80, 60))
    site = make_site({"a.md": NO_ROOM})
    assert run("verify", site).out == "0 found\n", "none of them is held yet"
    assert run("sync", site).code == 0
    ended = run("verify", site, "--json")
    assert ended.code == 0, "a warning"
    found = ended.json()["found"]
    assert [(one["code"], one["severity"], one["subject"]) for one in found] == [
        ("no-room-for-flag", "warning", f"a.md:{line}") for line in (6, 8, 10)
    ]
    out = run("verify", site).out
    assert f"no-room-for-flag: a.md:8\n  {B} is held, but isCached is not true" in out
    assert out.endswith("0 found, 3 warnings\n")
    before = articles(site)
    assert run("verify", site, "--repair").out.endswith("0 found, 0 left, 3 warnings\n")
    assert articles(site) == before
    lines = run("show", B, site).out.splitlines()
    assert [line.strip() for line in lines if "can take no flag" in line] == ["a.md:8:10  can take no flag"]


def test_verify_finds_a_flag_whose_variants_are_missing(run: Command, synced: Path) -> None:
    next(synced.rglob("original.jpg")).parent.joinpath("w320.webp").unlink()
    run("sync", synced, "--only-failed")
    assert found_by_verify(run, synced) == {"flag-without-copy"}
    assert run("verify", synced, "--repair").code == 0


def test_verify_checks_flags_against_the_configured_variants(run: Command, synced: Path) -> None:
    (synced / "imgcache.yml").write_text("variants: [{name: w40, width: 40}]\n")
    run("sync", synced)
    (synced / "imgcache.yml").write_text("variants: [{name: w50, width: 50}]\n")
    assert found_by_verify(run, synced) == {"flag-without-copy"}
    assert run("verify", synced, "--repair").code == 0


def test_verify_works_with_rebuilt_records(run: Command, synced: Path) -> None:
    shutil.rmtree(synced / "cache/index")
    assert found_by_verify(run, synced) == set()
